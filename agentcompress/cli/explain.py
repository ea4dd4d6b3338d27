"""The command that shows what was kept and why, and the one that sums receipts up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentcompress.cli.terminal import compressor_options, progress_bar
from agentcompress.errors import InvalidInputError

if TYPE_CHECKING:
    from agentcompress.compressor import Compressor
    from agentcompress.explain.explain import Page


@click.command("explain")
@click.argument("file", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HTML file.")
@click.option("-q", "--query", help="What a text is read for; conversations say it themselves.")
@compressor_options
@click.option("--ledger", default="memory", show_default=True, help="Where a conversation was decided; read only.")
def explain(
    file: Path,
    output: Path,
    query: str | None,
    keep_rate: Any,
    scorer: str,
    draft: str,
    target: str,
    ledger: str,
) -> None:
    """Show what is kept of INPUT, what is cut, and why: one HTML page that needs no network.

    INPUT is a text (with --query), a JSON list of messages or a request's body, or recorded agents, a trajectory a
    line, as `replay` takes them.
    """
    from agentcompress.compressor import Compressor
    from agentcompress.config import CompressConfig
    from agentcompress.explain.page import page_html
    from agentcompress.ledger.memory import ReadThrough
    from agentcompress.ledger.opening import lasting_store

    if not output.absolute().parent.is_dir():
        raise click.BadParameter(f"no such folder: {output.parent}", param_hint="--output")
    config = CompressConfig(
        scorer=scorer, draft=draft, target=target, keep_rate=keep_rate, ledger="memory", deadline_ms=None
    )
    with progress_bar():
        page = _page(Compressor(config, store=ReadThrough(lasting_store(ledger))), file, query)
    output.write_text(page_html(page), encoding="utf-8")
    before, after = page.about["tokens_before"], page.about["tokens_after"]
    click.echo(f"{before:,} -> {after:,} tokens, {len(page.texts):,} texts: {output}", err=True)


def _page(compressor: Compressor, file: Path, query: str | None) -> Page:
    from agentcompress.explain.explain import explained_messages, explained_text
    from agentcompress.messages.bodies import opened
    from agentcompress.targets.counting import choose_countable_target

    text = file.read_text(encoding="utf-8", errors="replace")
    if query is not None:
        return explained_text(compressor, text, query, title=file.name)
    parsed = _parsed(text)
    if isinstance(parsed, Mapping) and ("messages" in parsed or "input" in parsed):
        body = opened(parsed)
        target = choose_countable_target(parsed.get("model"), compressor.config.target)
        return explained_messages(compressor, body.messages, title=file.name, target=target, format=body.wire.name)
    if isinstance(parsed, list) and parsed and all(isinstance(message, Mapping) for message in parsed):
        return explained_messages(compressor, parsed, title=file.name)
    if text.lstrip().startswith("{"):
        return _replayed(compressor, file)
    raise InvalidInputError("query", query, "said for a text; without one, INPUT must be messages or trajectories")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _replayed(compressor: Compressor, file: Path) -> Page:
    """All trajectories of a file on one page, one after the other."""
    from agentcompress.common import progress
    from agentcompress.evaluation.files import json_rows
    from agentcompress.evaluation.replay.replay import as_sent, checked_trajectory
    from agentcompress.explain.explain import Page, explained_messages

    rows = list(json_rows(file))
    pages: list[Page] = []
    for at, (number, row) in enumerate(rows):
        progress.report(f"line {number}", at, len(rows))
        messages = as_sent(checked_trajectory(row, f"{file.name} line {number}"), "openai")
        pages.append(explained_messages(compressor, messages, title=file.name, format="openai"))
    progress.report("done", len(rows), len(rows))
    if not pages:
        raise InvalidInputError("INPUT", file.name, "a file that is not empty")
    sums = {name: sum(page.about[name] for page in pages) for name in ("tokens_before", "tokens_after")}
    texts = [
        replace(text, role=f"{text.role} of {number}")
        for (number, _), page in zip(rows, pages, strict=True)
        for text in page.texts
    ]
    return Page(file.name, {**pages[0].about, "money": None, **sums}, tuple(texts))


@click.command("report")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a page.")
def report(files: Sequence[Path], as_json: bool) -> None:
    """Sum up receipts (`CompressConfig(receipts=FILE)`): savings, what was missed, the slowest calls, and advice."""
    from agentcompress.accounting.summary import read, shown

    found = read(files)
    if as_json:
        click.echo(json.dumps({mode: each.as_json() for mode, each in found.items()}, indent=1))
    else:
        click.echo("\n\n".join(f"{mode}\n\n{shown(each)}" for mode, each in found.items()))
