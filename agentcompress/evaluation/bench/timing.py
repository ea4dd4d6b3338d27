"""The clock of all benches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def time_ms(call: Callable[..., Any], *arguments: Any) -> float:
    """Make a call; return how many milliseconds it took."""
    started = time.perf_counter()
    call(*arguments)
    return (time.perf_counter() - started) * 1000
