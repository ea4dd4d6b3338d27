"""What is asked of tree-sitter's nodes, and groups of those that share rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.segmenters.grammars import ATTACHED, COMMENT, DEFINITION, TEXT, TRANSPARENT

_ATTACHED_COMMENT_ROWS = 3


@dataclass
class Group:
    """Neighbouring nodes that share rows, so that they stay or go together: rows `first` to `last`, both included."""

    first: int
    last: int
    nodes: list[Any]
    loose: bool  # may go as a whole


def find_loose_runs(groups: Sequence[Group]) -> list[list[Group]]:
    """Return runs of neighbouring groups that may go, with none between them that must stay."""
    return [list(run) for loose, run in itertools.groupby(groups, key=lambda group: group.loose) if loose]


def iterate_children(node: Any) -> Iterator[Any]:
    """Yield a node's children, and in place of those that only hold others in a row, their children."""
    for child in node.children:
        if child.type in TRANSPARENT:
            yield from iterate_children(child)
        else:
            yield child


def find_last_row(node: Any) -> int:
    """The last row a node has a character in, but for a line feed."""
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point.row else row


def is_beside(node: Any) -> bool:
    """Whether a node only accompanies another one: a comment, an attribute, a decorator."""
    return COMMENT.search(node.type) is not None or ATTACHED.search(node.type) is not None


def is_blank(node: Any) -> bool:
    """Whether a node is nothing but white space between the tags of markup."""
    return node.type in ("jsx_text", "text") and not node.text.strip()


def is_text(node: Any) -> bool:
    """Whether a statement is nothing but a string: what documents a function in some languages."""
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]


def is_plain(node: Any) -> bool:
    """Whether a text holds no expression over several rows."""
    return all(
        child.start_point.row == child.end_point.row or not child.is_named or TEXT.search(child.type) is not None
        for child in node.children
    )


def can_go(clause: Any) -> bool:
    """Whether a clause may go: of the handlers of an exception the first stays."""
    before = clause.prev_named_sibling
    return "except" not in clause.type or (before is not None and before.type == clause.type)


def find_branches(node: Any, rows: Sequence[bytes]) -> Iterator[Group]:
    """Rows of an if's other branches that may go, each without the rest: from `} else` to the row before its end.

    Only where every branch closes at the beginning of a row, as formatters write it.
    """
    while node.type.startswith("if") and (alternative := node.child_by_field_name("alternative")) is not None:
        inner = alternative
        if alternative.type == "else_clause" and alternative.named_children:
            inner = alternative.named_children[-1]
        block = inner.child_by_field_name("consequence") or inner
        if node.child_by_field_name("consequence") is None:
            return
        first, last = alternative.start_point.row, find_last_row(block)
        if not (rows[first].lstrip().startswith(b"}") and rows[last].lstrip().startswith(b"}") and first < last):
            return
        yield Group(first, last - 1, [block], True)
        if block is inner:
            return
        node = inner


def find_definition(node: Any) -> Any | None:
    """The definition a statement is, or wraps (exported, decorated, a template)."""
    for _ in range(4):
        if DEFINITION.search(node.type) and node.type != "decorated_definition":
            return node
        inner = [child for child in node.named_children if not is_beside(child)]
        if not inner or not (node.type == "decorated_definition" or "export" in node.type or "template" in node.type):
            return None
        node = inner[-1]
    return None


def read_name(defined: Any | None) -> str:
    """Return the name that a definition defines; "" where there is no definition, or it has no name."""
    name = None if defined is None else defined.child_by_field_name("name")
    return "" if name is None else name.text.decode("utf-8", "replace")


def join_attached(run: list[Group]) -> Iterator[Group]:
    """Join attributes, and short comments, to what they stand right above; comments in a row to one group."""
    waiting: list[Group] = []
    for group in run:
        if waiting and waiting[-1].last + 1 != group.first:
            yield from _join_groups(waiting)
            waiting = []
        waiting.append(group)
        if not _accompanies(group):
            yield from _join_groups(waiting)
            waiting = []
    yield from _join_groups(waiting)


def _join_groups(groups: list[Group]) -> Iterator[Group]:
    """One group of the last ones that belong together, and one of the comments before them."""
    if not groups:
        return
    start = next((i for i, group in enumerate(groups) if any(ATTACHED.search(n.type) for n in group.nodes)), None)
    if start is None:
        start = len(groups) if _accompanies(groups[-1]) else len(groups) - 1
    if start < len(groups) and groups[start].first - groups[0].first <= _ATTACHED_COMMENT_ROWS:
        start = 0
    for part in (groups[:start], groups[start:]):
        if part:
            yield Group(part[0].first, part[-1].last, [node for group in part for node in group.nodes], True)


def _accompanies(group: Group) -> bool:
    """Whether all of a group only accompanies what stands below it."""
    return bool(group.nodes) and all(not node.is_named or is_beside(node) for node in group.nodes)
