"""Source code: statements as units, in whole lines; blocks of them as parents; signatures and imports as the skeleton.

Where tree-sitter finds no error in the whole, what is kept has none either: a statement requires the frames around it.
Partial and broken code is cut as far as it makes sense, and line by line where it makes none.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from agentcompress.common.checks import checked_count, checked_weight
from agentcompress.errors import InvalidInputError, SegmentationError
from agentcompress.schema import Segment, Unit
from agentcompress.segmenters.grammars import GRAMMARS, Grammar
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.segmenters.signs import ERROR, TOLD
from agentcompress.segmenters.tree import Frame, Piece, cut_tree
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.delimiters import make_comment_style
from agentcompress.text.lines import Rows, find_view

_NAME = re.compile(r"[^\W\d]\w{2,}")
_ASSIGNED = re.compile(
    r"\s*(?:(?:export|const|let|var|static|final|public|private|protected|internal|pub|readonly|default)\s+)*"
    r"([^\W\d]\w{2,})(?:\s*:[^=\n]{0,80})?\s*=(?!=)"
)
_ANCHOR, _ALIAS = re.compile(r"(?:^|[\s\[{,])&([\w-]+)"), re.compile(r"(?:^|[\s\[{,])\*([\w-]+)")
_FLOOR_FROM = 0.2
"""The share of a file that scores fill before floors come: in so little, what the query is about is worth most."""

_NAMING = re.compile(r"\s*<(?:\w+:)?(?:name|id|key|artifactId|title|loc|code|label)\b[^>]*>[^<]+<", re.IGNORECASE)
_MOST_NAMES, _NAMING_CHARS = 2, 200
_ALARMING = re.compile(
    r"(?i)<(?:failure|error|fatal|exception)\b|\b(?:status|result|outcome|severity|level|state)=\"(?:fail|error|fatal|critical|reject)"
    r"|<(?:\w+:)?(?:status|result|outcome|state)>(?:fail|error|fatal|reject)"
)
_COUNTED = re.compile(
    r"(?i)(?:\b(?:tests|total|count|submitted|accepted|rejected|passed|failed|failures|errors|skipped|warnings)=\"\d+\"\s*){2}"
)
_SAID = re.compile(r"\W{0,3}(?:[\w./-]+:\s*)?(?:\d+:\s*)?(?i:error|fatal|panic|failed|exception)\b\s*[:(\d[]")
_FEW_ALARMING, _SEEN_CHARS, _TOLD_SHARE, _MOST_BROKEN = 5, 2000, 0.6, 40
_LARGE_CHARS, _LARGE_SHARE, _LINE_CHARS, _PIECE_CHARS = 1500, 0.03, 1200, 400
"""A piece of more characters than this, and than this share of the text, is cut at lines; a longer line into pieces."""

_FRAMES_CHARS, _FRAMES_SHARE, _DEEP = 600, 0.04, 6
"""Frames that are so deep, and take up more than this with those around them, go without those."""

_MOST_WANTED = 4
_MOST_DEFINITIONS = 3  # of one name; more say nothing about which is meant


class SourceSegmenter:
    """Statements as units, blocks of functions as parents.

    language: one of `GRAMMARS`. floor_share: the most of what is kept that signatures, imports and definitions may take
    up. block_lines: lines that share a parent, at most.
    """

    def __init__(self, language: str = "python", floor_share: float = 0.3, block_lines: int = 12) -> None:
        if language not in GRAMMARS:
            raise InvalidInputError("language", language, f"one of {', '.join(sorted(GRAMMARS))}")
        self.grammar = GRAMMARS[language]
        self.floor_share = checked_weight("floor_share", floor_share, 0.9)
        self.block_lines = checked_count("block_lines", block_lines)

    def segment(self, text: str) -> Segment:
        """Cut `text` into statements, at lines where it can't be parsed. Every string tiles; an empty one has none."""
        rows = Rows(text)
        if not len(rows):
            return Segment(text, "source", ())
        view = find_view(rows)
        try:
            pieces, broken = _cut_pieces(view.bare if view else text, len(rows), self.grammar)
        except SegmentationError:
            return LineSegmenter().segment(text)
        if view and view.foreign:
            pieces = _split_off_foreign(pieces, view.foreign)
        markup = self.grammar.name == "html"
        told = _raise_alarming(rows, pieces) if markup else _raise_said(rows, pieces, broken)
        share = max(self.floor_share, _TOLD_SHARE) if told else self.floor_share
        units = _Units(rows, pieces, self.block_lines, self.grammar.name).build_units()
        style = make_comment_style(text, self.grammar.comment, rows.starts, numbered=view is not None)
        floor_from = 0.0 if markup or told else _FLOOR_FROM
        return Segment(text, "source", units, style, share, floor_from=floor_from, divisible=False)


def _raise_alarming(rows: Rows, pieces: list[Piece]) -> bool:
    """Make floors of the elements of a report in XML that tell of failures, where few do, and of counts; say if any."""
    alarming = [piece for piece in pieces if _ALARMING.search(rows.get_text(piece.first, piece.last)[:_SEEN_CHARS])]
    if len(alarming) <= max(_FEW_ALARMING, len(pieces) // 10):
        for piece in alarming[:_FEW_ALARMING]:
            piece.floor = max(piece.floor, ERROR)
    counts = [piece for piece in pieces if _COUNTED.search(rows.get_text(piece.first, piece.last)[:_SEEN_CHARS])]
    for piece in counts if len(counts) <= _FEW_ALARMING else ():
        piece.floor = max(piece.floor, TOLD)
    return any(piece.floor >= ERROR for piece in pieces)


def _raise_said(rows: Rows, pieces: list[Piece], broken: Sequence[int]) -> bool:
    """Make floors of what a program has said between the statements that it echoes; say if any.

    broken: rows that are no code.
    """
    said = [row for row in broken if _SAID.match(rows[row])]
    if not said or len(said) > _FEW_ALARMING:
        return False
    for piece in pieces:
        if any(piece.first <= row <= piece.last for row in said):
            piece.floor = max(piece.floor, ERROR)
    return True


def _find_broken_rows(root: Any) -> list[int]:
    """Rows that tree-sitter takes for errors, where they are few and each is one of its own."""
    found: list[int] = []
    waiting = [root]
    while waiting and len(found) <= _MOST_BROKEN:
        node = waiting.pop()
        if node.type == "ERROR" and node.end_point[0] - node.start_point[0] <= 1:
            found.append(node.start_point[0])
        elif node.has_error:
            waiting.extend(node.children)
    return sorted(found) if len(found) <= _MOST_BROKEN else []


def _cut_pieces(bare: str, count: int, grammar: Grammar) -> tuple[list[Piece], list[int]]:
    """Cut a source text (its `count` rows without a viewer's numbers) into pieces of whole rows.

    Second: rows that are no code.
    """
    opened = _open_blocks(bare) if grammar.name == "python" else []
    source = ("".join(opened) + bare).encode("utf-8", "replace")
    tree: Any = grammar.parse(source)
    rows = source.split(b"\n")
    pieces = cut_tree(tree.root_node, rows[: count + len(opened)], grammar)
    broken = [row - len(opened) for row in _find_broken_rows(tree.root_node) if len(opened) <= row < count]
    return _shift_pieces(pieces, len(opened)) if opened else pieces, broken


def _open_blocks(bare: str) -> list[str]:
    """Lines that open the blocks a partial view begins inside of, so that it parses as Python."""
    indents = [len(line) - len(line.lstrip(" ")) for line in bare.split("\n") if line.strip()]
    if not indents or not indents[0]:
        return []
    levels, lowest = [], indents[0]
    for indent in indents:
        if indent < lowest:
            levels.append(indent)
            lowest = indent
    levels = levels if levels and levels[-1] == 0 else [*levels, 0]
    return [f"{' ' * level}if 1:\n" for level in reversed(levels)]


def _shift_pieces(pieces: list[Piece], by: int) -> list[Piece]:
    """Move pieces up by as many rows as were put before the text, and drop those that stood in them alone."""
    for piece in pieces:
        piece.first, piece.last = max(0, piece.first - by), piece.last - by
    kept = [piece for piece in pieces if piece.last >= 0]
    number = {id(piece): i for i, piece in enumerate(kept)}
    for frame in _collect_frames(pieces):
        frame.pieces = [number[id(pieces[i])] for i in frame.pieces if id(pieces[i]) in number]
    return kept


def _split_off_foreign(pieces: list[Piece], foreign: frozenset[int]) -> list[Piece]:
    """Give a viewer's own words, at the ends of the text, units of their own."""
    first, last = pieces[0], pieces[-1]
    head = next((row for row in range(first.first, first.last + 1) if row not in foreign), first.first)
    if head > first.first:
        first.first = head
        pieces[:0] = [Piece(0, head - 1, first.parent, None, floor=1)]
        _renumber_frames(pieces, 1)
    tail = next((row for row in range(last.last, last.first - 1, -1) if row not in foreign), last.last)
    if tail < last.last:
        pieces.append(Piece(tail + 1, last.last, last.parent, None, floor=1))
        last.last = tail
    return pieces


def _collect_frames(pieces: Sequence[Piece]) -> set[Frame]:
    """All frames that pieces are part of, or stand in."""
    return {frame for piece in pieces for frame in (piece.own, piece.inside) if frame is not None}


def _renumber_frames(pieces: Sequence[Piece], by: int) -> None:
    """Add to the indexes of pieces in all frames, when pieces were put before."""
    for frame in _collect_frames(pieces):
        frame.pieces = [i + by for i in frame.pieces]


class _Units:
    """From pieces to units: characters for rows, requirements for frames, and who wants whose definition."""

    def __init__(self, rows: Rows, pieces: list[Piece], block_lines: int, language: str) -> None:
        self._rows, self._pieces, self._block_lines, self._language = rows, pieces, block_lines, language
        self._texts = [rows.get_text(piece.first, piece.last) for piece in pieces]
        self._detach_frames()
        self._naming = self._find_naming() if language == "html" else {}

    def build_units(self) -> tuple[Unit, ...]:
        """Make a unit of every piece, in order; of one that is too large, one of every line."""
        wants = self._find_wanted()
        parents = self._number_parents()
        anchors = self._find_anchors()
        parts = [self._cut_piece(piece) for piece in self._pieces]
        firsts = list(itertools.accumulate(map(len, parts), initial=0))
        units = []
        for i, piece in enumerate(self._pieces):
            required = tuple(firsts[other] for other in (*self._find_required(i), *anchors.get(i, ())))
            wanted = tuple(firsts[other] for other in wants.get(i, ()))
            name = self._qualify_name(piece)
            for number, (start, end) in enumerate(parts[i]):
                floor = piece.floor if not number else 0
                units.append(Unit(start, end, parents[i], required, () if number else wanted, floor=floor, name=name))
        return tuple(units)

    def _cut_piece(self, piece: Piece) -> list[tuple[int, int]]:
        """The characters of a piece; of one that is too large those of its lines, and of long lines their pieces."""
        start, end = self._rows.get_span(piece.first, piece.last)
        if end - start <= max(_LARGE_CHARS, _LARGE_SHARE * len(self._rows.text)):
            return [(start, end)]
        rows = (self._rows.get_span(row, row) for row in range(piece.first, piece.last + 1))
        return [span for a, b in rows for span in cut_stretch(self._rows.text, a, b, _LINE_CHARS, _PIECE_CHARS)]

    def _detach_frames(self) -> None:
        """Let deep frames go without those around them, where together they would be much of the text."""
        most = max(_FRAMES_CHARS, _FRAMES_SHARE * len(self._rows.text))
        sizes: dict[int, tuple[int, int]] = {}
        for frame in (piece.own for piece in self._pieces if piece.own is not None):
            if id(frame) in sizes:
                continue
            around, levels = sizes.get(id(frame.outer), (0, 0)) if frame.outer is not None else (0, 0)
            own = sum(len(self._texts[i]) for i in frame.pieces)
            if around + own > most and levels >= _DEEP:
                frame.is_detached = True
                around, levels = 0, 0
            sizes[id(frame)] = around + own, levels + 1

    def _qualify_name(self, piece: Piece) -> str:
        """What a query may call a piece: the innermost definition it is, or is in."""
        if piece.own is not None:
            return piece.own.qualified
        around = piece.inside.qualified if piece.inside is not None else ""
        return ".".join(name for name in (around, piece.name) if name)

    def _find_required(self, i: int) -> tuple[int, ...]:
        """The frame around a piece, or the rest of its own and what is around that."""
        piece = self._pieces[i]
        required: list[int] = []
        if piece.own is not None:
            first = piece.own.pieces[0]
            required = piece.own.pieces[1:] if i == first else [first]
        around = None if piece.own is not None and piece.own.is_detached else piece.inside
        while around is not None and not around.pieces:
            around = around.outer
        if around is not None:
            required = [*required, around.pieces[0]]
            required += [other for other in self._naming.get(id(around), ()) if other != i]
        return tuple(dict.fromkeys(required))

    def _find_naming(self) -> dict[int, list[int]]:
        """Of markup: elements that name the one they stand in (`<artifactId>`, `<name>`), by the frame of that."""
        naming: defaultdict[int, list[int]] = defaultdict(list)
        for i, piece in enumerate(self._pieces):
            if piece.inside is None or piece.own is not None or not piece.inside.pieces:
                continue
            found = naming[id(piece.inside)]
            if len(found) < _MOST_NAMES and len(self._texts[i]) <= _NAMING_CHARS and _NAMING.match(self._texts[i]):
                found.append(i)
        return naming

    def _find_anchors(self) -> dict[int, list[int]]:
        """Of YAML: where the anchors stand that a piece refers to. Without them it means nothing."""
        if self._language != "yaml":
            return {}
        standing = {name: i for i, text in enumerate(self._texts) for name in _ANCHOR.findall(text)}
        return {
            i: sorted({standing[name] for name in _ALIAS.findall(text) if standing.get(name, i) != i})
            for i, text in enumerate(self._texts)
        }

    def _number_parents(self) -> list[int]:
        """Blocks of neighbours within a function; outside of one a blank line ends a block."""
        parents: list[int] = []
        block, lines, inside = 0, 0, 0
        for i, piece in enumerate(self._pieces):
            size = piece.last - piece.first + 1
            apart = not piece.parent and i > 0 and self._texts[i - 1].endswith(("\n\n", "\n\r\n"))
            if piece.parent != inside or lines + size > self._block_lines or apart:
                block, lines, inside = block + 1, 0, piece.parent
            lines += size
            parents.append(block)
        return parents

    def _find_wanted(self) -> dict[int, tuple[int, ...]]:
        """For pieces that use names defined once or so elsewhere: the pieces that define the rarest of them."""
        defined = self._find_definitions()
        if not defined:
            return {}
        names = [set(_NAME.findall(text)) & defined.keys() for text in self._texts]
        uses = Counter(name for used in names for name in used)
        wants: dict[int, tuple[int, ...]] = {}
        for i, used in enumerate(names):
            if used and not (self._pieces[i].own or self._pieces[i].floor):
                found = dict.fromkeys(
                    at for name in sorted(used, key=lambda n: (uses[n], n)) for at in defined[name] if at != i
                )
                wants[i] = tuple(found)[:_MOST_WANTED]
        return wants

    def _find_definitions(self) -> dict[str, list[int]]:
        """Names of three letters and more, and the pieces that define each; without those many define."""
        defined: defaultdict[str, list[int]] = defaultdict(list)
        for i, piece in enumerate(self._pieces):
            for name in self._find_names(piece, self._texts[i]):
                defined[name].append(i)
        return {name: at for name, at in defined.items() if len(at) <= _MOST_DEFINITIONS}

    def _find_names(self, piece: Piece, text: str) -> Iterable[str]:
        """The names that a piece defines or brings in."""
        if piece.name:
            return [piece.name] if len(piece.name) > 2 else []
        if piece.imports:
            return set(_NAME.findall(text)) - _IMPORT_WORDS
        if not piece.parent and (found := _ASSIGNED.match(text)):
            return [found.group(1)]
        return []


_IMPORT_WORDS = frozenset(
    [
        "import",
        "from",
        "as",
        "use",
        "include",
        "require",
        "package",
        "using",
        "static",
        "type",
        "default",
        "export",
        "pub",
        "crate",
    ]
)
