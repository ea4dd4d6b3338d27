"""Threads that run a draft's work, one core each: many small pieces, from all callers' batches.

Torch's own threads meet at a barrier after every operation, which is slow when one of them has lost its core; ours
share nothing but the list of pieces. A piece is computed by one thread alone, so its result does not depend on how
many threads there are or what else is waiting.

Knows callables; knows nothing of drafts.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import torch

from agentcompress.common import deadlines, progress

_POLL_S = 0.05
_PIECES_A_SECOND = 10.0  # how much shorter a batch counts for a second of waiting
_log = logging.getLogger("agentcompress")


class Streams:
    """Up to `count` threads, started on first use and again after a fork.

    free: how many of them may work now; asked whenever one of them looks for work. clock: seconds that only go forward,
    for how long a batch has waited.
    """

    def __init__(
        self, count: int, free: Callable[[], int] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.count = count
        self.clock = clock
        self._free = free or (lambda: count)
        self._pid = -1

    def start(self, work: Callable[[int], None], count: int) -> Batch:
        """Queue `work(0)` .. `work(count - 1)`, begun in this order.

        A stream's own batches go before those of callers, and of these the one with the least left: a short call does
        not wait for a long one, and equal calls are done one after the other, not all at the end. Waiting makes a batch
        count as shorter, so that none waits for ever.
        """
        self._ensure_threads()
        nested = getattr(_local, "streams", None) is self
        batch = Batch(self, work, count, nested)
        if count:
            with self._lock:
                self._waiting.append(batch)
                self._work.notify(count)
        return batch

    def run(self, work: Callable[[int], None], count: int, what: str | None = None) -> None:
        """Do `work(0)` .. `work(count - 1)`; reports progress on `what`.

        Raises the first piece's error, which drops the pieces not begun; `DeadlineError` when the deadline of the
        context passes or is cancelled, at once, with pieces that have begun left to end on their own.
        """
        self.start(work, count).wait(what)

    def _ensure_threads(self) -> None:
        """Start the threads, unless this process has them: a forked one has none."""
        with _starting:
            if self._pid == os.getpid():
                return
            self._lock = threading.Lock()
            self._work = threading.Condition(self._lock)
            self._waiting: list[Batch] = []
            self._working = 0
            for i in range(self.count):
                try:
                    threading.Thread(target=self._serve, name=f"agentcompress-draft-{i}", daemon=True).start()
                except RuntimeError as error:  # the system has no more threads for us: fewer will do
                    if i == 0:
                        raise
                    _log.warning("the draft runs on %d of %d threads: %s", i, self.count, error)
                    break
            self._pid = os.getpid()

    def _serve(self) -> None:
        """Look for pieces and do them, for as long as the process lives. Runs in every thread."""
        try:
            use_one_thread()
        except Exception as error:  # noqa: BLE001 - slower then, but a thread that ends would leave callers waiting
            _log.warning("torch's own threads can't be turned off: %s", error)
        _local.streams = self
        while True:
            with self._lock:
                while (claimed := self._claim_next()) is None:
                    self._work.wait(_POLL_S if self._waiting else None)
                self._working += 1
            batch, index = claimed
            batch.do_piece(index)
            with self._lock:
                self._working -= 1
                if self._waiting:
                    self._work.notify()
            del batch, claimed  # and with it what its pieces hold, while we wait

    def _claim_next(self) -> tuple[Batch, int] | None:
        """Claim the next piece, if this thread may work now. Call with the lock held."""
        if not self._waiting or self._working >= self._count_allowed():
            return None
        for batch in sorted(self._waiting, key=Batch.get_turn):
            index = batch.claim_piece()
            if index is not None:
                return batch, index
        return None

    def _count_allowed(self) -> int:
        """How many threads may work now; all of them where that can't be told."""
        try:
            return self._free()
        except Exception as error:  # noqa: BLE001 - as in `_serve`
            _log.debug("how busy the machine is can't be told: %s", error)
            return self.count


class Batch:
    """Pieces of work of one call. Its state is guarded by the lock of its streams."""

    def __init__(self, streams: Streams, work: Callable[[int], None], count: int, nested: bool) -> None:
        self._streams, self._work, self._count, self.nested = streams, work, count, nested
        self._deadline = None if nested else deadlines.current()  # what a piece needs inside is part of the piece
        self._claimed = self._done = 0
        self._since = streams.clock()
        self._over = False
        self._told = threading.Condition(streams._lock)  # of this batch alone: callers don't wake each other
        self._listened = False
        self._error: BaseException | None = None

    def get_turn(self) -> tuple[bool, float]:
        """Return its place in line, to be compared: the lower, the sooner its next piece is begun."""
        left = self._count - self._claimed
        return (not self.nested, left - _PIECES_A_SECOND * (self._streams.clock() - self._since))

    def claim_piece(self) -> int | None:
        """Take the next piece that nobody has begun; None when there is none. Call with the lock held."""
        if self._deadline is not None and self._deadline.is_over:
            self._drop_rest(self._deadline.error())
        if self._claimed >= self._count:
            if self in self._streams._waiting:
                self._streams._waiting.remove(self)
            return None
        self._claimed += 1
        return self._claimed - 1

    def do_piece(self, index: int) -> None:
        """Run a piece that was claimed; its error is kept for the caller and drops the rest."""
        error = None
        try:
            self._work(index)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the caller gets it
            error = raised
        with self._streams._lock:
            self._done += 1
            if error is not None:
                self._drop_rest(error)
            if self._done >= self._count or error is not None or self._listened:
                self._told.notify_all()
        del error  # its traceback holds this frame: a cycle would keep what the pieces hold

    def wait(self, what: str | None = None) -> None:
        """Return when every piece is done; a stream that waits for its own batch works on it meanwhile."""
        try:
            self._wait_for_pieces(what)
        except BaseException as error:  # the caller was interrupted, or its listener failed: nobody wants the rest
            with self._streams._lock:
                self._drop_rest(error)
            raise
        finally:
            with self._streams._lock:
                error, self._error, self._over = self._error, None, True
        try:
            if error is not None:
                raise error
        finally:
            del error
        if what:
            progress.report(what, self._count, self._count)

    def _wait_for_pieces(self, what: str | None) -> None:
        """Return when all pieces are done, the deadline has passed, or one has failed; do own pieces if nested."""
        while self.nested:
            with self._streams._lock:
                index = self.claim_piece()
            if index is None:
                break
            self.do_piece(index)
        reported = -1
        self._listened = bool(what) and progress.is_listened_to()
        while True:
            with self._streams._lock:
                if self._done >= self._count or (self._error and not self.nested):
                    break
                if self._deadline is not None and self._deadline.is_over:
                    self._drop_rest(self._deadline.error())
                    break
                if not self._listened or self._done == reported:
                    self._told.wait(deadlines.POLL_S if self._deadline is not None else None)
                    continue
                reported = self._done
            progress.report(what or "", reported, self._count)

    def _drop_rest(self, error: BaseException) -> None:
        """Keep the first error, and begin no more pieces. Call with the lock held."""
        if not self._over:
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
