"""Codex CLI's rollouts: `~/.codex/sessions/**/rollout-*.jsonl`, items of OpenAI's Responses API.

Every line has its item in an envelope, `{"timestamp", "type", "payload"}`; the first versions wrote items bare, behind
a line with `id`, `timestamp` and `instructions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentcompress.corpora.rows import Row
from agentcompress.corpora.trajectories.conversation import Conversation
from agentcompress.corpora.trajectories.shapes import (
    get_id,
    get_object,
    get_objects,
    get_word,
    read_arguments,
    read_text,
)
from agentcompress.corpora.trajectories.trajectory import Format, check_object, number_parts

_ENVELOPES = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
_CALLS = ("function_call", "custom_tool_call", "local_shell_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")


def recognize(value: Any) -> bool:
    """Tell whether a row is a line of a rollout."""
    kind = get_word(value, "type")
    if kind in _ENVELOPES:
        return bool(get_object(value, "payload"))
    if kind in (*_CALLS, *_OUTPUTS):
        return "call_id" in value
    if kind == "message":
        return bool(get_word(value, "role")) and isinstance(value.get("content"), list)
    return isinstance(value, Mapping) and not kind and {"id", "timestamp", "instructions"} <= value.keys()


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the session: up to its first compaction, and from each one on."""
    identity: list[str] = []
    parts = list(_write_parts(rows, identity))
    yield from number_parts(identity[0] if identity else name, parts)


def _write_parts(rows: Iterable[Row], identity: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts; the session's id is put into `identity` when it comes."""
    conversation = Conversation()
    for row in rows:
        value = check_object(row)
        kind, payload = get_word(value, "type"), get_object(value, "payload")
        if kind == "compacted":
            yield conversation.write_messages()
            conversation = _begin_again(payload)
        elif kind == "response_item":
            add_item(conversation, payload)
        elif kind == "session_meta" or not kind:
            meta = payload or value
            if not identity and (found := get_id(meta, "id")):
                identity.append(found)
                conversation.add_message("system", read_text(meta.get("base_instructions")))
        else:
            add_item(conversation, value)
    yield conversation.write_messages()


def _begin_again(compacted: Mapping[str, Any]) -> Conversation:
    """Begin what the model was sent after a compaction: the history that replaced the old one, or its summary."""
    conversation = Conversation()
    history = get_objects(compacted, "replacement_history")
    for item in history:
        add_item(conversation, item)
    if not history:
        conversation.add_message("user", get_word(compacted, "message"))
    return conversation


def add_item(conversation: Conversation, item: Mapping[str, Any]) -> None:
    """Add an item of the Responses API to a conversation: a message, a call or its output; nothing for others."""
    kind = get_word(item, "type")
    if kind == "message" or not kind:  # histories that replace others may leave it out
        _add_message(conversation, get_word(item, "role"), read_text(item.get("content")))
    elif kind in _CALLS:
        given = next((item[key] for key in ("arguments", "input", "action") if item.get(key) is not None), None)
        conversation.continue_turn()
        conversation.add_call(_find_call(item), get_word(item, "name") or "local_shell", read_arguments(given))
    elif kind in _OUTPUTS:
        conversation.add_result(_find_call(item), _read_output(item.get("output")))


def _find_call(item: Mapping[str, Any]) -> str | None:
    return get_id(item, "call_id") or get_id(item, "id")


def _add_message(conversation: Conversation, role: str, text: str) -> None:
    if role == "assistant":
        conversation.continue_turn()
        conversation.add_words(text)
    elif role:
        conversation.add_message("system" if role in ("system", "developer") else "user", text)


def _read_output(output: Any) -> str:
    """Return an output as it was sent: a string, also one that is JSON, or the texts of its parts."""
    if isinstance(output, Mapping):
        return read_text(output.get("content") if "content" in output else output.get("output"))
    return read_text(output)


CODEX = Format("codex", recognize, read)
