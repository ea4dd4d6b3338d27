"""One entry of the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """What stands for a block from now on: `text`, or None for the block as it is ("raw", for `reason`)."""

    text: str | None
    reason: str | None
    tokens_before: int
    tokens_after: int
    scorer: str | None

    @classmethod
    def raw(cls, reason: str, tokens: int) -> Decision:
        """Decide to leave a block of `tokens` target tokens as it is."""
        return cls(None, reason, tokens, tokens, None)
