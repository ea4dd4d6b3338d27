"""How good a reader is on results it has not learned from: recall at several rates, and what "auto" promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agentcompress.common import progress
from agentcompress.protocols import Scorer, TokenCounter
from agentcompress.schema import Segment
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.scorers.next_step.forest import Forest
from agentcompress.scorers.next_step.scorer import FeaturesScorer
from agentcompress.scorers.positions import HeadScorer, HeadTailScorer
from agentcompress.selection.budget import compute_recall_share
from agentcompress.selection.select import compute_budget_tokens, select_units
from agentcompress.text.delimiters import choose_style
from agentcompress.training.cases import Case

RATES = (0.1, 0.25, 0.4, 0.6)
ASKED = (0.85, 0.9, 0.95, 0.98)
SLOPES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5)
READER = "reader"
OTHERS: Mapping[str, type] = {"lexical": LexicalScorer, "head": HeadScorer, "head-tail": HeadTailScorer}
"""What a reader must beat."""


def measure_recall(case: Case, scorer: Scorer, rates: Sequence[float], counter: TokenCounter) -> list[float]:
    """The share of a case's strings that still stand there at each rate of tokens."""
    segment, strings = case.segment, case.near or case.far
    scores = np.asarray(scorer.score(segment, case.reading), dtype=np.float64)
    style = choose_style(segment)
    found = []
    for rate in rates:
        budget = compute_budget_tokens(rate, case.tokens)
        text = select_units(segment, scores, budget, counter, style).rendered.text
        found.append(sum(string in text for string in strings) / len(strings))
    return found


def compare_scorers(
    cases: Sequence[Case], forest: Forest, counter: TokenCounter, what: str
) -> dict[str, tuple[float, ...]]:
    """The mean recall at each of `RATES` of the reader and of `OTHERS`. what: the source, for the progress bar."""
    scorers: dict[str, Scorer] = {READER: FeaturesScorer(reader=forest)}
    scorers.update({name: made() for name, made in OTHERS.items()})
    found: dict[str, list[list[float]]] = {name: [] for name in scorers}
    for number, case in enumerate(cases, 1):
        for name, scorer in scorers.items():
            found[name].append(measure_recall(case, scorer, RATES, counter))
        progress.report(what, number, len(cases))
    return {name: tuple(map(float, np.mean(values, axis=0))) for name, values in found.items()}


@dataclass(frozen=True, eq=False)
class Promise:
    """A case as "auto" sees it, for any slope of the chances.

    scores (units,). sums, unit_of_row (rows,): log odds before the slope. needed: for every string the places where it
    stands, each as the numbers of its units.
    """

    segment: Segment
    scores: np.ndarray
    sums: np.ndarray
    unit_of_row: np.ndarray
    needed: Sequence[Sequence[np.ndarray]]

    @classmethod
    def of_case(cls, case: Case, forest: Forest) -> Promise:
        """Read a case with a forest that has not seen it."""
        scorer = FeaturesScorer(reader=forest)
        sums = forest.predict(forest.order_columns(case.rows, case.names))
        needed = [list(_find_places(case.segment, string)) for string in case.near or case.far]
        return cls(case.segment, scorer.score(case.segment, case.reading), sums, case.unit_of_row, needed)

    @cached_property
    def _ranks(self) -> np.ndarray:
        """Every unit's rank, the best 0."""
        ranks = np.empty(len(self.scores), dtype=np.int64)
        ranks[np.argsort(-self.scores, kind="stable")] = np.arange(len(self.scores))
        return ranks

    @cached_property
    def _shares(self) -> np.ndarray:
        """The share of the text that the best units take, up to each rank."""
        chars = np.array([unit.end - unit.start for unit in self.segment.units], dtype=np.float64)
        return np.cumsum(chars[np.argsort(self._ranks)]) / chars.sum()

    @cached_property
    def _needed_shares(self) -> list[float]:
        """For every string, the share of the text at which it is kept."""
        return [min(float(self._shares[self._ranks[units].max()]) for units in places) for places in self.needed]

    def keep(self, slope: float, asked: float) -> tuple[float, float]:
        """What "auto" reaches and sends, as shares, where it is asked for a recall and the chances have a slope."""
        chances = np.bincount(self.unit_of_row, 1 / (1 + np.exp(-slope * self.sums)), minlength=len(self.scores))
        share = compute_recall_share(self.segment, self.scores, chances, asked)
        reached = sum(needed <= share + 1e-9 for needed in self._needed_shares) / max(1, len(self._needed_shares))
        return reached, share


def _find_places(segment: Segment, string: str) -> Iterator[np.ndarray]:
    """The units that hold a string, at each of its places."""
    starts = np.fromiter((unit.start for unit in segment.units), dtype=np.int64, count=len(segment.units))
    at = segment.text.find(string)
    while at >= 0:
        first, last = np.searchsorted(starts, (at, at + len(string) - 1), side="right") - 1
        yield np.arange(first, last + 1)
        at = segment.text.find(string, at + 1)


def fit_slope(promises: Sequence[Promise]) -> float:
    """The slope with which the recall that is asked for is the one that is reached, as nearly as may be."""

    def miss(slope: float) -> float:
        return sum(abs(asked - reached) for asked, reached, _ in measure_promise(promises, slope))

    return min(SLOPES, key=miss)


def measure_promise(promises: Sequence[Promise], slope: float) -> list[tuple[float, float, float]]:
    """For each of `ASKED`: what was asked, what is reached, and the share of the characters that is sent; means."""
    found = []
    for asked in ASKED:
        kept = np.array([promise.keep(slope, asked) for promise in promises])
        found.append((asked, float(kept[:, 0].mean()), float(kept[:, 1].mean())))
    return found
