"""Random agents against a strict provider: restarts, other settings, scorers that fail, and never a changed byte."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentcompress import CompressConfig, Compressor
from agentcompress.evaluation.replay import as_sent
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.schema import Segment
from tests.provider import BadRequestError, Provider

SCORERS = ["lexical", "random", "tests.unit.test_emulated:Moody", "tests.fakes:NanScorer", "tests.fakes:BrokenScorer"]


class Moody:
    """Different every time, fails now and then."""

    calls = 0

    def score(self, segment: Segment, query: str) -> np.ndarray:
        Moody.calls += 1
        if Moody.calls % 5 == 0:
            raise MemoryError("out of memory")
        return np.random.default_rng(Moody.calls).normal(size=len(segment.units))


class Agent(RuleBasedStateMachine):
    """A conversation as it grows, sent after every change of it."""

    @initialize(format=st.sampled_from(["openai", "anthropic", "responses"]))
    def begin(self, format: str) -> None:  # noqa: A002
        self.folder = Path(tempfile.mkdtemp())
        self.provider = Provider(format)
        self.recorded: list[dict[str, Any]] = [{"role": "user", "content": "Find what is wrong."}]
        self.store: Any = SQLiteStore(self.folder / "ledger.db")
        self.mine = Compressor(CompressConfig(scorer="lexical", min_tokens=50, keep_rate=0.3), store=self.store)

    @rule(
        lines=st.sampled_from([1, 30, 90, 200]),
        kind=st.sampled_from(["log {i} worker done", "def f{i}(): return {i}", '"{i}",']),
    )
    def call_a_tool(self, lines: int, kind: str) -> None:
        made = len(self.recorded)
        self.recorded.append(
            {"role": "assistant", "content": f"Step {made}.", "tool_calls": [{"name": "run", "arguments": {"n": made}}]}
        )
        self.recorded.append({"role": "tool", "content": "\n".join(kind.replace("{i}", str(i)) for i in range(lines))})

    @rule(text=st.text(max_size=40))
    def speak(self, text: str) -> None:
        self.recorded += [{"role": "assistant", "content": "Well."}, {"role": "user", "content": f"Go on. {text}"}]

    @rule()
    def think(self) -> None:
        if self.provider.requests:
            self.provider.think()

    @rule(scorer=st.sampled_from(SCORERS), rate=st.sampled_from([0.05, 0.3, 0.9]), least=st.sampled_from([1, 50, 5000]))
    def restart_with_other_settings(self, scorer: str, rate: float, least: int) -> None:
        self.store = SQLiteStore(self.folder / "ledger.db")
        self.mine = Compressor(CompressConfig(scorer=scorer, min_tokens=least, keep_rate=rate), store=self.store)

    @invariant()
    def every_request_begins_with_the_one_before(self) -> None:
        messages = as_sent(self.recorded, self.provider.format)
        result = self.mine.compress(messages, on_error="ignore")
        read = self.provider.cache_read
        previous = len(self.provider._previous)
        self.provider.send(result.messages, messages)
        assert self.provider.cache_read - read == previous

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


TestAgent = Agent.TestCase
TestAgent.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


class TestProvider:
    """That it would notice."""

    def test_results_without_calls(self) -> None:
        messages = [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "y"}]
        with pytest.raises(BadRequestError, match="unexpected"):
            Provider("openai").send(messages, messages)

    def test_arguments_that_were_changed(self) -> None:
        messages = as_sent([{"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"b": 1}}]}], "anthropic")
        other = as_sent([{"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"b": 2}}]}], "anthropic")
        with pytest.raises(BadRequestError, match="something other"):
            Provider("anthropic").send(other, messages)

    def test_what_reasoning_is_bound_to(self) -> None:
        recorded = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"name": "a", "arguments": {}}]},
            {"role": "tool", "content": "one"},
        ]
        provider = Provider("anthropic")
        provider.send(as_sent(recorded, "anthropic"), as_sent(recorded, "anthropic"))
        provider.think()
        changed = as_sent([*recorded[:2], {"role": "tool", "content": "two"}], "anthropic")
        with pytest.raises(BadRequestError, match="cannot be modified"):
            provider.send(changed, as_sent(recorded, "anthropic"))
