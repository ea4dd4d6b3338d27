"""What a request holds that we don't know: it stays as it is, and is told of once."""

from __future__ import annotations

import logging

_log = logging.getLogger("agentcompress")
_told: set[str] = set()
_MOST_TOLD = 50


def note_oddity(what: str) -> None:
    """Warn of something that is left as it is because its shape is unknown; once for each, and of so many at most.

    what: which shape it is, without any of the caller's text or place, which differ from call to call.
    """
    if what not in _told and len(_told) < _MOST_TOLD:
        _told.add(what)
        _log.warning("%s: left as it is", what)


def forget_oddities() -> None:
    """Warn again of what was told of before."""
    _told.clear()
