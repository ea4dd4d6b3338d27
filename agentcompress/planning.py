"""Which blocks of a conversation may be compressed, and what the query is for each.

Compressible: tool results, and long context blocks of user messages (tagged, fenced, or long stretches of text).
Never: system, assistant and developer messages, tool-call arguments, what the human asks, anything but text, blocks
under `min_tokens`, anything at or before a cache marker that has no decision yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentcompress.ledger.keys import block_key, chain
from agentcompress.messages import openai_chat
from agentcompress.messages.openai_chat import Address, TextPart
from agentcompress.protocols import TokenCounter
from agentcompress.schema import Span

_TAGGED = re.compile(r"<([A-Za-z][\w.-]*)(?:\s[^<>]*)?>(.*?)</\1\s*>", re.DOTALL)
_FENCED = re.compile(r"^(?P<fence>```+|~~~+)[^\n]*\n(.*?)^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_REQUEST_CHARS = 1000
"""A first or last paragraph up to this long is taken for the request itself."""

_UNTAGGED_MULTIPLE = 4
"""Untagged text counts as context from this many times `min_tokens`: it may be the request."""

RAW_CACHED = "at or before a cache marker"
RAW_SMALL = "under min_tokens"


@dataclass(frozen=True, slots=True)
class Plan:
    """A block that may be compressed: where it stands, its text, its query, and why it must stay raw, if it must."""

    address: Address
    span: Span
    text: str
    kind: Literal["tool", "context"]
    tool: str | None
    query: str
    key: str
    tokens: int
    raw_because: str | None


def plan(messages: Sequence[Any], parts: Sequence[TextPart], min_tokens: int, counter: TokenCounter) -> Iterator[Plan]:
    """Yield the blocks of a conversation in order. `parts` are the messages' texts, `min_tokens` >= 1."""
    prefixes = list(chain(messages))
    marker = openai_chat.last_cache_marker(messages)
    found = [(part, _context_spans(part, min_tokens, counter)) for part in parts]
    asked = _Requests(found)
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
                query=asked.query(part),
                key=block_key(prefixes[part.address.message], part.address.part, span.start),
                tokens=tokens,
                raw_because=raw,
            )


class _Requests:
    """What the human asked, message by message: the text of user messages outside of their context blocks."""

    def __init__(self, found: Sequence[tuple[TextPart, list[Span]]]) -> None:
        self._asked: dict[int, str] = {}
        for part, spans in found:
            if part.role == "user":
                outside = _outside(part.text, spans).strip()
                before = self._asked.get(part.address.message, "")
                self._asked[part.address.message] = f"{before}\n{outside}".strip()

    def query(self, part: TextPart) -> str:
        """The last human text up to the part's message (else the first after it), and the tool call it answers."""
        at = part.address.message
        asked = [i for i, text in self._asked.items() if text]
        earlier = [i for i in asked if i <= at]
        human = self._asked[earlier[-1] if earlier else asked[0]] if asked else ""
        call = f"{part.tool} {part.arguments or ''}".strip() if part.tool else ""
        return "\n".join(text for text in (human, call) if text)


def _context_spans(part: TextPart, min_tokens: int, counter: TokenCounter) -> list[Span]:
    if part.role in ("tool", "function"):
        return [Span(0, len(part.text))] if part.text else []
    if part.role != "user" or counter.count(part.text) < min_tokens:
        return []
    marked = _marked_spans(part.text)
    spans = []
    for stretch in _between(part.text, marked):
        body = _without_request(part.text, stretch)
        if counter.count(part.text[body.start : body.end]) >= _UNTAGGED_MULTIPLE * min_tokens:
            spans.append(body)
    return sorted([*marked, *spans])


def _marked_spans(text: str) -> list[Span]:
    """Insides of outermost <tag>...</tag> pairs and of fences, in order, disjoint."""
    spans: list[Span] = []
    for start, end in sorted(match.span(2) for pattern in (_TAGGED, _FENCED) for match in pattern.finditer(text)):
        if start < end and (not spans or start >= spans[-1].end):
            spans.append(Span(start, end))
    return spans


def _between(text: str, spans: Sequence[Span]) -> list[Span]:
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _without_request(text: str, stretch: Span) -> Span:
    """Take a short first and a short last paragraph off a stretch: they are what is asked, or may be."""
    breaks = list(_PARAGRAPH.finditer(text, stretch.start, stretch.end))
    start, end = stretch
    if breaks and breaks[0].start() - start <= _REQUEST_CHARS:
        start = breaks[0].end()
    if breaks and end - breaks[-1].end() <= _REQUEST_CHARS:
        end = max(start, breaks[-1].start())
    return Span(start, end)


def _outside(text: str, spans: Sequence[Span]) -> str:
    return "\n".join(text[a:b] for a, b in _between(text, spans))
