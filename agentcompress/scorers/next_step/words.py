"""The words of rows as numbers, so that what is known of a word is found once and summed by row in numpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+|[^\W\d_a-zA-Z]+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SPECIFIC = re.compile(r"_|[a-z][A-Z]|[A-Za-z]\d")
_LONG = 4
"""From so many characters on a word may be specific; shorter ones are in everybody's mouth."""


@lru_cache(maxsize=50_000)
def split_parts(word: str) -> tuple[str, ...]:
    """A word in lower case, and behind it its parts where it has several (`getUserName`, `user_name`)."""
    lower = word.lower()
    if len(word) < _LONG:
        return (lower,)
    parts = _PART.findall(word)
    return (lower, *(part.lower() for part in parts)) if len(parts) > 1 else (lower,)


@lru_cache(maxsize=50_000)
def is_specific(word: str) -> bool:
    """Whether a word looks like a name of something: `user_name`, `userName`, `utf8`."""
    return len(word) >= _LONG and _SPECIFIC.search(word) is not None


@dataclass(frozen=True)
class RowWords:
    """The distinct words of every row.

    vocabulary: all words, in the order they come. row, word, often: int64 (pairs,), which row holds which word (as an
    index of the vocabulary) how often, by row.
    """

    rows: int
    vocabulary: tuple[str, ...]
    row: np.ndarray
    word: np.ndarray
    often: np.ndarray

    @classmethod
    def of_rows(cls, rows: Sequence[str]) -> RowWords:
        """Find the words of rows."""
        found = [WORD.findall(row) for row in rows]
        numbers: dict[str, int] = {}
        words = np.fromiter((numbers.setdefault(word, len(numbers)) for each in found for word in each), dtype=np.int64)
        of_row = np.repeat(np.arange(len(rows)), [len(each) for each in found])
        return cls(len(rows), tuple(numbers), *_count_pairs(of_row, words, len(numbers)))

    @cached_property
    def rows_with(self) -> np.ndarray:
        """In how many rows each word stands, int64 (vocabulary,)."""
        return np.bincount(self.word, minlength=len(self.vocabulary))

    def sum_by_row(self, of_word: np.ndarray) -> np.ndarray:
        """Sum a number of each word (vocabulary,) over the distinct words of every row, float64 (rows,)."""
        return np.bincount(self.row, weights=of_word[self.word], minlength=self.rows)

    @cached_property
    def parts(self) -> RowWords:
        """The same of words in lower case and their parts."""
        parts: dict[str, int] = {}
        of_word = [[parts.setdefault(part, len(parts)) for part in split_parts(word)] for word in self.vocabulary]
        lengths = np.array([len(each) for each in of_word], dtype=np.int64)
        flat = np.fromiter((part for each in of_word for part in each), dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64) if len(lengths) else lengths
        many = lengths[self.word]
        first = np.repeat(starts[self.word], many)
        within = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
        row, often = np.repeat(self.row, many), np.repeat(self.often, many)
        return RowWords(self.rows, tuple(parts), *_count_pairs(row, flat[first + within], len(parts), often))

    def score_bm25(self, query: frozenset[str], k1: float = 1.2, b: float = 0.75) -> np.ndarray:
        """BM25 (Robertson and Zaragoza 2009) of every row for a set of words of this vocabulary, float64 (rows,)."""
        asked = np.fromiter((word in query for word in self.vocabulary), dtype=bool, count=len(self.vocabulary))
        if not asked.any():
            return np.zeros(self.rows)
        hit = asked[self.word]
        row, word, often = self.row[hit], self.word[hit], self.often[hit]
        rows_with = self.rows_with
        rarity = np.log1p((self.rows - rows_with + 0.5) / (rows_with + 0.5))
        gain = rarity[word] * often * (k1 + 1) / (often + k1 * (1 - b + b * self._length[row]))
        return np.bincount(row, weights=gain, minlength=self.rows)

    @cached_property
    def _length(self) -> np.ndarray:
        """Words of each row, over the mean."""
        words = np.bincount(self.row, weights=self.often, minlength=self.rows)
        return words / max(1.0, float(words.mean()))


def _count_pairs(
    row: np.ndarray, word: np.ndarray, words: int, often: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count how often each pair of row and word comes: rows, words and counts (pairs,), by row."""
    pairs, inverse = np.unique(row * max(1, words) + word, return_inverse=True)
    counts = np.bincount(inverse, weights=often, minlength=len(pairs))
    return pairs // max(1, words), pairs % max(1, words), counts
