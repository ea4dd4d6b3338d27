"""Data that was pasted into a message without a mark around it, told from what a person has written.

Only what is recognised as data is found: in doubt a line is a person's, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentcompress.schema import Span
from agentcompress.segmenters.detect import looks_like_code
from agentcompress.segmenters.shapes import Shapes, make_templates
from agentcompress.text.lines import ANSI, Rows

_DATA = re.compile(
    r"""
    \W{0,3}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d\d/\w{3}/\d{4}|[A-Z][a-z]{2}\s+\d{1,2}\s\d\d:\d\d|\[\s*\d+\.\d+\]
      |(?:DEBUG|INFO|WARN(?:ING)?|ERROR|TRACE|FATAL|NOTICE)\b[\s:\]|-])            # a log's line
    |\s*[{}\[\]()<|+>$@%^~=\\]|\s*\\x|.*\|.*\||.*\t.*\t                            # brackets, prompts, bars, columns
    |\s*"(?:[^"]*"\s*[:,]|[^"]*",?\s*$)|\s*'[^']*',?\s*$                          # JSON
    |\s+at\s\S|\s*File\s"|\S+:\d+(?::\d+)?[:\s]|[-+]{3}\s\S|@@\s|diff\s--git|index\s[0-9a-f]{7}
    |\s*[\w.$-]+\s*[-+*/|&]?=\s*\S|\s*--\w|\S+\.(?:py|js|ts|go|rs|java|c|cpp|h|md|txt|json|yaml|yml|toml|log)\b\s*$
    |[-dlbcps][rwxsStT-]{9}|\s*\#\d+\s|\s*\[\d+/\d+\]|(?:[^\s,]+,){2,}\S*|\S{60,}
    """,
    re.VERBOSE,
)
_COMMENT = re.compile(r"\s*(?:#|//|/\*|\*|--|;|\"\"\"|''')")
_KEYED = re.compile(r"\s*(?:- )?[\w./\"'-]{1,48}:(?:\s|$)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_SENTENCE_END = re.compile(r"[.!?…。！？؟।]['\"”’)]*\s*$")
_SPEAKING = (
    "please you your we our my me the and not don't do does can could would should is are was if in into to of for with"
    " what why how when which where this that these it but only also make sure fix find explain tell show answer thanks"
    " here below above ps btw und nicht bitte ich du sie wir die das der ist mit auf ein eine le la les des est pas"
    " vous je el los por para que no una un con"
)
_SPEAKS = frozenset(_SPEAKING.split())
_LETTERS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_FEW_ROWS, _MOST_HUMAN = 8, 0.3
"""In a paragraph of fewer rows every one must be data; of a longer one this share may look like a person's."""

_LEAST_DATA_CHARS = 2000
"""A paste of fewer characters stays as it is."""


def find_pastes(text: str, stretch: Span) -> list[Span]:
    """Ranges of a stretch of text that are pasted data, of 2,000 characters and more, in order."""
    part = text[stretch.start : stretch.end]
    rows = Rows(part)
    is_data = _tell_data(rows)
    found: list[Span] = []
    start = last = -1
    for row in range(len(rows) + 1):
        spoken = row < len(rows) and bool(rows[row].strip())
        if row < len(rows) and (is_data[row] or not spoken):
            if is_data[row]:
                start, last = (row if start < 0 else start), row
            continue
        if start >= 0:
            a, b = rows.get_span(start, last)
            if b - a >= _LEAST_DATA_CHARS:
                found.append(Span(stretch.start + a, stretch.start + b))
        start = -1
    return found


def _tell_data(rows: Rows) -> list[bool]:
    """For every row whether it is data."""
    lines = [ANSI.sub("", rows[row]).rstrip() for row in range(len(rows))]
    shapes = Shapes(make_templates(lines))
    human = [
        _may_be_human(line) and (not shapes.is_usual(row) or (_speaks(line) and _SENTENCE_END.search(line) is not None))
        for row, line in enumerate(lines)
    ]
    spoken = [bool(line.strip()) for line in lines]
    is_data = [False] * len(lines)
    for first, last in _find_paragraphs(spoken):
        if _is_data_paragraph(human[first : last + 1]):
            for row in range(first, last + 1):
                is_data[row] = not (human[row] and (_speaks(lines[row]) or _is_at_end(human, first, last, row)))
    _join_indented(lines, spoken, is_data)
    return is_data


def _is_data_paragraph(human: Sequence[bool]) -> bool:
    """Whether a paragraph is data: all its rows are, of a long one nearly all, but for some at its ends."""
    inner = list(human)
    while inner and inner[0]:
        inner.pop(0)
    while inner and inner[-1]:
        inner.pop()
    if not inner:
        return False
    return sum(inner) <= (_MOST_HUMAN * len(inner) if len(inner) >= _FEW_ROWS else 0)


def _is_at_end(human: Sequence[bool], first: int, last: int, row: int) -> bool:
    """Whether a row and all from it to one end of its paragraph may be a person's."""
    return all(human[first : row + 1]) or all(human[row : last + 1])


def _join_indented(lines: Sequence[str], spoken: Sequence[bool], is_data: list[bool]) -> None:
    """Count indented paragraphs between data as data: text in code, the message of a commit."""
    paragraphs = list(_find_paragraphs(spoken))
    for number in range(1, len(paragraphs) - 1):
        first, last = paragraphs[number]
        indented = all(lines[row][:2] in ("  ", "\t") or lines[row][:1] == "\t" for row in range(first, last + 1))
        if indented and is_data[paragraphs[number - 1][1]] and is_data[paragraphs[number + 1][0]]:
            is_data[first : last + 1] = [True] * (last + 1 - first)


def _find_paragraphs(spoken: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and last rows of stretches without a blank row."""
    first = -1
    for row, says in enumerate([*spoken, False]):
        if not says and first >= 0:
            yield first, row - 1
        first = -1 if not says else row if first < 0 else first


def _may_be_human(line: str) -> bool:
    """Whether a person may have written a line: words, and nothing that only data has."""
    if not line.strip() or _DATA.match(line):
        return False
    words = _WORD.findall(line)
    if _COMMENT.match(line) and line[:1].isspace():
        return False
    if looks_like_code(line) and not _SENTENCE_END.search(line):
        return False
    if _KEYED.match(line) and len(words) <= 3 and not _speaks(line):
        return False
    letters = sum(map(len, words))
    return letters >= 0.5 * len(line.replace(" ", "")) and (len(words) >= 2 or not line.isascii() or letters > 3)


def _speaks(line: str) -> bool:
    """Whether a line speaks to somebody: a sentence's end, or words that only sentences have."""
    said = [word.lower() for word in _LETTERS.findall(line)]
    speaking = sum(word in _SPEAKS for word in said)
    if not line.isascii() and len(said) >= 1:
        return True
    return len(said) >= 3 and (speaking >= 2 or (speaking >= 1 and _SENTENCE_END.search(line) is not None))
