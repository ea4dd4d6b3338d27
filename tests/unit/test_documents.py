"""Several texts under one budget: exact, verbatim, in order, and encoded once whatever company they come in."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor, compress_documents
from agentcompress.drafts.cache.windows import WindowCache, get_shared_cache
from agentcompress.errors import InvalidInputError, ScoringError
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.calibrated import plan_windows, tokenize_segment
from agentcompress.scorers.units import digest_segment
from agentcompress.segmenters.prose import ProseSegmenter
from agentcompress.targets.counting import get_token_counter
from tests.fakes import compressor
from tests.texts_of_agents import SOURCE, make_log, make_prose

COUNT = get_token_counter("gpt-4o").count
PROSE = make_prose(60)
BEES = f"{PROSE} Mira Tolland keeps eleven beehives on the roof. {PROSE}"
RECORDS = json.dumps([{"id": i, "name": f"user {i}", "bees": i * 7919 % 1000} for i in range(100)], indent=1)
LOG = make_log(200)
TEXTS = [PROSE, SOURCE[:8000], BEES, RECORDS, LOG]
QUESTION = "Where does Mira Tolland keep her beehives?"


@pytest.mark.parametrize("keep_rate", [0.02, 0.1, 0.3, 0.7])
def test_one_budget_for_all(keep_rate: float) -> None:
    found = compress_documents(compressor(), TEXTS, query=QUESTION, keep_rate=keep_rate)
    before = sum(map(COUNT, TEXTS))
    assert [each.tokens_before for each in found] == [COUNT(text) for text in TEXTS]
    assert [each.tokens_after for each in found] == [COUNT(each.text) for each in found]
    assert 0.8 * keep_rate * before <= sum(each.tokens_after for each in found) <= -(-keep_rate * before // 1)
    assert "eleven beehives on the roof" in found[2].text
    assert max(found, key=lambda each: each.score).index == 2
    for each, text in zip(found, TEXTS, strict=True):
        assert all(text[a:b] in each.text for a, b in each.spans)
        assert bool(each.text) == bool(each.spans)
    if found[3].text:
        json.loads(found[3].text)


@given(st.lists(st.sampled_from([*TEXTS, "", "  \n", "One. Two.", "x"]), max_size=5), st.integers(1, 4000))
def test_what_is_kept_is_verbatim_and_fits(texts: list[str], budget: int) -> None:
    found = compress_documents(compressor(), texts, query="bees", target_tokens=budget)
    assert [each.index for each in found] == list(range(len(texts)))
    total = sum(COUNT(text) for text in texts if text.strip())
    blank = sum(COUNT(text) for text in texts if not text.strip())
    assert sum(each.tokens_after for each in found) <= budget or not total
    for each, text in zip(found, texts, strict=True):
        at = 0
        for start, end in each.spans:
            at = each.text.index(text[start:end], at) + end - start
    if budget >= total + blank:
        assert [each.text for each in found] == texts


def test_rates_and_shares() -> None:
    found = compress_documents(compressor(), TEXTS, query=QUESTION)
    assert 0.1 < sum(each.tokens_after for each in found) / sum(map(COUNT, TEXTS)) < 0.9  # auto
    whole = compress_documents(compressor(), TEXTS, query=QUESTION, keep_rate=1)
    assert [each.text for each in whole] == TEXTS
    assert compress_documents(compressor(), [], query=QUESTION) == []


def test_a_document_of_which_nothing_is_kept_costs_nothing() -> None:
    found = compress_documents(compressor(), [PROSE, BEES, LOG], query=QUESTION, target_tokens=40)
    assert [bool(each.text) for each in found] == [False, True, False]
    assert [each.tokens_after for each in found if not each.text] == [0, 0]
    assert "[...]" in found[1].text


def test_a_delimiter_of_the_users_own() -> None:
    found = compress_documents(compressor(delimiter="(cut)"), TEXTS, query=QUESTION, keep_rate=0.2)
    assert any("(cut)" in each.text for each in found)
    assert not any("omitted" in each.text or "[...]" in each.text for each in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": "one text"}, "texts must be a list of strings"),
        ({"texts": ["a", 3]}, r"texts\[1\] must be a string"),
        ({"query": None}, "query must be a string"),
        ({"keep_rate": 0}, "keep_rate must be a number in"),
        ({"target_tokens": 0}, "target_tokens must be a whole number >= 1"),
        ({"target_tokens": 9, "keep_rate": 0.5}, "target_tokens must be left out when keep_rate is given"),
        ({"target": "no-such-model"}, "target must be"),
    ],
)
def test_bad_input(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        compress_documents(compressor(), **{"texts": TEXTS, "query": "x", **arguments})


class OneScorer:
    """Has a score for one unit alone."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        return np.zeros(1)


def test_a_scorer_of_too_few_scores_is_an_error() -> None:
    broken = compressor(scorer="tests.unit.test_documents:OneScorer")
    with pytest.raises(ScoringError, match="one finite score for each of"):
        compress_documents(broken, TEXTS, query="x", target_tokens=50)


def test_blank_texts_take_nothing_of_a_budget() -> None:
    found = compress_documents(compressor(), ["\n \n\t" * 3000, LOG], query="worker", target_tokens=100)
    assert (found[0].text, found[0].tokens_after) == ("", 0)
    assert 50 < found[1].tokens_after <= 100


def test_a_scorer_that_fails_is_an_error() -> None:
    broken = compressor(scorer="tests.fakes:BrokenScorer")
    with pytest.raises(ScoringError, match="out of memory"):
        compress_documents(broken, TEXTS, query="x", keep_rate=0.1)


def test_texts_of_a_segment_are_encoded_apart() -> None:
    def tokenize(text: str) -> Any:
        from agentcompress.drafts.tokens import Tokens

        ends = np.arange(1, len(text) + 1)
        return Tokens(np.array([ord(c) for c in text], dtype=np.int64), ends - 1, ends)

    segment = ProseSegmenter().segment("One. Two. Three. Four.")
    apart = Segment(segment.text, segment.kind, segment.units, breaks=(10,))
    assert digest_segment(segment) != digest_segment(apart)
    ids, ends, starts = tokenize_segment(tokenize, apart)
    assert bytes(ids.tolist()).decode() == apart.text
    assert ends.tolist() == list(range(1, 23))
    assert starts == [0, 10]
    units = np.array([0] * 5 + [1] * 5 + [2] * 7 + [3] * 5)
    assert plan_windows(units, 100, starts) == [(0, 10), (10, 22)]
    assert plan_windows(units, 8, starts) == [(0, 5), (5, 10), (10, 17), (17, 22)]


def test_the_same_documents_in_another_order_are_not_encoded_again(tiny_draft: str) -> None:
    mine = Compressor(CompressConfig(draft=tiny_draft, ledger="memory"))
    cache = get_shared_cache(tiny_draft, 1 << 30, None, 8 << 30)
    assert isinstance(cache, WindowCache)
    texts = [BEES, LOG[:2000], RECORDS[:1500], "One sentence. Another one."]
    compress_documents(mine, texts, query=QUESTION, keep_rate=0.3)
    encoded = cache.get_stats().misses
    again = [*texts[1:], texts[0]]
    random.Random(3).shuffle(again)
    compress_documents(mine, again[:3], query="Which worker did most?", keep_rate=0.3)
    assert cache.get_stats().misses == encoded
    compress_documents(mine, [*again, "A new one. It is short."], query="x", keep_rate=0.3)
    assert cache.get_stats().misses == encoded + 1
