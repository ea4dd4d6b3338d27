"""mini-swe-agent's `.traj.json`: `messages` and `info`, or a list of messages alone.

Its versions differ in what a message is: text with a block of bash, answered by a user's message; OpenAI's tool calls;
or answers and items of OpenAI's Responses API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentcompress.corpora.rows import Row
from agentcompress.corpora.trajectories.codex import add_item
from agentcompress.corpora.trajectories.conversation import Conversation
from agentcompress.corpora.trajectories.shapes import (
    get_id,
    get_list,
    get_object,
    get_objects,
    get_word,
    read_call,
    read_text,
)
from agentcompress.corpora.trajectories.trajectory import Format, check_object, number_parts

_ACTION = "action"  # the id of calls that are texts: the user's message behind one is its result
_BLOCK = re.compile(r"```(?:mswea_bash_command|bash)\s*\n(.*?)\n```", re.DOTALL)


def recognize(value: Any) -> bool:
    """Tell whether a row is a trajectory of mini-swe-agent."""
    messages = get_objects(value, "messages")
    if get_word(value, "role") and "content" in value:
        return True
    if not messages or not (get_word(messages[0], "role") or get_word(messages[0], "type")):
        return False
    return "mini-swe-agent" in get_word(value, "trajectory_format") or bool(get_object(value, "info"))


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the trajectory of every row with messages, and the one that all other rows are the messages of."""
    bare = Conversation()
    for row in rows:
        value, conversation = check_object(row), Conversation()
        if "messages" not in value:
            _add_message(bare, value)
            continue
        for message in get_objects(value, "messages"):
            _add_message(conversation, message)
        yield from number_parts(get_id(value, "instance_id") or name, [conversation.write_messages()])
    yield from number_parts(name, [bare.write_messages()])


def _add_message(conversation: Conversation, message: Mapping[str, Any]) -> None:
    role, text = get_word(message, "role"), read_text(message.get("content"))
    if not role:
        for item in get_objects(message, "output") if message.get("object") == "response" else [message]:
            add_item(conversation, item)
    elif role == "assistant":
        _add_turn(conversation, message, text)
    elif role == "tool":
        conversation.add_result(get_id(message, "tool_call_id"), text)
    elif role == "system" or (role == "user" and not conversation.add_result(_ACTION, text)):
        conversation.add_message(role, text)


def _add_turn(conversation: Conversation, message: Mapping[str, Any], text: str) -> None:
    """Add what the model said and called. A block of bash is its call, if it is the only one: else none was run."""
    conversation.open_turn()
    blocks = list(_BLOCK.finditer(text))
    if get_list(message, "tool_calls") or len(blocks) != 1:
        conversation.add_words(text)
        for call in get_objects(message, "tool_calls"):
            conversation.add_call(*read_call(call))
        return
    block = blocks[0]
    conversation.add_words(f"{text[: block.start()].rstrip()}{text[block.end() :].rstrip()}")
    conversation.add_call(_ACTION, "bash", {"command": block[1]})


MINI_SWE_AGENT = Format("mini-swe-agent", recognize, read)
