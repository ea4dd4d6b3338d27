"""Results of a grid as tables and pictures: means with intervals, differences paired by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from statistics import median
from typing import Any

import numpy as np

from agentcompress.evaluation.plots import load_figure_class
from agentcompress.evaluation.quality.measured import Interval, Measured, bootstrap_interval, compare_paired
from agentcompress.evaluation.quality.variants import FULL

_TITLES = {"evidence": "Evidence kept", "score": "Answer quality"}


def render_table(rows: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]] = ()) -> str:
    """Render Markdown: a table a measure and task, and one of the tasks' mean.

    Differences are to the first way listed.
    """
    parts: list[str] = []
    for measure, title in _TITLES.items():
        measured = Measured(rows, measure)
        if not measured:
            continue
        for task in measured.tasks:
            parts.append(_render_task(measured, task, title))
        if len(measured.tasks) > 1:
            lines = [
                [_name_way(way), *(_format_mean(measured, way, rate) for rate in measured.rates)]
                for way in measured.ways
            ]
            against = f"in brackets the paired difference to {_name_way(measured.ways[0])}"
            parts.append(
                _render_markdown(
                    f"{title}: mean of tasks ({against})", ["scorer", *_format_rates(measured.rates)], lines
                )
            )
    if not parts:
        parts.append("Nothing was measured: these tasks have no evidence, and no target was given.\n")
    parts += _render_tokens(rows)
    skipped = [row for row in rows if "skipped" in row]
    if skipped:
        parts.append(f"{len(skipped)} cells were skipped, e.g. {skipped[0]['item']}: {skipped[0]['skipped']}\n")
    times = _render_times(timings)
    if times:
        parts.append(times)
    return "\n".join(parts)


def _format_mean(measured: Measured, way: tuple[str, str], rate: float) -> str:
    mean = measured.average_tasks(way, rate)
    difference = measured.average_tasks(way, rate, less=measured.ways[0]) if way != measured.ways[0] else None
    return f"{mean or ''}" + (f" ({_format_difference(difference)})" if difference else "")


def _format_difference(difference: Interval) -> str:
    return f"{difference.mean:+.3f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _render_task(measured: Measured, task: str, title: str) -> str:
    first = measured.ways[0]
    lines = []
    full = measured.get_full(task)
    if full:
        lines.append(
            ["full prompt", *([str(bootstrap_interval(list(full.values())))] + [""] * (len(measured.rates) - 1))]
        )
    counts: set[int] = set()
    for way in measured.ways:
        cells = []
        for rate in measured.rates:
            values = measured.get_values(task, *way, rate)
            difference = compare_paired(values, full or measured.get_values(task, *first, rate)) if values else None
            shown = str(bootstrap_interval(list(values.values()))) if values else ""
            if difference and (full or way != first):
                shown += f" ({_format_difference(difference)})"
            cells.append(shown)
            counts.add(len(values))
        if any(cells):
            lines.append([_name_way(way), *cells])
    against = "the full prompt" if full else _name_way(first)
    items = max(counts, default=0)
    return _render_markdown(
        f"{title}: {task} ({items} items; in brackets the paired difference to {against})",
        ["scorer", *_format_rates(measured.rates)],
        lines,
    )


_Place = tuple[str, tuple[str, str], float]
"""Task, way (scorer and draft), keep rate."""


def _render_tokens(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Render the share of all tokens that was kept, where somewhere it was more than was asked for."""
    found: dict[_Place, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        if "tokens_after" in row:
            key = row["task"], (row["scorer"], row["draft"]), row["keep_rate"]
            found[key].append((row["tokens_before"], row["tokens_after"]))
    shares = {key: sum(after for _, after in kept) / sum(before for before, _ in kept) for key, kept in found.items()}
    if all(share <= 1.01 * rate for (_, _, rate), share in shares.items()):
        return []
    cells = {place: f"{share:.3f}" for place, share in shares.items()}
    return [_render_places("Tokens kept, of all (with results left whole)", cells)]


def _render_times(timings: Sequence[Mapping[str, Any]]) -> str:
    """Render time to first token, draft included, over that of the full prompt: medians of the items' ratios."""
    full = {(row["task"], row["item"]): row for row in timings if row["scorer"] == FULL and "first_token_ms" in row}
    ratios: dict[_Place, list[float]] = defaultdict(list)
    for row in timings:
        base = full.get((row["task"], row["item"]))
        if base and row["scorer"] != FULL and "first_token_ms" in row:
            took = row["compress_ms"] + row["first_token_ms"]
            ratios[row["task"], (row["scorer"], row["draft"]), row["keep_rate"]].append(base["first_token_ms"] / took)
    if not ratios:
        return ""
    cells = {place: f"{median(found):.2f}x" for place, found in ratios.items()}
    return _render_places("Time to first token: full prompt / (draft + compressed prompt), median", cells)


def _render_places(title: str, cells: Mapping[_Place, str]) -> str:
    """Render a table with a line a task and way, a column a keep rate."""
    rates = sorted({rate for *_, rate in cells})
    lines = [
        [task, _name_way(way), *(cells.get((task, way, rate), "") for rate in rates)]
        for task, way in dict.fromkeys((task, way) for task, way, _ in cells)
    ]
    return _render_markdown(title, ["task", "scorer", *_format_rates(rates)], lines)


def _render_markdown(title: str, header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _name_way(way: tuple[str, str]) -> str:
    scorer, draft = way
    return f"{scorer} ({PurePath(draft).name if draft.endswith('.gguf') else draft})" if draft else scorer


def _format_rates(rates: Iterable[float]) -> list[str]:
    return [f"{rate:.4g}" for rate in rates]


def plot_quality(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Plot quality over keep rate, a panel a task and measure. Raises `PluginError` without matplotlib."""
    found = [measured for measured in (Measured(rows, measure) for measure in _TITLES) if measured]
    panels = [(measured, task) for measured in found for task in measured.tasks]
    if not panels:
        return
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    names = [_name_way(way) for way in dict.fromkeys(way for measured in found for way in measured.ways)]
    width = 5.2 * columns
    across = max(1, int(width / (0.5 + 0.07 * max(map(len, names)))))  # names of the legend side by side, in inches
    height = 3.8 * lines + 0.2 * (2 + len(names) // across)
    figure = load_figure_class()(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis, (measured, task) in zip(axes, panels, strict=False):
        _plot_panel(axis, measured, task)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    handles = {label: h for a in axes for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=across, fontsize=8)
    figure.savefig(file, dpi=120)


def _plot_panel(axis: Any, measured: Measured, task: str) -> None:
    """Draw every way's mean over keep rate with its interval, and the full prompt as a level line."""
    for number, way in enumerate(measured.ways):
        points = [(rate, v) for rate in measured.rates if (v := measured.get_values(task, *way, rate))]
        if not points:
            continue
        shown = [bootstrap_interval(list(values.values())) for _, values in points]
        x = [rate for rate, _ in points]
        axis.plot(x, [s.mean for s in shown], marker="o", ms=3, label=_name_way(way), color=f"C{number % 10}")
        axis.fill_between(x, [s.low for s in shown], [s.high for s in shown], alpha=0.07, color=f"C{number % 10}")
    full = measured.get_full(task)
    if full:
        axis.axhline(float(np.mean(list(full.values()))), color="0.4", ls="--", lw=1, label="full prompt")
    axis.set(title=task, xlabel="keep rate", ylabel=_TITLES[measured.measure], ylim=(-0.02, 1.02))
    axis.set_xticks(measured.rates, _format_rates(measured.rates))
    axis.grid(alpha=0.3)


def render_correlations(rows: Sequence[Mapping[str, Any]]) -> str:
    """Render Markdown: every scorer's correlation with the oracle in all its layers, and the range over each of them.

    For scorers that read at a layer, the best of those.
    """
    found: dict[tuple[str, tuple[str, str]], dict[int | None, list[Mapping[str, Any]]]] = {}
    for row in rows:
        way = (row["scorer"], row["draft"])
        found.setdefault((row["task"], way), {}).setdefault(row["layer"], []).append(row)
    lines = []
    for (task, way), layers in found.items():
        means = {layer: sum(row["spearman"] for row in of) / len(of) for layer, of in layers.items()}
        best = max(means, key=lambda layer: means[layer])
        by_layer = np.mean([row["by_layer"] for row in layers[best]], axis=0)
        read = ""
        if best is not None:
            lowest = min(means, key=lambda layer: means[layer])
            read = f"{best} (lowest {means[lowest]:.3f}, at {lowest})"
        shown = str(bootstrap_interval([row["spearman"] for row in layers[best]]))
        lines.append([task, _name_way(way), shown, f"{by_layer.min():.3f} to {by_layer.max():.3f}", read])
    header = ["task", "scorer", "all layers of the oracle", "each of them", "best layer to read at"]
    return _render_markdown("Spearman correlation with the oracle", header, lines)


def plot_layers(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Plot Spearman's correlation with the oracle over the layer that is read, items of all tasks together.

    Scorers that read at no layer are level lines.
    """
    figure = load_figure_class()(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    found: dict[tuple[str, str], dict[int | None, list[float]]] = {}
    for row in rows:
        way = found.setdefault((row["scorer"], row["draft"]), {})
        way.setdefault(row["layer"], []).append(row["spearman"])
    for number, (way, layers) in enumerate(found.items()):
        means = {layer: sum(values) / len(values) for layer, values in layers.items()}
        if list(means) == [None]:
            axes.axhline(means[None], color=f"C{number % 10}", ls="--", label=_name_way(way))
        else:
            points = sorted((layer, mean) for layer, mean in means.items() if layer is not None)
            axes.plot(*zip(*points, strict=True), color=f"C{number % 10}", marker="o", ms=3, label=_name_way(way))
    axes.set(xlabel="layer of the draft that is read", ylabel="Spearman correlation with the oracle")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
