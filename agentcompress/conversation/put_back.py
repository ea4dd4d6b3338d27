"""What was decided, put in the place of the blocks: the messages that are sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.conversation.blocks import Block, DecidedBlock
from agentcompress.ledger.cuts import Cut
from agentcompress.messages.conversation import Conversation
from agentcompress.messages.view import Address, read_fields, replace_texts
from agentcompress.schema import Span


@dataclass(frozen=True)
class Assembled:
    """What is sent, what stands for every block, and what had to be done for it (as in `Receipt`)."""

    messages: list[Any]
    decided: Sequence[DecidedBlock]
    tokens: int | None = None
    rewritten_from: int | None = None
    reasoning_dropped: int = 0
    skipped_because: str | None = None


def put_back(
    call: Conversation, blocks: Sequence[Block], decided: Sequence[DecidedBlock], cut: Cut | None = None
) -> Assembled:
    """Put the texts that were decided in the place of their blocks; all else is the very same objects.

    cut: the one that the history begins with, if any: reasoning that was bound to what it has edited goes.
    """
    replacements: dict[Address, list[tuple[Span, str]]] = {}
    for block, each in zip(blocks, decided, strict=True):
        if each.decision.text is not None:
            replacements.setdefault(block.address, []).append((block.span, each.decision.text))
    gone = cut.gone if cut else ()
    messages = drop_reasoning(call, replace_texts(call.messages, replacements), gone)
    dropped = sum(holds_bound_reasoning(call, i) for i in indexes_of(gone) if i < len(call.messages))
    return Assembled(messages, decided, reasoning_dropped=dropped)


def drop_reasoning(call: Conversation, messages: Sequence[Any], gone: Iterable[range]) -> list[Any]:
    """Return the messages without the reasoning that cuts have made worthless. gone: where it stands."""
    indexes = indexes_of(gone)
    if not indexes:
        return list(messages)
    out: list[Any] = []
    for i in range(len(messages) - 1, -1, -1):
        message = messages[i]
        if i in indexes:
            fields = message.model_dump(exclude_unset=True) if hasattr(message, "model_dump") else read_fields(message)
            following = read_fields(out[-1]) if out else {}
            left = call.wire.drop_bound(fields, following)
            if left is None:
                continue
            message = message if left is fields else left
        out.append(message)
    return out[::-1]


def holds_bound_reasoning(call: Conversation, index: int) -> bool:
    """Whether a message holds reasoning that its provider has bound to everything before it."""
    return call.wire.is_bound(call.fields_of(index))


def indexes_of(ranges: Iterable[range]) -> set[int]:
    """Return all numbers of some ranges."""
    return {i for each in ranges for i in each}
