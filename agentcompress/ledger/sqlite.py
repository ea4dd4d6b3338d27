"""Decisions in an SQLite file: one machine, many processes, restarts.

Write-ahead logging, so that readers never wait; the first writer of a key wins, whatever process it is in.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from agentcompress.errors import StoreError
from agentcompress.ledger.fronted import Entry, Stats
from agentcompress.ledger.notes import ORIGINAL, SENT
from agentcompress.ledger.spans import decode_spans, encode_spans
from agentcompress.schema import Decision

_log = logging.getLogger("agentcompress")
_T = TypeVar("_T")

_MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE decisions (
        key TEXT PRIMARY KEY, text BLOB, reason TEXT, tokens_before INTEGER NOT NULL, tokens_after INTEGER NOT NULL,
        scorer TEXT, made REAL NOT NULL
    );
    """,
    """
    ALTER TABLE decisions ADD COLUMN seen REAL NOT NULL DEFAULT 0;
    UPDATE decisions SET seen = made;
    CREATE INDEX decisions_seen ON decisions (seen);
    """,
    """
    ALTER TABLE decisions ADD COLUMN spans TEXT;
    """,
)
"""The schema, a step a version; a file of an older one is brought up to date when it is opened."""

_OF_BLOCKS = " AND ".join(f"key NOT LIKE '{prefix}%'" for prefix in (SENT, ORIGINAL))
_COLUMNS = "text, reason, tokens_before, tokens_after, scorer, spans"
_BUSY_S = 2.0
_KEYS_AT_ONCE = 500
_HEADER = b"SQLite format 3\0"

_inherited: list[sqlite3.Connection] = []
"""Connections of the process this one was forked from."""


def find_state_file() -> Path:
    """Where decisions are kept unless said otherwise: in the user's state folder."""
    import platformdirs

    return Path(platformdirs.user_state_dir("agentcompress", appauthor=False)) / "ledger.db"


class SQLiteStore:
    """A `Store` in a file, made where it is not there. Safe in several threads and processes.

    A damaged file is set aside under another name, with a warning, and a new one begun: what was decided there is lost.
    Every other failure is a `StoreError`; so are a file of a newer version, and one that never was a database.

    path: by default in the user's state folder. clock: seconds since the epoch.
    """

    def __init__(self, path: Path | str | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path) if path is not None else find_state_file()
        self._clock = clock
        self.place = str(self.path.absolute())
        self._local = threading.local()
        self._opening = threading.Lock()

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, or None."""
        row = self._run(lambda c: c.execute(f"SELECT {_COLUMNS} FROM decisions WHERE key = ?", (key,)).fetchone())
        return _read_decision(row) if row else None

    def get_many(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are under these keys."""
        found: dict[str, Decision] = {}
        for i in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[i : i + _KEYS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"SELECT key, {_COLUMNS} FROM decisions WHERE key IN ({marks})"
            rows = self._run(lambda c, query=query, some=some: c.execute(query, some).fetchall())
            found.update({key: _read_decision(fields) for key, *fields in rows})
        return found

    def put(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there now."""
        text = None if decision.text is None else decision.text.encode("utf-8", "surrogatepass")
        now = self._clock()
        values = (
            key,
            text,
            decision.reason and decision.reason.encode("utf-8", "replace").decode(),
            decision.tokens_before,
            decision.tokens_after,
            decision.scorer,
            encode_spans(decision.spans),
            now,
            now,
        )

        def write(connection: sqlite3.Connection) -> Decision:
            connection.execute(
                f"INSERT INTO decisions (key, {_COLUMNS}, made, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO NOTHING",
                values,
            )
            return _read_decision(
                connection.execute(f"SELECT {_COLUMNS} FROM decisions WHERE key = ?", (key,)).fetchone()
            )

        return self._run(write)

    def touch(self, keys: Sequence[str]) -> None:
        """Note that the conversation of these keys was seen now."""
        now = self._clock()
        self._run(lambda c: c.executemany("UPDATE decisions SET seen = ? WHERE key = ?", [(now, k) for k in keys]))

    def entries(self, limit: int) -> Iterator[Entry]:
        """The decisions seen last, newest first."""
        rows = self._run(
            lambda c: c.execute(
                f"SELECT key, {_COLUMNS}, made, seen FROM decisions WHERE {_OF_BLOCKS} ORDER BY seen DESC, key LIMIT ?",
                (limit,),
            ).fetchall()
        )
        for key, *fields, made, seen in rows:
            yield Entry(key, _read_decision(fields), made, seen)

    def stats(self) -> Stats:
        """How many decisions there are, and what they take and save."""
        row = self._run(
            lambda c: c.execute(
                f"SELECT COALESCE(SUM({_OF_BLOCKS}), 0), COALESCE(SUM({_OF_BLOCKS} AND text IS NOT NULL), 0),"
                " COALESCE(SUM(LENGTH(text)), 0), COALESCE(SUM(tokens_before), 0),"
                " COALESCE(SUM(tokens_after), 0), MIN(made), MAX(seen) FROM decisions"
            ).fetchone()
        )
        return Stats(*row)

    def prune(self, *, older_than_s: float, max_bytes: int | None, keep_s: float) -> int:
        """Drop decisions not seen for so long, then the longest unseen ones until the texts fit; return how many.

        Never one that was seen in the last `keep_s` seconds: a conversation repeats all of its decisions in every
        call, so that all of it is kept, or was not seen.
        """
        now = self._clock()

        def drop(connection: sqlite3.Connection) -> int:
            latest = now - keep_s
            dropped = connection.execute(
                "DELETE FROM decisions WHERE seen < ?", (min(latest, now - older_than_s),)
            ).rowcount
            if max_bytes is not None:
                dropped += connection.execute(
                    "DELETE FROM decisions WHERE seen < ? AND key IN (SELECT key FROM (SELECT key, SUM(LENGTH(key) +"
                    " COALESCE(LENGTH(text), 0)) OVER (ORDER BY seen DESC, key) AS total FROM decisions)"
                    " WHERE total > ?)",
                    (latest, max_bytes),
                ).rowcount
            return dropped

        return self._run(drop)

    def close(self) -> None:
        """Close this thread's connection; the next call opens it again."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with _raise_store_error(self.path):
            try:
                return self._in_transaction(work)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                self.close()
                with self._opening:
                    if not _is_sound(self.path):  # else another process has set it aside meanwhile
                        _set_aside(self.path, error)
                return self._in_transaction(work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection = self._connect()
        with connection:
            return work(connection)

    def _connect(self) -> sqlite3.Connection:
        """This thread's connection; a forked child opens its own."""
        known = getattr(self._local, "connection", None)
        if known is not None and self._local.process == os.getpid():
            return known
        if known is not None:
            _inherited.append(known)  # closing it here would drop the parent's locks
        with self._opening:
            connection = _open_database(self.path)
        self._local.connection, self._local.process = connection, os.getpid()
        return connection


@contextmanager
def _raise_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"ledger {path}: {error}") from error


def _open_database(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)  # what agents read is nobody else's business
    connection = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise StoreError(f"ledger {path} is of version {version}, newer than {len(_MIGRATIONS)}: upgrade agentcompress")
    if version == len(_MIGRATIONS):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been faster
        for step in _MIGRATIONS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _is_sound(path: Path) -> bool:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)
        try:
            return connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return False


def _set_aside(path: Path, error: Exception) -> None:
    """Rename a damaged database, and what belongs to it; a file that was never one is somebody's: `StoreError`."""
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise StoreError(f"ledger {path} is no SQLite file")
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    _log.warning("ledger %s can't be read (%s): set aside as %s, a new one is begun", path, error, aside.name)
    for suffix in ("-wal", "-shm"):  # before a new one can be made
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(aside)


def _read_decision(row: Sequence[object]) -> Decision:
    text, reason, before, after, scorer, spans = row
    decoded = text.decode("utf-8", "surrogatepass") if isinstance(text, bytes) else None
    return Decision(decoded, reason, before, after, scorer, decode_spans(spans))  # type: ignore[arg-type]
