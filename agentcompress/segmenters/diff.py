"""Unified diffs: whole hunks, each with the header of its file, and each file with the commit it is of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.lines import Rows

_FILE, _COMMIT = re.compile(r"diff |Index: |=== "), re.compile(r"From [0-9a-f]{40}|commit [0-9a-f]{7,}")
_OLD, _NEW = re.compile(r"--- "), re.compile(r"\+\+\+ ")
_LONG_LINE_CHARS, _PIECE_CHARS = 1200, 400
_MINIFIED = -3.0  # the prior of a piece of a long line, and of a file that a tool has written: nobody reads them
_GENERATED = re.compile(
    r"(?:^|[/\s])(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.ya?ml|go\.sum|[\w.-]+\.lock(?:file|b)?|bun\.lockb"
    r"|packages\.lock\.json|[\w.-]+\.min\.\w{2,3}|[\w.-]+\.(?:js|css)\.map|[\w.-]+\.snap|[\w.-]+\.pb\.go|\w+_pb2\.pyi?"
    r"|(?:node_modules|vendor|dist)/\S+)\s*$",
    re.MULTILINE,
)
_HUNK = re.compile(r"@@+ -\d+(?:,\d+)? .*@@")


_FLOOR_SHARE, _MOST_READ = 0.8, 0.5
"""The share of what is kept that hunks of written files may take up where most of a diff is of generated ones."""


@dataclass(frozen=True)
class DiffSegmenter:
    """Hunks as units, files as parents; a hunk requires its file's header. What a tool has written comes last.

    hunk_lines: a longer hunk (a new file, say) is cut into pieces of as many lines, which require its first.
    """

    hunk_lines: int = 60

    def __post_init__(self) -> None:
        checked_count("hunk_lines", self.hunk_lines)

    def segment(self, text: str) -> Segment:
        """Cut `text` at hunks. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        units: list[Unit] = []
        file = 0
        header: tuple[int, ...] = ()
        commit: tuple[int, ...] = ()
        generated = False
        starts = _find_starts(rows)
        ends = [row for row, _ in starts[1:]] + [len(rows)] * bool(starts)
        for (first, kind), following in zip(starts, ends, strict=True):
            if kind == "commit":
                file, commit, header, generated = file + 1, (len(units),), (), False
            elif kind == "file":
                file, header = file + 1, (len(units),)
                generated = _GENERATED.search(rows.get_text(first, following - 1)) is not None
            required = header if kind == "hunk" else commit if kind == "file" else ()
            for number, span in enumerate(self._cut_rows(rows, first, following)):
                is_piece = "\n" not in text[span[0] : span[1] - 1] and span[1] - span[0] > _PIECE_CHARS // 2
                unread = is_piece or (generated and kind == "hunk")
                units.append(Unit(*span, file, required, floor=int(not unread), prior=_MINIFIED if unread else 0.0))
                if kind in ("hunk", "commit") and not number:
                    required = (len(units) - 1, *(header if kind == "hunk" else ()))
        read = sum(unit.end - unit.start for unit in units if unit.floor)
        share = _FLOOR_SHARE if read < _MOST_READ * len(text) else 0.0
        return Segment(text, "diff", tuple(units), floor_share=share)

    def _cut_rows(self, rows: Rows, first: int, following: int) -> Iterator[tuple[int, int]]:
        """Characters of rows `first` to `following`, so many rows at a time; a long line, minified, in pieces."""
        start = at = rows.starts[first]
        for row in range(first, following):
            a, b = rows.get_span(row, row)
            is_long = b - a > _LONG_LINE_CHARS
            if is_long and a > at:
                yield at, a
                at = a
            if is_long:
                yield from cut_stretch(rows.text, a, b, _LONG_LINE_CHARS, _PIECE_CHARS)
                at = b
            elif row == following - 1 or rows.text.count("\n", at, b) >= self.hunk_lines:
                yield at, b
                at = b
        if start == at:
            yield start, rows.get_span(following - 1, following - 1)[1]


def _find_starts(rows: Rows) -> list[tuple[int, str]]:
    """Rows where a file's header or a hunk begins, and which; the first row in any case."""
    starts: list[tuple[int, str]] = []
    in_header = False
    for row in range(len(rows)):
        line = rows[row]
        if _HUNK.match(line):
            starts.append((row, "hunk"))
            in_header = False
        elif _COMMIT.match(line) and not in_header:
            starts.append((row, "commit"))
        elif _FILE.match(line):
            if not in_header:
                starts.append((row, "file"))
            in_header = True
        elif not in_header and _OLD.match(line) and row + 1 < len(rows) and _NEW.match(rows[row + 1]):
            starts.append((row, "file"))
            in_header = True
        elif not row:
            starts.append((row, "text"))
    return starts
