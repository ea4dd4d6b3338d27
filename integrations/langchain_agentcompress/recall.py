"""The tool `recall` for LangChain: what was omitted, page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import Field

from agentcompress.common.checks import checked_text
from agentcompress.compressor import Compressor
from agentcompress.conversation.recall import DESCRIPTION, DOWN
from agentcompress.text.recall_style import TOOL_NAME

_log = logging.getLogger("agentcompress")

Namespace = str | Callable[[Any], str] | None
"""Whose conversation it is: a name, or a function of a run's context that gives one."""

_Id = Annotated[str, Field(description="The id as it stands in the mark, e.g. k7f2q9:120-133")]
_Page = Annotated[int, Field(description="Which page, from 1")]


def recall_tool(compressor: Compressor, namespace: Namespace = None) -> BaseTool:
    """A tool that answers from the compressor's ledger, for conversations of a namespace.

    The compressor's config has `recall=True`, or no delimiter carries an id.
    """

    def recall(id: _Id, page: _Page = 1) -> str:  # noqa: A002 - the argument's name in the schema
        return compressor.recall(id, page, namespace=namespace if isinstance(namespace, str) else None)

    def recall_of_tenant(id: _Id, runtime: ToolRuntime[Any, Any], page: _Page = 1) -> str:  # noqa: A002
        try:
            whose = find_namespace(namespace, runtime)
        except Exception as error:  # noqa: BLE001 - a tool's failure would be the agent's
            _log.warning("recall: nobody knows whose it is: %s", type(error).__name__)
            return DOWN.format(id=id)
        return compressor.recall(id, page, namespace=whose)

    function = recall_of_tenant if callable(namespace) else recall
    return StructuredTool.from_function(function, name=TOOL_NAME, description=DESCRIPTION)


def find_namespace(namespace: Namespace, runtime: Any) -> str | None:
    """Whose conversation a run is; None: as configured."""
    if not callable(namespace):
        return None
    return checked_text("namespace", namespace(getattr(runtime, "context", None)))
