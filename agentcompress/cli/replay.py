"""The command that replays recorded agents: what would have been sent, and what it would have cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentcompress.cli.terminal import compressor_options, progress_bar

if TYPE_CHECKING:
    from agentcompress.compressor import Compressor

PRICES = ("claude-sonnet-4-6", "gpt-5", "deepseek/deepseek-chat", "gemini/gemini-2.5-pro")
NAMES = "everything, ours:RATE, litellm:TOKENS, clear:TOKENS[:KEEP], head-tail:CHARS"


@click.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "wire", type=click.Choice(["openai", "responses", "anthropic"]), default="openai")
@compressor_options
@click.option("--ledger", default="memory", show_default=True, help="Where decisions are kept.")
@click.option("--recall", is_flag=True, help="What later steps took from results: how much of it was sent.")
@click.option("--costs", is_flag=True, help="What it would have cost, in every way of --way, at the prices of --price.")
@click.option("--way", "ways", multiple=True, help=f"A way to send: {NAMES}. Repeatable. [21 of them]")
@click.option("--price", "prices", multiple=True, default=PRICES, show_default=True, help="Model to be billed by.")
@click.option("--gap", "gap_s", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds a step.")
@click.option(
    "--plot", "plot_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture (PNG, SVG)."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there.")
def replay(
    files: Sequence[Path],
    wire: str,
    keep_rate: Any,
    scorer: str,
    draft: str,
    target: str,
    ledger: str,
    recall: bool,
    costs: bool,
    ways: Sequence[str],
    prices: Sequence[str],
    gap_s: float,
    plot_file: Path | None,
    json_file: Path | None,
) -> None:
    """Replay recorded agents, a trajectory a line of FILES: what every request would have held, what was rewritten.

    A line is {"id", "context"}, the context a list of messages (role, content, tool_calls with name and arguments).
    With --costs, what they would have cost with nothing, with us at several settings, and with what others do:
    LiteLLM's `compress`, LangChain's `ClearToolUsesEdit`, both ends of every result.
    """
    from agentcompress.compressor import Compressor
    from agentcompress.config import CompressConfig
    from agentcompress.evaluation.replay import replay as replaying

    config = CompressConfig(
        scorer=scorer, draft=draft, target=target, keep_rate=keep_rate, ledger=ledger, deadline_ms=None
    )
    if costs:
        _costs(files, Compressor(config), ways, prices, gap_s, json_file, plot_file)
        return
    report = replaying.ReplayReport()
    compressor = Compressor(config)
    with progress_bar():
        for file in files:
            for found in replaying.replay(file, compressor, wire, recall=recall):
                if isinstance(found, float):
                    report.kept.append(found)
                else:
                    report.steps.append(found)
                    click.echo(replaying.line(found))
    click.echo(json.dumps(report.totals()))
    if json_file:
        json_file.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")


def _costs(
    files: Sequence[Path],
    compressor: Compressor,
    names: Sequence[str],
    prices: Sequence[str],
    gap_s: float,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    from agentcompress.evaluation.plots import FORMATS, pyplot
    from agentcompress.evaluation.replay import cost_report
    from agentcompress.evaluation.replay.costs import Costs
    from agentcompress.evaluation.replay.ways import DEFAULT, way_named

    if plot_file:
        pyplot()  # what is missing is said now, not after minutes
        if plot_file.suffix.lower() not in FORMATS:
            raise click.BadParameter(f"one of {', '.join(FORMATS)}", param_hint="--plot")
    ways = {name: way_named(name, compressor) for name in names or DEFAULT}
    with progress_bar():
        report = Costs(ways, prices, gap_s).run(files)
    click.echo(cost_report.table(report))
    for target in report.targets:
        for own, other in cost_report.dominated(report, target):
            click.echo(f"{target}: {other} is cheaper than {own}, and recalls more")
    if json_file:
        json_file.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    if plot_file:
        cost_report.plot(report, plot_file)
