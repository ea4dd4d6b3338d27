"""From a file or folder to the recorded agents in it, whatever wrote them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

from agentcompress.corpora.rows import Row, read_rows
from agentcompress.corpora.trajectories.formats import FORMATS, KNOWN
from agentcompress.corpora.trajectories.opencode import OPENCODE, is_store, read_store
from agentcompress.corpora.trajectories.openhands import OPENHANDS, find_events, read_events
from agentcompress.corpora.trajectories.trajectory import Format, Trajectory
from agentcompress.errors import InvalidInputError, describe_without_values

_log = logging.getLogger("agentcompress")

ENDINGS = (".jsonl", ".json", ".traj")
"""What session files are called; each may be gzipped, with .gz behind."""

_MOST_PEEKED = 100  # rows that tell nothing stand before those that do: settings, snapshots


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """Yield the recorded agents of a session file, or of all session files below a folder, in the order of names.

    A file's format is told by its first rows. JSON Lines are read a line at a time, and a last line that is still being
    written is left out with a warning. In a folder, so is what is no session, all of them in one. Raises
    `InvalidInputError` for a path that isn't there, a file of no known format, an empty one, a line that is no JSON,
    and a folder without any session.
    """
    if path.is_dir():
        try:
            yield from _read_folder(path)
        except OSError as error:
            raise InvalidInputError("folder", str(error), "one that can be read") from error
    elif path.is_file():
        yield from _read_file(path)
    else:
        raise InvalidInputError("file", str(path), "a file or folder that exists")


def find_format(path: Path) -> str | None:
    """Return the name of the format that a file is of; None where it is none that is known.

    Raises `InvalidInputError` where its first rows are no JSON.
    """
    with closing(read_rows(path, live=True)) as rows:
        found = next((found for row in islice(rows, _MOST_PEEKED) if (found := _recognize(row))), None)
    return found.name if found else None


def _read_file(path: Path) -> Iterator[Trajectory]:
    with closing(read_rows(path, live=True)) as rows:
        found, peeked = _identify(path, rows)
        yield from _convert(found, chain(peeked, rows), _strip_endings(path))


def _identify(path: Path, rows: Iterator[Row]) -> tuple[Format, list[Row]]:
    """Return the format of a file, and the rows that were read to tell. Raises `InvalidInputError` where it is none."""
    peeked: list[Row] = []
    for row in islice(rows, _MOST_PEEKED):
        peeked.append(row)
        if found := _recognize(row):
            return found, peeked
    if not peeked:
        raise InvalidInputError("file", path.name, "a file that is not empty")
    raise InvalidInputError(peeked[0].where, peeked[0].value, f"a trajectory: {KNOWN}")


def _recognize(row: Row) -> Format | None:
    return next((known for known in FORMATS if known.recognize(row.value)), None)


def _convert(found: Format, rows: Iterator[Row], name: str) -> Iterator[Trajectory]:
    for identity, context in found.read(rows, name):
        yield Trajectory(identity, context, found.name)


def _strip_endings(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    for ending in (".traj.json", *ENDINGS):
        if name.endswith(ending):
            return name.removesuffix(ending) or path.name
    return name


def _read_folder(folder: Path) -> Iterator[Trajectory]:
    skipped: list[tuple[Path, InvalidInputError]] = []
    found = False
    for path, trajectories in _find_sessions(folder):
        try:
            for trajectory in trajectories:
                found = True
                yield trajectory
        except InvalidInputError as error:
            skipped.append((path, error))
    if skipped:
        path, error = skipped[0]
        _log.warning(
            "%d files in %s are left out, the first is %s: %s",
            *(len(skipped), folder.name, path.relative_to(folder), describe_without_values(error)),
        )
    if not found:
        raise InvalidInputError("folder", str(folder), f"one with session files: {KNOWN}")


def _find_sessions(folder: Path) -> Iterator[tuple[Path, Iterator[Trajectory]]]:
    """Yield what may hold sessions, each with what reads it: all files of a folder, and then of its folders."""
    if is_store(folder):
        yield folder, _convert(OPENCODE, read_store(folder), folder.name)
        return
    events = find_events(folder)
    if events:
        name = folder.parent.name if folder.name == "events" else folder.name
        yield folder, _convert(OPENHANDS, read_events(events), name)
    inside = sorted(set(folder.iterdir()) - set(events))
    for file in inside:
        if file.is_file():
            yield file, _read_called(file)
    for below in inside:
        if below.is_dir() and not below.is_symlink():  # a link may lead back up
            yield from _find_sessions(below)


def _read_called(file: Path) -> Iterator[Trajectory]:
    """Yield the agents of a file that is called like a session: in a folder may be anything, of any size."""
    if not file.name.removesuffix(".gz").endswith(ENDINGS):
        raise InvalidInputError("file", file.name, f"called {', '.join(ENDINGS)}, gzipped or not")
    yield from _read_file(file)
