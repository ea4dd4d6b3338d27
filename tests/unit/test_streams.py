"""Pieces of work on threads: in turn, dropped in time, and nobody harmed by another's failure."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
import torch

from agentcompress.common import deadlines, progress
from agentcompress.drafts import cores
from agentcompress.drafts.streams import Streams
from agentcompress.errors import DeadlineError, InvalidInputError


def test_every_piece_is_done_once_and_progress_is_told() -> None:
    streams, done, told = Streams(3), [0] * 50, []
    with progress.listening(lambda *report: told.append(report)):
        streams.run(lambda i: done.__setitem__(i, done[i] + 1), 50, "count")
    assert done == [1] * 50
    assert told[-1] == ("count", 50, 50)
    assert [d for _, d, _ in told] == sorted(d for _, d, _ in told)
    streams.run(lambda i: pytest.fail("no pieces, no work"), 0)


def test_streams_compute_with_one_thread_and_leave_others_theirs() -> None:
    before, seen = torch.get_num_threads(), []
    Streams(2).run(lambda _: seen.append(torch.get_num_threads()), 4)
    assert seen == [1] * 4
    assert torch.get_num_threads() == before
    fresh = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    assert seen[-1] == before


def test_an_error_reaches_its_caller_and_nobody_else() -> None:
    streams, begun = Streams(1), []

    def fail(i: int) -> None:
        begun.append(i)
        if i == 2:
            raise ZeroDivisionError("third")

    with pytest.raises(ZeroDivisionError, match="third"):
        streams.run(fail, 100)
    assert begun == [0, 1, 2]
    done: list[int] = []
    streams.run(done.append, 3)
    assert done == [0, 1, 2]


def test_a_stream_works_on_its_own_batch_even_when_it_is_the_only_one() -> None:
    streams, done = Streams(1), []
    streams.run(lambda i: streams.start(lambda j: done.append((i, j)), 3).wait(), 2)
    assert sorted(done) == [(i, j) for i in range(2) for j in range(3)]


def test_an_inner_error_waits_for_the_pieces_that_have_begun() -> None:
    streams, running = Streams(2), []

    def inner(j: int) -> None:
        if j == 0:
            time.sleep(0.02)
            running.append(j)
        else:
            raise ZeroDivisionError

    def outer(_: int) -> None:
        with pytest.raises(ZeroDivisionError):
            streams.start(inner, 2).wait()
        assert running in ([0], [])  # done, or never begun: not under way
        before = list(running)
        time.sleep(0.05)
        assert running == before

    streams.run(outer, 1)


@pytest.mark.parametrize("end", ["deadline", "cancel"])
def test_work_is_dropped_before_it_starts(end: str) -> None:
    streams, gate, begun = Streams(1), threading.Event(), []
    blocker = streams.start(lambda _: gate.wait(10), 1)
    with deadlines.within(30 if end == "deadline" else 60_000) as deadline:
        if end == "cancel":
            threading.Timer(0.03, deadline.cancel).start()
        with pytest.raises(DeadlineError, match="passed" if end == "deadline" else "cancelled"):
            streams.run(begun.append, 5)  # its caller does not wait for the blocker
    gate.set()
    blocker.wait()
    streams.run(lambda _: None, 1)
    assert begun == []


def test_a_listener_that_fails_drops_the_rest() -> None:
    streams, begun = Streams(1), []

    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    def slow(i: int) -> None:
        begun.append(i)
        time.sleep(0.01)

    with progress.listening(interrupt), pytest.raises(KeyboardInterrupt):
        streams.run(slow, 200, "count")
    streams.run(lambda _: None, 1)
    assert len(begun) < 100


def test_threads_that_can_not_be_started_are_an_error_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, original = Streams(3), threading.Thread.start
    left = [0]

    def start(self: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        original(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="can't start"):
            streams.run(lambda _: None, 2)
    left[0] = 1
    done: list[int] = []
    streams.run(done.append, 5)  # one will do
    assert done == [0, 1, 2, 3, 4]


def test_a_load_that_can_not_be_told_stops_nobody() -> None:
    def broken() -> int:
        raise OSError("no /proc here")

    done: list[int] = []
    Streams(1, broken).run(done.append, 3)
    assert done == [0, 1, 2]


def test_waiting_counts() -> None:
    now = [100.0]
    streams = Streams(1, clock=lambda: now[0])
    long, short = streams.start(lambda _: None, 0), streams.start(lambda _: None, 0)
    long._count, short._count = 100, 10
    assert short.get_turn() < long.get_turn()
    now[0] += 10
    late = streams.start(lambda _: None, 0)
    late._count = 10
    assert long.get_turn() < late.get_turn()


def test_a_deadline_is_a_positive_time() -> None:
    for bad in (0, -1, float("nan"), "soon", True):
        with pytest.raises(InvalidInputError, match="deadline_ms must be a number > 0"):
            deadlines.Deadline(bad)  # type: ignore[arg-type]
    assert deadlines.Deadline().left_s == float("inf")
    assert deadlines.current() is None


def test_only_as_many_work_as_there_are_free_cores() -> None:
    streams = Streams(4, lambda: 2)
    lock, working, most = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        time.sleep(0.002)
        with lock:
            working[0] -= 1

    streams.run(work, 30)
    assert most[0] == 2


def test_a_short_call_does_not_wait_for_a_long_one() -> None:
    streams, gate, order = Streams(1), threading.Event(), []
    blocker = streams.start(lambda _: gate.wait(10), 1)
    batches = [
        streams.start(lambda i, name=name: order.append((name, i)), count)
        for name, count in (("long", 4), ("short", 2), ("as short", 2))
    ]
    gate.set()
    for batch in (blocker, *batches):
        batch.wait()
    assert [name for name, _ in order] == ["short", "short", "as short", "as short", "long", "long", "long", "long"]
    assert [i for name, i in order if name == "long"] == [0, 1, 2, 3]


def test_many_callers_at_once() -> None:
    streams, sums = Streams(3), {}

    def call(name: int) -> None:
        found: list[int] = []
        streams.run(lambda i: found.append(i * name), 20)
        sums[name] = sum(found)

    callers = [threading.Thread(target=call, args=(name,)) for name in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sums == {name: 190 * name for name in range(16)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_streams_of_its_own() -> None:
    streams = Streams(2)
    streams.run(lambda _: None, 2)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        try:
            streams.run(done.append, 3)
        finally:
            os._exit(0 if sorted(done) == [0, 1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_cores_are_the_least_that_anything_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cores, "_get_affinity", lambda: set(range(6)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cores.count_available_cores(tmp_path) == 6
    for quota, expected in (("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("nonsense", 6)):
        (tmp_path / "cpu.max").write_text(quota)
        assert cores.count_available_cores(tmp_path) == expected
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("-1\n", 6), ("400000\n", 4)):
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
        assert cores.count_available_cores(tmp_path) == expected
    (tmp_path / "slice" / "unit").mkdir(parents=True)
    (tmp_path / "slice" / "cpu.max").write_text("300000 100000")
    (tmp_path / "slice" / "unit" / "cpu.max").write_text("max 100000")
    (tmp_path / "membership").write_text("4:memory:/other\n0::/slice/unit\n")
    monkeypatch.setattr(cores, "_MEMBERSHIP", tmp_path / "membership")
    assert cores.count_available_cores(tmp_path) == 3
    (tmp_path / "membership").write_text("2:cpu,cpuacct:/job\n")
    (tmp_path / "cpu" / "job").mkdir()
    (tmp_path / "cpu" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "job" / "cpu.cfs_quota_us").write_text("200000\n")
    assert cores.count_available_cores(tmp_path) == 2
    (tmp_path / "membership").unlink()
    for asked, expected in (("3", 3), ("3,2", 3), ("0", 4), ("many", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert cores.count_available_cores(tmp_path) == expected


def test_cores_that_others_keep_busy_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now, busy = [100.0], [(50.0, 10.0)]
    monkeypatch.setattr(cores, "_get_affinity", lambda: set(range(4)))
    load = cores.Load(4, lambda: busy[0], clock=lambda: now[0])
    for others, own, expected in ((0.0, 3.0, 4), (1.1, 2.0, 3), (3.9, 0.1, 1), (9.0, 0.0, 1), (0.2, 0.2, 4)):
        now[0] += 1
        busy[0] = (busy[0][0] + others + own, busy[0][1] + own)
        assert load.count_free_cores() == expected
    busy[0] = (busy[0][0] + 4, busy[0][1])
    assert load.count_free_cores() == 4  # looked a moment ago


def test_the_load_of_this_machine_can_be_read() -> None:
    everyone, own = cores._measure_busy_s()
    assert everyone >= 0
    assert own > 0
    assert 1 <= cores.Load(2).count_free_cores() <= 2
