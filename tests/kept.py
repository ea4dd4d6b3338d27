"""What a scorer that knows nothing keeps of a segment, and whether a segment is sound."""

from __future__ import annotations

import re

import numpy as np

from agentcompress.schema import Segment, Span
from agentcompress.selection.select import Selection, select_units
from agentcompress.text.delimiters import choose_style, is_counted
from agentcompress.text.rendering import Rendered


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


_COUNT = re.compile(r" (?P<lines>\d+) lines? omitted(?: \((?P<first>\d+)(?:-(?P<last>\d+))?\))?")
_DELIMITER = re.compile(
    rf"\s*(?:(?:#|//|--|/\*|<!--) ?|\[)(?:\.\.\.|…)(?: #\d+:)?(?:{_COUNT.pattern})?\]?(?: (?:\*/|-->))?"
)


def is_delimiter(line: str) -> bool:
    """Whether a line looks like what stands for lines that are left out."""
    return _DELIMITER.fullmatch(line) is not None


def assert_whole_lines(text: str, rendered: Rendered) -> None:
    """Kept lines stand there as they were, a delimiter in every gap; it counts the lines that are gone, if many are."""
    lines, shown = text.splitlines(), iter(rendered.text.splitlines())
    ends = [0]
    for line in text.splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    at = 0
    for start, end in [*rendered.spans, (len(text), len(text))] if rendered.text else []:
        first, last = ends.index(start), ends.index(end)
        if first > at:
            found = _DELIMITER.fullmatch(next(shown))
            assert found
            assert (found["lines"] is not None) == is_counted(text, Span(ends[at], start))
            assert found["lines"] in (None, str(first - at))
            assert found["first"] in (None, str(at + 1))
            assert found["last"] in (None, str(first))
        assert [next(shown) for _ in range(first, last)] == lines[first:last]
        at = last
    assert list(shown) == []
