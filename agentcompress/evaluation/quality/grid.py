"""Tasks x ways to compress x keep rates, cell by cell, written down as they are done.

Results are appended in an order that the plan alone decides, without anything that differs from run to run, so that
an evaluation that was killed goes on where it stopped and ends with the same file. What a cell took is in a file of
its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import agentcompress
from agentcompress.common import progress
from agentcompress.common.checks import checked_keep_rate
from agentcompress.common.digests import digest
from agentcompress.compressor import Compressor
from agentcompress.drafts import load, profile
from agentcompress.errors import InvalidInputError, TooLongError
from agentcompress.evaluation.quality import metrics
from agentcompress.evaluation.quality.tasks import EvalItem, Task
from agentcompress.evaluation.quality.variants import FULL, Variant
from agentcompress.segmenters.listings import explain_left_whole
from agentcompress.targets.counting import get_token_counter

_WARM_UP = "The first sentence stands here. The second one stands behind it.\n" * 4
RESULTS, TIMINGS, PLAN = "results.jsonl", "timings.jsonl", "plan.json"


class Answering(Protocol):
    """A target: says what it answers, and after how many milliseconds it began to."""

    def answer(self, prompt: str, max_tokens: int) -> tuple[str, float | None]:
        """Answer greedily; the time is None where it can't be known."""
        ...


@dataclass(frozen=True)
class Plan:
    """What is evaluated. limit: items of each task, None for all; target: whose tokens are counted.

    answers: whether the target also answers every prompt, the full ones too. oracle: see `spearman`.
    """

    tasks: Sequence[Task]
    variants: Sequence[Variant]
    keep_rates: Sequence[float]
    target: str
    limit: int | None = None
    answers: bool = False
    oracle: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return what makes two evaluations the same: the items themselves, the drafts' revisions and profiles too."""
        drafts = {variant.draft for variant in self.variants if variant.draft}
        return {
            "agentcompress": agentcompress.__version__,
            "tasks": {task.name: digest(*map(repr, task.items(self.limit))) for task in self.tasks},
            "variants": [[v.name, v.draft, v.config.model_dump(mode="json")] for v in self.variants],
            "keep_rates": list(self.keep_rates),
            "target": self.target,
            "limit": self.limit,
            "answers": self.answers,
            "oracle": self.oracle,
            "drafts": {draft: load.pull_draft(draft).revision for draft in sorted(drafts)},
            "profiles": profile.digest_own_profiles(),
        }


@dataclass(frozen=True)
class Cell:
    """One compression: of an item, in a way, at a rate."""

    task: str
    item: EvalItem
    variant: Variant | None
    keep_rate: float

    @property
    def key(self) -> dict[str, Any]:
        """The fields of a result's row that tell which cell it belongs to."""
        name, draft = (self.variant.name, self.variant.draft) if self.variant else (FULL, "")
        return {
            "task": self.task,
            "item": self.item.id,
            "scorer": name,
            "draft": draft,
            "keep_rate": self.keep_rate,
        }


class Grid:
    """An evaluation in a folder, which is made where it is not there. answering: the target, when it is to answer.

    Raises `InvalidInputError` for tasks of one name, and when the folder holds results of another plan; whatever the
    ways to compress raise about their options, before anything is written.
    """

    def __init__(self, plan: Plan, folder: Path, answering: Answering | None = None) -> None:
        for rate in plan.keep_rates:
            checked_keep_rate(rate)
        names = [task.name for task in plan.tasks]
        if len(set(names)) < len(names):
            raise InvalidInputError("task", names, "tasks of different names")
        get_token_counter(plan.target)
        self.plan, self.folder = plan, folder
        self._answering = answering
        self._compressors = {(v.name, v.draft): Compressor(v.config) for v in plan.variants}
        described = json.dumps(plan.describe(), indent=1, sort_keys=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._claim_folder(described)

    def _claim_folder(self, described: str) -> None:
        known = self.folder / PLAN
        if known.exists() and known.read_text(encoding="utf-8") == described:
            return
        if read_whole_lines(self.folder / RESULTS):
            raise InvalidInputError(
                "output", str(self.folder), "an empty folder, or one with results of this very plan"
            )
        unfinished = known.with_suffix(".tmp")
        unfinished.write_text(described, encoding="utf-8")
        unfinished.replace(known)

    @staticmethod
    def yield_cells(plan: Plan) -> Iterator[Cell]:
        """Yield every cell in the order of the results: a draft at a time, and what reads the same text together."""
        drafts = list(dict.fromkeys(variant.draft for variant in plan.variants if variant.draft)) or [""]
        for task in plan.tasks:
            for draft in drafts:
                first = draft == drafts[0]
                ways = [v for v in plan.variants if v.draft == draft or (first and not v.draft)]
                for item in task.items(plan.limit):
                    if plan.answers and first:
                        yield Cell(task.name, item, None, 1.0)
                    for variant in ways:
                        for rate in plan.keep_rates:
                            yield Cell(task.name, item, variant, rate)

    def run(self) -> list[dict[str, Any]]:
        """Do what is not done yet; return all results, those of earlier runs first."""
        rows = read_whole_lines(self.folder / RESULTS)
        cells = list(self.yield_cells(self.plan))
        pairs = zip(cells, rows, strict=False)
        if len(rows) > len(cells) or any(row.get(k) != v for cell, row in pairs for k, v in cell.key.items()):
            raise InvalidInputError("output", str(self.folder), "a folder whose results are in their order")
        clock = _Remaining(cells[len(rows) :])
        with (
            (self.folder / RESULTS).open("a", encoding="utf-8") as results,
            (self.folder / TIMINGS).open("a", encoding="utf-8") as timings,
        ):
            for cell in cells[len(rows) :]:
                started = time.perf_counter()
                row, took = self._measure_cell(cell)
                append_row(timings, {**cell.key, **took})
                append_row(results, row)
                rows.append(row)
                clock.note_passed(cell, time.perf_counter() - started)
        return rows

    def _measure_cell(self, cell: Cell) -> tuple[dict[str, Any], dict[str, float]]:
        """Return a cell's row and what it took; where text or prompt is too long for somebody, why it was skipped."""
        took: dict[str, float] = {}
        row = dict(cell.key)
        try:
            text = self._compress_cell(cell, row, took)
            if self._answering:
                self._answer_cell(self._answering, cell.item, text, row, took)
        except TooLongError as error:
            row["skipped"] = str(error)
        return row, took

    def _compress_cell(self, cell: Cell, row: dict[str, Any], took: dict[str, float]) -> str:
        item, variant = cell.item, cell.variant
        if variant is None:
            return item.text
        if self._answering:
            self._make_cold(variant)
        started = time.perf_counter()
        compressor = self._compressors[variant.name, variant.draft]
        whole = item.tool_result and variant.config.segmenter == "auto" and explain_left_whole(item.text)
        result = compressor.compress_text(
            item.text, query=item.reading, hint=item.query, keep_rate=1.0 if whole else cell.keep_rate
        )
        took["compress_ms"] = (time.perf_counter() - started) * 1000
        row |= {"tokens_before": result.tokens_before, "tokens_after": result.tokens_after}
        row["evidence"] = item.evidence.measure_kept(item.text, result.spans) if item.evidence else None
        return result.text

    def _make_cold(self, variant: Variant) -> None:
        """Load what a running process has loaded, and forget what it would not know of a new text."""
        compressor = Compressor(variant.config.model_copy(update={"segment_cache_bytes": 0}))
        compressor.compress_text(_WARM_UP, query="Which one is ready?", keep_rate=0.5)
        self._compressors[variant.name, variant.draft] = compressor
        if "agentcompress.drafts.cached_pass" in sys.modules:
            from agentcompress.drafts import cached_pass

            cached_pass.forget_prompts()

    def _answer_cell(
        self, answering: Answering, item: EvalItem, text: str, row: dict[str, Any], took: dict[str, float]
    ) -> None:
        started = time.perf_counter()
        answer, first_token_ms = answering.answer(item.build_prompt(text), item.max_tokens)
        took["answer_ms"] = (time.perf_counter() - started) * 1000
        if first_token_ms is not None:
            took["first_token_ms"] = first_token_ms
        score = metrics.score_answer(item.metric, answer, item.answers, classes=item.classes, dataset=item.dataset)
        row |= {"answer": answer, "score": score}


class _Remaining:
    """Reports seconds passed of seconds in all: what is left is reckoned from cells of the same task and variant."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._passed_s = 0.0
        self._left = Counter(self._classify(cell) for cell in cells)
        self._took: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def note_passed(self, cell: Cell, seconds: float) -> None:
        self._passed_s += seconds
        self._left[self._classify(cell)] -= 1
        self._took[self._classify(cell)].append(seconds)
        everywhere = sum(map(sum, self._took.values())) / sum(map(len, self._took.values()))
        left = sum(count * self._estimate_seconds(sort, everywhere) for sort, count in self._left.items())
        progress.report("evaluate (s)", round(self._passed_s), round(self._passed_s + left))

    def _estimate_seconds(self, sort: tuple[str, str], everywhere: float) -> float:
        took = self._took.get(sort)
        if took:
            return sum(took) / len(took)
        alike = [t for (_, way), times in self._took.items() if way == sort[1] for t in times]
        return sum(alike) / len(alike) if alike else everywhere

    @staticmethod
    def _classify(cell: Cell) -> tuple[str, str]:
        return cell.task, f"{cell.variant.name} {cell.variant.draft}" if cell.variant else FULL


def read_timings(folder: Path) -> list[dict[str, Any]]:
    """Read what every cell took; of a cell that was measured twice, because a run was killed, the last."""
    keys = ("task", "item", "scorer", "draft", "keep_rate")
    return list({tuple(row[k] for k in keys): row for row in read_whole_lines(folder / TIMINGS)}.values())


def append_row(file: TextIO, row: Mapping[str, Any]) -> None:
    """Write a row as a line, at once."""
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    file.flush()


def read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file's rows, and cut a last line off that was being written when a run was killed."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.decode("utf-8").split("\n")[:-1]]  # answers may hold other line ends
