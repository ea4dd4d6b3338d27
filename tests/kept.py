"""What a scorer that knows nothing keeps of a segment, and whether a segment is sound."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    r"(?P<indent>\s*)(?P<mark>(?:(?:#|//|--|/\*|<!--) ?|\[)(?:\.\.\.|…)(?: #\d+:)?)"
    rf"(?:{_COUNT.pattern})?\]?(?: (?:\*/|-->))?"
)


def is_delimiter(line: str) -> bool:
    """Whether a line looks like what stands for lines that are left out."""
    return _DELIMITER.fullmatch(line) is not None


def assert_whole_lines(text: str, rendered: Rendered) -> None:
    """Kept lines stand there byte for byte, a delimiter of its own in every gap, which counts where much is gone."""
    lines, shown = text.splitlines(keepends=True), iter(rendered.text.splitlines(keepends=True))
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    at = 0
    for start, end in [*rendered.spans, (len(text), len(text))] if rendered.text else []:
        first, last = ends.index(start), ends.index(end)
        if first > at:
            _assert_stands_for(next(shown), text, lines, (at, first), is_counted(text, Span(ends[at], start)))
        assert [next(shown) for _ in range(first, last)] == lines[first:last]
        at = last
    assert list(shown) == []


def _assert_stands_for(said: str, text: str, lines: Sequence[str], gone: tuple[int, int], counted: bool) -> None:
    """A delimiter with a mark that the text has not, at the lines' indentation, ended as they are. gone: of `lines`."""
    start, end = gone
    found = _DELIMITER.fullmatch(said.rstrip("\r\n"))
    assert found, said
    assert found["mark"] not in text
    speaking = next((line for line in lines[start:end] if line.strip()), "")
    assert found["indent"] == speaking[: len(speaking) - len(speaking.lstrip())][:40] or not speaking
    assert said[found.end() :] == lines[end - 1][len(lines[end - 1].rstrip("\r\n")) :]
    assert found["lines"] == (str(end - start) if counted else None)
    assert found["first"] in (None, str(start + 1))
    assert found["last"] in (None, str(end))
