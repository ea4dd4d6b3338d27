"""Tables (CSV, TSV, Markdown, a database's, and columns aligned by blanks): records as units that require their header.

A record unlike its neighbours in a field that hardly varies is worth having whatever its score, and so are the counts
below a table.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.segmenters.columns import cut_cells, find_columns
from agentcompress.segmenters.odd_ones import find_odd_records
from agentcompress.segmenters.signs import ERROR, TOLD, WARNING, tells_count, tells_notice
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.lines import Rows

_BAR = re.compile(r"\s*[|│┃║].*[|│┃║]\s*$|[^|]*\S *\| *\S")
_BORDER = re.compile(
    r"\s*[+|:─━═┌┬┐├┼┤└┴┘╔╦╗╠╬╣╚╩╝┏┳┓┡╇┩╒╤╕╞╪╡╘╧╛│┃║=-][+|:─━═┌┬┐├┼┤└┴┘╔╦╗╠╬╣╚╩╝┏┳┓┡╇┩╒╤╕╞╪╡╘╧╛│┃║\s=-]{2,}$"
)
_BARS = re.compile(r"[|│┃║]")
_FIELD = re.compile(r'(?:^|[,;\t])"')
_SEPARATORS = (",", "\t", ";", "|")
_LOOKED_AT_CHARS = 24_000
_RECORDS, _SAME_SHARE, _BARRED_SHARE, _ALIGNED_SHARE = 4, 0.9, 0.85, 0.7
_QUOTED_ROWS = 20
"""The most rows a quoted field may span."""

_HEADER_CHARS, _HEADER_SHARE = 600, 0.04
"""A header that is longer than this and than this share of the text is not required by its rows."""

_TITLE_ROWS = 5
"""How many rows above a table tell what it is of."""

_ROW_CHARS, _PIECE_CHARS = 1200, 400
_FLOOR_SHARE = 0.6


def is_table(text: str, lines: Sequence[str]) -> bool:
    """Whether a text is a table. lines: of a sample of it, without blank ones."""
    if len(lines) < _RECORDS:
        return False
    return _is_barred(lines) or _find_separator(text, lines) is not None or _is_aligned(text)


@dataclass(frozen=True)
class TableSegmenter:
    """Records as units, so many neighbours with one parent. A quoted field may hold line ends."""

    block_rows: int = 12

    def __post_init__(self) -> None:
        checked_count("block_rows", self.block_rows)

    def segment(self, text: str) -> Segment:
        """Cut `text` at records. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        lines = [line for line in (rows[row] for row in range(min(len(rows), 400))) if line.strip()]
        if _is_barred(lines):
            parts = list(_cut_barred(rows))
        elif _is_aligned(text):
            parts = list(_cut_aligned(rows))
        else:
            parts = list(_cut_delimited(rows, _find_separator(text, lines) or ","))
        builder = _Builder(rows, self.block_rows)
        for part in parts:
            builder.add_table(part)
        return Segment(text, "table", tuple(builder.units), floor_share=_FLOOR_SHARE)


@dataclass(frozen=True)
class _Table:
    """Rows of one table: records, each with its fields, the first of them the header if there is one; and the rest.

    records: first and last row of each. fields: of each; empty for what is no record. is_title: whether it is what
    stands right above a table.
    """

    records: Sequence[tuple[int, int]]
    fields: Sequence[Sequence[str]]
    has_header: bool
    is_title: bool = False


class _Builder:
    """Makes units of tables."""

    def __init__(self, rows: Rows, block_rows: int) -> None:
        self.units: list[Unit] = []
        self._rows, self._block_rows = rows, block_rows
        self._parents = 0

    def add_table(self, table: _Table) -> None:
        """Add a unit for every record: odd ones and counts are floors; what is long is cut up."""
        header: tuple[int, ...] = ()
        data = [i for i, fields in enumerate(table.fields) if len(fields) > 1 and not (table.has_header and not i)]
        odd = {data[i] for i in find_odd_records([table.fields[i] for i in data])}
        for i, (first, last) in enumerate(table.records):
            start, end = self._rows.get_span(first, last)
            floor = ERROR if i in odd else self._rate_other(first, last, is_record=len(table.fields[i]) > 1)
            if table.is_title and len(table.records) - i <= _TITLE_ROWS and self._rows[first].strip():
                floor = max(floor, WARNING)
            is_header = table.has_header and not i
            at = len(self.units)
            required = () if is_header or len(table.fields[i]) < 2 else header
            for a, b in cut_stretch(self._rows.text, start, end, _ROW_CHARS, _PIECE_CHARS):
                whole = a == start
                self.units.append(
                    Unit(a, b, self._parents + i // self._block_rows, required, floor=floor if whole else 0)
                )
            if is_header and end - start <= max(_HEADER_CHARS, _HEADER_SHARE * len(self._rows.text)):
                header = tuple(range(at, len(self.units)))
                self.units[at] = replace(self.units[at], floor=max(floor, WARNING))
        self._parents += len(table.records) // self._block_rows + 1

    def _rate_other(self, first: int, last: int, *, is_record: bool) -> int:
        """The floor of what is no record: a count, or a notice."""
        line = self._rows.get_text(first, last).strip()
        if is_record:
            return TOLD if _TOTAL.match(line) else 0
        return TOLD if tells_count(line) or tells_notice(line) else 0


_TOTAL = re.compile(r"\W{0,4}(?i:grand )?(?i:totals?|sum|all files|overall)\b")


def _is_barred(lines: Sequence[str]) -> bool:
    """Whether nearly all lines have as many bars between their fields as most."""
    bars = Counter(len(_BARS.findall(line)) for line in lines if not _BORDER.match(line))
    if not bars or sum(bars.values()) < 3:
        return False
    usual, often = bars.most_common(1)[0]
    ruled = any(_BORDER.match(line) for line in lines[:4])
    return (
        usual >= (1 if ruled else 2)
        and often >= _BARRED_SHARE * sum(bars.values())
        and any(_BAR.match(line) for line in lines[-3:])
    )


def _cut_barred(rows: Rows) -> Iterator[_Table]:
    """A table drawn with bars: what stands above its first rule is the header."""
    records: list[tuple[int, int]] = []
    fields: list[Sequence[str]] = []
    seen = Counter(len(_BARS.findall(rows[row])) for row in range(len(rows)))
    seen.pop(0, None)
    usual = seen.most_common(1)[0][0] if seen else 0
    header = _find_barred_header(rows)
    if header >= 0:
        records.append((0, header))
        fields.append(("",) * (usual + 1))
    for row in range(header + 1, len(rows)):
        cells = [cell.strip() for cell in _BARS.split(rows[row])]
        records.append((row, row))
        fields.append(cells if len(cells) == usual + 1 and not _BORDER.match(rows[row]) else ())
    yield _Table(records, fields, header >= 0)


def _find_barred_header(rows: Rows) -> int:
    """The last row of the header: the rule below its words, the first row where there is none, or -1."""
    words = False
    for row in range(min(6, len(rows))):
        if _BORDER.match(rows[row]):
            if words:
                return row
        elif rows[row].strip():
            if words:
                return -1 if row > 3 else row - 1
            words = True
    return -1


def _is_aligned(text: str) -> bool:
    """Whether most lines of a text's beginning are of tables that are aligned by blanks."""
    rows = Rows(text[:_LOOKED_AT_CHARS])
    spoken = aligned = 0
    for first, last in _find_paragraphs(rows):
        spoken += last - first + 1
        if find_columns([rows[row] for row in range(first, last + 1)]):
            aligned += last - first + 1
    return aligned > _ALIGNED_SHARE * spoken


def _find_paragraphs(rows: Rows) -> Iterator[tuple[int, int]]:
    """First and last rows of stretches without a blank row."""
    first = -1
    for row in range(len(rows) + 1):
        blank = row == len(rows) or not rows[row].strip()
        if blank and first >= 0:
            yield first, row - 1
        first = -1 if blank else row if first < 0 else first


def _cut_aligned(rows: Rows) -> Iterator[_Table]:
    """Tables aligned by blanks, one a paragraph; paragraphs that are none are lines."""
    at = 0
    for first, last in _find_paragraphs(rows):
        columns = find_columns([rows[row] for row in range(first, last + 1)])
        if not columns and last - first < 4:
            continue
        if first > at:
            yield _Table([(row, row) for row in range(at, first)], [()] * (first - at), has_header=False, is_title=True)
        records = [(row, row) for row in range(first, last + 1)]
        fields: list[Sequence[str]] = [_cut_fields(rows[row], columns) for row in range(first, last + 1)]
        if columns and len(records) > 1 and _BORDER.match(rows[first + 1]):
            records[:2], fields[:2] = [(first, first + 1)], [fields[0]]
        yield _Table(records, fields, has_header=bool(columns))
        at = last + 1
    if at < len(rows):
        yield _Table([(row, row) for row in range(at, len(rows))], [()] * (len(rows) - at), has_header=False)


def _cut_fields(row: str, columns: Sequence[int]) -> Sequence[str]:
    """The fields of a row; none of a rule, or of what fills one column alone."""
    if not columns or _BORDER.match(row):
        return ()
    cells = cut_cells(row, columns)
    return cells if sum(1 for cell in cells if cell) > 1 else ()


def _find_separator(text: str, lines: Sequence[str]) -> str | None:
    """What separates fields: with it nearly all records have as many of them as most, three at least; or None."""
    for separator in _SEPARATORS:
        if sum(1 for line in lines if separator in line) < 0.4 * len(lines):
            continue
        counts = Counter(_count_fields(text[:_LOOKED_AT_CHARS], separator))
        if not counts or sum(counts.values()) < _RECORDS:
            continue
        usual, often = counts.most_common(1)[0]
        spaced = separator == "," and lines[0].count(", ") >= (usual - 1) / 2
        if usual >= 3 and often >= _SAME_SHARE * sum(counts.values()) and not spaced:
            return separator
    return None


def _count_fields(text: str, separator: str) -> list[int]:
    """The number of fields of every record but the last, which may be cut off; empty where quotes are no field's."""
    whole = text[: text.rfind("\n") + 1] or text
    try:
        counts = [len(record) for record in csv.reader(whole.splitlines(keepends=True), delimiter=separator) if record]
    except csv.Error:
        return []
    return counts[:-1] if len(text) == _LOOKED_AT_CHARS else counts


def _cut_delimited(rows: Rows, separator: str) -> Iterator[_Table]:
    """A table whose fields a character separates, perhaps in quotes and over several rows, its header first."""
    records: list[list[int]] = []
    opened = -1  # the row where a quoted field began that is still open
    for row in range(len(rows)):
        if records and opened >= 0:
            records[-1][1] = row
        else:
            records.append([row, row])
        opened = _find_open_quote(rows[row], row, opened)
        if 0 <= opened <= row - _QUOTED_ROWS:  # no field, but a stray quote
            records[-1:] = [[r, r] for r in range(records[-1][0], row + 1)]
            opened = -1
    texts = [rows.get_text(first, last) for first, last in records]
    fields = [_split_fields(text, separator) for text in texts]
    yield _Table([(first, last) for first, last in records], fields, has_header=len(records) > 1)


def _split_fields(record: str, separator: str) -> Sequence[str]:
    """The fields of one record."""
    if '"' not in record:
        return record.rstrip("\r\n").split(separator)
    try:
        return next(csv.reader(record.splitlines(keepends=True), delimiter=separator), [])
    except csv.Error:
        return record.split(separator)


def _find_open_quote(line: str, row: int, opened: int) -> int:
    """The row where the quoted field began that is open at a line's end, or -1."""
    if line.count('"') % 2 == 0:
        return opened
    if opened >= 0:
        return -1
    return row if _FIELD.search(line) else -1
