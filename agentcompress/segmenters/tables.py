"""Tables (CSV, TSV, Markdown): rows as units; every row requires the header."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.lines import Rows

_RULE = re.compile(r"[ \t]*+\|?[ \t]*+:?-{2,}+:?[ \t]*+(?:\|[ \t]*+:?-{2,}+:?[ \t]*+)*+\|?$")
_FIELD = re.compile(r'(?:^|[,;\t])"')
_RULE_CHARS = 2000
_QUOTED_ROWS = 20
"""The most rows a quoted field may span."""


@dataclass(frozen=True)
class TableSegmenter:
    """Rows as units, so many neighbours with one parent. A quoted field may hold line ends."""

    block_rows: int = 12

    def __post_init__(self) -> None:
        checked_count("block_rows", self.block_rows)

    def segment(self, text: str) -> Segment:
        """Cut `text` at rows. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        if not len(rows):
            return Segment(text, "table", ())
        header = 1 if len(rows) > 1 and _RULE.match(rows[1][:_RULE_CHARS].rstrip()) else 0
        records: list[list[int]] = []
        opened = -1  # the row where a quoted field began that is still open
        for row in range(len(rows)):
            if records and (row <= header or opened >= 0):
                records[-1][1] = row
            else:
                records.append([row, row])
            opened = -1 if header else _find_open_quote(rows[row], row, opened)
            if 0 <= opened <= row - _QUOTED_ROWS:  # no field, but a stray quote
                records[-1:] = [[r, r] for r in range(records[-1][0], row + 1)]
                opened = -1
        units = (
            Unit(*rows.get_span(a, b), i // self.block_rows, (0,) if i else (), floor=int(not i))
            for i, (a, b) in enumerate(records)
        )
        return Segment(text, "table", tuple(units), floor_share=0.1)


def _find_open_quote(line: str, row: int, opened: int) -> int:
    """The row where the quoted field began that is open at a line's end, or -1."""
    if line.count('"') % 2 == 0:
        return opened
    if opened >= 0:
        return -1
    return row if _FIELD.search(line) else -1
