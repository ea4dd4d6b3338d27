"""The lines of a text by number, and line numbers that stand in the text itself (`cat -n`, file viewers)."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""One line of a text, its line feed included; all of them tile the text."""

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""A terminal's colour, or another of its control sequences."""

_NUMBERED = re.compile(r"[ \t]{0,10}(\d{1,7})(?:\t|: ?|[ \t]?[|│→][ \t]?)")
_LEAST_NUMBERED = 3
_NUMBERED_SHARE = 0.8


def split_visible(text: str) -> list[str]:
    """Return the lines of a text as a terminal shows them: without line ends, colours, and what was overwritten."""
    if "\x1b" in text:
        text = ANSI.sub("", text)
    if "\r" not in text:
        return text.split("\n")
    return [(bare := line.rstrip("\r"))[bare.rfind("\r") + 1 :] for line in text.split("\n")]


class Rows:
    """Lines of a text, counted from 0; each ends behind its line feed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts: list[int] = [match.start() for match in LINE.finditer(text)]
        self._ends = [*self.starts[1:], len(text)] if self.starts else []

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> str:
        return self.text[self.starts[row] : self._ends[row]]

    def get_span(self, first: int, last: int) -> tuple[int, int]:
        """Return the character range [start, end) of rows `first` to `last`, both included."""
        return self.starts[first], self._ends[last]

    def get_text(self, first: int, last: int) -> str:
        """Return the text of rows `first` to `last`, both included."""
        return self.text[self.starts[first] : self._ends[last]]


@dataclass(frozen=True)
class View:
    """What a viewer shows of a file. bare: the text without the viewer's numbers, row by row the same.

    foreign: rows that are no lines of the file (the viewer's own words), empty in `bare`.
    """

    bare: str
    foreign: frozenset[int]


def find_view(rows: Rows) -> View | None:
    """See through line numbers: nearly all lines begin with one, that of the line before and one. None where not."""
    found = [_NUMBERED.match(rows[row]) for row in range(len(rows))]
    spoken = sum(1 for row in range(len(rows)) if rows[row].strip())
    numbers = [int(match.group(1)) for match in found if match]
    following = sum(1 for a, b in itertools.pairwise(numbers) if b == a + 1)
    if len(numbers) < _LEAST_NUMBERED or min(len(numbers), following + 1) < _NUMBERED_SHARE * spoken:
        return None
    bare: list[str] = []
    foreign = set()
    for row, match in enumerate(found):
        if match is None:
            line = rows[row]
            bare.append(line[len(line.rstrip("\r\n")) :])
            if line.strip():
                foreign.add(row)
        else:
            bare.append(rows[row][match.end() :])
    return View("".join(bare), frozenset(foreign))
