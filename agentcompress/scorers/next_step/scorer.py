"""Scores a tool's result by what recorded agents used of such: cheap features and trees, no language model."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from cachetools import LRUCache, cachedmethod

from agentcompress.common.checks import checked_text, checked_weight
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.scorers.next_step.columns import describe_rows
from agentcompress.scorers.next_step.forest import Forest, read_forest
from agentcompress.scorers.units import digest_segment, standardise

SHIPPED = Path(__file__).with_name("reader.json")

_REMEMBERED = 32
"""Results whose rows are remembered: scores and chances of one are asked for one after the other."""

_TOKEN_CHARS, _GAP_TOKENS = 4.0, 2.0
"""Characters of a token, about, and the tokens of the delimiter that a unit brings with it."""


class FeaturesScorer:
    """What a tool's result is worth to the next steps of an agent, row by row, told by a forest of trees.

    A unit's score is the expected number of strings in it that the next steps use, per token and in logarithms, plus
    BM25 for the task and the action. Texts that answer no call are scored by BM25 alone.

    reader: "auto" for the forest that is shipped, a file that `agentcompress train` has made, or a forest.
    lexical_weight: of BM25, in standard deviations, >= 0.
    """

    uses_draft: ClassVar[bool] = False

    def __init__(self, *, reader: str | Forest = "auto", lexical_weight: float = 0.3) -> None:
        self._forest = reader if isinstance(reader, Forest) else _load_forest(checked_text("reader", reader))
        self.lexical_weight = checked_weight("lexical_weight", lexical_weight)
        self._lexical = LexicalScorer()
        self._kept: LRUCache = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Float64 (units,), higher = keep."""
        if len(segment.units) < 2:
            return np.zeros(len(segment.units))
        words = self._lexical.score(segment, reading)
        if not reading.tool:
            return words
        chars = np.array([unit.end - unit.start for unit in segment.units], dtype=np.float64)
        worth = np.log(self._expect_used(segment, reading))
        return worth + self.lexical_weight * standardise(words) - np.log(chars / _TOKEN_CHARS + _GAP_TOKENS)

    def estimate_chances(self, segment: Segment, reading: Reading) -> np.ndarray | None:
        """How many strings of each unit the next steps are expected to use, float64 (units,), > 0, up to one factor.

        None for texts that answer no call: of those nothing was learned.
        """
        if not reading.tool or not segment.units:
            return None
        return self._expect_used(segment, reading).copy()

    @cachedmethod(
        lambda self: self._kept,
        key=lambda self, segment, reading: (digest_segment(segment), reading),
        lock=lambda self: self._lock,
    )
    def _expect_used(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Sum the chances of every unit's rows."""
        rows, unit_of_row, names = describe_rows(segment, reading)
        chances = self._forest.predict_chances(rows, names)
        return np.bincount(unit_of_row, weights=chances, minlength=len(segment.units)) + 1e-12


@lru_cache(maxsize=8)
def _load_forest(reader: str) -> Forest:
    return read_forest(SHIPPED if reader == "auto" else Path(reader))
