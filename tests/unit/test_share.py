"""Top-K of the units, whatever they cost, as published methods select."""

from __future__ import annotations

import numpy as np
import pytest

from agentcompress.errors import ScoringError
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.selection.select import select_share
from agentcompress.text.delimiters import choose_style
from tests.fakes import WordCounter
from tests.kept import is_delimiter

LINES = [f"line {'very ' * i}{i}\n" for i in range(8)]


@pytest.mark.parametrize(
    ("keep_rate", "kept"),
    [
        (0.01, [6]),
        (0.125, [6]),
        (0.126, [1, 6]),
        (0.25, [1, 6]),
        (0.5, [1, 2, 4, 6]),  # equal scores: the first ones
        (1.0, list(range(8))),
    ],
)
def test_the_best_units_are_kept_whatever_they_cost(keep_rate: float, kept: list[int]) -> None:
    segment = LineSegmenter().segment("".join(LINES))
    scores = np.array([0.0, 3.0, 2.0, 0.0, 2.0, 2.0, 9.0, 0.0])
    found = select_share(segment, scores, keep_rate, WordCounter(), choose_style(segment))
    shown = [line for line in found.rendered.text.splitlines(keepends=True) if not is_delimiter(line.rstrip("\n"))]
    assert shown == [LINES[i] for i in kept]
    assert ("[..." in found.rendered.text) == (keep_rate < 1)
    assert found.tokens == WordCounter().count(found.rendered.text)


@pytest.mark.parametrize("scores", [np.zeros(7), np.zeros((8, 1)), np.full(8, np.nan)])
def test_scores_that_are_none(scores: np.ndarray) -> None:
    segment = LineSegmenter().segment("".join(LINES))
    with pytest.raises(ScoringError, match="one finite score for each of 8 units"):
        select_share(segment, scores, 0.5, WordCounter(), choose_style(segment))
