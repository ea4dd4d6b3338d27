"""The default scorer: tool results by what recorded agents used of such, all else by the draft's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agentcompress.schema import Reading, Segment
from agentcompress.scorers.calibrated import CalibratedScorer
from agentcompress.scorers.next_step.scorer import FeaturesScorer

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig
    from agentcompress.protocols import Scorer


class ReaderScorer:
    """What answers a tool's call is read for the next step; what a question is asked about, for the question.

    features: for results of tools; questions: for all else. Which of them a text gets, `Reading.tool` says.
    """

    def __init__(self, features: FeaturesScorer, questions: Scorer) -> None:
        self._features, self._questions = features, questions

    @classmethod
    def from_config(cls, config: CompressConfig, *, reader: str = "auto", **options: float | str) -> ReaderScorer:
        """Make one on the config's draft, which is loaded when it is first needed.

        reader: as of `FeaturesScorer`; options: of `CalibratedScorer`.
        """
        return cls(FeaturesScorer(reader=reader), CalibratedScorer.from_config(config, **options))

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Float64 (units,), higher = keep."""
        return (self._features if reading.tool else self._questions).score(segment, reading)

    def estimate_chances(self, segment: Segment, reading: Reading) -> np.ndarray | None:
        """As `FeaturesScorer.estimate_chances`."""
        return self._features.estimate_chances(segment, reading)
