"""Which blocks of a conversation may be compressed, and what the query is for each.

Compressible: tool results, and context blocks of user messages (`messages/context.py`). Never: system, assistant and
developer messages, tool-call arguments, what the human asks, anything but text, blocks under `min_tokens`; and, where
they have no decision yet, blocks at or before a cache marker, or before reasoning that is bound to them: those were
sent as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentcompress.messages.context import context_spans, outside
from agentcompress.messages.hashing import block_key
from agentcompress.messages.view import Address, TextPart, Wire, last_bound, last_cache_marker, last_reply
from agentcompress.protocols import TokenCounter
from agentcompress.schema import Span

RAW_CACHED = "at or before a cache marker"
RAW_BOUND = "before reasoning that is bound to it"
RAW_SMALL = "under min_tokens"
RAW_WHOLE = "nothing would be cut, or nothing left"

_HINT_CHARS = 200
_TASK_CHARS, _ACTION_CHARS = (400, 200), 500  # of the query: both ends of the task, the end of the action


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


def plan(
    messages: Sequence[Any],
    parts: Sequence[TextPart],
    wire: Wire,
    prefixes: Sequence[str],
    min_tokens: int,
    counter: TokenCounter,
) -> Iterator[Plan]:
    """Yield the blocks of a conversation in order.

    parts: the messages' texts; prefixes: as `ledger.keys.chain` gives them; min_tokens: >= 1.
    """
    marker = min(last_cache_marker(messages), last_reply(messages, wire))  # behind that nothing was sent before
    bound = last_bound(messages, wire)
    texts = Counter(part.address.message for part in parts if part.text.strip())
    found = [(part, _block_spans(part, request_beside=texts[part.address.message] > 1)) for part in parts]
    request = _last_request(found)
    for part, spans in found:
        at = part.address.message
        for span in spans:
            text = part.text[span.start : span.end]
            tokens = counter.count(text)
            raw = RAW_CACHED if at <= marker else RAW_BOUND if at < bound else None
            yield Plan(
                address=part.address,
                span=span,
                text=text,
                kind="tool" if part.role == "tool" else "context",
                tool=part.tool,
                query=next_action_query(request, _action(part)) if part.role == "tool" else request,
                hint=_call(part) or part.text[max(0, span.start - _HINT_CHARS) : span.start],
                key=block_key(prefixes[at], part.address.path, span.start),
                tokens=tokens,
                raw_because=RAW_SMALL if tokens < min_tokens else raw,
            )


def next_action_query(task: str, action: str) -> str:
    """What a tool result is read for: the task, of a long one both ends, and the action that led to it."""
    if len(task) > sum(_TASK_CHARS):
        task = f"{task[: _TASK_CHARS[0]]} {task[-_TASK_CHARS[1] :]}"
    return f"Task: {task}\nLast action: {action[-_ACTION_CHARS:]}"


def _last_request(found: Sequence[tuple[TextPart, list[Span]]]) -> str:
    """The last human text of the conversation: the last user message that says anything outside of context blocks."""
    asked: dict[int, str] = {}
    for part, spans in found:
        if part.role == "user":
            before = asked.get(part.address.message, "")
            asked[part.address.message] = f"{before}\n{outside(part.text, spans)}".strip()
    return next((text for text in reversed(asked.values()) if text), "")


def _action(part: TextPart) -> str:
    return "\n".join(text for text in (part.said, _call(part)) if text)


def _call(part: TextPart) -> str:
    return f"{part.tool} {part.arguments or ''}".strip() if part.tool else ""


def _block_spans(part: TextPart, *, request_beside: bool) -> list[Span]:
    if part.role in ("tool", "document"):
        return [Span(0, len(part.text))] if part.text else []
    return context_spans(part.text, request_beside=request_beside) if part.role == "user" else []
