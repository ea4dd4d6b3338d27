"""Keys of decisions: a hash chain over the raw messages, so that the same history finds the same decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentcompress.errors import MessageFormatError
from agentcompress.messages.view import Wire

_TEXTS = ("content", "output")
_TEXT_TYPES = ("text", "input_text", "output_text")


def chain(messages: Sequence[Any], wire: Wire, seed: str = "") -> Iterator[str]:
    """Yield, message by message, the SHA-256 of everything up to and including it.

    seed: what else the conversation hangs on: a tenant, the response that these messages go on from.
    """
    digest = seed
    for message in messages:
        digest = hashlib.sha256(f"{digest}\n{canonical(message, wire)}".encode()).hexdigest()
        yield digest


def block_key(prefix: str, path: Sequence[str | int], start: int) -> str:
    """Key of the block at character `start` of the text at `path` of the message that `prefix` ends with.

    A text alone and a list of it are one: clients go from one to the other to put a cache marker on it.
    """
    path = path[:-2] if tuple(path[-2:]) == (0, "text") else path
    return f"{prefix}:{'.'.join(map(str, path))}:{start}"


def canonical(message: Any, wire: Wire) -> str:
    """JSON of what a message says, the same however it is held and whatever was marked on it.

    Only the fields that are sent count, and of those no empty ones: a message object, its dump and the dictionary it
    was parsed from are one message. Cache markers don't count: clients move them along from call to call.
    """
    try:
        sent = wire.sent(message if isinstance(message, Mapping) else _dump(message))
        return json.dumps(_content(sent), sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageFormatError("messages", message, f"JSON-like throughout ({error})") from error


def _content(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        fields = {str(name): _content(inner) for name, inner in value.items() if name != "cache_control"}
        for name in _TEXTS:
            if isinstance(fields.get(name), str):
                fields[name] = [{"text": fields[name]}] if fields[name] else None
        if fields.get("type") in _TEXT_TYPES:
            del fields["type"]
        return _filled(fields)
    if isinstance(value, list | tuple):
        return [_content(inner) for inner in value]
    return _content(_dump(value))


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def _dump(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")
