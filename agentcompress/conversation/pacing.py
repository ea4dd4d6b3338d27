"""How the time of a call is shared out among the rungs of the ladder, for blocks that are large."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

_SECONDS_A_CHAR = 1.0e-6
"""What BM25 is thought to take for a character, counting, cutting and selecting included: a second a megabyte."""

_DRAFT_SECONDS_A_CHAR = 1.0e-5
"""The least that a draft takes for a character, most of it known: what takes longer even so is not begun."""

_MARGIN, _LEAST_S = 1.5, 0.05
_NEWEST = 0.3
_MEASURED_CHARS = 50_000
"""Shorter texts say little of how long a character takes."""


@dataclass
class Pace:
    """How long the rung that needs no draft takes, as measured in this process. Safe in several threads."""

    seconds_a_char: float = _SECONDS_A_CHAR
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, chars: int, seconds: float) -> None:
        """Learn from a text of so many characters."""
        if chars >= _MEASURED_CHARS:
            with self._lock:
                self.seconds_a_char += _NEWEST * (seconds / chars - self.seconds_a_char)

    def estimate_s(self, chars: int) -> float:
        """Seconds that are to be kept free for a text of so many characters."""
        return _LEAST_S + _MARGIN * self.seconds_a_char * chars


def share_time(left_s: float, reserved_s: float, first_share: float) -> float:
    """Seconds that a rung may take of those that are left, where others come after it.

    first_share: the most of it. reserved_s: what those need; where there is not as much, they get all but a moment.
    """
    return min(first_share * left_s, max(0.0, left_s - reserved_s))


def can_draft_finish(chars: int, seconds: float) -> bool:
    """Whether a draft may be done with a text of so many characters in so many seconds."""
    return _DRAFT_SECONDS_A_CHAR * chars <= seconds
