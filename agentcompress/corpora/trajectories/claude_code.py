"""Claude Code's session logs: `~/.claude/projects/*/*.jsonl`, a line a part of a message.

One message of the assistant is several lines with the same `message.id`, and results of its first calls may stand
between them. Lines form a tree: what was rewound stays in the file. What subagents did (`isSidechain`) is in the same
file, or in `agent-*.jsonl` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

_MAIN = ""


@dataclass(frozen=True)
class _Line:
    """A line of a log. message: None where it is no part of the conversation, but may be the parent of one that is."""

    uuid: str | None
    parent: str | None
    message: Mapping[str, Any] | None
    is_summary: bool

    def find_ids(self, kind: str, key: str) -> set[str]:
        """Find the ids that blocks of a kind have under a key."""
        blocks = get_objects(self.message, "content")
        return {found for block in blocks if block.get("type") == kind and (found := get_id(block, key))}


def recognize(value: Any) -> bool:
    """Tell whether a row is a line of such a log."""
    kind = get_word(value, "type")
    if kind in ("user", "assistant"):
        return bool(get_word(get_object(value, "message"), "role"))
    return bool(kind and ("sessionId" in value or "leafUuid" in value)) or kind == "file-history-snapshot"


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the session, and then every subagent's as `session:agent`; each is read whole before it is yielded."""
    threads = _read_threads(rows)
    for thread, lines in threads.items():
        identity = name if thread == _MAIN or len(threads) == 1 else f"{name}:{thread}"
        yield from number_parts(identity, _write_parts(_choose_branch(lines)))


def _read_threads(rows: Iterable[Row]) -> dict[str, list[_Line]]:
    """Read lines into the conversations that they belong to: the main one, and one a subagent."""
    threads: dict[str, list[_Line]] = {}
    known: dict[str, str] = {}  # the thread of every line
    for row in rows:
        value = check_object(row)
        uuid = get_id(value, "uuid")
        parent = get_id(value, "parentUuid") or get_id(value, "logicalParentUuid")
        thread = _MAIN
        if value.get("isSidechain") is True:
            thread = get_id(value, "agentId") or known.get(parent or "") or uuid or "sidechain"
        if uuid:
            known[uuid] = thread
        line = _Line(uuid, parent, _find_message(value), value.get("isCompactSummary") is True)
        if uuid or line.message is not None:
            threads.setdefault(thread, []).append(line)
    return {thread: lines for thread, lines in threads.items() if any(line.message for line in lines)}


def _find_message(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the message of a line that a model was sent or wrote; None for what only the person saw."""
    if value.get("type") not in ("user", "assistant") or value.get("isApiErrorMessage") is True:
        return None
    if value.get("isVisibleInTranscriptOnly") is True and value.get("isCompactSummary") is not True:
        return None
    message = get_object(value, "message")
    return message if message.get("model") != "<synthetic>" else None


def _choose_branch(lines: Sequence[_Line]) -> list[_Line]:
    """Choose the lines that the last one goes back to.

    A line without a known parent follows the one before it. Of a chosen message all lines belong, and the results of
    all its calls: with parallel calls, each result hangs on the line of its own call.
    """
    places = {line.uuid: place for place, line in enumerate(lines) if line.uuid}
    chosen: set[int] = set()
    place = max(place for place, line in enumerate(lines) if line.message is not None)
    while place >= 0:
        chosen.add(place)
        parent = places.get(lines[place].parent or "", place)
        place = parent if parent < place else place - 1
    messages = {get_id(lines[place].message, "id") for place in chosen} - {None}
    belonging = [line for place, line in enumerate(lines) if place in chosen or get_id(line.message, "id") in messages]
    calls = {call for line in belonging for call in line.find_ids("tool_use", "id")}
    kept = {id(line) for line in belonging}
    return [line for line in lines if id(line) in kept or line.find_ids("tool_result", "tool_use_id") & calls]


def _write_parts(lines: Sequence[_Line]) -> Iterator[list[dict[str, Any]]]:
    """Yield what stands before the first compaction, and from each one on."""
    conversation = Conversation()
    for line in lines:
        if line.message is None:
            continue
        if line.is_summary:
            yield conversation.write_messages()
            conversation = Conversation()
        if line.message.get("role") == "assistant":
            _add_assistant(conversation, line.message)
        else:
            _add_user(conversation, line.message)
    yield conversation.write_messages()


def _add_assistant(conversation: Conversation, message: Mapping[str, Any]) -> None:
    conversation.open_turn(get_id(message, "id"))
    if isinstance(message.get("content"), str):
        conversation.add_words(message["content"])
    for block in get_objects(message, "content"):
        if block.get("type") == "tool_use":
            conversation.add_call(get_id(block, "id"), get_word(block, "name"), read_arguments(block.get("input")))
        else:
            conversation.add_words(read_text(block))


def _add_user(conversation: Conversation, message: Mapping[str, Any]) -> None:
    blocks = get_objects(message, "content")
    for block in blocks:
        if block.get("type") == "tool_result":
            conversation.add_result(get_id(block, "tool_use_id"), read_text(block.get("content")))
    said = [block for block in blocks if block.get("type") != "tool_result"]
    conversation.add_message("user", read_text(said or message.get("content")) if said or not blocks else "")


CLAUDE_CODE = Format("claude-code", recognize, read)
