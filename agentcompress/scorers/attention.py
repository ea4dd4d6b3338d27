"""The maths of attention scores, as pure functions on tensors. Shapes: L layers, H heads, T context tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6


def log_ratio(a: Tensor, a0: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Calibrated token scores: how much more a query looks at a token than the null query does (design 4.1, step 4).

    a, a0: float32 (L, H, T), attention of the query's and of the null query's rows, averaged over rows.
    Returns (T,): mean over layers and heads of a * log((a + epsilon) / (a0 + epsilon)).
    """
    return a.add(epsilon).div_(a0.add(epsilon)).log_().mul_(a).mean((0, 1))


def prior(a0: Tensor) -> Tensor:
    """Token scores without a query: what any reader looks at. a0 (L, H, T) -> (T,), mean over layers and heads."""
    return a0.mean((0, 1))


def joint_factors(sums: Sequence[Tensor], rests: Sequence[Tensor]) -> list[Tensor]:
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
