"""Logs: lines as units; what failed, and how it ended, is worth having whatever else is.

Lines that differ in their numbers alone are one template: the first stands for all, unless the draft sees more in
another one. Terminal colours are seen through, and kept where a line is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentcompress.common.checks import checked_count, checked_weight
from agentcompress.schema import Segment, Span, Unit
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.delimiters import LineStyle, find_whole_rows, make_line_style
from agentcompress.text.lines import Rows

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b(?:-[0-9a-fA-F]{4,})*|\d+")

ENDS, ERROR, WARNING = 3, 2, 1
"""Floors of lines: those that say how it ended or what failed; errors; warnings."""

_ENDS = re.compile(
    r"""
    ^=+\s.*\b(?:passed|failed|errors?|skipped|no\stests\sran)\b.*=+\s*$     # pytest's last line
    |^(?:FAILED|ERROR)\s\S+(?:::\S|\.py\b)                                 # and its summary
    |^(?:FAIL|ERROR):\s\S+\s\(|^Ran\s\d+\stests?\sin|^FAILED\s\(|^OK(?:\s\(|\s*$)  # unittest
    |^\s*---\sFAIL:|^FAIL\s+\S+|^test\s.*\.\.\.\sFAILED|^test\sresult:          # go, cargo
    |^\s*[✕✗✖×●]\s\S|^(?:Tests?|Test\sSuites|Tests\srun):\s.*\d                 # jest, maven
    |\bmake(?:\[\d+\])?:\s\*\*\*|\bBUILD\s(?:FAILED|FAILURE|SUCCESS)
    |^not\sok\s\d|^rspec\s\S+:\d|\s>\s.*\bFAILED$|^\s*FAIL\s\s*\S                # TAP, rspec, gradle, vitest
    |\b\d+\s(?:tests?|examples?|specs?|errors?|warnings?)\b.*\b\d+\s(?:failures?|errors?|failed|passed)\b
    |\bFound\s\d+\serrors?|\b\d+\serrors?\sgenerated
    |\bexit(?:ed)?(?:\swith)?(?:\s(?:code|status)|\svalue)?[:=\s]+-?[1-9]\d*|\breturn(?:ed)?\scode[:=\s]+-?[1-9]
    """,
    re.VERBOSE,
)
_ERROR = re.compile(
    r"""
    (?i:\b(?:errors?|fatal|panic(?:ked)?|critical|failed|failures?|failing|segmentation\sfault|core\sdumped|aborted|denied)\b)
    |^E\s{2,}\S|^>\ {2,}\S|(?:Error|Exception)\b|^Caused\sby:|\bnpm\sERR!|\bERR\b|\bundefined\sreference\b
    """,
    re.VERBOSE,
)
_NO_ERROR = re.compile(
    r"(?i)\b(?:0|no|without|zero)\s(?:errors?|failures?|failed)\b|\b(?:errors?|failures?|failed)[=:]\s*0\b"
)
_WARNING = re.compile(r"(?i)warnings?\b|\b(?:warn|deprecated|timed?\s?out|timeout|retry(?:ing)?|refused)\b")
_SIGNS = (
    *(
        "error",
        "err!",
        "fail",
        "fatal",
        "panic",
        "critical",
        "exception",
        "abort",
        "fault",
        "denied",
        "dumped",
        "caused by",
    ),
    *(
        "undefined",
        "warn",
        "deprecat",
        "timeout",
        "timed",
        "time out",
        "retry",
        "refused",
        "passed",
        "skipped",
        "no tests",
    ),
    *(
        "ran ",
        "ok ",
        "exit",
        "return",
        "make",
        "build",
        "rspec",
        "test result",
        "tests",
        "test suites",
        "test:",
        "found ",
    ),
    *("✕", "✗", "✖", "×", "●", " err ", "e   ", ">  "),
)
"""Every line that one of the patterns above matches holds one of these, in small letters: a quick test first."""

_NAMES_FAILURE = re.compile(r"(?:FAILED|ERROR) \S+(?= - )")
"""The part of a summary's line that names what failed; the message behind it has been said before."""

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
_SEEN_CHARS = 400
_TAIL_TRACE_ROWS = 12
_REPEATED = -1.0  # the prior of a line whose template stood before
_FIRST_OF_TEMPLATE = 2


class LogSegmenter:
    """Lines as units, tracebacks whole, blocks as parents.

    floor_share: the most of what is kept that failures and endings may take up beside what the scores say.
    last_lines: lines at the end that belong to those. block_lines, max_line_chars, piece_chars: as of `lines`.
    """

    def __init__(
        self,
        floor_share: float = 0.9,
        last_lines: int = 3,
        block_lines: int = 12,
        max_line_chars: int = 2000,
        piece_chars: int = 400,
    ) -> None:
        self.floor_share = checked_weight("floor_share", floor_share, 0.95)
        self.last_lines = checked_count("last_lines", last_lines)
        self.block_lines = checked_count("block_lines", block_lines)
        self.max_line_chars = checked_count("max_line_chars", max_line_chars)
        self.piece_chars = checked_count("piece_chars", piece_chars)

    def segment(self, text: str) -> Segment:
        """Cut `text` at lines. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        bare = [_shorten_line(_ANSI.sub("", rows[row]).rstrip()) for row in range(len(rows))]
        templates = _make_templates(bare)
        floors = self._rate_lines(bare)
        traces = dict(_find_traces(bare))
        seen: Counter[str] = Counter()
        units: list[Unit] = []
        block, lines, row = 0, 0, 0
        while row < len(rows):
            last = traces.get(row, row)
            if last > row or lines >= self.block_lines or (lines and not bare[row]):
                block, lines = block + 1, 0
            what = "\n".join(templates[row : last + 1])
            known, seen[what] = seen[what], seen[what] + 1
            floor = max(floors[row : last + 1])
            prior = _REPEATED if known > 0 and bare[row] and floor < ENDS else 0.0
            if floor < ENDS and known >= _FIRST_OF_TEMPLATE:
                floor = 0
            for start, end, own in _split_summary(text, *rows.get_span(row, last), floor):
                units.extend(
                    Unit(a, b, block, floor=own if a == start else 0, prior=prior)
                    for a, b in cut_stretch(text, start, end, self.max_line_chars, self.piece_chars)
                )
            lines = lines + 1 if last == row else self.block_lines
            row = last + 1
        style = LogStyle(make_line_style(text), rows.starts, templates)
        return Segment(text, "log", tuple(units), style, self.floor_share)

    def _rate_lines(self, bare: Sequence[str]) -> list[int]:
        """Every line's floor; the last lines that are not blank say how it ended."""
        floors = [_rate_line(line) for line in bare]
        spoken = [row for row, line in enumerate(bare) if line.strip()]
        for row in spoken[-self.last_lines :]:
            floors[row] = ENDS
        return floors


@dataclass(frozen=True)
class LogStyle:
    """The style of lines, which says so where all that was left out is like the line before it."""

    lines: LineStyle
    line_starts: Sequence[int]
    templates: Sequence[str]

    def gap(self, text: str, gap: Span) -> str:
        """`[... 14 lines omitted]` or `[... 14 more like this omitted]`."""
        said = self.lines.gap(text, gap)
        rows = find_whole_rows(text, gap, self.line_starts)
        if rows is None or not rows[0] or set(self.templates[rows[0] : rows[1] + 1]) != {self.templates[rows[0] - 1]}:
            return said
        return re.sub(r"lines? omitted\]", "more like this omitted]", said, count=1)

    def longest(self, text: str) -> str:
        """The longest delimiter of lines, with the longer words."""
        return self.lines.longest(text).replace("lines omitted", "more like this omitted")


def _shorten_line(line: str) -> str:
    """Both ends of a long line with its length between, which is all that is looked at; a short one as it is."""
    if len(line) <= 2 * _SEEN_CHARS:
        return line
    return f"{line[:_SEEN_CHARS]}<{len(line)}>{line[-_SEEN_CHARS:]}"


def _split_summary(text: str, start: int, end: int, floor: int) -> list[tuple[int, int, int]]:
    """A line with its floor; of a summary's line the part that names what failed, and the message behind it."""
    named = _NAMES_FAILURE.match(text, start, end)
    return [(start, named.end(), floor), (named.end(), end, ERROR)] if named else [(start, end, floor)]


def _make_templates(bare: Sequence[str]) -> list[str]:
    """Lines with their numbers and ids replaced by 0: those that are alike then are of one template."""
    return [_VARYING.sub("0", line) for line in bare]


def _rate_line(line: str) -> int:
    """The floor of a line for its own sake: `ENDS`, `ERROR`, `WARNING`, or 0."""
    small = f" {line.lower()} "
    if not any(sign in small for sign in _SIGNS):
        return 0
    if _ENDS.search(line):
        return ENDS
    if _ERROR.search(_NO_ERROR.sub("", line)):
        return ERROR
    return WARNING if _WARNING.search(line) else 0


def _find_traces(bare: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Rows of tracebacks that stay together, first and last; of a long one the end."""
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
