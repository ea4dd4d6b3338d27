"""From items to a profile: which heads find the evidence, and how much else should count.

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

from agentcompress.calibration.families import make_items, makers
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

_LEAST_GAIN = 0.002  # of a changed weight, so that chance does not move what works
_FULL_RATE, _NO_RATE = 0.03, 0.5


@dataclass(frozen=True)
class Reading:
    """What the draft saw in an item. words (units,): BM25. evidence: first and last unit of every piece."""

    family: str
    kind: str
    features: UnitFeatures
    words: np.ndarray
    evidence: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A way to score. heads (L H,): every head's weight, layer by layer of the band."""

    heads: np.ndarray
    prose: Weights = PROSE
    lines: Weights = LINES

    def score(self, reading: Reading) -> np.ndarray:
        """Scores (units,)."""
        weights = self.prose if reading.kind == "prose" else self.lines
        return reading.features.score(weights, self.heads, reading.words)


def calibrate(runtime: Runtime, draft: str, *, items: int = 400, seed: int = 0) -> Profile:
    """Make the profile of a draft. items: how many, at least 128; seed: of the items.

    `Profile.made` says what a fit on one half is worth on the other, by family and in all, against no profile: see
    `reach`.
    """
    if checked_count("items", items) < LEAST_ITEMS:
        raise InvalidInputError("items", items, f">= {LEAST_ITEMS}")
    readings = [_read(runtime, item) for item in _reported(make_items(items, seed), items)]
    rounds = np.arange(items) // len(makers())
    fold = [reading for reading, turn in zip(readings, rounds, strict=True) if turn % 2 == 0]
    held_out = [reading for reading, turn in zip(readings, rounds, strict=True) if turn % 2]
    heads = readings[0].features.heads
    judged, found = _fitted(fold, heads), _fitted(readings, heads)
    return Profile(
        draft=draft,
        fingerprint=runtime.fingerprint,
        heads=tuple(_named_heads(found.heads, runtime.band)),
        prose=found.prose,
        lines=found.lines,
        made={
            "items": items,
            "seed": seed,
            "held_out_items": len(held_out),
            "reach_without_profile": _rounded(by_family(held_out, Candidate(np.zeros(heads)))),
            "reach": _rounded(by_family(held_out, judged)),
        },
    )


def reach(reading: Reading, scores: np.ndarray) -> float:
    """How small a budget still holds the evidence, in [0, 1], averaged over its pieces.

    1 where 3 % of the tokens are enough, 0 where 50 % are not, linear in the logarithm between.
    """
    order = np.argsort(-scores, kind="stable")
    share = np.empty(len(scores))
    sizes = reading.features.sizes
    share[order] = np.cumsum(sizes[order]) / sizes.sum()  # of the tokens up to each unit
    needed = np.array([share[first : last + 1].max() for first, last in reading.evidence])
    span = math.log(_NO_RATE / _FULL_RATE)
    return float(np.clip(np.log(_NO_RATE / np.maximum(needed, 1e-9)) / span, 0, 1).mean())


def by_family(readings: Sequence[Reading], candidate: Candidate) -> dict[str, float]:
    """The mean reach of every family, and under "all" that of the families."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for reading in readings:
        found[reading.family].append(reach(reading, candidate.score(reading)))
    means = {family: sum(values) / len(values) for family, values in found.items()}
    return {**means, "all": sum(means.values()) / len(means)}


def _fitted(readings: Sequence[Reading], heads: int) -> Candidate:
    """The best heads, as many as do best on items that did not rank them; then the weights."""
    halves = [[r for i, r in enumerate(readings) if i // len(makers()) % 2 == half] for half in (0, 1)]
    orders = [_ranked(half, heads) for half in halves]

    def worth(count: int) -> float:
        return sum(_worth(halves[1 - i], Candidate(_chosen(order, count))) for i, order in enumerate(orders))

    count = max((count for count in _COUNTS if count <= heads), key=worth)
    return _ascended(readings, Candidate(_chosen(_ranked(readings, heads), count)))


def _ranked(readings: Sequence[Reading], heads: int) -> np.ndarray:
    """All heads, the one that is worth most on its own first: int64 (heads,)."""
    alone = [_worth(readings, Candidate(one)) for one in _reported(np.eye(heads), heads, "heads")]
    return np.argsort(-np.array(alone), kind="stable")


def _chosen(ranked: np.ndarray, count: int) -> np.ndarray:
    """Weight 1 for the first so many, float64 (heads,)."""
    weights = np.zeros(len(ranked))
    weights[ranked[:count]] = 1.0
    return weights


def _ascended(readings: Sequence[Reading], best: Candidate) -> Candidate:
    """Change one weight after the other where that is worth it."""
    for kind in ("lines", "prose"):
        for name, values in _GRID.items():
            if getattr(getattr(best, kind), name):
                best = _improved(readings, best, kind, name, values)
    return best


def _improved(
    readings: Sequence[Reading], best: Candidate, kind: str, name: str, values: tuple[float, ...]
) -> Candidate:
    highest = _worth(readings, best) + _LEAST_GAIN
    for value in values:
        weights = getattr(best, kind).model_copy(update={name: value})
        changed = replace(best, **{kind: weights})
        worth = _worth(readings, changed)
        if worth > highest:
            best, highest = changed, worth
    return best


def _rounded(means: Mapping[str, float]) -> dict[str, float]:
    return {family: round(mean, 4) for family, mean in means.items()}


def _worth(readings: Sequence[Reading], candidate: Candidate) -> float:
    return by_family(readings, candidate)["all"]


def _named_heads(weights: np.ndarray, band: range) -> Iterator[Head]:
    per_layer = len(weights) // len(band)
    for number in np.flatnonzero(weights).tolist():
        yield Head(layer=band.start + number // per_layer, head=number % per_layer, weight=float(weights[number]))


def _read(runtime: Runtime, item: Item) -> Reading:
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
    return Reading(item.family, segment.kind, features, words, evidence)


def _reported(things: Iterable[_T], total: int, what: str = "calibrate") -> Iterator[_T]:
    for number, thing in enumerate(things, 1):
        yield thing
        progress.report(what, number, total)
