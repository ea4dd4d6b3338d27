"""From recorded agents to a reader: cases, one forest a source that has not seen it, the table, the forest of all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agentcompress.common import progress
from agentcompress.common.checks import checked_count
from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.corpora.trajectories import read_trajectories
from agentcompress.errors import InvalidInputError
from agentcompress.scorers.next_step.forest import Forest
from agentcompress.training.boost import boost_forest
from agentcompress.training.cases import Case, make_cases
from agentcompress.training.judge import (
    ASKED,
    OTHERS,
    RATES,
    READER,
    Promise,
    compare_scorers,
    fit_slope,
    measure_promise,
)

_LEAST_CASES = 20
_JUDGED_CASES = 40
"""Of every source, so many cases are compressed by every scorer for the table."""


@dataclass(frozen=True)
class TrainingReport:
    """What training found.

    cases: how many of each source. recalls: for each source that was left out, the recall of every scorer at each of
    `judge.RATES`. promises: of results that were left out, what "auto" was asked for, what it reached, and the share of
    characters it sent; the same by source.
    """

    cases: Mapping[str, int]
    recalls: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    promises: Sequence[tuple[float, float, float]] = ()
    promises_by_source: Mapping[str, Sequence[tuple[float, float, float]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for `json.dumps`."""
        return {
            "cases": dict(self.cases),
            "rates": list(RATES),
            "recalls": {source: {k: list(v) for k, v in by.items()} for source, by in self.recalls.items()},
            "promises": [list(each) for each in self.promises],
            "promises_by_source": {k: [list(each) for each in v] for k, v in self.promises_by_source.items()},
        }

    def compute_gains(self) -> list[tuple[float, float]]:
        """For each rate, the mean over sources of recall above the best other scorer, and the worst source's."""
        gains = np.array(
            [np.array(by[READER]) - np.max([by[name] for name in OTHERS], axis=0) for by in self.recalls.values()]
        )
        return [(float(mean), float(worst)) for mean, worst in zip(gains.mean(axis=0), gains.min(axis=0), strict=True)]


def read_cases(path: Path, compressor: Compressor) -> list[Case]:
    """Read the cases of a session file or folder. Raises what `read_trajectories` does."""
    cases: list[Case] = []
    for number, trajectory in enumerate(read_trajectories(path), 1):
        cases.extend(make_cases(trajectory, compressor))
        progress.report(f"read {path.name}", number, number)
    return cases


def train_reader(
    paths: Sequence[Path], *, folds: bool = True, seed: int = 0, target: str = "gpt-4o"
) -> tuple[Forest, TrainingReport]:
    """Learn a reader from session files and folders; each is a source.

    folds: whether every source is also left out in turn, to say what the reader is worth on agents it has not seen, and
    to put its chances right. The same files and seed give the same reader. Raises `InvalidInputError` where there is
    too little to learn from.
    """
    compressor = Compressor(CompressConfig(scorer="lexical", ledger="memory", target=target))
    sources = {name: read_cases(path, compressor) for name, path in _name_sources(paths).items()}
    counts = {name: len(cases) for name, cases in sources.items()}
    if sum(counts.values()) < checked_count("cases", _LEAST_CASES):
        raise InvalidInputError("files", sum(counts.values()), f"sessions with {_LEAST_CASES} results that were used")
    used = {name: cases for name, cases in sources.items() if cases}
    report = TrainingReport(counts)
    slope = 1.0
    if folds and len(used) > 1:
        slope, report = _leave_each_out(used, compressor, counts, seed)
    progress.report("learn", 0, 1)
    forest = replace(_learn([case for cases in used.values() for case in cases], seed), slope=slope)
    progress.report("learn", 1, 1)
    return replace(forest, made={"seed": seed, **report.as_json()}), report


def _name_sources(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each file or folder; raises `InvalidInputError` where one is given twice."""
    named: dict[str, Path] = {}
    for path in paths:
        name = path.name.split(".")[0] or path.name
        if name in named:
            name = str(path)
        if name in named:
            raise InvalidInputError("files", str(path), "given once")
        named[name] = path
    return named


def _learn(cases: Sequence[Case], seed: int) -> Forest:
    """Learn a forest of cases; a case counts by the square root of its rows."""
    rows = np.concatenate([case.rows for case in cases])
    labels = np.concatenate([case.labels for case in cases])
    weights = np.concatenate([np.full(len(case.labels), len(case.labels) ** -0.5) for case in cases])
    return boost_forest(rows, labels, weights / weights.mean(), cases[0].names, seed=seed)


def _leave_each_out(
    sources: Mapping[str, Sequence[Case]], compressor: Compressor, counts: Mapping[str, int], seed: int
) -> tuple[float, TrainingReport]:
    """Learn without each source in turn, judge on it; the slope of the chances that keeps "auto"'s promise there."""
    recalls: dict[str, Mapping[str, Sequence[float]]] = {}
    promises: dict[str, list[Promise]] = {}
    counter = compressor.count_for(compressor.config.target)
    for number, (left_out, cases) in enumerate(sources.items(), 1):
        progress.report("leave one out", number, len(sources))
        forest = _learn([case for name, found in sources.items() if name != left_out for case in found], seed)
        judged = random.Random(seed).sample(list(cases), min(_JUDGED_CASES, len(cases)))
        recalls[left_out] = compare_scorers(judged, forest, counter, left_out)
        promises[left_out] = [Promise.of_case(case, forest) for case in cases]
    slope = fit_slope([promise for found in promises.values() for promise in found])
    by_source = {name: measure_promise(found, slope) for name, found in promises.items()}
    every = measure_promise([promise for found in promises.values() for promise in found], slope)
    return slope, TrainingReport(counts, recalls, every, by_source)


def format_report(report: TrainingReport) -> Iterator[str]:
    """The table: for each source that was left out, recall at each rate, of the reader and the best other scorer."""
    width = max([len(name) for name in report.cases] + [6])
    yield f"{'source':{width}s} {'cases':>6s}  " + "  ".join(f"{rate:>13.0%}" for rate in RATES)
    for name, cases in report.cases.items():
        by = report.recalls.get(name)
        cells = [] if by is None else _format_cells(by)
        yield f"{name:{width}s} {cases:>6d}  " + "  ".join(cells)
    if report.recalls:
        gains = "  ".join(f"{mean:+.3f} ({worst:+.3f})" for mean, worst in report.compute_gains())
        yield f"over the best of {', '.join(OTHERS)}, mean (worst source): {gains}"
    for asked, reached, sent in report.promises:
        yield f"auto, asked for {asked:.0%} of what is used: reaches {reached:.1%}, sends {sent:.0%} of the characters"


def _format_cells(by: Mapping[str, Sequence[float]]) -> list[str]:
    best = np.max([by[name] for name in OTHERS], axis=0)
    return [f"{mine:>5.3f} ({other:.3f})" for mine, other in zip(by[READER], best, strict=True)]


def plot_report(report: TrainingReport, file: Path, load_figure: Callable[[], Any]) -> None:
    """Draw how the recall that was asked for is reached on sources that were left out, and what is sent for it."""
    figure = load_figure()(figsize=(9, 4))
    reliability, cost = figure.subplots(1, 2)
    for name, found in report.promises_by_source.items():
        asked, reached, sent = zip(*found, strict=True)
        reliability.plot(asked, reached, marker="o", alpha=0.6, label=name)
        cost.plot(reached, sent, marker="o", alpha=0.6)
    asked, reached, sent = zip(*report.promises, strict=True)
    reliability.plot(asked, reached, marker="o", color="black", linewidth=2, label="all")
    reliability.plot(ASKED, ASKED, linestyle=":", color="grey")
    cost.plot(reached, sent, marker="o", color="black", linewidth=2)
    reliability.set(xlabel="recall asked for", ylabel="recall reached", title="Sources left out of learning")
    cost.set(xlabel="recall reached", ylabel="share of characters sent", ylim=(0, 1))
    reliability.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file)
