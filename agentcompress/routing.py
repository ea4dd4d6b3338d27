"""LiteLLM with compression: the same call, a shorter prompt."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig

_log = logging.getLogger("agentcompress")


def completion(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    agentcompress: Compressor | CompressConfig | bool | None = None,
    **options: Any,
) -> Any:
    """Call `litellm.completion` with compressed messages; every other option goes through as it is.

    agentcompress: a compressor or config to use instead of the default one; False sends the original.
    When compression fails, the original messages are sent and a warning is logged: the agent gets its answer. A config
    that names what does not exist raises.
    """
    import litellm

    from agentcompress import embedded

    if model.startswith(embedded.PREFIX):
        embedded.register()
    sent: Sequence[Mapping[str, Any]] = messages
    if agentcompress is not False:
        compressor = _compressor(agentcompress)
        try:
            sent = compressor.compress(messages, target=model).messages
        except Exception as error:  # noqa: BLE001 - whatever it is, the agent must get its answer
            _log.warning("sending the original messages: %s: %s", type(error).__name__, error)
    return litellm.completion(model=model, messages=list(sent), **options)


def _compressor(given: Compressor | CompressConfig | bool | None) -> Compressor:
    if isinstance(given, Compressor):
        return given
    if isinstance(given, CompressConfig):
        return _shared(given.model_dump_json())
    return _shared("{}")


@lru_cache(maxsize=16)
def _shared(config_json: str) -> Compressor:
    """One compressor a config, so that decisions and the draft outlive a call."""
    return Compressor(CompressConfig(**json.loads(config_json)))
