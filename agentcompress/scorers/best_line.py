"""Units of several lines are read line by line, and are worth what their best line is worth.

The mean over a whole statement would hide the one line a query is about, and weights found for lines would mean
something else for every kind of text.
"""

from __future__ import annotations

import numpy as np

from agentcompress.schema import Segment, Unit

_WHOLE = frozenset({"prose", "chunks"})
"""Kinds of segments whose units are scored as they are, not line by line."""


def split_lines(segment: Segment) -> tuple[Segment, np.ndarray]:
    """Cut a segment's units at their line ends. Returns the rows, and the unit each is of, int64 (rows,)."""
    if segment.kind in _WHOLE:
        return segment, np.arange(len(segment.units))
    rows: list[Unit] = []
    units: list[int] = []
    for i, unit in enumerate(segment.units):
        start = unit.start
        while start < unit.end:
            end = segment.text.find("\n", start, unit.end) + 1 or unit.end
            rows.append(Unit(start, end, unit.parent))
            units.append(i)
            start = end
    return Segment(segment.text, segment.kind, tuple(rows), breaks=segment.breaks), np.array(units, dtype=np.int64)


def take_best_lines(scores: np.ndarray, unit_of_row: np.ndarray, units: int) -> np.ndarray:
    """The score of every unit's best line, float64 (units,). scores, unit_of_row: (lines,), as of `split_lines`."""
    best = np.full(units, -np.inf)
    np.maximum.at(best, unit_of_row, scores)
    return best
