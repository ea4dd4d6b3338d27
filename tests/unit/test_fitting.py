"""The hard fit: a guarantee, one cut that lasts, and what was bound to what is gone."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import InvalidInputError
from agentcompress.conversation.fit import ROOM
from agentcompress.conversation.shares import share_out
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.messages.formats import WIRES
from agentcompress.messages.sizes import FILE_TOKENS, IMAGE_TOKENS, count_request_tokens
from agentcompress.schema import Decision
from agentcompress.text.clip import CLIP, clip_text
from tests import fakes
from tests.fakes import WordCounter
from tests.provider import Provider, reasoning, with_reasoning

FORMATS = list(WIRES)
compressor = partial(fakes.compressor, min_tokens=50, keep_rate=1.0)


def recorded(steps: int, lines: int = 200) -> list[dict[str, Any]]:
    """A request, and steps that each read a log of about 9 tokens a line."""
    found: list[dict[str, Any]] = [{"role": "user", "content": "Which worker failed?"}]
    for i in range(steps):
        call = {"name": "read", "arguments": {"path": f"{i}.log"}}
        found.append({"role": "assistant", "content": f"I read log {i}.", "tool_calls": [call]})
        found.append({"role": "tool", "content": "\n".join(f"{i}.{n} worker {n % 7} done" for n in range(lines))})
    return found


def tokens_of(messages: list[Any], format: str) -> int:
    mine = compressor()
    return count_request_tokens(messages, WIRES[format], mine.count_for("gpt-4o"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_long_history_fits_a_small_window(format: Any) -> None:
    messages = to_wire(recorded(20), format)
    before = json.dumps(messages)
    assert tokens_of(messages, format) > 30_000
    result = compressor().compress(messages, target_tokens=8_000, format=format)
    Provider(format).send(result.messages, messages)
    assert result.receipt.request_tokens == tokens_of(result.messages, format)
    assert 0.9 * ROOM * 8_000 < result.receipt.request_tokens <= 8_000
    assert result.receipt.skipped_because is None
    assert json.dumps(messages) == before
    sizes = [block.tokens_after for block in result.receipt.blocks]
    assert sizes[-1] > 3 * sizes[0]  # the last one is what the next step acts on


def test_what_fits_is_left_alone() -> None:
    messages = to_wire(recorded(3), "openai")
    result = compressor().compress(messages, target_tokens=200_000)
    assert result.messages == messages
    assert result.receipt.rewritten_from is None
    assert result.receipt.request_tokens == tokens_of(messages, "openai")


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_lasts_for_turns_and_outlives_the_process_and_the_setting(format: Any, tmp_path: Path) -> None:
    provider = Provider(format)
    rewritten = []
    for steps in range(1, 26):
        messages = to_wire(recorded(steps, 60), format)
        mine = compressor(SQLiteStore(tmp_path / "ledger.db"))
        result = mine.compress(messages, target_tokens=6_000, format=format)
        provider.send(result.messages, messages)
        assert result.receipt.request_tokens is not None
        assert result.receipt.request_tokens <= 6_000
        rewritten.append(result.receipt.rewritten_from)
    cuts = [at for at in rewritten if at is not None]
    assert 2 <= len(cuts) == provider.rewrites <= 8
    assert set(cuts) == {3 if format == "responses" else 2}  # the first result
    again = compressor(SQLiteStore(tmp_path / "ledger.db"), keep_rate=0.9).compress(messages, format=format)
    assert again.messages == result.messages
    other = compressor(SQLiteStore(tmp_path / "ledger.db")).compress(messages, format=format, target="gpt-4-32k")
    assert len(json.dumps(other.messages)) > 1.5 * len(json.dumps(result.messages))  # another target's own decisions


@pytest.mark.parametrize("fresh", [True, False])
def test_what_can_not_fit_is_sent_as_it_would_have_been(fresh: bool) -> None:
    mine = compressor(keep_rate=0.3)
    request: list[dict[str, Any]] = [{"role": "user", "content": "word " * 3000}]
    messages = to_wire([*request, *recorded(2)[1:]], "openai")
    expected = messages if fresh else mine.compress(messages).messages
    result = mine.compress(messages, target_tokens=2_000)
    assert result.messages == expected
    assert "target_tokens" in str(result.receipt.skipped_because)
    assert result.receipt.rewritten_from is None
    assert mine.compress(messages).messages == expected  # and stays so


@pytest.mark.parametrize("scorer", ["tests.fakes:BrokenScorer", "tests.fakes:NanScorer"])
@pytest.mark.parametrize("deadline_ms", [1.0, 60_000.0])
def test_it_is_a_guarantee(scorer: str, deadline_ms: float) -> None:
    mine = compressor(scorer=scorer, deadline_ms=deadline_ms)
    result = mine.compress(to_wire(recorded(20), "openai"), target_tokens=4_000, on_error="ignore")
    assert result.receipt.request_tokens is not None
    assert result.receipt.request_tokens <= 4_000
    assert all(text for text in (message["content"] for message in result.messages))


def test_short_blocks_are_cut_last() -> None:
    talk: list[dict[str, Any]] = recorded(8)
    talk[2]["content"] = "exit code 1: no such file: config.toml"
    result = compressor().compress(to_wire(talk, "openai"), target_tokens=4_000)
    assert result.messages[2]["content"] == talk[2]["content"]


def _reasoned(steps: int, format: str) -> list[dict[str, Any]]:
    """Every answer begins with reasoning, the n-th with that of id `rs_n`."""
    talk, out = recorded(steps), to_wire(recorded(0), format)
    for step in range(steps):
        start, middle, end = (len(to_wire(talk[:i], format)) for i in range(2 * step + 1, 2 * step + 4))
        made = to_wire(talk[: 2 * step + 3], format)
        out += [*with_reasoning(made[start:middle], f"rs_{step}", format), *made[middle:end]]
    return out


@pytest.mark.parametrize("format", FORMATS)
def test_reasoning_bound_to_what_was_cut_goes(format: Any) -> None:
    provider, mine, dropped = Provider(format), compressor(), []
    for steps in range(12):
        messages = _reasoned(steps, format)
        result = mine.compress(messages, target_tokens=9_000, format=format)
        provider.send(result.messages, messages)
        provider.bind(f"rs_{steps}")
        dropped.append(result.receipt.reasoning_dropped)
        assert result.receipt.request_tokens is not None
        assert result.receipt.request_tokens <= 9_000
    assert dropped == sorted(dropped)
    assert dropped[0] == 0 < dropped[-1] < 11  # what was thought since the cut stays
    assert provider.rewrites == len(set(dropped)) - 1


def test_thinking_by_hand_is_disabled_in_a_loop_that_lost_its_beginning() -> None:
    turn = [{"role": "assistant", "content": "Not there."}, {"role": "user", "content": "Go through the others."}]
    talk = _reasoned(12, "anthropic")
    messages = [*talk[:3], *turn, *talk[3:]]
    thinking = {"type": "enabled", "budget_tokens": 2048}
    body = {"model": "claude-sonnet-4-5", "max_tokens": 4096, "system": "Be brief.", "thinking": thinking}
    body["messages"] = messages
    mine = compressor()
    fitted = mine.compress_request(body, target_tokens=9_000)
    assert fitted.receipt.reasoning_dropped == 11  # the first stands before all that was cut
    assert fitted.body == {**body, "messages": fitted.body["messages"], "thinking": {"type": "disabled"}}
    for kept in ({"type": "adaptive"}, None):
        assert mine.compress_request({**body, "thinking": kept}, target_tokens=9_000).body["thinking"] == kept
    assert mine.compress_request({**body, "model": "gpt-4o"}).body["thinking"] == thinking
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    for said in ("Why?", [image]):
        asked = [*messages, {"role": "assistant", "content": "Worker 3."}, {"role": "user", "content": said}]
        assert mine.compress_request({**body, "messages": asked}, target_tokens=9_000).body["thinking"] == thinking


def test_the_whole_body_counts() -> None:
    tools = [{"name": "read", "description": "Read a file. " * 300, "input_schema": {"type": "object"}}]
    messages = to_wire(recorded(10), "anthropic")
    body = {"model": "claude-sonnet-4-5", "messages": messages, "tools": tools, "system": "Be brief. " * 300}
    result = compressor().compress_request(body, target_tokens=8_000)
    beside = (
        result.receipt.request_tokens
        - compressor()
        .compress(  # type: ignore[operator]
            result.body["messages"], target="claude-sonnet-4-5", target_tokens=100_000
        )
        .receipt.request_tokens
    )
    assert 1_500 < beside < 3_000
    assert result.receipt.request_tokens <= 8_000  # type: ignore[operator]


@pytest.mark.parametrize("tokens", [0, -1, 1.5, True, "8k"])
def test_a_limit_that_is_none_says_so(tokens: Any) -> None:
    with pytest.raises(InvalidInputError, match="target_tokens must be a whole number >= 1"):
        compressor().compress(to_wire(recorded(1), "openai"), target_tokens=tokens)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 5000)), min_size=1, max_size=30),
    tokens=st.integers(0, 40_000),
    least=st.integers(1, 5),
)
def test_shares_never_come_to_more(sizes: list[tuple[int, int]], tokens: int, least: int) -> None:
    now, whole = [size for size, _ in sizes], [size + more for size, more in sizes]
    limits = share_out(now, whole, tokens, least)
    if limits is None:
        assert sum(min(size, least) for size in now) > tokens
        return
    assert sum(limits) <= tokens
    assert all(min(size, least) <= limit <= size for size, limit in zip(now, limits, strict=True))
    if sum(now) <= tokens:
        assert limits == now


@given(text=st.text(alphabet="ab \n.", max_size=400), tokens=st.integers(3, 60))
def test_a_clipped_text_has_its_ends_and_fits(text: str, tokens: int) -> None:
    counter = WordCounter()
    short = clip_text(text, max(tokens, counter.count(CLIP)), counter)
    assert counter.count(short) <= max(tokens, counter.count(CLIP))
    head, _, tail = short.partition(CLIP)
    assert text.startswith(head.removesuffix("\n"))
    assert text.endswith(tail.removeprefix("\n"))


def test_what_is_no_text_is_estimated() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 150_000, "format": "wav"}}
    assert IMAGE_TOKENS < tokens_of([{"role": "user", "content": [image]}], "openai") < IMAGE_TOKENS + 20
    assert 100 <= tokens_of([{"role": "user", "content": [sound]}], "openai") < 130
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 60_000}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "word " * 1000}}
    assert 10_000 <= tokens_of([{"role": "user", "content": [pdf]}], "anthropic") < 10_100
    assert 1_000 <= tokens_of([{"role": "user", "content": [text]}], "anthropic") < 1_100


def test_without_blocks_nothing_can_be_cut() -> None:
    thinking = {"type": "thinking", "thinking": "word " * 3000, "signature": "x"}
    talk = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": "y"}]},
    ]
    messages = [*talk, {"role": "user", "content": "more"}]
    result = compressor().compress(messages, target_tokens=500, on_error="ignore", format="anthropic")
    assert result.messages == messages
    assert result.receipt.skipped_because
    empty = compressor().compress_request(
        {"messages": [], "model": "gpt-4o", "system": "word " * 500}, target_tokens=100
    )
    assert empty.receipt.skipped_because
    assert empty.receipt.request_tokens is not None
    assert empty.receipt.request_tokens > 100


def test_a_cut_is_of_one_branch() -> None:
    mine, stem = compressor(), recorded(6)
    here = to_wire([*stem, {"role": "assistant", "content": "A."}, {"role": "user", "content": "On."}], "openai")
    there = to_wire([*stem, {"role": "assistant", "content": "B."}, {"role": "user", "content": "On."}], "openai")
    uncut = mine.compress(there).messages
    cut = mine.compress(here, target_tokens=4_000)
    assert cut.messages[:13] != uncut[:13]
    assert mine.compress(there).messages == uncut
    more = [{"role": "assistant", "content": "A2."}, {"role": "user", "content": "On."}]
    assert mine.compress([*here, *more]).messages[:15] == cut.messages


def test_who_goes_back_before_a_cut_gets_what_was_sent_there() -> None:
    mine = compressor()
    sent = [mine.compress(to_wire(recorded(n), "openai"), target_tokens=6_000).messages for n in range(1, 12)]
    assert mine.compress(to_wire(recorded(2), "openai"), target_tokens=6_000).messages == sent[1]
    assert mine.compress(to_wire(recorded(9), "openai"), target_tokens=6_000).messages == sent[8]


def test_a_model_of_another_provider_is_another_target() -> None:
    mine, messages = compressor(), to_wire(recorded(8), "openai")
    mine.compress(messages, target="azure/gpt-4o", target_tokens=4_000)
    assert mine.compress(messages, target="openai/gpt-4o", target_tokens=100_000).messages == messages


def test_a_lower_limit_for_the_same_history_is_another_cut() -> None:
    mine, messages = compressor(), to_wire(recorded(8), "openai")
    for tokens in (8_000, 4_000, 2_000):
        result = mine.compress(messages, target_tokens=tokens)
        assert result.receipt.request_tokens is not None
        assert result.receipt.request_tokens <= tokens
    assert mine.compress(messages).messages == result.messages


def test_what_was_never_sent_is_not_rewritten() -> None:
    mine = compressor(keep_rate="auto")
    first = mine.compress(to_wire(recorded(1), "openai"), target_tokens=900)
    assert first.receipt.rewritten_from is None
    assert first.receipt.blocks[0].decision == "new"


def test_a_hosted_tools_call_keeps_its_reasoning() -> None:
    talk = _reasoned(8, "responses")
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "x"},
    }
    items = [*talk[:-4], reasoning("rs_ws", "responses"), search, *talk[-4:]]
    sent = compressor().compress(items, target_tokens=5_000, format="responses").messages
    left = [item.get("id") for item in sent if item.get("type") in ("reasoning", "web_search_call")]
    assert left[-2:] == ["rs_ws", "ws_1"]
    assert not any(item.get("id") for item in sent[4:] if item.get("type") == "function_call")


def test_what_is_sent_beside_the_texts_counts() -> None:
    thought = {
        "role": "assistant",
        "content": "y",
        "thinking_blocks": [{"type": "thinking", "thinking": "word " * 900}],
    }
    assert tokens_of([thought], "openai") > 900
    assert tokens_of([{"role": "assistant", "content": "y", "reasoning_content": "word " * 900}], "openai") > 900
    call = {"id": "c", "function": {"name": "f", "arguments": {"id": "word " * 900}}}
    assert tokens_of([{"role": "assistant", "tool_calls": [call]}], "openai") > 900
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64," + "A" * 300_000}
    item = {"type": "computer_call_output", "call_id": "c", "output": shot}
    assert tokens_of([item], "responses") < IMAGE_TOKENS + 100
    picture = {"type": "image_generation_call", "id": "ig", "result": "A" * 300_000}
    assert tokens_of([picture], "responses") == IMAGE_TOKENS
    named = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    linked = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    for part in (named, linked):
        assert FILE_TOKENS < tokens_of([{"role": "user", "content": [part]}], "anthropic") < FILE_TOKENS + 50


class Faster:
    """A ledger in which another process always has just cut to a higher limit."""

    def __init__(self) -> None:
        self.kept = MemoryStore()

    def get(self, key: str) -> Decision | None:
        return self.kept.get(key)

    def put(self, key: str, decision: Decision) -> Decision:
        if ":cut:0" in key and decision.text:
            texts, gone, *_ = json.loads(decision.text)
            longer = {name: text and f"{text}\n{'more ' * 300}" for name, text in texts.items()}
            decision = replace(decision, text=json.dumps([longer, gone]))
        return self.kept.put(key, decision)


def test_who_was_faster_wins_and_the_limit_holds_all_the_same() -> None:
    mine, messages = compressor(Faster()), to_wire(recorded(8), "openai")
    result = mine.compress(messages, target_tokens=4_000)
    assert result.receipt.request_tokens is not None
    assert result.receipt.request_tokens <= 4_000
    assert mine.compress(messages).messages == result.messages
