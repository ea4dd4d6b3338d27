"""What becomes of a failure in one call: raised, or overcome with a warning or without one."""

from __future__ import annotations

import logging

from agentcompress.config import OnError
from agentcompress.errors import AgentCompressError

_log = logging.getLogger("agentcompress")


class Failures:
    """Failures of one call. on_error: "raise" raises them, "warn" logs each of them once, "ignore" says nothing."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._told: set[str] = set()

    @property
    def are_raised(self) -> bool:
        """Whether a failure ends the call."""
        return self._on_error == "raise"

    def tell(self, what: str, error: Exception) -> None:
        """Raise an `AgentCompressError`, or go on: `what` is logged then, which holds no text of the caller's."""
        if self.are_raised:
            if isinstance(error, AgentCompressError):
                raise error
            raise AgentCompressError(what) from error
        if self._on_error == "warn" and what not in self._told:
            _log.warning("%s", what)
            self._told.add(what)
