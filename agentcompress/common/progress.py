"""How far something long has come, told to whoever listens in this context; free when nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""Called as (what, done, total)."""

_listener: ContextVar[Listener | None] = ContextVar("agentcompress_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send reports made in this context to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_listened_to() -> bool:
    """Whether anybody listens in this context."""
    return _listener.get() is not None


def report(what: str, done: int, total: int) -> None:
    """Say that `done` of `total` are through, e.g. ("encode", 4, 11)."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)
