"""Receipts: money, references, shadow mode, sinks and what was billed; never a word of the conversation."""

from __future__ import annotations

import json
import logging
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentcompress import Receipt
from agentcompress.accounting.sinks import JsonlSink, OtelSink, open_sink
from agentcompress.conversation.own_texts import own_texts
from agentcompress.errors import ConfigError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.notes import make_sent_key
from agentcompress.receipt import Money, Usage
from agentcompress.schema import Reading
from agentcompress.targets.counting import get_token_counter
from agentcompress.targets.prompt_cache import PromptCache
from tests import fakes
from tests.fakes import conversation
from tests.texts_of_agents import make_log

SECRET = "sesame_street_42"
LOG = make_log(300, f"worker {{i}} did {{jobs}} jobs {SECRET}")
SONNET = "claude-sonnet-4-6"
compressor = partial(fakes.compressor, keep_rate=0.2, target=SONNET)


def agent(turns: int, *, marked: bool = True) -> list[dict[str, Any]]:
    """A conversation of so many tool results, ending with one; its client sets cache markers."""
    messages = conversation(LOG)
    if marked:
        text = {"type": "text", "text": messages[0]["content"], "cache_control": {"type": "ephemeral"}}
        messages[0] = {"role": "system", "content": [text]}
    for i in range(1, turns):
        call = {"id": f"c{i}", "type": "function", "function": {"name": "read_log", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": f"Step {i}.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{i}", "content": f"{i}\n{LOG}"},
        ]
    return messages


def text_of(message: Any) -> str:
    content = message["content"] or ""
    return content if isinstance(content, str) else content[0]["text"]


def test_money_is_what_a_provider_bills() -> None:
    """The same conversation through the model of a prompt cache, with and without."""
    shared, count = compressor(), get_token_counter(SONNET).count
    caches = PromptCache(SONNET), PromptCache(SONNET)
    saved = 0.0
    for turns in range(1, 6):
        messages = agent(turns)
        result = shared.compress(messages)
        money = result.receipt.money
        assert isinstance(money, Money)
        assert money.list_before == pytest.approx(result.receipt.tokens_before * 3e-6)
        assert money.list_after == pytest.approx(result.receipt.tokens_after * 3e-6)
        for cache, sent, said in zip(caches, (messages, result.messages), (money.before, money.after), strict=True):
            ends = list(range(2, len(sent) + 1, 2))  # before every reply, and all
            tokens = [sum(count(text_of(m)) for m in sent[:end]) for end in ends]
            prefixes = [(str(sent[:end]), n) for end, n in zip(ends, tokens, strict=True)]
            if turns == 1:
                cache.bill(prefixes[:1], -1.0)  # the request that the first call answered
            assert said == pytest.approx(cache.bill(prefixes, float(turns)).compute_dollars(cache.facts))
        assert money.saved == pytest.approx(money.before - money.after - money.draft)
        saved += money.saved
    assert saved > 0


def test_a_cache_that_has_gone_cold_saves_more(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = compressor()
    for turns in (1, 2):
        shared.compress(agent(turns))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 299)
    warm = shared.compress(agent(3)).receipt.money
    monkeypatch.setattr(time, "monotonic", lambda: now + 299 + 301)
    cold_receipt = shared.compress(agent(4)).receipt
    cold = cold_receipt.money
    assert warm is not None
    assert cold is not None
    assert (warm.warm, cold.warm) == (True, False)
    assert cold.before == pytest.approx(cold_receipt.tokens_before * 3.75e-6)
    again = shared.compress(agent(4)).receipt.money
    assert again is not None
    assert again.before == pytest.approx(cold_receipt.tokens_before * 0.3e-6)  # a retry finds all of it in the cache


def test_what_was_sent_raw_before_is_written_again() -> None:
    """Switched on in the middle of a conversation: history begins to differ, and is no longer in the cache."""
    fresh, used = compressor(), compressor()
    for turns in range(1, 6):
        used.compress(agent(turns))
    late, early = (each.compress(agent(6)).receipt for each in (fresh, used))
    assert late.money is not None
    assert early.money is not None
    assert late.tokens_after == early.tokens_after
    assert late.money.before == pytest.approx(early.money.before)
    assert late.money.after > 2 * early.money.after
    assert late.money.after > late.tokens_after * 2e-6  # nearly all of it is written


def test_without_markers_no_write_is_taken_off() -> None:
    text = f"Which worker did most?\n<log>\n{LOG}</log>"
    money = compressor().compress([{"role": "user", "content": text}]).receipt.money
    assert money is not None
    assert (money.before, money.after) == (money.list_before, money.list_after)


def test_what_stands_beside_the_messages_counts_too() -> None:
    system = {"system": "You are a careful engineer. " * 2000}
    with_it = compressor().compress(agent(2), beside=system).receipt.money
    alone = compressor().compress(agent(2)).receipt.money
    assert with_it is not None
    assert alone is not None
    assert with_it.list_before > alone.list_before + 0.02


def test_a_first_request_has_nothing_in_a_cache() -> None:
    text = f"Which worker did most?\n<log>\n{LOG}</log>"
    part = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
    money = compressor().compress([{"role": "user", "content": [part]}]).receipt.money
    assert money is not None
    assert not money.warm
    assert money.after <= money.before == pytest.approx(money.list_before * 1.25)


def test_the_machine_is_paid_for() -> None:
    dear = compressor(machine_price=1e6).compress(agent(1)).receipt
    assert dear.money is not None
    assert dear.money.draft == pytest.approx(dear.ms / 3.6e6 * 1e6)
    assert dear.money.saved < 0
    assert compressor(machine_price=0).compress(agent(1)).receipt.money.draft == 0  # pyrefly: ignore


def test_no_price_no_money() -> None:
    assert compressor(target="ollama/llama3").compress(agent(1)).receipt.money is None


def test_a_cut_costs_what_is_written_again() -> None:
    shared = compressor(keep_rate=0.8)
    for turns in (1, 2, 3):
        shared.compress(agent(turns))
    cut = shared.compress(agent(4), target_tokens=9000).receipt
    other = compressor(keep_rate=0.8)
    kept = [other.compress(agent(turns)).receipt for turns in (1, 2, 3, 4)][-1]
    assert cut.rewritten_from == 3
    assert cut.money is not None
    assert kept.money is not None
    fresh = cut.money.after / (cut.tokens_after * 3.75e-6)
    assert fresh > 0.8  # nearly all of it is written again
    assert kept.money.after / (kept.tokens_after * 3.75e-6) < 0.6


def test_strings_that_the_reply_took_are_looked_for_in_what_was_sent(tmp_path: Path) -> None:
    shared = compressor(receipts=str(tmp_path / "receipts.jsonl"))
    messages = agent(1)
    sent = str(shared.compress(messages).messages[3]["content"])
    numbers = {str(i * 7919 % 1000) for i in range(300) if i * 7919 % 1000 > 99}
    kept = sorted(n for n in numbers if n in sent)[:3]
    lost = sorted(n for n in numbers if n not in sent)[:2]
    reply = {"role": "assistant", "content": f"See `{' '.join([*kept, *lost])}`, not 99 or `plain words`."}
    receipt = shared.compress([*messages, reply, {"role": "user", "content": "And?"}]).receipt
    assert (receipt.used, receipt.used_kept) == (5, 3)
    call = {"id": "c", "type": "function", "function": {"name": "grep", "arguments": json.dumps({"p": lost[0]})}}
    more = [*messages, {"role": "assistant", "content": None, "tool_calls": [call]}]
    receipt = shared.compress([*more, {"role": "tool", "tool_call_id": "c", "content": "none"}]).receipt
    assert (receipt.used, receipt.used_kept) == (1, 0)
    assert compressor().compress(messages).receipt.used is None


class TalkingScorer:
    """Fails, and says with what."""

    def score(self, segment: Any, reading: Reading) -> Any:
        raise ValueError(f"could not parse {segment.text[:200]!r}")


def test_receipts_hold_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "receipts.jsonl"
    shared = compressor(receipts=str(file))
    for turns in (1, 2):
        shared.compress(agent(turns))
    broken = compressor(receipts=str(file), scorer="tests.unit.test_receipts:TalkingScorer")
    with caplog.at_level(logging.WARNING, "agentcompress"):
        broken.compress(agent(1), on_error="warn")
    written = file.read_text(encoding="utf-8") + caplog.text
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3
    assert "because of a ValueError" in written
    for word in (SECRET, "careful engineer", "Which line failed", "worker 1"):
        assert word not in written
    record = json.loads(written.splitlines()[0])
    assert record["type"] == "receipt"
    assert record["blocks"][0]["decision"] == "new"
    assert record["blocks"][0]["scorer"] == "lexical"
    assert {"segment", "score", "select", "total"} <= set(record["blocks"][0]["stages_ms"])
    assert record["money"]["saved"] > 0


def test_kinds_are_summed() -> None:
    receipt = compressor().compress(agent(3)).receipt
    rows = receipt.by_kind()
    assert list(rows) == ["read_log"]
    assert rows["read_log"]["blocks"] == rows["read_log"]["cut"] == 3
    assert (
        rows["read_log"]["tokens_before"] - rows["read_log"]["tokens_after"]
        == receipt.tokens_before - receipt.tokens_after
    )


def test_conversations_are_told_apart() -> None:
    shared = compressor()
    first, more = (shared.compress(agent(turns)).receipt.conversation for turns in (1, 2))
    other = shared.compress(conversation(LOG, "Which one was slow?")).receipt.conversation
    assert first == more != other


def test_shadow_mode_sends_the_original_and_says_what_would_have_been() -> None:
    store = MemoryStore()
    shadow, live = (compressor(store, mode=mode) for mode in ("shadow", "live"))
    messages = agent(2)
    result = shadow.compress(messages)
    assert all(a is b for a, b in zip(result.messages, messages, strict=True))
    assert result.receipt.mode == "shadow"
    assert result.receipt.tokens_after < result.receipt.tokens_before / 2
    assert result.receipt.used is not None
    again = shadow.compress(agent(3)).receipt
    assert [block.decision for block in again.blocks] == ["replayed", "replayed", "new"]
    switched = live.compress(messages)  # nothing of what was never sent is repeated
    assert [block.decision for block in switched.receipt.blocks] == ["new", "new"]
    assert switched.messages != messages
    body = {"model": SONNET, "messages": messages}
    assert shadow.compress_request(body).body == body


def test_what_a_shadow_made_was_sent_by_nobody() -> None:
    store = MemoryStore()
    shadow = compressor(store, mode="shadow", keep_rate=0.37)
    [would] = [text for text in shadow.compress(agent(1)).sent if text is not None]
    assert store.get(make_sent_key(would)) is None
    assert not own_texts.knows_text(would)


def test_a_shadow_leaves_a_request_as_it_is() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Which worker did most?"}]
    for i in range(4):
        used = {"type": "tool_use", "id": f"t{i}", "name": "read", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"t{i}", "content": f"{i}{LOG}"}
        messages += [{"role": "assistant", "content": [thinking, used]}, {"role": "user", "content": [result]}]
    body = {"model": SONNET, "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 9}, "messages": messages}
    assert compressor(mode="shadow").compress_request(body, target_tokens=9000).body == body
    assert compressor().compress_request(body, target_tokens=9000).body != body


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 896}}, (1000, 896)),
        ({"prompt_tokens": 1000, "cache_read_input_tokens": 900}, (1000, 900)),
        ({"prompt_tokens": 1000}, (1000, 0)),
        ({"prompt_tokens": 1000, "prompt_tokens_details": 5}, (1000, 0)),
        ({"prompt_tokens": 1000, "prompt_tokens_details": SimpleNamespace(cached_tokens=3)}, (1000, 3)),
        ({"input_tokens": 1000, "cache_read_input_tokens": "x"}, (1000, 0)),
        ({"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 128}}, (1000, 128)),
        ({"input_tokens": 10, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 90}, (1000, 900)),
    ],
)
def test_usage_of_every_format(usage: dict[str, Any], expected: tuple[int, int]) -> None:
    receipt = compressor().compress(agent(1), target_tokens=100_000).receipt
    found = receipt.reconciled(usage).usage
    assert found is not None
    assert (found.input_tokens, found.cached_tokens) == expected
    assert found.drift == pytest.approx((receipt.request_tokens or 0) / 1000 - 1)


@pytest.mark.parametrize(
    "usage",
    [
        *(None, {}, 3, "x", {"completion_tokens": 3}, {"prompt_tokens": "n/a"}, {"prompt_tokens": -3}),
        *({"input_tokens": float("nan")}, {"input_tokens": [1]}, {"input_tokens": None, "prompt_tokens": True}),
    ],
)
def test_what_is_no_usage(usage: Any) -> None:
    receipt = compressor().compress(agent(1)).receipt
    assert receipt.reconciled(usage) is receipt


def test_drift_is_reported_once_a_target_and_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "receipts.jsonl"
    shared = compressor(receipts=str(file))
    receipt = shared.compress(agent(1), target_tokens=100_000).receipt
    tokens = receipt.request_tokens or 0
    with caplog.at_level(logging.WARNING, "agentcompress"):
        shared.reconciled(receipt, {"prompt_tokens": int(tokens * 1.01)})
        assert not caplog.records
        for _ in range(3):
            shared.reconciled(receipt, {"prompt_tokens": int(tokens * 1.1), "cache_read_input_tokens": 7})
    assert [record.message for record in caplog.records] == [
        f"{SONNET} bills other tokens than are counted here: +10.0 %"
    ]
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["type"] for record in records] == ["receipt", *["usage"] * 4]
    assert records[-1]["id"] == receipt.id
    assert records[-1]["cached_tokens"] == 7
    body = {"model": "gpt-5", "previous_response_id": "r1", "input": [{"role": "user", "content": "And now?"}]}
    goes_on = shared.compress_request(body, target_tokens=100_000).receipt
    assert goes_on.reconciled({"input_tokens": 50_000}).usage == Usage(50_000, 0, None)
    no_estimate = shared.compress(agent(2)).receipt
    assert shared.reconciled(no_estimate, {"prompt_tokens": 10}).usage == Usage(10, 0, None)


def test_lines_of_many_threads_are_whole(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "r.jsonl")
    threads = [
        threading.Thread(target=lambda n=n: [sink.write({"n": n, "i": i, "x": "y" * 500}) for i in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [json.loads(line) for line in sink.path.read_text(encoding="utf-8").splitlines()]
    assert {(row["n"], row["i"]) for row in rows} == {(n, i) for n in range(8) for i in range(50)}


def test_a_sink_that_fails_loses_receipts_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    shared = compressor(receipts=str(folder / "r.jsonl"))
    folder.rmdir()
    for turns in (1, 2):
        assert len(shared.compress(agent(turns)).messages) == len(agent(turns))
    assert [record.message.split(":")[0] for record in caplog.records] == ["receipts are lost"]


def test_bad_settings(tmp_path: Path) -> None:
    for settings, message in (
        ({"mode": "dry"}, 'mode must be "live" or "shadow"'),
        ({"receipts": ""}, 'receipts must be "otel", a file, or None'),
        ({"machine_price": -1}, "machine_price must be a number >= 0"),
        (
            {"receipts": str(tmp_path / "no" / "r.jsonl")},
            'receipts must be "otel", or a file in a folder that is there',
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            compressor(**settings)


def test_opentelemetry() -> None:
    from opentelemetry import trace

    sink = open_sink("otel")
    assert isinstance(sink, OtelSink)
    events: list[tuple[str, Any]] = []

    class Span(trace.NonRecordingSpan):
        def add_event(self, name: str, attributes: Any = None, timestamp: Any = None) -> None:
            events.append((name, attributes))

    with trace.use_span(Span(trace.INVALID_SPAN_CONTEXT)):
        receipt = compressor(receipts="otel").compress(agent(1)).receipt
        compressor(receipts="otel").reconciled(receipt, {"prompt_tokens": 10})
    assert [name for name, _ in events] == ["agentcompress", "agentcompress"]
    assert events[0][1]["agentcompress.tokens_after"] == receipt.tokens_after
    assert SECRET not in str(events)


def test_receipts_are_json() -> None:
    receipt = compressor().compress(agent(1)).receipt
    assert json.loads(json.dumps(receipt.to_dict()))["money"]["saved"] == receipt.money.saved  # pyrefly: ignore
    assert isinstance(receipt, Receipt)
