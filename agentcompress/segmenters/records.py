"""Records of a log: lines that belong together, and the heading that each line stands under.

A record is a paragraph and the indented ones below it: a commit with its message, a failed test with what was expected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_GUTTER = re.compile(r"[^\S\n]*+(?:\d++[^\S\n]*+)?[|│]")
_RULED = re.compile(r"\s*[=\-_*─━~#+⎯]{4,}")
_INDENTED = re.compile(r"[ \t]*")
_TAB_WIDTH = 4
_HEADING_CHARS, _DEEPEST, _ANEW = 200, 8, 4
_KEYED = re.compile(r"\w[\w -]{0,24}:\s")
_ID = re.compile(r"\w+ [0-9a-f]{7,40}\b")
_LEAST_TITLES = 3
_RECORD = re.compile(
    r"##\[group\]|BEGIN:V[A-Z]+$"
    r"|[-*]\[ RECORD \d+ \]|\*+ \d+\. row \*+|(?:-{3,}|={3,}|_{3,}|\*{3,}|#{3,}) .*\w.* ?[-=_*#]{3,}$"
)
"""A rule with words in it, as databases put above a record and test runners above a failure."""

_CALLED = re.compile(r"(?:SUMMARY|FN)[:;]")
_NUMBERED_RECORD = re.compile(r"[-*]\[ RECORD \d+ \]|\*+ \d+\. row \*+")
_LONGEST_ROWS, _SHORT_ROWS = 60, 20


@dataclass(frozen=True)
class Layout:
    """How lines stand. indents: columns; of a blank line that of the line before. blank: rows without a word.

    headings: for every row the one that it stands under, or -1; -1 too at every fourth level of many, that not all of
    them come along. paragraphs: for every row the first of its paragraph.
    """

    indents: Sequence[int]
    blank: frozenset[int]
    headings: Sequence[int]
    paragraphs: Sequence[int]


def lay_out(lines: Sequence[str]) -> Layout:
    """Measure how lines stand. lines: without colours and line feeds."""
    blank = frozenset(row for row, line in enumerate(lines) if not line.strip())
    indents: list[int] = []
    paragraphs: list[int] = []
    for row, line in enumerate(lines):
        indents.append((indents[-1] if indents else 0) if row in blank else _measure_indent(line))
        paragraphs.append(row if row in blank or not row or row - 1 in blank else paragraphs[-1])
    return Layout(indents, blank, _find_headings(lines, indents, blank), paragraphs)


def _measure_indent(line: str) -> int:
    """Columns before the first word; of source shown in a gutter, those of its bar."""
    gutter = _GUTTER.match(line)
    if gutter:
        return len(gutter.group())
    found = _INDENTED.match(line)
    return len(found.group().expandtabs(_TAB_WIDTH)) if found else 0


def _find_headings(lines: Sequence[str], indents: Sequence[int], blank: frozenset[int]) -> list[int]:
    """For every row the last one above that is indented less, over blank rows too; -1 where there is none."""
    headings: list[int] = []
    above: list[int] = []  # rows around this one, the outermost first
    for row, indent in enumerate(indents):
        if row in blank:
            headings.append(-1)
            continue
        while above and indents[above[-1]] >= indent:
            above.pop()
        heading = above[-1] if above else -1
        stands = (
            heading >= 0 and (len(above) < _DEEPEST or len(above) % _ANEW) and len(lines[heading]) <= _HEADING_CHARS
        )
        headings.append(heading if stands else -1)
        above.append(row)
    return headings


def find_titles(lines: Sequence[str], layout: Layout) -> dict[int, int]:
    """Rows of a record that its first row names (a commit's id, a host, a package), and that row.

    That is the first row of a short paragraph, and also of the indented ones below it where it says that it is a title.
    """
    titles: dict[int, int] = {}
    ends = _find_paragraph_ends(layout)
    titling = _find_titling_words(lines, layout)
    title = -1
    for row in range(len(lines)):
        if row in layout.blank:
            continue
        first = layout.paragraphs[row]
        if _RECORD.match(lines[row]):
            title = row
        elif first == row and not layout.indents[row]:
            title = row if _is_title(lines, row) or lines[row].split(None, 1)[0] in titling else -1
        elif title >= 0 and _is_under(layout, title, row):
            name = _find_name(lines, title)
            titles[row] = name if name != row else title
        elif first != row and ends[first] - first < _SHORT_ROWS and len(lines[first]) <= _HEADING_CHARS:
            titles[row] = first
    return titles


def _find_name(lines: Sequence[str], title: int) -> int:
    """The row that names a record: the first field of a database's, the summary of a calendar's, else its title."""
    if _NUMBERED_RECORD.match(lines[title]):
        return min(title + 1, len(lines) - 1)
    if lines[title].startswith("BEGIN:"):
        for row in range(title + 1, min(title + _LONGEST_ROWS, len(lines))):
            if _CALLED.match(lines[row]):
                return row
            if lines[row].startswith("END:"):
                break
    return title


def _is_under(layout: Layout, title: int, row: int) -> bool:
    """Whether a row belongs to a title above it: it is of its paragraph, or of an indented one not far below."""
    if layout.paragraphs[row] == title:
        return True
    return row - title < _LONGEST_ROWS and (layout.paragraphs[row] != row or layout.indents[row] > 0)


def _find_titling_words(lines: Sequence[str], layout: Layout) -> frozenset[str]:
    """Words that paragraphs begin with again and again, and no other line does: what is below belongs to them."""
    words = [line.split(None, 1)[0] if line.strip() else "" for line in lines]
    first = Counter(words[row] for row in set(layout.paragraphs) if row not in layout.blank and not layout.indents[row])
    often = Counter(words)
    return frozenset(
        word for word, n in first.items() if n >= _LEAST_TITLES and often[word] == n and word[:1].isalpha()
    )


def _find_paragraph_ends(layout: Layout) -> dict[int, int]:
    """The last row of every paragraph, by its first."""
    return {first: row for row, first in enumerate(layout.paragraphs)}


def _is_title(lines: Sequence[str], row: int) -> bool:
    """Whether a paragraph's first line names what stands below it."""
    line = lines[row].rstrip()
    below = lines[row + 1] if row + 1 < len(lines) else ""
    if len(line) > _HEADING_CHARS or not below.strip():
        return False
    return line.endswith(":") or (_ID.match(line) is not None and _KEYED.match(below) is not None)


def find_body(lines: Sequence[str], layout: Layout, head: int, last: int) -> Iterator[tuple[int, bool]]:
    """Rows that may belong to a failure named in row `head`, up to row `last`, and whether they certainly do.

    The rest of its paragraph, the next one and what is indented below it do; further paragraphs, up to a rule, may.
    """
    indent, gaps = layout.indents[head], 0
    for row in range(head + 1, min(last, head + _LONGEST_ROWS) + 1):
        if row in layout.blank:
            gaps += row - 1 not in layout.blank
            continue
        if _RULED.match(lines[row]) and row > head + 1:
            return
        yield row, layout.indents[row] > indent or gaps <= 1
