"""How many tokens messages take: their texts as the target counts them, the rest estimated, rather too high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.messages.view import Wire, read_fields, write_json
from agentcompress.protocols import TokenCounter

MESSAGE_TOKENS = 4
"""What a provider writes around a message, and around a part of one."""

IMAGE_TOKENS = 1600
"""The most that an image takes at Anthropic; at OpenAI it is fewer."""

FILE_TOKENS = 5000
"""Of a file of which only the name or the address is known: a guess."""

_UNSEEN = frozenset(("type", "id", "role", "call_id", "tool_call_id", "tool_use_id", "signature", "cache_control"))
_IMAGES = frozenset(("image", "image_url", "input_image", "computer_screenshot", "image_generation_call"))
_CHARS_PER_TOKEN = {"data": 6, "file_data": 6, "encrypted_content": 4, "encrypted_index": 4}
_AUDIO, _AUDIO_CHARS_PER_TOKEN = "input_audio", 1500
_REFERENCES = frozenset(("file_id", "file_url"))
_CALLED_WITH = frozenset(("input", "arguments"))
_BESIDE_SENT = ("thinking_blocks", "reasoning_content")  # of chat messages: sent to those who know them


def count_request_tokens(messages: Sequence[Any], wire: Wire, counter: TokenCounter) -> int:
    """Target tokens of messages: texts, names and arguments of calls, thinking, images and files."""
    total = 0
    for message in messages:
        try:
            total += _count_message(message, wire, counter)
        except RecursionError:
            total += counter.count(write_json(message))
    return total


def _count_message(message: Any, wire: Wire, counter: TokenCounter) -> int:
    fields = read_fields(message)
    if not fields:
        return MESSAGE_TOKENS + _count_value(message, None, counter)
    more = next((fields[name] for name in _BESIDE_SENT if fields.get(name)), None)
    beside = _count_value(more, None, counter) if more else 0
    return _count_fields(wire.select_sent(fields), counter) + beside


def count_other_tokens(fields: Mapping[str, Any], counter: TokenCounter) -> int:
    """Target tokens of what stands beside the messages of a request: its system prompt, its tools."""
    return sum(
        counter.count(value if isinstance(value, str) else write_json(value)) + MESSAGE_TOKENS
        for name, value in fields.items()
        if value
    )


def _count_fields(fields: Mapping[str, Any], counter: TokenCounter) -> int:
    kind = fields.get("type")
    kind = kind if isinstance(kind, str) else None
    if kind in _IMAGES:
        return IMAGE_TOKENS
    total = MESSAGE_TOKENS + (FILE_TOKENS if not _REFERENCES.isdisjoint(fields) or kind == "url" else 0)
    for name, value in fields.items():
        if name in _UNSEEN or value is None:
            continue
        if isinstance(value, str):
            total += _count_text(name, value, kind, counter)
        elif name in _CALLED_WITH and isinstance(value, Mapping):
            total += counter.count(write_json(value))
        else:
            total += _count_value(value, kind if name == _AUDIO else None, counter)
    return total


def _count_text(name: str, text: str, kind: Any, counter: TokenCounter) -> int:
    if text.startswith("data:image/"):
        return IMAGE_TOKENS
    per_token = _CHARS_PER_TOKEN.get(name) if kind != "text" else None  # a text document has its text in `data`
    per_token = _AUDIO_CHARS_PER_TOKEN if kind == _AUDIO else per_token
    return len(text) // per_token + 1 if per_token else counter.count(text)


def _count_value(value: Any, kind: Any, counter: TokenCounter) -> int:
    if isinstance(value, str):
        return counter.count(value)
    if isinstance(value, list | tuple):
        return sum(_count_value(inner, kind, counter) for inner in value)
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return _count_fields(value if kind is None else {**value, "type": kind}, counter)
    return 1  # a number, a flag
