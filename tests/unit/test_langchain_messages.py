"""LangChain's messages in the line: read without loss, and put back with nothing but their texts changed."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agentcompress.messages import langchain
from agentcompress.messages.formats import WIRES
from agentcompress.messages.hashing import chain
from tests import fakes
from tests.texts_of_agents import make_log

LOG = make_log(150)
CALL = {"name": "logs", "args": {"worker": "17", "deep": [1, {"a": None}]}, "id": "call_1", "type": "tool_call"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
compressor = partial(fakes.compressor, keep_rate=0.3)


def agent_messages() -> list[BaseMessage]:
    return [
        SystemMessage("You are terse."),
        HumanMessage(["Which worker crashed?", IMAGE]),
        AIMessage(
            [{"type": "thinking", "thinking": "hm", "signature": "s1"}, {"type": "text", "text": "I look."}],
            tool_calls=[CALL],
            usage_metadata={"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
            response_metadata={"model": "x"},
            id="run-1",
        ),
        ToolMessage(
            LOG,
            tool_call_id="call_1",
            name="logs",
            id="t-1",
            artifact={"rows": [1, 2]},
            status="error",
            additional_kwargs={"a": 1},
            response_metadata={"b": 2},
        ),
    ]


def test_a_tool_message_keeps_everything_but_its_content() -> None:
    messages = agent_messages()
    before = copy.deepcopy(messages)
    sent = compressor().compress(messages).messages
    assert messages == before
    assert [a is b for a, b in zip(sent, messages, strict=True)] == [True, True, True, False]
    old, new = messages[3], sent[3]
    assert isinstance(new, ToolMessage)
    assert len(new.content) < len(old.content) / 2
    assert {**vars(new), "content": None} == {**vars(old), "content": None}


def test_texts_in_lists_are_compressed_and_images_beside_them_stay() -> None:
    messages = [*agent_messages()[:3], ToolMessage([LOG, IMAGE, {"type": "text", "text": LOG}], tool_call_id="call_1")]
    content = compressor().compress(messages).messages[3].content
    assert content[1] is messages[3].content[1]
    assert [part["type"] for part in content] == ["text", "image_url", "text"]
    assert all(0 < len(content[i]["text"]) < len(LOG) / 2 for i in (0, 2))


def test_a_bare_text_beside_one_that_is_cut_stays_bare() -> None:
    messages = [*agent_messages()[:3], ToolMessage(["short", {"type": "text", "text": LOG}], tool_call_id="call_1")]
    content = compressor().compress(messages).messages[3].content
    assert content[0] == "short"
    assert len(content[1]["text"]) < len(LOG)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}},
        {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}},
    ],
)
def test_nothing_before_reasoning_is_compressed_anew(part: dict[str, Any]) -> None:
    messages = [*agent_messages(), AIMessage([part, {"type": "text", "text": "So."}])]
    result = compressor().compress(messages)
    assert all(a is b for a, b in zip(result.messages, messages, strict=True))
    assert result.receipt.blocks[0].decision == "raw"


def test_reasoning_that_a_cut_has_made_worthless_goes_and_the_rest_comes_back_as_it_was() -> None:
    part = {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}}
    messages: list[BaseMessage] = [HumanMessage("Which worker crashed?")]
    for i in range(6):
        messages += [
            AIMessage([part, "I look."], tool_calls=[{**CALL, "id": f"c{i}"}]),
            ToolMessage(f"{i}{LOG}", tool_call_id=f"c{i}"),
        ]
    shared = compressor()
    for end in range(1, len(messages) + 1, 2):
        sent = shared.compress(messages[:end])
    cut = shared.compress(messages, target_tokens=3000)
    assert cut.receipt.reasoning_dropped == 5
    assert [message.content for message in cut.messages[3::2]] == [["I look."]] * 5
    assert len(sent.messages) == len(cut.messages)
    assert all(type(a) is type(b) for a, b in zip(cut.messages, messages, strict=True))


def responses_turns(extra: dict[str, Any] | None = None) -> list[BaseMessage]:
    """Turns as `ChatOpenAI` has them of Responses: reasoning, and what came with it, by ids of the server's."""
    messages: list[BaseMessage] = [HumanMessage("Which worker crashed?")]
    for i in range(6):
        parts: list[Any] = [
            {"type": "reasoning", "id": f"rs_{i}", "summary": [], "encrypted_content": "x"},
            {"type": "text", "text": "I look.", "id": f"msg_{i}"},
            {"type": "function_call", "name": "logs", "arguments": "{}", "call_id": f"c{i}", "id": f"fc_{i}"},
            *([extra] if extra else []),
        ]
        messages += [
            AIMessage(parts, tool_calls=[{**CALL, "id": f"c{i}"}]),
            ToolMessage(f"{i}{LOG}", tool_call_id=f"c{i}"),
        ]
    return messages


def cut_to_fit(messages: list[BaseMessage]) -> list[BaseMessage]:
    shared = compressor()
    for end in range(1, len(messages) + 1, 2):
        shared.compress(messages[:end])
    return shared.compress(messages, target_tokens=2600).messages


def test_what_came_with_reasoning_that_is_gone_has_no_id_to_miss_it_by() -> None:
    sent = cut_to_fit(responses_turns())
    changed = [message.content for message in sent[3::2]]
    assert changed == [
        [
            {"type": "text", "text": "I look."},
            {"type": "function_call", "name": "logs", "arguments": "{}", "call_id": f"c{i}"},
        ]
        for i in range(1, 6)
    ]


def test_reasoning_before_a_hosted_call_stays() -> None:
    messages = responses_turns({"type": "web_search_call", "id": "ws_1", "status": "completed"})
    assert [m.content for m in cut_to_fit(messages)[1::2]] == [m.content for m in messages[1::2]]


def test_parts_of_others_are_not_taken_for_ours() -> None:
    messages = [
        *agent_messages()[:3],
        ToolMessage([{"type": "json", "thinking": {"a": 1}}, LOG], tool_call_id="call_1"),
    ]
    content = compressor().compress(messages).messages[3].content
    assert content[0] is messages[3].content[0]
    assert len(content[1]["text"]) < len(LOG) / 2


def test_bytes_are_no_hindrance() -> None:
    """Gemini's media parts hold them."""
    media = {"type": "media", "mime_type": "image/png", "data": b"\x89PNG"}
    messages = [HumanMessage(["Which worker crashed?", media]), *agent_messages()[2:]]
    shared = compressor()
    first = shared.compress(messages)
    assert first.receipt.blocks[0].decision == "new"
    messages[0] = HumanMessage(["Which worker crashed?", {**media, "data": b"other"}])
    assert shared.compress(messages).receipt.blocks[0].decision == "new"


def test_decisions_outlive_a_checkpoint() -> None:
    shared = compressor()
    messages = agent_messages()
    first = shared.compress(messages)
    serde = JsonPlusSerializer()
    again = serde.loads_typed(serde.dumps_typed(messages))
    more = [*pickle.loads(pickle.dumps(again)), AIMessage("Worker 17."), HumanMessage("Sure?")]
    second = shared.compress(more)
    assert second.receipt.blocks[0].decision == "replayed"
    assert second.messages[3].content == first.messages[3].content


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (HumanMessage("x"), "user"),
        (AIMessage("x"), "assistant"),
        (AIMessageChunk("x"), "assistant"),
        (SystemMessage("x"), "system"),
        (FunctionMessage("x", name="f"), "function"),
        (ChatMessage("x", role="critic"), "system"),
        (ChatMessage("x", role="user"), "user"),
    ],
)
def test_roles(message: BaseMessage, role: str) -> None:
    [chat] = langchain.to_chat([message])
    assert chat["role"] == role
    assert langchain.from_chat([chat])[0] is message


def test_what_no_model_is_sent_stays_as_it_is() -> None:
    messages = [HumanMessage("x"), RemoveMessage(id="1")]
    assert all(a is b for a, b in zip(compressor().compress(messages).messages, messages, strict=True))


def test_calls_that_could_not_be_parsed_make_another_message() -> None:
    broken = {"name": "logs", "args": '{"a', "id": "1", "error": None, "type": "invalid_tool_call"}
    with_it, without = ([AIMessage("x", invalid_tool_calls=calls)] for calls in ([broken], []))
    keys = [list(chain(langchain.to_chat(messages), WIRES["openai"])) for messages in (with_it, without)]
    assert keys[0] != keys[1]


parts = st.one_of(
    st.text(max_size=5),
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=5)),
    st.just(IMAGE),
    st.just({"type": "thinking", "thinking": "x", "signature": "y"}),
    st.just({"type": "reasoning", "reasoning": "x"}),
    st.just({"type": "text", "text": "cited", "annotations": [{"type": "citation"}]}),
    st.just({"type": "text-plain", "text": LOG}),
)
contents = st.one_of(st.text(max_size=20), st.lists(parts, max_size=4))
any_message = st.one_of(
    st.builds(HumanMessage, contents),
    st.builds(SystemMessage, contents),
    st.builds(lambda content: AIMessage(content, tool_calls=[CALL]), contents),
    st.builds(lambda content: ToolMessage(content, tool_call_id="call_1"), contents),
)


@given(st.lists(any_message, max_size=5))
def test_reading_and_putting_back_is_the_identity(messages: list[BaseMessage]) -> None:
    back = langchain.from_chat(langchain.to_chat(messages))
    assert all(a is b for a, b in zip(back, messages, strict=True))


@given(st.lists(any_message, max_size=4), any_message)
def test_a_message_more_changes_no_key_before_it(messages: list[BaseMessage], more: BaseMessage) -> None:
    def keys(given: list[BaseMessage]) -> list[str]:
        return list(chain(langchain.to_chat(given), WIRES["openai"]))

    assert keys([*messages, more])[:-1] == keys(messages)


def test_lists_without_langchains_messages_are_not_touched() -> None:
    for messages in ([], [{"role": "user", "content": "x"}], "text", None, {"role": "user"}):
        assert langchain.to_chat(messages) is messages
