"""What a draft is calibrated on: made-up texts, each with a query and the places that the query is after.

Everything is made from a seed, with words of our own and with the source of packages that are installed anyway;
nothing is downloaded, and nothing stems from a published evaluation set.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentcompress.schema import Span


@dataclass(frozen=True)
class Item:
    """A text, what it is read for, and the evidence: what should still stand there after compression.

    family: the kind of task ("fact", "function", ..). evidence: spans of `text`, not empty, in order, disjoint.
    """

    family: str
    text: str
    query: str
    evidence: tuple[Span, ...]


class Writer:
    """Puts a text together and remembers where its evidence stands."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chars = 0
        self._evidence: list[Span] = []

    def add(self, text: str, *, evidence: bool = False) -> None:
        """Append text; as evidence, its span without the white space around it is remembered."""
        if evidence and text.strip():
            start = self._chars + len(text) - len(text.lstrip())
            self._evidence.append(Span(start, start + len(text.strip())))
        self._parts.append(text)
        self._chars += len(text)

    def finish(self, family: str, query: str) -> Item:
        """Return what was written as an item, which asks for the evidence with this query."""
        return Item(family, "".join(self._parts), query, tuple(self._evidence))
