"""The extension points. Implement one, name it in an entry point or as "pkg.mod:Class", and it is in the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from agentcompress.schema import Decision, Reading, Segment


@runtime_checkable
class Scorer(Protocol):
    """Says how much each unit of a segment matters for what it is read for.

    A scorer is made with keyword options (`CompressConfig.scorer_options`); a class with a
    `from_config(config)` class method is made with that instead.
    """

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Score every unit: float64 of shape (units,), finite, higher = keep.

        Most look at `reading.query` alone. The same segment and reading must give the same scores; the budget is none
        of a scorer's business.
        """
        ...


@runtime_checkable
class ChanceScorer(Scorer, Protocol):
    """A scorer that also knows chances: with `keep_rate="auto"`, `recall_target` is kept by them."""

    def estimate_chances(self, segment: Segment, reading: Reading) -> np.ndarray | None:
        """How many strings of each unit are expected to be used: float64 (units,), >= 0, up to one factor.

        None where nothing is known.
        """
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Cuts a text into units that tile it, and names the kind that chooses the delimiters.

    A class with a static method `claims(text, hint) -> bool` is asked by "auto" before the built-in kinds are tried;
    hint: a file's name or a tool's call, as far as known.
    """

    def segment(self, text: str) -> Segment:
        """Cut `text`; any string is valid input, also an empty one."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts a text as a target would bill it."""

    name: str
    exact: bool

    def count(self, text: str) -> int:
        """Tokens of `text`; special-token spellings count as plain text."""
        ...


@runtime_checkable
class Store(Protocol):
    """Where decisions are kept. The first writer wins; everyone reads back."""

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, or None when nothing was decided yet."""
        ...

    def put(self, key: str, decision: Decision) -> Decision:
        """Write unless `key` is taken, and return what now stands there."""
        ...
