"""Scores by position alone: what truncation keeps. For comparison."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agentcompress.schema import Segment


class HeadScorer:
    """The beginning first: cutting off the end."""

    uses_draft: ClassVar[bool] = False

    def score(self, segment: Segment, query: str) -> np.ndarray:
        """Float64 (units,); text and query are ignored."""
        return -np.arange(len(segment.units), dtype=np.float64)


class HeadTailScorer:
    """Both ends first: cutting out the middle."""

    uses_draft: ClassVar[bool] = False

    def score(self, segment: Segment, query: str) -> np.ndarray:
        """Float64 (units,); text and query are ignored."""
        place = np.arange(len(segment.units), dtype=np.float64)
        return -np.minimum(place, place[::-1])
