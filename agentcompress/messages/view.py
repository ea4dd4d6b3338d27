"""One view of every wire format: texts with their addresses, and new texts put in their places.

A format only says where its texts are (`Wire`); reading nothing else and writing along an address keeps everything else
as it was, key order included. Messages may be mappings or objects with `model_dump` (what the clients return); neither
is ever mutated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from agentcompress.errors import MessageFormatError
from agentcompress.messages.oddities import KNOWN_PARTS, note_oddity
from agentcompress.schema import Span

Role = Literal["system", "user", "assistant", "tool", "document"]
WireName = Literal["openai", "responses", "anthropic"]
PROTECTED: Role = "system"
"""Whose a text is that nobody may touch, where nobody knows whose it is."""

ORIGIN = "langchain_message"
"""Under this name, which no wire format has, a chat message carries the LangChain message that it was made of."""

THINKING = ("thinking", "redacted_thinking")


class Address(NamedTuple):
    """Where a text stands: message index, and the keys and indexes that lead from the message to it."""

    message: int
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text of a message.

    role: whose it is; "tool": a tool's result, wherever the format puts it; "document": a document in a user's message
    that is no request. tool, arguments, said: of the call that a result answers, and what the assistant said with it,
    where they are found.
    """

    address: Address
    role: Role
    text: str
    tool: str | None = None
    arguments: str | None = None
    said: str = ""


class Call(NamedTuple):
    """A tool's call: its name, its arguments as JSON, and what the assistant said with it."""

    tool: str | None
    arguments: str | None
    said: str


class Wire(Protocol):
    """A wire format: where the texts of its messages are, and which of their fields are sent."""

    name: WireName

    def find_texts(self, messages: Sequence[Any]) -> list[TextPart]:
        """Every text of the messages, in order. Raises `MessageFormatError` for what is no list of such messages."""
        ...

    def select_sent(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of a message that make it the message it is: no ids and states that a server adds."""
        ...

    def is_reply(self, fields: Mapping[str, Any]) -> bool:
        """Whether a message is what the model has put out: all before it has been sent."""
        ...

    def is_bound(self, fields: Mapping[str, Any]) -> bool:
        """Whether a message holds reasoning that its provider has bound to everything before it."""
        ...

    def drop_bound(self, fields: Mapping[str, Any], following: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The message without that reasoning: the same object where it has none, None where nothing is left.

        following: the message after it, empty after the last one.
        """
        ...


def as_list(messages: Any, what: str) -> Sequence[Any]:
    """Return the messages; raises `MessageFormatError` for what is no list."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise MessageFormatError("messages", messages, f"a list of {what}")
    return messages


def read_role(fields: Mapping[str, Any], roles: Mapping[str, Role]) -> Role | None:
    """Whose message it is; None for a role that the format does not know: such a message is nobody's to touch."""
    role = roles.get(str(fields.get("role")))
    if role is None:
        if fields.get("role") is None:
            note_oddity("a message without a role")
        else:
            note_oddity("a message's role", fields["role"])
    return role


def write_json(value: Any) -> str:
    """JSON of a call's arguments, as far as it is read here; empty for what has none."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return ""


def find_texts_in(content: Any, types: Sequence[str]) -> list[tuple[tuple[str | int, ...], str]]:
    """Texts of a content: itself, or of its parts of these types, each with the path from the content to it.

    What is neither a text nor a part of a known type is passed over, with a warning.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [((), content)]
    if not isinstance(content, list | tuple):
        note_oddity("a content's type", type(content).__name__)
        return []
    found: list[tuple[tuple[str | int, ...], str]] = []
    for at, part in enumerate(list_parts(content)):
        kind, text = part.get("type"), part.get("text")
        if kind in types and isinstance(text, str):
            found.append(((at, "text"), text))
        elif kind in types:
            note_oddity("a part without its text")
        elif not isinstance(kind, str):
            note_oddity("a part without a type")
        elif kind not in KNOWN_PARTS:
            note_oddity("a part's type", kind)
    return found


def list_parts(content: Any) -> list[Mapping[str, Any]]:
    """Parts of a content by name, as many as there are; what is no part has no fields."""
    return [read_fields(part) for part in content] if isinstance(content, list | tuple) else []


def drop_parts(fields: Mapping[str, Any], name: str, types: Sequence[str]) -> dict[str, Any]:
    """A copy of a message whose list `name` has no parts of these types."""
    parts = fields.get(name)
    if not isinstance(parts, list | tuple):
        return dict(fields)
    known = zip(parts, list_parts(parts), strict=True)
    return {**fields, name: [part for part, named in known if named.get("type") not in types]}


def read_fields(part: Any) -> Mapping[str, Any]:
    """The fields of a message, or of a part, by name; none of what has none."""
    if type(part) is dict:  # nearly all are, and it is asked often
        return part
    if not isinstance(part, Mapping) and hasattr(part, "model_dump"):
        part = part.model_dump()
    return part if isinstance(part, Mapping) else {}


def find_last_marker(messages: Sequence[Any]) -> int:
    """Index of the last message that carries a `cache_control` marker, on itself or on a part; -1 without one."""
    return _find_last(messages, lambda fields: _is_marked(fields, depth=3))


def _is_marked(holder: Mapping[str, Any], depth: int) -> bool:
    if holder.get("cache_control"):
        return True
    return depth > 0 and any(_is_marked(part, depth - 1) for part in list_parts(holder.get("content")))


def find_last_reply(messages: Sequence[Any], wire: Wire) -> int:
    """Index of the last message that a model has put out; -1 without one."""
    return _find_last(messages, wire.is_reply)


def find_last_bound(messages: Sequence[Any], wire: Wire) -> int:
    """Index of the last message with reasoning that is bound to what stands before it; -1 without one."""
    return _find_last(messages, wire.is_bound)


def _find_last(messages: Sequence[Any], holds: Callable[[Mapping[str, Any]], bool]) -> int:
    """Index of the last message that something holds for; -1 without one."""
    for i in range(len(messages) - 1, -1, -1):
        if holds(read_fields(messages[i])):
            return i
    return -1


def replace_texts(messages: Sequence[Any], changes: Mapping[Address, Sequence[tuple[Span, str]]]) -> list[Any]:
    """Return the messages with ranges of their texts replaced; what has no change is the very same object."""
    out = list(messages)
    for address, edits in changes.items():
        out[address.message] = _replace_at(out[address.message], address.path, edits)
    return out


def _replace_at(holder: Any, path: tuple[str | int, ...], edits: Sequence[tuple[Span, str]]) -> Any:
    """A copy of a holder whose text at the path is edited; everything beside the path is shared with it."""
    if not path:
        return _edit_text(holder, edits)
    first, rest = path[0], path[1:]
    if isinstance(first, str):
        if not isinstance(holder, Mapping):  # one of the clients' objects: what nobody set is not sent
            holder = holder.model_dump(exclude_unset=True)
        return {**holder, first: _replace_at(holder[first], rest, edits)}
    return [*holder[:first], _replace_at(holder[first], rest, edits), *holder[first + 1 :]]


def _edit_text(text: str, edits: Sequence[tuple[Span, str]]) -> str:
    for span, new in sorted(edits, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text
