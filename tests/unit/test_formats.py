"""Every wire format: what is read of it, what is put in place, and that everything else comes out as it went in."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.conversation.blocks import RAW_BOUND, RAW_CACHED
from agentcompress.errors import InvalidInputError, MessageFormatError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.formats import WIRES, find_wire
from agentcompress.messages.view import Address, replace_texts
from agentcompress.schema import Span
from tests import fakes
from tests.fakes import conversation
from tests.texts_of_agents import LOG

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
QUESTION = "Which worker failed with a disk quota?"


def anthropic(result: Any = LOG) -> list[dict[str, Any]]:
    """A loop with thinking, an image, and a tool result in the last user message."""
    return [
        {"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image", "source": PNG}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should read the log.", "signature": "c2ln"},
                {"type": "text", "text": "Let me read the log."},
                {"type": "tool_use", "id": "toolu_1", "name": "read_log", "input": {"path": "a.log"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": result}]},
    ]


def responses(result: Any = LOG) -> list[dict[str, Any]]:
    """Input items with reasoning and a call."""
    return [
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA=="},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me read the log."}]},
        {"type": "function_call", "call_id": "c1", "name": "read_log", "arguments": '{"path": "a.log"}', "id": "fc_1"},
        {"type": "function_call_output", "call_id": "c1", "output": result},
    ]


CASES = {"openai": conversation(LOG, QUESTION), "anthropic": anthropic(), "responses": responses()}
compressor = partial(fakes.compressor, min_tokens=200, keep_rate=0.1)


@pytest.mark.parametrize("name", CASES)
def test_formats_are_told_apart(name: str) -> None:
    assert find_wire(CASES[name]).name == name
    assert find_wire(CASES[name], name) is WIRES[name]


@pytest.mark.parametrize("name", CASES)
def test_a_tool_result_is_compressed_and_nothing_else_is_touched(name: str) -> None:
    messages = copy.deepcopy(CASES[name])
    result = compressor().compress(messages)
    assert messages == CASES[name]
    (block,) = result.receipt.blocks
    assert (block.kind, block.tool, block.decision, block.message) == ("tool", "read_log", "new", len(messages) - 1)
    assert all(a is b for a, b in zip(result.messages[:-1], messages[:-1], strict=True))
    before, after = json.dumps(messages[-1]), json.dumps(result.messages[-1])
    assert "worker 137 failed: disk quota exceeded" in after
    assert len(after) < 0.2 * len(before)
    text = json.dumps(LOG)
    kept = after[before.index(text) : len(after) - (len(before) - before.index(text) - len(text))]
    assert before.replace(text, kept) == after  # keys, their order, ids


@pytest.mark.parametrize("name", ["anthropic", "responses"])
def test_parts_of_a_result_are_texts_of_their_own(name: str) -> None:
    kind = "text" if name == "anthropic" else "input_text"
    image = {"type": "image", "source": PNG}
    messages = {"anthropic": anthropic, "responses": responses}[name]([{"type": kind, "text": LOG}, image])
    result = compressor().compress(messages)
    holder = result.messages[-1]["content"][0]["content"] if name == "anthropic" else result.messages[-1]["output"]
    assert holder[1] is image
    assert len(holder[0]["text"]) < 0.2 * len(LOG)


@pytest.mark.parametrize("name", CASES)
def test_the_next_step_repeats_the_bytes(name: str) -> None:
    mine = compressor()
    first = mine.compress(CASES[name])
    reply = {"role": "assistant", "content": "Worker 137."}
    again = compressor(mine.store, keep_rate=0.5)
    result = again.compress([*CASES[name], reply, {"role": "user", "content": "And then?"}])
    assert json.dumps(result.messages[: len(first.messages)]) == json.dumps(first.messages)
    assert result.receipt.blocks[0].decision == "replayed"


@pytest.mark.parametrize("name", ["anthropic", "responses"])
def test_what_reasoning_is_bound_to_stays(name: str) -> None:
    messages = [*CASES[name], *CASES[name][1:]]
    result = compressor().compress(messages)
    assert [block.reason for block in result.receipt.blocks] == [RAW_BOUND, None]
    assert all(a is b for a, b in zip(result.messages[:-1], messages[:-1], strict=True))


def test_a_cache_marker_inside_of_a_result_counts() -> None:
    marked = [{"type": "text", "text": LOG, "cache_control": {"type": "ephemeral"}}]
    result = compressor().compress([*anthropic(marked), {"role": "assistant", "content": "Well."}])
    assert result.receipt.blocks[0].reason == RAW_CACHED


def test_what_a_marker_is_on_for_the_first_time_was_not_sent_before() -> None:
    marked = [{"type": "text", "text": LOG, "cache_control": {"type": "ephemeral"}}]
    assert compressor().compress(anthropic(marked)).receipt.blocks[0].decision == "new"


def test_a_text_and_a_list_of_it_are_one_history() -> None:
    mine = compressor()
    marked = {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}
    first = [{"role": "user", "content": [marked]}, *anthropic([{"type": "text", "text": LOG}])[1:]]
    later = [{"role": "user", "content": QUESTION}, *anthropic(LOG)[1:]]
    sent = mine.compress(first).messages[2]["content"][0]["content"][0]["text"]
    again = mine.compress([*later, {"role": "assistant", "content": "137."}])
    assert again.receipt.blocks[0].decision == "replayed"
    assert again.messages[2]["content"][0]["content"] == sent


def test_what_an_answer_cites_is_no_document() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    said = {"role": "assistant", "content": [{"type": "text", "text": "137", "citations": [citation]}]}
    assert compressor().compress([*anthropic(), said]).receipt.blocks[0].reason is None


def test_a_document_in_a_chat_stays_a_chat() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "short"}
    chat = [{"role": "user", "content": [{"type": "document", "source": source}]}, *conversation(LOG)[1:]]
    assert find_wire(chat).name == "openai"
    assert find_wire(chat[:1]).name == "anthropic"


def test_objects_in_messages_are_edited_without_what_nobody_set() -> None:
    from openai.types.responses import ResponseInputText

    part = ResponseInputText(type="input_text", text=LOG)
    output = {"type": "function_call_output", "call_id": "c1", "output": [part]}
    result = compressor().compress([*responses()[:4], output])
    assert set(result.messages[4]["output"][0]) == {"type", "text"}
    assert part.text == LOG


def test_items_may_be_references() -> None:
    items = [{"id": "msg_1"}, {"type": "item_reference", "id": "msg_2"}, *responses()]
    mine = compressor()
    assert mine.compress(items, format="responses").receipt.blocks[0].decision == "new"
    assert mine.compress([{"id": "msg_3"}, *items[1:]], format="responses").receipt.blocks[0].decision == "new"


def test_the_human_of_an_anthropic_loop_is_found() -> None:
    seen: list[str] = []

    class Noted(MemoryStore):
        pass

    mine = compressor(Noted())
    compress_text = mine.compress_text

    def noted(text: str, **options: Any) -> Any:
        seen.append(options["query"].query)
        return compress_text(text, **options)

    mine.compress_text = noted  # type: ignore[method-assign]
    mine.compress(anthropic())
    assert seen == [f'Task: {QUESTION}\nLast action: Let me read the log.\nread_log {{"path": "a.log"}}']


def test_documents_are_context_unless_they_are_cited() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": LOG}
    document = {"type": "document", "source": source, "title": "a.log"}
    cited = {**document, "citations": {"enabled": True}}
    found = {"type": "search_result", "source": "x", "title": "y", "content": [{"type": "text", "text": LOG}]}
    messages = [{"role": "user", "content": [document, cited, found, {"type": "text", "text": QUESTION}]}]
    result = compressor().compress(messages)
    parts = result.messages[0]["content"]
    assert [block.kind for block in result.receipt.blocks] == ["context", "context"]
    assert len(parts[0]["source"]["data"]) < 0.2 * len(LOG)
    assert {**parts[0]["source"], "data": LOG} == source
    assert parts[1] is cited
    assert len(parts[2]["content"][0]["text"]) < 0.2 * len(LOG)
    assert parts[3] is messages[0]["content"][3]


def test_the_clients_objects_are_messages() -> None:
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    text = ResponseOutputText(type="output_text", text="Let me read the log.", annotations=[])
    said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
    call = ResponseFunctionToolCall(type="function_call", call_id="c1", name="read_log", arguments='{"path": "a.log"}')
    plain = responses()
    held = [plain[0], plain[1], said, call, plain[4]]
    mine = compressor()
    first = mine.compress(held)
    assert first.messages[2] is said
    assert first.messages[3] is call
    assert first.receipt.blocks[0].tool == "read_log"
    second = mine.compress([plain[0], plain[1], *(item.model_dump() for item in (said, call)), plain[4]])
    assert second.receipt.blocks[0].decision == "replayed"


def test_a_list_of_texts_is_one_history_in_all_formats() -> None:
    store = MemoryStore()
    messages = [{"role": "user", "content": f"<log>\n{LOG}</log>\n{QUESTION}"}]
    mine = compressor(store)
    decisions = [mine.compress(messages, format=name).receipt.blocks[0].decision for name in WIRES]  # type: ignore[arg-type]
    assert decisions == ["new", "replayed", "replayed"]


def test_nobody_reads_anothers_decisions() -> None:
    mine = compressor()
    calls = [{"namespace": "a"}, {"namespace": "b"}, {"namespace": "a"}, {"continues": "resp_1"}, {}]
    found = [mine.compress(CASES["openai"], **call).receipt.blocks[0].decision for call in calls]
    assert found == ["new", "new", "replayed", "new", "new"]


@pytest.mark.parametrize(
    ("messages", "name", "error"),
    [
        ("text", "responses", r"messages must be a list of OpenAI Responses input items"),
        ({"role": "user"}, "anthropic", r"messages must be a list of Anthropic messages"),
        (5, "openai", r"messages must be a list of OpenAI chat messages"),
    ],
)
def test_what_is_no_message_says_so(messages: Any, name: Any, error: str) -> None:
    with pytest.raises(MessageFormatError, match=error):
        compressor().compress(messages, format=name)


def test_an_unknown_format_says_which_there_are() -> None:
    with pytest.raises(InvalidInputError, match="format must be one of auto, openai, responses, anthropic, got 'xml'"):
        compressor().compress([], format="xml")  # type: ignore[arg-type]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@given(
    extra=st.dictionaries(st.text(min_size=1, max_size=8), json_values, max_size=4), name=st.sampled_from(sorted(CASES))
)
def test_whatever_else_a_message_holds_comes_out_as_it_went_in(extra: dict[str, Any], name: str) -> None:
    messages = [
        {**{k: v for k, v in extra.items() if k not in message and k != "cache_control"}, **message}
        for message in CASES[name]
    ]
    before = json.dumps(messages)
    result = compressor().compress(messages, format=name)  # type: ignore[arg-type]
    assert json.dumps(messages) == before
    for a, b in zip(result.messages, messages, strict=True):
        assert list(a) == list(b)
        assert {k: v for k, v in a.items() if k not in ("content", "output")} == {
            k: v for k, v in b.items() if k not in ("content", "output")
        }


def test_an_edit_shares_all_that_is_beside_it() -> None:
    messages = [{"a": [{"text": "hello"}, {"b": 1}], "c": {"d": 2}}]
    (edited,) = replace_texts(messages, {Address(0, ("a", 0, "text")): [(Span(1, 4), "u"), (Span(4, 5), "ll")]})
    assert edited["a"][0]["text"] == "hull"
    assert edited["a"][1] is messages[0]["a"][1]
    assert edited["c"] is messages[0]["c"]
    assert messages[0]["a"][0]["text"] == "hello"
