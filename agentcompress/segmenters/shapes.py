"""Shapes of lines: which of them a machine has written again and again, and which are unlike the rest.

A line's *template* is the line with its numbers and ids replaced. Its *shape* keeps only the words that many lines
begin with, and end with: `PASS * s)` stands for every test that passed, whatever its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b(?:-[0-9a-fA-F]{4,})*|[A-Za-z0-9+/_=-]{48,}|\d+")
_SEEN_CHARS, _SEEN_WORDS = 200, 16
_FIRST_WORDS = 3
_COMMON, _LEAST_COMMON, _COMMON_LAST = 0.03, 4, 0.2
"""Of a line's first three words those belong to its shape that so large a share of the lines holds at the same place,
and so many of them; and the last one, where a fifth of them end so."""

_USUAL, _LEAST_USUAL = 0.03, 5
"""A shape is usual that so large a share of the lines has, and so many of them."""

_MONOTONOUS, _MOST_ODD, _FEW_ODD = 0.5, 0.15, 15
_RARE = "*"
_BARE = re.compile(r"[\s*]*$")


def make_templates(lines: Sequence[str]) -> list[str]:
    """Lines with their numbers and ids replaced by 0: those that are alike then are of one template."""
    return [_VARYING.sub("0", line) for line in lines]


class Shapes:
    """The shapes of lines. templates: of them, in order; blank lines have none."""

    def __init__(self, templates: Sequence[str]) -> None:
        words = [template[:_SEEN_CHARS].split()[:_SEEN_WORDS] for template in templates]
        self._spoken = sum(1 for found in words if found)
        first = Counter(pair for found in words for pair in enumerate(found[:_FIRST_WORDS]))
        last = Counter(found[-1] for found in words if len(found) > _FIRST_WORDS)
        least, least_last = max(_LEAST_COMMON, _COMMON * self._spoken), max(_LEAST_COMMON, _COMMON_LAST * self._spoken)
        common = {pair for pair, often in first.items() if often >= least}
        ends = {word for word, often in last.items() if often >= least_last}
        self.shapes = [
            _join_words(found, common, ends, template) if found else ""
            for found, template in zip(words, templates, strict=True)
        ]
        self._often = Counter(shape for shape in self.shapes if shape)
        self._usual = {shape for shape, often in self._often.items() if often >= self._least_usual and _says(shape)}

    def count_alike(self, row: int) -> int:
        """How many lines have the shape of this one, itself included; 0 for one that shares no word with others."""
        return self._often[self.shapes[row]] if _says(self.shapes[row]) else 0

    def is_usual(self, row: int) -> bool:
        """Whether a line is one of many that are alike."""
        return self.shapes[row] in self._usual

    @property
    def _least_usual(self) -> float:
        return max(_LEAST_USUAL, _USUAL * self._spoken)

    @cached_property
    def usual_share(self) -> float:
        """The share of the lines whose shape is usual and says something, 0 to 1."""
        return sum(self._often[shape] for shape in self._usual) / max(1, self._spoken)

    def list_usual(self, most: int) -> list[list[int]]:
        """Rows of each of the most frequent shapes, at most so many shapes."""
        chosen = sorted(self._usual, key=lambda shape: (-self._often[shape], shape))[:most]
        rows: dict[str, list[int]] = {shape: [] for shape in chosen}
        for row, shape in enumerate(self.shapes):
            if shape in rows:
                rows[shape].append(row)
        return list(rows.values())

    @cached_property
    def odd_rows(self) -> frozenset[int]:
        """Lines unlike the rest, where most are alike and few are not."""
        if self.usual_share < _MONOTONOUS:
            return frozenset()
        most = max(1.0, 0.01 * self._spoken)
        odd = [row for row, shape in enumerate(self.shapes) if shape and self._often[shape] <= most]
        return frozenset(odd) if len(odd) <= max(_FEW_ODD, _MOST_ODD * self._spoken) else frozenset()


def _says(shape: str) -> bool:
    """Whether a shape holds a word that its lines share."""
    return not _BARE.match(shape)


def _join_words(words: Sequence[str], common: set[tuple[int, str]], ends: set[str], template: str) -> str:
    """Common words as they are, any run of others as one sign; how far it is indented belongs to it."""
    shape = [word if (at, word) in common else _RARE for at, word in enumerate(words[:_FIRST_WORDS])]
    if len(words) > _FIRST_WORDS:
        shape += [_RARE, words[-1]] if words[-1] in ends else [_RARE]
    while len(shape) > 1 and shape[-1] == shape[-2] == _RARE:
        shape.pop()
    indent = len(template) - len(template.lstrip())
    return " " * min(indent, 8) + " ".join(shape)
