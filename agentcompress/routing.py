"""LiteLLM with compression: the same call, a shorter prompt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_store

_log = logging.getLogger("agentcompress")
_lock = threading.Lock()
_compressors: dict[str, Compressor] = {}
_decisions = MemoryStore()


def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    agentcompress: Compressor | CompressConfig | bool | None = None,
    **options: Any,
) -> Any:
    """Call `litellm.completion` with compressed messages; every other option goes through as it is.

    agentcompress: a compressor or config to use instead of the default one; False sends the original.
    A block that can't be compressed is sent as it is, now and later, and a warning is logged; should anything else
    fail, the original messages are sent: the agent gets its answer. A config that names what does not exist raises.
    """
    import litellm

    from agentcompress import embedded

    if model.startswith(embedded.PREFIX):
        embedded.register()
    sent: Sequence[Mapping[str, Any]] = messages
    if agentcompress is not False:
        compressor = agentcompress if isinstance(agentcompress, Compressor) else _shared(agentcompress)
        try:
            sent = compressor.compress(messages, target=model, on_error="warn", format="openai").messages
        except Exception as error:  # noqa: BLE001 - whatever it is, the agent must get its answer
            _log.warning("sending the original messages: %s: %s", type(error).__name__, error)
    return litellm.completion(model=model, messages=list(sent), **options)


def _shared(config: CompressConfig | bool | None) -> Compressor:
    """One compressor a config, and one store a ledger: decisions outlive calls and settings."""
    config = config if isinstance(config, CompressConfig) else CompressConfig()
    key = repr(config)
    with _lock:
        if key not in _compressors:
            store = open_store(config.ledger)
            _compressors[key] = Compressor(config, store=_decisions if isinstance(store, MemoryStore) else store)
        return _compressors[key]
