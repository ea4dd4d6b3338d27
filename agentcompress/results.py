"""What comes out of the line: a shorter text, messages, a request, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentcompress.receipt import Receipt
from agentcompress.schema import Span


@dataclass(frozen=True, slots=True)
class CompressedText:
    """What `compress_text` returns.

    text: the rendered text, delimiters included.
    spans: the kept ranges of the *input*, in order, disjoint and not touching.
    tokens_before, tokens_after: counted with the target's tokenizer on the whole input and the whole `text`.
    timings_ms: wall time per stage, in milliseconds, and "total".
    """

    text: str
    spans: tuple[Span, ...]
    tokens_before: int
    tokens_after: int
    target: str
    scorer: str
    timings_ms: Mapping[str, float] = field(compare=False)

    @property
    def keep_rate(self) -> float:
        """Fraction of the target's tokens that was kept, in [0, 1]; 1 for an empty input."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0


@dataclass(frozen=True, slots=True)
class CompressedMessages:
    """What `compress` returns: the messages to send, in the form they came, and the receipt.

    sent: what stands for every block of the receipt; None: the block as it is. spans: the ranges of every block that
    were kept, in order; None where the block is as it is, or nobody knows.
    """

    messages: list[Any]
    receipt: Receipt
    sent: tuple[str | None, ...] = ()
    spans: tuple[tuple[Span, ...] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class CompressedRequest:
    """What `compress_request` returns: the body to send, all but its conversation as it was, and the receipt."""

    body: dict[str, Any]
    receipt: Receipt
