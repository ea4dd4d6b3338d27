"""Columns that are aligned by blanks (`kubectl get`, `df`, `ps`): where they stand, and what a row holds in each."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LOOKED_AT_ROWS, _LOOKED_AT_CHARS = 120, 240
_LEAST_ROWS, _LEAST_COLUMNS = 5, 3
_BLANK_SHARE = 0.96
"""A character's place belongs to no column where so large a share of the rows is blank there."""

BY_BLANKS = -1
"""The one column of a table whose fields are parted by blanks, but stand at no fixed place."""

_BLANKS, _ALIKE_SHARE = re.compile(r"\s{2,}"), 0.9
_PADDED = re.compile(r"\S {2,}\S")
_PADDED_SHARE, _FILLED_SHARE = 0.6, 0.75
_RULE = re.compile(r"\s*-{2,}[-\s]*$|\s*={2,}[=\s]*$")
_HEADING = re.compile(r"[^\d\W][\w%/#().:-]*|[%#]\w*|\d?[A-Za-z][\w-]*|[%#/@]\S{0,8}|1K-blocks|512-blocks")


def find_columns(rows: Sequence[str]) -> list[int]:
    """Where the columns of a table begin, ascending; empty where its rows are not aligned.

    rows: the header first. A table has a header of words, five rows or more, and three columns or two under a rule.
    """
    rows = [row.rstrip().expandtabs()[:_LOOKED_AT_CHARS] for row in rows[:_LOOKED_AT_ROWS] if row.strip()]
    if len(rows) < _LEAST_ROWS or not _is_header(rows[0]):
        return []
    ruled = _RULE.match(rows[1]) is not None
    body = [row for row in rows if not _RULE.match(row)]
    if sum(1 for row in body if _PADDED.search(row)) < _PADDED_SHARE * len(body):
        return []
    least = _LEAST_COLUMNS - ruled
    columns = _find_starts(body)
    if len(columns) < least and not ruled and _are_split_alike(body):
        return [BY_BLANKS]
    if len(columns) < least or len(columns) > 2 * len(rows[0].split()):
        return []
    filled = sum(
        1 for row in body if sum(1 for cell in cut_cells(row, columns) if cell) >= max(least, len(columns) - 2)
    )
    return columns if filled >= _FILLED_SHARE * len(body) else []


def cut_cells(row: str, columns: Sequence[int]) -> list[str]:
    """What a row holds in each column, without blanks around it."""
    if columns and columns[0] == BY_BLANKS:
        return _BLANKS.split(row.strip())
    row = row.rstrip().expandtabs()
    ends = [*columns[1:], max(len(row), columns[-1])] if columns else []
    return [row[a:b].strip() for a, b in zip(columns, ends, strict=True)]


def _are_split_alike(rows: Sequence[str]) -> bool:
    """Whether two blanks or more part the rows into as many fields as the header has, wherever they stand."""
    wanted = len(_BLANKS.split(rows[0].strip()))
    alike = sum(1 for row in rows if abs(len(_BLANKS.split(row.strip())) - wanted) <= 1)
    return wanted >= _LEAST_COLUMNS and alike >= _ALIKE_SHARE * len(rows)


def _is_header(row: str) -> bool:
    """Whether a row could be a header: words, each short, hardly a number among them, and no sentence."""
    words = row.split()
    if len(words) < 2 or row.rstrip().endswith((".", ":", ";", "{", ",")):
        return False
    named = sum(1 for word in words if _HEADING.fullmatch(word) and len(word) <= 40)
    numbers = sum(1 for word in words if word[0].isdigit())
    return named == len(words) and numbers <= len(words) // 4


def _find_starts(rows: Sequence[str]) -> list[int]:
    """Places behind blanks that nearly all rows share, the header's first."""
    width = max(map(len, rows))
    held = [0] * width
    for row in rows:
        for at, character in enumerate(row):
            if character != " ":
                held[at] += 1
    most = (1 - _BLANK_SHARE) * len(rows)
    starts = [at for at in range(width) if held[at] > most and (at == 0 or held[at - 1] <= most)]
    ends = [*starts[1:], width]
    # Where the header has no word, two words of one field have happened to stand apart in all rows.
    return [a for a, b in zip(starts, ends, strict=True) if a == starts[0] or rows[0][a:b].strip()]
