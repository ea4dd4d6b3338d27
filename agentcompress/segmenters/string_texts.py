"""Texts inside JSON strings: decoded, cut by their own kind, and the way back to where each character is written."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from agentcompress.schema import DelimiterStyle, Segment, Span
from agentcompress.segmenters.json_tree import can_parse

_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL)
_OPENS_JSON = re.compile(r"\s*[\[{]")
_FEWEST_BREAKS = 2


@dataclass(frozen=True)
class DecodedString:
    """A JSON string's text, and where its characters are written: from `start` to `end`, without the quotes.

    decoded_at, source_at: places where both go on one to one, ascending: behind every escape.
    """

    text: str
    start: int
    end: int
    decoded_at: Sequence[int]
    source_at: Sequence[int]

    def find_source(self, at: int) -> int:
        """The place in the source of a place in the decoded text."""
        if at >= len(self.text):
            return self.end
        i = bisect_right(self.decoded_at, at) - 1
        return self.source_at[i] + at - self.decoded_at[i]

    def find_decoded(self, at: int) -> int:
        """The place in the decoded text of a place in the source that is not inside of an escape."""
        if at >= self.end:
            return len(self.text)
        i = bisect_right(self.source_at, at) - 1
        return self.decoded_at[i] + at - self.source_at[i]


def decode_string(source: str, start: int, end: int) -> DecodedString:
    """Decode the inside of a JSON string, which is known to be one."""
    parts: list[str] = []
    decoded_at, source_at = [0], [start]
    at, length = start, 0
    for match in _ESCAPE.finditer(source, start, end):
        before = source[at : match.start()]
        said = json.loads(f'"{match.group()}"')
        parts += [before, said]
        # The escape itself is a stretch of its own: nothing inside of it has a place.
        if before:
            decoded_at.append(length + len(before))
            source_at.append(match.start())
        length += len(before) + len(said)
        at = match.end()
        decoded_at.append(length)
        source_at.append(at)
    parts.append(source[at:end])
    return DecodedString("".join(parts), start, end, decoded_at, source_at)


def is_text(decoded: str) -> bool:
    """Whether a string is a text of several lines, or JSON itself."""
    lines = decoded.count("\n", 0, len(decoded) - 1)
    return lines >= _FEWEST_BREAKS or (_OPENS_JSON.match(decoded) is not None and can_parse(decoded))


@dataclass(frozen=True)
class InnerText:
    """A string's text, how it was cut, and the style of what it leaves out.

    escapes_all: whether characters beyond ASCII are to be escaped, as they are around it.
    """

    decoded: DecodedString
    segment: Segment
    style: DelimiterStyle
    escapes_all: bool

    def gap(self, gap: Span) -> str:
        """The delimiter of a gap of the source inside the string, escaped as the string is."""
        inner = Span(self.decoded.find_decoded(gap.start), self.decoded.find_decoded(gap.end))
        return self._escape(self.style.gap(self.decoded.text, inner))

    def longest(self) -> str:
        """The longest delimiter of the inner style, escaped."""
        return self._escape(self.style.longest(self.decoded.text))

    def _escape(self, said: str) -> str:
        return json.dumps(said, ensure_ascii=self.escapes_all)[1:-1]
