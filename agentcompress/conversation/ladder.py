"""Ways to compress a block, the best first, and which of them rest after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agentcompress.conversation.blocks import Plan
from agentcompress.errors import InvalidInputError
from agentcompress.results import CompressedText

OnError = Literal["raise", "warn", "ignore"]

_REST_S = 60.0
"""How long a scorer that failed is not asked again."""

Compress = Callable[[Plan, int | None], CompressedText]
"""Compresses a block, to so many target tokens where that is said, else as the call's rate has it."""


@dataclass(frozen=True)
class Rung:
    """A way to compress a block: its name, and the function that does."""

    name: str
    compress: Compress


class Ladder:
    """Rungs in order, the best first; one that failed or was too slow rests for a while, in this process."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._resting_until = dict.fromkeys(names, 0.0)

    def rests(self, name: str) -> bool:
        """Whether a rung is passed over now."""
        return time.monotonic() < self._resting_until[name]

    def let_rest(self, name: str) -> None:
        """Pass it over for a while."""
        self._resting_until[name] = time.monotonic() + _REST_S


def checked_on_error(on_error: object) -> None:
    """Raise `InvalidInputError` for what is no `OnError`."""
    if on_error not in ("raise", "warn", "ignore"):
        raise InvalidInputError("on_error", on_error, '"raise", "warn" or "ignore"')
