"""Stand-ins for unit tests: scorers, counters and messages that need no weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from agentcompress import CompressConfig, Compressor
from agentcompress.errors import StoreError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.protocols import Store
from agentcompress.schema import Decision, Reading, Segment
from agentcompress.scorers.seeded import RandomScorer


class WordCounter:
    """A token is a word or a single other character: simple enough to check by hand."""

    name = "words"
    exact = True

    def count(self, text: str) -> int:
        return len(re.findall(r"\w+|[^\w\s]|\n", text))


class LongestScorer:
    """Scores a unit by its length."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        return np.array([float(unit.end - unit.start) for unit in segment.units])


class ContainsScorer:
    """1 for units that hold the query, and a seeded fraction for the rest."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        noise = RandomScorer().score(segment, reading) / 2
        return noise + [float(reading.query in segment.text[unit.start : unit.end]) for unit in segment.units]


class BrokenScorer:
    """Fails like a library would."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        raise RuntimeError("out of memory")


class ListScorer:
    """Scores as a plain list."""

    def score(self, segment: Segment, reading: Reading) -> list[int]:
        return [unit.end - unit.start for unit in segment.units]


class UnsignedScorer:
    """Scores in a type that can't be negated."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        return np.array([unit.end - unit.start for unit in segment.units], dtype=np.uint8)


class BrokenSegmenter:
    """Fails like a parser would."""

    def segment(self, text: str) -> Segment:
        raise RecursionError("too deep")


class EmptySegmenter:
    """Loses the text."""

    def segment(self, text: str) -> Segment:
        return Segment(text, "lines", ())


class NanScorer:
    """Returns what no selection can use."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        return np.full(len(segment.units), np.nan)


class FlakyStore:
    """In front of another store, and out of reach while it is down. asked: how often it was; touched: which keys."""

    def __init__(self, inner: Any = None, error: type[Exception] = StoreError, *, is_down: bool = False) -> None:
        self.inner, self.error, self.is_down = inner or MemoryStore(), error, is_down
        self.asked = 0
        self.touched: list[str] = []

    def _work(self) -> None:
        self.asked += 1
        if self.is_down:
            raise self.error("gone")

    def get(self, key: str) -> Decision | None:
        self._work()
        return self.inner.get(key)

    def put(self, key: str, decision: Decision) -> Decision:
        self._work()
        return self.inner.put(key, decision)

    def touch(self, keys: Sequence[str]) -> None:
        self._work()
        self.touched += keys
        self.inner.touch(keys)


def conversation(result: str, question: str = "Which line failed?") -> list[dict[str, Any]]:
    """A system prompt, a question, one tool call and its result."""
    call = {"id": "call_1", "type": "function", "function": {"name": "read_log", "arguments": '{"path": "a.log"}'}}
    return [
        {"role": "system", "content": "You are a careful engineer. " * 200},
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


def compressor(store: Store | None = None, **settings: Any) -> Compressor:
    """One that scores by BM25 and keeps its decisions in a memory of its own, unless told otherwise."""
    return Compressor(CompressConfig(**{"scorer": "lexical", "ledger": "memory", **settings}), store=store)
