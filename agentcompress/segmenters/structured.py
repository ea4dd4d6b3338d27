"""JSON and JSON Lines: members and elements as units; what is kept still parses, and no number is written anew.

An element goes whole, with its comma; a marker stands in its place. What is kept requires the brackets and keys around
it. A text inside a long string is cut by its own kind, and escaped as it was. A text that is no JSON (cut off) is cut
at lines; of one nested so deep that its brackets alone would be most of what is kept, the inner ones stand alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

from agentcompress.common.checks import checked_count, checked_weight
from agentcompress.schema import Segment, Unit
from agentcompress.segmenters.json_records import (
    find_alarming_members,
    find_envelope_members,
    find_naming_members,
    find_odd_members,
    iterate_members,
    read_hint,
)
from agentcompress.segmenters.json_strings import find_string_cuts
from agentcompress.segmenters.json_style import JsonStyle, Region
from agentcompress.segmenters.json_tree import JsonValue, parse_documents
from agentcompress.segmenters.kinds import detect_kind, make_segmenter
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.segmenters.moved import move_unit
from agentcompress.segmenters.signs import ERROR, TOLD
from agentcompress.segmenters.string_texts import DecodedString, InnerText, decode_string, is_text
from agentcompress.text.delimiters import choose_style, choose_unused_mark

_DEEPEST = 100
_REPEATED, _SAID_OFTEN = -2.0, 2
"""The prior of a member that stood before so often, key and value."""

_MOST_OUTLINED = 40
"""An outermost object of so many keys or fewer is outlined: its keys are floors. With more of them it is data."""

_FRAMES_SHARE, _FRAMES_CHARS, _DEEP = 0.03, 120, 10
"""Where the brackets and keys around a value take up more than this, and more characters, it goes without the outer
ones, if it is as deep as no ordinary document is."""

_TOLD_SHARE = 0.3
"""The share of what is kept that floors may take up where there are an envelope, odd records, or texts with floors."""


class JsonSegmenter:
    """Members and elements as units; the record they stand in as the parent.

    small_chars: what is shorter, brackets included, is one unit. record_chars: the largest thing that counts as one
    record. string_chars: longer strings may lose their middle. floor_share: the most of what is kept that the outline
    may take up.
    """

    def __init__(
        self, small_chars: int = 120, record_chars: int = 2000, string_chars: int = 400, floor_share: float = 0.1
    ) -> None:
        self.small_chars = checked_count("small_chars", small_chars)
        self.record_chars = checked_count("record_chars", record_chars)
        self.string_chars = checked_count("string_chars", string_chars)
        self.floor_share = checked_weight("floor_share", floor_share, 0.9)

    def segment(self, text: str) -> Segment:
        """Cut `text` into members and elements. Every string tiles; an empty one has no units."""
        roots = parse_documents(text)
        if not roots:
            return LineSegmenter().segment(text)
        cutter = _Cutter(text, self, roots)
        for root in roots:
            cutter.cut_member(root, None, parent=None, depth=0)
        mark = choose_unused_mark(text, ("[...", "[…"), "[... #{}:")
        style = JsonStyle(cutter.regions, len(roots) > 1, mark, tuple(cutter.inner))
        share = cutter.floor_share
        return Segment(text, "json", tuple(cutter.units), style, share, divisible=False, strict=not cutter.is_loose)


class _Cutter:
    """Makes units of a tree of values, in the order of the text, and notes where something may be left out.

    inner: texts in strings, in order. is_loose: whether some units go without the outer brackets around them.
    """

    def __init__(self, text: str, limits: JsonSegmenter, roots: list[JsonValue]) -> None:
        self.units: list[Unit] = []
        self.regions: dict[int, list[Region]] = {}
        self.inner: list[InnerText] = []
        self.floor_share = limits.floor_share
        self.is_loose = False
        self._text, self._limits = text, limits
        self._parents = 0
        self._said = Counter[str]()
        self._outlined = False
        self._floors = dict.fromkeys(find_odd_members(roots, text), ERROR)
        self._floors.update(dict.fromkeys(find_envelope_members(roots, text), TOLD))
        self._floors.update(dict.fromkeys(find_alarming_members(roots, text), TOLD + 1))
        if self._floors:
            self.floor_share = max(self.floor_share, _TOLD_SHARE)
        self._most_frames = max(_FRAMES_CHARS, _FRAMES_SHARE * len(text))

    def cut_member(
        self, value: JsonValue, frame: int | None, parent: int | None, depth: int, path: str = "$", frames: int = 0
    ) -> None:
        """Units of a member from its start to its stop.

        frame: the unit that opens what it stands in. frames: characters of all that are around it.
        """
        size = value.stop - value.start
        if parent is None and (size <= self._limits.record_chars or value.kind not in ("object", "array")):
            parent = self._make_parent()
        self._add_region(value, "line" if frame is None else "key" if value.key is not None else "element")
        if value.kind == "string" and value.end - value.value > self._limits.string_chars:
            self._cut_string(value, frame, parent or 0, path)
        elif value.held and size > self._limits.small_chars and depth < _DEEPEST:
            self._cut_container(value, frame, parent, depth, path, frames)
        else:
            says = depth == 1 and self._outlined and not value.held and size <= self._limits.small_chars
            floor = max(int(says), self._find_floor(value))
            self._add_unit(value.start, value.stop, parent or 0, () if frame is None else (frame,), path, floor)
            self._note_said(value)

    def _note_said(self, value: JsonValue) -> None:
        """Let a member that stood before, key and value, be worth less: it says nothing of its record."""
        said = self._text[value.start : value.end].lstrip(" \t\r\n,")
        self._said[said] += 1
        if (value.key is not None or value.held) and self._said[said] > _SAID_OFTEN and not self.units[-1].floor:
            self.units[-1] = replace(self.units[-1], prior=_REPEATED)

    def _find_floor(self, value: JsonValue) -> int:
        """The floor of a member that is one unit: the highest of all in it."""
        if not self._floors:
            return 0
        if not value.held:
            return self._floors.get(value.start, 0)
        return max(self._floors.get(inner.start, 0) for inner in iterate_members(value))

    def _cut_container(
        self, value: JsonValue, frame: int | None, parent: int | None, depth: int, path: str, frames: int
    ) -> None:
        """Units of an object or array: its opening, its members, its closing."""
        frames += value.held[0].start - value.start + value.stop - value.held[-1].stop
        if frames > self._most_frames and frame is not None and depth >= _DEEP:
            frame, frames, self.is_loose = None, 0, True
        around = () if frame is None else (frame,)
        opens = len(self.units)
        own_parent = self._make_parent() if parent is None else parent
        if not depth:
            self._outlined = value.kind == "object" and len(value.held) <= _MOST_OUTLINED
        outline = int(not depth or (depth == 1 and self._outlined))
        self._add_unit(value.start, value.held[0].start, own_parent, around, path, outline)
        hint = read_hint(value, self._text)
        naming = find_naming_members(value) if value.is_listed else ()
        named: list[int] = []
        for number, held in enumerate(value.held):
            held.hint, held.is_listed = hint, value.kind == "array" and len(value.held) > 1
            if held in naming:
                named.append(len(self.units))
            name = f"{path}.{number if held.key is None else held.key}"
            self.cut_member(held, opens, parent, depth + 1, name, frames)
        closes = len(self.units)
        self._add_unit(value.held[-1].stop, value.stop, own_parent, (opens,), path)
        self._require_closing(opens, closes, *named)

    def _cut_string(self, value: JsonValue, frame: int | None, parent: int, path: str) -> None:
        """Units of a long string: of a text by its kind, else its beginning, pieces of its middle, its end."""
        decoded = decode_string(self._text, value.value + 1, value.end - 1)
        if is_text(decoded.text):
            self._cut_text(value, decoded, frame, parent, path)
            return
        around = () if frame is None else (frame,)
        cuts = find_string_cuts(self._text, value.value + 1, value.end - 1, self._limits.small_chars)
        if len(cuts) < 2:
            self._add_unit(value.start, value.stop, parent, around, path)
            return
        opens = len(self.units)
        self._add_unit(value.start, cuts[0], parent, around, path)
        for a, b in itertools.pairwise(cuts):
            self.regions.setdefault(a, []).append(Region(b, b, "text", ""))
            self._add_unit(a, b, parent, (opens,), path)
        closes = len(self.units)
        self._add_unit(cuts[-1], value.stop, parent, (opens,), path)
        self._require_closing(opens, closes)

    def _cut_text(self, value: JsonValue, decoded: DecodedString, frame: int | None, parent: int, path: str) -> None:
        """Units of a text inside a string: the quotes with its key, and those of its kind between them."""
        segment = make_segmenter(detect_kind(decoded.text, value.hint)).segment(decoded.text)
        opens = len(self.units)
        self._add_unit(value.start, decoded.start, parent, () if frame is None else (frame,), path)
        first, parents = len(self.units), self._parents + 1
        for unit in segment.units:
            start, end = decoded.find_source(unit.start), decoded.find_source(unit.end)
            moved = move_unit(unit, start, end, parents=parents, first=first, around=(opens,))
            self.units.append(moved if unit.name else replace(moved, name=path))
        self._parents = parents + max(unit.parent for unit in segment.units)
        closes = len(self.units)
        self._add_unit(decoded.end, value.stop, parent, (opens,), path)
        self._require_closing(opens, closes)
        self.inner.append(InnerText(decoded, segment, choose_style(segment), self._text.isascii()))
        self.floor_share = max(self.floor_share, min(segment.floor_share, 0.9))

    def _make_parent(self) -> int:
        """The number of a new parent."""
        self._parents += 1
        return self._parents

    def _require_closing(self, opens: int, closes: int, *named: int) -> None:
        """Let the unit that opens require the one that closes, and those that name what stands between."""
        unit = self.units[opens]
        self.units[opens] = replace(unit, requires=(closes, *unit.requires, *named))

    def _add_unit(
        self, start: int, end: int, parent: int, requires: tuple[int, ...], name: str, floor: int = 0
    ) -> None:
        """Add a unit, unless it would be empty."""
        if end > start:
            self.units.append(Unit(start, end, parent, requires, floor=floor, name=name))

    def _add_region(self, value: JsonValue, kind: str) -> None:
        """Note that a member may be left out from its start on."""
        self.regions.setdefault(value.start, []).append(Region(value.stop, value.end, kind, value.key or ""))
