"""opencode's sessions: what `opencode export` writes, `{"info", "messages": [{"info", "parts"}]}`.

A tool's call and its result are one part. opencode 2 writes messages without `info`, and parts as their `content`.
Before it had a database, opencode kept the same in a folder, a file a message and a file a part; `read_store` puts
those together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentcompress.corpora.rows import Row, read_rows
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


def recognize(value: Any) -> bool:
    """Tell whether a row is an exported session."""
    messages = get_objects(value, "messages")
    if not messages:
        return False
    if "parts" in messages[0]:
        return bool(get_word(get_object(messages[0], "info"), "role"))
    is_second = get_word(messages[0], "type") and "role" not in messages[0] and get_id(messages[0], "id")
    return bool(is_second and get_id(get_object(value, "info"), "id"))


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield every session: up to its first compaction, and from each one on."""
    for row in rows:
        session = check_object(row)
        identity = get_id(get_object(session, "info"), "id") or name
        yield from number_parts(identity, _write_parts(get_objects(session, "messages")))


def _write_parts(messages: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    conversation = Conversation()
    for message in messages:
        info, parts = get_object(message, "info"), get_objects(message, "parts") or get_objects(message, "content")
        if any(part.get("type") == "compaction" for part in parts):
            yield conversation.write_messages()
            conversation = Conversation()
        is_summary = info.get("summary") is True  # of what was compacted, in whose place it is sent from now on
        if is_summary or (get_word(info, "role") or get_word(message, "type")) != "assistant":
            conversation.add_message("user", get_word(message, "text") or _read_words(parts))
        else:
            _add_assistant(conversation, parts)
    yield conversation.write_messages()


def _read_words(parts: Iterable[Mapping[str, Any]]) -> str:
    """Join the texts that a model is sent; one that is marked as ignored is for the person alone."""
    texts = (get_word(part, "text") for part in parts if part.get("type") == "text" and part.get("ignored") is not True)
    return "\n".join(text for text in texts if text)


def _add_assistant(conversation: Conversation, parts: Iterable[Mapping[str, Any]]) -> None:
    """Add a message, which may hold several requests' answers: each begins with a part of its own."""
    conversation.open_turn()
    for part in parts:
        kind = part.get("type")
        if kind == "step-start":
            conversation.open_turn()
        elif kind == "text":
            conversation.add_words(_read_words([part]))
        elif kind == "tool":
            _add_call(conversation, part)


def _add_call(conversation: Conversation, part: Mapping[str, Any]) -> None:
    state, identity = get_object(part, "state"), get_id(part, "callID") or get_id(part, "id")
    name = get_word(part, "tool") or get_word(part, "name")
    conversation.add_call(identity, name, read_arguments(state.get("input")))
    if state.get("status") in ("completed", "error"):
        texts = (get_word(state, "output"), read_text(state.get("content")), get_word(state, "error"))
        conversation.add_result(identity, next(filter(None, texts), ""))


def is_store(folder: Path) -> bool:
    """Tell whether a folder keeps messages and parts in files of their own."""
    return (folder / "message").is_dir() and (folder / "part").is_dir()


def read_store(folder: Path) -> Iterator[Row]:
    """Yield the sessions of such a folder as rows, as `opencode export` would write them.

    Raises `InvalidInputError` for a file that is no JSON.
    """
    for session in sorted(path for path in (folder / "message").iterdir() if path.is_dir()):
        infos = [_read_object(path) for path in sorted(session.glob("*.json"))]
        infos.sort(key=_find_time)  # ids may not be in the order of time
        messages = [{"info": info, "parts": _read_parts(folder, session.name, info)} for info in infos]
        yield Row(session.name, 1, {"info": {"id": session.name}, "messages": messages})


def _read_parts(folder: Path, session: str, info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    identity = get_id(info, "id")
    if not identity or "/" in identity or "\\" in identity or identity.startswith("."):
        return []
    places = (folder / "part" / identity, folder / "part" / session / identity)  # the first versions had the second
    return [_read_object(path) for place in places for path in sorted(place.glob("*.json"))]


def _read_object(path: Path) -> Mapping[str, Any]:
    return next((check_object(row) for row in read_rows(path)), {})


def _find_time(info: Mapping[str, Any]) -> float:
    created = get_object(info, "time").get("created")
    return float(created) if isinstance(created, int | float) else 0.0


OPENCODE = Format("opencode", recognize, read)
