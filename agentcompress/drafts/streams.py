"""Threads that run a draft's work, one core each: many small pieces, taken in turn, from all callers' batches.

Torch's own threads meet at a barrier after every operation, which is slow when one of them has lost its core; ours
share nothing but the list of pieces. A piece is computed by one thread alone, so its result does not depend on how
many threads there are or what else is waiting.

Knows callables; knows nothing of drafts.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

import torch

from agentcompress import deadlines, progress

_POLL_S = 0.05


class Streams:
    """Up to `count` threads, started on first use and again after a fork.

    free: how many of them may work now; asked whenever one of them looks for work.
    """

    def __init__(self, count: int, free: Callable[[], int] | None = None) -> None:
        self.count = count
        self._free = free or (lambda: count)
        self._pid = -1

    def start(self, work: Callable[[int], None], count: int) -> Batch:
        """Queue `work(0)` .. `work(count - 1)`, in this order; a stream's own batches go before those of callers."""
        self._ensure_threads()
        nested = getattr(_local, "streams", None) is self
        batch = Batch(self, work, count, None if nested else deadlines.current())
        with self._changed:
            if nested:
                self._waiting.appendleft(batch)
            else:
                self._waiting.append(batch)
            self._changed.notify_all()
        return batch

    def run(self, work: Callable[[int], None], count: int, what: str | None = None) -> None:
        """Do `work(0)` .. `work(count - 1)`; reports progress on `what`.

        Raises the first piece's error, which drops the pieces not begun; `DeadlineError` when the deadline of the
        context passes or is cancelled, at once, with pieces that have begun left to end on their own.
        """
        self.start(work, count).wait(what)

    def _ensure_threads(self) -> None:
        with _starting:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._changed = threading.Condition()
            self._waiting: deque[Batch] = deque()
            self._working = 0
            for i in range(self.count):
                threading.Thread(target=self._serve, name=f"agentcompress-draft-{i}", daemon=True).start()

    def _serve(self) -> None:
        use_one_thread()
        _local.streams = self
        while True:
            with self._changed:
                while (claimed := self._next()) is None:
                    self._changed.wait(_POLL_S if self._waiting else None)
                self._working += 1
            batch, index = claimed
            batch.do(index)
            with self._changed:
                self._working -= 1
                self._changed.notify_all()
            del batch, claimed  # and with it what its pieces hold, while we wait

    def _next(self) -> tuple[Batch, int] | None:
        """Claim the next piece, if this thread may work now. Call with the lock held."""
        if not self._waiting or self._working >= self._free():
            return None
        for batch in tuple(self._waiting):
            index = batch.claim()
            if index is not None:
                return batch, index
        return None


class Batch:
    """Pieces of one call. All state is guarded by the streams' condition."""

    def __init__(
        self, streams: Streams, work: Callable[[int], None], count: int, deadline: deadlines.Deadline | None
    ) -> None:
        self._streams, self._work, self._count, self._deadline = streams, work, count, deadline
        self._claimed = self._done = 0
        self._error: BaseException | None = None

    def claim(self) -> int | None:
        """Take the next piece that nobody has begun; None when there is none. Call with the lock held."""
        if self._deadline is not None and self._deadline.is_over:
            self._drop(self._deadline.error())
        if self._claimed >= self._count:
            if self in self._streams._waiting:
                self._streams._waiting.remove(self)
            return None
        self._claimed += 1
        return self._claimed - 1

    def do(self, index: int) -> None:
        """Run one claimed piece."""
        error = None
        try:
            self._work(index)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the caller gets it
            error = raised
        with self._streams._changed:
            self._done += 1
            if error is not None:
                self._drop(error)
            if self._done >= self._count:
                self._streams._changed.notify_all()

    def wait(self, what: str | None = None) -> None:
        """Return when every piece is done; a stream that waits for its own batch works on it meanwhile."""
        nested = getattr(_local, "streams", None) is self._streams
        while nested:
            with self._streams._changed:
                index = self.claim()
            if index is None:
                break
            self.do(index)
        reported = -1
        while True:
            with self._streams._changed:
                if self._done >= self._count or (self._error and not nested):
                    break
                if self._deadline is not None and self._deadline.is_over:
                    self._drop(self._deadline.error())
                    break
                if what and self._done != reported:
                    reported = self._done
                else:
                    self._streams._changed.wait(_POLL_S if self._deadline is not None else None)
                    continue
            progress.report(what, reported, self._count)
        if self._error is not None:
            raise self._error
        if what:
            progress.report(what, self._count, self._count)

    def _drop(self, error: BaseException) -> None:
        self._error = self._error or error
        self._count = self._claimed


_local = threading.local()
_starting = threading.Lock()


def use_one_thread() -> None:
    """Have torch compute with this thread alone when called from it; other threads keep their settings."""
    from threadpoolctl import ThreadpoolController

    torch.get_num_threads()  # sets this thread up; it would undo the next line if it came later
    ThreadpoolController().select(user_api="openmp").limit(limits=1)
    if torch.get_num_threads() > 1:  # a build of torch without OpenMP: there the setting is the process's
        torch.set_num_threads(1)
