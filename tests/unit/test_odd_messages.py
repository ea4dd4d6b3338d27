"""One odd message does not switch compression off: it stays as it is, is told of once, and all else is as ever."""

from __future__ import annotations

import copy
import json
import logging
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

import agentcompress
from agentcompress import CompressConfig, Compressor
from agentcompress.doors.guard import Guarded
from agentcompress.messages import oddities
from tests import fakes
from tests.fakes import conversation
from tests.texts_of_agents import LOG, make_log

compressor = partial(fakes.compressor, min_tokens=200, keep_rate=0.1)
LATER = make_log(300, "job {i} has left {jobs} files behind")
DEEP: Any = "x"
for _ in range(400):
    DEEP = {"a": [DEEP]}
Loose = type("Loose", (), {})  # an object that is nobody's message

ODD: dict[str, list[Any]] = {
    "any": [
        {"role": "wizard", "content": LOG},
        {"role": "critic", "content": [{"type": "text", "text": LOG}]},
        {"role": 7, "content": LOG},
        {"role": ["user"], "content": LOG},
        {"content": LOG},
        {"role": "user", "content": 5},
        {"role": "user", "content": {"text": LOG}},
        {"role": "user", "content": [LOG, 7, None]},
        {"role": "user", "content": [{"text": LOG}]},
        {"role": "user", "content": [{"type": "hologram", "text": LOG}]},
        {"role": "user", "content": [{"type": {"a": 1}, "text": LOG}]},
        {"role": "user", "content": [{"type": "text", "text": 7}]},
        {"role": "user", "content": [{"type": "text"}]},
        {"type": "hologram", "data": [LOG]},
        {"role": "user", "content": {1, 2}},
        {"role": "user", "content": DEEP},
        {},
        5,
        None,
        "a text alone",
        Loose(),
        SimpleNamespace(role="user", content=LOG),
    ],
    "openai": [
        {"role": "tool", "tool_call_id": "call_9", "content": 17},
        {"role": "tool", "tool_call_id": "call_9", "content": {"rows": [LOG]}},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "x", "function": {"name": 1, "arguments": {1: 2}}}],
        },
    ],
    "anthropic": [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": 17}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": {"rows": [LOG]}}]},
        {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": LOG}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_9", "name": None, "input": {1, 2}}]},
    ],
    "responses": [
        {"type": "function_call_output", "call_id": "c9", "output": 17},
        {"type": "function_call_output", "call_id": "c9", "output": {"rows": [LOG]}},
        {"type": "hologram_call", "id": "hg_1", "status": "completed", "text": LOG},
        {"type": "hologram_call_output", "call_id": "c9", "output": LOG},
    ],
}


def anthropic(identity: str, result: str) -> list[dict[str, Any]]:
    use = {"type": "tool_use", "id": identity, "name": "read_log", "input": {"path": f"{identity}.log"}}
    answer = {"type": "tool_result", "tool_use_id": identity, "content": result}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [answer]}]


def responses(identity: str, result: str) -> list[dict[str, Any]]:
    call = {"type": "function_call", "call_id": identity, "name": "read_log", "arguments": "{}"}
    return [call, {"type": "function_call_output", "call_id": identity, "output": result}]


def openai(identity: str, result: str) -> list[dict[str, Any]]:
    call = {"id": identity, "type": "function", "function": {"name": "read_log", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": identity, "content": result},
    ]


STEPS = {"openai": openai, "anthropic": anthropic, "responses": responses}
FORMAT_AND_ODD = [(name, odd) for name in STEPS for odd in [*ODD["any"], *ODD[name]]]


@pytest.fixture(autouse=True)
def nothing_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oddities, "_told", set())


def bytes_of(messages: Any) -> str:
    return json.dumps(messages, default=lambda value: type(value).__name__)


@pytest.mark.parametrize(("name", "odd"), FORMAT_AND_ODD)
def test_all_else_is_compressed_as_ever(name: str, odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    mine = compressor()
    step = STEPS[name]
    history: list[Any] = [{"role": "user", "content": "Which worker failed?"}, *step("one", LOG)]
    first = mine.compress(history, format=name).messages  # type: ignore[arg-type]
    assert len(bytes_of(first)) < 0.3 * len(bytes_of(history))

    before = bytes_of(odd)
    history = [*history, odd, *step("two", LATER)]
    second = mine.compress(history, format=name, on_error="raise")  # type: ignore[arg-type]
    assert second.messages[: len(first)] == first
    assert second.messages[len(first)] is odd
    assert bytes_of(odd) == before
    assert len(bytes_of(second.messages[-1])) < 0.3 * len(LATER)
    assert [block.decision for block in second.receipt.blocks] == ["replayed", "new"]
    assert any(record.levelno == logging.WARNING and record.name == "agentcompress" for record in caplog.records) or (
        odd in ODD["openai"][2:] + ODD["anthropic"][3:]
    )

    caplog.clear()
    memo = {id(DEEP): DEEP}  # too deep for Python to copy
    third = mine.compress([*copy.deepcopy(history, memo), *step("three", LOG)], format=name)  # type: ignore[arg-type]
    assert bytes_of(third.messages[: len(history)]) == bytes_of(second.messages)
    assert [block.decision for block in third.receipt.blocks][:2] == ["replayed", "replayed"]
    assert not caplog.records


@pytest.mark.parametrize(("name", "odd"), FORMAT_AND_ODD)
def test_what_comes_after_hangs_on_the_odd_message_too(name: str, odd: Any) -> None:
    mine = compressor()
    step = STEPS[name]
    with_it, without = [odd, *step("one", LOG)], step("one", LOG)
    found = [
        mine.compress(messages, format=name).receipt.blocks[-1].decision for messages in (with_it, without, with_it)
    ]  # type: ignore[arg-type]
    assert found == ["new", "new", "replayed"]


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("at", [0, 2])
def test_an_odd_message_does_not_change_the_format(name: str, at: int) -> None:
    history = [{"role": "user", "content": "Which worker failed?"}, *STEPS[name]("one", LOG)]
    for odd in ({"role": "wizard", "content": "x"}, {"type": "hologram", "data": 1}, {"content": 5}, 5):
        assert compressor().compress([*history[:at], odd, *history[at:]]).receipt.blocks[-1].decision == "new", odd


def test_a_request_is_made_to_fit_with_an_odd_message_in_it() -> None:
    for name, step in STEPS.items():
        for odd in [*ODD["any"], *ODD[name]]:
            history = [{"role": "user", "content": "Which?"}, *step("one", LOG), *step("two", LATER)]
            whole = compressor(keep_rate=0.9).compress([odd, *history], format=name).receipt.tokens_after  # type: ignore[arg-type]
            result = compressor(keep_rate=0.9).compress([odd, *history], format=name, target_tokens=whole - 1000)  # type: ignore[arg-type]
            assert result.messages[0] is odd
            assert result.receipt.tokens_after < whole


def test_every_kind_of_oddity_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    mine = compressor()
    for _ in range(3):
        for role in ("wizard", "critic", "wizard", "SECRET text of somebody"):
            mine.compress([{"role": role, "content": "x"}, *conversation(LOG)])
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "a message's role 'wizard' is not known, and is left as it is",
        "a message's role 'critic' is not known, and is left as it is",
        "a message's role of no known name is not known, and is left as it is",
    ]


def test_no_flood_of_names_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    for i in range(500):
        oddities.note_oddity("a message's role", f"role{i}")
    assert len(caplog.records) == 100


class TestDoors:
    """Every door takes the same way in."""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        import litellm

        seen: list[dict[str, Any]] = []
        monkeypatch.setattr(litellm, "completion", lambda **kwargs: seen.append(kwargs))
        monkeypatch.setattr(litellm, "responses", lambda **kwargs: seen.append(kwargs))
        return seen

    @pytest.mark.parametrize("odd", [*ODD["any"], *ODD["openai"]])
    def test_completion(self, sent: list[dict[str, Any]], odd: Any) -> None:
        mine = Compressor(CompressConfig(scorer="lexical", ledger="memory", keep_rate=0.1))
        agentcompress.completion("gpt-4o", conversation(LOG), agentcompress=mine)
        agentcompress.completion("gpt-4o", [*conversation(LOG), odd], agentcompress=mine)
        assert sent[1]["messages"][:4] == sent[0]["messages"] != conversation(LOG)
        assert sent[1]["messages"][4] is odd

    @pytest.mark.parametrize("odd", [*ODD["any"], *ODD["responses"]])
    def test_responses(self, sent: list[dict[str, Any]], odd: Any) -> None:
        mine = Compressor(CompressConfig(scorer="lexical", ledger="memory", keep_rate=0.1))
        items = [{"role": "user", "content": "Which?"}, *responses("one", LOG)]
        agentcompress.responses(items, "gpt-4o", agentcompress=mine)
        agentcompress.responses([*items, odd], "gpt-4o", agentcompress=mine)
        assert sent[1]["input"][:3] == sent[0]["input"] != items
        assert sent[1]["input"][3] is odd

    @pytest.mark.parametrize("odd", ODD["any"])
    def test_what_is_handed_on(self, odd: Any) -> None:
        guarded = Guarded(compressor())
        shorter = guarded.shorten([*conversation(LOG), odd])
        assert shorter[4] is odd
        assert len(shorter[3]["content"]) < 0.3 * len(LOG)

    @pytest.mark.parametrize("odd", [*ODD["any"], *ODD["anthropic"]])
    def test_a_whole_request(self, odd: Any) -> None:
        body = {"system": "Be brief.", "messages": [*anthropic("one", LOG), odd], "model": "claude-sonnet-4-5"}
        result = compressor().compress_request(body).body["messages"]
        assert result[-1] is odd
        assert len(bytes_of(result[1])) < 0.3 * len(LOG)

    @pytest.mark.parametrize(
        "odd",
        [
            SimpleNamespace(type="hologram", content=LOG, name=None, additional_kwargs={}, response_metadata={}),
            SimpleNamespace(type=None, content={"a": LOG}, name=None, additional_kwargs={}, response_metadata={}),
            HumanMessage([{"text": LOG}, {"type": "hologram", "text": LOG}]),
            {"role": "wizard", "content": LOG},
            5,
        ],
    )
    def test_langchain(self, odd: Any) -> None:
        call = {"name": "read_log", "args": {}, "id": "one", "type": "tool_call"}
        history = [HumanMessage("Which?"), AIMessage("", tool_calls=[call]), ToolMessage(LOG, tool_call_id="one")]
        mine = compressor()
        first = mine.compress(history).messages
        second = mine.compress([*history, odd, AIMessage("Well."), HumanMessage("And?")], on_error="raise").messages
        assert second[:3] == first != history
        assert second[3] is odd


json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["role", "type", "content", "text", "output", "input", "source", "id", "call_id"]), inner
        ),
    ),
    max_leaves=10,
)


@given(odd=json_like, name=st.sampled_from(sorted(STEPS)), at=st.integers(0, 3))
def test_whatever_stands_in_the_list_the_rest_is_compressed(odd: Any, name: str, at: int) -> None:
    history: list[Any] = [{"role": "user", "content": "Which worker failed?"}, *STEPS[name]("one", LOG)]
    before = bytes_of(odd)
    result = compressor().compress([*history[:at], odd, *history[at:]], format=name)  # type: ignore[arg-type]
    assert bytes_of(result.messages[at]) == before
    assert len(bytes_of(result.messages)) < len(before) + 0.3 * len(LOG)
