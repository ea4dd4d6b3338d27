"""Thirty steps of a LangChain agent, in as many processes as are started: each goes on from the checkpoint.

    python -m tests.agent_run FOLDER SETTINGS_JSON

FOLDER/project is what its tools work on. Appends what every call to the model was sent to FOLDER/requests.jsonl, and at
the end writes the state to FOLDER/state.json. Stops where a human is asked, and dies in the middle of a tool once.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_agentcompress import AgentCompressMiddleware
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, messages_to_dict
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from agentcompress import CompressConfig
from examples.scripted import ScriptedChat, make_step
from tests.texts_of_agents import make_log

STEPS = 30
ASKS_AT, DIES_AT = 10, 20
_ID = re.compile(r"recall ([0-9a-z]{6}[:@]\d+-\d+)")


def tools(folder: Path) -> list[BaseTool]:
    project = folder / "project"

    @tool
    def list_files(part: str) -> str:
        """List files."""
        return "\n".join(sorted(file.name for file in project.iterdir() if part in file.name))

    @tool
    def read_file(name: str) -> str:
        """Read a file."""
        return (project / name).read_text(encoding="utf-8")

    @tool(response_format="content_and_artifact")
    def grep(pattern: str, name: str) -> tuple[str, dict[str, int]]:
        """Search a file."""
        lines = (project / name).read_text(encoding="utf-8").splitlines()
        found = [f"{name}:{i}:{line}" for i, line in enumerate(lines, 1) if re.search(pattern, line)]
        return "\n".join(found), {"matches": len(found)}

    @tool
    def tail_log(name: str, lines: int) -> list[dict[str, str]]:
        """Read the end of a log."""
        if not (folder / "died").exists() and name == "dies.log":
            (folder / "died").touch()
            os._exit(9)
        return [{"type": "text", "text": make_log(lines, f"{name} worker {{i}} did {{jobs}} jobs")}]

    @tool
    def write_note(name: str, text: str) -> str:
        """Write a note, if a human agrees."""
        (project / name).write_text(text, encoding="utf-8")
        return f"wrote {len(text)} characters"

    return [list_files, read_file, grep, tail_log, write_note]


def script(messages: Sequence[BaseMessage]) -> AIMessage:
    """One of five kinds of steps in turn; every sixth brings back what was omitted from what is seen now."""
    results = [message for message in messages if isinstance(message, ToolMessage)]
    number = len(results)
    if number >= STEPS:
        return AIMessage("Done.")
    if number == ASKS_AT:
        return make_step(number, "write_note", name="notes.txt", text="half way")
    if number == DIES_AT:
        return make_step(number, "tail_log", name="dies.log", lines=80)
    ids = _ID.findall(str([message.content for message in results]))
    if number % 6 == 5 and ids:
        return make_step(number, "recall", id=ids[number % len(ids)])
    files = ["configparser.py", "textwrap.py", "shlex.py", "sched.py", "queue.py", "bisect.py", "calendar.py"]
    name = files[number % len(files)]
    turns = [
        lambda: make_step(number, "list_files", part="py"),
        lambda: make_step(number, "read_file", name=name),
        lambda: make_step(number, "grep", pattern="def |return|raise", name=name),
        lambda: make_step(number, "tail_log", name=f"worker{number}.log", lines=60 + number),
    ]
    return turns[number % len(turns)]()


def main(folder: Path, settings: dict[str, Any]) -> None:
    requests = folder / "requests.jsonl"

    class Noting(ScriptedChat):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
            with requests.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"messages": messages_to_dict(messages), "tools": kwargs["tools"]}) + "\n")
            return super()._generate(messages, *args, **kwargs)

    config = CompressConfig(ledger=str(folder / "ledger.db"), min_tokens=200, **settings)
    with SqliteSaver.from_conn_string(str(folder / "checkpoints.db")) as checkpoints:
        agent: Any = create_agent(
            Noting(script=script),
            tools(folder),
            system_prompt="You look after a project.",
            middleware=[
                AgentCompressMiddleware(config, recall=True),
                HumanInTheLoopMiddleware(interrupt_on={"write_note": True}),
            ],
            checkpointer=checkpoints,
        )
        thread = {"configurable": {"thread_id": "1"}, "recursion_limit": 200}
        before = agent.get_state(thread)
        given: Any = {"messages": [("user", "What does each of these modules do when it is given nothing?")]}
        if before.interrupts:
            given = Command(resume={"decisions": [{"type": "approve"}]})
        elif before.values:
            given = None
        state = agent.invoke(given, thread)
        messages = messages_to_dict(state["messages"])
        (folder / "state.json").write_text(json.dumps(messages), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
