"""A LangGraph agent with file and shell tools on a real folder, compressed by one line. Offline: a script is its model.

.venv/bin/python -m examples.langgraph_agent
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_agentcompress import AgentCompressMiddleware
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, tool

from agentcompress import CompressConfig, Receipt
from examples.scripted import ScriptedChat, make_step

TASK = (
    "reproduce.py fails with an InterpolationDepthError. How deep may values refer to each other, and who checks that?"
)
REPRODUCE = """
import configparser
parser = configparser.ConfigParser()
parser.read_dict({"a": {f"k{i}": f"%(k{i + 1})s" for i in range(20)} | {"k20": "end"}})
print(parser["a"]["k0"])
"""


def build_tools(folder: Path) -> list[BaseTool]:
    """Build tools that read, search and run in a folder."""

    @tool
    def list_files(path: str) -> str:
        """List a folder."""
        return "\n".join(sorted(str(file.relative_to(folder)) for file in (folder / path).rglob("*.py")))

    @tool
    def read_file(path: str) -> str:
        """Read a file."""
        return (folder / path).read_text(encoding="utf-8")

    @tool
    def grep(pattern: str, path: str) -> str:
        """Search a file's lines."""
        lines = (folder / path).read_text(encoding="utf-8").splitlines()
        return "\n".join(f"{path}:{i}:{line}" for i, line in enumerate(lines, 1) if re.search(pattern, line))

    @tool
    def run(command: str) -> str:
        """Run a shell command."""
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        return f"{done.stdout}{done.stderr}exit code {done.returncode}"

    return [list_files, read_file, grep, run]


def play_script(messages: Sequence[BaseMessage]) -> AIMessage:
    """Answer as a model would, which knows no more than it is sent."""
    results = [str(message.content) for message in messages if isinstance(message, ToolMessage)]
    turns = [
        lambda: make_step(0, "list_files", path="."),
        lambda: make_step(1, "run", command=f"{sys.executable} reproduce.py"),
        lambda: make_step(2, "grep", pattern="Interpolation", path="configparser.py"),
        lambda: make_step(3, "read_file", path="configparser.py"),
    ]
    if len(results) < len(turns):
        return turns[len(results)]()
    limit = re.search(r"MAX_INTERPOLATION_DEPTH = (\d+)", results[-1])
    raised = re.search(r"def (_\w+)[^#]*?(?:#[^\n]*\n\s*)*if depth > MAX_INTERPOLATION_DEPTH", results[-1])
    return AIMessage(f"At most {limit[1] if limit else '?'}; {raised[1] if raised else '?'} checks it.")


def main() -> tuple[str, list[Receipt]]:
    """Run the agent; return its answer, and a receipt for every call to its model."""
    receipts: list[Receipt] = []
    ours = AgentCompressMiddleware(CompressConfig(ledger="memory", keep_rate=0.3), on_receipt=receipts.append)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(configparser.__file__, folder / "configparser.py")
        (folder / "reproduce.py").write_text(REPRODUCE, encoding="utf-8")
        model = ScriptedChat(script=play_script)
        agent: Any = create_agent(model, build_tools(folder), middleware=[ours], system_prompt="You mend programs.")
        state = agent.invoke({"messages": [("user", TASK)]})
    for receipt in receipts:
        said = [f"{block.tool} {block.decision}" for block in receipt.blocks]
        print(f"{receipt.tokens_before:>6} -> {receipt.tokens_after:>5} tokens  {', '.join(said)}")
    print(state["messages"][-1].content)
    return str(state["messages"][-1].content), receipts


if __name__ == "__main__":
    main()
