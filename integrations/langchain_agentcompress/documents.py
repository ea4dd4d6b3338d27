"""A document compressor for retrievers: of all documents the parts that matter for the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document

from agentcompress.config import CompressConfig
from agentcompress.documents import CompressedDocument
from agentcompress.doors.background import in_background
from agentcompress.errors import InvalidInputError
from langchain_agentcompress.settings import GuardedSettings

METADATA = "agentcompress"
"""Where a document's metadata says what was kept of it: spans, score, tokens_before, tokens_after."""

_HINTS = ("source", "file_path", "path", "title", "language")


class DraftDocumentCompressor(GuardedSettings, BaseDocumentCompressor):
    """Keeps, of all documents together, `keep_rate` of the target's tokens, or `target_tokens`.

    Metadata and ids are kept, and `metadata["agentcompress"]` is added: `spans`, the characters of the original that
    are left, `score` (that of the best sentence or statement, in standard deviations over all of them),
    `tokens_before` and `tokens_after`. Documents of which nothing is left are dropped, unless `drop_empty` is False.
    order: "document", as they came, or "score", the best first. Other settings are those of `Guarded`.

    What the draft has read of a document it finds again, whatever question it is asked and in whatever company.
    """

    order: Literal["document", "score"] = "document"
    drop_empty: bool = True

    def __init__(self, config: CompressConfig | Mapping[str, Any] | None = None, **settings: Any) -> None:
        if settings.get("order", "document") not in ("document", "score"):
            raise InvalidInputError("order", settings["order"], '"document" or "score"')
        if not isinstance(settings.get("drop_empty", True), bool):
            raise InvalidInputError("drop_empty", settings["drop_empty"], "true or false")
        super().__init__(config, **settings)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents with what matters for the query; as they came where that fails."""
        return self.guarded.run_or_keep(documents, lambda: self._compress(documents, query))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Compress documents as `compress_documents` does, in a thread."""
        return await in_background(lambda: self.compress_documents(documents, query, callbacks))

    def _compress(self, documents: Sequence[Document], query: str) -> Sequence[Document]:
        texts = [document.page_content for document in documents]
        hints = [_read_hint(document) for document in documents]
        found = self.guarded.compress_documents(texts, query, hints)
        if self.drop_empty:
            found = [each for each in found if each.text.strip()]
        if self.order == "score":
            found = sorted(found, key=lambda each: -each.score)
        return [_note_kept(documents[each.index], each) for each in found]


def _read_hint(document: Document) -> str:
    return " ".join(str(document.metadata[name]) for name in _HINTS if document.metadata.get(name))


def _note_kept(document: Document, kept: CompressedDocument) -> Document:
    said = {
        "spans": [list(span) for span in kept.spans],
        "score": round(kept.score, 4),
        "tokens_before": kept.tokens_before,
        "tokens_after": kept.tokens_after,
    }
    metadata = {**document.metadata, METADATA: said}
    return document.model_copy(update={"page_content": kept.text, "metadata": metadata})
