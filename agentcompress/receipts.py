"""What one call did, block by block, in the target's tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class BlockReceipt:
    """What was decided about one block.

    message: index in the list. kind: "tool" or "context". tool: the tool's name, where known.
    decision: "new" (compressed now), "replayed" (compressed in an earlier call), "raw" (as it is, for `reason`).
    """

    message: int
    kind: Literal["tool", "context"]
    tool: str | None
    decision: Literal["new", "replayed", "raw"]
    reason: str | None
    tokens_before: int
    tokens_after: int
    ms: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """One call of `compress`: tokens of all text in the messages, before and after; images and schemas not counted."""

    target: str
    scorer: str
    tokens_before: int
    tokens_after: int
    blocks: tuple[BlockReceipt, ...]
    ms: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)
