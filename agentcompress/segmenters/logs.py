"""Logs, reports of tests and builds: lines as units; what failed, where and why, and how it ended, is worth having.

Lines of one template or shape say the same: the first stands for all, unless the draft sees more in another one, and a
line unlike all others is worth having. Terminal colours are seen through, and kept where a line is; what a progress bar
has overwritten was never seen, and goes first.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentcompress.common.checks import checked_count, checked_weight
from agentcompress.schema import Segment, Span, Unit
from agentcompress.segmenters.odd_ones import find_odd_measures, find_odd_paths, find_odd_records
from agentcompress.segmenters.records import find_body, find_titles, lay_out
from agentcompress.segmenters.shapes import Shapes, make_templates
from agentcompress.segmenters.signs import (
    BODY,
    ENDS,
    ERROR,
    FIRST,
    TOLD,
    WARNING,
    find_code,
    is_marked,
    is_numbered,
    rate_sign,
    tells_count,
    tells_crash,
    tells_failed_exit,
    tells_place,
    tells_value,
)
from agentcompress.segmenters.traces import find_traces
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.delimiters import LineStyle, find_whole_rows, make_line_style
from agentcompress.text.lines import ANSI, Rows

_NAMES_FAILURE = re.compile(r"(?:FAILED|ERROR) \S+(?= - )")
"""The part of a summary's line that names what failed; the message behind it has been said before."""

_SEEN_CHARS = 400
_REPEATED, _ODD, _OVERWRITTEN = -1.0, 1.0, -30.0  # priors: of a line whose template stood before; of one unlike others
_FIRST_ALIKE = 2
"""Of lines that are alike, how many are floors."""

_MOST_TOLD, _LAST_WORDS, _ENDING_ROWS = 12, 2, 8
_LEAST_CODES, _MOST_CODES, _RARE_CODES, _MOST_RARE = 20, 0.4, 2, 5
"""Codes of rules of which rare ones are told: so many at least, hardly as many different ones; how often a rare one
stands, and how many there are at most."""

_MOST_SHAPES, _MOST_FIELDS, _MOST_ODD = 3, 12, 3
"""Shapes whose lines are compared word by word; so many words of each; of each shape so many lines are floors."""

_FIRST_FAILURES, _FIRST_DETAILS, _MOST_DETAILS, _MOST_BODY, _PLACES, _MOST_HEADS = 3, 2, 14, 40, 2, 100
"""Failures whose details are floors; of each so many lines, the first ones whatever they say, so many that only belong
to it, and so many places; how many are looked at."""

_SAYS = re.compile(r"[\w^~]")
_OF_HEADS = (TOLD, ENDS, ERROR)
_STAMP = re.compile(r"(?:[^\t]*\t){0,2}\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,\d]*Z ")
_STAMPED_ROWS, _STAMPED_SHARE = 200, 0.6
"""What a runner puts before every line of a job's log is seen through, where it stands before most."""

_MAIL, _MAIL_ROWS = re.compile(r"(?:From|To|Subject|Date|Sent|Cc): \S"), 12
_COUNTED_ITEM = re.compile(r"\s*[-*•]\s[\w ./-]{1,60}:?\s\d+\s*$")
_PATH = re.compile(r"[ \t]+(?:[\w.@~+-]+/)*[\w.@~+-]+$")


class LogSegmenter:
    """Lines as units, tracebacks whole, blocks as parents; indented lines require what they stand under.

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
        log = _Log(rows, self.last_lines)
        builder = _Builder(self, rows, log)
        units = builder.build_units()
        style = LogStyle(make_line_style(text), rows.starts, log.templates, frozenset(builder.overwritten))
        return Segment(text, "log", units, style, self.floor_share)


class _Log:
    """What is seen in the lines of a log: templates, shapes, how they stand, and what each is worth."""

    def __init__(self, rows: Rows, last_lines: int) -> None:
        self.bare = _bare_lines(rows)
        self.templates = make_templates(self.bare)
        self.shapes = Shapes(self.templates)
        self.layout = lay_out(self.bare)
        self._spoken = [row for row in range(len(self.bare)) if row not in self.layout.blank]
        self.titles = find_titles(self.bare, self.layout)
        self._opening = frozenset(self.titles.values())
        self.traces = dict(find_traces(self.bare))
        self.floors = self._rate_rows()
        self._keep_ends(last_lines)
        self._keep_mail_head()
        self._keep_odd_rows()
        self._keep_first_alike()
        self._keep_odd_fields()
        self._keep_odd_paths()
        self._keep_odd_measures()
        self._keep_odd_codes()
        self._keep_last_words()
        self._keep_failures()

    def find_required(self, row: int) -> int:
        """The row that names what a row belongs to, or -1."""
        title = self.titles.get(row, -1)
        return title if title >= 0 else self.layout.headings[row]

    def opens_record(self, row: int) -> bool:
        """Whether a row names a record that others belong to."""
        return row in self._opening

    def is_repeated(self, row: int) -> bool:
        """Whether a row is one of many of one shape."""
        return self.shapes.count_alike(row) > _FIRST_ALIKE and self.shapes.is_usual(row)

    def _rate_rows(self) -> list[int]:
        """The floor of every row; of many that are alike only the first ones and the last may be counts."""
        last = {shape: row for row, shape in enumerate(self.shapes.shapes)}
        known: dict[tuple[str, int], int] = {}
        seen: Counter[str] = Counter()
        floors = []
        for row, line in enumerate(self.bare):
            shape = self.shapes.shapes[row]
            seen[shape] += 1
            looked_at = seen[shape] <= _FIRST_ALIKE or row == last[shape] or not self.shapes.is_usual(row)
            if looked_at and tells_count(line):
                floors.append(TOLD)
                continue
            # Lines that differ in numbers alone say the same, but for none of something.
            key = self.templates[row], line.count("=0") + line.count(" 0 ") + line.count(": 0")
            if key not in known:
                known[key] = rate_sign(line)
            listed = known[key] == ENDS and is_numbered(line) and self.layout.paragraphs[row] != row
            floors.append(0 if listed else known[key])
        titled = [row for row, line in enumerate(self.bare) if floors[row] == ENDS and line.startswith("___")]
        for row in titled[_FIRST_FAILURES:]:
            floors[row] = WARNING  # the summary names them again
        return floors

    def _keep_ends(self, last_lines: int) -> None:
        """The last lines that are not blank say how it ended."""
        for row in self._spoken[-last_lines:]:
            self.floors[row] = max(self.floors[row], ENDS)

    def _keep_mail_head(self) -> None:
        """From whom a mail is, of when, and what about."""
        head = [row for row, line in enumerate(self.bare[:_MAIL_ROWS]) if _MAIL.match(line)]
        for row in head if len(head) > 2 else ():
            self.floors[row] = max(self.floors[row], WARNING)

    def _keep_odd_rows(self) -> None:
        for row in self.shapes.odd_rows:
            self.floors[row] = max(self.floors[row], WARNING)

    def _keep_odd_fields(self) -> None:
        """Of many lines that are alike, those with a word that is unlike the others' at its place."""
        for rows in self.shapes.list_usual(_MOST_SHAPES):
            records = [self.bare[row].split(None, _MOST_FIELDS)[:_MOST_FIELDS] for row in rows]
            for i in find_odd_records(records, _MOST_ODD):
                self.floors[rows[i]] = max(self.floors[rows[i]], ERROR)

    def _keep_first_alike(self) -> None:
        """Of lines that are alike, the first ones are worth having; of counts, the first one and the last ones too."""
        seen: Counter[str] = Counter()
        self._thin_out_counts()
        for row, floor in enumerate(self.floors):
            if not floor:
                continue
            shape = self.shapes.shapes[row] if self.is_repeated(row) else self.templates[row]
            seen[shape] += 1
            if floor < ENDS and seen[shape] > _FIRST_ALIKE:
                self.floors[row] = 0

    def _thin_out_counts(self) -> None:
        """Of counts that are alike, as every package of many says them, the last one; of all, the last ones."""
        told = [row for row, floor in enumerate(self.floors) if floor == TOLD]
        often = Counter(self.templates[row] for row in told)
        last = {self.templates[row]: row for row in told}
        for row in told:
            if often[self.templates[row]] > _FIRST_ALIKE and last[self.templates[row]] != row:
                self.floors[row] = rate_sign(self.bare[row])
        told = [row for row in told if self.floors[row] == TOLD]
        for row in told[: len(told) - _MOST_TOLD] if len(told) > _MOST_TOLD else []:
            self.floors[row] = 0
        for row in told:
            if self.bare[row].rstrip().endswith(":"):
                self._keep_list(row)

    def _keep_list(self, head: int) -> None:
        """Of a count that a list follows, of how many of what, the list."""
        for row in range(head + 1, min(head + 1 + _MOST_TOLD, len(self.bare))):
            if not _COUNTED_ITEM.match(self.bare[row]):
                return
            self.floors[row] = TOLD - 1

    def _keep_odd_paths(self) -> None:
        """Of many paths, one a line, those whose kind of file is rare."""
        rows = [row for row, line in enumerate(self.bare) if _PATH.match(line)]
        for i in find_odd_paths([self.bare[row].strip() for row in rows]):
            self.floors[rows[i]] = max(self.floors[rows[i]], WARNING)

    def _keep_odd_measures(self) -> None:
        """Lines with a time or an amount far above all others of its name."""
        for row in find_odd_measures(self.bare):
            self.floors[row] = max(self.floors[row], ERROR)

    def _keep_odd_codes(self) -> None:
        """Of many complaints, those of a rule that hardly any other is about."""
        codes = {row: code for row, line in enumerate(self.bare) if (code := find_code(line)) is not None}
        often = Counter(codes.values())
        if sum(often.values()) < _LEAST_CODES or len(often) > _MOST_CODES * sum(often.values()):
            return
        rare = [row for row, code in codes.items() if often[code] <= _RARE_CODES]
        for row in rare if len({codes[row] for row in rare}) <= _MOST_RARE else ():
            self.floors[row] = max(self.floors[row], ERROR)

    def _keep_last_words(self) -> None:
        """What was said right before something ended with a failure may say why; so do errors near the end."""
        for row in self._spoken[-_ENDING_ROWS:]:
            if self.floors[row] == ERROR and not self.is_repeated(row):
                self.floors[row] = ENDS - 1
        for row, line in enumerate(self.bare):
            if self.floors[row] == TOLD and tells_failed_exit(line):
                said = [
                    r for r in range(max(0, row - _LAST_WORDS), row) if self.bare[r].strip() and not self.is_repeated(r)
                ]
                for before in said:
                    self.floors[before] = max(self.floors[before], ERROR)

    def _keep_failures(self) -> None:
        """Of the first failures and the last one, what was expected and where is worth having with the name."""
        heads = [row for row, floor in enumerate(self.floors) if floor in _OF_HEADS and self._is_head(row)]
        named = [row for row in heads if self.floors[row] >= ENDS]
        told = 0
        for head in [*named[:_MOST_HEADS], *(row for row in heads[:_MOST_HEADS] if self.floors[row] < ENDS)]:
            if ENDS < self.floors[head] < TOLD or told == _FIRST_FAILURES:
                continue
            following = next((row for row in named if row > head), len(self.bare))
            details = self._find_details(head, following - 1)
            for row, less in {head: 0, **details}.items() if details else ():
                self.floors[row] = max(self.floors[row], FIRST - 3 * told - less)
            if details:
                self._keep_body(head, following - 1)
            told += bool(details)

    def _keep_body(self, head: int, last: int) -> None:
        """What else stands below a failure's name and certainly belongs to it, after all that says more."""
        body = (row for row, certain in find_body(self.bare, self.layout, head, last) if certain)
        for row in itertools.islice(body, _MOST_BODY):
            self.floors[row] = max(self.floors[row], BODY)

    def _is_head(self, row: int) -> bool:
        """Whether a row may name a failure, and is not one of many that are alike."""
        if self.floors[row] == TOLD:
            return tells_crash(self.bare[row])
        return self.floors[row] == ENDS or not self.is_repeated(row)

    def _find_details(self, head: int, last: int) -> dict[int, int]:
        """Rows below a failure's name that say what was expected, what came, and where (1), or stand with it (2)."""
        details: dict[int, int] = {}
        places = 0
        for row, certain in find_body(self.bare, self.layout, head, last):
            line = self.bare[row]
            if self.is_repeated(row) and self.layout.indents[row] <= self.layout.indents[head]:
                if line.startswith("#") and not self.bare[head].startswith("#"):
                    certain = False  # a remark on it, as any line of TAP may have
                else:
                    break  # the run goes on
            if not _SAYS.search(line):
                continue
            place = places < _PLACES and tells_place(line)
            places += place
            if place or tells_value(line) or self.floors[row]:
                details[row] = 1
            elif is_marked(line) or (certain and len(details) < _FIRST_DETAILS):
                details[row] = 2
            if len(details) == _MOST_DETAILS:
                break
        return details


class _Builder:
    """Makes the units of a log, in order."""

    def __init__(self, limits: LogSegmenter, rows: Rows, log: _Log) -> None:
        self._limits, self._rows, self._log = limits, rows, log
        self._first_unit: dict[int, int] = {}
        self._units: list[Unit] = []
        self._named_below: list[tuple[int, int]] = []  # units, and the row that names what they belong to
        self._has_returns = "\r" in rows.text
        self.overwritten: set[int] = set()  # ends of the stretches that were overwritten

    def build_units(self) -> tuple[Unit, ...]:
        """Units of all rows."""
        log, seen = self._log, Counter[str]()
        block, lines, row = 0, 0, 0
        while row < len(self._rows):
            last = log.traces.get(row, row)
            opens = lines and (row in log.layout.blank or log.opens_record(row))
            if last > row or lines >= self._limits.block_lines or opens:
                block, lines = block + 1, 0
            what = "\n".join(log.templates[row : last + 1])
            known, seen[what] = seen[what], seen[what] + 1
            self._add_rows(row, last, block, known)
            lines = lines + 1 if last == row else self._limits.block_lines
            row = last + 1
        self._require_named_below()
        return tuple(self._units)

    def _add_rows(self, row: int, last: int, block: int, known: int) -> None:
        """Units of a row, or of a traceback. known: how often its template stood before."""
        log, text = self._log, self._rows.text
        floor = max(log.floors[row : last + 1])
        prior = self._weigh_row(row, floor, known)
        start, end = self._rows.get_span(row, last)
        required = self._find_required(row)
        self._first_unit[row] = len(self._units)
        if last == row and self._has_returns and (shown := _find_shown(text, start, end)) > start:
            self._units.append(Unit(start, shown, block, prior=_OVERWRITTEN))
            self.overwritten.add(shown)
            start = shown
            self._first_unit[row] = len(self._units)
        for a, b, own in _split_summary(text, start, end, floor):
            for c, d in cut_stretch(text, a, b, self._limits.max_line_chars, self._limits.piece_chars):
                self._units.append(Unit(c, d, block, required, floor=own if c == a else 0, prior=prior))

    def _weigh_row(self, row: int, floor: int, known: int) -> float:
        if floor >= ENDS or row in self._log.layout.blank:
            return 0.0
        if known:
            return _REPEATED
        return _ODD if row in self._log.shapes.odd_rows else 0.0

    def _find_required(self, row: int) -> tuple[int, ...]:
        heading = self._log.find_required(row)
        if heading > row:
            self._named_below.append((len(self._units), heading))
        return (self._first_unit[heading],) if heading in self._first_unit else ()

    def _require_named_below(self) -> None:
        """Let units whose record is named by a row further down require that one."""
        for i, heading in self._named_below:
            if heading in self._first_unit and self._first_unit[heading] != i:
                self._units[i] = replace(self._units[i], requires=(self._first_unit[heading],))


@dataclass(frozen=True)
class LogStyle:
    """The style of lines, which says so where all that was left out is like the line before it, or was overwritten.

    overwritten: where what a progress bar has overwritten ends.
    """

    lines: LineStyle
    line_starts: Sequence[int]
    templates: Sequence[str]
    overwritten: frozenset[int] = frozenset()

    def gap(self, text: str, gap: Span) -> str:
        """`[...]`, `[... 14 lines omitted]`, `[... 14 more like this omitted]`, `[... 60 overwritten updates omitted]`.

        Of what is like the line before, and of updates, the number is always said.
        """
        said = self.lines.count_gap(text, gap)
        if gap.end in self.overwritten and "\n" not in text[gap.start : gap.end]:
            number = text.count("\r", gap.start, gap.end)
            return re.sub(r"\d+ chars? omitted\]", f"{number} overwritten updates omitted]\n", said, count=1)
        rows = find_whole_rows(text, gap, self.line_starts)
        if rows is None or not rows[0] or set(self.templates[rows[0] : rows[1] + 1]) != {self.templates[rows[0] - 1]}:
            return self.lines.gap(text, gap)
        return re.sub(r"lines? omitted\]", "more like this omitted]", said, count=1)

    def longest(self, text: str) -> str:
        """The longest delimiter of lines, with the longer words."""
        words = "overwritten updates omitted]\n" if self.overwritten else "more like this omitted]"
        return self.lines.longest(text).replace("lines omitted]", words)


def _bare_lines(rows: Rows) -> list[str]:
    """Lines as a terminal shows them: without colours, and without what was overwritten; of long ones both ends."""
    lines = []
    for row in range(len(rows)):
        line = rows[row].rstrip()
        if "\r" in line:
            line = line[line.rfind("\r") + 1 :]
        lines.append(_shorten_line(ANSI.sub("", line) if "\x1b" in line else line))
    stamped = sum(1 for line in lines[:_STAMPED_ROWS] if _STAMP.match(line))
    if stamped > _STAMPED_SHARE * min(len(lines), _STAMPED_ROWS):
        return [_STAMP.sub("", line, count=1) for line in lines]
    return lines


def _shorten_line(line: str) -> str:
    """Both ends of a long line with its length between, which is all that is looked at; a short one as it is."""
    if len(line) <= 2 * _SEEN_CHARS:
        return line
    return f"{line[:_SEEN_CHARS]}<{len(line)}>{line[-_SEEN_CHARS:]}"


def _find_shown(text: str, start: int, end: int) -> int:
    """Where what is left on the screen of a line begins: behind the last carriage return that something follows."""
    stop = end
    while stop > start and text[stop - 1] in "\r\n \t":
        stop -= 1
    return text.rfind("\r", start, stop) + 1 or start


def _split_summary(text: str, start: int, end: int, floor: int) -> list[tuple[int, int, int]]:
    """A line with its floor; of a summary's line the part that names what failed, and the message behind it."""
    named = _NAMES_FAILURE.match(text, start, end)
    return [(start, named.end(), floor), (named.end(), end, ERROR)] if named else [(start, end, floor)]
