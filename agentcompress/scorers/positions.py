"""Scores by position alone: what truncation keeps. For comparison."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agentcompress.schema import Reading, Segment


class HeadScorer:
    """Scores units by how early they stand: what cutting off the end keeps."""

    uses_draft: ClassVar[bool] = False

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,), descending; text and reading are ignored."""
        return -np.arange(len(segment.units), dtype=np.float64)


class HeadTailScorer:
    """Scores units by how near they stand to either end: what cutting out the middle keeps."""

    uses_draft: ClassVar[bool] = False

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,), largest at both ends; text and reading are ignored."""
        place = np.arange(len(segment.units), dtype=np.float64)
        return -np.minimum(place, place[::-1])
