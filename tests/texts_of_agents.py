"""What agents read and do in tests: logs, prose, source, and recorded conversations, the same every time."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any


def make_log(lines: int, line: str = "worker {i} did {jobs} jobs") -> str:
    """A log of so many lines. line: what each says, with its number as {i} and another count in each as {jobs}."""
    return "".join(f"12:00:{i % 60:02d} {line.format(i=i, jobs=i * 7919 % 1000)}\n" for i in range(lines))


def make_prose(keepers: int) -> str:
    return " ".join(
        f"The {i}th keeper of the house wrote {i * 31 % 97} letters. None was sent." for i in range(keepers)
    )


LOG = make_log(200, "worker {i} finished its share of the job without trouble")
LOG = LOG.replace("worker 137 finished", "worker 137 failed: disk quota exceeded, did not finish")
DATED_LOG = "\n".join(f"2026-11-02 worker {n % 7} finished job {n} in {n % 90} ms" for n in range(300))
PROSE = make_prose(200)
SOURCE = Path(configparser.__file__).read_text(encoding="utf-8")
TEXTS = {
    "source": SOURCE,
    "log": make_log(300),
    "prose": PROSE,
    "json": json.dumps([{"id": i, "name": f"user {i}", "jobs": i * 7919 % 1000} for i in range(200)], indent=1),
    "mixed": f"# Notes\n\n{PROSE}\n\n```\n{make_log(300)}```\n",
}
"""One of each kind."""

RECORDED: list[dict[str, Any]] = [
    {"role": "system", "content": "You are careful."},
    {"role": "user", "content": "Which worker failed?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [{"name": "read", "arguments": {"path": "a.log"}}]},
    {"role": "tool", "content": LOG},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"name": "a", "arguments": "a()"}, {"name": "b", "arguments": {}}],
    },
    {"role": "tool", "content": "one"},
    {"role": "tool", "content": LOG + "!"},
    {"role": "assistant", "content": "Worker `worker_137` of `disk.quota`."},
    {"role": "tool", "content": LOG + "?"},
    {"role": "assistant", "content": "Done."},
    {"role": "user", "content": "Thanks."},
]


def talk(steps: int) -> list[dict[str, Any]]:
    """A recorded agent that reads a log in so many parts."""
    recorded: list[dict[str, Any]] = [{"role": "user", "content": "Which job failed?"}]
    for step in range(steps):
        call = {"name": "read", "arguments": {"part": step}}
        recorded.append({"role": "assistant", "content": f"Part {step}.", "tool_calls": [call]})
        recorded.append({"role": "tool", "content": f"part {step}\n{DATED_LOG}"})
    return recorded
