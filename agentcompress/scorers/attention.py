"""The maths of attention scores, as pure functions on tensors. Shapes: L layers, H heads, T context tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

EPSILON = 1e-6


def compute_log_ratio(a: Tensor, a0: Tensor, epsilon: float = EPSILON) -> Tensor:
    """How much more a query looks at a token than the null query does, head by head.

    a, a0: float32 (L, H, T), attention of the query's and of the null query's rows, averaged over rows.
    Returns float32 (L, H, T): a * log((a + epsilon) / (a0 + epsilon)).
    """
    return a.add(epsilon).div_(a0.add(epsilon)).log_().mul_(a)


def compute_prior(a0: Tensor) -> Tensor:
    """Token scores without a query: what any reader looks at. a0 (L, H, T) -> (T,), mean over layers and heads."""
    return a0.mean((0, 1))


def compute_joint_factors(sums: Sequence[Tensor], rests: Sequence[Tensor]) -> list[Tensor]:
    """What puts attention that was read in groups of windows on the scale of one softmax over all of them.

    sums: per group (L, H), attention on all of its tokens; rests: per group (L, H), attention that went to the sink
    and the probe, which every group saw alike. With e_g the unnormalised weights and r the (shared) weight of the
    rest, parts_g / rests_g = e_g / r in every group, and the joint softmax is (e_g / r) / (1 + sum of all e / r).
    Exact for one group; for several it assumes that the probe's queries do not depend on the group.
    Returns per group (L, H), to multiply its attention (L, H, T_g) by.
    """
    if len(sums) == 1:
        return [torch.ones_like(rests[0])]
    total = 1 + torch.stack([part / rest.clamp_min(EPSILON) for part, rest in zip(sums, rests, strict=True)]).sum(0)
    return [1 / (rest.clamp_min(EPSILON) * total) for rest in rests]


def score_speculative(lookahead: Tensor, *, pool: int = 13, pool_first: bool = True) -> Tensor:
    """Token scores of speculative prefill (arXiv 2502.02789; arXiv 2603.02631, Algorithm 1 and appendix A.1).

    lookahead (L, H, N, T): post-softmax attention of the last prompt token and of those decoded behind it.
    Returns (T,): the maximum over layers and heads, averaged over the N rows. pool: width of the averaging, odd;
    pool_first: of every head's row, as 2502.02789 does it, else of the scores at the end, as Algorithm 1 says.
    """
    if pool_first:
        lookahead = pool_scores(lookahead, pool)
    scores = lookahead.amax((0, 1)).mean(0)
    return scores if pool_first else pool_scores(scores, pool)


def score_claa(window: Tensor, *, layer: int, layers: int = 4, pool: int = 7, z_score_groups: int = 0) -> Tensor:
    """Token scores of CLAA: the best of several layers' (CLAA, equation 5 and the maximum behind it).

    window (L, H, W, T): post-softmax attention of the last W prompt tokens. layer: the pruning layer; `layers` end
    with it. z_score_groups: the number of key-value heads, to standardise every group of heads over the tokens before
    layers are compared, as CLAA's code does and its text does not; 0 for as in the text. Returns (T,).
    """
    seen = window[max(0, layer - layers + 1) : layer + 1].sum(2)  # (n, H, T)
    if z_score_groups:
        groups = seen.unflatten(1, (z_score_groups, -1)).sum(2)  # (n, KV, T)
        seen = (groups - groups.mean(-1, keepdim=True)) / groups.std(-1, keepdim=True).clamp_min(EPSILON)
    return pool_scores(seen.sum(1), pool).amax(0)


def score_fastkv(window: Tensor, *, layer: int, pool: int = 7) -> Tensor:
    """Token scores of FastKV, at its token-selective layer (CLAA's equation 2). window (L, H, W, T) -> (T,)."""
    return pool_scores(window[layer].sum((0, 1)), pool)


def score_gemfilter(logits: Tensor, *, layer: int, pool: int = 5) -> Tensor:
    """Token scores of GemFilter (CLAA's equation 1): what the last token's queries make of the keys, before softmax.

    logits (L, H, T): scaled products. Returns (T,).
    """
    return pool_scores(logits[layer].sum(0), pool)


def score_oracle(answer: Tensor, *, pool: int = 7) -> Tensor:
    """Token scores of the Answer-Informed Oracle (CLAA, Algorithm 1).

    answer (L, N, T): post-softmax attention of every greedy answer token's query, the largest of a layer's heads.
    Returns (T,): the maximum over layers, averaged over the answer, smoothed.
    """
    return pool_scores(answer.amax(0).mean(0), pool)


def pool_scores(scores: Tensor, width: int) -> Tensor:
    """Moving average over the last dimension, zeros beyond the ends counted in. width: odd, >= 1."""
    flat = scores.reshape(-1, 1, scores.shape[-1])
    return avg_pool1d(flat, width, stride=1, padding=width // 2).view(scores.shape)
