"""What is known of targets, from LiteLLM's bundled map, without the network."""

from __future__ import annotations

import pytest

from agentcompress.errors import InvalidInputError
from agentcompress.targets.facts import target_facts


def test_a_model_with_a_cache_that_is_paid_for() -> None:
    facts = target_facts("anthropic/claude-sonnet-4-5")
    assert facts.window_tokens == 200_000
    assert facts.cache_min_tokens == 1024
    assert facts.read_multiple == pytest.approx(0.1)
    assert facts.write_multiple == pytest.approx(1.25)
    assert facts.count_fitting_tokens() == 180_000  # its tokenizer is not public


def test_a_model_whose_cache_is_written_for_nothing_more() -> None:
    facts = target_facts("gpt-4o")
    assert (facts.read_multiple, facts.write_multiple) == (pytest.approx(0.5), pytest.approx(1.0))
    assert facts.count_fitting_tokens() == int(0.98 * 128_000)


def test_a_model_that_nobody_knows() -> None:
    facts = target_facts("my/own")
    assert facts.window_tokens is facts.input_price is facts.read_multiple is facts.count_fitting_tokens() is None
    told = target_facts("my/own", {"window_tokens": 32_000, "input_price": 1e-6, "cache_read_price": 2e-7})
    assert told.count_fitting_tokens() == 28_800
    assert told.read_multiple == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"window": 1}, "target must be one of window_tokens"),
        ({"window_tokens": "big"}, "target.window_tokens must be a number >= 0"),
        ({"input_price": float("nan")}, "target.input_price must be"),
        ({"input_price": True}, "target.input_price must be"),
    ],
)
def test_facts_that_are_none(overrides: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidInputError, match=error):
        target_facts("gpt-4o", overrides)
