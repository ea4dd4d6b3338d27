"""From a task's name on the command line to the task."""

from __future__ import annotations

from pathlib import Path

from agentcompress.corpora.trajectories import ENDINGS
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality import benchmarks
from agentcompress.evaluation.quality.code_debug import CodeDebugTask
from agentcompress.evaluation.quality.ruler import RulerTask
from agentcompress.evaluation.quality.sets import JsonLinesTask
from agentcompress.evaluation.quality.tasks import Task

FORMS = (
    "FILE.jsonl, a session file or a folder of them, ruler:NAME[:WORDS[:SEED]], code-debug[:CHARS[:SEED]], "
    "longbench:FOLDER:DATASET, longbench2:FILE, ruler-files:FOLDER:TASK or infinitebench:FOLDER:TASK"
)


def open_task(name: str) -> Task:
    """Return the task; `InvalidInputError` says what there is, or what is missing."""
    kind, *rest = name.split(":")
    if kind == "ruler" and len(rest) in (1, 2, 3):
        numbers = (_parse_number(name, part) for part in rest[1:])
        return RulerTask(rest[0], **dict(zip(("words", "seed"), numbers, strict=False)))
    if kind == "code-debug" and len(rest) <= 2:
        numbers = (_parse_number(name, part) for part in rest)
        return CodeDebugTask(**dict(zip(("chars", "seed"), numbers, strict=False)))
    if kind in _FILES and len(rest) >= 2:
        folder, what = ":".join(rest[:-1]), rest[-1]
        return _FILES[kind](Path(folder), what)
    if kind == "longbench2" and rest:
        return benchmarks.open_longbench2(Path(":".join(rest)))
    if Path(name).is_dir() or name.removesuffix(".gz").endswith(ENDINGS):
        return JsonLinesTask(Path(name))
    raise InvalidInputError("task", name, FORMS)


_FILES = {
    "longbench": benchmarks.open_longbench,
    "ruler-files": benchmarks.open_ruler,
    "infinitebench": benchmarks.open_infinitebench,
}


def _parse_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInputError("task", name, FORMS) from None
