"""A provider that is as strict as the strictest: what real ones answer with HTTP 400, and what a prompt cache saves.

It sees what is sent and what the agent had: a request may differ from the agent's in texts of tool results and context
alone, must pair calls and results, and must not touch what stands before reasoning that was bound to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.messages.formats import WIRES


class BadRequestError(Exception):
    """HTTP 400, in the provider's words."""


@dataclass
class Provider:
    """One conversation with a provider of a format. Bytes of the prompt cache: written once, read by what begins so."""

    format: str
    cache_written: int = 0
    cache_read: int = 0
    requests: int = 0
    _previous: bytes = b""
    _bound: bytes = b""

    def send(self, messages: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> None:
        """Take a request. meant: what the agent would have sent."""
        self.requests += 1
        _same_but_for_texts(messages, meant)
        self._paired(messages)
        body = _bytes(messages)
        if not body.startswith(self._bound):
            raise BadRequestError(
                "messages: `thinking` blocks in the latest assistant message cannot be modified, nor what is before"
            )
        shared = len(self._previous) if body.startswith(self._previous) else 0
        self.cache_read += shared
        self.cache_written += len(body) - shared
        self._previous = body

    def think(self) -> None:
        """Answer with reasoning that is bound to all of the last request."""
        self._bound = self._previous

    def _paired(self, messages: Sequence[Mapping[str, Any]]) -> None:
        waiting: set[str] = set()
        for message in messages:
            made, answered = _ids(message, self.format)
            if unknown := answered - waiting:
                raise BadRequestError(f"unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(unknown)}")
            waiting = (waiting - answered) | made
            if waiting and not made and not answered and message.get("role") == "user":
                raise BadRequestError(
                    f"`tool_use` ids were found without `tool_result` blocks after: {', '.join(waiting)}"
                )


def _ids(message: Mapping[str, Any], format: str) -> tuple[set[str], set[str]]:  # noqa: A002
    if format == "openai":
        made = {call["id"] for call in message.get("tool_calls") or ()}
        return made, {message["tool_call_id"]} if message["role"] == "tool" else set()
    if format == "responses":
        kind, identity = message.get("type"), message.get("call_id", "")
        return ({identity} if kind == "function_call" else set()), {
            identity
        } if kind == "function_call_output" else set()
    parts = message["content"] if isinstance(message["content"], list) else []
    made = {part["id"] for part in parts if part.get("type") == "tool_use"}
    return made, {part["tool_use_id"] for part in parts if part.get("type") == "tool_result"}


def _same_but_for_texts(sent: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> None:
    if len(sent) != len(meant) or _skeleton(sent) != _skeleton(meant):
        raise BadRequestError("messages: something other than the text of a result was changed")


def _skeleton(messages: Sequence[Mapping[str, Any]]) -> str:
    """The messages without the texts of results."""
    bare = json.loads(json.dumps(messages))
    for wire in WIRES.values():
        try:
            parts = wire.text_parts(bare)
        except ValueError:
            continue
        for part in parts:
            if part.role == "tool":
                holder: Any = bare[part.address.message]
                for key in part.address.path[:-1]:
                    holder = holder[key]
                holder[part.address.path[-1]] = ""
    return json.dumps(bare)


def _bytes(messages: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"," for message in messages)
