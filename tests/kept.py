"""What a scorer that knows nothing keeps of a segment, and whether a segment is sound."""

from __future__ import annotations

import numpy as np

from agentcompress.schema import Segment
from agentcompress.selection.select import Selection, select_units
from agentcompress.text.delimiters import choose_style


class Quarters:
    """Four characters a token."""

    def count(self, text: str) -> int:
        return (len(text) + 3) // 4


def kept(segment: Segment, budget: int, seed: int = 0) -> Selection:
    """What a scorer that knows nothing keeps."""
    scores = np.random.default_rng(seed).normal(size=len(segment.units))
    return select_units(segment, scores, budget, Quarters(), choose_style(segment))


def assert_sound(segment: Segment, text: str) -> None:
    assert segment.text == text
    assert "".join(text[unit.start : unit.end] for unit in segment.units) == text
    assert all(unit.end > unit.start for unit in segment.units)
    everyone = range(len(segment.units))
    assert all(i in everyone for unit in segment.units for i in (*unit.requires, *unit.wants))
