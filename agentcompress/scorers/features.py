"""From what the draft makes of units to their scores: levels, words, specific strings, length. Plain numpy, float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agentcompress.schema import Segment
from agentcompress.scorers.specific import score_specific_strings
from agentcompress.scorers.units import average_by_parent, blur_scores, standardise

if TYPE_CHECKING:
    from agentcompress.drafts.profile import Weights

WIDE = 24.0
"""Standard deviation of the wide moving average, in units."""


class UnitFeatures:
    """What is known of a segment's units.

    sizes (units,): draft tokens. band (units,): the mean over all heads of the band. heads: (units,) of every head of
    the profile.
    """

    def __init__(self, segment: Segment, sizes: np.ndarray, band: np.ndarray, heads: Sequence[np.ndarray]) -> None:
        self._segment, self.sizes = segment, sizes
        self._band = band
        self._heads = np.array([standardise(own) for own in heads]).reshape(len(heads), len(band))

    @property
    def heads(self) -> int:
        """The number of heads whose attention is known apart."""
        return len(self._heads)

    def score(
        self, weights: Weights, head_weights: Sequence[float] | np.ndarray, words: np.ndarray, words_factor: float = 1.0
    ) -> np.ndarray:
        """The score (units,). head_weights: one a head; words (units,): BM25, whose weights are multiplied by a factor.

        Parts that are the same for every unit count nothing.
        """
        chosen = np.asarray(head_weights, dtype=np.float64) @ self._heads
        score = np.zeros_like(self._band)
        band, near = weights.band if chosen.any() else 1.0, weights.near_width
        for weight, level in zip((weights.own, weights.parent, weights.near, weights.wide), _LEVELS, strict=True):
            if weight:
                score += weight * self._combine_attention(chosen, band, level, near)
        lexical = (weights.lexical, weights.lexical_parent, 0.0, weights.lexical_wide)
        for weight, level in zip(lexical, _LEVELS, strict=True):
            if weight * words_factor:
                score += words_factor * weight * standardise(self._average_at(level, words, near))
        if weights.specific or weights.specific_near:
            strings = score_specific_strings(self._segment, self.sizes)
            for weight, level in ((weights.specific, "own"), (weights.specific_near, "near")):
                score += weight * standardise(self._average_at(level, strings, near))
        return score - weights.brevity * standardise(np.log1p(self.sizes))

    def score_prior(self) -> np.ndarray:
        """The score (units,) without a query: what any reader looks at, alone and in its parent."""
        return standardise(self._band) + standardise(self._average_at("parent", self._band))

    def _combine_attention(self, chosen: np.ndarray, band: float, level: str, near_width: float) -> np.ndarray:
        """Attention of chosen heads (units,), plus `band` times that of all, both standardised at a level."""
        own = standardise(self._average_at(level, chosen, near_width))
        return standardise(own + band * standardise(self._average_at(level, self._band, near_width))) if band else own

    def _average_at(self, level: str, own: np.ndarray, near_width: float = 2.0) -> np.ndarray:
        """Values (units,) at a level: as they are, or averaged over the parent, neighbours or a wide range."""
        if level == "own":
            return own
        if level == "parent":
            return average_by_parent(own, self.sizes, self._segment)
        return blur_scores(own, self.sizes, near_width if level == "near" else WIDE)


_LEVELS = ("own", "parent", "near", "wide")
