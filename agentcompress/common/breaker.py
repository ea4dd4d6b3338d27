"""A circuit breaker: what has failed is left alone for a while, then tried again."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Open for `rest_s` seconds after every `trip`. clock: seconds that only grow."""

    def __init__(self, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._clock = clock
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether what it guards is to be left alone now."""
        return self._clock() < self._open_until

    def trip(self) -> None:
        """Leave alone, from now on for `rest_s` seconds, what has just failed."""
        self._open_until = self._clock() + self._rest_s
