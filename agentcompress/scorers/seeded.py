"""Random scores, seeded: the floor that every scorer has to beat."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from agentcompress.schema import Reading, Segment

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig


class RandomScorer:
    """Uniform in [0, 1), drawn from the seed and the text alone, so that the same call gives the same bytes."""

    uses_draft: ClassVar[bool] = False

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def from_config(cls, config: CompressConfig) -> RandomScorer:
        """Make one with the config's seed."""
        return cls(config.seed)

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,) in [0, 1); the reading is ignored."""
        content = segment.text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(f"{self.seed}:".encode() + content).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big")).random(len(segment.units))
