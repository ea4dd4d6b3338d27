"""Compression in LangChain: of an agent's model calls, of any prompt in a chain, of retrieved documents.

    from langchain_agentcompress import AgentCompressMiddleware

    agent = create_agent(model, tools, middleware=[AgentCompressMiddleware()])

Importing this package loads neither LangChain nor torch: every name is looked up on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_agentcompress.documents import DraftDocumentCompressor as DraftDocumentCompressor
    from langchain_agentcompress.middleware import AgentCompressMiddleware as AgentCompressMiddleware
    from langchain_agentcompress.recall import recall_tool as recall_tool
    from langchain_agentcompress.runnable import CompressPrompt as CompressPrompt

_HOME = {
    "AgentCompressMiddleware": "middleware",
    "CompressPrompt": "runnable",
    "DraftDocumentCompressor": "documents",
    "recall_tool": "recall",
}

__all__ = list(_HOME)  # pyrefly: ignore


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
