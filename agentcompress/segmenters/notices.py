"""Notices in any text: what another tool has left out and where all of it is, and what the client itself reminds of."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from agentcompress.schema import Segment, Span
from agentcompress.segmenters.signs import TOLD, tells_notice
from agentcompress.text.reminders import find_reminders

_WORDS = (
    "runcated elided abbreviated omitted uppressed ot|shown more|lines lines|above lines|below ull|output ull|log"
    " ull|result ull|report omplete|output omplete|log omplete|report ntire|output aved|to ritten|to 0|more 1|more"
    " 2|more 3|more 4|more 5|more 6|more 7|more 8|more 9|more"
)
_KEYWORDS = tuple(word.replace("|", " ") for word in _WORDS.split())
"""What lines must hold to be looked at, without first letters, which may be capitals."""

_SAYS_WHICH = re.compile(r"\d|/")
_MOST, _LINE_CHARS, _UNIT_CHARS, _REMINDER_CHARS = 8, 300, 2000, 4000
"""A text with more notices than this speaks of the matter itself; longer lines, units and reminders are none."""

_FLOOR_SHARE = 0.3


def keep_notices(segment: Segment) -> Segment:
    """Return a segment whose notices are floors: those of other tools, and the client's reminders."""
    spans = _find_notices(segment.text)
    spans += [span for span in find_reminders(segment.text) if span.end - span.start <= _REMINDER_CHARS]
    if not spans:
        return segment
    units = list(segment.units)
    starts = [unit.start for unit in units]
    for start, end in spans:
        for i in range(bisect_right(starts, start) - 1, len(units)):
            if units[i].start >= end:
                break
            if units[i].end - units[i].start <= _UNIT_CHARS:
                units[i] = replace(units[i], floor=max(units[i].floor, TOLD))
    return replace(segment, units=tuple(units), floor_share=max(segment.floor_share, _FLOOR_SHARE))


def _find_notices(text: str) -> list[Span]:
    """Lines that say what another tool has left out; none where there are many."""
    found: dict[Span, None] = {}
    for span in _find_candidates(text):
        line = text[span.start : span.end]
        if len(line) <= _LINE_CHARS and _SAYS_WHICH.search(line) and tells_notice(line):
            found[span] = None
            if len(found) > _MOST:
                return []
    return list(found)


def _find_candidates(text: str) -> Iterator[Span]:
    """Lines that hold a word of notices, not too long; in any order."""
    for word in _KEYWORDS:
        at = text.find(word)
        while at >= 0:
            start = text.rfind("\n", max(0, at - _LINE_CHARS), at) + 1
            end = text.find("\n", at, at + _LINE_CHARS)
            end = len(text) if end < 0 and len(text) - at < _LINE_CHARS else end
            if end >= 0 and (start or at < _LINE_CHARS):
                yield Span(start, end)
            at = text.find(word, max(end, at + _LINE_CHARS))
