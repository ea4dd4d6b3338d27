"""What results of a grid come to: means with intervals, and differences of two ways, paired by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentcompress.evaluation.quality.variants import FULL

_RESAMPLES, _RESAMPLES_AT_ONCE = 10_000, 500
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


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of values, of which there must be one at least, and its interval."""
    found = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(_resample_means(found, np.random.default_rng(seed)), (2.5, 97.5))
    return Interval(float(found.mean()), float(low), float(high), len(found))


def _resample_means(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many values with replacement 10,000 times; return the means, (10000,)."""
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

    def get_values(self, task: str, scorer: str, draft: str, rate: float) -> dict[str, float]:
        """Return the results of a task, scorer, draft and keep rate by item; empty where nothing was measured."""
        return self._found.get((task, (scorer, draft, rate)), {})

    def get_full(self, task: str) -> dict[str, float]:
        """Return what the full prompt scored in a task, by item."""
        return self.get_values(task, FULL, "", 1.0)

    def average_tasks(self, way: tuple[str, str], rate: float, less: tuple[str, str] | None = None) -> Interval | None:
        """Return the mean of the tasks' means, or of the paired differences to another way.

        Items are drawn within their tasks. None unless every task is there.
        """
        found = []
        for task in self.tasks:
            values = self.get_values(task, *way, rate)
            if less:
                other = self.get_values(task, *less, rate)
                values = {item: value - other[item] for item, value in values.items() if item in other}
            if not values:
                return None
            found.append(np.array(list(values.values())))
        rng = np.random.default_rng(0)
        drawn = np.mean([_resample_means(values, rng) for values in found], axis=0)
        low, high = np.percentile(drawn, (2.5, 97.5))
        return Interval(float(np.mean([v.mean() for v in found])), float(low), float(high), sum(map(len, found)))


def compare_paired(one: Mapping[str, float], other: Mapping[str, float]) -> Interval | None:
    """Return the mean difference of two ways on the items that both have; None where there are none."""
    items = [item for item in one if item in other]
    return bootstrap_interval([one[item] - other[item] for item in items]) if items else None
