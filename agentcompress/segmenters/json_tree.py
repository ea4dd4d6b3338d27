"""JSON, JSON Lines -> a tree of values that says where each is written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache

from agentcompress.schema import Span
from agentcompress.text.lines import Rows

_DECODER = json.JSONDecoder(parse_int=str)  # of any length
_BEGINS = ("{", "[", '"')

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


@dataclass(eq=False)
class JsonValue:
    """A value and the member it is: `start` of its key or of itself, `value` of itself, `end` behind it.

    kind: "object", "array", "string" or "other". stop: where the next member begins, behind its comma. hint: where it
    comes from, as members beside it say. is_listed: whether it is one of several elements.
    """

    start: int
    value: int
    end: int
    kind: str
    key: str | None = None
    stop: int = 0
    held: list[JsonValue] = field(default_factory=list)
    hint: str = ""
    is_listed: bool = False


def parse_documents(text: str) -> list[JsonValue]:
    """Return the document, or those of JSON Lines; empty where the text is neither."""
    spans = find_documents(text)
    roots = [_parse_tree(text, *span) for span in spans]
    if len(roots) < 2:
        return [root for root in roots if root.held or root.kind == "string"]
    for root, following in zip(roots, [*(span.start for span in spans[1:]), len(text)], strict=True):
        root.stop = following  # blank lines behind it are its own
    roots[0].start = 0
    return roots


@lru_cache(maxsize=1)
def find_documents(text: str) -> tuple[Span, ...]:
    """The rows of JSON Lines, two at least, all of a text that is JSON, or nothing; asked again for the same text."""
    if text.lstrip()[:1] not in _BEGINS:
        return ()
    if can_parse(text):
        return (Span(0, len(text)),)
    rows = Rows(text)
    filled = [row for row in range(len(rows)) if rows[row].strip()]
    if len(filled) < 2 or not all(rows[row].lstrip()[:1] in ("{", "[") and can_parse(rows[row]) for row in filled):
        return ()
    return tuple(Span(*rows.get_span(row, row)) for row in filled)


def can_parse(text: str) -> bool:
    """Whether a text is JSON, not too deep for Python's parser."""
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_tree(text: str, start: int, stop: int) -> JsonValue:
    """The tree of a text that is known to parse. Iterative: no depth is too deep."""
    holder = JsonValue(start, start, stop, "array")
    stack = [holder]
    key: tuple[int, str] | None = None
    waiting: tuple[int, int, str] | None = None  # a string that may turn out to be a key
    for match in _TOKEN.finditer(text, start, stop):
        token, at = match.group(), match.start()
        if token == ":":
            key = (waiting[0], waiting[2][1:-1]) if waiting else None
            waiting = None
            continue
        if waiting:
            stack[-1].held.append(JsonValue(waiting[0], waiting[0], waiting[1], "string"))
            waiting = None
        if token in "[{":
            begin, name = key or (at, None)
            value = JsonValue(begin, at, at, "array" if token == "[" else "object", name)
            stack[-1].held.append(value)
            stack.append(value)
            key = None
        elif token in "]}":
            stack[-1].end = match.end()
            stack.pop()
        elif token != ",":
            if token[0] == '"' and key is None and stack[-1].kind == "object":
                waiting = (at, match.end(), token)
                continue
            begin, name = key or (at, None)
            stack[-1].held.append(JsonValue(begin, at, match.end(), "string" if token[0] == '"' else "other", name))
            key = None
    root = holder.held[0]
    root.start, root.stop = start, stop
    _set_stops(root)
    return root


def _set_stops(root: JsonValue) -> None:
    """Let every member reach to where the next one begins; the last one to its own end."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        for held, following in zip(value.held, value.held[1:], strict=False):
            held.stop = following.start
        if value.held:
            value.held[-1].stop = value.held[-1].end
        waiting.extend(value.held)
