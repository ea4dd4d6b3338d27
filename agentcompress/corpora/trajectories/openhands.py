"""OpenHands' events: a JSON list of them, a folder with a file an event, or `output.jsonl` of its evaluation.

An event is an action or an observation of the first kind (`action`, `observation`), or one of its agent SDK (`kind`);
an evaluation's row has them in `history`, once in pairs of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentcompress.corpora.rows import Row, read_rows
from agentcompress.corpora.trajectories.conversation import Conversation
from agentcompress.corpora.trajectories.openhands_sdk import add_sdk_event, is_sdk_event
from agentcompress.corpora.trajectories.shapes import (
    get_id,
    get_list,
    get_object,
    get_objects,
    get_word,
    read_arguments,
    read_call,
    read_text,
)
from agentcompress.corpora.trajectories.trajectory import Format, check_object, number_parts
from agentcompress.errors import InvalidInputError

_EVENT_FILE = re.compile(r"(?:event-)?(\d+)(?:-[\w-]+)?\.json")
_NEVER_SENT = (
    *("agent_state_changed", "change_agent_state", "condensation", "condensation_request", "loop_recovery"),
    *("null", "pause", "recall", "resume", "start", "stop"),
)
_SETTINGS = ("blocking", "confirmation_state", "hidden", "is_input", "is_static", "security_risk", "thought")


def recognize(value: Any) -> bool:
    """Tell whether a row is an event, or an evaluation's row with events."""
    return _is_event(value) or any(map(_is_event, _flatten(get_list(value, "history"))[:1]))


def _is_event(value: Any) -> bool:
    if is_sdk_event(value):
        return True
    return bool(get_word(value, "source")) and bool(get_word(value, "action") or get_word(value, "observation"))


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the trajectory of every row with a history, and the one that all other rows are the events of."""
    conversation = Conversation()
    for row in rows:
        value = check_object(row)
        if "history" in value:
            whole = Conversation()
            for event in _flatten(get_list(value, "history")):
                _add_event(whole, event)
            yield from number_parts(get_id(value, "instance_id") or name, [whole.write_messages()])
        else:
            _add_event(conversation, value)
    yield from number_parts(name, [conversation.write_messages()])


def _flatten(history: Sequence[Any]) -> list[Any]:
    """Return the events of a history; the first versions had an action and its observation as a pair."""
    return [event for entry in history for event in (entry if isinstance(entry, list) else [entry])]


def _add_event(conversation: Conversation, event: Any) -> None:
    if is_sdk_event(event):
        add_sdk_event(conversation, event)
    elif get_word(event, "observation"):
        _add_observation(conversation, event)
    elif get_word(event, "action"):
        _add_action(conversation, event)


def _add_action(conversation: Conversation, event: Mapping[str, Any]) -> None:
    action, given = get_word(event, "action"), get_object(event, "args")
    said = read_text(given.get("content"))
    if action in _NEVER_SENT:
        return
    if action == "system":
        conversation.add_message("system", said)
    elif event.get("source") != "agent":
        if action == "message":
            conversation.add_message("user", said or get_word(event, "message"))
    elif action == "message":
        conversation.open_turn()
        conversation.add_words(said or get_word(event, "message"))
    else:
        _add_call(conversation, event, given)


def _add_call(conversation: Conversation, event: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Add a call as the model made it, where the event says so, and else the action with its arguments."""
    metadata = get_object(event, "tool_call_metadata")
    response = get_object(metadata, "model_response")
    answer = next((get_object(choice, "message") for choice in get_objects(response, "choices")), {})
    conversation.open_turn(get_id(response, "id"))
    conversation.add_words(read_text(answer.get("content")) or get_word(given, "thought"))
    wanted = get_id(metadata, "tool_call_id")
    for identity, name, arguments in map(read_call, get_objects(answer, "tool_calls")):
        if identity is not None and identity == wanted:
            conversation.add_call(identity, name, arguments)
            return
    rest = {key: value for key, value in given.items() if key not in _SETTINGS and value not in (None, "", -1)}
    name = get_word(metadata, "function_name") or get_word(event, "action")
    conversation.add_call(wanted or _name_event(get_id(event, "id")), name, read_arguments(rest))


def _add_observation(conversation: Conversation, event: Mapping[str, Any]) -> None:
    """Add a result to the call it names or was caused by; an error of no call is told to the model as a user's text."""
    if event["observation"] in _NEVER_SENT:
        return
    text = read_text(event.get("content"))
    called = get_id(get_object(event, "tool_call_metadata"), "tool_call_id")
    identity = called or _name_event(get_id(event, "cause"))
    if not conversation.add_result(identity, text) and event["observation"] == "error":
        conversation.add_message("user", text)


def _name_event(number: str | None) -> str | None:
    """Return the id of the call that an event is; its number alone could be that of a call of a model."""
    return None if number is None else f"event {number}"


def find_events(folder: Path) -> list[Path]:
    """Find the files of a folder that hold an event each, in their order; none where the first of them is no event."""
    numbers = {path: _EVENT_FILE.fullmatch(path.name) for path in folder.iterdir() if path.is_file()}
    found = [(int(match[1]), path) for path, match in numbers.items() if match and len(match[1]) < 19]
    files = [path for _, path in sorted(found)]
    try:
        return files if any(_is_event(row.value) for row in read_events(files[:1])) else []
    except InvalidInputError:
        return []


def read_events(files: Iterable[Path]) -> Iterator[Row]:
    """Yield the events of files that hold one each. Raises `InvalidInputError` for a file that is no JSON."""
    for file in files:
        yield from read_rows(file)


OPENHANDS = Format("openhands", recognize, read)
