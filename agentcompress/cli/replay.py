"""The command that replays recorded agents: what would have been sent, and what it would have cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentcompress.cli.terminal import CompressorOptions, add_compressor_options, check_plot, show_progress

if TYPE_CHECKING:
    from agentcompress.compressor import Compressor

PRICES = ("claude-sonnet-4-6", "gpt-5", "deepseek/deepseek-chat", "gemini/gemini-2.5-pro")
NAMES = "everything, ours:RATE, litellm:TOKENS, clear:TOKENS[:KEEP], head-tail:CHARS"


@dataclass(frozen=True)
class _ReplayOptions(CompressorOptions):
    files: Sequence[Path]
    wire: str
    ledger: str
    recall: bool
    costs: bool
    ways: Sequence[str]
    prices: Sequence[str]
    gap_s: float
    plot_file: Path | None
    json_file: Path | None


@click.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "wire", type=click.Choice(["openai", "responses", "anthropic"]), default="openai")
@add_compressor_options
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
def replay(**given: Any) -> None:
    """Replay the recorded agents in FILES: what every request would have held, what was rewritten.

    FILES are your own sessions as Claude Code, Codex CLI, opencode, SWE-agent, mini-swe-agent and OpenHands keep them,
    folders of them, or JSON Lines of {"id", "context"}, the context a list of messages (role, content, tool_calls with
    name and arguments). Each may be gzipped.
    With --costs, what they would have cost with nothing, with us at several settings, and with what others do:
    LiteLLM's `compress`, LangChain's `ClearToolUsesEdit`, both ends of every result.
    """
    from agentcompress.compressor import Compressor

    options = _ReplayOptions(**given)
    compressor = Compressor(options.build_config(options.ledger))
    if options.costs:
        _replay_costs(options, compressor)
    else:
        _replay_steps(options, compressor)


def _replay_steps(options: _ReplayOptions, compressor: Compressor) -> None:
    """Print a line a request as it is replayed, and then the totals."""
    from agentcompress.evaluation.replay import replay as replaying

    report = replaying.ReplayReport()
    with show_progress():
        for file in options.files:
            for found in replaying.replay_file(file, compressor, options.wire, recall=options.recall):
                if isinstance(found, float):
                    report.recalls.append(found)
                else:
                    report.steps.append(found)
                    click.echo(replaying.format_step(found))
    click.echo(json.dumps(report.sum_up()))
    _write_json(options.json_file, report.as_json())


def _replay_costs(options: _ReplayOptions, compressor: Compressor) -> None:
    """Print what the recorded agents would have cost, a row a way to send, and which ways are better than ours."""
    from agentcompress.evaluation.replay import cost_report
    from agentcompress.evaluation.replay.costs import Costs
    from agentcompress.evaluation.replay.ways import DEFAULT, build_way

    if options.plot_file:
        check_plot(options.plot_file)
    ways = {name: build_way(name, compressor) for name in options.ways or DEFAULT}
    with show_progress():
        report = Costs(ways, options.prices, options.gap_s).run(options.files)
    click.echo(cost_report.render_table(report))
    for target in report.targets:
        for own, other in cost_report.find_dominated(report, target):
            click.echo(f"{target}: {other} is cheaper than {own}, and recalls more")
    _write_json(options.json_file, report.as_json())
    if options.plot_file:
        cost_report.plot_costs(report, options.plot_file)


def _write_json(file: Path | None, figures: dict[str, Any]) -> None:
    """Write all figures where --json says; nothing without it."""
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
