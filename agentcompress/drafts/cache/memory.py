"""What a window cache holds in memory, within a budget of bytes; what was not used for longest goes first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

if TYPE_CHECKING:
    from agentcompress.drafts.pages import Window


class WindowMemory:
    """Extents of windows, and anything else that has `nbytes`, within `budget_bytes`. Safe in several threads."""

    def __init__(self, budget_bytes: int) -> None:
        self._lock = threading.Lock()
        self._entries = _Entries(budget_bytes)

    def get(self, key: str) -> Any:
        """Return the value that was put under a key, or None where there is none, or it was evicted."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a value, unless it alone is over the budget."""
        with self._lock:
            self._entries.put(key, value)

    def get_window(self, key: str) -> Window | None:
        """Return the window of that key, and count its extent as used; None where it is not here."""
        with self._lock:
            window = self._entries.windows.get(key)
            if window is not None:
                self._entries.get(id(window.extent))  # used: moves to the end of the line
            return window

    def keep_windows(self, windows: list[Window]) -> None:
        """Keep windows, as far as their extents are within the budget."""
        with self._lock:
            for window in windows:
                if id(window.extent) in self._entries or self._entries.put(id(window.extent), window.extent):
                    self._entries.windows[window.key] = window

    def make_room(self, more: int) -> None:
        """Evict now what so many bytes would push out, so that old and new are not in memory together.

        Half of the budget at most: of a text that is larger, most will not stay either.
        """
        with self._lock:
            free = min(more, self._entries.maxsize // 2)
            while self._entries and self._entries.currsize + free > self._entries.maxsize:
                self._entries.popitem()

    def list_windows(self) -> list[Window]:
        """Return all windows in memory, in the order in which they came."""
        with self._lock:
            return list(self._entries.windows.values())

    def get_sizes(self) -> tuple[int, int]:
        """Return the bytes held now, and the bytes evicted so far."""
        with self._lock:
            return int(self._entries.currsize), self._entries.evicted_bytes

    def clear(self) -> None:
        """Drop all windows and values, and count from zero what is evicted."""
        with self._lock:
            self._entries = _Entries(int(self._entries.maxsize))


class _Entries(LRUCache):
    """Extents by their identity (an int), any other value by its key (a str); `windows` are those on extents here."""

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes, getsizeof=lambda value: value.nbytes)
        self.windows: dict[str, Window] = {}
        self.evicted_bytes = 0

    def put(self, key: str | int, value: Any) -> bool:
        if value.nbytes > self.maxsize:
            return False
        self[key] = value
        return True

    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        self.evicted_bytes += value.nbytes
        if isinstance(key, int):
            self.windows = {k: window for k, window in self.windows.items() if window.extent is not value}
        return key, value
