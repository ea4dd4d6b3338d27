from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, plugins
from agentcompress.errors import InvalidInputError
from agentcompress.protocols import Scorer
from agentcompress.schema import Reading, Segment, Unit
from agentcompress.scorers import attention
from agentcompress.scorers.calibrated import CalibratedScorer, plan_windows
from agentcompress.scorers.lexical import LexicalScorer, split_words
from agentcompress.scorers.units import add_parent_scores, average_by_unit, find_units_of_tokens, standardise
from agentcompress.segmenters.prose import ProseSegmenter
from tests.shipped import entry_points

TEXTS = [
    "",
    "   ",
    "One sentence.",
    "The cat sat on the mat. The dog barked.\n\nRain fell. <|im_end|> is only text here.",
    "\x00\ud800 漢字が好きです。猫もいます。 👩\u200d👩\u200d👧 The end.",
    "The cat sat on the mat, and then it ran away. " * 60,
]


@dataclass(frozen=True)
class Listed:
    """A scorer under test. whole: it reads a text in one piece, so one beyond its model's context is an error."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False


SCORERS = [
    Listed("reader"),
    Listed("features"),
    Listed("calibrated"),
    Listed("lexical"),
    Listed("random"),
    Listed("speculative", {"too_long": "pieces"}),
    Listed("claa", {"too_long": "pieces"}),
    Listed("fastkv", {"too_long": "pieces"}),
    Listed("gemfilter", {"too_long": "pieces"}),
    Listed("oracle", {"answer_tokens": 3}, whole=True),
    Listed("head"),
    Listed("head-tail"),
    Listed("tests.fakes:LongestScorer"),
]
"""Every scorer keeps the contract below; a new one is tested by adding it here."""


def test_the_list_holds_every_scorer_there_is() -> None:
    assert {listed.name for listed in SCORERS if ":" not in listed.name} == set(entry_points("scorers"))


@pytest.fixture(scope="module", params=SCORERS, ids=lambda listed: listed.name)
def listed(request: pytest.FixtureRequest) -> Listed:
    return request.param


@pytest.fixture(scope="module")
def scorer(listed: Listed, tiny_draft: str) -> Scorer:
    config = CompressConfig(draft=tiny_draft, scorer=listed.name)
    return plugins.build("scorers", config.scorer, listed.options, config)


def assert_contract(scorer: Scorer, segment: Segment, query: str) -> None:
    """One finite score a unit, and the same twice."""
    assert isinstance(scorer, Scorer)
    scores = scorer.score(segment, Reading(query))
    assert scores.shape == (len(segment.units),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert (scorer.score(segment, Reading(query)) == scores).all()
    reading = Reading(query, query, query, "bash", '{"command": "cat cats.txt"}', (query, segment.text))
    scores = scorer.score(segment, reading)
    assert scores.shape == (len(segment.units),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert (scorer.score(segment, reading) == scores).all()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("query", ["Where did the cat sit?", "", " ", "\ud800 <|im_start|>", "long " * 900])
def test_contract_one_finite_score_a_unit_and_the_same_twice(
    listed: Listed, scorer: Scorer, text: str, query: str
) -> None:
    segment = ProseSegmenter().segment(text)
    if listed.whole and len(segment.units) > 1 and len(text) + len(query) > 1000:
        with pytest.raises(InvalidInputError, match="context of 512 tokens"):
            scorer.score(segment, Reading(query))
    else:
        assert_contract(scorer, segment, query)


@pytest.mark.parametrize("kind", ["lines", "json", "source", "log", "table"])
def test_contract_on_units_of_every_shape(scorer: Scorer, kind: str) -> None:
    text = {
        "json": '{"cat": {"name": "Tom", "age": 3, "toys": ["ball", "mouse"]}, "dog": null}',
        "source": "def sit(cat):\n    mat = find(cat)\n    return mat\n\n\nsit(1)\n",
    }.get(kind, "name,age\ncat,3\ndog,4\n\nERROR the cat is gone\n")
    segment = plugins.build("segmenters", kind, {"small_chars": 10} if kind == "json" else {}, CompressConfig())
    assert_contract(scorer, segment.segment(text), "How old is the cat?")


def test_lexical_finds_the_words_of_the_query() -> None:
    segment = ProseSegmenter().segment("The cat sat. The dog ran.\n\nA storm came. Rain fell on getUserName calls.")
    scores = LexicalScorer().score(segment, Reading("Why did user name fail in the rain?"))
    assert scores.argmax() == 3
    assert (LexicalScorer().score(segment, Reading("zebra")) == 0).all()


def test_words_of_identifiers_and_cjk() -> None:
    assert split_words("getUserName HTTP2Server") == [
        "getusername",
        "get",
        "user",
        "name",
        "http2server",
        "http",
        "2",
        "server",
    ]
    assert split_words("snake_case") == ["snake_case", "snake", "case"]
    assert split_words("東京都 x") == ["東", "京", "東京", "都", "京都", "x"]


def test_a_unit_stands_higher_in_a_better_paragraph() -> None:
    segment = Segment("abcd", "prose", tuple(Unit(i, i + 1, parent) for i, parent in enumerate((0, 0, 1, 1))))
    scores = add_parent_scores(np.array([1.0, 5.0, 1.0, 2.0]), np.ones(4), segment)
    assert scores[0] > scores[2]


def test_unit_means_leave_no_unit_without_a_score() -> None:
    means, sizes = average_by_unit(np.array([1.0, 3.0, -2.0]), np.array([0, 0, 2]), 4)
    assert means.tolist() == [2.0, -2.0, -2.0, -2.0]
    assert sizes.tolist() == [2, 0, 1, 0]


def test_a_token_belongs_to_the_unit_of_its_last_character() -> None:
    segment = Segment("One. Two.", "prose", (Unit(0, 5, 0), Unit(5, 9, 0)))
    # "One", ".", " Two" (its blank closes the unit before), "."
    assert find_units_of_tokens(segment, np.array([3, 4, 8, 9])).tolist() == [0, 0, 1, 1]


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_standardised(values: list[float]) -> None:
    out = standardise(np.array(values))
    assert np.isfinite(out).all()
    assert (np.diff(out[np.argsort(values)]) >= 0).all()
    if len(set(np.round(values, 3))) > 1:
        assert out.std() == pytest.approx(1)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    size=st.integers(1, 40),
)
def test_windows_tile_the_tokens_and_end_at_units(sizes: list[int], size: int) -> None:
    unit_of_token = np.repeat(np.arange(len(sizes)), sizes)
    ranges = plan_windows(unit_of_token, size)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == sum(sizes)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    unit_ends = set(np.cumsum(sizes).tolist())
    assert all(0 < stop - start <= size and (stop in unit_ends or stop - start == size) for start, stop in ranges)


def test_log_ratio_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    a, a0 = (torch.rand(2, 3, 5, generator=generator) for _ in range(2))
    found = attention.compute_log_ratio(a.clone(), a0)
    for layer, head, token in itertools.product(range(2), range(3), range(5)):
        one, null = float(a[layer, head, token]), float(a0[layer, head, token])
        assert float(found[layer, head, token]) == pytest.approx(one * np.log((one + 1e-6) / (null + 1e-6)), abs=1e-6)
    assert torch.allclose(attention.compute_prior(a0), a0.mean((0, 1)))


def test_groups_are_put_on_the_scale_of_one_softmax() -> None:
    logits = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(2))
    rest = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))
    joint = torch.cat([rest, logits], -1).softmax(-1)[..., 4:]
    parts, rests = [], []
    for group in logits.split(5, -1):
        weights = torch.cat([rest, group], -1).softmax(-1)
        parts.append(weights[..., 4:])
        rests.append(weights[..., :4].sum(-1))
    factors = attention.compute_joint_factors([part.sum(-1) for part in parts], rests)
    scaled = [part * factor[..., None] for part, factor in zip(parts, factors, strict=True)]
    assert torch.allclose(torch.cat(scaled, -1), joint, atol=1e-6)


def test_a_long_segment_is_read_in_groups(tiny_draft: str) -> None:
    from agentcompress.drafts.runtime import get_shared_runtime

    segment = ProseSegmenter().segment("The cat sat on the mat. Then the dog barked at it. It ran away. " * 12)
    at_once, grouped = (
        CalibratedScorer(lambda: get_shared_runtime(tiny_draft), window_tokens=32, group_tokens=limit)
        for limit in (100_000, 64)
    )
    whole, _ = at_once.read_token_signals(segment, "Who barked?", [(3, 1)])
    signals, ends = grouped.read_token_signals(segment, "Who barked?", [(3, 1)])
    assert signals.shape == whole.shape == (2, len(ends))
    assert np.isfinite(signals).all()
    assert not np.array_equal(signals, whole)


def test_heads_are_rows_of_the_band_and_their_mean_is_the_first(tiny_draft: str) -> None:
    from agentcompress.drafts.runtime import get_shared_runtime

    segment = ProseSegmenter().segment("The cat sat on the mat. Then the dog barked at it. It ran away.")
    runtime = get_shared_runtime(tiny_draft)
    scorer = CalibratedScorer(lambda: runtime)
    every, _ = scorer.read_token_signals(segment, "Who barked?", "all")
    assert len(every) == 1 + 4 * len(runtime.band)
    assert np.allclose(every[1:].mean(0), every[0], atol=1e-7)
    picked, _ = scorer.read_token_signals(segment, "Who barked?", [(runtime.band.start + 1, 2)])
    assert np.array_equal(picked[1], every[1 + 4 + 2])
