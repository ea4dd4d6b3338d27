"""Sections: values that stand under keys and titles by indentation or brackets (YAML, TOML, INI, `describe` outputs).

Lines are units. A line requires the keys and titles it stands under, and what names the record that it belongs to: the
`kind` and `metadata.name` of its document, the `name` of its list item or package. Without them a value says nothing.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.segmenters.odd_ones import find_odd_records
from agentcompress.segmenters.signs import ERROR, rate_line
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.delimiters import choose_style, make_comment_style
from agentcompress.text.lines import Rows, find_view

_COMMENTED = frozenset(("yaml", "toml", "ini"))
"""Languages whose delimiters are comments."""

_TITLE = re.compile(r"\s*\[\[?[^\[\]]{1,200}\]\]?\s*(?:[#;].*)?$")
_DOCUMENT = re.compile(r"---(?:\s|$)")
_ITEM = re.compile(r"\s*- ")
_CLOSES = re.compile(r"\s*(?:[\]})]+[,;]?|end|\"\"\"|''')\s*$")
_OPENS = re.compile(r"[\[{(]\s*(?:[#;].*)?$|(?:\"\"\"|''')\s*$")
_NAMING = re.compile(
    r"\s*(?:[-+~] )*[\"']?(?:(?i:name|_?id|kind|title|hostname|package|instanceid|resource|container id|image|module"
    r"|job|role|domain|interface|device|account|arn|uid))[\"']?\s*(?:[:=]|\s{2,})\s*\S"
)
_METADATA, _NAME = re.compile(r"\s*metadata:\s*$"), re.compile(r"\s*name:\s*\S")
_QUOTED = re.compile(r"""(?::\s+|-\s+)(["'])(?:(?<=")(?:[^"\\]|\\.)*\\?|(?<=')(?:[^']|'')*)$""")
_ENDS_QUOTED = {'"': re.compile(r'^(?:[^"\\]|\\.)*"'), "'": re.compile(r"^(?:[^']|'')*'(?!')")}
_VALUE = re.compile(r"[:=]\s+(.*)$")
_LEAST_ALIKE, _FEW_ODD, _MOST_ODD, _USUAL_SHARE, _FLOOR_SHARE = 8, 2, 6, 0.7, 0.5
"""Values under the same keys of which the odd ones are told; how many of each key, and of all, are floors; the share of
keys that come again and again from which on one that does not is odd."""

_REPEATED, _SAID_OFTEN = -2.0, 2
"""The prior of a line that stood before so often, where a tool has printed objects."""

_MOST_NAMES, _NAME_CHARS, _HEADING_CHARS, _MOST_ROOTS = 2, 160, 240, 400
_ANCHOR, _ALIAS = re.compile(r"(?:^|[\s\[{,])&([\w-]+)"), re.compile(r"(?:^|[\s\[{,])\*([\w-]+)")


class SectionSegmenter:
    """Lines as units; so many of one section have one parent.

    language: "yaml", "toml" or "ini", whose delimiters are comments; "" for what is no file but what a tool has said.
    """

    def __init__(
        self, language: str = "", block_lines: int = 12, max_line_chars: int = 2000, piece_chars: int = 400
    ) -> None:
        self.language = language
        self.block_lines = checked_count("block_lines", block_lines)
        self.max_line_chars = checked_count("max_line_chars", max_line_chars)
        self.piece_chars = checked_count("piece_chars", piece_chars)

    def segment(self, text: str) -> Segment:
        """Cut `text` at lines. Every string tiles; an empty one has no units."""
        rows = Rows(text)
        view = find_view(rows)
        bare = Rows(view.bare) if view else rows
        lines = [bare[row].rstrip() for row in range(len(bare))]
        lines = [*lines, *[""] * len(rows)][: len(rows)]  # the last line's number may stand alone
        tree = _Tree(lines, yaml=self.language == "yaml")
        odd = _find_odd_values(lines, tree.names)
        units: list[Unit] = []
        firsts: list[int] = []
        said = Counter[str]()
        for row in range(len(rows)):
            firsts.append(len(units))
            floor = 0 if self.language else rate_line(lines[row])
            floor = ERROR if row in odd else floor if floor >= ERROR else 0
            said[lines[row].strip()] += 1
            repeated = not self.language and row not in odd and said[lines[row].strip()] > _SAID_OFTEN
            floor = 0 if repeated else floor
            for a, b in cut_stretch(text, *rows.get_span(row, row), self.max_line_chars, self.piece_chars):
                prior = _REPEATED if repeated else 0.0
                units.append(Unit(a, b, tree.blocks[row] // self.block_lines, floor=floor, prior=prior))
        share = _FLOOR_SHARE if odd or not self.language else 0.0
        segment = Segment(text, "sections", tuple(_require(units, firsts, tree)), floor_share=share)
        if self.language not in _COMMENTED:
            return replace(segment, style=choose_style(segment))
        style = make_comment_style(text, ("#", ""), rows.starts, numbered=view is not None)
        return replace(segment, style=style, divisible=False)


def _find_odd_values(lines: Sequence[str], names: Sequence[str]) -> frozenset[int]:
    """Rows whose value is unlike those that stand under the same keys elsewhere, up to a few."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        if name and lines[row].strip():
            rows[name].append(row)
    odd: list[int] = []
    for held in rows.values():
        if len(held) >= _LEAST_ALIKE and len(odd) < _MOST_ODD:
            values = [_read_value(lines[row]) for row in held]
            odd += [held[i] for i in find_odd_records([[value] for value in values], _FEW_ODD)]
    usual = sum(len(held) for held in rows.values() if len(held) >= _LEAST_ALIKE)
    rare = [held[0] for held in rows.values() if len(held) == 1]
    if len(rare) <= _MOST_ODD and usual > _USUAL_SHARE * sum(map(len, rows.values())):
        odd += rare
    return frozenset(odd[: 2 * _MOST_ODD])


def _read_value(line: str) -> str:
    """What stands behind a line's key."""
    found = _VALUE.search(line)
    return found.group(1).strip() if found else ""


def _require(units: Sequence[Unit], firsts: Sequence[int], tree: _Tree) -> list[Unit]:
    """Units that require those of the rows that theirs stand under. firsts: the first unit of each row."""
    made: list[Unit] = []
    for row, (first, last) in enumerate(itertools.pairwise([*firsts, len(units)])):
        required = tuple(firsts[other] for other in tree.list_required(row))
        made += [replace(unit, requires=required, name=tree.names[row]) for unit in units[first:last]]
    return made


def _find_quoted(lines: Sequence[str]) -> dict[int, int]:
    """Rows that go on with a quoted text of YAML, and the row where it begins."""
    inside: dict[int, int] = {}
    opened, ends = -1, _ENDS_QUOTED['"']
    for row, line in enumerate(lines):
        if opened >= 0:
            inside[row] = opened
            opened = -1 if ends.search(line) else opened
        elif quoted := _QUOTED.search(line):
            opened, ends = row, _ENDS_QUOTED[quoted.group(1)]
    return inside


@dataclass
class _Node:
    """A row that others stand under: its children, the row that closes it, and what names the records among them."""

    children: list[int] = field(default_factory=list)
    closes: int = -1
    naming: tuple[int, ...] = ()


class _Tree:
    """What each row stands under. blocks: numbers of rows, those of one section in a row. names: the path of keys."""

    def __init__(self, lines: Sequence[str], *, yaml: bool) -> None:
        self._lines, self._yaml = lines, yaml
        self._parents = [-1] * len(lines)
        self._nodes: defaultdict[int, _Node] = defaultdict(_Node)
        self._documents: dict[int, int] = {}
        self.blocks: list[int] = []
        self._stand()
        self._name_records()
        self.names = [self._name_row(row) for row in range(len(lines))]
        anchors = {name: row for row, line in enumerate(lines) for name in (_ANCHOR.findall(line) if yaml else ())}
        self._aliases = {
            row: [anchors[name] for name in _ALIAS.findall(line) if anchors.get(name, row) != row]
            for row, line in enumerate(lines)
            if anchors and "*" in line
        }

    def list_required(self, row: int) -> list[int]:
        """Rows that a row makes no sense without, those right around it: they require what is around them."""
        parent = self._parents[row]
        required = [parent] if parent >= 0 and len(self._lines[parent]) <= _HEADING_CHARS else []
        node = self._nodes.get(row)
        if node is not None and node.closes >= 0:
            required.append(node.closes)
        if row in self._documents:
            required.append(self._documents[row])
        siblings = self._nodes[parent] if parent >= 0 else self._root_of(row)
        if row not in siblings.naming and self._lines[row].strip() and siblings.closes != row:
            required += [other for other in siblings.naming if other != row]
        return [other for other in dict.fromkeys([*required, *self._aliases.get(row, ())]) if other != row]

    def _root_of(self, row: int) -> _Node:
        """What holds the outermost rows of a document."""
        return self._nodes[-2 - self._root_numbers[row]]

    def _stand(self) -> None:
        """Find for every row the one it stands under: less indented, or the title above."""
        self._root_numbers = [0] * len(self._lines)
        stack: list[tuple[float, int]] = []
        title, document, root, block = -1, -1, 0, 0
        inside = _find_quoted(self._lines) if self._yaml else {}
        for row, line in enumerate(self._lines):
            self.blocks.append(block := block + 1)
            self._root_numbers[row] = root
            if not line.strip() and row not in inside:
                continue
            if self._yaml and _DOCUMENT.match(line):
                stack, title, document, root = [], -1, row, root + 1
                self._root_numbers[row] = root
                continue
            if _TITLE.match(line) and not self._yaml:
                stack, title = [], row
                continue
            if row in inside:
                self._parents[row] = inside[row]
                self._nodes[inside[row]].closes = row  # the last one that stands
                continue
            indent = self._measure_indent(line)
            if _CLOSES.match(line) and self._close(row, indent, stack):
                continue
            while stack and stack[-1][0] >= indent:
                stack.pop()
            parent = stack[-1][1] if stack else title
            self._parents[row] = parent
            (self._nodes[parent] if parent >= 0 else self._root_of(row)).children.append(row)
            if parent < 0 and document >= 0:
                self._documents[row] = document
            stack.append((indent, row))

    def _measure_indent(self, line: str) -> float:
        """Columns before the first word; an item of a YAML list stands under a key that is indented as far."""
        indent = len(line) - len(line.lstrip())
        return indent + 0.5 if self._yaml and _ITEM.match(line) else indent

    def _close(self, row: int, indent: float, stack: list[tuple[float, int]]) -> bool:
        """Note the row that closes an open one, which is indented no further."""
        for at in range(len(stack) - 1, -1, -1):
            depth, opened = stack[at]
            if depth <= indent and _OPENS.search(self._lines[opened]) and self._nodes[opened].closes < 0:
                self._nodes[opened].closes = row
                self._parents[row] = opened
                return True
        return False

    def _name_records(self) -> None:
        """Find among the rows that stand side by side those that name them all."""
        for node in list(self._nodes.values()):
            if len(node.children) > _MOST_ROOTS:
                continue
            naming = [row for row in node.children if self._names(row)][:_MOST_NAMES]
            for row in node.children:
                if _METADATA.match(self._lines[row]):
                    naming += [inner for inner in self._nodes[row].children if _NAME.match(self._lines[inner])][:1]
            node.naming = tuple(naming)

    def _names(self, row: int) -> bool:
        line = self._lines[row]
        return len(line) <= _NAME_CHARS and _NAMING.match(line) is not None

    def _name_row(self, row: int) -> str:
        """Keys from the outermost to the row's own, joined by dots, as a query may call it."""
        keys = []
        at = row
        while at >= 0 and len(keys) < 8:
            found = _KEY.match(self._lines[at])
            if found:
                keys.append(found.group(1))
            at = self._parents[at]
        return ".".join(reversed(keys))


_KEY = re.compile(r"\s*(?:[-+~] )?\[*[\"']?([\w./-]{1,60})[\"']?\]*\s*(?:[:=]|$)")
