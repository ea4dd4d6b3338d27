"""The one catch: whatever fails on our side, the agent goes on with what it had."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from agentcompress.config import OnError
from agentcompress.errors import AgentCompressError, describe_without_values

_log = logging.getLogger("agentcompress")
_T = TypeVar("_T")


def run_or_else(
    work: Callable[[], _T],
    instead: Callable[[Exception], _T],
    *,
    saying: str,
    on_error: OnError = "warn",
    unless: tuple[type[Exception], ...] = (),
    shows_message: bool = False,
) -> _T:
    """Return what `work` gives; where that fails, what `instead` makes of the failure.

    on_error: "warn" logs the failure after what is being done about it (`saying`), without what the caller sent;
    "ignore" logs nothing above the debug level; "raise" raises an `AgentCompressError` instead of going on. unless:
    failures that are somebody else's to catch. shows_message: whether a failure's own words are logged, which hold
    nothing that was sent.
    """
    try:
        return work()
    except unless:
        raise
    except Exception as error:
        if on_error == "raise":
            if isinstance(error, AgentCompressError):
                raise
            raise AgentCompressError(f"{type(error).__name__}: {error}") from error
        if on_error == "warn":
            _log.warning(
                "%s: %s", saying, f"{type(error).__name__}: {error}" if shows_message else describe_failure(error)
            )
        _log.debug(saying, exc_info=error)
        return instead(error)


def describe_failure(error: Exception) -> str:
    """A failure in the words of a log: its kind, and its message without what the caller sent."""
    return f"{type(error).__name__}: {describe_without_values(error)}"
