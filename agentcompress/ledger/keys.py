"""Keys of decisions: a hash chain over the raw messages, so that the same history finds the same decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentcompress.errors import MessageFormatError


def chain(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield, message by message, the SHA-256 of everything up to and including it."""
    digest = ""
    for message in messages:
        digest = hashlib.sha256(f"{digest}\n{canonical(message)}".encode()).hexdigest()
        yield digest


def block_key(prefix: str, part: int, start: int) -> str:
    """Key of the block that starts at character `start` of text part `part` of the message that `prefix` ends with."""
    return f"{prefix}:{part}:{start}"


def canonical(message: Any) -> str:
    """JSON of a message, the same for the same content whatever the order of keys; pydantic models by their dump."""
    try:
        return json.dumps(message, sort_keys=True, separators=(",", ":"), default=_dump)
    except (TypeError, ValueError) as error:
        raise MessageFormatError("messages", message, f"JSON-like throughout ({error})") from error


def _dump(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")
