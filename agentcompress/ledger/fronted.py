"""What stores that last can do beside `get` and `put`, and a memory in front of them for when they can't."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache, TTLCache

from agentcompress.common.breaker import Breaker
from agentcompress.errors import StoreError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.protocols import Store
from agentcompress.schema import Decision

_log = logging.getLogger("agentcompress")

_RETRY_S = 5.0
"""How long a store that failed is left alone."""

_TOUCH_S = 3600.0
"""How often a store is told that a decision is still in use."""

_OWED_AT_ONCE = 20
"""How many decisions of an outage are written in one go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision and when it was made and last seen, in seconds since the epoch."""

    key: str
    decision: Decision
    made: float
    seen: float


@dataclass(frozen=True, slots=True)
class Stats:
    """decisions: how many; compressed: with a text; bytes: of their texts; tokens: the sums; made, seen: of the first
    and the last, in seconds since the epoch, None where there is none."""

    decisions: int
    compressed: int
    bytes: int
    tokens_before: int
    tokens_after: int
    first_made: float | None
    last_seen: float | None


class LastingStore(Store, Protocol):
    """A `Store` that outlives its process. All methods raise `StoreError` when it is down. place: where it is."""

    place: str

    def get_many(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are under these keys, in one go."""
        ...

    def touch(self, keys: Sequence[str]) -> None:
        """Note that the conversation of these keys was seen now."""
        ...

    def entries(self, limit: int) -> Iterator[Entry]:
        """The decisions seen last, newest first."""
        ...

    def stats(self) -> Stats:
        """How many decisions there are, and what they take and save."""
        ...

    def prune(self, *, older_than_s: float, max_bytes: int | None, keep_s: float) -> int:
        """Drop what was not seen for so long, or is too much; never what was seen in the last `keep_s` seconds."""
        ...


class FrontedStore:
    """A memory in front of a store, so that what this process has sent is sent again whatever becomes of the store.

    A store that is down is left alone for a while, with one warning; what is decided meanwhile is written when it is
    back. Raises `StoreError` from `get` alone: what it does not know may have been decided elsewhere.

    clock: seconds that only grow.
    """

    def __init__(self, behind: Store, max_entries: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._behind = behind
        self._memory = MemoryStore(max_entries)
        self._touched: TTLCache[str, bool] = TTLCache(max_entries, _TOUCH_S, clock)
        self._owed: LRUCache[str, Decision] = LRUCache(max_entries)
        self._breaker = Breaker(_RETRY_S, clock)
        self._was_down = False
        self._lock = threading.Lock()

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, or None; `StoreError` when that can't be known."""
        known = self._memory.get(key)
        if known is not None:
            self.touch([key])
            return known
        if self._breaker.is_open:
            raise StoreError("the ledger is down")
        try:
            found = self._behind.get(key)
        except Exception as error:
            self._note_failure(error)
            raise error if isinstance(error, StoreError) else StoreError(f"ledger: {error}") from error
        self._write_owed()
        if found is None:
            return None
        self.touch([key])
        return self._memory.put(key, found)

    def get_many(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are under these keys; `StoreError` when that can't be known."""
        found = self._memory.get_many(keys)
        rest = [key for key in keys if key not in found]
        many = getattr(self._behind, "get_many", None)
        if many is None or self._breaker.is_open:
            return {**found, **{key: known for key in rest if (known := self.get(key)) is not None}}
        try:
            behind = many(rest)
        except Exception as error:
            self._note_failure(error)
            raise error if isinstance(error, StoreError) else StoreError(f"ledger: {error}") from error
        self.touch([*found, *behind])
        return {**found, **{key: self._memory.put(key, decision) for key, decision in behind.items()}}

    def put(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there now. With a store that is down, what this process decides."""
        known = self._memory.get(key)
        if known is not None:
            return known
        if not self._breaker.is_open:
            try:
                decision = self._behind.put(key, decision)
                self._write_owed()
                return self._memory.put(key, decision)
            except Exception as error:  # noqa: BLE001 - a store may be anybody's
                self._note_failure(error)
        with self._lock:
            self._owed.setdefault(key, decision)
        return self._memory.put(key, decision)

    def touch(self, keys: Sequence[str]) -> None:
        """Note that what stands under these keys is in use, without reading it."""
        touch = getattr(self._behind, "touch", None)
        if touch is None or self._breaker.is_open:
            return
        with self._lock:
            due = [key for key in keys if key not in self._touched]
            self._touched.update(dict.fromkeys(due, True))
        if not due:
            return
        try:
            touch(due)
        except Exception as error:  # noqa: BLE001 - a store may be anybody's
            self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        with self._lock:
            self._breaker.trip()
            told, self._was_down = self._was_down, True
        if not told:
            _log.warning("the ledger is down, new blocks stay as they are: %s", error)

    def _write_owed(self) -> None:
        """The store answers: write what was decided while it was down."""
        with self._lock:
            was_down, self._was_down = self._was_down, False
            owed = [self._owed.popitem() for _ in range(min(len(self._owed), _OWED_AT_ONCE))]
        if was_down:
            _log.warning("the ledger is back")
        for number, (key, decision) in enumerate(owed):
            try:
                self._behind.put(key, decision)
            except Exception as error:  # noqa: BLE001 - a store may be anybody's
                with self._lock:
                    self._owed.update(owed[number:])
                self._note_failure(error)
                return
