"""SWE-agent's `.traj`: `history`, the messages, and `trajectory`, the steps with thought, action and observation.

Where the model has no tools, its action is a text in its answer and the observation a user's message; both are made a
call of bash and its result here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentcompress.corpora.rows import Row
from agentcompress.corpora.trajectories.conversation import Conversation
from agentcompress.corpora.trajectories.shapes import get_id, get_list, get_objects, get_word, read_call, read_text
from agentcompress.corpora.trajectories.trajectory import Format, check_object, number_parts

_ACTION = "action"  # the id of calls that are texts: the user's message behind one is its result


def recognize(value: Any) -> bool:
    """Tell whether a row is a trajectory of SWE-agent."""
    history, steps = get_objects(value, "history"), get_objects(value, "trajectory")
    return bool(history and get_word(history[0], "role")) or bool(
        steps and {"action", "observation"} <= steps[0].keys()
    )


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the trajectory of every row: its history, or its steps where there is none."""
    for row in rows:
        value, conversation = check_object(row), Conversation()
        history = get_objects(value, "history")
        for message in history:
            _add_message(conversation, message)
        for step in () if history else get_objects(value, "trajectory"):
            _add_turn(conversation, step, get_word(step, "thought") or get_word(step, "response"))
            conversation.add_result(_ACTION, read_text(step.get("observation")))
        yield from number_parts(get_id(value, "instance_id") or name, [conversation.write_messages()])


def _add_message(conversation: Conversation, message: Mapping[str, Any]) -> None:
    role, text = get_word(message, "role"), read_text(message.get("content"))
    if role == "assistant":
        has_calls = bool(get_list(message, "tool_calls"))
        _add_turn(conversation, message, text if has_calls else get_word(message, "thought") or text)
    elif role == "tool":
        ids = [str(identity) for identity in get_list(message, "tool_call_ids") if isinstance(identity, str | int)]
        for identity in ids or [get_id(message, "tool_call_id")]:
            conversation.add_result(identity, text)
    elif role == "system" or get_word(message, "message_type") in ("system_prompt", "demonstration"):
        conversation.add_message("system" if role == "system" else "user", text)
    elif not conversation.add_result(_ACTION, text):
        conversation.add_message("user", text)


def _add_turn(conversation: Conversation, message: Mapping[str, Any], words: str) -> None:
    """Add what the model said and called; an action is a call where there is no other."""
    conversation.open_turn()
    conversation.add_words(words)
    calls = get_objects(message, "tool_calls")
    for call in calls:
        conversation.add_call(*read_call(call))
    action = get_word(message, "action").strip()
    if action and not calls:
        conversation.add_call(_ACTION, "bash", {"command": action})


SWE_AGENT = Format("swe-agent", recognize, read)
