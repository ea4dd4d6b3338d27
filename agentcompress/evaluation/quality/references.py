"""What later steps of a recorded agent really took from a tool result: its references.

A reference stands in the result and nowhere before it, and one of the next six assistant messages puts it to use
(`agentcompress.accounting.quotes`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agentcompress.accounting.quotes import find_used_in_arguments, find_used_in_words
from agentcompress.conversation.blocks import write_action_query
from agentcompress.corpora.trajectories import Trajectory
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence

_LEAST_CHARS = 1500
_HORIZON = 6


def is_trajectory(row: Any) -> bool:
    """Tell whether a row's context is a conversation with tool results."""
    context = row.get("context") if isinstance(row, Mapping) else None
    return isinstance(context, list) and any(isinstance(m, Mapping) and m.get("role") == "tool" for m in context)


def find_cases(trajectory: Trajectory) -> Iterator[EvalItem]:
    """Yield an item for every long tool result of a trajectory that later steps refer to."""
    messages = trajectory.context
    said = [_render_message(message) for message in messages]
    for step, message in enumerate(messages):
        text = message.get("content") or ""
        if message["role"] != "tool" or len(text) < _LEAST_CHARS:
            continue
        before = "\n".join(said[:step])
        later = [m for m in messages[step + 1 :] if m["role"] == "assistant"][:_HORIZON]
        used = {string for m in later for string in find_references(m)}
        references = sorted(string for string in used if string in text and string not in before)
        if references:
            task = next((s for m, s in zip(messages, said, strict=True) if m["role"] == "user"), "")
            action = next((said[i] for i in range(step - 1, -1, -1) if messages[i]["role"] == "assistant"), "")
            yield EvalItem(
                id=f"{trajectory.id}:{step}",
                text=text,
                query=write_action_query(task, action),
                evidence=Evidence(strings=tuple(references)),
                tool_result=True,
            )


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
