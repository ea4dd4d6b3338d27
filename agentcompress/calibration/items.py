"""What a draft is calibrated on: made-up texts, each with a query and the places that the query is after.

Everything is made from a seed, with words of our own and with the source of packages that are installed anyway;
nothing is downloaded, and nothing stems from a published evaluation set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
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

    def item(self, family: str, query: str) -> Item:
        """What was written, as an item."""
        return Item(family, "".join(self._parts), query, tuple(self._evidence))


Maker = Callable[[random.Random], Item]


def makers() -> dict[str, Maker]:
    """Every family of items: questions first, next actions behind them."""
    from agentcompress.calibration import episodes, facts, functions, lookups

    return {
        "fact": facts.question,
        "function": functions.by_description,
        "log": lookups.log_line,
        "json": lookups.json_value,
        "traceback": episodes.open_what_failed,
        "element": episodes.click_element,
        "edit": episodes.edit_function,
        "listing": episodes.open_listed,
        "matches": episodes.open_match,
        "record": episodes.use_record,
    }


def make_items(count: int, seed: int = 0) -> Iterator[Item]:
    """Yield `count` items, the families in turn; the same seed gives the same items wherever packages are the same."""
    families = makers()
    for number in range(count):
        name = list(families)[number % len(families)]
        yield families[name](random.Random(f"{seed}:{name}:{number}"))
