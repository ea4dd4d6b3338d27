"""`keep_rate="auto"`: more where nothing stands out, less where something does, less of what is long."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.errors import ScoringError
from agentcompress.schema import Reading, Segment, Unit
from agentcompress.selection.budget import LEAST, compute_auto_rate
from agentcompress.selection.select import compute_budget_tokens


def lines(n: int, kind: str = "source") -> Segment:
    return Segment("x" * 10 * n, kind, tuple(Unit(10 * i, 10 * i + 10, 0) for i in range(n)))


def peaked(n: int, peaks: int) -> np.ndarray:
    return np.array([9.0] * peaks + [0.0] * (n - peaks))


@given(
    scores=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    tokens=st.integers(1, 10**6),
    kind=st.sampled_from(["prose", "log"]),
)
def test_it_is_a_rate(scores: list[float], tokens: int, kind: str) -> None:
    rate = compute_auto_rate(lines(len(scores), kind), np.array(scores), tokens)
    assert LEAST <= rate <= 1


def test_flat_scores_keep_nearly_all_and_peaks_little() -> None:
    flat = compute_auto_rate(lines(100), np.zeros(100), 1000)
    assert flat == pytest.approx(0.9**0.5, abs=0.01)
    scores = np.random.default_rng(0).exponential(size=100) ** 2  # a few far above the rest
    assert compute_auto_rate(lines(100), scores, 1000) < flat
    assert compute_auto_rate(lines(100, "prose"), peaked(100, 2), 1000) == LEAST


def test_the_scale_of_scores_says_nothing() -> None:
    scores = np.random.default_rng(1).normal(size=200)
    rates = {round(compute_auto_rate(lines(200), scores * scale + 7, 1000), 9) for scale in (1e-3, 1.0, 1e3)}
    assert len(rates) == 1


def test_long_texts_keep_less() -> None:
    rates = [compute_auto_rate(lines(100), peaked(100, 10), tokens) for tokens in (500, 3000, 12_000, 48_000)]
    assert rates[0] == rates[1] > rates[2] > rates[3]


def test_questions_about_prose_are_sharper() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    assert compute_auto_rate(lines(200, "prose"), scores, 3000) < 0.8 * compute_auto_rate(
        lines(200, "source"), scores, 3000
    )


def test_scores_that_can_not_be_used_say_so() -> None:
    with pytest.raises(ScoringError):
        compute_auto_rate(lines(3), np.array([1.0, np.nan, 0.0]), 30)


def test_it_is_the_default_and_a_budget_that_holds() -> None:
    text = "\n\n".join(f"Paragraph {i}. It says nothing. The key of room {i} is {i * 17}." for i in range(300))
    mine = Compressor(CompressConfig(scorer="lexical"))
    result = mine.compress_text(text, query="Which key has room 41?")
    assert "room 41 is 697" in result.text
    segment = mine.segment(text)
    scores = mine.scorer.score(segment, Reading("Which key has room 41?"))
    allowed = compute_budget_tokens(compute_auto_rate(segment, scores, result.tokens_before), result.tokens_before)
    assert 0.9 * allowed < result.tokens_after <= allowed
    assert mine.compress_text(text, query="Which key has room 41?", keep_rate="auto").text == result.text
    assert mine.compress_text("", query="x").text == ""
