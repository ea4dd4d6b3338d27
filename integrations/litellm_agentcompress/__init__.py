"""Compression in a LiteLLM proxy, and of asynchronous calls wherever it is one of LiteLLM's callbacks.

    litellm_settings:
      callbacks: ["litellm_agentcompress.handler"]

    agentcompress_settings:
      keep_rate: auto

Importing this package loads neither LiteLLM nor torch; `handler` is made when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litellm_agentcompress.hooks import AgentCompressHandler

    handler: AgentCompressHandler

__all__ = ["handler"]


def __getattr__(name: str) -> Any:
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from litellm_agentcompress.hooks import AgentCompressHandler

    globals()["handler"] = made = AgentCompressHandler()
    return made
