"""OpenAI Responses: input items, outputs paired with their calls by `call_id`.

Never texts here: reasoning (encrypted or not), images, files, what shells and hosted tools returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.messages.oddities import KNOWN_ITEMS, note_oddity
from agentcompress.messages.view import (
    PROTECTED,
    Address,
    Call,
    Role,
    TextPart,
    WireName,
    as_list,
    find_texts_in,
    read_fields,
    read_role,
    write_json,
)

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_TEXTS = ("input_text", "output_text", "text")
_SERVERS_OWN = ("id", "status", "created_by")
_REFERENCE = "item_reference"
_NO_CALL = Call(None, None, "")


class OpenAIResponses:
    """Items of `responses.create(input=[...])`, as mappings or as the client's objects."""

    name: WireName = "responses"

    def find_texts(self, messages: Sequence[Any]) -> list[TextPart]:
        """Every text of the items, in order. Raises `MessageFormatError` for what is no list."""
        calls: dict[str, Call] = {}
        parts: list[TextPart] = []
        said = ""
        for i, message in enumerate(as_list(messages, "OpenAI Responses input items")):
            fields = read_fields(message)
            kind = _read_kind(fields)
            if kind == "message":
                role = read_role(fields, _ROLES) or PROTECTED
                texts = find_texts_in(fields.get("content"), _TEXTS)
                said = "\n".join(text for _, text in texts) if role == "assistant" else ""
                parts += [TextPart(Address(i, ("content", *path)), role, text) for path, text in texts]
            elif kind in _CALLS:
                arguments = fields.get(_CALLS[kind])
                if not isinstance(arguments, str):
                    arguments = write_json(arguments)
                calls[str(fields.get("call_id"))] = Call(str(fields.get("name") or kind), arguments, said)
            elif kind in _OUTPUTS:
                call = calls.get(str(fields.get("call_id")), _NO_CALL)
                texts = find_texts_in(fields.get("output"), _TEXTS)
                parts += [TextPart(Address(i, ("output", *path)), "tool", text, *call) for path, text in texts]
                said = ""
            elif kind not in KNOWN_ITEMS:
                note_oddity("an item's type", kind)
        return parts

    def select_sent(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """All but what a server adds; a message may leave its type out, and then is one of OpenAI chat as well."""
        if _read_kind(fields) == _REFERENCE:
            return {"type": _REFERENCE, "id": fields.get("id")}
        kept = {name: value for name, value in fields.items() if name not in _SERVERS_OWN}
        return {name: value for name, value in kept.items() if (name, value) != ("type", "message")}

    def is_reply(self, fields: Mapping[str, Any]) -> bool:
        """What a model has put out: its messages, calls and reasoning."""
        kind = _read_kind(fields)
        return fields.get("role") == "assistant" if kind == "message" else not kind.endswith(("_output", _REFERENCE))

    def is_bound(self, fields: Mapping[str, Any]) -> bool:
        """Reasoning: it is refused without the items that it came with, as they were."""
        return fields.get("type") == "reasoning"

    def drop_bound(self, fields: Mapping[str, Any], following: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """No reasoning; and what came with it without its id, by which the server would miss it.

        Reasoning before a hosted tool's call stays: those have no form without an id, and are refused without it.
        """
        kind = _read_kind(fields)
        if kind == "reasoning":
            return fields if _is_hosted(following) or _read_kind(following) == "reasoning" else None
        if "id" in fields and kind in (*_CALLS, "message"):
            return {name: value for name, value in fields.items() if name != "id"}
        return fields


def _is_hosted(fields: Mapping[str, Any]) -> bool:
    """Whether an item is a call that the server has answered itself, or names one that it keeps."""
    kind = _read_kind(fields)
    return kind == _REFERENCE or (kind.endswith("_call") and kind not in _CALLS)


def _read_kind(fields: Mapping[str, Any]) -> str:
    """An item's type; a message and a reference may leave theirs out."""
    return str(fields.get("type") or ("message" if fields.get("role") or "id" not in fields else _REFERENCE))
