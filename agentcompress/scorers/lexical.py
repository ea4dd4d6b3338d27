"""BM25 over units and their parents: no model, no weights, microseconds a unit."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from cachetools import LRUCache, cached

from agentcompress.common.checks import checked_weight
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.units import add_parent_scores, digest_segment

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:_+[^\W_]+)*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_KEPT_WORDS = 300_000
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


class LexicalScorer:
    """BM25 (Robertson and Zaragoza 2009) of a unit plus that of its parent.

    Words are case folded; an identifier counts whole and by its parts (`getUserName`, `user_name`); CJK by character
    and by pair. k1, b: saturation and length normalisation, k1 >= 0, 0 <= b <= 1.
    """

    uses_draft: ClassVar[bool] = False

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = checked_weight("k1", k1), checked_weight("b", b, highest=1)

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,); all zero when no word of the query occurs."""
        own, sizes = self.score_bm25(segment, reading.query)
        return add_parent_scores(own, sizes, segment)

    def score_bm25(self, segment: Segment, query: str) -> tuple[np.ndarray, np.ndarray]:
        """Return BM25 of every unit, and its length in words, float64 (units,) each."""
        documents = _count_words(segment)
        sizes = np.array([document.total() for document in documents], dtype=np.float64)
        scores = np.zeros(len(documents))
        mean_size = sizes.mean() if sizes.any() else 1.0
        length = 1 - self.b + self.b * sizes / mean_size
        for _, found in sorted(_find_postings(documents, set(split_words(query))).items()):
            at, counts = np.array([i for i, _ in found]), np.array([often for _, often in found], dtype=np.float64)
            rarity = np.log1p((len(documents) - len(found) + 0.5) / (len(found) + 0.5))
            scores[at] += rarity * counts * (self.k1 + 1) / np.maximum(counts + self.k1 * length[at], 1e-9)
        return scores, sizes


def _find_postings(documents: Sequence[Counter[str]], asked: set[str]) -> dict[str, list[tuple[int, int]]]:
    """Where each of some words stands, and how often."""
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for i, document in enumerate(documents):
        for word in document.keys() & asked:
            found[word].append((i, document[word]))
    return found


@cached(  # the part that does not depend on the query
    LRUCache(_KEPT_WORDS, getsizeof=lambda documents: len(documents) + sum(map(len, documents))),
    key=digest_segment,
    lock=threading.Lock(),
)
def _count_words(segment: Segment) -> tuple[Counter[str], ...]:
    """How often every word stands in each unit."""
    return tuple(Counter(split_words(segment.text[unit.start : unit.end])) for unit in segment.units)


def split_words(text: str) -> list[str]:
    """Words of a text, case folded; compound identifiers are followed by their parts, CJK runs by their pairs."""
    found: list[str] = []
    before = ("", -1)  # the CJK character before and where it ended
    for match in _WORD.finditer(text):
        word = match.group()
        found.append(word.casefold())
        if _CJK.match(word):
            if before[1] == match.start():
                found.append(before[0] + word)
            before = (word, match.end())
            continue
        parts = _PART.findall(word)
        if len(parts) > 1:
            found.extend(part.casefold() for part in parts)
    return found
