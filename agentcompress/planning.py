"""Which blocks of a conversation may be compressed, and what the query is for each.

Compressible: tool results, and context blocks of user messages (`messages/context.py`). Never: system, assistant and
developer messages, tool-call arguments, what the human asks, anything but text, blocks under `min_tokens`, anything at
or before a cache marker that has no decision yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentcompress.ledger.keys import block_key, chain
from agentcompress.messages import openai_chat
from agentcompress.messages.context import context_spans, outside
from agentcompress.messages.openai_chat import Address, TextPart
from agentcompress.protocols import TokenCounter
from agentcompress.schema import Span

RAW_CACHED = "at or before a cache marker"
RAW_SMALL = "under min_tokens"
RAW_WHOLE = "nothing would be cut, or nothing left"

_HINT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A block that may be compressed: where it stands, its text, its query, and why it must stay raw, if it must.

    hint: the tool's call it answers, or what stands right before it in a user's message; either may name a file.
    """

    address: Address
    span: Span
    text: str
    kind: Literal["tool", "context"]
    tool: str | None
    query: str
    hint: str
    key: str
    tokens: int
    raw_because: str | None


def plan(messages: Sequence[Any], parts: Sequence[TextPart], min_tokens: int, counter: TokenCounter) -> Iterator[Plan]:
    """Yield the blocks of a conversation in order. `parts` are the messages' texts, `min_tokens` >= 1."""
    prefixes = list(chain(messages))
    marker = openai_chat.last_cache_marker(messages)
    texts = Counter(part.address.message for part in parts if part.text.strip())
    found = [(part, _block_spans(part, request_beside=texts[part.address.message] > 1)) for part in parts]
    request = _last_request(found)
    for part, spans in found:
        for span in spans:
            text = part.text[span.start : span.end]
            tokens = counter.count(text)
            raw = RAW_SMALL if tokens < min_tokens else RAW_CACHED if part.address.message <= marker else None
            yield Plan(
                address=part.address,
                span=span,
                text=text,
                kind="context" if part.role == "user" else "tool",
                tool=part.tool,
                query=_query(request, part),
                hint=_call(part) or part.text[max(0, span.start - _HINT_CHARS) : span.start],
                key=block_key(prefixes[part.address.message], part.address.part, span.start),
                tokens=tokens,
                raw_because=raw,
            )


def _last_request(found: Sequence[tuple[TextPart, list[Span]]]) -> str:
    """The last human text of the conversation: the last user message that says anything outside of context blocks."""
    asked: dict[int, str] = {}
    for part, spans in found:
        if part.role == "user":
            before = asked.get(part.address.message, "")
            asked[part.address.message] = f"{before}\n{outside(part.text, spans)}".strip()
    return next((text for text in reversed(asked.values()) if text), "")


def _query(request: str, part: TextPart) -> str:
    return "\n".join(text for text in (request, _call(part)) if text)


def _call(part: TextPart) -> str:
    return f"{part.tool} {part.arguments or ''}".strip() if part.tool else ""


def _block_spans(part: TextPart, *, request_beside: bool) -> list[Span]:
    if part.role in ("tool", "function"):
        return [Span(0, len(part.text))] if part.text else []
    return context_spans(part.text, request_beside=request_beside) if part.role == "user" else []
