"""Outlines: trees drawn by indentation (accessibility trees, `tree`, nested lists); lines as units.

What can be acted on (links, buttons, fields of an accessibility tree) comes before what can only be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.lines import Rows

_INDENT = re.compile(r"[\s│├└─|+`-]*")
_ACTED_ON = re.compile(
    r"\s*(?:[-*]\s+)?(?:\[\w+\]\s*)?<?(?:link|button|textbox|combobox|searchbox|menuitem\w*|tab|checkbox|radio|option|switch"
    r"|slider|spinbutton|input|select)\b",
    re.IGNORECASE,
)
_ACTED_ON_PRIOR = 2.0
_TAB_WIDTH = 4


@dataclass(frozen=True)
class OutlineSegmenter:
    """Lines as units; as many neighbouring branches as come to `branch_lines` lines have one parent."""

    branch_lines: int = 12
    max_line_chars: int = 2000
    piece_chars: int = 400

    def __post_init__(self) -> None:
        for name in ("branch_lines", "max_line_chars", "piece_chars"):
            checked_count(name, getattr(self, name))

    def segment(self, text: str) -> Segment:
        """Cut `text` at lines. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        depths = _measure_depths(rows)
        branches = self._number_blocks(depths)
        units: list[Unit] = []
        for row in range(len(rows)):
            start, end = rows.get_span(row, row)
            prior = _ACTED_ON_PRIOR if _ACTED_ON.match(rows[row]) else 0.0
            for a, b in cut_stretch(text, start, end, self.max_line_chars, self.piece_chars):
                units.append(Unit(a, b, branches[row], prior=prior))
        return Segment(text, "outline", tuple(units))

    def _number_blocks(self, depths: list[int]) -> list[int]:
        """Number every line's block: a new one where it is full, or a branch that would fit into one does not fit."""
        sizes = _measure_branches(depths)
        blocks: list[int] = []
        block, room = -1, 0
        for size in sizes:
            if room <= 0 or room < size <= self.branch_lines:
                block, room = block + 1, self.branch_lines
            blocks.append(block)
            room -= 1
        return blocks


def _measure_depths(rows: Rows) -> list[int]:
    """Columns of indentation; a blank line is as deep as the line before it."""
    depths: list[int] = []
    for row in range(len(rows)):
        line = rows[row].rstrip()
        match = _INDENT.match(line)
        indent = match.group().replace("\t", " " * _TAB_WIDTH) if match else ""
        depths.append(len(indent) if line.strip() else depths[-1] if depths else 0)
    return depths


def _measure_branches(depths: list[int]) -> list[int]:
    """The lines of the branch that begins at every line, that line included."""
    sizes = [1] * len(depths)
    above: list[int] = []
    for row, depth in enumerate(depths):
        while above and depths[above[-1]] >= depth:
            closed = above.pop()
            sizes[closed] = row - closed
        above.append(row)
    for row in above:
        sizes[row] = len(depths) - row
    return sizes
