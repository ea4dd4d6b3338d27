"""What a window cache asks of the draft it wraps, and scorers of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from agentcompress.drafts.pages import Window
    from agentcompress.drafts.runtime import ProbeAttention
    from agentcompress.drafts.tokens import Tokens


class Tokenizer(Protocol):
    """Text to token ids of a draft."""

    @property
    def template(self) -> Any:
        """The draft's chat template, taken apart: the text before the windows, and the text behind the query."""
        ...

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of plain text, where special-token spellings are text."""
        ...

    def tokenize_template(self, text: str) -> list[int]:
        """Return the ids of template text, where special-token spellings are special tokens."""
        ...


class Runtime(Protocol):
    """What encodes and probes: a `DraftRuntime`, or a `WindowCache` around one."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The draft's tokenizer."""
        ...

    @property
    def fingerprint(self) -> str:
        """The digest that the draft's profile is found by, the same for a quantised copy of its weights."""
        ...

    @property
    def band(self) -> range:
        """The layers whose attention is read, counted from 0."""
        ...

    def encode(self, windows: Sequence[np.ndarray]) -> list[Window]:
        """Encode windows of token ids, int64 (tokens,) each; returns them in the same order."""
        ...

    def probe(
        self, windows: Sequence[Window], query: Sequence[int], null: Sequence[int]
    ) -> tuple[ProbeAttention, ProbeAttention]:
        """Read the attention of a query, and of the query-free probe, on encoded windows; both are token ids."""
        ...
