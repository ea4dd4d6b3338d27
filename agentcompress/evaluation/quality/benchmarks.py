"""LongBench v1 and v2, RULER and InfiniteBench, from files in their published layouts, where the user has them.

Nothing is downloaded. Prompts are the benchmarks' own; chat templates are the target's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from agentcompress.corpora.rows import read_rows
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.benchmark_prompts import INFINITEBENCH, LONGBENCH
from agentcompress.evaluation.quality.tasks import EvalItem, find_any_answer, read_answers

_RULER_QUESTION = re.compile(r"\n(?:Question: )?(?=What |Find |Answer )[^\n]*\Z|\nQuestion: [^\n]*\Z", re.DOTALL)
_RULER_OPENING = re.compile(r"\A[^\n]*(?:hidden within|hidden in|numbered list|coded text)[^\n]*\n+")


class FileTask:
    """A benchmark's file as a task. read: makes an item of one of its rows. whose: where such files come from."""

    def __init__(self, name: str, path: Path, read: Callable[[Mapping[str, Any], int], EvalItem], whose: str) -> None:
        if not path.is_file():
            raise InvalidInputError("task", name, f"a task whose file is there: {path} is not (see {whose})")
        self.name, self._path, self._read = name, path, read

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        """Yield the first `limit` items, or all. Raises `InvalidInputError` naming the row that is none."""
        for number, row in ((each.number, each.value) for each in islice(read_rows(self._path), limit)):
            try:
                yield self._read(row, number)
            except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
                raise InvalidInputError(
                    f"{self._path.name} row {number}", row, f"{self.name}'s layout ({type(error).__name__}: {error})"
                ) from error


def open_longbench(folder: Path, dataset: str) -> FileTask:
    """Open LongBench v1: `<dataset>.jsonl` with input, context, answers, all_classes, _id. English and code tasks."""
    if dataset not in LONGBENCH:
        raise InvalidInputError("LongBench dataset", dataset, f"one of {', '.join(LONGBENCH)}")
    before, behind, metric, tokens = LONGBENCH[dataset]

    def read_row(row: Mapping[str, Any], number: int) -> EvalItem:
        answers = read_answers(row["answers"])
        return EvalItem(
            id=str(row.get("_id", number)),
            text=row["context"],
            query=row["input"] or behind.strip().split("\n")[0],
            evidence=find_any_answer(row["context"], answers, metric),
            answers=answers,
            metric=metric,
            before=before,
            behind=behind.replace("{input}", row["input"]),
            classes=tuple(row.get("all_classes") or ()),
            dataset=dataset,
            max_tokens=tokens,
        )

    return FileTask(f"longbench-{dataset}", folder / f"{dataset}.jsonl", read_row, "github.com/THUDM/LongBench")


def open_longbench2(file: Path) -> FileTask:
    """Open LongBench v2: `data.json`, a list of rows with question, choice_A to choice_D, answer and context."""

    def read_row(row: Mapping[str, Any], number: int) -> EvalItem:
        choices = "\n".join(f"({letter}) {row[f'choice_{letter}'].strip()}" for letter in "ABCD")
        question = row["question"].strip()
        return EvalItem(
            id=str(row.get("_id", number)),
            text=row["context"].strip(),
            query=f"{question}\n{choices}",
            answers=(row["answer"],),
            metric="choice",
            before="Please read the following text and answer the question below.\n\n<text>\n",
            behind=f"\n</text>\n\nWhat is the correct answer to this question: {question}\nChoices:\n{choices}\n\n"
            'Format your response as follows: "The correct answer is (insert answer here)".',
            dataset="longbench-v2",
            max_tokens=128,
        )

    return FileTask("longbench-v2", file, read_row, "huggingface.co/datasets/THUDM/LongBench-v2")


def open_ruler(folder: Path, task: str) -> FileTask:
    """Open RULER: `<task>/validation.jsonl` with input, outputs and, in newer files, answer_prefix."""

    def read_row(row: Mapping[str, Any], number: int) -> EvalItem:
        prompt = row["input"] + row.get("answer_prefix", "")
        found = _RULER_QUESTION.search(prompt)
        opening = _RULER_OPENING.match(prompt)
        if found is None:
            raise ValueError("input ends with no question")
        start = opening.end() if opening and opening.end() <= found.start() else 0
        text, answers = prompt[start : found.start()], read_answers(row["outputs"])
        return EvalItem(
            id=str(row.get("index", number)),
            text=text,
            query=found.group().strip(),
            evidence=find_any_answer(text, answers, "string_match_all"),
            answers=answers,
            metric="string_match_part" if task.startswith("qa") else "string_match_all",
            before=prompt[:start],
            behind=prompt[found.start() :],
            max_tokens=128,
        )

    return FileTask(f"ruler-{task}", folder / task / "validation.jsonl", read_row, "github.com/NVIDIA/RULER")


def open_infinitebench(folder: Path, task: str) -> FileTask:
    """Open InfiniteBench: `<task>.jsonl` with id, context, input, answer and options."""
    if task not in INFINITEBENCH:
        raise InvalidInputError("InfiniteBench task", task, f"one of {', '.join(INFINITEBENCH)}")
    before, behind, metric, tokens = INFINITEBENCH[task]

    def read_row(row: Mapping[str, Any], number: int) -> EvalItem:
        answers = read_answers(row["answer"])
        options = row.get("options") or []
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=False))
        if metric == "choice":
            answers = (answers[0], "ABCD"[options.index(answers[0])])
        text = row["context"]
        return EvalItem(
            id=str(row.get("id", number)),
            text=text,
            query=f"{row['input']}\n{listed}".strip(),
            evidence=find_any_answer(text, answers, metric),
            answers=answers,
            metric=metric,
            before=before,
            behind=behind.replace("{input}", row["input"]).replace("{options}", listed),
            max_tokens=tokens,
        )

    return FileTask(f"infinitebench-{task}", folder / f"{task}.jsonl", read_row, "github.com/OpenBMB/InfiniteBench")
