"""Prose: sentences, standing in paragraphs, under their headings. English-like scripts and CJK.

A sentence that holds what is spelt like no word (a key, a hash, a token) comes before others where that is rare.
Knows no code: a text that is not prose still tiles, but `lines` cuts it better.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.cut_points import find_cut_points

_PARAGRAPH_START = re.compile(
    r"""
    \n[^\S\n]*\n\s*                                          # behind an empty line
    |\n(?=\#{1,6}[^\S\n])                                     # at a Markdown heading without one
    |^\#{1,6}[^\S\n][^\n]*\n\s*                               # behind a heading
    |^[^\n]{1,120}\n(?:={3,}|-{3,})[^\S\n]*\n\s*              # behind an underlined one
    """,
    re.VERBOSE | re.MULTILINE,
)
"""Where this matches, a paragraph starts at its end."""

_SENTENCE_END = re.compile(
    r"""
    (?:(?<![.!?…])[.!?…]++['"”’)\]]*+(?=\s)  # closed by punctuation, perhaps in quotes or brackets; white space
      |[。！？｡]+[」』”’）】]*                   # CJK: no white space needed
    )[^\S\n]*\n?
    |\n                                     # a line's end
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|Mrs?|Ms|Dr|Prof|Sr|Jr|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep"
    r"|vs|etc|cf|al|ca|approx|est|ed|eds|Inc|Ltd|Co|Corp|Bros|No|Nos|Vol|Fig|Figs|Eq|Sec|Ch|pp?"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.$"
)
_ALWAYS_GOES_ON = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:Mrs?|Ms|Dr|Prof|St|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|vs|cf|e\.g|i\.e|[A-Z])\.$"
)
_LOOK_BACK_CHARS = 16
_WRAPPED_LINE_CHARS = 60
_NO_WORD = re.compile(r"(?<![\w/.=?&%-])(?=(?:\w*?[^\W\d_]\d){2})\w{8,}")  # digits among its letters, twice
_NO_WORD_PRIOR = 8.0  # nothing else in such a text can be as specific
_RARE = 0.01  # the largest share of the sentences that may have that prior
_HEADING = re.compile(r"#{1,6}[^\S\n]+\S.{0,200}|[^\n]{1,120}\n(?:={3,}|-{3,})[^\S\n]*")


@dataclass(frozen=True)
class ProseSegmenter:
    """Sentences as units, paragraphs as parents; a sentence requires the heading above it.

    max_unit_chars: longer sentences are cut at clauses, else at white space, else between characters.
    """

    max_unit_chars: int = 600

    def __post_init__(self) -> None:
        checked_count("max_unit_chars", self.max_unit_chars)

    def segment(self, text: str) -> Segment:
        """Cut `text` into sentences. Every string tiles; an empty one has no units."""
        units: list[Unit] = []
        heading: tuple[int, ...] = ()
        for parent, (start, end) in enumerate(_find_paragraphs(text)):
            cuts = [start, *_find_sentence_cuts(text, start, end, self.max_unit_chars), end]
            first = len(units)
            is_heading = _HEADING.fullmatch(text[start:end].rstrip()) is not None
            if is_heading:
                heading = ()
            units.extend(Unit(a, b, parent, heading) for a, b in itertools.pairwise(cuts))
            if is_heading:
                heading = tuple(range(first, len(units)))
        return Segment(text, "prose", tuple(_set_priors(text, units)))


def _set_priors(text: str, units: list[Unit]) -> list[Unit]:
    """Units with a prior for those that hold what is spelt like no word, where those are rare."""
    odd = {i for i, unit in enumerate(units) if _NO_WORD.search(text, unit.start, unit.end)}
    if len(odd) > _RARE * len(units):
        return units
    return [replace(unit, prior=_NO_WORD_PRIOR) if i in odd else unit for i, unit in enumerate(units)]


def _find_paragraphs(text: str) -> list[tuple[int, int]]:
    """Character ranges of paragraphs, which tile the text."""
    starts = [0, *(match.end() for match in _PARAGRAPH_START.finditer(text))]
    ends = [*starts[1:], len(text)]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b > a]


def _find_sentence_cuts(text: str, start: int, end: int, limit_chars: int) -> list[int]:
    """Places inside of a paragraph where a sentence begins, or a long one is cut."""
    cuts: list[int] = []
    last = start
    closes_at = start + len(text[start:end].rstrip())
    for match in _SENTENCE_END.finditer(text, start, closes_at):
        cut = match.end()
        if not last < cut < closes_at or not _ends_here(text, last, match):
            continue
        cuts += [*find_cut_points(text, last, cut, limit_chars), cut]
        last = cut
    return cuts + find_cut_points(text, last, end, limit_chars)


def _ends_here(text: str, sentence_start: int, match: re.Match[str]) -> bool:
    """Whether a sentence ends at a match of `_SENTENCE_END`: not behind an abbreviation, nor in a wrapped line."""
    mark = match.group()
    following = text[match.end()]
    if mark == "\n":
        # A hard-wrapped line goes on in lower case; anything else that ends without a full stop is a line of its own.
        return match.start() - sentence_start < _WRAPPED_LINE_CHARS or not following.islower()
    if mark[0] in "。！？｡" or mark[0] in "!?":
        return not following.islower()
    before = text[max(sentence_start, match.start() - _LOOK_BACK_CHARS) : match.start() + 1]
    if _ALWAYS_GOES_ON.search(before):
        return "\n" in mark
    if _ABBREVIATION.search(before):
        return following.isupper()
    return not following.islower()
