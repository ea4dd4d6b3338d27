"""What stood in the conversation before: the words and the lines of its texts, each text read once."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cachetools import LRUCache, cached

from agentcompress.scorers.next_step.words import WORD

_KEPT = 400_000
"""So many distinct words and lines of texts are remembered: some tens of megabytes."""

_LEAST_LINE = 8
"""Shorter lines (braces, blank ones) stand everywhere."""


@cached(LRUCache(_KEPT, getsizeof=lambda found: 1 + len(found[0]) + len(found[1])), lock=threading.Lock())
def read_text(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The distinct words of a text, and its distinct lines without the white space around them."""
    lines = frozenset(line for line in map(str.strip, text.split("\n")) if len(line) >= _LEAST_LINE)
    return frozenset(WORD.findall(text)), lines


def read_texts(texts: Iterable[str]) -> tuple[set[str], set[str]]:
    """The words and the lines of several texts."""
    words: set[str] = set()
    lines: set[str] = set()
    for text in texts:
        if text:
            more_words, more_lines = read_text(text)
            words |= more_words
            lines |= more_lines
    return words, lines
