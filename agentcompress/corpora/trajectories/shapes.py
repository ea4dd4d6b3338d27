"""Looks into JSON that may have any shape: what is not as expected is as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_NEVER_SAID = ("thinking", "redacted_thinking", "reasoning", "image", "image_url", "input_image")


def get_object(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the object at a path of keys; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def get_objects(value: Any, key: str) -> list[Mapping[str, Any]]:
    """Return the objects in the list at a key; none where there is no list."""
    return [item for item in get_list(value, key) if isinstance(item, Mapping)]


def get_list(value: Any, key: str) -> Sequence[Any]:
    """Return the list at a key; an empty one where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def get_word(value: Any, key: str) -> str:
    """Return the string at a key; an empty one where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


def get_id(value: Any, key: str) -> str | None:
    """Return an id, which may be a string or a number; None where there is none."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None


def read_text(content: Any) -> str:
    """Return what a content says: a string, or the texts of its parts, a line between them.

    Images and what a model thought to itself are left out.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return "" if content.get("type") in _NEVER_SAID else get_word(content, "text")
    if isinstance(content, list):
        return "\n".join(text for part in content if not isinstance(part, list) and (text := read_text(part)))
    return ""


def read_arguments(given: Any) -> dict[str, Any] | str:
    """Return a call's arguments: an object or a string as they are, and anything else as JSON."""
    if isinstance(given, Mapping):
        return dict(given)
    return given if isinstance(given, str) else "{}" if given is None else json.dumps(given, ensure_ascii=False)


def read_call(call: Mapping[str, Any]) -> tuple[str | None, str, dict[str, Any] | str]:
    """Return a call's id, name and arguments, which OpenAI's shape has in its `function`."""
    function = get_object(call, "function") or call
    return get_id(call, "id"), get_word(function, "name"), read_arguments(function.get("arguments"))
