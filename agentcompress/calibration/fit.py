"""Fits a profile to items: which of a draft's heads find the evidence, and how much the rest of a score should count.

A fit on half of the items, every other round of families, is judged on the other half; the profile is then fitted on
all of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from agentcompress.calibration.families import list_makers, make_items
from agentcompress.calibration.items import Item
from agentcompress.common import progress
from agentcompress.common.checks import checked_count
from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.drafts.cache.protocol import Runtime
from agentcompress.drafts.profile import LINES, PROSE, Head, Profile, Weights
from agentcompress.errors import InvalidInputError
from agentcompress.scorers.calibrated import CalibratedScorer
from agentcompress.scorers.features import UnitFeatures
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.segmenters.detect import tell_prose_from_lines

_T = TypeVar("_T")

LEAST_ITEMS = 128
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
_GRID: dict[str, tuple[float, ...]] = {
    "lexical": (0.25, 0.5, 0.75),
    "lexical_wide": (0.25, 0.5, 0.75),
}
"""The weights that depend on how good a draft is. The others were set by evaluation, see docs/results.md."""

_LEAST_GAIN = 0.002  # in reach, by which a change must be better: chance should not move what works
_FULL_RATE, _NO_RATE = 0.03, 0.5
"""Budgets, as shares of the tokens: where that little is enough, reach is 1; where that much is not, it is 0."""


@dataclass(frozen=True)
class ReadItem:
    """What a draft saw in an item, so that candidates can be scored without running it again.

    words (units,): BM25. evidence: first and last unit of every piece.
    """

    family: str
    kind: str
    features: UnitFeatures
    words: np.ndarray
    evidence: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Candidate:
    """Weights to score with, which the fit tries. heads (L H,): every head's weight, layer by layer of the band."""

    heads: np.ndarray
    prose: Weights = PROSE
    lines: Weights = LINES

    def score(self, reading: ReadItem) -> np.ndarray:
        """Return the scores (units,) that these weights give an item."""
        weights = self.prose if reading.kind == "prose" else self.lines
        return reading.features.score(weights, self.heads, reading.words)


def calibrate(runtime: Runtime, draft: str, *, items: int = 400, seed: int = 0) -> Profile:
    """Make the profile of a draft. items: how many, at least 128; seed: of the items.

    `Profile.made` says what a fit on one half is worth on the other, by family and in all, against no profile: see
    `measure_reach`.
    """
    if checked_count("items", items) < LEAST_ITEMS:
        raise InvalidInputError("items", items, f">= {LEAST_ITEMS}")
    readings = [_read_item(runtime, item) for item in _report_each(make_items(items, seed), items)]
    rounds = np.arange(items) // len(list_makers())
    fold = [reading for reading, turn in zip(readings, rounds, strict=True) if turn % 2 == 0]
    held_out = [reading for reading, turn in zip(readings, rounds, strict=True) if turn % 2]
    heads = readings[0].features.heads
    judged, found = _fit_candidate(fold, heads), _fit_candidate(readings, heads)
    return Profile(
        draft=draft,
        fingerprint=runtime.fingerprint,
        heads=tuple(_name_heads(found.heads, runtime.band)),
        prose=found.prose,
        lines=found.lines,
        made={
            "items": items,
            "seed": seed,
            "held_out_items": len(held_out),
            "reach_without_profile": _round_means(average_by_family(held_out, Candidate(np.zeros(heads)))),
            "reach": _round_means(average_by_family(held_out, judged)),
        },
    )


def measure_reach(reading: ReadItem, scores: np.ndarray) -> float:
    """Measure how small a budget still holds the evidence, in [0, 1], averaged over its pieces.

    1 where 3 % of the tokens are enough, 0 where 50 % are not, linear in the logarithm between.
    """
    order = np.argsort(-scores, kind="stable")
    share = np.empty(len(scores))
    sizes = reading.features.sizes
    share[order] = np.cumsum(sizes[order]) / sizes.sum()  # of the tokens up to each unit
    needed = np.array([share[first : last + 1].max() for first, last in reading.evidence])
    span = math.log(_NO_RATE / _FULL_RATE)
    return float(np.clip(np.log(_NO_RATE / np.maximum(needed, 1e-9)) / span, 0, 1).mean())


def average_by_family(readings: Sequence[ReadItem], candidate: Candidate) -> dict[str, float]:
    """Return the mean reach of every family's items, and under "all" the mean of the families."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for reading in readings:
        found[reading.family].append(measure_reach(reading, candidate.score(reading)))
    means = {family: sum(values) / len(values) for family, values in found.items()}
    return {**means, "all": sum(means.values()) / len(means)}


def _fit_candidate(readings: Sequence[ReadItem], heads: int) -> Candidate:
    """Fit heads, as many as do best on items that did not rank them, and then the other weights."""
    halves = [[r for i, r in enumerate(readings) if i // len(list_makers()) % 2 == half] for half in (0, 1)]
    orders = [_rank_heads(half, heads) for half in halves]

    def judge_count(count: int) -> float:
        return sum(
            _measure_worth(halves[1 - i], Candidate(_choose_heads(order, count))) for i, order in enumerate(orders)
        )

    count = max((count for count in _COUNTS if count <= heads), key=judge_count)
    return _climb_weights(readings, Candidate(_choose_heads(_rank_heads(readings, heads), count)))


def _rank_heads(readings: Sequence[ReadItem], heads: int) -> np.ndarray:
    """Return all heads, int64 (heads,), the one that finds most evidence on its own first."""
    alone = [_measure_worth(readings, Candidate(one)) for one in _report_each(np.eye(heads), heads, "heads")]
    return np.argsort(-np.array(alone), kind="stable")


def _choose_heads(ranked: np.ndarray, count: int) -> np.ndarray:
    """Return the heads' weights, float64 (heads,): 1 for the first `count` of the ranked, 0 for the others."""
    weights = np.zeros(len(ranked))
    weights[ranked[:count]] = 1.0
    return weights


def _climb_weights(readings: Sequence[ReadItem], best: Candidate) -> Candidate:
    """Change one weight after the other where that improves the reach by `_LEAST_GAIN`."""
    for kind in ("lines", "prose"):
        for name, values in _GRID.items():
            if getattr(getattr(best, kind), name):
                best = _improve_weight(readings, best, kind, name, values)
    return best


def _improve_weight(
    readings: Sequence[ReadItem], best: Candidate, kind: str, name: str, values: tuple[float, ...]
) -> Candidate:
    highest = _measure_worth(readings, best) + _LEAST_GAIN
    for value in values:
        weights = getattr(best, kind).model_copy(update={name: value})
        changed = replace(best, **{kind: weights})
        worth = _measure_worth(readings, changed)
        if worth > highest:
            best, highest = changed, worth
    return best


def _round_means(means: Mapping[str, float]) -> dict[str, float]:
    return {family: round(mean, 4) for family, mean in means.items()}


def _measure_worth(readings: Sequence[ReadItem], candidate: Candidate) -> float:
    return average_by_family(readings, candidate)["all"]


def _name_heads(weights: np.ndarray, band: range) -> Iterator[Head]:
    per_layer = len(weights) // len(band)
    for number in np.flatnonzero(weights).tolist():
        yield Head(layer=band.start + number // per_layer, head=number % per_layer, weight=float(weights[number]))


def _read_item(runtime: Runtime, item: Item) -> ReadItem:
    """Read an item as a text of its kind is read when it is compressed."""
    segment = Compressor(CompressConfig(scorer="lexical", segmenter=tell_prose_from_lines(item.text))).segment(
        item.text
    )
    features = CalibratedScorer(lambda: runtime).read_features(segment, item.query, "all")
    words, _ = LexicalScorer().score_bm25(segment, item.query)
    starts = [unit.start for unit in segment.units]
    evidence = tuple(
        (int(np.searchsorted(starts, span.start, "right")) - 1, int(np.searchsorted(starts, span.end - 1, "right")) - 1)
        for span in item.evidence
    )
    return ReadItem(item.family, segment.kind, features, words, evidence)


def _report_each(things: Iterable[_T], total: int, what: str = "calibrate") -> Iterator[_T]:
    for number, thing in enumerate(things, 1):
        yield thing
        progress.report(what, number, total)
