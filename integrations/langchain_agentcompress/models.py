"""What a LangChain model and its tools are to a target: a LiteLLM name, and schemas to be counted."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from agentcompress.targets.counting import is_mapped

_PROVIDERS = {
    "amazon_bedrock": "bedrock",
    "azure_openai": "azure",
    "fireworks": "fireworks_ai",
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "mistralai": "mistral",
    "together": "together_ai",
}
"""LangChain's names of providers that LiteLLM calls otherwise."""

_schemas: dict[int, tuple[weakref.ref[Any], Any]] = {}


def find_target(model: Any) -> str | None:
    """LiteLLM's name of a chat model; None for one that its map does not hold.

    Read from what LangChain reports to its tracer, which every chat model has.
    """
    params = model._get_ls_params() if hasattr(model, "_get_ls_params") else {}
    name, provider = str(params.get("ls_model_name") or ""), str(params.get("ls_provider") or "")
    return next((each for each in (f"{_PROVIDERS.get(provider, provider)}/{name}", name) if is_mapped(each)), None)


def answer_tokens(model: Any) -> int | None:
    """The longest answer that a model is set to give."""
    limit = getattr(model, "max_tokens", None)
    return limit if isinstance(limit, int) and not isinstance(limit, bool) else None


def describe_tools(tools: Sequence[Any]) -> list[Any]:
    """The tools as a provider is told of them. A tool's schema is made once."""
    return [_describe_tool(tool) for tool in tools]


def _describe_tool(tool: Any) -> Any:
    if isinstance(tool, dict):
        return tool
    key = id(tool)
    known = _schemas.get(key)
    if known is not None and known[0]() is tool:
        return known[1]
    schema = convert_to_openai_tool(tool)
    with contextlib.suppress(TypeError):  # what can't be referred to weakly is not remembered
        _schemas[key] = weakref.ref(tool, lambda _: _schemas.pop(key, None)), schema
    return schema
