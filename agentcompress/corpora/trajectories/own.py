"""Our own JSON Lines: a trajectory a line, `{"id", "context"}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentcompress.corpora.rows import Row
from agentcompress.corpora.trajectories.shapes import get_objects, read_call, read_text
from agentcompress.corpora.trajectories.trajectory import Format
from agentcompress.errors import InvalidInputError

_ALLOWED = "a trajectory: context, a list of messages"


def recognize(value: Any) -> bool:
    """Tell whether a row has a context."""
    return isinstance(value, Mapping) and "context" in value


def read(rows: Iterable[Row], name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the trajectory of every row; one without an id is called by its number."""
    for row in rows:
        context = check_trajectory(row)
        yield str(row.value.get("id", row.number)), [_read_message(message) for message in context]


def check_trajectory(row: Row) -> list[Mapping[str, Any]]:
    """Return the messages of a row as they are. Raises `InvalidInputError` for a row that is no trajectory."""
    context = row.value.get("context") if isinstance(row.value, Mapping) else None
    if not isinstance(context, list) or not all(map(_is_message, context)):
        raise InvalidInputError(row.where, row.value, _ALLOWED)
    return context


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str | list | None)
        and isinstance(message.get("tool_calls"), list | None)
    )


def _read_message(message: Mapping[str, Any]) -> dict[str, Any]:
    read_calls = [read_call(call) for call in get_objects(message, "tool_calls")]
    calls = [{"name": called, "arguments": arguments} for _, called, arguments in read_calls]
    return {
        "role": message["role"],
        "content": read_text(message.get("content")),
        **({"tool_calls": calls} if calls else {}),
    }


OWN = Format("agentcompress", recognize, read)
