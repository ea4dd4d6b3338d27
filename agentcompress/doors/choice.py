"""Who compresses a call: what a program, a router or a request says, resolved to a compressor and its settings."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CallSettings, CompressConfig, read_overrides
from agentcompress.doors.requests import RequestCompressor
from agentcompress.errors import InvalidInputError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_store

Choice = Compressor | CompressConfig | Mapping[str, Any] | bool | None

_lock = threading.Lock()
_shared: dict[str, RequestCompressor] = {}
_decisions = MemoryStore()


def choose(choice: Choice, usual: Choice = None) -> tuple[RequestCompressor | None, CallSettings]:
    """Who compresses, and how this call differs; None for nobody. usual: what holds where `choice` says nothing.

    Raises `InvalidInputError` for what is none.
    """
    if choice is None:
        return (None, CallSettings()) if usual is False else choose(True if usual is None else usual)
    if choice is False:
        return None, CallSettings()
    if isinstance(choice, Compressor):
        return RequestCompressor(choice), CallSettings()
    if isinstance(choice, CompressConfig):
        return share_compressor(choice), CallSettings()
    before = choose(usual) if usual not in (None, False, True) else (None, CallSettings())
    if choice is True:
        return before[0] or share_compressor(CompressConfig()), before[1]
    if not isinstance(choice, Mapping):
        raise InvalidInputError("agentcompress", choice, "False, True, a mapping, a CompressConfig or a Compressor")
    return _choose_by_name(choice, *before)


def _choose_by_name(
    choice: Mapping[str, Any], usual: RequestCompressor | None, settings: CallSettings
) -> tuple[RequestCompressor | None, CallSettings]:
    named = dict(choice)
    whose = named.pop("compressor", True)
    if not isinstance(whose, Compressor | CompressConfig) and whose is not True:
        raise InvalidInputError("agentcompress.compressor", whose, "a Compressor or a CompressConfig")
    requests = choose(whose)[0] if whose is not True else usual or share_compressor(CompressConfig())
    return requests, read_overrides({**settings.model_dump(exclude_unset=True), **named})


def share_compressor(config: CompressConfig) -> RequestCompressor:
    """One compressor a config, and one store a ledger: decisions outlive calls and settings."""
    key = repr(config)
    with _lock:
        if key not in _shared:
            store = open_store(config.ledger)
            compressor = Compressor(config, store=_decisions if isinstance(store, MemoryStore) else store)
            _shared[key] = RequestCompressor(compressor)
        return _shared[key]
