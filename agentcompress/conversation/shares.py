"""How a request's room is spread over its blocks."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_TOKENS = 64
"""Blocks are not cut below this while others can be."""


def share_out(sizes: Sequence[int], whole: Sequence[int], tokens: int, least: int) -> list[int] | None:
    """Spread `tokens` over blocks of these sizes, in order of age; None where not even `least` each fits.

    whole: what the blocks take uncut. None gets more than its size; others get what is proportional to their whole and
    to `1 + 3 / (1 + age)`, age 0 being the last block: of recorded agents, 67 % put the last tool result to use in the
    next step, 20 to 28 % those up to four steps back, and 10 to 20 % older ones.
    """
    floor = LEAST_TOKENS
    while sum(min(size, floor) for size in sizes) > tokens:
        if floor <= least:
            return None
        floor = max(least, floor // 2)
    weights = [1 + 3 / (1 + age) for age in range(len(sizes) - 1, -1, -1)]
    parts = [weight * tokens_uncut for weight, tokens_uncut in zip(weights, whole, strict=True)]

    def share_at(level: float) -> list[int]:
        return [min(size, max(floor, int(level * part))) for size, part in zip(sizes, parts, strict=True)]

    if sum(sizes) <= tokens:
        return list(sizes)
    low, high = 0.0, 1.0  # at 1.0, every block has its size
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(share_at(middle)) <= tokens else (low, middle)
    return share_at(low)
