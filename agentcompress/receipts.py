"""What one call did, block by block, in the target's tokens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from agentcompress.deciding import Decided
    from agentcompress.fitting import Settled
    from agentcompress.planning import Plan
    from agentcompress.protocols import TokenCounter


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
    """One call of `compress`: tokens of all text in the messages, before and after; images and schemas not counted.

    Where a call had `target_tokens`: request_tokens, what the request takes with everything counted or estimated;
    rewritten_from, the first message that was sent differently before, where history had to be cut to fit;
    skipped_because, why it does not fit. reasoning_dropped: messages whose reasoning, bound to what was cut, is gone.
    """

    target: str
    scorer: str
    tokens_before: int
    tokens_after: int
    blocks: tuple[BlockReceipt, ...]
    ms: float
    request_tokens: int | None = None
    rewritten_from: int | None = None
    reasoning_dropped: int = 0
    skipped_because: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def call_receipt(
    target: str,
    scorer: str,
    tokens_before: int,
    blocks: Sequence[Plan],
    settled: Settled,
    counter: TokenCounter,
    ms: float,
) -> Receipt:
    """What was settled comes to in the tokens of this call's target."""
    receipts = [_block(*each, counter) for each in zip(blocks, settled.decisions, strict=True)]
    return Receipt(
        target=target,
        scorer=scorer,
        tokens_before=tokens_before,
        tokens_after=tokens_before - sum(block.tokens_before - block.tokens_after for block in receipts),
        blocks=tuple(receipts),
        ms=ms,
        request_tokens=settled.tokens,
        rewritten_from=settled.rewritten_from,
        reasoning_dropped=settled.reasoning_dropped,
        skipped_because=settled.skipped_because,
    )


def _block(block: Plan, decided: Decided, counter: TokenCounter) -> BlockReceipt:
    decision = decided.decision
    return BlockReceipt(
        message=block.address.message,
        kind=block.kind,
        tool=block.tool,
        decision="raw" if decision.text is None else "new" if decided.is_new else "replayed",
        reason=decision.reason,
        tokens_before=block.tokens,
        tokens_after=block.tokens if decision.text is None else counter.count(decision.text),
        ms=decided.ms,
    )


class Clock:
    """Wall time per stage, in milliseconds."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.stages_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note what is done within as a stage of that name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages_ms[name] = (time.perf_counter() - started) * 1000

    def total_ms(self) -> float:
        """Milliseconds since it was made."""
        return (time.perf_counter() - self._started) * 1000
