"""Results of a grid as a table and pictures: means with intervals, differences paired by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from statistics import median
from typing import Any

import numpy as np

from agentcompress.evaluation.plots import pyplot
from agentcompress.evaluation.quality.variants import FULL

_RESAMPLES, _RESAMPLES_AT_ONCE = 10_000, 500
_TITLES = {"evidence": "Evidence kept", "score": "Answer quality"}
_Key = tuple[str, str, float]
"""Scorer, draft, keep rate."""


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval, by bootstrap over items (percentiles, seeded)."""

    mean: float
    low: float
    high: float
    items: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.2f}, {self.high:.2f}]"


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The interval of a mean. values: at least one."""
    found = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(_resampled_means(found, np.random.default_rng(seed)), (2.5, 97.5))
    return Interval(float(found.mean()), float(low), float(high), len(found))


def _resampled_means(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of as many values drawn with replacement, (10000,)."""
    blocks = [min(_RESAMPLES_AT_ONCE, _RESAMPLES - done) for done in range(0, _RESAMPLES, _RESAMPLES_AT_ONCE)]
    return np.concatenate([values[rng.integers(len(values), size=(n, len(values)))].mean(1) for n in blocks])


class Measured:
    """Results of one measure ("evidence" or "score") by task, way and item."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], measure: str) -> None:
        self.measure = measure
        self._found: dict[tuple[str, _Key], dict[str, float]] = defaultdict(dict)
        for row in rows:
            if row.get(measure) is not None:
                key = (row["scorer"], row["draft"], row["keep_rate"])
                self._found[row["task"], key][row["item"]] = float(row[measure])
        self.tasks = list(dict.fromkeys(task for task, _ in self._found))
        self.ways = list(dict.fromkeys((scorer, draft) for _, (scorer, draft, _) in self._found if scorer != FULL))
        self.rates = sorted({rate for _, (scorer, _, rate) in self._found if scorer != FULL})

    def __bool__(self) -> bool:
        return bool(self._found)

    def values(self, task: str, scorer: str, draft: str, rate: float) -> dict[str, float]:
        """By item."""
        return self._found.get((task, (scorer, draft, rate)), {})

    def full(self, task: str) -> dict[str, float]:
        """What the full prompt scored, by item."""
        return self.values(task, FULL, "", 1.0)

    def mean_of_tasks(self, way: tuple[str, str], rate: float, less: tuple[str, str] | None = None) -> Interval | None:
        """The mean of the tasks' means, or of the paired differences to another way; items drawn within their tasks.

        None unless every task is there.
        """
        found = []
        for task in self.tasks:
            values = self.values(task, *way, rate)
            if less:
                other = self.values(task, *less, rate)
                values = {item: value - other[item] for item, value in values.items() if item in other}
            if not values:
                return None
            found.append(np.array(list(values.values())))
        rng = np.random.default_rng(0)
        drawn = np.mean([_resampled_means(values, rng) for values in found], axis=0)
        low, high = np.percentile(drawn, (2.5, 97.5))
        return Interval(float(np.mean([v.mean() for v in found])), float(low), float(high), sum(map(len, found)))


def paired(one: Mapping[str, float], other: Mapping[str, float]) -> Interval | None:
    """The difference of two ways on the items both have; None where there are none."""
    items = [item for item in one if item in other]
    return interval([one[item] - other[item] for item in items]) if items else None


def table(rows: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]] = ()) -> str:
    """Markdown: a table a measure and task, and one of the tasks' mean. Differences are to the first way listed."""
    parts: list[str] = []
    for measure, title in _TITLES.items():
        measured = Measured(rows, measure)
        if not measured:
            continue
        for task in measured.tasks:
            parts.append(_task_table(measured, task, title))
        if len(measured.tasks) > 1:
            lines = [
                [_way(way), *(_mean_cell(measured, way, rate) for rate in measured.rates)] for way in measured.ways
            ]
            against = f"in brackets the paired difference to {_way(measured.ways[0])}"
            parts.append(_markdown(f"{title}: mean of tasks ({against})", ["scorer", *_percent(measured.rates)], lines))
    if not parts:
        parts.append("Nothing was measured: these tasks have no evidence, and no target was given.\n")
    parts += _tokens(rows)
    skipped = [row for row in rows if "skipped" in row]
    if skipped:
        parts.append(f"{len(skipped)} cells were skipped, e.g. {skipped[0]['item']}: {skipped[0]['skipped']}\n")
    times = _times(timings)
    if times:
        parts.append(times)
    return "\n".join(parts)


def _mean_cell(measured: Measured, way: tuple[str, str], rate: float) -> str:
    mean = measured.mean_of_tasks(way, rate)
    difference = measured.mean_of_tasks(way, rate, less=measured.ways[0]) if way != measured.ways[0] else None
    return f"{mean or ''}" + (f" ({_signed(difference)})" if difference else "")


def _signed(difference: Interval) -> str:
    return f"{difference.mean:+.3f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _task_table(measured: Measured, task: str, title: str) -> str:
    first = measured.ways[0]
    lines = []
    full = measured.full(task)
    if full:
        lines.append(["full prompt", *([str(interval(list(full.values())))] + [""] * (len(measured.rates) - 1))])
    counts: set[int] = set()
    for way in measured.ways:
        cells = []
        for rate in measured.rates:
            values = measured.values(task, *way, rate)
            difference = paired(values, full or measured.values(task, *first, rate)) if values else None
            shown = str(interval(list(values.values()))) if values else ""
            if difference and (full or way != first):
                shown += f" ({_signed(difference)})"
            cells.append(shown)
            counts.add(len(values))
        if any(cells):
            lines.append([_way(way), *cells])
    against = "the full prompt" if full else _way(first)
    items = max(counts, default=0)
    return _markdown(
        f"{title}: {task} ({items} items; in brackets the paired difference to {against})",
        ["scorer", *_percent(measured.rates)],
        lines,
    )


def _tokens(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The share of all tokens that was kept, where somewhere it was more than was asked for."""
    found: dict[tuple[str, tuple[str, str], float], list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        if "tokens_after" in row:
            key = row["task"], (row["scorer"], row["draft"]), row["keep_rate"]
            found[key].append((row["tokens_before"], row["tokens_after"]))
    shares = {key: sum(after for _, after in kept) / sum(before for before, _ in kept) for key, kept in found.items()}
    rates = sorted({rate for *_, rate in shares})
    lines = [
        [task, _way(way), *(f"{share:.3f}" if (share := shares.get((task, way, r))) else "" for r in rates)]
        for task, way in dict.fromkeys((task, way) for task, way, _ in shares)
    ]
    if all(share <= 1.01 * rate for (_, _, rate), share in shares.items()):
        return []
    return [_markdown("Tokens kept, of all (with results left whole)", ["task", "scorer", *_percent(rates)], lines)]


def _times(timings: Sequence[Mapping[str, Any]]) -> str:
    """Time to first token, draft included, over that of the full prompt: medians of the items' ratios."""
    full = {(row["task"], row["item"]): row for row in timings if row["scorer"] == FULL and "first_token_ms" in row}
    ratios: dict[tuple[str, tuple[str, str], float], list[float]] = defaultdict(list)
    for row in timings:
        base = full.get((row["task"], row["item"]))
        if base and row["scorer"] != FULL and "first_token_ms" in row:
            took = row["compress_ms"] + row["first_token_ms"]
            ratios[row["task"], (row["scorer"], row["draft"]), row["keep_rate"]].append(base["first_token_ms"] / took)
    if not ratios:
        return ""
    rates = sorted({rate for *_, rate in ratios})
    places = dict.fromkeys((task, way) for task, way, _ in ratios)
    lines = [
        [task, _way(way), *(f"{median(found):.2f}x" if (found := ratios.get((task, way, r))) else "" for r in rates)]
        for task, way in places
    ]
    title = "Time to first token: full prompt / (draft + compressed prompt), median"
    return _markdown(title, ["task", "scorer", *_percent(rates)], lines)


def _markdown(title: str, header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _way(way: tuple[str, str]) -> str:
    scorer, draft = way
    return f"{scorer} ({PurePath(draft).name if draft.endswith('.gguf') else draft})" if draft else scorer


def _percent(rates: Iterable[float]) -> list[str]:
    return [f"{rate:.4g}" for rate in rates]


def plot(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Quality over keep rate, a panel a task and measure. Raises `PluginError` without matplotlib."""
    found = [measured for measured in (Measured(rows, measure) for measure in _TITLES) if measured]
    panels = [(measured, task) for measured in found for task in measured.tasks]
    if not panels:
        return
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    names = [_way(way) for way in dict.fromkeys(way for measured in found for way in measured.ways)]
    width = 5.2 * columns
    across = max(1, int(width / (0.5 + 0.07 * max(map(len, names)))))  # names of the legend side by side, in inches
    height = 3.8 * lines + 0.2 * (2 + len(names) // across)
    figure: Any = pyplot()(figsize=(width, height), layout="constrained")  # type: ignore[operator]
    axes = figure.subplots(lines, columns, squeeze=False)
    for axis, (measured, task) in zip(axes.flat, panels, strict=False):
        for number, way in enumerate(measured.ways):
            points = [(rate, v) for rate in measured.rates if (v := measured.values(task, *way, rate))]
            if not points:
                continue
            shown = [interval(list(values.values())) for _, values in points]
            x = [rate for rate, _ in points]
            axis.plot(x, [s.mean for s in shown], marker="o", ms=3, label=_way(way), color=f"C{number % 10}")
            axis.fill_between(x, [s.low for s in shown], [s.high for s in shown], alpha=0.07, color=f"C{number % 10}")
        full = measured.full(task)
        if full:
            axis.axhline(float(np.mean(list(full.values()))), color="0.4", ls="--", lw=1, label="full prompt")
        axis.set(title=task, xlabel="keep rate", ylabel=_TITLES[measured.measure], ylim=(-0.02, 1.02))
        axis.set_xticks(measured.rates, _percent(measured.rates))
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(panels) :]:
        axis.axis("off")
    handles = {label: h for a in axes.flat for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=across, fontsize=8)
    figure.savefig(file, dpi=120)


def spearman_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: every scorer's correlation with the oracle in all its layers, and the range over each of them.

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
        shown = str(interval([row["spearman"] for row in layers[best]]))
        lines.append([task, _way(way), shown, f"{by_layer.min():.3f} to {by_layer.max():.3f}", read])
    header = ["task", "scorer", "all layers of the oracle", "each of them", "best layer to read at"]
    return _markdown("Spearman correlation with the oracle", header, lines)


def plot_layers(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Spearman's correlation with the oracle over the layer that is read, items of all tasks together.

    Scorers that read at no layer are level lines.
    """
    figure: Any = pyplot()(figsize=(7.2, 4.8), layout="constrained")  # type: ignore[operator]
    axes = figure.add_subplot()
    found: dict[tuple[str, str], dict[int | None, list[float]]] = {}
    for row in rows:
        way = found.setdefault((row["scorer"], row["draft"]), {})
        way.setdefault(row["layer"], []).append(row["spearman"])
    for number, (way, layers) in enumerate(found.items()):
        means = {layer: sum(values) / len(values) for layer, values in layers.items()}
        if list(means) == [None]:
            axes.axhline(means[None], color=f"C{number % 10}", ls="--", label=_way(way))
        else:
            points = sorted((layer, mean) for layer, mean in means.items() if layer is not None)
            axes.plot(*zip(*points, strict=True), color=f"C{number % 10}", marker="o", ms=3, label=_way(way))
    axes.set(xlabel="layer of the draft that is read", ylabel="Spearman correlation with the oracle")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)
