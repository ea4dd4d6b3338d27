"""Search output and listings: whole matches and entries, with the file or folder they stand under."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.lines import Rows

MATCH = re.compile(r"([^\s:][^:\n]{0,300}?)([:-])(\d+)\2")
NUMBERED = re.compile(r"\s*(?:line )?\d+[:-]", re.IGNORECASE)
_FOLDER = re.compile(r"(.*)/[^/]*$")


@dataclass(frozen=True)
class MatchSegmenter:
    """Lines as units; those of one file, or one folder, have one parent.

    Under a heading of its own (`rg --heading`, `ls -R`) a line requires it.
    """

    max_line_chars: int = 2000
    piece_chars: int = 400

    def __post_init__(self) -> None:
        for name in ("max_line_chars", "piece_chars"):
            checked_count(name, getattr(self, name))

    def segment(self, text: str) -> Segment:
        """Cut `text` at lines. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        units: list[Unit] = []
        parents: dict[str, int] = {}
        heading: tuple[int, ...] = ()
        under = ""
        for row in range(len(rows)):
            line = rows[row].rstrip()
            match = MATCH.match(line)
            if not line:
                heading, under = (), ""
            elif self._is_heading(rows, row):
                heading, under = (len(units),), line
            place = match.group(1) if match else under or _find_folder(line)
            parent = parents.setdefault(place, len(parents))
            start, end = rows.get_span(row, row)
            required = () if heading == (len(units),) else heading
            for a, b in cut_stretch(text, start, end, self.max_line_chars, self.piece_chars):
                units.append(Unit(a, b, parent, required))
        return Segment(text, "matches", tuple(units))

    def _is_heading(self, rows: Rows, row: int) -> bool:
        """Whether a line is what the lines below it stand under."""
        line = rows[row].rstrip()
        below = rows[row + 1] if row + 1 < len(rows) else ""
        fresh = row == 0 or not rows[row - 1].strip()
        if MATCH.match(line) or NUMBERED.match(line) or not below.strip():
            return False
        return fresh and (NUMBERED.match(below) is not None or line.endswith(":"))


def _find_folder(line: str) -> str:
    """The folder of the path at a line's end; "" where it has none."""
    found = _FOLDER.match(line.strip().split(" ")[-1])
    return found.group(1) if found else ""
