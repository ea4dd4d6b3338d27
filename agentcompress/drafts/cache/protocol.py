"""What the cache asks of a draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from agentcompress.drafts.pages import Window
    from agentcompress.drafts.runtime import ProbeAttention
    from agentcompress.drafts.tokens import Tokens


class Tokenizer(Protocol):
    """What a runtime's tokenizer does."""

    @property
    def template(self) -> Any:
        """The words around the windows."""
        ...

    def tokenize(self, text: str) -> Tokens:
        """Tokenize plain text."""
        ...

    def tokenize_template(self, text: str) -> list[int]:
        """Ids of template text."""
        ...


class Runtime(Protocol):
    """What encodes and probes: a `DraftRuntime`, or a `WindowCache` around one."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The draft's tokenizer."""
        ...

    @property
    def fingerprint(self) -> str:
        """What the draft's profile is known by."""
        ...

    @property
    def band(self) -> range:
        """The layers whose attention is read."""
        ...

    def encode(self, windows: Sequence[np.ndarray]) -> list[Window]:
        """Encode windows of token ids."""
        ...

    def probe(
        self, windows: Sequence[Window], query: Sequence[int], null: Sequence[int]
    ) -> tuple[ProbeAttention, ProbeAttention]:
        """Read the attention of a query and of the query-free probe on encoded windows."""
        ...
