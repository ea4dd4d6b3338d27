"""The frozen values that travel the line. Nothing here computes; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Span(NamedTuple):
    """Half-open character range `[start, end)` of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What is kept or dropped as a whole: a sentence, a line, a chunk.

    The units of a segment tile its text: the first starts at 0, each starts where the one before ends, the last
    ends at `len(text)`.

    parent: number of the unit's parent (paragraph, function, array).
    requires: indexes of units that are kept whenever this one is (the heading a sentence stands under), and in turn
    what those require.
    wants: indexes of units worth having beside this one (the import it uses), out of the segment's floor.
    floor: > 0 where a unit is worth having whatever its score (an error, a signature); higher ones come first.
    prior: what its kind of line is worth beside its score, in standard deviations of the scores: below 0 where it says
    what a unit before it said, above 0 for what a reader acts on.
    name: what it is, or stands in, as a query may call it: `Store.read`, or `$.users.3.name` in JSON.
    """

    start: int
    end: int
    parent: int
    requires: tuple[int, ...] = ()
    wants: tuple[int, ...] = ()
    floor: int = 0
    prior: float = 0.0
    name: str = ""


class DelimiterStyle(Protocol):
    """Says what stands in place of a gap."""

    def gap(self, text: str, gap: Span) -> str:
        """Return the delimiter for `text[gap.start:gap.end]`."""
        ...

    def longest(self, text: str) -> str:
        """Return a delimiter that costs at least as much as any that `gap` gives for this text."""
        ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A typed stretch of a request, cut into units.

    style: what stands in gaps; None: by `kind`.
    floor_share: the most of what is kept that floors, and what kept units want, may take up, in [0, 1).
    floor_from: the share of the text that scores alone fill before floors get theirs, in [0, 1).
    divisible: whether part of a unit may be kept where the next one does not fit.
    strict: whether units never go without what they require, not even where that leaves most of a budget unused.
    breaks: where, behind the start, texts of their own begin, ascending, each at a unit's start: what stands before is
    not encoded together with them.
    """

    text: str
    kind: str
    units: tuple[Unit, ...]
    style: DelimiterStyle | None = field(default=None, compare=False)
    floor_share: float = 0.0
    floor_from: float = 0.0
    divisible: bool = True
    strict: bool = False
    breaks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read for: all that a scorer may know beside the text. Made once, the same for every scorer.

    query: what is asked, in words: a question, or the task and the action that led to a tool's result.
    task: what the human said last. said: what the assistant said with its call. tool, arguments: of the call that the
    text answers. before: the texts that stood in the conversation before, in order. All empty where nothing is known.
    """

    query: str
    task: str = ""
    said: str = ""
    tool: str = ""
    arguments: str = ""
    before: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What stands for a block from now on: `text`, or None for the block as it is ("raw", for `reason`).

    spans: the ranges of the block that `text` has kept, in order; None where nobody knows: raw, clipped, or decided
    before ledgers held them.
    """

    text: str | None
    reason: str | None
    tokens_before: int
    tokens_after: int
    scorer: str | None
    spans: tuple[Span, ...] | None = None

    @classmethod
    def raw(cls, reason: str, tokens: int) -> Decision:
        """Decide to leave a block of `tokens` target tokens as it is."""
        return cls(None, reason, tokens, tokens, None)
