"""What later steps of a recorded agent really took from a tool result: its references.

A reference stands in the result and nowhere before it, and one of the next six assistant messages puts it to use
(`agentcompress.accounting.quotes`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentcompress.accounting.quotes import find_used_in_arguments, find_used_in_words
from agentcompress.conversation.blocks import write_action_query
from agentcompress.corpora.trajectories import Trajectory
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence
from agentcompress.schema import Reading

_LEAST_CHARS = 1500
NEXT_STEPS = 6
"""What so many of the assistant's messages behind a result use, its next steps use."""


def is_trajectory(row: Any) -> bool:
    """Tell whether a row's context is a conversation with tool results."""
    context = row.get("context") if isinstance(row, Mapping) else None
    return isinstance(context, list) and any(isinstance(m, Mapping) and m.get("role") == "tool" for m in context)


def find_cases(trajectory: Trajectory) -> Iterator[EvalItem]:
    """Yield an item for every long tool result of a trajectory that later steps refer to."""
    messages = trajectory.context
    said = [_render_message(message) for message in messages]
    for step, references in find_used_later(messages, NEXT_STEPS):
        task = next((s for m, s in zip(messages, said, strict=True) if m["role"] == "user"), "")
        action = next((said[i] for i in range(step - 1, -1, -1) if messages[i]["role"] == "assistant"), "")
        query = write_action_query(task, action)
        words, tool, arguments = _find_call(messages, step)
        yield EvalItem(
            id=f"{trajectory.id}:{step}",
            text=messages[step].get("content") or "",
            query=query,
            evidence=Evidence(strings=references),
            tool_result=True,
            told=Reading(query, task, words, tool, arguments, tuple(said[:step])),
        )


def _find_call(messages: Sequence[Mapping[str, Any]], step: int) -> tuple[str, str, str]:
    """What the assistant said before a result, and the tool and the arguments of the call that it answers."""
    at = next((i for i in range(step - 1, -1, -1) if messages[i]["role"] != "tool"), -1)
    caller = messages[at] if at >= 0 and messages[at]["role"] == "assistant" else {}
    call = dict(enumerate(caller.get("tool_calls") or ())).get(step - at - 1, {})
    arguments = call.get("arguments") or ""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return caller.get("content") or "", str(call.get("name") or "act"), written


def find_used_later(messages: Sequence[Mapping[str, Any]], horizon: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield every long tool result that is used, as its message's number, and the strings that are, sorted.

    messages: of a `Trajectory`. horizon: how many of the assistant's messages behind a result count; beyond the sixth,
    what another tool's result has shown again in between does not.
    """
    said = [_render_message(message) for message in messages]
    used = [frozenset(find_references(m)) if m["role"] == "assistant" else frozenset() for m in messages]
    for step, message in enumerate(messages):
        text = message.get("content") or ""
        if message["role"] != "tool" or len(text) < _LEAST_CHARS:
            continue
        before = "\n".join(said[:step])
        found = {
            string
            for string, shown in _follow_uses(messages, said, used, step, horizon)
            if string in text and string not in before and not any(string in later for later in shown)
        }
        if found:
            yield step, tuple(sorted(found))


def _follow_uses(
    messages: Sequence[Mapping[str, Any]],
    said: Sequence[str],
    used: Sequence[frozenset[str]],
    step: int,
    horizon: int,
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what the next steps use, and what has been shown in between, for those beyond the near ones."""
    steps, shown = 0, []
    for at in range(step + 1, len(messages)):
        if messages[at]["role"] == "tool":
            shown.append(said[at])
        elif messages[at]["role"] == "assistant":
            steps += 1
            if steps > horizon:
                return
            yield from ((string, shown if steps > NEXT_STEPS else ()) for string in used[at])


def _render_message(message: Mapping[str, Any]) -> str:
    calls = [
        f"{call.get('name', '')} {json.dumps(call.get('arguments'), ensure_ascii=False)}"
        for call in message.get("tool_calls") or ()
    ]
    return "\n".join([message.get("content") or "", *calls])


def find_references(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield strings that an assistant's message puts to use, in its words or its calls."""
    yield from find_used_in_words(message.get("content") or "")
    for call in message.get("tool_calls") or ():
        yield from find_used_in_arguments(call.get("arguments"))
