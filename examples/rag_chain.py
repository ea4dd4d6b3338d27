"""A chain over this project's documentation: a vector store in memory, compressed documents, a small model's answer.

.venv/bin/python -m examples.rag_chain "Where are decisions about conversations kept?"
"""

from __future__ import annotations

import itertools
import sys
import zlib
from pathlib import Path

import numpy as np
from langchain_agentcompress import DraftDocumentCompressor
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, convert_to_openai_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import MarkdownTextSplitter

from agentcompress import CompressConfig, completion

DOCS = Path(__file__).parents[1] / "docs"
QUESTION = "Which environment variable says where decisions about conversations are kept?"
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from the documentation, in one sentence."), ("user", "<docs>\n{docs}\n</docs>\n\n{question}")]
)


class WordEmbeddings(Embeddings):
    """Words and pairs of them, hashed: enough to find a paragraph, and it needs no model."""

    def embed_query(self, text: str) -> list[float]:
        words = "".join(c.lower() if c.isalnum() else " " for c in text).split()
        vector = np.zeros(4096)
        for word in [*words, *map(" ".join, itertools.pairwise(words))]:
            vector[zlib.crc32(word.encode()) % len(vector)] += 1
        return (np.sqrt(vector) / (np.linalg.norm(np.sqrt(vector)) or 1.0)).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def answer_prompt(prompt: PromptValue) -> AIMessage:
    """Let the draft itself answer, through LiteLLM, so that no key is needed; any model of LiteLLM's may."""
    messages = convert_to_openai_messages(prompt.to_messages())
    reply = completion("embedded/smollm2-135m", messages, max_tokens=40, agentcompress=False)
    return AIMessage(reply.choices[0].message.content)


def build_chain(compressor: DraftDocumentCompressor, seen: list[Document]) -> Runnable[str, AIMessage]:
    """Build a chain from question to answer. seen: gets the documents that the model was shown."""
    pages = [Document(file.read_text(encoding="utf-8"), metadata={"source": file.name}) for file in DOCS.glob("*.md")]
    store = InMemoryVectorStore(WordEmbeddings())
    store.add_documents(MarkdownTextSplitter(chunk_size=3000, chunk_overlap=0).split_documents(pages))
    retriever = store.as_retriever(search_kwargs={"k": 10})

    def compress_found(question: str) -> str:
        seen[:] = compressor.compress_documents(retriever.invoke(question), question)
        return "\n\n".join(f"{document.metadata['source']}:\n{document.page_content}" for document in seen)

    return (
        {"docs": RunnableLambda(compress_found), "question": RunnablePassthrough()}
        | PROMPT
        | RunnableLambda(answer_prompt)
    )


def main(question: str = QUESTION) -> tuple[str, list[Document]]:
    """Ask; return the answer, and the documents it was made from."""
    seen: list[Document] = []
    compressor = DraftDocumentCompressor(CompressConfig(ledger="memory"), target_tokens=800)
    reply = build_chain(compressor, seen).invoke(question)
    for document in seen:
        said = document.metadata["agentcompress"]
        print(f"{said['tokens_before']:>5} -> {said['tokens_after']:>4} tokens  {document.metadata['source']}")
    print(reply.content)
    return str(reply.content), seen


if __name__ == "__main__":
    main(*sys.argv[1:2])
