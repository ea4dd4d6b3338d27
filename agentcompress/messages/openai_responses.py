"""OpenAI Responses: input items, outputs paired with their calls by `call_id`.

Never texts here: reasoning (encrypted or not), images, files, what hosted tools returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.errors import MessageFormatError
from agentcompress.messages.view import Address, Call, Role, TextPart, as_list, as_mapping, texts_in

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_ALLOWED = "an input item: a message with a role, or a mapping with a type"
_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "shell_call": "action",
}
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output")
_TEXTS = ("input_text", "output_text", "text")
_SERVERS_OWN = ("id", "status", "created_by")
_NO_CALL = Call(None, None, "")


class OpenAIResponses:
    """Items of `responses.create(input=[...])`, as mappings or as the client's objects."""

    name = "responses"

    def text_parts(self, messages: Sequence[Any]) -> list[TextPart]:
        """Every text of the items, in order. Raises `MessageFormatError` for what is no list of items."""
        calls: dict[str, Call] = {}
        parts: list[TextPart] = []
        said = ""
        for i, message in enumerate(as_list(messages, "OpenAI Responses input items")):
            fields = as_mapping(message, i, _ALLOWED)
            kind = str(fields.get("type") or "message")
            if kind == "message":
                role = _ROLES.get(str(fields.get("role")))
                if role is None:
                    raise MessageFormatError(f"messages[{i}]", message, _ALLOWED)
                texts = texts_in(fields.get("content"), _TEXTS, f"messages[{i}].content")
                said = "\n".join(text for _, text in texts) if role == "assistant" else ""
                parts += [TextPart(Address(i, ("content", *path)), role, text) for path, text in texts]
            elif kind in _CALLS:
                arguments = fields.get(_CALLS[kind])
                if not isinstance(arguments, str):
                    arguments = json.dumps(arguments, ensure_ascii=False, default=str)
                calls[str(fields.get("call_id"))] = Call(str(fields.get("name") or kind), arguments, said)
            elif kind in _OUTPUTS:
                call = calls.get(str(fields.get("call_id")), _NO_CALL)
                texts = texts_in(fields.get("output"), _TEXTS, f"messages[{i}].output")
                parts += [TextPart(Address(i, ("output", *path)), "tool", text, *call) for path, text in texts]
        return parts

    def sent(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """All but what a server adds; a message may leave its type out, and then is one of OpenAI chat as well."""
        kept = {name: value for name, value in fields.items() if name not in _SERVERS_OWN}
        return {name: value for name, value in kept.items() if (name, value) != ("type", "message")}

    def is_bound(self, fields: Mapping[str, Any]) -> bool:
        """Reasoning: it is refused without the items that it came with, as they were."""
        return fields.get("type") == "reasoning"
