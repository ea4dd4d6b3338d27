"""How much of a text to keep; with `keep_rate="auto"` by how its scores are spread, its kind and its length.

Where few units stand out little is enough; where the scores are flat nobody knows, and more is kept. How much that is
was chosen on what recorded agents took from tool results, and on questions (docs/results.md).
"""

from __future__ import annotations

import math

import numpy as np

from agentcompress.common.checks import KeepRate, checked_count, checked_rate
from agentcompress.errors import InvalidInputError
from agentcompress.schema import Segment
from agentcompress.selection.select import check_scores, compute_budget_tokens

LEAST = 0.2
"""The lowest rate that "auto" gives."""

EXPECTED = 0.6
"""What "auto" comes to about, for estimates before anything is scored."""

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


def resolve_budget(
    usual: KeepRate, keep_rate: KeepRate | None, target_tokens: int | None, tokens_before: int
) -> tuple[int | None, float]:
    """The budget that a call asks for, in target tokens, and as a share of the text; None where the scores will say it.

    usual: the rate of a call that says nothing. Raises `InvalidInputError` for a call that says both, or bad values.
    """
    if target_tokens is not None:
        if keep_rate is not None:
            raise InvalidInputError("target_tokens", target_tokens, "left out when keep_rate is given")
        budget = checked_count("target_tokens", target_tokens)
        return budget, min(1.0, budget / max(1, tokens_before))
    rate = usual if keep_rate is None else checked_rate(keep_rate)
    if rate == "auto":
        return (None if tokens_before else 0), 1.0
    return compute_budget_tokens(rate, tokens_before), rate
