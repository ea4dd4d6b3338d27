"""Decisions in this process's memory, the oldest conversations forgotten first."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from cachetools import LRUCache

from agentcompress.common.checks import checked_count
from agentcompress.protocols import Store
from agentcompress.schema import Decision


class MemoryStore:
    """A `Store` of at most `max_entries` decisions, least recently used out first. Safe in several threads.

    Knows nothing of other processes: a restart forgets everything.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._decisions: LRUCache[str, Decision] = LRUCache(checked_count("max_entries", max_entries))
        self._lock = threading.Lock()

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, or None."""
        try:
            with self._lock:
                return self._decisions[key]
        except KeyError:
            return None

    def get_many(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are under these keys."""
        return {key: decision for key in keys if (decision := self.get(key)) is not None}

    def touch(self, keys: Sequence[str]) -> None:
        """Note that what stands under these keys is in use."""
        self.get_many(keys)

    def put(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there now."""
        with self._lock:
            return self._decisions.setdefault(key, decision)


class ReadThrough(MemoryStore):
    """A memory that knows what a store behind it holds, and writes nothing there: for looking at what was decided."""

    def __init__(self, behind: Store | None) -> None:
        super().__init__()
        self._behind = behind

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, here or behind, or None."""
        found = super().get(key)
        return self._behind.get(key) if found is None and self._behind is not None else found
