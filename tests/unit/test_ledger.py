"""One contract for every store, and what each does when it is damaged, down, or too old."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.cli.main import main
from agentcompress.errors import ConfigError, StoreError
from agentcompress.ledger import sqlite
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_lasting_store, open_store
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.protocols import Store
from agentcompress.schema import Decision, Span
from tests.fakes import FlakyStore
from tests.processes import race
from tests.texts import any_text

DAY_S = 86_400.0
A = Decision("short", None, 100, 10, "lexical")
B = Decision("other", "why", 100, 12, "calibrated")
RAW = Decision.raw("under min_tokens", 7)
SPANS = Decision("short", None, 100, 10, "lexical", (Span(0, 3), Span(70, 71)))
NOTHING_KEPT = Decision("[...]", None, 100, 1, "lexical", ())

MAKERS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: MemoryStore(),
    "sqlite": lambda folder: SQLiteStore(folder / "new" / "ledger.db"),
    "fronted": lambda folder: FrontedStore(SQLiteStore(folder / "ledger.db")),
    "behind a front": lambda folder: _Behind(folder / "ledger.db"),
}


class _Behind:
    """Reads what it writes through another front: what is in a memory does not count."""

    def __init__(self, path: Path) -> None:
        self._store = SQLiteStore(path)

    def get(self, key: str) -> Decision | None:
        return FrontedStore(self._store).get(key)

    def put(self, key: str, decision: Decision) -> Decision:
        return FrontedStore(self._store).put(key, decision)


@pytest.fixture(params=MAKERS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MAKERS[request.param](tmp_path)


class TestContract:
    def test_what_was_not_decided_is_not_there(self, any_store: Store) -> None:
        assert any_store.get("a") is None

    @pytest.mark.parametrize("decision", [A, B, RAW, SPANS, NOTHING_KEPT])
    def test_what_is_written_is_read_back(self, any_store: Store, decision: Decision) -> None:
        assert any_store.put("a", decision) == decision
        assert any_store.get("a") == decision
        assert any_store.get("b") is None

    def test_the_first_writer_wins(self, any_store: Store) -> None:
        any_store.put("a", A)
        assert any_store.put("a", B) == A
        assert any_store.get("a") == A

    def test_many_threads_agree(self, any_store: Store) -> None:
        found: list[str | None] = []

        def decide(i: int) -> None:
            for key in range(20):
                found.append(any_store.put(str(key), Decision(f"{key} by {i}", None, 2, 1, None)).text)

        threads = [threading.Thread(target=decide, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 160
        assert len(set(found)) == 20


@given(text=any_text, reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back(text: str, reason: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    decision = Decision(text, reason, 2, 1, "lexical")
    for make in MAKERS.values():
        made = make(tmp_path_factory.mktemp("store"))
        made.put("k", decision)
        assert made.get("k") == decision


def _put_fifty(path: str, i: int) -> list[str | None]:
    mine = SQLiteStore(path)
    return [mine.put(str(key), Decision(f"{key} by {i}", None, 2, 1, None)).text for key in range(50)]


def test_eight_processes_agree(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    found = race(_put_fifty, [(path, i) for i in range(8)])
    assert all(answer == found[0] for answer in found)
    assert SQLiteStore(path).stats().decisions == 50


class TestSQLite:
    def test_another_process_and_a_restart_read_it(self, tmp_path: Path) -> None:
        SQLiteStore(tmp_path / "l.db").put("a", A)
        again = SQLiteStore(str(tmp_path / "l.db"))
        assert again.get("a") == A
        assert (tmp_path / "l.db").stat().st_mode & 0o077 == 0
        again.close()
        assert again.get("a") == A

    def test_a_file_that_another_process_has_put_right_is_not_set_aside(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = SQLiteStore(tmp_path / "l.db")
        mine.put("a", A)
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        calls, works = iter([error]), mine._in_transaction

        def once(work: Any) -> Any:
            for failure in calls:
                raise failure
            return works(work)

        monkeypatch.setattr(mine, "_in_transaction", once)
        assert mine.get("a") == A
        assert not list(tmp_path.glob("*damaged*"))

    def test_a_damaged_file_is_set_aside(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path, damage = tmp_path / "l.db", b"SQLite format 3\0" + b"\7" * 4096
        path.write_bytes(damage)
        with caplog.at_level(logging.WARNING, "agentcompress"):
            mine = SQLiteStore(path)
            mine.put("a", A)
        assert mine.get("a") == A
        assert (tmp_path / "l.db.damaged-1").read_bytes() == damage
        assert "set aside as l.db.damaged-1" in caplog.text

    def test_a_file_that_is_damaged_later_is_set_aside_too(self, tmp_path: Path) -> None:
        path = tmp_path / "l.db"
        mine = SQLiteStore(path)
        for i in range(300):
            mine.put(f"{i}", Decision("x" * 500, None, 2, 1, None))
        mine._connect().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\7" * (path.stat().st_size - 8192))
        again = SQLiteStore(path)
        for i in range(300):
            again.put(f"new {i}", A)
        assert again.get("new 7") == A
        assert (tmp_path / "l.db.damaged-1").exists()

    def test_a_file_of_somebody_elses_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("These are my notes, and no database." * 40, encoding="utf-8")
        with pytest.raises(StoreError, match="is no SQLite file"):
            SQLiteStore(path).stats()
        assert path.read_text(encoding="utf-8").startswith("These are my notes")

    def test_an_older_schema_is_brought_up_to_date(self, tmp_path: Path) -> None:
        old = sqlite3.connect(tmp_path / "l.db")
        old.execute(sqlite._MIGRATIONS[0])
        old.execute("INSERT INTO decisions VALUES ('a', CAST('short' AS BLOB), NULL, 100, 10, 'lexical', 5.0)")
        old.execute("PRAGMA user_version = 1")
        old.commit()
        old.close()
        mine = SQLiteStore(tmp_path / "l.db")
        assert mine.get("a") == A
        (entry,) = mine.entries(9)
        assert entry.seen == entry.made == 5.0

    def test_a_newer_schema_is_left_alone(self, tmp_path: Path) -> None:
        new = sqlite3.connect(tmp_path / "l.db")
        new.execute("PRAGMA user_version = 99")
        new.commit()
        new.close()
        with pytest.raises(StoreError, match="of version 99, newer than 3: upgrade agentcompress"):
            SQLiteStore(tmp_path / "l.db").get("a")

    def test_a_folder_that_cannot_be_written_to_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x", encoding="utf-8")
        with pytest.raises(StoreError, match="ledger"):
            SQLiteStore(tmp_path / "file" / "l.db").get("a")

    def test_a_full_disk_is_an_error_and_loses_nothing(self, tmp_path: Path) -> None:
        mine = SQLiteStore(tmp_path / "l.db")
        mine.put("a", A)
        mine._connect().execute("PRAGMA max_page_count = 8")
        with pytest.raises(StoreError, match="full"):
            mine.put("b", Decision("x" * 100_000, None, 2, 1, None))
        assert mine.get("a") == A
        assert mine.get("b") is None

    def test_prune_drops_the_unseen_and_never_the_seen(self, tmp_path: Path) -> None:
        clock = [1_000_000_000.0]
        mine = SQLiteStore(tmp_path / "l.db", clock=lambda: clock[0])
        for key in "abcd":
            mine.put(key, Decision(key * 1000, None, 2, 1, None))
            clock[0] += DAY_S
        mine.touch(["a"])
        assert mine.prune(older_than_s=60 * DAY_S, max_bytes=None, keep_s=DAY_S) == 0
        assert mine.prune(older_than_s=2.5 * DAY_S, max_bytes=None, keep_s=10 * DAY_S) == 0
        assert mine.prune(older_than_s=2.5 * DAY_S, max_bytes=None, keep_s=DAY_S / 2) == 1
        assert [mine.get(key) is None for key in "abcd"] == [False, True, False, False]
        assert mine.prune(older_than_s=60 * DAY_S, max_bytes=2500, keep_s=DAY_S / 2) == 1
        assert [mine.get(key) is None for key in "abcd"] == [False, True, True, False]
        assert mine.prune(older_than_s=0, max_bytes=0, keep_s=2 * DAY_S) == 0


class TestFronted:
    def test_what_was_sent_stays_when_the_store_goes_and_comes_back(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = [1000.0]
        behind = FlakyStore(error=ConnectionError)
        mine = FrontedStore(behind, clock=lambda: clock[0])
        mine.put("a", A)
        behind.is_down = True
        with pytest.raises(StoreError, match="gone"):
            mine.get("b")
        assert mine.get("a") == A
        assert mine.put("b", RAW) == RAW
        asked = behind.asked
        with pytest.raises(StoreError, match="down"):
            mine.get("c")
        assert behind.asked == asked  # left alone for a while
        behind.is_down = False
        clock[0] += 60
        assert mine.get("c") is None
        assert mine.get("b") == RAW
        assert behind.inner.get("b") == RAW  # written when it was back
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]

    def test_a_store_hears_now_and_then_that_a_decision_is_in_use(self) -> None:
        clock = [1000.0]
        behind = FlakyStore(error=ConnectionError)
        mine = FrontedStore(behind, clock=lambda: clock[0])
        mine.put("a", A)
        for hours, touched in ((0, 1), (0.5, 1), (1.1, 2)):
            clock[0] = 1000 + hours * 3600
            mine.get("a")
            assert behind.touched == ["a"] * touched
        FrontedStore(behind).get("a")  # after a restart
        assert behind.touched == ["a"] * 3


class TestOpening:
    def test_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert open_lasting_store("memory") is None
        assert isinstance(open_store("memory"), MemoryStore)
        named = open_lasting_store(str(tmp_path / "x.db"))
        assert isinstance(named, SQLiteStore)
        assert named.path == tmp_path / "x.db"
        monkeypatch.setenv("AGENTCOMPRESS_LEDGER", str(tmp_path / "y.db"))
        assert open_lasting_store().path == tmp_path / "y.db"  # type: ignore[union-attr]
        monkeypatch.delenv("AGENTCOMPRESS_LEDGER")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        assert open_lasting_store().path.name == "ledger.db"  # type: ignore[union-attr]
        assert not os.listdir(tmp_path)  # noqa: PTH208 - nothing is made before it is used

    def test_from_the_command_line(self, tmp_path: Path) -> None:
        path = str(tmp_path / "l.db")
        SQLiteStore(path).put("a", A)
        SQLiteStore(path).put("b", RAW)
        run = CliRunner().invoke

        stats = json.loads(run(main, ["ledger", "--ledger", path, "stats"]).output)
        assert (stats["decisions"], stats["compressed"], stats["tokens_before"], stats["tokens_after"]) == (
            2,
            1,
            107,
            17,
        )
        lines = [json.loads(line) for line in run(main, ["ledger", "--ledger", path, "show"]).output.splitlines()]
        assert {line["key"] for line in lines} == {"a", "b"}
        assert all("text" not in line["decision"] for line in lines)
        shown = run(main, ["ledger", "--ledger", path, "show", "--text", "-n", "9"]).output
        assert '"text": "short"' in shown
        pruned = run(main, ["ledger", "--ledger", path, "prune", "--older-than", "0", "--keep-days", "0"])
        assert pruned.output == "dropped 2\n"
        assert "gone when its process is" in run(main, ["ledger", "--ledger", "memory", "stats"]).output


@pytest.mark.parametrize("name", ["postgres://host/db", "http://localhost", "sqlite:///x.db"])
def test_a_url_of_no_store_says_so(name: str) -> None:
    with pytest.raises(ConfigError, match="ledger must be auto, memory, an SQLite file, or a URL with redis://"):
        open_store(name)
