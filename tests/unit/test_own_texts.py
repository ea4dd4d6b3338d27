"""What was compressed here is not compressed again, whichever door it comes through next."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from agentcompress import CompressConfig, Compressor, compressed
from agentcompress.config import CallSettings
from agentcompress.conversation.own_texts import SEEN, OwnTexts
from agentcompress.doors.litellm_sender import compress_call
from agentcompress.doors.requests import RequestCompressor
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.formats import WIRES
from agentcompress.targets.counting import get_token_counter
from tests.fakes import conversation
from tests.texts_of_agents import LOG

CONFIG = CompressConfig(scorer="lexical", min_tokens=100, keep_rate=0.2)


def history(question: str) -> list[dict[str, Any]]:
    return [*conversation(LOG, question), {"role": "assistant", "content": "Well."}, {"role": "tool", "content": "ok"}]


def test_a_conversation_is_known_by_all_its_texts() -> None:
    mine, wire = OwnTexts(), WIRES["openai"]
    messages = history("Known by all its texts?")
    assert not mine.knows_conversation(messages, wire)
    mine.note_conversation(messages, wire)
    assert mine.knows_conversation(history("Known by all its texts?"), wire)
    assert not mine.knows_conversation(history("Known by some?"), wire)
    assert not mine.knows_conversation([*messages, {"role": "user", "content": "And?"}], wire)


def test_the_oldest_are_forgotten() -> None:
    mine = OwnTexts(max_texts=2)
    for text in ("a", "b", "c"):
        mine.note_texts([text])
    assert [mine.knows_text(text) for text in ("a", "b", "c")] == [False, True, True]


def test_a_second_door_sends_what_the_first_has_made() -> None:
    """What the first has left raw after a failure is not tried again by the second, which has another compressor."""
    broken = CompressConfig(scorer="tests.fakes:BrokenScorer", min_tokens=100, keep_rate=0.2)
    doors = [RequestCompressor(Compressor(each, store=MemoryStore())) for each in (broken, CONFIG)]
    kwargs = {"model": "gpt-4o", "messages": history("Which door is the second?")}
    first = compress_call(doors[0], kwargs, "completion", CallSettings())
    assert first.receipt is not None
    second = compress_call(doors[1], first.kwargs, "completion", CallSettings())
    assert (second.receipt, second.skipped_because) == (None, SEEN)
    assert second.kwargs["messages"] is first.kwargs["messages"]


def test_a_function_within_a_function() -> None:
    receipts: list[Any] = []
    inner = compressed(config=CONFIG, on_receipt=receipts.append)(lambda messages: messages)
    outer = compressed(config=CONFIG, on_receipt=receipts.append)(lambda messages: (messages, inner(messages)))
    given, sent = outer(history("What does a function within a function get?"))
    assert sent is given
    assert [[block.reason for block in receipt.blocks] for receipt in receipts] == [
        [None, "under min_tokens"],
        [SEEN, "under min_tokens"],
    ]


def test_a_function_within_a_function_is_made_to_fit() -> None:
    inner = compressed(config=CONFIG, target_tokens=1500)(lambda messages: messages)
    outer = compressed(config=CONFIG, keep_rate=0.9, fit=False)(lambda messages: (messages, inner(messages)))
    given, sent = outer(history("What does a function within a function get that must fit?"))
    count = get_token_counter("gpt-4o").count
    sizes = [sum(count(str(message["content"] or "")) for message in messages) for messages in (given, sent)]
    assert sizes[0] > 4000
    assert sizes[1] < 1500


def test_another_process_knows_texts_by_the_ledger(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    text = Compressor(CONFIG, store=store).compress(history("Who else knows it?")).messages[3]["content"]
    from agentcompress.conversation import own_texts

    own_texts.own_texts._texts.clear()
    with caplog.at_level(logging.WARNING):
        again = Compressor(CONFIG, store=store).compress(conversation(text * 1, "Does it come back?"))
    assert again.receipt.blocks[0].reason == SEEN
    assert not caplog.records
