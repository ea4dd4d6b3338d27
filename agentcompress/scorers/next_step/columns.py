"""What is known of each row of a tool's result: of itself, of its place, of the words it shares with what was said.

A column says one thing in its own unit; beside it stands the same in standard deviations within the result (what is
much here may be little elsewhere: that carries over to agents that were never seen), means over neighbours, ranks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from agentcompress.schema import Reading, Segment
from agentcompress.scorers.best_line import split_lines
from agentcompress.scorers.next_step.seen import read_texts
from agentcompress.scorers.next_step.words import WORD, RowWords, is_specific, split_parts
from agentcompress.scorers.units import number_parents

_NUMBER = r"^\s*(?:\d+[:\t|→]?\s*)?"
_DEFINES = re.compile(
    _NUMBER + r"(?:export |public |private |protected |static |async |final |abstract |pub |fn |def |class |func |"
    r"function |interface |struct |enum |impl |type |const |let |var |@)"
)
_COMMENT = re.compile(_NUMBER + r"(?:#|//|/\*|\*|\"\"\"|--|<!--)")
_IMPORT = re.compile(_NUMBER + r"(?:import |from |#include|use |require|package |using )")
_ERROR = re.compile(r"error|fail|exception|traceback|assert|warning|panic|fatal|not found|undefined")
_LINE_NUMBER = re.compile(r"\s*(\d{1,6})(?:[:\t|→]| {1,2}|-)|[^\s:]+\.[A-Za-z]+:(\d+)[:-]")
_PATH = re.compile(r"[\w./-]+/[\w.-]+\.\w+|\b\w+\.(?:py|js|ts|java|go|rs|c|h|cpp|rb|php|json|yaml|toml|md|txt)\b")
_ASKED_NUMBER = re.compile(r"\b\d{1,6}\b")
_CODE_SIGNS = "(){}[];="
_FAR = 9999
_SAID_CHARS = 6000  # of what was said last
_TOOLS: Mapping[str, re.Pattern[str]] = {
    "reads": re.compile(r"read|view|open|cat |sed |head|tail|show|get", re.I),
    "searches": re.compile(r"grep|search|find|glob|rg |ls |list", re.I),
    "runs": re.compile(r"bash|shell|exec|run|test|python|npm|make|terminal|command", re.I),
    "edits": re.compile(r"edit|write|replace|patch|insert|create", re.I),
    "browses": re.compile(r"browse|click|page|http|goto|fetch|navigate", re.I),
}
_KINDS = ("source", "log", "json", "diff", "matches", "table", "prose", "outline", "sections", "mixed", "lines")
NEAR = ("by_task", "by_action", "by_said", "new_names", "task_names", "near_asked", "error", "defines", "asked", "once")
RANKED = ("by_task", "by_action", "by_said", "new_names", "rare_new", "log_chars", "task_names")


def describe_rows(segment: Segment, reading: Reading) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Describe the rows of a result. Returns float32 (rows, columns), the unit of each row, and the columns' names.

    The rows, and the units, int64 (rows,), are those of `best_line.split_lines`.
    """
    rows, unit_of_row = split_lines(segment)
    texts = [rows.text[unit.start : unit.end] for unit in rows.units]
    columns = _Columns(texts, reading)
    found = {**columns.describe_words(), **columns.describe_signs(), **columns.describe_places()}
    parents = number_parents(segment)
    units = _describe_units(segment, parents, unit_of_row)
    whole = columns.describe_result(rows.kind)
    own = np.stack(list(found.values()), axis=1)
    spread = own.std(axis=0)
    standard = (own - own.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)
    near = own[:, [list(found).index(name) for name in NEAR]]
    ranked = own[:, [list(found).index(name) for name in RANKED]]
    ranks = np.argsort(np.argsort(ranked, axis=0, kind="stable"), axis=0, kind="stable") / max(1, len(texts) - 1)
    constant = np.broadcast_to(np.array(list(whole.values())), (len(texts), len(whole)))
    made = [own, standard, *(_average_near(near, reach) for reach in (2, 8)), ranks]
    made += [_average_parents(near, parents[unit_of_row]), np.stack(list(units.values()), axis=1), constant]
    names = (
        *found,
        *(f"{name}_z" for name in found),
        *(f"{name}_within_{reach}" for reach in (2, 8) for name in NEAR),
        *(f"{name}_rank" for name in RANKED),
        *(f"{name}_in_parent" for name in NEAR),
        *units,
        *whole,
    )
    return np.concatenate(made, axis=1).astype(np.float32), unit_of_row, names


def _describe_units(segment: Segment, parents: np.ndarray, unit_of_row: np.ndarray) -> dict[str, np.ndarray]:
    """What the segmenter says of the unit that a row is of, each (rows,). parents: numbers of the units', (units,)."""
    units = segment.units
    rows_of_unit = np.bincount(unit_of_row, minlength=len(units))
    first = np.concatenate([[0], np.cumsum(rows_of_unit)[:-1]])
    known = {
        "floor": [min(unit.floor, 10) for unit in units],
        "prior": [unit.prior for unit in units],
        "unit_chars": [np.log1p(unit.end - unit.start) for unit in units],
        "unit_rows": np.minimum(rows_of_unit, 50),
        "requires": [min(len(unit.requires), 5) for unit in units],
        "wants": [min(len(unit.wants), 5) for unit in units],
        "parent_units": np.log1p(np.bincount(parents)[parents]),
    }
    columns = {name: np.asarray(values, dtype=np.float64)[unit_of_row] for name, values in known.items()}
    columns["row_of_unit"] = np.minimum(np.arange(len(unit_of_row)) - first[unit_of_row], 50).astype(np.float64)
    return columns


def _average_parents(values: np.ndarray, parent_of_row: np.ndarray) -> np.ndarray:
    """Averages over the rows of each row's parent, (rows, columns)."""
    rows = np.bincount(parent_of_row)
    sums = np.stack([np.bincount(parent_of_row, weights=column) for column in values.T], axis=1)
    return (sums / np.maximum(rows, 1)[:, None])[parent_of_row]


def _join_last(texts: Sequence[str], chars: int) -> str:
    """The last characters of texts, a line between them, without joining all that a long conversation has said."""
    last: list[str] = []
    for text in reversed(texts):
        last.append(text)
        chars -= len(text) + 1
        if chars <= 0:
            break
    return "\n".join(reversed(last))


def _average_near(values: np.ndarray, reach: int) -> np.ndarray:
    """Moving averages over so many rows on both sides, the ends repeated, (rows, columns)."""
    padded = np.pad(values, ((reach + 1, reach), (0, 0)), mode="edge").cumsum(axis=0)
    return (padded[2 * reach + 1 :] - padded[: -2 * reach - 1]) / (2 * reach + 1)


class _Columns:
    """Makes the columns of a result's rows, each float64 (rows,)."""

    def __init__(self, texts: Sequence[str], reading: Reading) -> None:
        self._texts, self._reading = texts, reading
        self._stripped = [text.strip() for text in texts]
        self._words = RowWords.of_rows(texts)
        self._before, self._lines_before = read_texts(reading.before)
        self._action = f"{reading.said}\n{reading.tool} {reading.arguments}"
        self._action_words = frozenset(WORD.findall(self._action))
        self._numbers = [_read_line_number(text) for text in texts]
        self._asked = [int(number) for number in _ASKED_NUMBER.findall(self._action)]

    def describe_words(self) -> dict[str, np.ndarray]:
        """What is told by words: rare, new, specific ones, and those that the task and the last action have."""
        words = self._words
        task = frozenset(WORD.findall(self._reading.task))

        def mark(tell: Callable[[str], bool]) -> np.ndarray:
            return np.fromiter((tell(word) for word in words.vocabulary), dtype=bool, count=len(words.vocabulary))

        name, long = mark(is_specific), mark(lambda word: len(word) >= 4)
        before, in_task, in_action = (
            mark(self._before.__contains__),
            mark(task.__contains__),
            mark(self._action_words.__contains__),
        )
        rarity = 1.0 / np.maximum(words.rows_with, 1)
        said = _join_last(self._reading.before, _SAID_CHARS)[-_SAID_CHARS:]
        summed = {
            "names": name,
            "new_names": name & ~before,
            "long": long,
            "new_long": long & ~before,
            "rare": long * rarity,
            "rare_new": (long & ~before) * rarity,
            "once": long & (words.rows_with == 1),
            "task_words": in_task,
            "task_names": name & in_task,
            "action_words": long & in_action,
            "known_long": long & before,
            "known_names": name & before,
        }
        columns = {column: words.sum_by_row(np.asarray(value, dtype=np.float64)) for column, value in summed.items()}
        columns["asked"] = (columns["action_words"] > 0).astype(np.float64)
        for column, query in (("by_task", self._reading.task), ("by_action", self._action), ("by_said", said)):
            columns[column] = words.parts.score_bm25(_split_query(query))
        return columns

    def describe_signs(self) -> dict[str, np.ndarray]:
        """What is told by letters and signs."""
        texts = self._texts
        chars = np.array([len(text) for text in self._stripped], dtype=np.float64)
        digits, letters = _count_classes(texts)
        return {
            "chars": np.minimum(chars, 400),
            "log_chars": np.log1p(chars),
            "indent": np.array([_count_indent(text) for text in texts], dtype=np.float64),
            "defines": _mark(_DEFINES.match, texts),
            "comment": _mark(_COMMENT.match, texts),
            "import": _mark(_IMPORT.match, texts),
            "error": _mark(_ERROR.search, [text.lower() for text in texts]),
            "code_signs": np.array([sum(map(text.count, _CODE_SIGNS)) for text in texts], dtype=np.float64),
            "paths": np.array([len(_PATH.findall(text)) if "/" in text or "." in text else 0 for text in texts], float),
            "digits": digits / np.maximum(chars, 1),
            "letters": letters / np.maximum(chars, 1),
            "quotes": np.array([text.count('"') + text.count("'") for text in texts], dtype=np.float64),
            "opens": np.array([text.endswith(("{", ":", "(")) for text in self._stripped], dtype=np.float64),
            "returns": np.array(["return" in text for text in texts], dtype=np.float64),
        }

    def describe_places(self) -> dict[str, np.ndarray]:
        """Where a row stands, whether it was asked for by number, and whether it stood somewhere before."""
        rows = len(self._texts)
        place = np.arange(rows, dtype=np.float64)
        often = Counter(self._stripped)
        return {
            "place": place / max(1, rows - 1),
            "from_start": np.minimum(place, 50),
            "from_end": np.minimum(place[::-1], 50),
            "seen_before": np.array([text in self._lines_before for text in self._stripped], dtype=np.float64),
            "repeated": np.array([min(often[text], 10) for text in self._stripped], dtype=np.float64),
            "numbered": np.array([number is not None for number in self._numbers], dtype=np.float64),
            "near_asked": np.log1p(self._find_distances()),
        }

    def describe_result(self, kind: str) -> dict[str, float]:
        """What is the same for all rows: how many there are, what kind, what tool."""
        rows = len(self._texts)
        call = f"{self._reading.tool} {self._reading.arguments[:300]}"
        return {
            "rows": float(np.log1p(rows)),
            "mean_chars": float(np.log1p(sum(map(len, self._texts)) / max(1, rows))),
            "share_seen": sum(text in self._lines_before for text in self._stripped) / max(1, rows),
            "asked_numbers": float(min(len(self._asked), 10)),
            "turns": float(np.log1p(len(self._reading.before))),
            **{name: float(pattern.search(call) is not None) for name, pattern in _TOOLS.items()},
            **{f"is_{name}": float(kind == name) for name in _KINDS},
        }

    def _find_distances(self) -> np.ndarray:
        """How many lines every row is away from one that the action asked for by number, at most 9999."""
        known = np.array([-1 if number is None else number for number in self._numbers], dtype=np.float64)
        distances = np.full(len(known), float(_FAR))
        for number in sorted(set(self._asked))[:50]:
            distances = np.minimum(distances, np.abs(known - number))
        return np.where(known < 0, float(_FAR), distances)


def _split_query(query: str) -> frozenset[str]:
    return frozenset(part for word in WORD.findall(query) for part in split_parts(word))


def _mark(find: Callable[[str], object], texts: Sequence[str]) -> np.ndarray:
    return np.array([find(text) is not None for text in texts], dtype=np.float64)


def _read_line_number(text: str) -> int | None:
    match = _LINE_NUMBER.match(text)
    return int(match[1] or match[2]) if match else None


def _count_indent(text: str) -> int:
    """White space in front of a line, its number aside, at most 40."""
    match = _LINE_NUMBER.match(text)
    body = text[match.end() :] if match and match[1] else text
    return min(len(body) - len(body.lstrip(" \t")), 40)


def _count_classes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """How many digits and how many letters every text has, float64 (texts,) each; beyond ASCII all are letters."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.cumsum([len(text) for text in texts])
    is_digit = (codes >= 48) & (codes <= 57)
    lower = codes | 32
    is_letter = ((lower >= 97) & (lower <= 122)) | (codes > 127)

    def count(marks: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0], np.cumsum(marks)])
        return np.diff(total[np.concatenate([[0], ends])]).astype(np.float64)

    return count(is_digit), count(is_letter)
