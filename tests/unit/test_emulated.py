"""Random agents against a strict provider: restarts, other settings, what fails and hangs, and never a changed byte."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentcompress import CompressConfig, Compressor
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.schema import Reading, Segment
from tests.fakes import FlakyStore
from tests.provider import BadRequestError, Provider, _bytes, with_reasoning

SCORERS = [
    "lexical",
    "random",
    "tests.unit.test_emulated:Moody",
    "tests.unit.test_emulated:Sleepy",
    "tests.fakes:NanScorer",
    "tests.fakes:BrokenScorer",
]


class Moody:
    """Different every time, fails now and then."""

    calls = 0

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        Moody.calls += 1
        if Moody.calls % 5 == 0:
            raise MemoryError("out of memory")
        return np.random.default_rng(Moody.calls).normal(size=len(segment.units))


class Sleepy:
    """Hangs."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        time.sleep(0.3)
        return np.zeros(len(segment.units))


class Clock:
    """The ledger's clocks: they jump, what is monotonic ahead alone."""

    def __init__(self) -> None:
        self.ahead_s = self.off_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def time(self) -> float:
        return time.time() + self.off_s


class Agent(RuleBasedStateMachine):
    """A conversation as it grows, sent after every change of it."""

    @initialize(format=st.sampled_from(["openai", "anthropic", "responses"]))
    def begin(self, format: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.provider = Provider(format)
        self.recorded: list[dict[str, Any]] = [{"role": "user", "content": "Find what is wrong."}]
        self.reasoned: dict[int, str] = {}
        self.marked = False
        self.branch = 0
        self.target_tokens: int | None = None
        self.clock = Clock()
        self._start(CompressConfig(scorer="lexical", min_tokens=50, keep_rate=0.3))

    def _start(self, config: CompressConfig) -> None:
        """Begin another process with the ledger's file."""
        self.store = FlakyStore(SQLiteStore(self.folder / "ledger.db", self.clock.time))
        self.mine = Compressor(config, store=FrontedStore(self.store, clock=self.clock.monotonic))

    @rule(
        lines=st.sampled_from([1, 30, 90, 200]),
        kind=st.sampled_from(["log {i} worker done", "def f{i}(): return {i}", '"{i}",']),
        thinks=st.booleans(),
    )
    def call_a_tool(self, lines: int, kind: str, thinks: bool) -> None:
        made = self._answer({"content": f"Step {self.branch}.{len(self.recorded)}."}, thinks=thinks)
        made["tool_calls"] = [{"name": "run", "arguments": {"n": len(self.recorded)}}]
        self.recorded.append({"role": "tool", "content": "\n".join(kind.replace("{i}", str(i)) for i in range(lines))})

    @rule(text=st.text(max_size=40), thinks=st.booleans())
    def speak(self, text: str, thinks: bool) -> None:
        self._answer({"content": f"Well {self.branch}."}, thinks=thinks)
        self.recorded.append({"role": "user", "content": f"Go on. {text}"})

    def _answer(self, message: dict[str, Any], *, thinks: bool) -> dict[str, Any]:
        if thinks and self.provider.requests:
            identity = f"rs_{self.branch}_{len(self.recorded)}"
            self.provider.bind(identity)
            self.reasoned[len(self.recorded)] = identity
        self.recorded.append({"role": "assistant", **message})
        return self.recorded[-1]

    @rule(steps=st.integers(1, 3))
    def go_back(self, steps: int) -> None:
        ends = [i for i, message in enumerate(self.recorded) if message["role"] != "assistant"]
        self.recorded = self.recorded[: ends[max(0, len(ends) - 1 - steps)] + 1]
        self.reasoned = {i: identity for i, identity in self.reasoned.items() if i < len(self.recorded)}
        self.branch += 1

    @rule()
    def mark_the_end_for_the_cache(self) -> None:
        self.marked = not self.marked

    @rule(tokens=st.sampled_from([None, 200, 800, 3000]))
    def must_fit(self, tokens: int | None) -> None:
        self.target_tokens = tokens

    @precondition(lambda self: not self.store.is_down)
    @rule(scorer=st.sampled_from(SCORERS), rate=st.sampled_from([0.05, 0.3, 0.9]), least=st.sampled_from([1, 50, 5000]))
    def restart_with_other_settings(self, scorer: str, rate: float, least: int) -> None:
        deadline_ms = 60.0 if scorer.endswith("Sleepy") else 60_000.0
        self._start(CompressConfig(scorer=scorer, min_tokens=least, keep_rate=rate, deadline_ms=deadline_ms))

    @rule()
    def the_ledger_goes(self) -> None:
        self.store.is_down = True

    @rule()
    def the_ledger_comes_back(self) -> None:
        self.store.is_down = False
        self.clock.ahead_s += 60.0  # or it is not asked again yet

    @rule(seconds=st.sampled_from([-1e6, 3600.0, 1e7]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.clock.off_s += seconds
        self.clock.ahead_s += max(0.0, seconds)

    @invariant()
    def every_request_begins_with_the_one_before(self) -> None:
        messages = self._messages()
        result = self.mine.compress(
            messages, on_error="ignore", format=self.provider.format, target_tokens=self.target_tokens
        )
        previous = self.provider.send(result.messages, messages)
        receipt = result.receipt
        assert (previous is None) == (receipt.rewritten_from is None)
        if previous is not None:
            assert self.target_tokens is not None
            if self.provider.format != "responses":  # items may be gone there
                assert previous.startswith(_bytes(result.messages[: receipt.rewritten_from]))
        if self.target_tokens is not None:
            assert receipt.request_tokens is not None
            assert receipt.request_tokens <= self.target_tokens or receipt.skipped_because

    def _messages(self) -> list[dict[str, Any]]:
        """What the agent sends: its reasoning comes back with what was put out with it."""
        format = self.provider.format
        made = to_wire(self.recorded, format)
        bounds = [len(to_wire(self.recorded[:i], format)) for i in range(len(self.recorded) + 1)]
        messages: list[dict[str, Any]] = []
        for i, (start, stop) in enumerate(itertools.pairwise(bounds)):
            reasoned = i in self.reasoned
            messages += with_reasoning(made[start:stop], self.reasoned[i], format) if reasoned else made[start:stop]
        if self.marked and format == "anthropic" and isinstance(messages[-1]["content"], list):
            *parts, last = messages[-1]["content"]
            messages[-1] = {**messages[-1], "content": [*parts, {**last, "cache_control": {"type": "ephemeral"}}]}
        return messages

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


TestAgent = Agent.TestCase
TestAgent.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


class TestProvider:
    """That it would notice."""

    def test_results_without_calls(self) -> None:
        messages = [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": "y"}]
        with pytest.raises(BadRequestError, match="preceeding message"):
            Provider("openai").send(messages, messages)

    def test_arguments_that_were_changed(self) -> None:
        messages = to_wire([{"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"b": 1}}]}], "anthropic")
        other = to_wire([{"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"b": 2}}]}], "anthropic")
        with pytest.raises(BadRequestError, match="something other"):
            Provider("anthropic").send(other, messages)

    @pytest.mark.parametrize("format", ["openai", "anthropic", "responses"])
    def test_what_reasoning_is_bound_to(self, format: str) -> None:
        recorded: list[dict[str, Any]] = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"name": "a", "arguments": {}}]},
            {"role": "tool", "content": "one"},
        ]
        provider, before = Provider(format), to_wire(recorded, format)
        provider.send(before, before)
        provider.bind("rs_1")
        answer = with_reasoning(to_wire([{"role": "assistant", "content": "y"}], format), "rs_1", format)
        provider.send([*before, *answer], [*before, *answer])
        changed = to_wire([*recorded[:2], {"role": "tool", "content": "two"}], format)
        with pytest.raises(BadRequestError, match=r"thinking|encrypted"):
            provider.send([*changed, *answer], [*before, *answer])
        left = to_wire([{"role": "assistant", "content": "y"}], format)
        provider.send([*changed, *left], [*before, *answer])
        assert provider.rewrites == 1

    def test_empty_results_and_too_many_markers(self) -> None:
        recorded = [
            {"role": "assistant", "tool_calls": [{"name": "a", "arguments": {}}]},
            {"role": "tool", "content": "one"},
        ]
        meant = to_wire(recorded, "anthropic")
        with pytest.raises(BadRequestError, match="non-empty"):
            Provider("anthropic").send(to_wire([recorded[0], {"role": "tool", "content": ""}], "anthropic"), meant)
        part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
        marked = [{"role": "user", "content": [part] * 5}]
        with pytest.raises(BadRequestError, match="Found 5"):
            Provider("anthropic").send(marked, marked)

    def test_a_marker_that_was_moved(self) -> None:
        part = {"type": "text", "text": "x"}
        meant = [{"role": "user", "content": [{**part, "cache_control": {"type": "ephemeral"}}, part]}]
        moved = [{"role": "user", "content": [part, {**part, "cache_control": {"type": "ephemeral"}}]}]
        with pytest.raises(BadRequestError, match="something other"):
            Provider("anthropic").send(moved, meant)
