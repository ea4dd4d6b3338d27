"""The hard fit: a guarantee, one cut that lasts, and what was bound to what is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor, InvalidInputError
from agentcompress.deciding import CLIP, clipped
from agentcompress.evaluation.replay import as_sent
from agentcompress.fitting import ROOM, shares
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.messages.formats import WIRES
from agentcompress.messages.sizes import IMAGE_TOKENS, request_tokens
from agentcompress.protocols import Store
from tests.fakes import WordCounter
from tests.provider import Provider, with_reasoning

FORMATS = list(WIRES)


def recorded(steps: int, lines: int = 200) -> list[dict[str, Any]]:
    """A request, and steps that each read a log of about 9 tokens a line."""
    found: list[dict[str, Any]] = [{"role": "user", "content": "Which worker failed?"}]
    for i in range(steps):
        call = {"name": "read", "arguments": {"path": f"{i}.log"}}
        found.append({"role": "assistant", "content": f"I read log {i}.", "tool_calls": [call]})
        found.append({"role": "tool", "content": "\n".join(f"{i}.{n} worker {n % 7} done" for n in range(lines))})
    return found


def compressor(store: Store | None = None, **settings: Any) -> Compressor:
    config = CompressConfig(**{"scorer": "lexical", "min_tokens": 50, "keep_rate": 1.0, **settings})
    return Compressor(config, store=store or MemoryStore())


def tokens_of(messages: list[Any], format: str) -> int:  # noqa: A002
    mine = compressor()
    return request_tokens(messages, WIRES[format], mine._counter("gpt-4o"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_long_history_fits_a_small_window(format: Any) -> None:  # noqa: A002
    messages = as_sent(recorded(20), format)
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
    messages = as_sent(recorded(3), "openai")
    result = compressor().compress(messages, target_tokens=200_000)
    assert result.messages == messages
    assert result.receipt.rewritten_from is None
    assert result.receipt.request_tokens == tokens_of(messages, "openai")


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_lasts_for_turns_and_outlives_the_process_and_the_setting(format: Any, tmp_path: Path) -> None:  # noqa: A002
    provider = Provider(format)
    rewritten = []
    for steps in range(1, 26):
        messages = as_sent(recorded(steps, 60), format)
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
    messages = as_sent([*request, *recorded(2)[1:]], "openai")
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
    result = mine.compress(as_sent(recorded(20), "openai"), target_tokens=4_000, on_error="ignore")
    assert result.receipt.request_tokens is not None
    assert result.receipt.request_tokens <= 4_000
    assert all(text for text in (message["content"] for message in result.messages))


def test_short_blocks_are_cut_last() -> None:
    talk: list[dict[str, Any]] = recorded(8)
    talk[2]["content"] = "exit code 1: no such file: config.toml"
    result = compressor().compress(as_sent(talk, "openai"), target_tokens=4_000)
    assert result.messages[2]["content"] == talk[2]["content"]


def _reasoned(steps: int, format: str) -> list[dict[str, Any]]:  # noqa: A002
    """Every answer begins with reasoning, the n-th with that of id `rs_n`."""
    talk, out = recorded(steps), as_sent(recorded(0), format)
    for step in range(steps):
        start, middle, end = (len(as_sent(talk[:i], format)) for i in range(2 * step + 1, 2 * step + 4))
        made = as_sent(talk[: 2 * step + 3], format)
        out += [*with_reasoning(made[start:middle], f"rs_{step}", format), *made[middle:end]]
    return out


@pytest.mark.parametrize("format", FORMATS)
def test_reasoning_bound_to_what_was_cut_goes(format: Any) -> None:  # noqa: A002
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
    asked = [*messages, {"role": "assistant", "content": "Worker 3."}, {"role": "user", "content": "Why?"}]
    assert mine.compress_request({**body, "messages": asked}, target_tokens=9_000).body["thinking"] == thinking


def test_the_whole_body_counts() -> None:
    tools = [{"name": "read", "description": "Read a file. " * 300, "input_schema": {"type": "object"}}]
    messages = as_sent(recorded(10), "anthropic")
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
        compressor().compress(as_sent(recorded(1), "openai"), target_tokens=tokens)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 5000)), min_size=1, max_size=30),
    tokens=st.integers(0, 40_000),
    least=st.integers(1, 5),
)
def test_shares_never_come_to_more(sizes: list[tuple[int, int]], tokens: int, least: int) -> None:
    now, whole = [size for size, _ in sizes], [size + more for size, more in sizes]
    limits = shares(now, whole, tokens, least)
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
    short = clipped(text, max(tokens, counter.count(CLIP)), counter)
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
