"""JSON and JSON Lines: members and elements as units; what is kept still parses, and no number is written anew.

An element goes whole, with its comma; a marker stands in its place. What is kept requires the brackets and keys around
it. Long strings lose their middle. A text that is no JSON (cut off, too deep) is cut at lines.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from agentcompress.common.checks import checked_count, checked_weight
from agentcompress.schema import Segment, Span, Unit
from agentcompress.segmenters.json_strings import find_string_cuts
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.text.delimiters import choose_unused_mark
from agentcompress.text.lines import Rows

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_SPACE = re.compile(r"\s*")
_DEEPEST = 100
_NAMED_KEYS, _NAMED_CHARS = 4, 40
_MOST_OUTLINED = 40
"""An outermost object of so many keys or fewer is outlined: its keys are floors. With more of them it is data."""


@dataclass(eq=False)
class _Value:
    """A value and the member it is: `start` of its key or of itself, `value` of itself, `end` behind it.

    kind: "object", "array", "string" or "other". stop: where the next member begins, behind its comma.
    """

    start: int
    value: int
    end: int
    kind: str
    key: str | None = None
    stop: int = 0
    held: list[_Value] = field(default_factory=list)


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
        roots = _parse_documents(text)
        if not roots:
            return LineSegmenter().segment(text)
        cutter = _Cutter(text, self)
        for root in roots:
            cutter.cut_member(root, None, parent=None, depth=0)
        style = JsonStyle(cutter.regions, len(roots) > 1, choose_unused_mark(text, ("[...", "[…"), "[... #{}:"))
        return Segment(text, "json", tuple(cutter.units), style, self.floor_share, divisible=False, strict=True)


class _Cutter:
    """Makes units of a tree of values, in the order of the text, and notes where something may be left out."""

    def __init__(self, text: str, limits: JsonSegmenter) -> None:
        self.units: list[Unit] = []
        self.regions: dict[int, list[_Region]] = {}
        self._text, self._limits = text, limits
        self._parents = 0
        self._outlined = False

    def cut_member(self, value: _Value, frame: int | None, parent: int | None, depth: int, path: str = "$") -> None:
        """Units of a member from its start to its stop. frame: the unit that opens what it stands in."""
        size = value.stop - value.start
        if parent is None and (size <= self._limits.record_chars or value.kind not in ("object", "array")):
            parent = self._make_parent()
        self._add_region(value, "line" if frame is None else "key" if value.key is not None else "element")
        if value.kind == "string" and value.end - value.value > self._limits.string_chars:
            self._cut_string(value, frame, parent or 0, path)
        elif value.held and size > self._limits.small_chars and depth < _DEEPEST:
            self._cut_container(value, frame, parent, depth, path)
        else:
            says = depth == 1 and self._outlined and not value.held and size <= self._limits.small_chars
            self._add_unit(value.start, value.stop, parent or 0, () if frame is None else (frame,), path, int(says))

    def _cut_container(self, value: _Value, frame: int | None, parent: int | None, depth: int, path: str) -> None:
        """Units of an object or array: its opening, its members, its closing."""
        around = () if frame is None else (frame,)
        opens = len(self.units)
        own_parent = self._make_parent() if parent is None else parent
        if not depth:
            self._outlined = value.kind == "object" and len(value.held) <= _MOST_OUTLINED
        outline = int(not depth or (depth == 1 and self._outlined))
        self._add_unit(value.start, value.held[0].start, own_parent, around, path, outline)
        for number, held in enumerate(value.held):
            self.cut_member(held, opens, parent, depth + 1, f"{path}.{number if held.key is None else held.key}")
        closes = len(self.units)
        self._add_unit(value.held[-1].stop, value.stop, own_parent, (opens,), path)
        self._require_closing(opens, closes)

    def _cut_string(self, value: _Value, frame: int | None, parent: int, path: str) -> None:
        """Units of a long string: its beginning, pieces of its middle, its end."""
        around = () if frame is None else (frame,)
        cuts = find_string_cuts(self._text, value.value + 1, value.end - 1, self._limits.small_chars)
        if len(cuts) < 2:
            self._add_unit(value.start, value.stop, parent, around, path)
            return
        opens = len(self.units)
        self._add_unit(value.start, cuts[0], parent, around, path)
        for a, b in itertools.pairwise(cuts):
            self.regions.setdefault(a, []).append(_Region(b, b, "text", ""))
            self._add_unit(a, b, parent, (opens,), path)
        closes = len(self.units)
        self._add_unit(cuts[-1], value.stop, parent, (opens,), path)
        self._require_closing(opens, closes)

    def _make_parent(self) -> int:
        """The number of a new parent."""
        self._parents += 1
        return self._parents

    def _require_closing(self, opens: int, closes: int) -> None:
        """Let the unit that opens require the one that closes."""
        unit = self.units[opens]
        self.units[opens] = replace(unit, requires=(closes, *unit.requires))

    def _add_unit(
        self, start: int, end: int, parent: int, requires: tuple[int, ...], name: str, floor: int = 0
    ) -> None:
        """Add a unit, unless it would be empty."""
        if end > start:
            self.units.append(Unit(start, end, parent, requires, floor=floor, name=name))

    def _add_region(self, value: _Value, kind: str) -> None:
        """Note that a member may be left out from its start on."""
        self.regions.setdefault(value.start, []).append(_Region(value.stop, value.end, kind, value.key or ""))


@dataclass(frozen=True)
class _Region:
    """What may go from one place on: up to `stop`; its value ends at `end`."""

    stop: int
    end: int
    kind: str
    key: str


@dataclass(frozen=True)
class JsonStyle:
    """A marker that parses: an element, a member, a line, or a few words inside a string.

    regions: what may go, by its first character, the outermost first. lines: whether the documents are lines. mark: how
    a marker begins, which the text does not contain.
    """

    regions: dict[int, list[_Region]]
    lines: bool = False
    mark: str = "[..."

    def gap(self, text: str, gap: Span) -> str:
        """`"[... 12 elements omitted]"`, or `"[... 2 keys omitted: id, name]": null`, with the comma that follows."""
        gone = list(self._find_gone(gap))
        if not gone or (gone[0].kind == "line" and not self.lines):
            return f'"{self.mark} {gap.end - gap.start} chars omitted]"'
        kind = gone[0].kind
        if kind == "text":
            return f"{self.mark} {gap.end - gap.start} chars omitted]"
        said = f"{self.mark} {len(gone)} {kind}{'' if len(gone) == 1 else 's'} omitted"
        marker = f'"{said}: {_join_keys(gone) or f"at {gap.start}"}]": null' if kind == "key" else f'"{said}]"'
        return f"{marker}{text[gone[-1].end : gap.end]}"

    def longest(self, text: str) -> str:
        """About the longest there will be: texts are counted when they are rendered."""
        keys = ": key, key" if any(region.kind == "key" for held in self.regions.values() for region in held) else ""
        return f'"{self.mark} {min(len(text), 9999)} elements omitted{keys}]": null,\n      '

    def _find_gone(self, gap: Span) -> Iterator[_Region]:
        """The outermost regions that a gap leaves out, one behind the other, as far as they fit."""
        at = gap.start
        while at < gap.end:
            fitting = [region for region in self.regions.get(at, ()) if region.stop <= gap.end]
            if not fitting:
                return
            yield fitting[0]
            at = fitting[0].stop


def _join_keys(gone: Sequence[_Region]) -> str:
    """The first keys that are gone, as they were written: half an escape would be none; "" where the first is long."""
    names: list[str] = []
    for region in gone[:_NAMED_KEYS]:
        if sum(map(len, names)) + len(region.key) > _NAMED_CHARS:
            break
        names.append(region.key)
    return ", ".join([*names, "..."] if 0 < len(names) < len(gone) else names)


def _parse_documents(text: str) -> list[_Value]:
    """The document, or those of JSON Lines; empty where the text is neither."""
    if _can_parse(text):
        root = _parse_tree(text, 0, len(text))
        return [root] if root.held or root.kind == "string" else []
    rows = Rows(text)
    filled = [row for row in range(len(rows)) if rows[row].strip()]
    if len(filled) < 2 or not all(_can_parse(rows[row]) for row in filled):
        return []
    roots = [_parse_tree(text, *rows.get_span(row, row)) for row in filled]
    for root, row, following in zip(roots, filled, [*filled[1:], len(rows)], strict=True):
        root.stop = rows.get_span(row, following - 1)[1]  # blank lines behind it are its own
    roots[0].start = 0
    return roots


def _can_parse(text: str) -> bool:
    """Whether a text is JSON, not too deep for Python's parser."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_tree(text: str, start: int, stop: int) -> _Value:
    """The tree of a text that is known to parse. Iterative: no depth is too deep."""
    holder = _Value(start, start, stop, "array")
    stack = [holder]
    key: tuple[int, str] | None = None
    waiting: tuple[int, int, str] | None = None  # a string that may turn out to be a key
    for match in _TOKEN.finditer(text, start, stop):
        token, at = match.group(), match.start()
        if token == ":":
            key = (waiting[0], waiting[2][1:-1]) if waiting else None
            waiting = None
            continue
        if waiting:
            stack[-1].held.append(_Value(waiting[0], waiting[0], waiting[1], "string"))
            waiting = None
        if token in "[{":
            begin, name = key or (at, None)
            value = _Value(begin, at, at, "array" if token == "[" else "object", name)
            stack[-1].held.append(value)
            stack.append(value)
            key = None
        elif token in "]}":
            stack[-1].end = match.end()
            stack.pop()
        elif token != ",":
            if token[0] == '"' and key is None and stack[-1].kind == "object":
                waiting = (at, match.end(), token)
                continue
            begin, name = key or (at, None)
            stack[-1].held.append(_Value(begin, at, match.end(), "string" if token[0] == '"' else "other", name))
            key = None
    root = holder.held[0]
    root.start, root.stop = start, stop
    _set_stops(root)
    return root


def _set_stops(root: _Value) -> None:
    """Let every member reach to where the next one begins; the last one to its own end."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        for held, following in zip(value.held, value.held[1:], strict=False):
            held.stop = following.start
        if value.held:
            value.held[-1].stop = value.held[-1].end
        waiting.extend(value.held)
