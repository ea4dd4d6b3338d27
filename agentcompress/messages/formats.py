"""Which wire format a list of messages is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.errors import InvalidInputError
from agentcompress.messages.anthropic import AnthropicMessages
from agentcompress.messages.oddities import KNOWN_ITEMS
from agentcompress.messages.openai_chat import OpenAIChat
from agentcompress.messages.openai_responses import OpenAIResponses
from agentcompress.messages.view import Wire, list_parts

WIRES: Mapping[str, Wire] = {wire.name: wire for wire in (OpenAIChat(), OpenAIResponses(), AnthropicMessages())}

_ANTHROPIC_PARTS = frozenset(("tool_use", "tool_result", "server_tool_use"))
_LIKE_ANTHROPIC = frozenset(("thinking", "redacted_thinking", "image", "document", "search_result"))
_RESPONSES_ITEMS = KNOWN_ITEMS - {"message"}
_RESPONSES_PARTS = frozenset(("input_text", "output_text", "input_image", "input_file"))


def find_wire(messages: Any, format: str = "auto") -> Wire:  # noqa: A002 - what the caller calls it
    """Return the format's wire. "auto" looks at the messages; what could be any is read as OpenAI chat.

    Raises `InvalidInputError` for a format there is not. A list without a telling item is one with texts and roles
    only, which all three formats read alike.
    """
    if format != "auto":
        if format not in WIRES:
            raise InvalidInputError("format", format, f"one of auto, {', '.join(WIRES)}")
        return WIRES[format]
    listed = messages if isinstance(messages, Sequence) and not isinstance(messages, str) else ()
    for certain in (True, False):  # parts of one format stand in another where a gateway lets them through
        for message in listed:
            if name := _guess_format(message, certain=certain):
                return WIRES[name]
    return WIRES["openai"]


def _guess_format(message: Any, *, certain: bool) -> str | None:
    fields = message if isinstance(message, Mapping) else vars(message) if hasattr(message, "__dict__") else {}
    types = {kind for part in list_parts(fields.get("content")) if isinstance(kind := part.get("type"), str)}
    kind = fields.get("type")
    if not certain:
        if types & _LIKE_ANTHROPIC:
            return "anthropic"
        return "responses" if isinstance(kind, str) and kind != "message" and not fields.get("role") else None
    if fields.get("role") in ("tool", "function") or fields.get("tool_calls"):
        return "openai"
    if types & _ANTHROPIC_PARTS:
        return "anthropic"
    if types & _RESPONSES_PARTS or (isinstance(kind, str) and kind in _RESPONSES_ITEMS and not fields.get("role")):
        return "responses"
    return None
