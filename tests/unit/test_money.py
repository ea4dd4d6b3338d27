"""What requests cost, against examples worked by hand from what the providers publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.evaluation.replay import break_evens
from agentcompress.targets.counting import get_token_counter
from agentcompress.targets.facts import TargetFacts, target_facts
from agentcompress.targets.prompt_cache import Billed, CacheRules, PromptCache, bill_request, find_cache_rules
from tests.fakes import compressor, conversation

TURNS = [6000, 9000, 9800, 15800, 16200, 20000]
"""Tokens of six requests of one agent: each holds the one before, an answer and a tool's result."""


def requests(sizes: list[int]) -> list[list[tuple[str, int]]]:
    """Each begins with all before it."""
    return [[(f"message {i}", size) for i, size in enumerate(sizes[: n + 1])] for n in range(len(sizes))]


def run(target: str | TargetFacts, sizes: list[int] = TURNS, gap_s: float = 60.0) -> tuple[list[Billed], float]:
    cache = PromptCache(target)
    found = [cache.bill(request, i * gap_s) for i, request in enumerate(requests(sizes))]
    return found, sum(each.compute_dollars(cache.facts) or 0.0 for each in found)


def test_anthropic_by_hand() -> None:
    """Claude Sonnet 4.6: $3 a million, writes $3.75, reads $0.30; from 1,024 tokens on; five minutes.

    turn   written            read      dollars
    1      6,000              0         .0225
    2      3,000              6,000     .01125 + .0018 = .01305
    3        800              9,000     .003   + .0027 = .0057
    4      6,000              9,800     .0225  + .00294 = .02544
    5        400              15,800    .0015  + .00474 = .00624
    6      3,800              16,200    .01425 + .00486 = .01911
    """
    found, dollars = run("claude-sonnet-4-6")
    assert [(each.write_tokens, each.read_tokens, each.input_tokens) for each in found] == [
        *((6000, 0, 0), (3000, 6000, 0), (800, 9000, 0), (6000, 9800, 0), (400, 15800, 0), (3800, 16200, 0)),
    ]
    assert dollars == pytest.approx(0.09204, abs=1e-9)


def test_openai_by_hand() -> None:
    """gpt-5: $1.25 a million, cached $0.125; from 1,024 tokens on, in steps of 128; writes cost nothing of their own.

    turn   cached (x 128)     full      dollars
    1      0                  6,000     .0075
    2      5,888 (46)         3,112     .00389   + .000736  = .004626
    3      8,960 (70)           840     .00105   + .00112   = .00217
    4      9,728 (76)         6,072     .00759   + .001216  = .008806
    5      15,744 (123)         456     .00057   + .001968  = .002538
    6      16,128 (126)       3,872     .00484   + .002016  = .006856
    """
    found, dollars = run("gpt-5")
    assert [(each.read_tokens, each.input_tokens) for each in found] == [
        *((0, 6000), (5888, 3112), (8960, 840), (9728, 6072), (15744, 456), (16128, 3872)),
    ]
    assert dollars == pytest.approx(0.032496, abs=1e-9)


def test_deepseek_by_hand() -> None:
    """deepseek-chat: $0.28 a million, a hit $0.028; in steps of 64; for hours.

    turn   hit (x 64)         miss      dollars
    1      0                  6,000     .00168
    2      5,952 (93)         3,048     .00085344 + .000166656 = .001020096
    3      8,960 (140)          840     .0002352  + .00025088  = .00048608
    4      9,792 (153)        6,008     .00168224 + .000274176 = .001956416
    5      15,744 (246)         456     .00012768 + .000440832 = .000568512
    6      16,192 (253)       3,808     .00106624 + .000453376 = .001519616
    """
    found, dollars = run("deepseek/deepseek-chat", gap_s=1800.0)
    assert [each.read_tokens for each in found] == [0, 5952, 8960, 9792, 15744, 16192]
    assert dollars == pytest.approx(0.00723072, abs=1e-9)


def test_gemini_by_hand() -> None:
    """gemini-2.5-pro: $1.25 a million, cached $0.125; from 2,048 tokens on; for some minutes.

    turn   cached             full      dollars
    1      0                  6,000     .0075
    2      6,000              3,000     .00375 + .00075  = .0045
    3      9,000                800     .001   + .001125 = .002125
    4      9,800              6,000     .0075  + .001225 = .008725
    5      15,800               400     .0005  + .001975 = .002475
    6      16,200             3,800     .00475 + .002025 = .006775
    """
    found, dollars = run("gemini/gemini-2.5-pro")
    assert [each.read_tokens for each in found] == [0, 6000, 9000, 9800, 15800, 16200]
    assert dollars == pytest.approx(0.0321, abs=1e-9)


def test_what_is_written_again_costs_what_it_costs_to_write() -> None:
    """A tool that clears the second message in turn 4 saves 2,000 tokens, and has all behind it written again."""
    cache = PromptCache("claude-sonnet-4-6")
    for i, request in enumerate(requests(TURNS)[:3]):
        cache.bill(request, 60.0 * i)
    edited = [("message 0", 6000), ("edited", 7000), ("edited 2", 7800), ("edited 3", 13800)]
    found = cache.bill(edited, 180.0)
    assert (found.read_tokens, found.write_tokens) == (6000, 7800)  # turn 1 ended with message 0
    kept, lost = 6000 * 3.75e-6 + 9800 * 0.3e-6, found.compute_dollars(cache.facts) or 0.0
    assert lost > kept  # fewer tokens, more money


def test_a_cache_that_was_left_alone_is_cold() -> None:
    warm, cold = (run("claude-sonnet-4-6", gap_s=gap_s)[0] for gap_s in (300.0, 300.1))
    assert all(each.read_tokens for each in warm[1:])
    assert not any(each.read_tokens for each in cold)


@pytest.mark.parametrize(
    ("target", "least", "below"),
    [("claude-sonnet-4-6", 1024, 1023), ("claude-haiku-4-5", 4096, 4095), ("gpt-5", 1024, 1023)],
)
def test_short_prompts_are_not_cached(target: str, least: int, below: int) -> None:
    assert not any(each.read_tokens or each.write_tokens for each in run(target, [below] * 3)[0])
    assert run(target, [least] * 3)[0][1].read_tokens == least


def test_rules_of_targets() -> None:
    def rules(name: str) -> Any:
        return find_cache_rules(target_facts(name))

    assert rules("claude-sonnet-4-6") == CacheRules(1024, 1, 300.0, marked=True)
    assert rules("anthropic/claude-haiku-4-5") == CacheRules(4096, 1, 300.0, marked=True)
    assert rules("openai/gpt-4o") == CacheRules(1024, 128, 300.0)
    assert rules("gemini/gemini-2.5-pro") == CacheRules(2048, 1, 300.0)
    assert rules("no-such-model") is None
    assert find_cache_rules(TargetFacts("x", input_price=1.0, cache_read_price=1.0)) is None
    assert PromptCache("no-such-model").bill([("a", 9)], 0.0) == Billed(input_tokens=9)
    assert Billed(9).compute_dollars(TargetFacts("x")) is None
    assert Billed(read_tokens=2, write_tokens=3).compute_dollars(TargetFacts("x", input_price=1.0)) == 5.0


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=8), st.sampled_from(["claude-sonnet-4-6", "gpt-5", "x"]))
def test_every_token_is_billed_once(sizes: list[int], target: str) -> None:
    sizes = sorted(sizes)
    found, _ = run(target, sizes)
    assert [each.tokens for each in found] == sizes
    assert all(min(each.input_tokens, each.read_tokens, each.write_tokens) >= 0 for each in found)


@given(st.integers(0, 9000), st.integers(0, 9000))
def test_less_is_never_dearer_than_nothing_cached(tokens: int, cached: int) -> None:
    facts = target_facts("gpt-5")
    rules = find_cache_rules(facts)
    assert (bill_request(rules, tokens, cached).compute_dollars(facts) or 0.0) <= (
        bill_request(rules, tokens, 0).compute_dollars(facts) or 0.0
    )


def test_cutting_pays_also_where_a_request_becomes_too_short_to_be_cached() -> None:
    """A planner that left such results whole cost more in every growing agent that it was tried on: it is not there."""
    log = "".join(f"worker {i} did {i * 7919 % 1000} jobs in time\n" for i in range(100))
    mine = compressor(keep_rate=0.3, target="claude-haiku-4-5")
    whole, cut = PromptCache("claude-haiku-4-5"), PromptCache("claude-haiku-4-5")
    count = get_token_counter("claude-haiku-4-5").count
    dollars = [0.0, 0.0]
    messages = conversation(log)
    for turn in range(8):
        for n, (cache, sent) in enumerate(((whole, messages), (cut, mine.compress(messages).messages))):
            prefixes = [
                (str(sent[:i]), sum(count(str(m["content"])) for m in sent[:i])) for i in range(2, len(sent) + 1, 2)
            ]
            dollars[n] += cache.bill(prefixes, 30.0 * turn).compute_dollars(cache.facts) or 0.0
        call = {"id": f"c{turn}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        messages = [
            *messages,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{turn}", "content": f"{turn} {log}"},
        ]
    assert dollars[1] < 0.9 * dollars[0]


def test_a_request_that_nobody_marked_is_taken_to_cost_the_least() -> None:
    rules = find_cache_rules(target_facts("claude-sonnet-4-6"))
    assert bill_request(rules, 9000, 5000) == Billed(read_tokens=5000, write_tokens=4000)
    assert bill_request(rules, 9000, 5000, marked=False) == Billed(input_tokens=4000, read_tokens=5000)


def test_the_table_of_break_evens_in_the_docs_is_what_the_map_says() -> None:
    docs = Path(__file__).parents[2] / "docs" / "money.md"
    assert break_evens.render_table() in docs.read_text(encoding="utf-8")
