"""The command that shows what was kept and why, and the one that sums receipts up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentcompress.cli.terminal import CompressorOptions, add_compressor_options, check_folder, show_progress
from agentcompress.errors import InvalidInputError

if TYPE_CHECKING:
    from agentcompress.compressor import Compressor
    from agentcompress.explain.explain import Page


@dataclass(frozen=True)
class _ExplainOptions(CompressorOptions):
    file: Path
    output: Path
    query: str | None
    ledger: str


@click.command("explain")
@click.argument("file", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HTML file.")
@click.option("-q", "--query", help="What a text is read for; conversations say it themselves.")
@add_compressor_options
@click.option("--ledger", default="memory", show_default=True, help="Where a conversation was decided; read only.")
def explain(**given: Any) -> None:
    """Show what is kept of INPUT, what is cut, and why: one HTML page that needs no network.

    INPUT is a text (with --query), a JSON list of messages or a request's body, or recorded agents, a trajectory a
    line, as `replay` takes them.
    """
    from agentcompress.compressor import Compressor
    from agentcompress.explain.page import render_page
    from agentcompress.ledger.memory import ReadThrough
    from agentcompress.ledger.opening import open_lasting_store

    options = _ExplainOptions(**given)
    output = options.output
    check_folder(output, "--output")
    config = options.build_config("memory")
    with show_progress():
        compressor = Compressor(config, store=ReadThrough(open_lasting_store(options.ledger)))
        page = _build_page(compressor, options.file, options.query)
    output.write_text(render_page(page), encoding="utf-8")
    before, after = page.about["tokens_before"], page.about["tokens_after"]
    click.echo(f"{before:,} -> {after:,} tokens, {len(page.texts):,} texts: {output}", err=True)


def _build_page(compressor: Compressor, file: Path, query: str | None) -> Page:
    """Tell a text from messages, a request's body and trajectories, and explain what it is."""
    from agentcompress.explain.explain import explain_messages, explain_text
    from agentcompress.messages.bodies import parse
    from agentcompress.targets.counting import choose_countable_target

    text = file.read_text(encoding="utf-8", errors="replace")
    if query is not None:
        return explain_text(compressor, text, query, title=file.name)
    parsed = _parse_json(text)
    if isinstance(parsed, Mapping) and ("messages" in parsed or "input" in parsed):
        body = parse(parsed)
        target = choose_countable_target(parsed.get("model"), compressor.config.target)
        return explain_messages(compressor, body.messages, title=file.name, target=target, format=body.wire.name)
    if isinstance(parsed, list) and parsed and all(isinstance(message, Mapping) for message in parsed):
        return explain_messages(compressor, parsed, title=file.name)
    if text.lstrip().startswith("{"):
        return _explain_trajectories(compressor, file)
    raise InvalidInputError("query", query, "said for a text; without one, INPUT must be messages or trajectories")


def _parse_json(text: str) -> Any:
    """Parse a text as JSON; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _explain_trajectories(compressor: Compressor, file: Path) -> Page:
    """Explain all trajectories of a file on one page, one after the other."""
    from agentcompress.common import progress
    from agentcompress.corpora.trajectories import read_trajectories
    from agentcompress.evaluation.replay.replay import to_wire
    from agentcompress.explain.explain import Page, explain_messages

    found = list(read_trajectories(file))
    pages: list[Page] = []
    for at, trajectory in enumerate(found):
        progress.report(trajectory.id, at, len(found))
        messages = to_wire(trajectory.context, "openai")
        pages.append(explain_messages(compressor, messages, title=file.name, format="openai"))
    progress.report("done", len(found), len(found))
    if not pages:
        raise InvalidInputError("INPUT", file.name, "a file with a conversation in it")
    sums = {name: sum(page.about[name] for page in pages) for name in ("tokens_before", "tokens_after")}
    texts = [
        replace(text, role=f"{text.role} of {number}") for number, page in enumerate(pages, 1) for text in page.texts
    ]
    return Page(file.name, {**pages[0].about, "money": None, **sums}, tuple(texts))


@click.command("report")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a page.")
def report_receipts(files: Sequence[Path], as_json: bool) -> None:
    """Sum up receipts (`CompressConfig(receipts=FILE)`): savings, what was missed, the slowest calls, and advice."""
    from agentcompress.accounting.summary import read_reports, render_report

    found = read_reports(files)
    if as_json:
        click.echo(json.dumps({mode: each.as_json() for mode, each in found.items()}, indent=1))
    else:
        click.echo("\n\n".join(f"{mode}\n\n{render_report(each)}" for mode, each in found.items()))
