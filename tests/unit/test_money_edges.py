"""Prompt caches at their edges: who marks, from what length on, and what of a request can be read again."""

from __future__ import annotations

import pytest

from agentcompress.targets.facts import TargetFacts, target_facts
from agentcompress.targets.prompt_cache import Billed, CacheRules, PromptCache, bill_request, find_cache_rules

OPENAI = CacheRules(step_tokens=128)
ANTHROPIC = CacheRules(marked=True)


@pytest.mark.parametrize(
    ("target", "marked", "step_tokens"),
    [
        ("claude-sonnet-4-6", True, 1),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", True, 1),  # Bedrock
        ("us.anthropic.claude-sonnet-4-6", True, 1),  # Bedrock's Converse
        ("vertex_ai/claude-sonnet-4-5", True, 1),
        ("azure_ai/claude-sonnet-4-5", True, 1),
        ("bedrock/converse/us.anthropic.claude-sonnet-4-6", True, 1),
        ("us.amazon.nova-pro-v1:0", False, 1),  # at Bedrock, and no Claude
        ("gpt-5", False, 128),
        ("azure/gpt-4o", False, 128),
        ("deepseek/deepseek-chat", False, 64),
        ("gemini/gemini-2.5-pro", False, 1),
        ("vertex_ai/gemini-2.5-pro", False, 1),
    ],
)
def test_rules_are_the_providers(target: str, marked: bool, step_tokens: int) -> None:
    rules = find_cache_rules(target_facts(target))
    assert rules is not None
    assert (rules.marked, rules.step_tokens) == (marked, step_tokens)


@pytest.mark.parametrize(
    ("input_price", "cache_read_price"), [(None, None), (1e-6, None), (None, 1e-7), (1e-6, 1e-6), (1e-6, 2e-6)]
)
def test_no_rules_where_nothing_is_cheaper(input_price: float | None, cache_read_price: float | None) -> None:
    facts = TargetFacts("my/model", input_price=input_price, cache_read_price=cache_read_price)
    assert find_cache_rules(facts) is None
    assert PromptCache(facts).bill([("a", 5000)], 0.0) == Billed(input_tokens=5000)


def test_a_target_that_nobody_knows_is_cached_like_most() -> None:
    facts = TargetFacts("my/model", input_price=1e-6, cache_read_price=1e-7)
    assert find_cache_rules(facts) == CacheRules(min_tokens=1024, step_tokens=1, ttl_s=300.0, marked=False)
    cache = PromptCache(facts)
    assert cache.facts is facts
    cache.bill([("a", 2000)], 0.0)
    assert cache.bill([("a", 2000), ("b", 3000)], 1.0) == Billed(input_tokens=1000, read_tokens=2000)


@pytest.mark.parametrize(
    ("rules", "tokens", "cached", "expected"),
    [
        (OPENAI, 3000, 1023, Billed(input_tokens=3000)),  # 896 in steps: too short to be cached
        (OPENAI, 3000, 1024, Billed(input_tokens=1976, read_tokens=1024)),
        (OPENAI, 1024, 9000, Billed(input_tokens=0, read_tokens=1024)),
        (ANTHROPIC, 3000, 1023, Billed(write_tokens=3000)),
        (ANTHROPIC, 3000, 1024, Billed(read_tokens=1024, write_tokens=1976)),
        (ANTHROPIC, 1023, 0, Billed(input_tokens=1023)),
        (ANTHROPIC, 1024, 0, Billed(write_tokens=1024)),
        (None, 3000, 2000, Billed(input_tokens=3000)),
    ],
)
def test_from_what_length_on(rules: CacheRules | None, tokens: int, cached: int, expected: Billed) -> None:
    assert bill_request(rules, tokens, cached) == expected


def test_an_end_that_nobody_marked_is_not_written() -> None:
    assert bill_request(ANTHROPIC, 3000, 2000, marked=False) == Billed(input_tokens=1000, read_tokens=2000)


@pytest.mark.parametrize("target", ["claude-sonnet-4-6", "gpt-5", "my/model"])
def test_a_request_of_nothing(target: str) -> None:
    assert PromptCache(target).bill([], 0.0) == Billed()


def test_without_markers_every_beginning_can_be_read() -> None:
    cache = PromptCache("gemini/gemini-2.5-pro")
    cache.bill([("system", 3000), ("a", 4000), ("b", 5000)], 0.0)
    assert cache.bill([("system", 3000), ("a", 4000), ("other", 5000)], 1.0).read_tokens == 4000


def test_with_markers_only_ends_of_requests_and_what_stands_before_the_messages() -> None:
    cache = PromptCache("claude-sonnet-4-6")
    cache.bill([("system", 3000), ("a", 4000), ("b", 5000)], 0.0)
    assert cache.bill([("system", 3000), ("a", 4000), ("other", 5000)], 1.0).read_tokens == 3000
    cache.bill([("system", 3000), ("a", 4000), ("b", 5000), ("c", 6000)], 2.0)
    assert cache.bill([("system", 3000), ("a", 4000), ("b", 5000), ("d", 7000)], 3.0).read_tokens == 5000


def test_what_is_read_lasts_anew_and_what_is_not_ends() -> None:
    first, longer = [("a", 4000)], [("a", 4000), ("b", 5000)]
    cache = PromptCache("claude-sonnet-4-6")
    cache.bill(first, 0.0)
    assert cache.bill(longer, 300.0).read_tokens == 4000  # five minutes, to the second
    assert cache.bill(first, 600.0).read_tokens == 4000  # read at 300
    assert cache.bill(longer, 600.5).read_tokens == 4000  # its end was last used at 300
    assert cache.bill(longer, 900.5).read_tokens == 5000
    assert cache.bill(longer, 1200.6).read_tokens == 0
