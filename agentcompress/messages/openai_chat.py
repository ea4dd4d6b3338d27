"""OpenAI Chat Completions: text parts, and tool results paired with their calls by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.messages.view import (
    ORIGIN,
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

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_SENT = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call")
_NO_CALL = Call(None, None, "")


class OpenAIChat:
    """Messages of `chat.completions`, as mappings or as the clients' objects."""

    name: WireName = "openai"

    def find_texts(self, messages: Sequence[Any]) -> list[TextPart]:
        """Every text of the messages, in order. Raises `MessageFormatError` for what is no list."""
        calls: dict[str, Call] = {}
        parts: list[TextPart] = []
        for i, message in enumerate(as_list(messages, "OpenAI chat messages")):
            fields = read_fields(message)
            role = read_role(fields, _ROLES)
            texts = find_texts_in(fields.get("content"), ("text",))
            if role is None:
                parts += [TextPart(Address(i, ("content", *path)), PROTECTED, text) for path, text in texts]
                continue
            calls.update(_find_calls(fields, "\n".join(text for _, text in texts)))
            call = Call(fields.get("name"), None, "") if role == "tool" else _NO_CALL
            if fields.get("role") == "tool":
                call = calls.get(str(fields.get("tool_call_id")), call)
            parts += [TextPart(Address(i, ("content", *path)), role, text, *call) for path, text in texts]
        return parts

    def select_sent(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Six fields: a message object, its dump and the dictionary it was parsed from are one message.

        Of a message of an unknown role all: nobody knows what it says where.
        """
        if str(fields.get("role")) not in _ROLES:
            return {name: value for name, value in fields.items() if name != ORIGIN}
        return {name: fields.get(name) for name in _SENT}

    def is_reply(self, fields: Mapping[str, Any]) -> bool:
        """Whether the model has put a message out: the assistant's."""
        return fields.get("role") == "assistant"

    def is_bound(self, fields: Mapping[str, Any]) -> bool:
        """LiteLLM's `thinking_blocks`, and content parts that are thinking."""
        thinking = [*list_parts(fields.get("thinking_blocks")), *list_parts(fields.get("content"))]
        return any(part.get("type") in THINKING for part in thinking)

    def drop_bound(self, fields: Mapping[str, Any], following: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Without `thinking_blocks` and parts that are thinking; a message of nothing else goes."""
        if not self.is_bound(fields):
            return fields
        left = drop_parts(fields, "content", THINKING)
        left.pop("thinking_blocks", None)
        return left if left.get("content") or left.get("tool_calls") or left.get("function_call") else None


def _find_calls(fields: Mapping[str, Any], said: str) -> dict[str, Call]:
    """A message's tool calls by id. They only serve the query: what is malformed is skipped."""
    found = {}
    calls = fields.get("tool_calls")
    for call in calls if isinstance(calls, list | tuple) else ():
        call = call.model_dump() if hasattr(call, "model_dump") else call
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = write_json(arguments)
        found[str(call.get("id"))] = Call(str(function.get("name")), arguments, said)
    return found
