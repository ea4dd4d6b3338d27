"""Scores of the same segment and query, computed once: a wrapper around a scorer that looks at no more."""

from __future__ import annotations

import threading

import numpy as np
from cachetools import LRUCache, cachedmethod

from agentcompress.common.digests import digest
from agentcompress.protocols import Scorer
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.units import digest_segment

_ENTRY_BYTES = 200


class CachedScores:
    """A scorer that computes the same segment and query once. budget_bytes: of the scores kept.

    scorer: one that asks readings for their query alone.
    """

    def __init__(self, scorer: Scorer, budget_bytes: int = 1 << 24) -> None:
        self.scorer = scorer
        self._kept: LRUCache = LRUCache(budget_bytes, getsizeof=lambda scores: scores.nbytes + _ENTRY_BYTES)
        self._lock = threading.Lock()

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,), a copy: from memory where the segment and the query were scored before."""
        return self._score_once(segment, reading.query).copy()

    @cachedmethod(
        lambda self: self._kept,
        key=lambda self, segment, query: digest(digest_segment(segment), query),
        lock=lambda self: self._lock,
    )
    def _score_once(self, segment: Segment, query: str) -> np.ndarray:
        return self.scorer.score(segment, Reading(query))
