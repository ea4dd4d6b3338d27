"""Settings of one call: one list of them, one error for a bad one, whichever way they come in."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import Any

import pytest

from agentcompress import CompressConfig, Compressor, InvalidInputError
from agentcompress.config import PER_CALL, CallOptions, CallSettings, DoorOptions, read_overrides
from agentcompress.doors.guard import Guarded
from tests.fakes import conversation
from tests.texts_of_agents import LOG

CONFIG = CompressConfig(scorer="lexical", keep_rate=0.4, deadline_ms=5000, namespace="mine", target="gpt-4")


def test_there_is_one_list() -> None:
    named = {*CallOptions.__annotations__, *DoorOptions.__annotations__}
    assert named == set(CallSettings.model_fields)
    assert set(PER_CALL) < named
    assert all(field.description for field in CallSettings.model_fields.values())
    assert all(field.description or name for name, field in CompressConfig.model_fields.items())


def test_the_config_says_what_a_call_does_not() -> None:
    settings = CallSettings.from_options({"keep_rate": None, "namespace": "yours"}, CONFIG)
    assert (settings.keep_rate, settings.deadline_ms, settings.target) == (0.4, 5000, "gpt-4")
    assert (settings.namespace, settings.target_tokens, settings.on_error) == ("yours", None, "raise")


def test_numbers_of_any_kind() -> None:
    settings = CallSettings.from_options({"keep_rate": Fraction(1, 4), "deadline_ms": 3})
    assert (settings.keep_rate, settings.deadline_ms) == (0.25, 3.0)


BAD = [
    ("keep_rate", 0, 'a number in (0, 1] or "auto"'),
    ("keep_rate", math.nan, 'a number in (0, 1] or "auto"'),
    ("keep_rate", True, 'a number in (0, 1] or "auto"'),
    ("target_tokens", 0, "a whole number >= 1"),
    ("target_tokens", 1.5, "a whole number >= 1"),
    ("deadline_ms", 0, "a number > 0"),
    ("deadline_ms", "1", "a number > 0"),
    ("namespace", 3, "a string"),
    ("on_error", "explode", '"raise", "warn" or "ignore"'),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD)
def test_a_bad_value_is_named_by_every_way_in(name: str, value: Any, allowed: str) -> None:
    ways = [
        lambda: Compressor(CONFIG).compress([{"role": "user", "content": "x"}], **{name: value}),
        lambda: Compressor(CONFIG).compress_request({"messages": [{"role": "user", "content": "x"}]}, **{name: value}),
        lambda: Guarded(CONFIG, **{name: value}),
        *([lambda: read_overrides({name: value})] if name in PER_CALL else []),
    ]
    for way in ways:
        with pytest.raises(InvalidInputError) as caught:
            way()
        assert (caught.value.field, caught.value.allowed) == (name, allowed)


@pytest.mark.parametrize("name", ["fit", "keep_ratio"])
def test_what_is_no_option_of_a_call_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"{name} must be absent \(options are: target, keep_rate"):
        Compressor(CONFIG).compress([], **{name: True})  # type: ignore[call-arg]
    with pytest.raises(InvalidInputError, match="agentcompress must be one of keep_rate, target_tokens"):
        read_overrides({"keep_ratio": 0.5})


def test_a_deadline_may_be_endless_for_a_call_alone() -> None:
    assert CallSettings.from_options({"deadline_ms": math.inf}).deadline_ms == math.inf
    for way in (lambda: Guarded(CONFIG, deadline_ms=math.inf), lambda: read_overrides({"deadline_ms": math.inf})):
        with pytest.raises(InvalidInputError, match="deadline_ms must be a number > 0"):
            way()


def test_a_guard_is_what_its_settings_are() -> None:
    assert Guarded(CONFIG) == Guarded(CONFIG, keep_rate=None, on_error="warn", fit=True)
    assert Guarded(CONFIG) != Guarded(CONFIG, keep_rate=0.5)
    with pytest.raises(InvalidInputError, match="format must be absent"):
        Guarded(CONFIG, format="openai")  # type: ignore[call-arg]


def test_a_sequence_that_is_no_list_comes_out_as_it_came() -> None:
    history = deque([{"role": "user", "content": "Nothing to cut."}])
    assert Guarded(CONFIG).compress_messages(history) is history  # type: ignore[arg-type]


def test_a_fallback_that_can_not_be_made_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Compressor(CompressConfig(scorer="tests.fakes:BrokenScorer", min_tokens=100))
    monkeypatch.setattr(Compressor, "fallback", property(lambda self: 1 / 0))
    result = broken.compress(conversation(LOG), on_error="ignore")
    assert result.receipt.blocks[0].reason == (
        "failed: tests.fakes:BrokenScorer: ScoringError: because of a RuntimeError; "
        "features: ZeroDivisionError: see the debug log"
    )
