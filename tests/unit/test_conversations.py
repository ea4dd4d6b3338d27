from __future__ import annotations

import copy
import json
import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import Compressor
from agentcompress.config import CallSettings
from agentcompress.conversation.blocks import RAW_CACHED, RAW_SMALL, Block, find_blocks
from agentcompress.conversation.ladder import RAW_WHOLE
from agentcompress.errors import DeadlineError, MessageFormatError, ScoringError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.conversation import Conversation
from agentcompress.schema import Decision, Reading, Segment
from tests import fakes
from tests.fakes import WordCounter, conversation
from tests.texts import any_text
from tests.texts_of_agents import LOG

compressor = partial(fakes.compressor, min_tokens=200, keep_rate=0.1)


def planned(messages: list[dict[str, Any]], min_tokens: int) -> list[Block]:
    return find_blocks(Conversation.read(messages, CallSettings(format="openai"), WordCounter()), min_tokens)


def test_a_tool_result_is_compressed_and_nothing_else_is_touched() -> None:
    messages = conversation(LOG, "Which worker failed with a disk quota?")
    before = copy.deepcopy(messages)
    result = compressor().compress(messages, target="gpt-4o")
    assert messages == before
    assert [message is original for message, original in zip(result.messages, messages, strict=True)] == [
        True,
        True,
        True,
        False,
    ]
    tool = result.messages[3]
    assert {**tool, "content": LOG} == messages[3]
    assert list(tool) == list(messages[3])
    assert "worker 137 failed: disk quota exceeded" in tool["content"]
    (block,) = result.receipt.blocks
    assert (block.decision, block.kind, block.tool, block.message) == ("new", "tool", "read_log", 3)
    assert block.tokens_after <= 0.1 * block.tokens_before + 1
    assert result.receipt.tokens_before - result.receipt.tokens_after == block.tokens_before - block.tokens_after
    json.dumps(result.receipt.to_dict())


def test_a_decision_is_never_rewritten() -> None:
    store = MemoryStore()
    messages = conversation(LOG)
    first = compressor(store)
    text = first.compress(messages).messages[3]["content"]
    longer = [*messages, {"role": "assistant", "content": "Noted."}, {"role": "user", "content": "And worker 12?"}]
    other = compressor(store, scorer="random", min_tokens=1, keep_rate=0.9)
    again = other.compress(longer, target="gpt-4")
    assert again.messages[3]["content"] == text
    assert again.receipt.blocks[0].decision == "replayed"


def test_raw_is_a_decision_too() -> None:
    store = MemoryStore()
    messages = conversation("short")
    strict = fakes.compressor(store, min_tokens=1000)
    assert strict.compress(messages).receipt.blocks[0].reason == RAW_SMALL
    eager = compressor(store, min_tokens=1)
    assert eager.compress(messages).messages == messages


def test_a_different_history_is_decided_anew() -> None:
    mine = compressor()
    a = mine.compress(conversation(LOG, "Which worker failed?"))
    b = mine.compress(conversation(LOG, "Which worker finished first?"))
    assert [result.receipt.blocks[0].decision for result in (a, b)] == ["new", "new"]


def test_a_cache_marker_that_moves_along_changes_no_decision() -> None:
    mine = compressor()
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = conversation(LOG)
    messages[1] |= mark
    first = mine.compress(messages)
    assert first.receipt.blocks[0].decision == "new"
    messages[1].pop("cache_control")
    call = {"id": "call_2", "type": "function", "function": {"name": "read_log", "arguments": "{}"}}
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "ok", **mark}]},
    ]
    assert mine.compress(messages).messages[3] == first.messages[3]


def test_a_failure_is_a_decision_that_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    works = compressor(store)
    fails = compressor(store, scorer="tests.fakes:BrokenScorer", keep_rate=0.2)
    messages = conversation(LOG)
    first = works.compress(messages).messages[3]
    messages += [{"role": "assistant", "content": "Next."}, {"role": "tool", "tool_call_id": "x", "content": LOG + "!"}]
    with pytest.raises(ScoringError):
        fails.compress(messages)
    sent = [c.compress(messages, on_error="warn") for c in (fails, works)]
    assert [result.messages[3] for result in sent] == [first, first]
    assert sent[0].messages == sent[1].messages
    assert len(sent[0].messages[5]["content"]) < 0.3 * len(LOG)
    assert [result.receipt.blocks[1].decision for result in sent] == ["new", "replayed"]
    reason = sent[0].receipt.blocks[1].reason
    assert reason is not None
    assert reason.startswith("tests.fakes:BrokenScorer: ScoringError: ")
    assert "because of a RuntimeError" in caplog.text


def test_a_scorer_that_failed_rests_for_a_while() -> None:
    mine = compressor(scorer="tests.fakes:BrokenScorer")
    first = mine.compress(conversation(LOG), on_error="ignore").receipt.blocks[0]
    second = mine.compress(conversation(LOG + "!"), on_error="ignore").receipt.blocks[0]
    assert "ScoringError" in (first.reason or "")
    assert second.reason == "tests.fakes:BrokenScorer rests after a failure"
    assert second.tokens_after < 0.2 * second.tokens_before


class Told:
    """Notes what it is told, and prefers the beginning."""

    readings: list[Reading] = []  # noqa: RUF012 - a test looks at it

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        self.readings.append(reading)
        return -np.arange(len(segment.units), dtype=np.float64)


def test_a_scorer_is_told_all_that_is_known_of_what_a_text_is_read_for() -> None:
    Told.readings.clear()
    mine = compressor(scorer="tests.unit.test_conversations:Told")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why did it fail?"},
        {
            "role": "assistant",
            "content": "I will look.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "read", "arguments": '{"path": "x.log"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": LOG},
        {"role": "user", "content": f"And in this one?\n<log>\n{LOG}!\n</log>"},
    ]
    mine.compress(messages)
    result, pasted = Told.readings
    assert (result.task, result.said, result.tool) == ("And in this one?\n<log>\n\n\n</log>", "I will look.", "read")
    assert result.arguments == '{"path": "x.log"}'
    assert result.query == f'Task: {result.task}\nLast action: I will look.\nread {{"path": "x.log"}}'
    assert [text for text in result.before if text] == ["Be brief.", "Why did it fail?", "I will look."]
    assert (pasted.query, pasted.tool) == (pasted.task, "")
    assert [text for text in pasted.before if text][-2:] == ['{"path": "x.log"}', LOG]
    mine.compress_text(LOG, query="Which?", keep_rate=0.2)
    assert Told.readings[-1] == Reading("Which?")


class Hanging:
    """Never comes back, and does not listen."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        threading.Event().wait(30)
        raise AssertionError


@pytest.mark.parametrize(("on_error", "warned"), [("warn", True), ("ignore", False)])
def test_a_scorer_that_hangs_is_left_behind(on_error: Any, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    mine = compressor(scorer="tests.unit.test_conversations:Hanging")
    started = time.monotonic()
    result = mine.compress(conversation(LOG), on_error=on_error, deadline_ms=2500)
    assert time.monotonic() - started < 5
    assert len(result.messages[3]["content"]) < len(LOG) / 4  # by BM25
    assert "DeadlineError" in (result.receipt.blocks[0].reason or "")
    assert bool(caplog.text) == warned
    with pytest.raises(DeadlineError):
        compressor(scorer="tests.unit.test_conversations:Hanging").compress(conversation(LOG), deadline_ms=100)


def test_the_same_message_in_another_form_is_the_same_history() -> None:
    import litellm

    mine = compressor()
    messages: list[Any] = conversation(LOG)
    messages[2] = litellm.Message(**messages[2])
    mine.compress(messages)
    for form in (messages[2].model_dump(), messages[2].model_dump(exclude_none=True), conversation(LOG)[2]):
        messages[2] = form
        assert mine.compress(messages).receipt.blocks[0].decision == "replayed"


def test_a_block_is_found_again_by_another_targets_tokenizer() -> None:
    mine = compressor()
    messages = [{"role": "user", "content": f"Why did it fail?\n\n{LOG[:8300]}"}]
    sent = [mine.compress(messages, target=target).messages for target in ("claude-sonnet-4-5", "gpt-4o", "gpt-4")]
    assert sent[0] == sent[1] == sent[2] != messages


def test_a_receipt_counts_what_was_sent_in_the_targets_own_tokens() -> None:
    from agentcompress.targets.counting import get_token_counter

    mine = compressor()
    messages = conversation(LOG)
    mine.compress(messages, target="gpt-4o")
    result = mine.compress(messages, target="claude-sonnet-4-5")
    count = get_token_counter("claude-sonnet-4-5").count
    assert result.receipt.tokens_after == sum(count(m["content"] or "") for m in result.messages)
    assert result.receipt.tokens_before == sum(count(m["content"] or "") for m in messages)


def test_a_text_part_beside_the_request_is_context() -> None:
    parts = [{"type": "text", "text": LOG}, {"type": "text", "text": "Which worker failed?"}]
    sent = compressor().compress([{"role": "user", "content": parts}]).messages[0]["content"]
    assert sent[1] is parts[1]
    assert len(sent[0]["text"]) < len(LOG) / 4


@pytest.mark.parametrize(("text", "rate"), [("\n\n\n \n", 0.1), ("word", 1.0), (LOG, 1.0)])
def test_a_block_is_never_sent_empty_or_for_nothing(text: str, rate: float) -> None:
    messages = conversation(text)
    result = compressor(min_tokens=1, keep_rate=rate, segmenter="lines").compress(messages)
    assert result.messages[3] is messages[3]
    assert result.receipt.blocks[0].reason == RAW_WHOLE


def test_an_empty_store_is_a_store() -> None:
    class Sized(MemoryStore):
        def __len__(self) -> int:
            return 0

    store = Sized()
    assert Compressor(store=store).store is store


@pytest.mark.parametrize("calls", ["abc", [None], 5, [{"id": 1, "function": "f"}], [{"id": 1}], {}])
def test_malformed_tool_calls_are_passed_through(calls: Any) -> None:
    messages = conversation(LOG)
    messages[2]["tool_calls"] = calls
    result = compressor().compress(messages)
    assert result.messages[2] is messages[2]
    assert result.receipt.blocks[0].decision == "new"


def test_a_failing_scorer_decides_nothing() -> None:
    store = MemoryStore()
    messages = conversation(LOG)
    broken = fakes.compressor(store, scorer="tests.fakes:BrokenScorer", min_tokens=200)
    with pytest.raises(ScoringError, match="out of memory"):
        broken.compress(messages)
    works = fakes.compressor(store, min_tokens=200)
    assert works.compress(messages).receipt.blocks[0].decision == "new"


PASTED = LOG.strip()
STORY = "It was late in the year and the harbour lay still. Nobody had seen the boats return.\n\n" * 120


@pytest.mark.parametrize(
    ("content", "contexts"),
    [
        (f"Why?\n<log path='a'>\n{LOG}</log>\nThanks.", [PASTED]),
        (f"Why?\n```text\n{LOG}```\n", [PASTED]),
        (f"Why?\n~~~~\n```\n{LOG}```\n~~~~", [f"```\n{PASTED}\n```"]),
        (f"Why did it fail?\n\n{LOG}\n\nBe brief.", [PASTED]),
        (f"{LOG}\n\nWhy did it fail?", [PASTED]),
        (f"<documents><document>{LOG}</document>\n<document>{LOG}</document></documents> Why?", [PASTED, PASTED]),
        (f"<p>one<br/>two<p>three <ctx>{LOG}</ctx> Why?", [PASTED]),
        (f"Question: Why?\n\n{STORY}", 1),
        (f"{STORY}\n\nQuestion: Why?", 1),
        (f"Please build this for me, will you? Why?\n\n{STORY}\n\nThanks.", []),
        (f"<instructions>{LOG}</instructions>", []),
        (f"Follow the rules.\n\n<rules>\n{LOG}</rules>\n\nThanks.", []),
        (f"Follow the rules.\n\n<rules>\n```\n{LOG}```\n</rules>\n\nThanks.", []),
        (f"<context><rules>{STORY}</rules><log>{LOG}</log></context> Why?", [PASTED]),
        (f"<page>{'<p>one two three four five six seven eight nine ten</p>' * 60}</page> Why?", 1),
        (f"<user_query>{LOG}</user_query>", []),
        (f"<log>{LOG}", []),
        (LOG.replace("\n", " "), []),
        (LOG, []),
        ("Is <b>this</b> bold?", []),
        ("Just a question.", []),
    ],
)
def test_context_blocks_of_user_messages(content: str, contexts: list[str] | int) -> None:
    messages = [{"role": "user", "content": content}]
    blocks = list(planned(messages, 500))
    assert (len(blocks) if isinstance(contexts, int) else [block.text for block in blocks]) == contexts
    for block in blocks:
        assert (block.kind, "Why" in block.query, "worker" in block.query) == ("context", True, False)


@pytest.mark.parametrize("hostile", ["<a>" * 200_000, "</a>" * 200_000, "```\n~~~\n" * 100_000, "<a " * 200_000])
def test_hostile_markup_takes_linear_time(hostile: str) -> None:
    messages = [{"role": "user", "content": hostile}]
    list(planned(messages, 500))


def test_a_compressed_context_block_leaves_the_request_as_it_is() -> None:
    content = f"Which worker failed?\n<log>\n{LOG}</log>\nAnswer in one word."
    sent = compressor().compress([{"role": "user", "content": content}]).messages[0]["content"]
    assert sent.startswith("Which worker failed?\n<log>\n")
    assert sent.endswith("</log>\nAnswer in one word.")
    assert "worker 137 failed" in sent
    assert len(sent) < len(content) / 4


def test_parts_images_and_markers_are_left_alone() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    marked = {"type": "text", "text": LOG, "cache_control": {"type": "ephemeral"}}
    messages = conversation(LOG)
    messages[3]["content"] = [image, {"type": "text", "text": LOG, "extra": 1}]
    result = compressor().compress(messages)
    new_image, text = result.messages[3]["content"]
    assert new_image is image
    assert {**text, "text": LOG} == messages[3]["content"][1]
    assert len(text["text"]) < len(LOG) / 4

    messages[3]["content"] = [marked]
    result = compressor().compress([*messages, {"role": "assistant", "content": "Well."}])
    assert result.messages[3] is messages[3]
    assert result.receipt.blocks[0].reason == RAW_CACHED


def test_the_query_is_the_last_human_text_and_the_call() -> None:
    messages = [*conversation(LOG), {"role": "user", "content": "What about disk quotas?"}]
    (block,) = planned(messages, 1)
    assert block.query == 'Task: What about disk quotas?\nLast action: read_log {"path": "a.log"}'


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("hello", r"messages must be a list of OpenAI chat messages"),
        ({"role": "user"}, r"messages must be a list of OpenAI chat messages"),
        ([{"role": "user", "content": ENDLESS}], r"messages must be JSON-like throughout"),
    ],
)
def test_what_is_no_chat_says_so(messages: Any, message: str) -> None:
    with pytest.raises(MessageFormatError, match=message):
        compressor().compress(messages)


marked_text = st.tuples(st.sampled_from(["log", "rules", "p", ""]), any_text).map(
    lambda drawn: f"<{drawn[0]}>{drawn[1] * 5}</{drawn[0]}>" if drawn[0] else f"```\n{drawn[1] * 5}\n```"
)
texts = st.lists(st.one_of(any_text, marked_text), min_size=1, max_size=4).map("\n".join)
contents = st.one_of(st.none(), texts, texts.map(lambda text: [{"type": "text", "text": text}]))
roles = st.sampled_from(["system", "user", "assistant", "tool"])


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "role": roles,
                "content": st.one_of(st.none(), any_text, any_text.map(lambda t: [{"type": "text", "text": t}])),
            },
            optional={"tool_call_id": st.text(max_size=5), "name": st.text(max_size=5)},
        ),
        max_size=6,
    )
)
def test_any_chat_keeps_its_shape_and_its_protected_bytes(messages: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(messages)
    result = compressor(min_tokens=5, keep_rate=0.3).compress(messages)
    assert messages == before
    assert len(result.messages) == len(messages)
    for sent, message in zip(result.messages, messages, strict=True):
        assert {**sent, "content": None} == {**message, "content": None}
        if message["role"] in ("system", "assistant"):
            assert sent == message
    assert compressor(min_tokens=5, keep_rate=1.0).compress(messages).messages == messages


def test_library_message_objects_pass_through() -> None:
    from pydantic import BaseModel

    class Message(BaseModel):
        role: str = "assistant"
        content: str | None = None
        tool_calls: list[dict[str, Any]] | None = None

    messages: list[Any] = conversation(LOG)
    messages[2] = Message(tool_calls=messages[2]["tool_calls"])
    result = compressor().compress(messages)
    assert result.messages[2] is messages[2]
    assert result.receipt.blocks[0].tool == "read_log"


class TestStoreContract:
    @pytest.fixture(params=[MemoryStore])
    def store(self, request: pytest.FixtureRequest) -> MemoryStore:
        return request.param()

    def test_first_writer_wins(self, store: MemoryStore) -> None:
        first, second = Decision("a", None, 10, 2, "lexical"), Decision.raw("later", 10)
        assert store.get("key") is None
        assert store.put("key", first) == first
        assert store.put("key", second) == first
        assert store.get("key") == first

    def test_many_threads_agree(self, store: MemoryStore) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            standing = set(pool.map(lambda i: store.put("key", Decision.raw(str(i), i)), range(200)))
        assert len(standing) == 1


def test_the_memory_store_forgets_the_least_recently_used() -> None:
    store = MemoryStore(max_entries=2)
    for key in ("a", "b"):
        store.put(key, Decision.raw(key, 1))
    store.get("a")
    store.put("c", Decision.raw("c", 1))
    assert store.get("b") is None
    assert store.get("a") is not None
