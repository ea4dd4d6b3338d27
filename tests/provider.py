"""A provider that is as strict as the strictest: what real ones answer with HTTP 400, and what a prompt cache saves.

It sees what is sent and what the agent had: a request may differ from the agent's in texts of tool results and context
alone, must pair calls and results, and must not hold reasoning whose past is not what it was when it was put out.
Shares no code with what it tests: it reads the formats by itself.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NO_CALL = {
    "openai": "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
    "'tool_calls'. ({ids})",
    "responses": "No tool call found for function call output with call_id {ids}.",
    "anthropic": "unexpected `tool_use_id` found in `tool_result` blocks: {ids}.",
}
_NO_RESULT = {
    "openai": "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'. The following tool_call_ids did not have response messages: {ids}",
    "responses": "No tool output found for function call {ids}.",
    "anthropic": "`tool_use` ids were found without `tool_result` blocks immediately after: {ids}.",
}
_MODIFIED = {
    "openai": "thinking_blocks: the signature of `thinking` does not match the messages before it ({ids})",
    "responses": "The encrypted content of item {ids} could not be verified.",
    "anthropic": "`thinking` or `redacted_thinking` blocks cannot be modified, nor what is before them ({ids})",
}
_EMPTY = "messages: text content blocks must be non-empty"
_TOO_MANY_MARKERS = "A maximum of 4 blocks with cache_control may be provided. Found {count}."
_THINKING = ("thinking", "redacted_thinking")


class BadRequestError(Exception):
    """HTTP 400, in the provider's words."""


@dataclass
class Provider:
    """One conversation with a provider of a format. Bytes of the prompt cache: written once, read by what begins so.

    rewrites: how often what was sent before came back changed.
    """

    format: str
    cache_written: int = 0
    cache_read: int = 0
    requests: int = 0
    rewrites: int = 0
    _last: bytes = b""
    _sent: dict[bytes, bytes] = field(default_factory=dict)
    _bound: dict[str, bytes] = field(default_factory=dict)

    def send(self, messages: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> bytes | None:
        """Take a request. meant: what the agent would have sent.

        Returns None where it begins as the longest beginning of that history was sent, and else how that was sent.
        """
        self._same_but_for_texts(messages, meant)
        self._paired(messages)
        self._reasoning_is_whole(messages)
        if (count := json.dumps(messages).count('"cache_control"')) > 4:
            raise BadRequestError(_TOO_MANY_MARKERS.format(count=count))
        if _result_texts(messages, self.format).count("") > _result_texts(meant, self.format).count(""):
            raise BadRequestError(_EMPTY)
        body = _bytes(messages)
        raw = _bytes(meant)
        previous = self._sent.get(
            max((known for known in self._sent if raw.startswith(known)), key=len, default=b""), b""
        )
        rewritten = not body.startswith(previous)
        shared = 0 if rewritten else len(previous)
        self.rewrites += rewritten
        self.requests += 1
        self.cache_read += shared
        self.cache_written += len(body) - shared
        self._last = self._sent[raw] = body
        return previous if rewritten else None

    def bind(self, identity: str) -> None:
        """Answer with reasoning of that id, bound to all of the last request."""
        self._bound[identity] = self._last

    def _reasoning_is_whole(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for i, message in enumerate(messages):
            for identity in _reasoning_ids(message, self.format):
                if _bytes(messages[:i]) != self._bound[identity]:
                    raise BadRequestError(_MODIFIED[self.format].format(ids=identity))

    def _paired(self, messages: Sequence[Mapping[str, Any]]) -> None:
        waiting: set[str] = set()
        for message in messages:
            made, answered = _ids(message, self.format)
            if unknown := answered - waiting:
                raise BadRequestError(_NO_CALL[self.format].format(ids=", ".join(unknown)))
            waiting = (waiting - answered) | made
            if waiting and not made and not answered and message.get("role") == "user":
                raise BadRequestError(_NO_RESULT[self.format].format(ids=", ".join(waiting)))

    def _same_but_for_texts(self, sent: Sequence[Mapping[str, Any]], meant: Sequence[Mapping[str, Any]]) -> None:
        bare_sent, bare_meant = _skeleton(sent, self.format), _skeleton(meant, self.format)
        if bare_sent != bare_meant:  # reasoning may be left out, never added
            kept = {identity for message in sent for identity in _reasoning_ids(message, self.format)}
            there = {identity for message in meant for identity in _reasoning_ids(message, self.format)}
            if not kept < there or _skeleton(sent, self.format, kept) != _skeleton(meant, self.format, kept):
                raise BadRequestError("messages: something other than the text of a result was changed")


def reasoning(identity: str, format: str) -> dict[str, Any]:
    """A part, or item, of reasoning with an id."""
    if format == "responses":
        return {"type": "reasoning", "id": identity, "summary": [], "encrypted_content": f"gAAAA{identity}"}
    return {"type": "thinking", "thinking": "Hm.", "signature": identity}


def with_reasoning(messages: Sequence[Mapping[str, Any]], identity: str, format: str) -> list[dict[str, Any]]:
    """An assistant's messages as they come back when it has reasoned first."""
    first, *rest = copy.deepcopy(list(messages))
    part = reasoning(identity, format)
    if format == "responses":
        items: list[Any] = [part, first, *rest]
        return [{**item, "id": f"{identity}_{n}"} if n else item for n, item in enumerate(items)]
    if format == "openai":
        return [{**first, "thinking_blocks": [part]}, *rest]
    content = first["content"]
    content = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [{**first, "content": [part, *content]}, *rest]


def _reasoning_ids(message: Mapping[str, Any], format: str) -> list[str]:
    if format == "responses":
        return [message["id"]] if message.get("type") == "reasoning" else []
    content = message.get("content")
    parts = message.get("thinking_blocks") or () if format == "openai" else content if isinstance(content, list) else ()
    return [part["signature"] for part in parts if part.get("type") in _THINKING]


def _ids(message: Mapping[str, Any], format: str) -> tuple[set[str], set[str]]:
    if format == "openai":
        made = {call["id"] for call in message.get("tool_calls") or ()}
        return made, {message["tool_call_id"]} if message["role"] == "tool" else set()
    if format == "responses":
        kind, one = message.get("type"), {message.get("call_id", "")}
        return (one if kind == "function_call" else set()), (one if kind == "function_call_output" else set())
    parts = message["content"] if isinstance(message["content"], list) else []
    made = {part["id"] for part in parts if part.get("type") == "tool_use"}
    return made, {part["tool_use_id"] for part in parts if part.get("type") == "tool_result"}


def _result_holders(messages: Sequence[Any], format: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Where texts of tool results stand: what holds them, and under what name."""
    for message in messages:
        if format == "openai" and message["role"] == "tool":
            yield from _texts(message, "content")
        elif format == "responses" and message.get("type") == "function_call_output":
            yield from _texts(message, "output")
        elif format == "anthropic" and isinstance(message["content"], list):
            for part in message["content"]:
                if part.get("type") == "tool_result":
                    yield from _texts(part, "content")


def _texts(holder: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(holder.get(name), list):
        yield from ((part, "text") for part in holder[name] if "text" in part)
    elif name in holder:
        yield holder, name


def _result_texts(messages: Sequence[Any], format: str) -> list[Any]:
    return [holder[name] for holder, name in _result_holders(messages, format)]


def _skeleton(messages: Sequence[Mapping[str, Any]], format: str, reasoning_kept: set[str] | None = None) -> str:
    """The messages without the texts of results; with only the reasoning of these ids, and no ids of servers."""
    bare = json.loads(json.dumps(messages))
    for holder, name in _result_holders(bare, format):
        holder[name] = ""
    if reasoning_kept is None:
        return json.dumps(bare)
    out = []
    for message in bare:
        gone = [identity for identity in _reasoning_ids(message, format) if identity not in reasoning_kept]
        if format == "responses":
            message.pop("id", None)
            out += [] if gone else [message]
            continue
        if gone and format == "openai":
            del message["thinking_blocks"]
        if gone and format == "anthropic":
            message["content"] = [part for part in message["content"] if part.get("type") not in _THINKING]
        out.append(message)
    return json.dumps(out)


def _bytes(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """The messages as they go into a prompt: markers say where a cache ends, and are no part of it."""
    return b"".join(json.dumps(_unmarked(message)).encode() + b"," for message in messages)


def _unmarked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _unmarked(inner) for name, inner in value.items() if name != "cache_control"}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value
