"""The default scorer: calibrated attention over parallel windows, unit and parent (design 4.1, steps 1-4, 6, 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from agentcompress.config import checked_count, checked_weight
from agentcompress.errors import InvalidInputError
from agentcompress.schema import Segment
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.scorers.remembered import RememberedScores
from agentcompress.scorers.units import neighbours, unit_means, unit_of_tokens, with_parents

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig
    from agentcompress.protocols import Scorer
    from agentcompress.segment_cache import Runtime, Tokenizer

NULL_QUERY = "N/A"


class CalibratedScorer:
    """How much more the draft looks at a unit, and at its parent, for this query than for none.

    window_tokens: draft tokens encoded together, 16 to 4096 (512; 320 keeps a little less: fewer neighbours see each
    other). group_tokens: draft tokens in one joint softmax; longer segments are read in groups, put on one scale by
    `attention.joint_factors`, which bounds memory. lexical_weight: BM25's weight at both levels, >= 0.
    neighbour_weight: that of the units before and behind, >= 0. max_query_tokens: a longer query is shortened in its
    middle.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        window_tokens: int = 512,
        group_tokens: int = 32_768,
        lexical_weight: float = 0.5,
        neighbour_weight: float = 0.5,
        max_query_tokens: int = 384,
    ) -> None:
        if not 16 <= checked_count("window_tokens", window_tokens) <= 4096:
            raise InvalidInputError("window_tokens", window_tokens, "between 16 and 4096")
        if checked_count("group_tokens", group_tokens) < window_tokens:
            raise InvalidInputError("group_tokens", group_tokens, f">= window_tokens ({window_tokens})")
        for name, weight in (("lexical_weight", lexical_weight), ("neighbour_weight", neighbour_weight)):
            checked_weight(name, weight)
        if checked_count("max_query_tokens", max_query_tokens) < 8:
            raise InvalidInputError("max_query_tokens", max_query_tokens, ">= 8")
        self._runtime = runtime
        self.window_tokens, self.group_tokens = window_tokens, group_tokens
        self.lexical_weight, self.neighbour_weight = lexical_weight, neighbour_weight
        self.max_query_tokens = max_query_tokens
        self._lexical = LexicalScorer()

    @classmethod
    def from_config(cls, config: CompressConfig, **options: float) -> Scorer:
        """Make one on the config's draft, which is loaded when the first text is scored; it remembers its scores."""
        from agentcompress.segment_cache import shared_cache

        def runtime() -> Runtime:
            return shared_cache(
                config.draft,
                config.segment_cache_bytes,
                config.segment_cache_folder,
                config.segment_cache_folder_bytes,
            )

        return RememberedScores(cls(runtime, **options))  # pyrefly: ignore[bad-argument-type]

    def score(self, segment: Segment, query: str) -> np.ndarray:
        """Float64 (units,). A blank query scores by the draft's prior: what any reader looks at."""
        if len(segment.units) < 2:
            return np.zeros(len(segment.units))
        token_scores, ends = self.token_scores(segment, query)
        own, sizes = unit_means(token_scores, unit_of_tokens(segment, ends), len(segment.units))
        scores = with_parents(own, sizes, segment) + self.neighbour_weight * neighbours(own)
        if self.lexical_weight and query.strip():
            scores = scores + self.lexical_weight * self._lexical.score(segment, query)
        return scores

    def token_scores(self, segment: Segment, query: str) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the segment's draft tokens and where each ends in the text; float64 and int64, (tokens,)."""
        import torch

        from agentcompress.scorers import attention

        runtime = self._runtime()
        tokens = runtime.tokenizer.tokenize(segment.text)
        if not len(tokens.ids):
            return np.zeros(0), tokens.ends
        probes = [self._probe(runtime.tokenizer, text) for text in (query, NULL_QUERY)]
        windows = window_ranges(unit_of_tokens(segment, tokens.ends), self.window_tokens)
        means, rests = ([], []), ([], [])  # of the query's probe and of the query-free one, a group an entry
        for group in _groups(windows, self.group_tokens):
            read = runtime.probe(runtime.encode([tokens.ids[a:b] for a, b in group]), *probes)
            for i, found in enumerate(read):
                means[i].append(found.mean)
                rests[i].append(found.rest)
        factors = [attention.joint_factors([mean.sum(-1) for mean in means[i]], rests[i]) for i in (0, 1)]
        scores = []
        for mean, mean0, factor, factor0 in zip(*means, *factors, strict=True):
            a, a0 = mean * factor[..., None], mean0 * factor0[..., None]
            scores.append(attention.log_ratio(a, a0) if query.strip() else attention.prior(a0))
        return torch.cat(scores).double().numpy(), tokens.ends

    def _probe(self, tokenizer: Tokenizer, query: str) -> list[int]:
        question = tokenizer.tokenize(f"\n\nQuestion: {query}").ids.tolist()
        if len(question) > self.max_query_tokens:
            head = 2 * self.max_query_tokens // 3
            question = question[:head] + question[head - self.max_query_tokens :]
        return question + tokenizer.template_ids(tokenizer.template.closing)


def window_ranges(unit_of_token: np.ndarray, size: int) -> list[tuple[int, int]]:
    """Token ranges [start, end) of at most `size` tokens that end where a unit ends, or are full.

    A window closes early at a unit's end unless that would leave it less than half full.
    """
    total = len(unit_of_token)
    ends = np.flatnonzero(np.diff(unit_of_token)) + 1  # first token of every unit but the first
    ranges: list[tuple[int, int]] = []
    start = 0
    while start < total:
        stop = min(total, start + size)
        if stop < total:
            last = int(np.searchsorted(ends, stop, side="right")) - 1
            if last >= 0 and ends[last] > start + size // 2:
                stop = int(ends[last])
        ranges.append((start, stop))
        start = stop
    return ranges


def _groups(ranges: list[tuple[int, int]], limit_tokens: int) -> list[list[tuple[int, int]]]:
    """Cut a run of windows into as few groups of about equal size as stay within the limit."""
    total = ranges[-1][1]
    groups = -(-total // limit_tokens)
    share = -(-total // groups)
    grouped: list[list[tuple[int, int]]] = [[] for _ in range(groups)]
    for start, stop in ranges:
        grouped[start // share].append((start, stop))
    return [group for group in grouped if group]
