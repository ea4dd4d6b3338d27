"""LangChain's own suite for tools, on `recall`."""

from __future__ import annotations

from typing import Any

from langchain_agentcompress import recall_tool
from langchain_core.tools import BaseTool
from langchain_tests.unit_tests import ToolsUnitTests

from tests.fakes import compressor


class TestRecallTool(ToolsUnitTests):
    @property
    def tool_constructor(self) -> BaseTool:
        return recall_tool(compressor(recall=True))

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"id": "k7f2q9:120-133", "page": 1}
