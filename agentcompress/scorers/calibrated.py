"""The default scorer: how much more a draft looks at units for a query than for none, calibrated head by head."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from agentcompress.common.checks import checked_count, checked_text, checked_weight
from agentcompress.errors import ConfigError, InvalidInputError
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.best_line import split_lines, take_best_lines
from agentcompress.scorers.cached import CachedScores
from agentcompress.scorers.called_by_name import score_called
from agentcompress.scorers.features import UnitFeatures
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.scorers.units import average_by_unit, find_units_of_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from agentcompress.config import CompressConfig
    from agentcompress.drafts.cache.protocol import Runtime
    from agentcompress.drafts.profile import Profile
    from agentcompress.drafts.tokens import Tokens
    from agentcompress.protocols import Scorer

NULL_QUERY = "N/A"


class CalibratedScorer:
    """How much more the draft looks at a unit, at its parent and around it, for this query than for none.

    Which heads, and what counts beside their attention, the draft's profile says; see `drafts.profile.Weights`.

    profile: "auto" for what is known of the draft, "none" for all heads alike, or a profile's file. window_tokens:
    draft tokens encoded together, 16 to 4096 (512; 320 keeps a little less: fewer neighbours see each other).
    group_tokens: draft tokens in one joint softmax; longer segments are read in groups, put on one scale by
    `attention.compute_joint_factors`, which bounds memory.
    lexical_weight: a factor of the profile's weights for BM25, >= 0.
    named_weight: of what the query calls by its name, in standard deviations, >= 0.
    max_query_tokens: a longer query is shortened in its middle.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        profile: str = "auto",
        window_tokens: int = 512,
        group_tokens: int = 32_768,
        lexical_weight: float = 1.0,
        named_weight: float = 5.0,
        max_query_tokens: int = 384,
    ) -> None:
        if not 16 <= checked_count("window_tokens", window_tokens) <= 4096:
            raise InvalidInputError("window_tokens", window_tokens, "between 16 and 4096")
        if checked_count("group_tokens", group_tokens) < window_tokens:
            raise InvalidInputError("group_tokens", group_tokens, f">= window_tokens ({window_tokens})")
        if checked_count("max_query_tokens", max_query_tokens) < 8:
            raise InvalidInputError("max_query_tokens", max_query_tokens, ">= 8")
        self._runtime = runtime
        self._profile_name = checked_text("profile", profile)
        self._profile: Profile | None = None
        self.window_tokens, self.group_tokens = window_tokens, group_tokens
        self.lexical_weight = checked_weight("lexical_weight", lexical_weight)
        self.named_weight = checked_weight("named_weight", named_weight)
        self.max_query_tokens = max_query_tokens
        self._lexical = LexicalScorer()

    @classmethod
    def from_config(cls, config: CompressConfig, **options: float | str) -> Scorer:
        """Make one on the config's draft, which is loaded when the first text is scored; it remembers its scores."""
        from agentcompress.drafts.cache.windows import get_shared_cache

        def get_runtime() -> Runtime:
            return get_shared_cache(
                config.draft,
                config.segment_cache_bytes,
                config.segment_cache_folder,
                config.segment_cache_folder_bytes,
            )

        return CachedScores(cls(get_runtime, **options))  # pyrefly: ignore[bad-argument-type]

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Float64 (units,). A blank query scores by the draft's prior: what any reader looks at."""
        query = reading.query
        if len(segment.units) < 2:
            return np.zeros(len(segment.units))
        profile = self._get_profile(self._runtime().fingerprint)
        rows, unit_of_row = split_lines(segment)
        features = self.read_features(rows, query, [(head.layer, head.head) for head in profile.heads])
        if not features.sizes.any():
            return np.zeros(len(segment.units))
        if not query.strip():
            return take_best_lines(features.score_prior(), unit_of_row, len(segment.units))
        words, _ = self._lexical.score_bm25(rows, query)
        weights = [head.weight for head in profile.heads]
        scores = features.score(profile.get_weights(segment.kind), weights, words, self.lexical_weight)
        best = take_best_lines(scores, unit_of_row, len(segment.units))
        return best + self.named_weight * score_called(segment, query)

    def read_features(
        self, segment: Segment, query: str, heads: Sequence[tuple[int, int]] | Literal["all"] = ()
    ) -> UnitFeatures:
        """Read what the draft makes of the segment's units; heads as in `read_token_signals`."""
        signals, ends = self.read_token_signals(segment, query, heads)
        unit_of_token = find_units_of_tokens(segment, ends)
        means = [average_by_unit(signal, unit_of_token, len(segment.units)) for signal in signals]
        return UnitFeatures(segment, means[0][1], means[0][0], [own for own, _ in means[1:]])

    def _get_profile(self, fingerprint: str) -> Profile:
        """The draft's profile, read once: what a scorer says of a text must not change while it lives."""
        from agentcompress.drafts.profile import choose_profile

        if self._profile is None or self._profile.fingerprint != fingerprint:
            self._profile = choose_profile(self._profile_name, fingerprint)
        return self._profile

    def read_token_signals(
        self, segment: Segment, query: str, heads: Sequence[tuple[int, int]] | Literal["all"] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the draft makes of the segment's tokens, and where each ends in the text.

        heads: (layer, head) of those that are read apart, in the band, or all of them. Returns float64 (1 + heads,
        tokens), the mean over the band first, and int64 (tokens,). With a blank query the prior alone: (1, tokens).
        """
        import torch

        from agentcompress.drafts.tokens import tokenize_question
        from agentcompress.scorers import attention

        runtime = self._runtime()
        ids, ends, starts = tokenize_segment(runtime.tokenizer.tokenize, segment)
        asked = bool(query.strip())
        if not len(ids):
            return np.zeros((1, 0)), ends
        probes = [tokenize_question(runtime.tokenizer, text, self.max_query_tokens) for text in (query, NULL_QUERY)]
        windows = plan_windows(find_units_of_tokens(segment, ends), self.window_tokens, starts)
        means, rests = ([], []), ([], [])  # of the query's probe and of the query-free one, a group an entry
        for group in _group_windows(windows, self.group_tokens):
            read = runtime.probe(runtime.encode([ids[a:b] for a, b in group]), *probes)
            for i, found in enumerate(read):
                means[i].append(found.mean)
                rests[i].append(found.rest)
        factors = [attention.compute_joint_factors([mean.sum(-1) for mean in means[i]], rests[i]) for i in (0, 1)]
        signals = []
        for mean, mean0, factor, factor0 in zip(*means, *factors, strict=True):
            a, a0 = mean * factor[..., None], mean0 * factor0[..., None]  # (L, H, T)
            if not asked:
                signals.append(attention.compute_prior(a0)[None])
                continue
            ratio = attention.compute_log_ratio(a, a0)
            apart = ratio.flatten(0, 1) if heads == "all" else _pick_heads(ratio, heads, runtime.band)
            signals.append(torch.cat([ratio.mean((0, 1))[None], apart]))
        return torch.cat(signals, -1).double().numpy(), ends


def _pick_heads(ratio: Tensor, heads: Sequence[tuple[int, int]], band: range) -> Tensor:
    """(L, H, T) -> (heads, T); `ConfigError` where the draft has no such head."""
    layers, numbers = [layer - band.start for layer, _ in heads], [head for _, head in heads]
    if any(layer not in band for layer, _ in heads) or any(head >= ratio.shape[1] for head in numbers):
        allowed = f"of a draft with layers {band.start} to {band.stop - 1} in its band and {ratio.shape[1]} heads"
        raise ConfigError("profile", list(heads), allowed)
    return ratio[layers, numbers]


def tokenize_segment(tokenize: Callable[[str], Tokens], segment: Segment) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Draft tokens of a segment, each of its texts for itself: ids and where each ends in the whole, int64 (tokens,).

    Third: the first token of every text.
    """
    bounds = [0, *segment.breaks, len(segment.text)]
    texts = [tokenize(segment.text[a:b]) for a, b in itertools.pairwise(bounds)]
    starts = np.cumsum([0, *(len(tokens.ids) for tokens in texts[:-1])]).tolist()
    if len(texts) == 1:
        return texts[0].ids, texts[0].ends, starts
    ends = [tokens.ends + offset for tokens, offset in zip(texts, bounds, strict=False)]
    return np.concatenate([tokens.ids for tokens in texts]), np.concatenate(ends), starts


def plan_windows(unit_of_token: np.ndarray, size: int, starts: Sequence[int] = (0,)) -> list[tuple[int, int]]:
    """Token ranges [start, end) of at most `size` tokens that end where a unit ends, or are full.

    A window closes early at a unit's end unless that would leave it less than half full, and always before one of
    `starts`, ascending from 0.
    """
    ends = np.flatnonzero(np.diff(unit_of_token)) + 1  # first token of every unit but the first
    ranges: list[tuple[int, int]] = []
    for start, total in itertools.pairwise([*starts, len(unit_of_token)]):
        while start < total:
            stop = min(total, start + size)
            if stop < total:
                last = int(np.searchsorted(ends, stop, side="right")) - 1
                if last >= 0 and ends[last] > start + size // 2:
                    stop = int(ends[last])
            ranges.append((start, stop))
            start = stop
    return ranges


def _group_windows(ranges: list[tuple[int, int]], limit_tokens: int) -> list[list[tuple[int, int]]]:
    """Cut a run of windows into as few groups of about equal size as stay within the limit."""
    total = ranges[-1][1]
    groups = -(-total // limit_tokens)
    share = -(-total // groups)
    grouped: list[list[tuple[int, int]]] = [[] for _ in range(groups)]
    for start, stop in ranges:
        grouped[start // share].append((start, stop))
    return [group for group in grouped if group]
