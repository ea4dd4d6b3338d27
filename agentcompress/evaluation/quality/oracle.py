"""The Answer-Informed Oracle (CLAA, section 3): what a target that answers really looked at.

Its ranking is what scorers are measured against (Spearman), and its selection is the upper bound at a keep rate. It
reads the answer before it ranks, so it is no scorer to use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agentcompress.common.checks import checked_count
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.units import average_by_unit, find_units_of_tokens

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig


class OracleScorer:
    """Ranks units by the attention of a model's full greedy answer to the query.

    model: any local Hugging Face causal LM, by default the config's draft. answer_tokens: most that are decoded, >= 1.
    pool: width of the smoothing over tokens, odd.
    """

    def __init__(self, model: str, *, answer_tokens: int = 64, pool: int = 7) -> None:
        from agentcompress.scorers.published import check_width

        self.model = model
        self.answer_tokens, self.pool = checked_count("answer_tokens", answer_tokens), check_width(pool)

    @classmethod
    def from_config(cls, config: CompressConfig, *, model: str | None = None, **options: int) -> OracleScorer:
        """Make one on `model`, or the config's draft."""
        return cls(model or config.draft, **options)

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,): the oracle's score in all layers."""
        return self.score_layers(segment, reading.query)[-1]

    def score_layers(self, segment: Segment, query: str) -> np.ndarray:
        """Return float64 (L + 1, units): what each layer alone says, and at the end all of them.

        Raises `InvalidInputError` where text and answer do not fit the model's context.
        """
        from agentcompress.drafts.full_pass import get_shared_full_pass
        from agentcompress.drafts.tokens import tokenize_question
        from agentcompress.scorers.attention import score_oracle

        if len(segment.units) < 2:
            return np.zeros((1, len(segment.units)))
        reader = get_shared_full_pass(self.model)
        tokens = reader.tokenizer.tokenize(segment.text)
        before = reader.tokenizer.tokenize_template(reader.tokenizer.template.sink)
        ids = [*before, *tokens.ids.tolist(), *tokenize_question(reader.tokenizer, query)]
        answer = reader.read_prompt(ids, steps=self.answer_tokens, last_rows=1, reduce=_take_largest_head).lookahead[
            :, 0
        ]
        found = [score_oracle(layer[None], pool=self.pool) for layer in answer] + [score_oracle(answer, pool=self.pool)]
        unit_of_token = find_units_of_tokens(segment, tokens.ends)
        inside = slice(len(before), len(before) + len(tokens.ids))
        return np.stack(
            [average_by_unit(part[inside].double().numpy(), unit_of_token, len(segment.units))[0] for part in found]
        )


def _take_largest_head(rows: Any) -> Any:
    """Take the largest weight of all heads: (H, 1, T) -> (1, 1, T)."""
    return rows.amax(0, keepdim=True)


def correlate_ranks(scores: np.ndarray, oracle: np.ndarray) -> float:
    """Return Spearman's rank correlation of two (units,), in [-1, 1]; 0 where one of them is flat."""
    from scipy.stats import spearmanr

    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(oracle) == 0:
        return 0.0
    return float(spearmanr(scores, oracle).statistic)
