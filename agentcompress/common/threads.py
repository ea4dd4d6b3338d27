"""Work that is waited for only so long."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from agentcompress.common import deadlines
from agentcompress.common.deadlines import Deadline
from agentcompress.errors import DeadlineError

_T = TypeVar("_T")


def run_within(seconds: float, work: Callable[[], _T], *, of: str = "") -> _T:
    """Do the work in a thread of its own for so long, its deadline told to what it calls; `DeadlineError` after that.

    What does not listen to its deadline goes on in the background, and its result is dropped. of: the caller's deadline
    in words, of which these seconds are what was left or could be given.
    """
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with deadlines.within(Deadline(max(1.0, seconds * 1000))):
                done.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failed.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join(seconds)
    if done:
        return done[0]
    if failed:
        raise failed[0]
    raise DeadlineError(f"no result in the {seconds:.1f} s it was given{f' of {of}' if of else ''}")
