from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.errors import (
    AgentCompressError,
    ConfigError,
    InvalidInputError,
    PluginError,
    ScoringError,
    SegmentationError,
    UnknownNameError,
)
from agentcompress.targets.counting import get_token_counter
from tests.texts import any_text

LEXICAL = Compressor(CompressConfig(scorer="lexical"))
RANDOM = Compressor(CompressConfig(scorer="random"))
PROSE = "The cat sat on the mat. A dog barked at noon. Rain fell on the old town. Nobody noticed the open gate. " * 5


@pytest.mark.parametrize("compressor", [LEXICAL, RANDOM], ids=["lexical", "random"])
@given(text=any_text, rate=st.floats(0.01, 1))
def test_any_text_within_its_budget(compressor: Compressor, text: str, rate: float) -> None:
    result = compressor.compress_text(text, query="Where did the cat sit?", keep_rate=rate, target="gpt-4o")
    count = get_token_counter("gpt-4o").count
    assert result.tokens_before == count(text)
    assert result.tokens_after == count(result.text) <= math.ceil(rate * result.tokens_before)
    assert all(0 <= span.start < span.end <= len(text) for span in result.spans)
    assert result.text.isspace() or all(text[a:b] in result.text for a, b in result.spans)


@given(text=any_text, rates=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)))
def test_a_higher_rate_keeps_a_superset(text: str, rates: tuple[float, float]) -> None:
    low, high = (
        {i for a, b in LEXICAL.compress_text(text, query="cat", keep_rate=rate).spans for i in range(a, b)}
        for rate in sorted(rates)
    )
    assert low <= high


@given(text=any_text)
def test_rate_one_is_the_identity(text: str) -> None:
    result = LEXICAL.compress_text(text, query="cat", keep_rate=1)
    assert result.text == text
    assert result.spans == (((0, len(text)),) if text else ())
    assert result.tokens_after == result.tokens_before


def test_same_call_same_bytes() -> None:
    results = [Compressor(CompressConfig(scorer="random")).compress_text(PROSE, query="cat") for _ in range(2)]
    assert results[0] == results[1]


def test_target_tokens_is_a_budget() -> None:
    result = LEXICAL.compress_text(PROSE, query="What did nobody notice?", target_tokens=30)
    assert 15 < result.tokens_after <= 30
    assert "Nobody noticed the open gate." in result.text
    assert LEXICAL.compress_text(PROSE, query="", target_tokens=10**9).text == PROSE


def test_timings_say_where_the_time_went() -> None:
    timings = LEXICAL.compress_text(PROSE, query="cat", keep_rate=0.2).timings_ms
    assert set(timings) == {"count", "segment", "score", "select", "total"}
    assert 0 <= sum(ms for stage, ms in timings.items() if stage != "total") <= timings["total"]


@pytest.mark.parametrize("rate", [0, -0.1, 1.0001, float("nan"), float("inf"), -float("inf"), True, "0.5", None])
def test_bad_keep_rates_name_the_field_and_the_range(rate: object) -> None:
    if rate is None:  # the config's
        mine = Compressor(LEXICAL.config.model_copy(update={"keep_rate": 0.4}))
        assert mine.compress_text(PROSE, query="cat", keep_rate=None).keep_rate <= 0.41
        return
    with pytest.raises(InvalidInputError, match=r"keep_rate must be a number in \(0, 1\] or \"auto\", got"):
        LEXICAL.compress_text(PROSE, query="cat", keep_rate=rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_tokens": 0}, r"target_tokens must be a whole number >= 1, got 0"),
        ({"target_tokens": 2.5}, r"target_tokens must be a whole number >= 1, got 2.5"),
        ({"target_tokens": 5, "keep_rate": 0.5}, r"target_tokens must be left out when keep_rate is given"),
        ({"query": None}, r"query must be a string, got None"),
        ({"text": b"bytes"}, r"text must be a string"),
        ({"target": "gpt-40"}, r"target must be a model LiteLLM knows"),
        ({"target": "nowhere/model"}, r"target must be a model LiteLLM knows"),
        ({"target": ""}, r"target must be a model LiteLLM knows"),
        ({"target": 7}, r"target must be a string, got 7"),
    ],
)
def test_bad_arguments_name_the_field_and_the_range(arguments: dict[str, object], message: str) -> None:
    call = {"text": PROSE, "query": "cat", **arguments}
    with pytest.raises(InvalidInputError, match=message):
        LEXICAL.compress_text(**call)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scorer": "psychic"}, UnknownNameError, r"scorer must be one of calibrated, claa, fastkv,"),
        (
            {"segmenter": "words"},
            UnknownNameError,
            r"segmenter must be one of chunks, diff, json, lines, log, .*, table, or",
        ),
        ({"scorer": "tests.nowhere:Scorer"}, PluginError, r"scorer 'tests.nowhere:Scorer' can't be loaded"),
        ({"scorer": "tests.fakes:Nobody"}, PluginError, r"can't be loaded"),
        ({"scorer": "lexical", "scorer_options": {"k2": 1}}, ConfigError, r"scorer_options must be options of lexical"),
        ({"scorer_options": {"window_tokens": 1}}, InvalidInputError, r"window_tokens must be between 16 and 4096"),
        ({"scorer_options": {"lexical_weight": -1}}, InvalidInputError, r"lexical_weight must be a number >= 0"),
        ({"scorer_options": {"window_tokens": 20.5}}, InvalidInputError, r"window_tokens must be a whole number >= 1"),
        ({"scorer": "lexical", "scorer_options": {"k1": -1}}, InvalidInputError, r"k1 must be a number >= 0"),
        ({"scorer": "lexical", "scorer_options": {"b": 5}}, InvalidInputError, r"b must be a number in \[0, 1\]"),
        (
            {"segmenter": "prose", "segmenter_options": {"max_unit_chars": 0}},
            InvalidInputError,
            r"max_unit_chars must be a whole number >= 1",
        ),
        (
            {"segmenter": "lines", "segmenter_options": {"piece_chars": 0}},
            InvalidInputError,
            r"piece_chars must be a whole number >= 1",
        ),
        ({"segmenter_options": {"x": 1}}, ConfigError, r'segmenter_options must be empty with segmenter="auto"'),
        ({"keep_rate": 0}, ConfigError, r"keep_rate must be a number in \(0, 1\] or \"auto\", got 0"),
        ({"keep_rate": float("nan")}, ConfigError, r"keep_rate must be a number in \(0, 1\] or \"auto\", got nan"),
        ({"min_tokens": 0}, ConfigError, r"min_tokens must be a whole number >= 1"),
        ({"draft": ""}, ConfigError, r"draft must be a non-empty string"),
        ({"keeprate": 0.5}, ConfigError, r"keeprate must be absent \(settings are: draft, scorer"),
    ],
)
def test_bad_settings_name_the_field(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        Compressor(CompressConfig(**settings))  # type: ignore[arg-type]
    assert isinstance(raised.value, AgentCompressError)


def test_a_scorer_by_its_path() -> None:
    compressor = Compressor(CompressConfig(scorer="tests.fakes:ContainsScorer"))
    assert "open gate" in compressor.compress_text(PROSE, query="open gate", target_tokens=12).text


@pytest.mark.parametrize("scorer", ["tests.fakes:BrokenScorer", "tests.fakes:NanScorer"])
def test_a_scorer_that_fails_is_one_clear_error(scorer: str) -> None:
    with pytest.raises(ScoringError):
        Compressor(CompressConfig(scorer=scorer)).compress_text(PROSE, query="cat", keep_rate=0.5)


def test_scores_of_any_number_type_are_ranked_alike() -> None:
    results = {
        Compressor(CompressConfig(scorer=f"tests.fakes:{name}")).compress_text(PROSE, query="cat", keep_rate=0.3).text
        for name in ("LongestScorer", "ListScorer", "UnsignedScorer")
    }
    assert len(results) == 1


@pytest.mark.parametrize("segmenter", ["BrokenSegmenter", "EmptySegmenter"])
def test_a_segmenter_that_fails_is_one_clear_error(segmenter: str) -> None:
    compressor = Compressor(CompressConfig(scorer="lexical", segmenter=f"tests.fakes:{segmenter}"))
    with pytest.raises(SegmentationError, match=f"segmenter 'tests.fakes:{segmenter}'"):
        compressor.compress_text(PROSE, query="cat", keep_rate=0.5)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t", "\x00", "\x00" * 50, "\ud800" * 20, "hi", "🙂" * 40, "é"])
@pytest.mark.parametrize("rate", [0.01, 0.5, 1])
def test_odd_texts(text: str, rate: float) -> None:
    result = LEXICAL.compress_text(
        text, query="a query that is much longer than the text it is for " * 20, keep_rate=rate
    )
    assert result.tokens_after <= math.ceil(rate * result.tokens_before)
    assert all(character in text or character in "[...] \n" for character in result.text)


@pytest.mark.parametrize("filler", ["x", " ", "lorem ipsum ", '{"a":1},', "漢字", "\x00"])
def test_one_line_of_two_megabytes(filler: str) -> None:
    text = filler * (2_000_000 // len(filler)) + " the needle " + filler * 9
    result = LEXICAL.compress_text(text, query="needle", keep_rate=0.01)
    assert result.tokens_after <= math.ceil(0.01 * result.tokens_before)
    assert "needle" in result.text
