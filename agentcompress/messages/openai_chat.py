"""OpenAI chat messages. Reads text parts, pairs tool results with their calls, puts new text in place.

Messages may be mappings or objects with `model_dump` (what LiteLLM and openai return); neither is ever mutated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentcompress.errors import MessageFormatError
from agentcompress.schema import Span

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class Address(NamedTuple):
    """Where a text stands: message index, and content part index (-1: the content is a plain string)."""

    message: int
    part: int


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text of a message. `tool`, `arguments`: of the call that a tool result answers, where it is found."""

    address: Address
    role: str
    text: str
    tool: str | None = None
    arguments: str | None = None


def text_parts(messages: Sequence[Any]) -> list[TextPart]:
    """Every text of the messages, in order. Raises `MessageFormatError` for what is no list of chat messages."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise MessageFormatError("messages", messages, "a list of OpenAI chat messages")
    calls: dict[str, tuple[str, str]] = {}
    parts: list[TextPart] = []
    for i, message in enumerate(messages):
        fields = as_mapping(message, i)
        calls.update(_calls(fields))
        role = fields["role"]
        tool, arguments = fields.get("name"), None
        if role == "tool":
            tool, arguments = calls.get(str(fields.get("tool_call_id")), (tool, None))
        for part, text in _texts(fields.get("content"), i):
            parts.append(TextPart(Address(i, part), role, text, tool, arguments))
    return parts


def last_cache_marker(messages: Sequence[Any]) -> int:
    """Index of the last message that carries a `cache_control` marker, on itself or on a part; -1 without one."""
    for i in range(len(messages) - 1, -1, -1):
        fields = as_mapping(messages[i], i)
        content = fields.get("content")
        parts = content if isinstance(content, list | tuple) else ()
        if any(isinstance(holder, Mapping) and holder.get("cache_control") for holder in (fields, *parts)):
            return i
    return -1


def replaced(messages: Sequence[Any], changes: Mapping[Address, Sequence[tuple[Span, str]]]) -> list[Any]:
    """Return the messages with ranges of their texts replaced; what has no change is the very same object."""
    by_message: dict[int, dict[int, Sequence[tuple[Span, str]]]] = {}
    for address, edits in changes.items():
        by_message.setdefault(address.message, {})[address.part] = edits
    out = list(messages)
    for i, edits in by_message.items():
        fields = as_mapping(messages[i], i)
        content = fields["content"]
        if isinstance(content, str):
            content = _edited(content, edits[-1])
        else:
            content = [
                {**part, "text": _edited(part["text"], edits[at])} if at in edits else part
                for at, part in enumerate(content)
            ]
        out[i] = {**fields, "content": content}
    return out


def as_mapping(message: Any, index: int) -> Mapping[str, Any]:
    """Return the message's fields; raises `MessageFormatError` when it has no role that we know."""
    fields = message if isinstance(message, Mapping) else None
    if fields is None and hasattr(message, "model_dump"):
        fields = message.model_dump()
    if not isinstance(fields, Mapping) or fields.get("role") not in _ROLES:
        raise MessageFormatError(f"messages[{index}]", message, f"a mapping whose role is one of {', '.join(_ROLES)}")
    return fields


def _texts(content: Any, index: int) -> list[tuple[int, str]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [(-1, content)]
    if not isinstance(content, list | tuple):
        raise MessageFormatError(f"messages[{index}].content", content, "a string, a list of parts, or None")
    texts = []
    for at, part in enumerate(content):
        if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append((at, part["text"]))
    return texts


def _calls(fields: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name and arguments of a message's tool calls by id. They only serve the query: what is malformed is skipped."""
    found = {}
    calls = fields.get("tool_calls")
    for call in calls if isinstance(calls, list | tuple) else ():
        call = call.model_dump() if hasattr(call, "model_dump") else call
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False, default=str)
        found[str(call.get("id"))] = (str(function.get("name")), arguments)
    return found


def _edited(text: str, edits: Sequence[tuple[Span, str]]) -> str:
    for span, new in sorted(edits, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text
