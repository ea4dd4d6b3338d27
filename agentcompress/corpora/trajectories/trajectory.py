"""What is read of a session file, and what a format is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.corpora.rows import Row
from agentcompress.errors import InvalidInputError


@dataclass(frozen=True)
class Trajectory:
    """A recorded agent.

    context: its messages: `role`, `content` (a string), and on assistant messages with calls `tool_calls`, a list of
    `name` and `arguments` (an object or a string). Results are messages of the role "tool"; they stand behind the
    message that called, in the order of its calls. source: the name of the format it was read from.
    """

    id: str
    context: Sequence[Mapping[str, Any]]
    source: str


@dataclass(frozen=True)
class Format:
    """A format of session files.

    recognize: whether a JSON value is a row of this format. read: the sessions in a file's rows, each with its id;
    `name` is the file's, without its endings. It raises nothing but `InvalidInputError`, whatever the rows hold.
    """

    name: str
    recognize: Callable[[Any], bool]
    read: Callable[[Iterable[Row], str], Iterator[tuple[str, list[dict[str, Any]]]]]


def check_object(row: Row) -> Mapping[str, Any]:
    """Return the value of a row. Raises `InvalidInputError` where it is no JSON object."""
    if not isinstance(row.value, Mapping):
        raise InvalidInputError(row.where, row.value, "a JSON object")
    return row.value


def number_parts(identity: str, parts: Iterable[list[dict[str, Any]]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the parts of a session that was compacted: the first under its id, later ones as `id.2`, `id.3`.

    What a model was sent after a compaction does not begin with what it was sent before: it is a session of its own.
    """
    for number, part in enumerate((part for part in parts if part), 1):
        yield (identity if number == 1 else f"{identity}.{number}"), part
