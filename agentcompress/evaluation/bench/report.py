"""A bench report for people: a table, what the figures mean, and a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentcompress.evaluation.plots import load_figure_class

if TYPE_CHECKING:
    from rich.table import Table

    from agentcompress.evaluation.bench.draft import BenchReport

_FIGURES = {
    "cold_over_baseline_8k": "speculative prefill's time over ours, cold, 8k tokens",
    "warm_speedup_16k": "cold over warm, 16k tokens",
    "hot_speedup_16k": "cold over hot, 16k tokens",
    "gemm_share_16k": "share of the best matrix product's speed, encoding 16k tokens",
    "growth_64k_over_32k": "cold time of 64k over that of 32k tokens",
    "callers_at_once_over_in_a_row": "16 callers of 4k tokens at once, over one after the other",
    "kv_bytes_per_token": "cache memory of a draft token, bytes",
    "peak_rss_bytes": "memory of the process at the longest, bytes",
    "segment_code_s_per_mb": "seconds to cut a megabyte of Python",
    "segment_code_growth": "time of ten megabytes over that of one",
    "segment_log_s_per_mb": "seconds to cut a megabyte of a log",
    "segment_log_growth": "time of ten megabytes over that of one",
    "segment_json_s_per_mb": "seconds to cut a megabyte of JSON Lines",
    "segment_json_growth": "time of ten megabytes over that of one",
    "replay_ms": "to replay a decided history of 200 messages, 200k tokens, ms",
    "replay_over_sha256": "that, over one SHA-256 of its JSON",
    "decorator_idle_ms": "what the decorator adds to a call with nothing to compress, ms",
    "decorator_100_ms": "and to one of 100 messages, 100k tokens, that are decided, ms",
    "runnable_idle_ms": "what LangChain's runnable adds to a call with nothing to compress, ms",
    "runnable_100_ms": "and to one of 100 messages that are decided, ms",
}


def print_report(report: BenchReport) -> None:
    """Print the table and the figures to standard output."""
    from rich.console import Console

    console = Console()
    console.print(build_table(report))
    console.print()
    for line in list_figures(report):
        console.print(line, highlight=False, soft_wrap=True)


def build_table(report: BenchReport) -> Table:
    """Build the table of times, a row a length."""
    from rich.table import Table

    grid = Table("tokens", "cold", "warm", "hot", "speculative prefill", box=None, pad_edge=False)
    for column in grid.columns:
        column.justify = "right"
    for row in report.rows:
        grid.add_row(f"{row.tokens:,}", *map(_format_ms, (row.cold_ms, row.warm_ms, row.hot_ms, row.baseline_ms)))
    return grid


def list_figures(report: BenchReport) -> list[str]:
    """Return a line for every figure that was measured: its name, its value, what it means."""
    lines = []
    for key, meaning in _FIGURES.items():
        value = report.keys.get(key)
        if value is not None:
            shown = f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
            lines.append(f"{key:30s} {shown:>14s}  {meaning}")
    return lines


def plot_report(report: BenchReport, file: Path) -> None:
    """Write time over length, both logarithmic, as a picture (PNG, SVG or PDF by the file's name)."""
    canvas = load_figure_class()(figsize=(7.2, 4.8), layout="constrained")
    axes = canvas.add_subplot()
    series = {
        "speculative prefill, as published": ("baseline_ms", "#888888", "s"),
        "cold": ("cold_ms", "#c0392b", "o"),
        "warm: same text, new query": ("warm_ms", "#e08e0b", "o"),
        "hot: same text, same query": ("hot_ms", "#2980b9", "o"),
    }
    for label, (name, colour, marker) in series.items():
        points = [(row.tokens, getattr(row, name)) for row in report.rows if getattr(row, name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=5)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [row.tokens for row in report.rows]
    axes.set_xticks(ticks, [f"{tokens / 1024:g}k" for tokens in ticks])
    axes.set_xlabel("draft tokens")
    axes.set_ylabel("milliseconds a call")
    axes.grid(which="major", alpha=0.3)
    axes.set_title(
        f"{report.draft}, {report.machine['dtype']}, {report.machine['threads']} {report.machine['device']} threads"
    )
    axes.legend(frameon=False)
    canvas.savefig(file, dpi=144)


def _format_ms(ms: float | None) -> str:
    if ms is None:
        return ""
    if ms >= 1000:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.1f} ms" if ms >= 1 else f"{ms:.3f} ms"
