"""From a config's word to a store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from agentcompress.errors import ConfigError
from agentcompress.ledger.fronted import FrontedStore, LastingStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.sqlite import SQLiteStore

MEMORY, AUTO = "memory", "auto"
_VARIABLE = "AGENTCOMPRESS_LEDGER"
_REDIS = ("redis://", "rediss://", "unix://")

_open: dict[str, FrontedStore] = {}
_lock = threading.Lock()


def open_lasting_store(name: str = AUTO) -> LastingStore | None:
    """The store behind a name; None for one in memory.

    name: "auto" (AGENTCOMPRESS_LEDGER, else a file in the user's state folder), "memory", a URL of Redis
    (`redis://`, `rediss://`, `unix://`), or an SQLite file. Raises `PluginError` where Redis is not installed, and
    `ConfigError` for another URL.
    """
    if name == AUTO:
        name = os.environ.get(_VARIABLE) or ""
    if name == MEMORY:
        return None
    if name.startswith(_REDIS):
        from agentcompress.ledger.redis import RedisStore

        return RedisStore(name)
    if "://" in name:
        raise ConfigError("ledger", name, f"{AUTO}, {MEMORY}, an SQLite file, or a URL with {', '.join(_REDIS)}")
    return SQLiteStore(Path(name).expanduser() if name else None)


def open_store(name: str = AUTO) -> MemoryStore | FrontedStore:
    """The store behind a name, with this process's memory in front of it: one a place, for all that ask."""
    behind = open_lasting_store(name)
    if behind is None:
        return MemoryStore()
    with _lock:
        return _open.setdefault(behind.place, FrontedStore(behind))
