"""From a config's word to a store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.ledger.store import FrontedStore, LastingStore

MEMORY, AUTO = "memory", "auto"
_VARIABLE = "AGENTCOMPRESS_LEDGER"

_open: dict[str, FrontedStore] = {}
_lock = threading.Lock()


def lasting_store(name: str = AUTO) -> LastingStore | None:
    """The store behind a name; None for one in memory.

    name: "auto" (AGENTCOMPRESS_LEDGER, else a file in the user's state folder), "memory", a URL of Redis
    (`redis://`, `rediss://`, `unix://`), or an SQLite file. Raises `PluginError` where Redis is not installed.
    """
    if name == AUTO:
        name = os.environ.get(_VARIABLE) or ""
    if name == MEMORY:
        return None
    if name.startswith(("redis://", "rediss://", "unix://")):
        from agentcompress.ledger.redis import RedisStore

        return RedisStore(name)
    return SQLiteStore(Path(name).expanduser() if name else None)


def open_store(name: str = AUTO) -> MemoryStore | FrontedStore:
    """The store behind a name, with this process's memory in front of it: one a place, for all that ask."""
    behind = lasting_store(name)
    if behind is None:
        return MemoryStore()
    with _lock:
        return _open.setdefault(behind.place, FrontedStore(behind))
