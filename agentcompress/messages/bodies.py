"""Whole request bodies, as clients post them: the conversation taken out, and put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.errors import MessageFormatError
from agentcompress.messages.formats import WIRES, find_wire
from agentcompress.messages.view import Wire, list_parts, read_fields
from agentcompress.results import CompressedMessages

_ALLOWED = "a request with `messages`, or with `input` as of OpenAI Responses"
_BESIDE = (
    *("system", "instructions", "tools", "functions", "response_format", "text", "output_config"),
    *("tool_choice", "mcp_servers", "prediction", "prompt"),
)
_CONTINUES = ("previous_response_id", "conversation")


@dataclass(frozen=True)
class Request:
    """A request taken apart.

    field: where its conversation stands. beside: what else the target reads. continues: what the server has of it.
    """

    fields: Mapping[str, Any]
    field: str
    wire: Wire
    messages: Sequence[Any]
    beside: Mapping[str, Any]
    continues: str

    def rebuild(self, result: CompressedMessages) -> dict[str, Any]:
        """The request with the compressed messages, all else as it was; never mutates it.

        Anthropic wants the last tool loop to begin with thinking where thinking is enabled by hand: where that was
        dropped to fit, thinking is disabled for this request.
        """
        if isinstance(self.fields[self.field], str):
            return {**self.fields, self.field: result.messages[0]["content"]}
        out = {**self.fields, self.field: result.messages}
        thinking = self.fields.get("thinking")
        by_hand = isinstance(thinking, Mapping) and thinking.get("type") == "enabled"
        if by_hand and result.receipt.reasoning_dropped and not _last_loop_thinks(result.messages, self.wire):
            out["thinking"] = {"type": "disabled"}
        return out


def parse(body: Any, format: str = "auto") -> Request:  # noqa: A002 - what the caller calls it
    """Find the conversation of a request. Raises `MessageFormatError` for what holds none."""
    if not isinstance(body, Mapping):
        raise MessageFormatError("body", body, _ALLOWED)
    field = "messages" if body.get("messages") is not None else "input"
    messages = body.get(field)
    if field == "input" and isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise MessageFormatError(f"body.{field}", messages, _ALLOWED if messages is None else "a list")
    beside = {name: body[name] for name in _BESIDE if name in body}
    continues = "".join(_read_identity(body.get(name)) for name in _CONTINUES)
    return Request(body, field, _find_wire(body, field, messages, format), messages, beside, continues)


def _find_wire(body: Mapping[str, Any], field: str, messages: Sequence[Any], format: str) -> Wire:  # noqa: A002
    if format != "auto":
        return find_wire(messages, format)
    if field == "input":
        return WIRES["responses"]
    tools = body.get("tools")
    named = [tool for tool in tools if isinstance(tool, Mapping)] if isinstance(tools, list | tuple) else []
    if "system" in body or "anthropic_version" in body or any("input_schema" in tool for tool in named):
        return WIRES["anthropic"]
    return find_wire(messages)


def _read_identity(value: Any) -> str:
    """An id, alone or in a mapping."""
    return str(value.get("id") or "") if isinstance(value, Mapping) else str(value or "")


def _last_loop_thinks(messages: Sequence[Any], wire: Wire) -> bool:
    """Whether the assistant's first message since a human spoke begins as one that thinks; so if there is none."""
    fields = [read_fields(message) for message in messages]
    human = max((i for i, each in enumerate(fields) if _is_human(each)), default=-1)
    first = next((each for each in fields[human + 1 :] if wire.is_reply(each)), None)
    return first is None or wire.is_bound(first)


def _is_human(fields: Mapping[str, Any]) -> bool:
    results = (part.get("type") == "tool_result" for part in list_parts(fields.get("content")))
    return fields.get("role") == "user" and not any(results)
