"""Who compresses a call: what a program, a router or a request says, resolved to a sender and its overrides."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig, Overrides, checked_overrides
from agentcompress.doors.litellm_sender import Sender
from agentcompress.errors import InvalidInputError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_store

Choice = Compressor | CompressConfig | Mapping[str, Any] | bool | None

_lock = threading.Lock()


_senders: dict[str, Sender] = {}

_decisions = MemoryStore()


def chosen(choice: Choice, usual: Choice = None) -> tuple[Sender | None, Overrides]:
    """Who compresses, and how this call differs; None for nobody. usual: what holds where `choice` says nothing.

    Raises `InvalidInputError` for what is none.
    """
    if choice is None:
        return (None, Overrides()) if usual is False else chosen(True if usual is None else usual)
    if choice is False:
        return None, Overrides()
    if isinstance(choice, Compressor):
        return Sender(choice), Overrides()
    if isinstance(choice, CompressConfig):
        return shared_sender(choice), Overrides()
    before = chosen(usual) if usual not in (None, False, True) else (None, Overrides())
    if choice is True:
        return before[0] or shared_sender(CompressConfig()), before[1]
    if not isinstance(choice, Mapping):
        raise InvalidInputError("agentcompress", choice, "False, True, a mapping, a CompressConfig or a Compressor")
    named = dict(choice)
    whose = named.pop("compressor", True)
    if not isinstance(whose, Compressor | CompressConfig) and whose is not True:
        raise InvalidInputError("agentcompress.compressor", whose, "a Compressor or a CompressConfig")
    sender = chosen(whose)[0] if whose is not True else before[0] or shared_sender(CompressConfig())
    return sender, checked_overrides({**before[1].model_dump(exclude_unset=True), **named})


def shared_sender(config: CompressConfig) -> Sender:
    """One compressor a config, and one store a ledger: decisions outlive calls and settings."""
    key = repr(config)
    with _lock:
        if key not in _senders:
            store = open_store(config.ledger)
            compressor = Compressor(config, store=_decisions if isinstance(store, MemoryStore) else store)
            _senders[key] = Sender(compressor)
        return _senders[key]
