"""Delimiters that carry the id by which what they stand for can be recalled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentcompress.schema import DelimiterStyle, Span
from agentcompress.text.delimiters import find_whole_rows
from agentcompress.text.lines import Rows

TOOL_NAME = "recall"

_BRIEF = re.compile(r"(?:\.\.\.|…|\\u2026)(?: #\d+:?)?")
"""The mark of a delimiter that says no more, also where it stands escaped in a JSON string."""

_OMITTED = re.compile(r" omitted(?: \((?:\d+-)?\d+\))?")


@dataclass(frozen=True)
class RecallStyle:
    """Another style's delimiters with the id of what they stand for. name: of the text. line_starts: of its lines."""

    inner: DelimiterStyle
    name: str
    line_starts: Sequence[int]

    def gap(self, text: str, gap: Span) -> str:
        """The inner style's delimiter with an id: `[... 14 lines omitted, recall k7f2q9:120-133]`."""
        rows = find_whole_rows(text, gap, self.line_starts)
        place = f"@{gap.start}-{gap.end}" if rows is None else f":{rows[0] + 1}-{rows[1] + 1}"
        return _add_id(self.inner.gap(text, gap), f"{self.name}{place}")

    def longest(self, text: str) -> str:
        """The inner style's longest delimiter, with the longest id there may be."""
        return _add_id(self.inner.longest(text), f"{self.name}@{len(text)}-{len(text)}")


def make_recall_style(style: DelimiterStyle, name: str, text: str) -> RecallStyle:
    """Make a style that adds to the delimiters of another one the name of `text` and the lines left out of it."""
    return RecallStyle(style, name, Rows(text).starts)


def _add_id(said: str, id: str) -> str:  # noqa: A002 - the word users have for it
    """A delimiter with its id: behind "omitted", else behind the mark, before the last bracket, or behind it."""
    if not said.strip():
        return said
    if _OMITTED.search(said):
        return _OMITTED.sub(f" omitted, {TOOL_NAME} {id}", said, count=1)
    if found := _BRIEF.search(said):
        return f"{said[: found.end()]} {TOOL_NAME} {id}{said[found.end() :]}"
    words = said.rstrip()
    blank = said[len(words) :]
    return f"{words[:-1]} {TOOL_NAME} {id}]{blank}" if words.endswith("]") else f"{words} ({TOOL_NAME} {id}){blank}"
