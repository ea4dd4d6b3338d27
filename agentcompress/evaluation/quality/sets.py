"""Evaluation sets as JSON Lines: `id, context, question, answers, meta`, or reference cases of recorded agents.

context: a text, a list of `{"title", "text"}` documents, or of `{"speaker" or "role", "content"}` turns. What the
evidence is, `meta` says; see `_find_evidence`. A reference case has `text`, `query` {"task", "action"} and
`references`: strings that later steps of the agent really used. A context of messages with tool results is a recorded
agent, of which such cases are made (`references`), and so are all sessions that `corpora.trajectories` can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from agentcompress.conversation.blocks import write_action_query
from agentcompress.corpora.rows import read_rows
from agentcompress.corpora.trajectories import OWN, Trajectory, find_format, read_trajectories
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality import metrics
from agentcompress.evaluation.quality.references import find_cases, is_trajectory
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence, find_any_answer, read_answers
from agentcompress.schema import Span


class JsonLinesTask:
    """A file of items, or a session file or folder of recorded agents; its name is the task's."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name.removesuffix(".gz").removesuffix(path.suffix) or path.name
        if not path.exists():
            raise InvalidInputError("task", str(path), "a file or folder that exists, or the name of a built-in task")

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        """Yield the first `limit` items, or all. Raises `InvalidInputError` naming the line that is no item."""
        is_foreign = self.path.is_dir() or find_format(self.path) not in (None, OWN.name)
        yield from islice(self._read_sessions() if is_foreign else self._read_items(), limit)

    def _read_sessions(self) -> Iterator[EvalItem]:
        for trajectory in read_trajectories(self.path):
            yield from find_cases(trajectory)

    def _read_items(self) -> Iterator[EvalItem]:
        for row in read_rows(self.path):
            try:
                if is_trajectory(row.value):
                    for identity, context in OWN.read([row], self.name):
                        yield from find_cases(Trajectory(identity, context, OWN.name))
                    continue
                item = _read_case(row.value, row.number) if "references" in row.value else _read_question(row.value)
                if item.evidence or item.answers:  # else there is nothing to measure
                    yield item
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                raise InvalidInputError(
                    row.where,
                    row.value,
                    f"an item with id, context, question and answers ({type(error).__name__}: {error})",
                ) from error


def _read_case(row: Mapping[str, Any], number: int) -> EvalItem:
    return EvalItem(
        id=f"{row['id']}:{row.get('step', number)}",
        text=row["text"],
        query=write_action_query(row["query"]["task"], row["query"]["action"]),
        evidence=Evidence(strings=tuple(row["references"])),
        tool_result=True,
    )


def _read_question(row: Mapping[str, Any]) -> EvalItem:
    text, meta = join_context(row["context"]), row.get("meta") or {}
    answers = read_answers(row["answers"])
    metric = meta.get("metric") or ("choice" if meta.get("options") else "best_subspan_em")
    if metric not in metrics.NAMES:
        raise ValueError(f"metric {metric!r} is none of {', '.join(metrics.NAMES)}")
    behind = meta.get("suffix", "")
    if meta.get("options"):
        behind = f"\n\n{row['question']}\nAnswer with one letter.\nAnswer:"
        answers = answers[:1]
    return EvalItem(
        id=str(row["id"]),
        text=text,
        query=row["question"],
        evidence=_find_evidence(text, row["context"], meta, answers, metric),
        answers=answers,
        metric=metric,
        before=meta.get("prefix", ""),
        behind=behind,
        classes=tuple(meta.get("all_classes") or ()),
        dataset=meta.get("task", ""),
        max_tokens=meta.get("max_tokens") or _MAX_TOKENS.get(metric, 32),
    )


_MAX_TOKENS = {"rouge_l": 256, "code_sim": 64, "choice": 16}


def join_context(context: str | Sequence[Mapping[str, Any]]) -> str:
    """Join a context into one text: documents under their titles, turns behind their speakers, blank lines between."""
    if isinstance(context, str):
        return context
    parts = []
    for part in context:
        title = part.get("title", "").replace("_", " ")
        if "text" not in part:
            parts.append(f"{part.get('speaker') or part.get('role')}: {part.get('content') or ''}")
        else:
            parts.append(f"{title}: {part['text']}" if title else part["text"])
    return "\n\n".join(parts)


def _find_evidence(text: str, context: Any, meta: Mapping[str, Any], answers: tuple[str, ...], metric: str) -> Evidence:
    """Find the evidence that `meta` names, else any of the answers.

    path: that value of a JSON text; gold_source: a function's lines; buggy_lines, buggy_line; gold_sentences;
    gold_turn_spans: closed ranges of turns.
    """
    if isinstance(meta.get("path"), list):
        span = find_json_value(text, meta["path"])
        return Evidence(spans=(span,) if span else ())
    if meta.get("gold_source"):
        lines = [line.strip() for line in meta["gold_source"].splitlines()]
        strings = [line for line in lines if len(line) > 3]
    elif meta.get("buggy_lines") or meta.get("buggy_line"):
        strings = meta.get("buggy_lines") or [meta["buggy_line"]]
    elif meta.get("gold_sentences"):
        strings = [sentence.strip() for sentence in meta["gold_sentences"]]
    elif meta.get("gold_turn_spans"):
        turns = [context[i]["content"] for a, b in meta["gold_turn_spans"] for i in range(a, min(b + 1, len(context)))]
        strings = [turn for turn in turns if len(turn) > 20]
    else:
        return find_any_answer(text, answers, metric)
    return Evidence(strings=tuple(string for string in strings if string in text))


def find_json_value(text: str, path: Sequence[str | int]) -> Span | None:
    """Find the characters of the value at `path` (keys and indexes) of a JSON text; None where there is none."""
    try:
        return _find_value(text, path)
    except (ValueError, IndexError):  # no JSON, or a path through a number
        return None


def _find_value(text: str, path: Sequence[str | int]) -> Span | None:
    decode = json.JSONDecoder().raw_decode

    def skip(i: int) -> int:
        while text[i] in " \t\r\n,:":
            i += 1
        return i

    i = skip(0)
    for step in path:
        if text[i] not in "[{":
            return None
        closing = "}" if text[i] == "{" else "]"
        i, index = skip(i + 1), 0
        while text[i] != closing:
            key: str | int = index
            if closing == "}":
                key, i = decode(text, i)
                i = skip(i)
            if key == step:
                break
            i, index = skip(decode(text, i)[1]), index + 1
        else:
            return None
    return Span(i, decode(text, i)[1])
