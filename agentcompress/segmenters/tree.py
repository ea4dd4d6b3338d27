"""A syntax tree -> pieces of whole lines: statements that may go, and the frames they stand in, which stay with them.

A *frame* is what is left of a statement when the statements inside it are gone: a signature and its closing brace, or
`try:` and `except:`. Every piece requires the frames around it, so what is kept parses wherever the whole did.

Knows rows and nodes; knows nothing of characters, units or scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentcompress.segmenters.grammars import (
    ATTACHED,
    COMMENT,
    FUNCTION,
    IMPORT,
    TEXT,
    Grammar,
)
from agentcompress.segmenters.nodes import (
    Group,
    can_go,
    find_branches,
    find_definition,
    find_last_row,
    find_loose_runs,
    is_beside,
    is_blank,
    is_plain,
    is_text,
    iterate_children,
    join_attached,
    read_name,
)

_LEAST_ROWS = {"definition": 3, "statement": 6, "list": 8, "text": 6}
"""A statement, list or text of fewer rows than this is not looked into: it is one piece."""

_COMMENT_ROWS = 4  # at most, in one piece of comments
_DEEPEST = 48
_FIXED = ("_tag", "_label", "jsx_opening_element", "jsx_closing_element")
"""How the types of nodes end that a container can't be without: tags and labels."""


@dataclass(eq=False)
class Frame:
    """Pieces that make no sense one without the other, and the frame around them, which detached ones go without."""

    outer: Frame | None
    name: str = ""
    pieces: list[int] = field(default_factory=list)
    is_detached: bool = False

    @property
    def qualified(self) -> str:
        """Names of the definitions it is in, itself included, from the outermost one: `Store.read`."""
        names = []
        frame: Frame | None = self
        while frame is not None:
            names += [frame.name] if frame.name else []
            frame = frame.outer
        return ".".join(reversed(names))


@dataclass
class Piece:
    """Rows `first` to `last`. inside: the frame around it. own: the frame it is part of. name: what it defines.

    floor: as of a unit. imports: whether it brings names in.
    """

    first: int
    last: int
    parent: int
    inside: Frame | None
    own: Frame | None = None
    floor: int = 0
    name: str = ""
    imports: bool = False


def cut_tree(root: Any, rows: Sequence[bytes], grammar: Grammar) -> list[Piece]:
    """Cut a tree's rows into pieces that cover all of them, in order. rows: of the source the tree was made of."""
    walk = _Walk(rows, grammar)
    walk.cut_container(root, 0, len(rows) - 1, Frame(None), parent=0, depth=0)
    return walk.pieces


class _Walk:
    """Walks down a tree and notes its pieces in order."""

    def __init__(self, rows: Sequence[bytes], grammar: Grammar) -> None:
        self.pieces: list[Piece] = []
        self._rows, self._grammar = rows, grammar
        self._parents = 0

    def cut_container(self, node: Any, first: int, last: int, frame: Frame, *, parent: int, depth: int) -> None:
        """Pieces of a container's rows: its loose groups, and the frame that holds them."""
        at = first
        for run in self._find_runs(node, first, last):
            self._add_fixed(at, run[0].first - 1, frame, parent)
            self._cut_loose(run, frame, parent, depth)
            at = run[-1].last + 1
        self._add_fixed(at, last, frame, parent)

    def _cut_loose(self, run: list[Group], frame: Frame, parent: int, depth: int, *, documented: bool = False) -> None:
        """Pieces of a run of groups that may go; of a documented function's, the first may be its docstring."""
        for number, group in enumerate(run):
            last = run[number + 1].first - 1 if number + 1 < len(run) else group.last
            real = [node for node in group.nodes if node.is_named and not is_beside(node)]
            doc = documented and not number and len(real) == 1 and is_text(real[0])
            if len(real) == 1 and depth < _DEEPEST and last > group.first:
                self._cut_statement(real[0], group.first, last, frame, parent, depth, doc=doc)
            elif not real:
                self._cut_comments(group, last, frame, parent, depth)
            else:
                piece = self._add_piece(group.first, last, parent, frame, floor=int(doc))
                self._name_piece(piece, real)

    def _cut_comments(self, group: Group, last: int, frame: Frame, parent: int, depth: int) -> None:
        """Lines of comments, a few at a time; a long comment over several rows keeps its ends."""
        long = [node for node in group.nodes if find_last_row(node) > node.start_point.row]
        at = group.first
        for node in [*long, None]:
            end = last if node is None else node.start_point.row - 1
            for a in range(at, end + 1, _COMMENT_ROWS):
                self._add_piece(a, min(end, a + _COMMENT_ROWS - 1), parent, frame)
            at = max(at, end + 1)
            if node is not None and find_last_row(node) >= at:
                self._cut_statement(node, at, find_last_row(node), frame, parent, depth, doc=False)
                at = find_last_row(node) + 1

    def _cut_statement(
        self, node: Any, first: int, last: int, frame: Frame, parent: int, depth: int, *, doc: bool
    ) -> None:
        """One statement: its frame, and what stands in it; in one piece where nothing does, or it is small."""
        defined = find_definition(node)
        inner = self._find_inner(node, defined is not None)
        if not inner:
            piece = self._add_piece(first, last, parent, frame, floor=int(doc))
            self._name_piece(piece, [node])
            return
        own = Frame(frame, read_name(defined))
        function = defined is not None and FUNCTION.search(defined.type) is not None
        if function:
            parent = self._make_parent()
        at, header = first, len(self.pieces)
        for run in inner:
            if run[0].first < at:  # broken code, where nodes may share rows
                continue
            self._add_fixed(at, run[0].first - 1, own, parent)
            self._cut_loose(run, own, parent, depth + 1, documented=function)
            at = run[-1].last + 1
        self._add_fixed(at, last, own, parent)
        if own.pieces and self.pieces[header].own is own:
            self.pieces[header].floor = int(defined is not None or doc)
            self._name_piece(self.pieces[header], [node])

    def _find_inner(self, node: Any, is_definition: bool) -> list[list[Group]]:
        """Outermost places inside a statement where whole rows may go: containers, long lists, long texts."""
        size = find_last_row(node) - node.start_point.row + 1
        if size < _LEAST_ROWS["definition" if is_definition else "statement"]:
            return []
        found: list[list[Group]] = []
        waiting = [node]
        while waiting:
            inner = waiting.pop()
            first, last = inner.start_point.row, find_last_row(inner)
            if first == last:
                continue
            if inner.type.startswith("if") and (others := list(find_branches(inner, self._rows))):
                found += [[group] for group in others]
                waiting.append(inner.child_by_field_name("consequence"))
                continue
            clause = Group(first, last, [inner], True)
            if inner.type in self._grammar.clauses and can_go(inner) and self._is_whole(clause):
                found.append([clause])
                continue
            runs = self._find_own_runs(inner, first, last)
            found.extend(runs)
            if not runs:
                waiting.extend(reversed(inner.children))
        return sorted(found, key=lambda run: run[0].first)

    def _find_own_runs(self, node: Any, first: int, last: int) -> list[list[Group]]:
        """Runs of rows that may go directly inside of a node, if it is a container, a long list or a long text."""
        size = last - first + 1
        if node.type in self._grammar.containers or node.type == "ERROR":
            return self._find_runs(node, first, last)
        if node.type in self._grammar.lists:
            return self._find_runs(node, first, last) if size >= _LEAST_ROWS["list"] else []
        if size >= _LEAST_ROWS["text"] and self._is_plain_text(node):
            return [[Group(row, row, [], True) for row in range(first + 1, last)]]
        return []

    def _is_plain_text(self, node: Any) -> bool:
        """Whether any inner line may go; not in a comment whose end the delimiter's would be."""
        ends = bool(self._grammar.comment[1])
        return TEXT.search(node.type) is not None and is_plain(node) and not (ends and COMMENT.search(node.type))

    def _find_runs(self, node: Any, first: int, last: int) -> list[list[Group]]:
        """Runs of neighbouring loose groups among a container's children, within rows."""
        broken = node.type == "ERROR"
        groups = self._group_children(node, first, last, broken=broken)
        runs = [list(join_attached(run)) for run in find_loose_runs(groups)]
        if node.type not in self._grammar.lists:
            return runs
        for group in (group for run in runs for group in run):
            ends = [child for child in group.nodes if not is_beside(child)]
            group.loose = not ends or (ends[-1].type == "," and ends[0].type != ",")
        for run in runs:
            if all(is_beside(node) for node in run[-1].nodes):  # nothing it belongs to: it may be that of the last one
                run[-1].loose = not any(ATTACHED.search(node.type) for node in run[-1].nodes)
        return [part for run in runs for part in find_loose_runs(run)]

    def _group_children(self, node: Any, first: int, last: int, *, broken: bool) -> list[Group]:
        """A container's children, those that share rows together; of broken code also the rows between them."""
        groups: list[Group] = []
        for child in iterate_children(node):
            a, b = child.start_point.row, find_last_row(child)
            if b < first or a > last or child.start_byte == child.end_byte or is_blank(child):
                continue
            if groups and a <= groups[-1].last:
                groups[-1].last = max(b, groups[-1].last)
                groups[-1].nodes.append(child)
            else:
                if broken:
                    groups.extend(self._group_uncovered(groups[-1].last + 1 if groups else first, a - 1))
                groups.append(Group(a, b, [child], True))
        if broken:
            groups.extend(self._group_uncovered(groups[-1].last + 1 if groups else first, last))
        for group in groups:
            group.loose = first <= group.first and group.last <= last and (broken or self._is_whole(group))
        return groups

    def _group_uncovered(self, first: int, last: int) -> Iterator[Group]:
        """Rows of broken code that no node stands in, each a group of its own; blank ones left out."""
        for row in range(first, last + 1):
            if self._rows[row].strip():
                yield Group(row, row, [], True)

    def _is_whole(self, group: Group) -> bool:
        """Whether the group's nodes have their rows to themselves, and none of them is there for the container."""
        start, end = group.nodes[0], group.nodes[-1]
        before = self._rows[group.first][: start.start_point.column]
        tail = self._rows[group.last][end.end_point.column :] if end.end_point.row == group.last else b""
        named = [node for node in group.nodes if node.is_named]
        separators = all(node.is_named or node.type in (",", ";", "\n") for node in group.nodes)
        fixed = any(node.type.endswith(_FIXED) for node in named)
        return bool(named) and separators and not fixed and not before.strip() and tail.strip() in (b"", b";", b",")

    def _add_fixed(self, first: int, last: int, frame: Frame, parent: int) -> None:
        """Add rows of a frame as a piece of it; blank ones go to the piece before."""
        if last < first:
            return
        if self.pieces and not any(row.strip() for row in self._rows[first : last + 1]):
            self.pieces[-1].last = last
            return
        frame.pieces.append(len(self.pieces))
        self._add_piece(first, last, parent, frame.outer, frame)

    def _add_piece(
        self, first: int, last: int, parent: int, inside: Frame | None, own: Frame | None = None, floor: int = 0
    ) -> Piece:
        piece = Piece(first, last, parent, inside, own, floor)
        self.pieces.append(piece)
        return piece

    def _name_piece(self, piece: Piece, nodes: Sequence[Any]) -> None:
        """Note what a piece defines; imports and signatures are part of the skeleton."""
        for node in nodes:
            defined = find_definition(node)
            if IMPORT.search(node.type):
                piece.floor, piece.imports = 1, True
            elif defined is not None:
                piece.floor = 1
                piece.name = piece.name or read_name(defined)

    def _make_parent(self) -> int:
        """The number of a new parent."""
        self._parents += 1
        return self._parents
