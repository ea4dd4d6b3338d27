"""How many tokens messages take: their texts as the target counts them, the rest estimated, rather too high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.messages.view import Wire, as_json, as_mapping
from agentcompress.protocols import TokenCounter

MESSAGE_TOKENS = 4
"""What a provider writes around a message, and around a part of one."""

IMAGE_TOKENS = 1600
"""The most that an image takes at Anthropic; at OpenAI it is fewer."""

_UNSEEN = frozenset(("type", "id", "role", "call_id", "tool_call_id", "tool_use_id", "signature", "cache_control"))
_IMAGES = frozenset(("image", "image_url", "input_image"))
_CHARS_PER_TOKEN = {"data": 6, "file_data": 6, "encrypted_content": 4}
_AUDIO, _AUDIO_CHARS_PER_TOKEN = "input_audio", 1500


def request_tokens(messages: Sequence[Any], wire: Wire, counter: TokenCounter) -> int:
    """Target tokens of messages: texts, names and arguments of calls, thinking, images and files."""
    return sum(_tokens(wire.sent(as_mapping(message, i, "a mapping")), counter) for i, message in enumerate(messages))


def other_tokens(fields: Mapping[str, Any], counter: TokenCounter) -> int:
    """Target tokens of what stands beside the messages of a request: its system prompt, its tools."""
    return sum(
        counter.count(value if isinstance(value, str) else as_json(value, name)) + MESSAGE_TOKENS
        for name, value in fields.items()
        if value
    )


def _tokens(fields: Mapping[str, Any], counter: TokenCounter) -> int:
    kind = fields.get("type")
    if kind in _IMAGES:
        return IMAGE_TOKENS
    total = MESSAGE_TOKENS
    for name, value in fields.items():
        if name in _UNSEEN or value is None:
            continue
        if isinstance(value, str):
            per_token = _CHARS_PER_TOKEN.get(name) if kind != "text" else None  # a text document has its text in `data`
            per_token = _AUDIO_CHARS_PER_TOKEN if kind == _AUDIO else per_token
            total += len(value) // per_token + 1 if per_token else counter.count(value)
        elif name == "input" and isinstance(value, Mapping):  # of a call
            total += counter.count(as_json(value, name))
        else:
            total += _inner_tokens(value, kind if name == _AUDIO else None, counter)
    return total


def _inner_tokens(value: Any, kind: Any, counter: TokenCounter) -> int:
    if isinstance(value, str):
        return counter.count(value)
    if isinstance(value, list | tuple):
        return sum(_inner_tokens(inner, kind, counter) for inner in value)
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return _tokens(value if kind is None else {**value, "type": kind}, counter)
    return 1  # a number, a flag
