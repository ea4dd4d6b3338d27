"""How much of a text to keep; with `keep_rate="auto"` by how its scores are spread, its kind and its length.

Where few units stand out little is enough; where the scores are flat nobody knows, and more is kept. How much that is
was chosen on what recorded agents took from tool results, and on questions (docs/results.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from agentcompress.common.checks import KeepRate, checked_count, checked_rate
from agentcompress.config import CompressConfig
from agentcompress.errors import InvalidInputError
from agentcompress.protocols import TokenCounter
from agentcompress.schema import DelimiterStyle, Segment, Span
from agentcompress.selection.select import Selection, check_scores, compute_budget_tokens, select_share, select_units
from agentcompress.text.rendering import Rendered

LEAST = 0.2
"""The lowest rate that "auto" gives."""

EXPECTED = 0.6
"""What "auto" comes to about, for estimates before anything is scored."""

_LEAST_PROMISED = 0.05
"""The lowest rate where chances say how much is enough."""

_MASS = 0.9
_SHARPNESS, _PROSE_SHARPNESS = 0.5, 1.5  # a question about prose is explicit, what comes next in a tool's result is not
_LONG_TOKENS = 3000


def compute_auto_rate(segment: Segment, scores: np.ndarray, tokens: int) -> float:
    """Return a keep rate in [0.2, 1]; raises `ScoringError` for scores that can't be used.

    scores: float64 (units,); tokens: of the text. The geometric mean of two rates: the share of the text whose units
    hold 90 % of `softmax(sharpness * z)`, z the standardised scores and every character counted, and
    `sqrt(3000 / tokens)`, since what matters in a text grows more slowly than the text.
    """
    scores = check_scores(segment, scores)
    if not segment.units:
        return 1.0
    chars = np.array([unit.end - unit.start for unit in segment.units], dtype=np.float64)
    spread = float(scores.std()) or 1.0
    weight = (_PROSE_SHARPNESS if segment.kind == "prose" else _SHARPNESS) * (scores - scores.max()) / spread
    best_first = np.argsort(-scores, kind="stable")
    mass = (np.exp(weight) * chars)[best_first].cumsum()
    last = min(int(np.searchsorted(mass, _MASS * mass[-1])), len(mass) - 1)
    share = float(chars[best_first][: last + 1].sum() / chars.sum())
    return max(LEAST, math.sqrt(share * min(1.0, math.sqrt(_LONG_TOKENS / max(1, tokens)))))


def compute_recall_share(segment: Segment, scores: np.ndarray, chances: np.ndarray, recall_target: float) -> float:
    """Return the share of a text, in (0, 1], whose best units are expected to hold `recall_target` of what is used.

    scores: (units,). chances: (units,), how many strings of each are expected to be used, up to one factor, >= 0.
    recall_target: in (0, 1]. Raises `ScoringError` for scores or chances that can't be used.
    """
    scores, chances = check_scores(segment, scores), check_scores(segment, chances)
    if not segment.units or not chances.sum() > 0:
        return 1.0
    best_first = np.argsort(-scores, kind="stable")
    reached = chances[best_first].cumsum() / chances.sum()
    last = min(int(np.searchsorted(reached, recall_target)), len(reached) - 1)
    chars = np.array([unit.end - unit.start for unit in segment.units], dtype=np.float64)
    return float(chars[best_first][: last + 1].sum() / chars.sum())


@dataclass(frozen=True, eq=False)
class Chances:
    """What a scorer expects of units: what "auto" keeps its promise by.

    of_unit: (units,), how many strings of each are expected to be used, up to one factor, >= 0. recall_target: the
    share of what is used that is to be kept, in (0, 1].
    """

    of_unit: np.ndarray
    recall_target: float


@dataclass(frozen=True)
class Budget:
    """How much of a text may be kept, in target tokens.

    tokens: the most; None: as the scores will say ("auto"). share: the same as a share of the text, in (0, 1].
    text_tokens: of the whole text. by_units: whether it is that share of the units that is kept, whatever they cost,
    as published methods do.
    """

    tokens: int | None
    share: float
    text_tokens: int
    by_units: bool = False

    @classmethod
    def from_call(
        cls,
        text_tokens: int,
        config: CompressConfig,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
    ) -> Budget:
        """Read what a call asks for: target_tokens (>= 1), or keep_rate, by default the config's.

        Raises `InvalidInputError` for a call that says both, and for values out of range.
        """
        by_units = config.selection == "share"
        if target_tokens is not None:
            if keep_rate is not None:
                raise InvalidInputError("target_tokens", target_tokens, "left out when keep_rate is given")
            tokens = checked_count("target_tokens", target_tokens)
            return cls(tokens, min(1.0, tokens / max(1, text_tokens)), text_tokens, by_units)
        rate = config.keep_rate if keep_rate is None else checked_rate(keep_rate)
        if rate == "auto":
            return cls(None if text_tokens else 0, 1.0, text_tokens, by_units)
        return cls(compute_budget_tokens(rate, text_tokens), rate, text_tokens, by_units)

    @property
    def holds_all(self) -> bool:
        """Whether the whole text fits, whatever its scores."""
        return self.tokens is not None and self.tokens >= self.text_tokens

    def for_scores(self, segment: Segment, scores: np.ndarray, chances: Chances | None = None) -> Budget:
        """The budget in tokens, which the scores say where the call has left it to them, or better the chances."""
        if self.tokens is not None:
            return self
        if chances is None:
            share = compute_auto_rate(segment, scores, self.text_tokens)
        else:
            share = max(_LEAST_PROMISED, compute_recall_share(segment, scores, chances.of_unit, chances.recall_target))
        return replace(self, tokens=compute_budget_tokens(share, self.text_tokens), share=share)


def keep_all(text: str, budget: Budget) -> Selection:
    """Keep a whole text, which its budget holds."""
    return Selection(Rendered(text, (Span(0, len(text)),) if text else ()), budget.text_tokens)


def keep_within(
    segment: Segment,
    scores: np.ndarray,
    budget: Budget,
    counter: TokenCounter,
    style: DelimiterStyle,
    chances: Chances | None = None,
) -> Selection:
    """Keep the best units of a segment within a budget. scores: (units,), finite, or `ScoringError`."""
    budget = budget.for_scores(segment, scores, chances)
    if budget.by_units:
        return select_share(segment, scores, budget.share, counter, style)
    return select_units(segment, scores, budget.tokens or 0, counter, style)
