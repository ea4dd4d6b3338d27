"""An agent that is a loop and nothing else: one decorator on what calls the model, one on a tool.

.venv/bin/python -m examples.plain_loop
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from agentcompress import CompressConfig, Receipt, compressed

SOURCES = Path(logging.__file__).parent
CONFIG = CompressConfig(ledger="memory", keep_rate=0.5)
TASK = "Which method decides whether a record is handled, and what does it look at?"
receipts: list[Receipt] = []


@compressed.tool(query_from="pattern", config=CONFIG)
def search(pattern: str) -> str:
    """Find lines of the sources around a match, with their numbers."""
    found = []
    for file in sorted(SOURCES.glob("*.py")):
        lines = file.read_text(encoding="utf-8").splitlines()
        near = {j for i, line in enumerate(lines) if re.search(pattern, line) for j in range(i - 8, i + 25)}
        found += [f"{file.name}:{i + 1}:{line}" for i, line in enumerate(lines) if i in near]
    return "\n".join(found)


def read_source(path: str) -> str:
    """Read a file of the sources."""
    return (SOURCES / path).read_text(encoding="utf-8")


TOOLS = {"search": search, "read": read_source}


@compressed(config=CONFIG, on_receipt=receipts.append)
def think(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer as a hosted model would: ask for two things, then answer from what was sent of them."""
    results = [message["content"] for message in messages if message["role"] == "tool"]
    turns = [("search", {"pattern": r"def isEnabledFor"}), ("read", {"path": "__init__.py"})]
    if len(results) < len(turns):
        name, arguments = turns[len(results)]
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{len(results)}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    found = next((text for text in results if "manager.disable" in text), "")
    return {"role": "assistant", "content": "isEnabledFor; manager.disable and the level" if found else "nobody knows"}


def main() -> str:
    """Run the loop; return the answer."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": TASK}]
    while True:
        reply = think(messages)
        messages.append(reply)
        print(f"{receipts[-1].tokens_before:>6} -> {receipts[-1].tokens_after:>5} tokens")
        if not reply.get("tool_calls"):
            print(reply["content"])
            return str(reply["content"])
        for call in reply["tool_calls"]:
            function = call["function"]
            result = TOOLS[function["name"]](**json.loads(function["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


if __name__ == "__main__":
    main()
