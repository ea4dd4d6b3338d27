"""Anthropic Messages: content blocks, tool results inside of user messages, documents and search results.

Protected, because what cites them counts their characters: documents and search results with citations. Never texts
here: thinking, redacted thinking, signatures, images, files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentcompress.messages.view import (
    PROTECTED,
    THINKING,
    Address,
    Call,
    Role,
    TextPart,
    WireName,
    as_list,
    drop_parts,
    find_texts_in,
    list_parts,
    read_fields,
    read_role,
    write_json,
)

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_NO_CALL = Call(None, None, "")


class _Text(NamedTuple):
    path: tuple[str | int, ...]
    role: Role
    text: str
    call: Call


class AnthropicMessages:
    """Messages of `/v1/messages`, as mappings or as the client's objects."""

    name: WireName = "anthropic"

    def find_texts(self, messages: Sequence[Any]) -> list[TextPart]:
        """Every text of the messages, in order. Raises `MessageFormatError` for what is no list."""
        calls: dict[str, Call] = {}
        parts: list[TextPart] = []
        for i, message in enumerate(as_list(messages, "Anthropic messages")):
            fields = read_fields(message)
            role = read_role(fields, _ROLES)
            content = fields.get("content")
            texts = find_texts_in(content, ("text",))
            if role is None:
                parts += [TextPart(Address(i, ("content", *path)), PROTECTED, text) for path, text in texts]
                continue
            calls.update(_find_calls(content, "\n".join(text for _, text in texts)))
            found = [_Text(path, role, text, _NO_CALL) for path, text in texts]
            found += _find_inner(content, calls)
            found.sort(key=lambda text: [key for key in text.path if isinstance(key, int)])
            parts += [TextPart(Address(i, ("content", *t.path)), t.role, t.text, *t.call) for t in found]
        return parts

    def select_sent(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Role and content: what comes back as a message object also has an id, a model and a usage.

        Of a message of an unknown role all: nobody knows what it says where.
        """
        if str(fields.get("role")) not in _ROLES:
            return fields
        return {"role": fields.get("role"), "content": fields.get("content")}

    def is_reply(self, fields: Mapping[str, Any]) -> bool:
        """Whether the model has put a message out: the assistant's."""
        return fields.get("role") == "assistant"

    def is_bound(self, fields: Mapping[str, Any]) -> bool:
        """Whether a message holds thinking, redacted or not: its signature covers all before it."""
        return any(part.get("type") in THINKING for part in list_parts(fields.get("content")))

    def drop_bound(self, fields: Mapping[str, Any], following: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Without thinking; a message of nothing else goes, since empty ones are refused."""
        if not self.is_bound(fields):
            return fields
        left = drop_parts(fields, "content", THINKING)
        return left if left.get("content") else None


def _find_calls(content: Any, said: str) -> Iterator[tuple[str, Call]]:
    for part in list_parts(content):
        if part.get("type") == "tool_use":
            arguments = write_json(part.get("input"))
            yield str(part.get("id")), Call(str(part.get("name")), arguments, said)


def _find_inner(content: Any, calls: Mapping[str, Call]) -> list[_Text]:
    """Texts one level further in: of tool results, documents and search results."""
    found: list[_Text] = []
    for at, part in enumerate(list_parts(content)):
        kind, source, cited = part.get("type"), part.get("source"), part.get("citations")
        if isinstance(cited, Mapping) and cited.get("enabled"):
            continue
        if kind == "tool_result":
            call = calls.get(str(part.get("tool_use_id")), _NO_CALL)
            texts = find_texts_in(part.get("content"), ("text",))
            found += [_Text((at, "content", *path), "tool", text, call) for path, text in texts]
        elif kind == "document" and isinstance(source, Mapping):
            data = source.get("data")
            if source.get("type") == "text" and isinstance(data, str):
                found.append(_Text((at, "source", "data"), "document", data, _NO_CALL))
        elif kind == "search_result":
            texts = find_texts_in(part.get("content"), ("text",))
            found += [_Text((at, "content", *path), "document", text, _NO_CALL) for path, text in texts]
    return found
