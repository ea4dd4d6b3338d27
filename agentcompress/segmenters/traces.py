"""Tracebacks and stacks of frames in a log: which rows stay together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_TRACE_START = re.compile(
    r"^\s*(?:[|+]\s*)*Traceback \(most recent call last\)|^(?:Exception in thread|panic:|goroutine \d)"
)
_FRAME = re.compile(r"\s+(?:at\s\S|from\s\S+:\d+|\d+:\s+\S+::)")
"""A frame of a JVM, .NET, JavaScript, Ruby or Rust stack, below the error it belongs to."""

_TRACE_CHAIN = re.compile(r"^(?:During handling of the above|The above exception was|Caused by:|\s*\.\.\. \d+ more)")
_TRACE_BODY = re.compile(
    r"^\s|^$|^\w[\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Failure)\b|^goroutine|^\S+\(.*\)\s*$"
)
_MOST_TRACE_ROWS, _MOST_TRACE_CHARS, _LEAST_TRACE_CHARS = 30, 1800, 600
_TAIL_TRACE_ROWS = 12


def find_traces(bare: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield rows of tracebacks that stay together, first and last; of a long one the end."""
    most_chars = min(_MOST_TRACE_CHARS, max(_LEAST_TRACE_CHARS, sum(map(len, bare)) // 20))
    row = 0
    while row < len(bare):
        stack = _is_above_frames(bare, row)
        if not stack and not _TRACE_START.match(bare[row]):
            row += 1
            continue
        last = _find_trace_end(bare, row)
        if last - row < _MOST_TRACE_ROWS and sum(map(len, bare[row : last + 1])) < most_chars:
            yield row, last
        elif not stack:  # row by row, but for its end; of a stack the errors above the frames are enough
            tail = last
            while (
                tail - 1 > row
                and last - tail < _TAIL_TRACE_ROWS
                and sum(map(len, bare[tail - 1 : last + 1])) < most_chars // 2
            ):
                tail -= 1
            yield tail, last
        row = last + 1


def _is_above_frames(bare: Sequence[str], row: int) -> bool:
    """Whether a row is an error that a stack of frames stands below."""
    below = bare[row + 1] if row + 1 < len(bare) else ""
    if not below[:1].isspace() or not bare[row].strip():
        return False
    return _FRAME.match(below) is not None and _FRAME.match(bare[row]) is None


def _find_trace_end(bare: Sequence[str], start: int) -> int:
    """The last row of a traceback that starts at a row: its exception's line, causes included."""
    last = row = start
    indent = len(bare[start]) - len(bare[start].lstrip())
    while row + 1 < len(bare):
        line = bare[row + 1]
        line = line[indent:] if line[:indent].isspace() else line
        chained = _TRACE_CHAIN.match(line) or _TRACE_START.match(line)
        if not chained and not _TRACE_BODY.match(line):
            break
        row += 1
        if line.strip():
            last = row
            closes = not line[0].isspace() and not chained
            following = next((text for text in bare[row + 1 : row + 3] if text.strip()), "")
            if closes and not (_TRACE_CHAIN.match(following) or _FRAME.match(following)):
                break
    return last
