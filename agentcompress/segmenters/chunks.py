"""Chunks: a fixed number of draft tokens, wherever that falls. The unit of the papers (arXiv 2603.02631, A.2)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig


class ChunkSegmenter:
    """`chunk_tokens` draft tokens a unit: 32 as published, 128 for code. All units have one parent."""

    def __init__(self, draft: str, chunk_tokens: int = 32) -> None:
        self.draft = draft
        self.chunk_tokens = checked_count("chunk_tokens", chunk_tokens)

    @classmethod
    def from_config(cls, config: CompressConfig, chunk_tokens: int = 32) -> ChunkSegmenter:
        """Make one that counts in the tokens of the config's draft."""
        return cls(config.draft, chunk_tokens)

    def segment(self, text: str) -> Segment:
        """Cut `text` every `chunk_tokens` tokens of the draft; loads the draft's tokenizer on first use."""
        from agentcompress.drafts.tokens import get_draft_tokenizer

        starts = get_draft_tokenizer(self.draft).tokenize(text).starts
        # Tokens that spell one character together share its start: a cut between them would be empty.
        cuts = sorted({0, *(int(start) for start in starts[:: self.chunk_tokens]), len(text)})
        return Segment(text, "chunks", tuple(Unit(a, b, 0) for a, b in itertools.pairwise(cuts)))
