"""Wall time by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Wall time per stage, in milliseconds."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.stages_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note what is done within as a stage of that name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages_ms[name] = (time.perf_counter() - started) * 1000

    def total_ms(self) -> float:
        """Return the milliseconds since the clock was made."""
        return (time.perf_counter() - self._started) * 1000

    def read_ms(self) -> dict[str, float]:
        """Milliseconds of every stage so far, and "total"."""
        return {**self.stages_ms, "total": self.total_ms()}
