"""Mixed text: what stands in an envelope, prose with fenced blocks, or with JSON in it; each cut by its own kind.

A fence stays around what it holds; an envelope's lines are kept whatever else is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from agentcompress.schema import Segment, Unit
from agentcompress.segmenters.envelopes import find_envelope
from agentcompress.segmenters.grammars import find_language_of_fence, get_extension
from agentcompress.segmenters.json_within import find_json_within
from agentcompress.segmenters.kinds import Kind, detect_kind, make_segmenter
from agentcompress.segmenters.moved import move_unit
from agentcompress.segmenters.signs import TOLD
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.delimiters import Part, PartsStyle, choose_style, make_line_style
from agentcompress.text.lines import Rows

_ENVELOPE_SHARE, _MOST_ENVELOPES = 0.5, 3
_LINE_CHARS, _PIECE_CHARS = 2000, 400
_FENCE = re.compile(r"^[ \t]{0,8}(`{3,}|~{3,})([^\n`]*)\n", re.MULTILINE)


class _Block(NamedTuple):
    """A fenced block: where its opening line, its body and its closing line begin, and where that ends."""

    start: int
    body: int
    close: int
    end: int
    word: str


def find_fenced_blocks(text: str) -> list[_Block]:
    """Return the fenced blocks of a text that are closed, in order."""
    blocks = []
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text if text.endswith("\n") else text + "\n"):
        if opened is None:
            opened = match
        elif match.group(1).startswith(opened.group(1)) and not match.group(2).strip():
            end = min(match.end(), len(text))
            blocks.append(_Block(opened.start(), opened.end(), match.start(), end, opened.group(2).strip()))
            opened = None
    return blocks


class MixedSegmenter:
    """Prose as sentences, fenced blocks by their kind; the lines of a fence are required by all it holds.

    hint: what is known of where the text comes from, for what stands in an envelope. envelopes: whether it may be in
    one.
    """

    def __init__(self, hint: str = "", *, envelopes: bool = True) -> None:
        self.hint, self.envelopes = hint, envelopes

    def segment(self, text: str) -> Segment:
        """Cut `text`. Every string tiles; an empty one has no units."""
        parts = _Parts(text)
        if self.envelopes and self._open_envelopes(text, parts):
            return parts.make_segment()
        at = 0
        within = find_json_within(text)
        for block in (
            [_Block(within.start, within.start, within.end, within.end, "json")] if within else find_fenced_blocks(text)
        ):
            parts.add_part(at, block.start, detect_kind(text[at : block.start], fences=False))
            if block.start == block.body:  # no fence around it
                parts.add_part(block.body, block.close, Kind("json"))
            else:
                opens = parts.add_line(block.start, block.body)
                parts.add_part(block.body, block.close, _detect_block_kind(block, text), opens)
                parts.require_closing(opens, parts.add_line(block.close, block.end, opens))
            at = block.end
        parts.add_part(at, len(text), detect_kind(text[at:], fences=False))
        return parts.make_segment()

    def _open_envelopes(self, text: str, parts: _Parts) -> bool:
        """Add what stands in an envelope, or in several, one in the other, and their lines; say whether it does."""
        start, end = 0, len(text)
        tails: list[tuple[int, int]] = []
        while len(tails) < _MOST_ENVELOPES and (envelope := find_envelope(text[start:end])) is not None:
            parts.add_floors(start, start + envelope.start)
            tails.append((start + envelope.end, end))
            start, end = start + envelope.start, start + envelope.end
        if tails:
            parts.add_part(start, end, detect_kind(text[start:end], self.hint, envelopes=False))
        for tail in reversed(tails):
            parts.add_floors(*tail)
        return bool(tails)


class _Parts:
    """Puts the segments of a text's stretches together to one segment of the whole."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._units: list[Unit] = []
        self._parts: list[Part] = []
        self._parents = 0
        self._floor_share = 0.0
        self._floor_from: list[float] = []
        self._divisible, self._strict = True, False

    def add_part(self, start: int, end: int, kind: Kind, opens: int | None = None) -> None:
        """Cut the stretch [start, end) by its kind. opens: the unit that all of its units require, if any."""
        if end <= start:
            return
        segment = make_segmenter(kind).segment(self._text[start:end])
        first, around = len(self._units), () if opens is None else (opens,)
        self._units += [
            move_unit(unit, unit.start + start, unit.end + start, parents=self._parents, first=first, around=around)
            for unit in segment.units
        ]
        self._parents += 1 + max(unit.parent for unit in segment.units)
        self._parts.append(Part(start, end, segment.text, choose_style(segment)))
        if segment.floor_share:
            self._floor_share = max(self._floor_share, segment.floor_share)
            self._floor_from.append(segment.floor_from)
        self._divisible &= segment.divisible
        self._strict |= segment.strict

    def add_line(self, start: int, end: int, opens: int | None = None) -> int:
        """Add a fence's line as a unit and return its index. opens: the unit that it requires, if any."""
        self._units.append(Unit(start, end, self._parents, () if opens is None else (opens,)))
        return len(self._units) - 1

    def add_floors(self, start: int, end: int) -> None:
        """Add the lines of an envelope, each as a unit that is worth having whatever else is."""
        if end <= start:
            return
        rows = Rows(self._text[start:end])
        for row in range(len(rows)):
            a, b = rows.get_span(row, row)
            floor = TOLD if rows[row].strip() else 0
            self._units.extend(
                Unit(start + c, start + d, self._parents, floor=floor)
                for c, d in cut_stretch(rows.text, a, b, _LINE_CHARS, _PIECE_CHARS)
            )
        self._parents += 1
        self._parts.append(Part(start, end, rows.text, make_line_style(rows.text)))
        self._floor_share = max(self._floor_share, _ENVELOPE_SHARE)
        self._floor_from.append(0.0)

    def require_closing(self, opens: int, closes: int) -> None:
        """Let the unit of the opening line require that of the closing line."""
        self._units[opens] = replace(self._units[opens], requires=(closes,))

    def make_segment(self) -> Segment:
        """Return the segment of the whole text, of all that was added."""
        style = PartsStyle(make_line_style(self._text), self._parts)
        return Segment(
            self._text,
            "mixed",
            tuple(self._units),
            style,
            self._floor_share,
            min(self._floor_from, default=0.0),
            self._divisible,
            self._strict,
        )


def _detect_block_kind(block: _Block, text: str) -> Kind:
    """The kind of a fenced block: its fence's word is a hint, which its text must agree with."""
    word = block.word.split(" ")[0].split("{")[0].lower()
    language = find_language_of_fence(word)
    hint = f"x.{get_extension(language)}" if language else ""
    return detect_kind(text[block.body : block.close], hint, fences=False)
