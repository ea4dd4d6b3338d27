"""Unified diffs: whole hunks, each with the header of its file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.lines import Rows

_FILE = re.compile(r"diff |Index: |=== |From [0-9a-f]{40}|commit [0-9a-f]{7,}")
_OLD, _NEW = re.compile(r"--- "), re.compile(r"\+\+\+ ")
_HUNK = re.compile(r"@@+ -\d+(?:,\d+)? .*@@")


@dataclass(frozen=True)
class DiffSegmenter:
    """Hunks as units, files as parents; a hunk requires its file's header.

    hunk_lines: a longer hunk (a new file, say) is cut into pieces of as many lines, which require its first.
    """

    hunk_lines: int = 60

    def __post_init__(self) -> None:
        checked_count("hunk_lines", self.hunk_lines)

    def segment(self, text: str) -> Segment:
        """Cut `text` at hunks. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        units: list[Unit] = []
        file = 0
        header: tuple[int, ...] = ()
        starts = _find_starts(rows)
        ends = [row for row, _ in starts[1:]] + [len(rows)] * bool(starts)
        for (first, kind), following in zip(starts, ends, strict=True):
            if kind == "file":
                file, header = file + 1, (len(units),)
            required = header if kind == "hunk" else ()
            for a in range(first, following, self.hunk_lines):
                b = min(following, a + self.hunk_lines) - 1
                units.append(Unit(*rows.get_span(a, b), file, required))
                if kind == "hunk" and a == first:
                    required = (len(units) - 1, *header)
        return Segment(text, "diff", tuple(units))


def _find_starts(rows: Rows) -> list[tuple[int, str]]:
    """Rows where a file's header or a hunk begins, and which; the first row in any case."""
    starts: list[tuple[int, str]] = []
    in_header = False
    for row in range(len(rows)):
        line = rows[row]
        if _HUNK.match(line):
            starts.append((row, "hunk"))
            in_header = False
        elif _FILE.match(line):
            if not in_header:
                starts.append((row, "file"))
            in_header = True
        elif not in_header and _OLD.match(line) and row + 1 < len(rows) and _NEW.match(rows[row + 1]):
            starts.append((row, "file"))
            in_header = True
        elif not row:
            starts.append((row, "text"))
    return starts
