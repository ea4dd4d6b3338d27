"""Texts that this process has put in the place of others, by hash: not to be compressed again.

A request may pass several hooks, and change its format in between; what comes back is known by its blocks.
"""

from __future__ import annotations

import threading

from cachetools import LRUCache

SEEN = "compressed already"

_known: LRUCache[tuple[int, int], bool] = LRUCache(100_000)
_lock = threading.Lock()


def note(text: str) -> None:
    """Remember a text that was sent in another's place."""
    with _lock:
        _known[hash(text), len(text)] = True


def was_sent(text: str) -> bool:
    """Whether it was."""
    with _lock:
        return (hash(text), len(text)) in _known
