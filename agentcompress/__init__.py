"""Compress what an LLM agent is about to send; a small local draft model's attention decides what stays.

    from agentcompress import CompressConfig, Compressor

    compressor = Compressor(CompressConfig(draft="smollm2-135m"))
    result = compressor.compress_text(text, query="Which test failed?", keep_rate=0.15, target="gpt-4o")
    result.text, result.spans, result.tokens_before, result.tokens_after

Importing this package loads neither torch nor litellm: every public name is looked up on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from agentcompress.compressor import Compressor as Compressor
    from agentcompress.config import CompressConfig as CompressConfig
    from agentcompress.conversation.recall import recall_schema as recall_schema
    from agentcompress.documents import CompressedDocument as CompressedDocument
    from agentcompress.documents import compress_documents as compress_documents
    from agentcompress.doors.decorator import compressed as compressed
    from agentcompress.doors.litellm_calls import acompletion as acompletion
    from agentcompress.doors.litellm_calls import aresponses as aresponses
    from agentcompress.doors.litellm_calls import completion as completion
    from agentcompress.doors.litellm_calls import responses as responses
    from agentcompress.doors.litellm_calls import wrap_router as wrap_router
    from agentcompress.errors import (
        AgentCompressError as AgentCompressError,
    )
    from agentcompress.errors import (
        ConfigError as ConfigError,
    )
    from agentcompress.errors import (
        DraftError as DraftError,
    )
    from agentcompress.errors import (
        InvalidInputError as InvalidInputError,
    )
    from agentcompress.receipt import Receipt as Receipt
    from agentcompress.results import CompressedMessages as CompressedMessages
    from agentcompress.results import CompressedRequest as CompressedRequest
    from agentcompress.results import CompressedText as CompressedText

_HOME = {
    "AgentCompressError": "errors",
    "CompressConfig": "config",
    "CompressedDocument": "documents",
    "CompressedMessages": "results",
    "CompressedRequest": "results",
    "CompressedText": "results",
    "Compressor": "compressor",
    "ConfigError": "errors",
    "DraftError": "errors",
    "InvalidInputError": "errors",
    "Receipt": "receipt",
    "acompletion": "doors.litellm_calls",
    "aresponses": "doors.litellm_calls",
    "completion": "doors.litellm_calls",
    "compress_documents": "documents",
    "compressed": "doors.decorator",
    "recall_schema": "conversation.recall",
    "responses": "doors.litellm_calls",
    "wrap_router": "doors.litellm_calls",
}

_MODULES = ("deadlines", "target_facts")
"""What users reach through the package without importing it."""

__all__ = [*_HOME, "__version__"]  # pyrefly: ignore


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
