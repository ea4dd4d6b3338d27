"""The commands that measure: `bench`, `eval`, `calibrate`. Imports nothing heavy until one of them runs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from agentcompress.cli.terminal import check_folder, check_plot, show_progress
from agentcompress.errors import PluginError


@click.command("bench")
@click.option("-d", "--draft", default="smollm2-135m", show_default=True, help="Model that scores.")
@click.option("--lengths", help="Draft tokens to measure at, with commas. [1024,2048,...,131072]")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, writable=True), help="Write every figure as JSON.")
@click.option("--plot", "plot_file", type=click.Path(dir_okay=False, writable=True), help="Write a picture (PNG, SVG).")
def run_bench(draft: str, lengths: str | None, json_file: str | None, plot_file: str | None) -> None:
    """Measure how fast the draft is on this machine, cold, warm and hot.

    Held against speculative prefill as published, and against the machine's fastest matrix product. Takes about four
    minutes on two cores. Run nothing else meanwhile.
    """
    from agentcompress.evaluation.bench import report as bench_report
    from agentcompress.evaluation.bench.draft import LENGTHS, Bench

    for option, file in (("--json", json_file), ("--plot", plot_file)):  # said now, not after minutes
        if file:
            check_folder(Path(file), option)
    if plot_file:
        check_plot(Path(plot_file))
    try:
        tokens = [int(part) for part in lengths.split(",")] if lengths else LENGTHS
    except ValueError:
        raise click.BadParameter(
            f"whole numbers with commas between, got {lengths!r}", param_hint="--lengths"
        ) from None
    with show_progress():
        report = Bench(draft, tokens).run()
    bench_report.print_report(report)
    if json_file:
        Path(json_file).write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    if plot_file:
        bench_report.plot_report(report, Path(plot_file))


@dataclass(frozen=True)
class _EvaluateOptions:
    tasks: Sequence[str]
    scorers: Sequence[str]
    keep_rates: Sequence[float]
    drafts: Sequence[str]
    count_as: str | None
    target: str | None
    oracle: str | None
    limit: int | None
    output: Path


@click.command("eval")
@click.option("-t", "--task", "tasks", multiple=True, required=True, help="What to evaluate on; see below. Repeatable.")
@click.option(
    "-s",
    "--scorer",
    "scorers",
    multiple=True,
    default=("calibrated", "lexical", "random"),
    show_default=True,
    help="NAME[@SEGMENTER][:OPTION=VALUE,...], or paper, paper-code. Repeatable.",
)
@click.option("-k", "--keep-rate", "keep_rates", type=float, multiple=True, default=(0.1, 0.2), show_default=True)
@click.option("-d", "--draft", "drafts", multiple=True, default=("smollm2-135m",), show_default=True)
@click.option("--count-as", help="Model whose tokens are counted. [the target, else gpt-4o]")
@click.option("--target", help="Model that answers, full prompts and compressed ones: LiteLLM's name or embedded/NAME.")
@click.option("--oracle", help="Local model whose answers rank the tokens, to correlate the scorers with.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Items of each task. [all]")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results."
)
def evaluate(**given: Any) -> None:
    """Measure what is kept, and what a target makes of it.

    A TASK is a JSON Lines file of items, your own agents' sessions (a file or folder that `replay` reads), or one of:
    ruler:NAME[:WORDS[:SEED]], code-debug[:CHARS[:SEED]], longbench:FOLDER:DATASET, longbench2:FILE,
    ruler-files:FOLDER:TASK, infinitebench:FOLDER:TASK. An evaluation that was stopped goes on where it was when it is
    started again with the same options.

    The folder then holds results.jsonl, timings.jsonl, table.md, quality.png and, with --oracle, spearman.jsonl and
    spearman.png.
    """
    from agentcompress.evaluation.plots import load_figure_class

    load_figure_class()  # what is missing is said now, not after hours
    for module in ("scipy", "rapidfuzz", "rouge_score"):
        if importlib.util.find_spec(module) is None:
            raise PluginError(f'eval needs {module}: pip install "agentcompress[eval]"')
    _write_evaluation(_EvaluateOptions(**given))


def _write_evaluation(options: _EvaluateOptions) -> None:
    """Evaluate; write the results, tables and pictures into the folder, and print the tables."""
    from agentcompress.evaluation.quality import grid, report, spearman
    from agentcompress.evaluation.quality.answers import LiteLLMTarget
    from agentcompress.evaluation.quality.catalogue import open_task
    from agentcompress.evaluation.quality.variants import build_variants

    output, target, oracle = options.output, options.target, options.oracle
    tasks = [open_task(name) for name in options.tasks]
    counted = options.count_as or target or "gpt-4o"
    ways = build_variants(options.scorers, options.drafts, counted)
    rates = sorted(set(options.keep_rates))
    plan = grid.Plan(tasks, ways, rates, counted, options.limit, answers=target is not None, oracle=oracle)
    with show_progress():
        rows = grid.Grid(plan, output, LiteLLMTarget(target) if target else None).run()
        text = report.render_table(rows, grid.read_timings(output))
        report.plot_quality(rows, output / "quality.png")
        if oracle:
            found = spearman.correlate_all(tasks, ways, oracle, options.limit, output)
            report.plot_layers(found, output / "spearman.png")
            text += "\n" + report.render_correlations(found)
    (output / "table.md").write_text(text, encoding="utf-8")
    click.echo(text)


@click.command()
@click.option("-d", "--draft", default="smollm2-135m", show_default=True, help="Model to make a profile of.")
@click.option("-n", "--items", type=int, default=400, show_default=True, help="Items to calibrate on, at least 128.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the items.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File. [where it is found]")
def calibrate(draft: str, items: int, seed: int, output: Path | None) -> None:
    """Find out which of a draft's heads look for what a query asks, and write its profile.

    The items are made here, from a seed; nothing is downloaded. What is printed is what a fit on half of them is worth
    on the other half. Takes about ten minutes for the smallest draft on two cores.
    """
    from agentcompress.calibration.fit import calibrate as make_profile
    from agentcompress.drafts import profile
    from agentcompress.drafts.runtime import get_shared_runtime

    if output:
        check_folder(output, "--output")
    with show_progress():
        found = make_profile(get_shared_runtime(draft), draft, items=items, seed=seed)
    file = profile.write_profile(found, output)
    click.echo(f"{len(found.heads)} heads, {found.made['held_out_items']} items held out")
    click.echo(f"{'reach':12s} {'without':>8s} {'with':>8s}")
    for family, without in found.made["reach_without_profile"].items():
        click.echo(f"{family:12s} {without:8.3f} {found.made['reach'][family]:8.3f}")
    click.echo(f"written to {file}", err=True)
