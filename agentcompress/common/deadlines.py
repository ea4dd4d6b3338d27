"""How long a caller waits, and how it takes its work back: told to the stages below it through the context.

Work that has started is finished, and kept where there is a cache; work that has not is dropped. The context does not
reach threads by itself: `asyncio.to_thread` takes it along, an executor's `submit` does not.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real

from agentcompress.errors import DeadlineError, InvalidInputError

POLL_S = 0.05
"""How often those who wait look at their deadline, seconds."""


class Deadline:
    """A moment after which a result is of no use, which may also come early: `cancel`. Safe in several threads."""

    def __init__(self, ms: float | None = None) -> None:
        """`ms` milliseconds from now, > 0, or None: only when cancelled."""
        if ms is not None and (isinstance(ms, bool) or not isinstance(ms, Real) or math.isnan(ms) or ms <= 0):
            raise InvalidInputError("deadline_ms", ms, "a number > 0")
        self._ms = ms
        self._at = math.inf if ms is None else time.monotonic() + ms / 1000
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Take back what has not started."""
        self._cancelled.set()

    @property
    def is_over(self) -> bool:
        """Whether the moment has passed, or the work was cancelled."""
        return self._cancelled.is_set() or time.monotonic() >= self._at

    @property
    def left_s(self) -> float:
        """Seconds until the moment, 0 when it is over; infinite where only `cancel` ends it."""
        return 0.0 if self.is_over else self._at - time.monotonic()

    def error(self) -> DeadlineError:
        """What a caller gets for work that was dropped."""
        if self._cancelled.is_set() or self._ms is None:
            return DeadlineError("cancelled")
        return DeadlineError(f"the deadline of {self._ms:,.0f} ms passed before the work was done")

    def describe(self) -> str:
        """The deadline as its caller has set it."""
        return "a call without a deadline" if self._ms is None else f"a deadline of {self._ms:,.0f} ms"


_current: ContextVar[Deadline | None] = ContextVar("agentcompress_deadline", default=None)


@contextmanager
def within(deadline: Deadline | float) -> Iterator[Deadline]:
    """Hold everything done in this context to `deadline`, or to that many milliseconds from now."""
    deadline = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)


def check() -> None:
    """Raise `DeadlineError` where this context's deadline is over: what has not started is dropped."""
    deadline = _current.get()
    if deadline is not None and deadline.is_over:
        raise deadline.error()


def current() -> Deadline | None:
    """The deadline of this context, if it has one."""
    return _current.get()
