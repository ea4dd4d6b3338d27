"""Cut an oversized stretch where it hurts least: the rule of last resort for every segmenter."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator

_CLAUSE_END = re.compile(r"(?:[,;:](?!\d)|[)\]}>、，；：])\s*|\s+[-–—]+\s+|\n+")
_SPACE = re.compile(r"\s+")
_JOINERS = frozenset("\u200d\ufe0f\ufe0e")


def find_cut_points(text: str, start: int, end: int, limit_chars: int) -> list[int]:
    """Return the positions in (start, end) that cut it into pieces of at most `limit_chars` characters.

    A cut falls behind a clause, else behind white space, else between characters (never inside one that is drawn
    as one: combining marks, emoji joined by ZWJ), looking back over the second half of the piece. Linear time.
    """
    cuts: list[int] = []
    while end - start > limit_chars:
        start = _find_best_cut(text, start + limit_chars // 2, start + limit_chars)
        cuts.append(start)
    return cuts


def cut_stretch(text: str, start: int, end: int, longest_chars: int, limit_chars: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the stretch; where it is longer than `longest_chars`, of its pieces (`find_cut_points`)."""
    cuts = find_cut_points(text, start, end, limit_chars) if end - start > longest_chars else []
    return itertools.pairwise([start, *cuts, end])


def _find_best_cut(text: str, earliest: int, latest: int) -> int:
    """The last place in (earliest, latest] that hurts least to cut at."""
    for pattern in (_CLAUSE_END, _SPACE):
        ends = [match.end() for match in pattern.finditer(text, earliest, latest)]
        if ends:
            return ends[-1]
    for cut in range(latest, earliest, -1):
        if not _is_inside_character(text, cut):
            return cut
    return latest


def _is_inside_character(text: str, cut: int) -> bool:
    """Whether a cut would part what is drawn as one character, or a carriage return from its line feed."""
    after, before = text[cut], text[cut - 1]
    return (
        after in _JOINERS or before == "\u200d" or unicodedata.combining(after) != 0 or (before, after) == ("\r", "\n")
    )
