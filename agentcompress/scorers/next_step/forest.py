"""A forest of regression trees, asked in numpy: what was learned, in a file of plain JSON.

Asked as QuickScorer does (Lucchese et al., SIGIR 2015): every test that fails rules out the leaves to its left, and of
those that no test rules out the leftmost is the one a row ends in. So rows are taken column by column, all at once.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agentcompress.errors import InvalidInputError, ScoringError

FORMAT = "agentcompress forest 1"
MOST_LEAVES = 16
_ALL = (1 << MOST_LEAVES) - 1

Tree = float | list[Any]
"""A leaf's value, or [column, threshold, tree, tree]: the first one for rows whose column is at most the threshold."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose leaves are added up.

    columns: names of what rows are described by, in order. base: what every sum begins with. trees: of at most 16
    leaves each. slope: what sums are multiplied by to be log odds, > 0. made: how it was learned, for who reads the
    file.
    """

    columns: tuple[str, ...]
    base: float
    trees: tuple[Tree, ...]
    slope: float = 1.0
    made: Mapping[str, Any] = field(default_factory=dict)

    def predict_chances(self, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The probability of every row, float64 (rows,). rows: float32 (rows, columns); names: of these columns.

        Raises `ScoringError` where one that the trees ask for is missing: the file was made for another version.
        """
        return 1.0 / (1.0 + np.exp(-self.slope * self.predict(self.order_columns(rows, names))))

    def order_columns(self, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The columns that the trees ask for, in their order. Raises `ScoringError` where one is missing."""
        place = {name: number for number, name in enumerate(names)}
        missing = [name for name in self.columns if name not in place]
        if missing:
            raise ScoringError(f"the reader asks for {missing[0]!r}, which this version doesn't know: train it again")
        return rows[:, [place[name] for name in self.columns]]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Add up the leaves of all trees, float64 (rows,). rows: float32 (rows, columns), in this forest's order."""
        left = np.full((len(self.trees), len(rows)), _ALL, dtype=np.uint16)  # leaves that no test has ruled out
        for column, thresholds, trees, masks in self._tests:
            rank = np.searchsorted(thresholds, rows[:, column], side="left")  # how many thresholds are below
            left[trees] &= masks[:, rank]
        leaf = _LOWEST_BIT[left]  # (trees, rows)
        return self.base + self._values[np.arange(len(self.trees))[:, None], leaf].sum(axis=0)

    def as_json(self) -> dict[str, Any]:
        """What `read_forest` reads, ready for `json.dumps`."""
        return {
            "format": FORMAT,
            "made": dict(self.made),
            "columns": list(self.columns),
            "base": self.base,
            "slope": self.slope,
            "trees": list(self.trees),
        }

    @cached_property
    def _values(self) -> np.ndarray:
        """Values of leaves from left to right, float64 (trees, 16)."""
        values = np.zeros((len(self.trees), MOST_LEAVES))
        for number, tree in enumerate(self.trees):
            leaves = list(_list_leaves(tree))
            values[number, : len(leaves)] = leaves
        return values

    @cached_property
    def _tests(self) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """For every column: its thresholds, float32 (n,) ascending, the trees that test it, and what they rule out.

        The last is uint16 (trees, n + 1): the leaves that are left in each tree for a row that is above so many of the
        thresholds.
        """
        by_column: defaultdict[int, list[tuple[float, int, int]]] = defaultdict(list)
        for number, tree in enumerate(self.trees):
            for column, threshold, mask in _list_tests(tree):
                by_column[column].append((threshold, number, mask))
        return [(column, *_stack_tests(tests)) for column, tests in sorted(by_column.items())]


def _stack_tests(tests: Sequence[tuple[float, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tests = sorted(tests)
    thresholds = np.array([threshold for threshold, *_ in tests], dtype=np.float32)
    trees, place = np.unique([number for _, number, _ in tests], return_inverse=True)
    masks = np.full((len(trees), len(tests) + 1), _ALL, dtype=np.uint16)
    for above, (row, (_, _, mask)) in enumerate(zip(place, tests, strict=True), 1):
        masks[row, above:] &= np.uint16(mask)
    return thresholds, trees, masks


def _list_leaves(tree: Tree) -> Iterator[float]:
    """The values of a tree's leaves, from left to right."""
    if isinstance(tree, list):
        yield from _list_leaves(tree[2])
        yield from _list_leaves(tree[3])
    else:
        yield float(tree)


def _list_tests(tree: Tree, first: int = 0) -> Iterator[tuple[int, float, int]]:
    """Column, threshold, and a mask without the leaves that a row above it can't end in. first: the leftmost leaf."""
    if isinstance(tree, list):
        column, threshold, below, above = tree
        leaves = sum(1 for _ in _list_leaves(below))
        yield column, threshold, _ALL & ~(((1 << leaves) - 1) << first)
        yield from _list_tests(below, first)
        yield from _list_tests(above, first + leaves)


_LOWEST_BIT = np.log2(np.maximum(np.arange(1 << MOST_LEAVES) & -np.arange(1 << MOST_LEAVES), 1)).astype(np.uint8)
"""The number of the lowest bit of every uint16."""


def read_forest(path: Path) -> Forest:
    """Read a forest's file. Raises `InvalidInputError` for what is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        forest = Forest(
            columns=tuple(map(str, found["columns"])),
            base=float(found["base"]),
            trees=tuple(found["trees"]),
            slope=float(found["slope"]),
            made=dict(found["made"]),
        )
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}")
        if not (math.isfinite(forest.base) and math.isfinite(forest.slope)):
            raise ValueError("base and slope must be finite")
        for tree in forest.trees:
            _check_tree(tree, len(forest.columns))
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise InvalidInputError("reader", str(path), f"a reader's file ({type(error).__name__}: {error})") from error
    return forest


def _check_tree(tree: Tree, columns: int) -> None:
    leaves = list(_list_leaves(tree))
    if len(leaves) > MOST_LEAVES or not all(map(math.isfinite, leaves)):
        raise ValueError(f"a tree must have at most {MOST_LEAVES} leaves, all of them finite")
    for column, threshold, _ in _list_tests(tree):
        if not (isinstance(column, int) and 0 <= column < columns and isinstance(threshold, int | float)):
            raise ValueError(f"a tree asks for column {column!r} at {threshold!r}")
