"""The command that learns a reader from recorded agents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from agentcompress.cli.terminal import check_folder, check_plot, show_progress


@click.command("train")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where the reader is written (JSON).",
)
@click.option("--folds/--no-folds", default=True, help="Leave each source out in turn, and say what it is worth there.")
@click.option("--seed", default=0, show_default=True, help="The same files and seed give the same reader.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a picture (PNG, SVG)."
)
def train(files: Sequence[Path], output: Path, folds: bool, seed: int, plot: Path | None) -> None:
    """Learn from recorded agents what the next steps use of a tool's result.

    FILES are sessions, as `replay` reads them: of Claude Code, Codex, opencode, SWE-agent, mini-swe-agent, OpenHands,
    or {"id", "context"} a line; a folder is all sessions below it. Every file or folder is one source. What is written
    is used with `scorer_options={"reader": "FILE"}`. Needs `pip install "agentcompress[train]"`.
    """
    from agentcompress.evaluation.plots import load_figure_class
    from agentcompress.training.boost import load_lightgbm
    from agentcompress.training.train import format_report, plot_report, train_reader

    load_lightgbm()  # said now, not after minutes
    for option, file in (("--output", output), ("--plot", plot)):
        if file:
            check_folder(file, option)
    if plot:
        check_plot(plot)
    with show_progress():
        forest, report = train_reader(files, folds=folds, seed=seed)
    output.write_text(json.dumps(forest.as_json(), separators=(",", ":")) + "\n", encoding="utf-8")
    for line in format_report(report):
        click.echo(line)
    if plot and report.promises:
        plot_report(report, plot, load_figure_class)
