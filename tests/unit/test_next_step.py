"""Reading a tool's result for the next step: words of rows, columns, trees, the scorer."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor, plugins
from agentcompress.errors import InvalidInputError, ScoringError
from agentcompress.protocols import ChanceScorer
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.lexical import LexicalScorer
from agentcompress.scorers.next_step import seen
from agentcompress.scorers.next_step.columns import describe_rows
from agentcompress.scorers.next_step.forest import MOST_LEAVES, Forest, Tree, read_forest
from agentcompress.scorers.next_step.scorer import SHIPPED, FeaturesScorer
from agentcompress.scorers.next_step.words import RowWords, is_specific, split_parts

CODE = '''     1\timport os
     2\t
     3\tdef load_settings(path):
     4\t    """Read them."""
     5\t    with open(path) as file:
     6\t        return parse_settings(file.read())
     7\t
     8\tdef parse_settings(text):
     9\t    # TODO: an error for half a file
    10\t    return dict(line.split("=") for line in text.splitlines())
'''
READING = Reading(
    query="Task: mend parse_settings\nLast action: view settings.py 8",
    task="parse_settings fails on blank lines",
    said="I look at load_settings.",
    tool="view",
    arguments='{"path": "settings.py", "view_range": [8, 10]}',
    before=("", "def load_settings(path):", "", "settings.py"),
)


def segment_of(text: str) -> Segment:
    return Compressor(CompressConfig(scorer="lexical", segmenter="lines", ledger="memory")).segment(text)


def columns_of(text: str, reading: Reading = READING) -> dict[str, np.ndarray]:
    rows, _, names = describe_rows(segment_of(text), reading)
    return dict(zip(names, rows.T, strict=True))


# Words.

ROWS = st.lists(st.text(alphabet="abAB_19 .\n漢é", max_size=30), max_size=8)


@given(ROWS)
def test_words_of_rows_are_counted_as_they_stand(rows: list[str]) -> None:
    words = RowWords.of_rows(rows)
    counted = [Counter() for _ in rows]
    for row, word, often in zip(words.row, words.word, words.often, strict=True):
        counted[row][words.vocabulary[word]] += int(often)
    assert counted == [Counter(seen.WORD.findall(row)) for row in rows]
    by_part = [Counter(part for word in seen.WORD.findall(row) for part in split_parts(word)) for row in rows]
    parts = words.parts
    found = [Counter() for _ in rows]
    for row, word, often in zip(parts.row, parts.word, parts.often, strict=True):
        found[row][parts.vocabulary[word]] += int(often)
    assert found == by_part


@given(ROWS, st.sets(st.sampled_from(["a", "b", "ab", "19", "漢"])))
def test_bm25_of_rows_is_the_textbooks(rows: list[str], query: set[str]) -> None:
    words = RowWords.of_rows(rows)
    counts = [Counter(seen.WORD.findall(row)) for row in rows]
    mean = max(1.0, sum(c.total() for c in counts) / max(1, len(rows)))
    expected = []
    for count in counts:
        total = 0.0
        for word in query & count.keys():
            rows_with = sum(word in other for other in counts)
            rarity = math.log1p((len(rows) - rows_with + 0.5) / (rows_with + 0.5))
            total += rarity * count[word] * 2.2 / (count[word] + 1.2 * (0.25 + 0.75 * count.total() / mean))
        expected.append(total)
    assert words.score_bm25(frozenset(query)) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    ("word", "specific"), [("user_name", True), ("userName", True), ("utf8", True), ("User", False), ("a_b", False)]
)
def test_names_are_told_from_words(word: str, specific: bool) -> None:
    assert is_specific(word) == specific


# Columns.


def test_columns_say_what_stands_in_a_row() -> None:
    columns = columns_of(CODE)
    assert columns["defines"].tolist() == [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    assert columns["import"].tolist() == [1, *[0] * 9]
    assert columns["comment"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert columns["error"].tolist() == [*[0] * 8, 1, 0]
    assert columns["indent"].tolist() == [0, 0, 0, 4, 4, 8, 0, 0, 4, 4]
    assert columns["numbered"].all()
    assert columns["returns"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]


def test_columns_say_what_was_asked_for_and_what_stood_before() -> None:
    columns = columns_of(CODE)
    near = np.expm1(columns["near_asked"])
    assert near.round().tolist() == [7, 6, 5, 4, 3, 2, 1, 0, 1, 0]
    assert columns["task_names"].tolist() == [0, 0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert columns["new_names"][2] == 0, "load_settings was said before"
    assert columns["new_names"][7] == 1, "parse_settings stands in the task, but not in a message before"
    assert columns["by_task"].argmax() in (5, 7)
    told = columns_of("def load_settings(path):\nx = 1\n")
    assert told["seen_before"].tolist() == [1, 0]
    assert (told["share_seen"] == 0.5).all()


def test_a_column_stands_there_in_standard_deviations_too() -> None:
    columns = columns_of(CODE)
    own = columns["log_chars"].astype(np.float64)
    assert columns["log_chars_z"] == pytest.approx((own - own.mean()) / own.std(), abs=1e-4)
    assert (columns["numbered_z"] == 0).all(), "what is the same for all says nothing"


def test_means_over_neighbours_repeat_the_ends() -> None:
    columns = columns_of(CODE)
    padded = np.pad(columns["by_task"].astype(np.float64), 2, mode="edge")
    expected = [padded[i : i + 5].mean() for i in range(10)]
    assert columns["by_task_within_2"] == pytest.approx(expected, abs=1e-4)


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_described(text: str, said: str, arguments: str) -> None:
    segment = segment_of(text)
    if not segment.units:
        return
    reading = Reading("", said, said, "tool", arguments, (said, text))
    rows, units, names = describe_rows(segment, reading)
    assert rows.shape == (len(units), len(names))
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(set(names)) == len(names)
    assert set(units) == set(range(len(segment.units)))
    assert (describe_rows(segment, reading)[0] == rows).all()


def test_what_stood_before_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a_line_of_some_length b_word\nshort\n"
    words, lines = seen.read_texts([text, ""])
    assert words == {"a_line_of_some_length", "b_word", "short"}
    assert lines == {"a_line_of_some_length b_word"}
    assert seen.read_text(text) is seen.read_text("".join(list(text)))


# Trees.


@st.composite
def trees(draw: st.DrawFn, leaves: int = MOST_LEAVES) -> Tree:
    if leaves < 2 or draw(st.integers(0, 3)) == 0:
        return draw(st.floats(-2, 2))
    below = draw(st.integers(1, leaves - 1))
    threshold = draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
    return [draw(st.integers(0, 2)), threshold, draw(trees(below)), draw(trees(leaves - below))]


def ask(tree: Tree, row: np.ndarray) -> float:
    while isinstance(tree, list):
        tree = tree[2] if row[tree[0]] <= tree[1] else tree[3]
    return tree


@given(st.lists(trees(), max_size=6), st.lists(st.tuples(*[st.sampled_from([-2, -1, 0, 0.2, 0.5, 1, 3])] * 3)))
def test_a_forest_adds_up_the_leaves_that_its_trees_lead_to(grown: list[Tree], values: list[tuple[float, ...]]) -> None:
    rows = np.array(values, dtype=np.float32).reshape(len(values), 3)
    forest = Forest(("a", "b", "c"), 0.25, tuple(grown))
    assert forest.predict(rows) == pytest.approx([0.25 + sum(ask(tree, row) for tree in grown) for row in rows])


def test_a_forest_is_written_and_read(tmp_path: Path) -> None:
    forest = Forest(("a", "b"), 0.5, ([1, 0.5, -1.0, [0, 2.0, 1.0, 3.0]],), 0.7, {"seed": 0})
    (tmp_path / "reader.json").write_text(json.dumps(forest.as_json()))
    again = read_forest(tmp_path / "reader.json")
    assert again.as_json() == forest.as_json()
    rows = np.array([[1, 0], [1, 1], [3, 1]], dtype=np.float32)
    assert again.predict(rows).tolist() == [-0.5, 1.5, 3.5]
    chances = again.predict_chances(rows[:, ::-1], ("b", "a"))
    assert chances == pytest.approx(1 / (1 + np.exp(-0.7 * np.array([-0.5, 1.5, 3.5]))))
    with pytest.raises(ScoringError, match="'b', which this version doesn't know"):
        again.predict_chances(rows, ("a", "c"))


def deep(leaves: int) -> Any:
    return 0.0 if leaves < 2 else [0, 1.0, 0.0, deep(leaves - 1)]


GOOD: dict[str, Any] = Forest(("a",), 0.0, ([0, 1.0, 0.0, 1.0],)).as_json()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({**GOOD, "format": "another"}),
        json.dumps({**GOOD, "trees": [[1, 1.0, 0.0, 1.0]]}),
        json.dumps({**GOOD, "trees": [[0, 1.0, 0.0]]}),
        json.dumps({**GOOD, "trees": [[0, None, 0.0, 1.0]]}),
        json.dumps({**GOOD, "trees": [deep(MOST_LEAVES + 1)]}),
        json.dumps({**GOOD, "trees": ["leaf"]}),
        json.dumps({**GOOD, "slope": "steep"}),
        json.dumps({**GOOD, "base": float("nan")}),
    ],
)
def test_a_file_that_is_no_reader_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "reader.json"
    file.write_text(content)
    with pytest.raises(InvalidInputError, match=r"reader must be a reader's file"):
        FeaturesScorer(reader=str(file))
    with pytest.raises(InvalidInputError, match=r"reader must be a reader's file"):
        FeaturesScorer(reader=str(tmp_path / "nowhere.json"))


# The scorer.


@pytest.fixture(scope="module")
def scorer() -> FeaturesScorer:
    return FeaturesScorer()


def test_the_shipped_reader_asks_for_columns_that_there_are() -> None:
    _, _, names = describe_rows(segment_of(CODE), READING)
    assert set(read_forest(SHIPPED).columns) <= set(names)
    assert SHIPPED.stat().st_size < 500_000


def test_a_result_is_scored_by_rows_and_a_question_by_words(scorer: FeaturesScorer) -> None:
    segment = segment_of(CODE)
    question = Reading("where is parse_settings?")
    assert (scorer.score(segment, question) == LexicalScorer().score(segment, question)).all()
    assert scorer.estimate_chances(segment, question) is None
    scores, chances = scorer.score(segment, READING), scorer.estimate_chances(segment, READING)
    assert scores.shape == (10,)
    assert chances is not None
    assert (chances > 0).all()
    assert scores.argmax() in (5, 7), "the function of the task"
    chances[:] = 0
    assert (scorer.score(segment, READING) == scores).all(), "what is handed out is a copy"


def test_words_count_beside_the_trees() -> None:
    segment = segment_of(CODE)
    without = FeaturesScorer(lexical_weight=0).score(segment, READING)
    gained = FeaturesScorer(lexical_weight=2.0).score(segment, READING) - without
    words = LexicalScorer().score(segment, READING)
    assert gained.argmax() == words.argmax()
    with pytest.raises(InvalidInputError, match="lexical_weight must be"):
        FeaturesScorer(lexical_weight=-1)


def test_the_reader_leaves_questions_to_the_draft(tiny_draft: str) -> None:
    segment = segment_of(CODE)
    config = CompressConfig(draft=tiny_draft)
    reader = plugins.build("scorers", "reader", {}, config)
    calibrated = plugins.build("scorers", "calibrated", {}, config)
    question = Reading("where is parse_settings?")
    assert isinstance(reader, ChanceScorer)
    assert (reader.score(segment, question) == calibrated.score(segment, question)).all()
    assert (reader.score(segment, READING) == FeaturesScorer().score(segment, READING)).all()


def test_a_result_needs_no_draft() -> None:
    compressor = Compressor(CompressConfig(draft="psychic", ledger="memory", min_tokens=1))
    text = "".join(f"step {i}: wrote chunk_{i}.bin\n" for i in range(80))
    assert compressor.compress_text(text, query=READING, keep_rate=0.3).tokens_after > 0


# "auto" keeps what it promises, by chances.


def test_a_higher_promise_keeps_more() -> None:
    text = "".join(f"{i}\tdef handle_{i}(event_{i % 7}):\n" for i in range(200))
    sizes = []
    for recall_target in (0.3, 0.6, 0.9, 1.0):
        config = CompressConfig(scorer="features", ledger="memory", recall_target=recall_target)
        sizes.append(Compressor(config).compress_text(text, query=READING, keep_rate="auto").tokens_after)
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.5 * sizes[-1]
    assert (
        sizes[-1]
        == Compressor(CompressConfig(scorer="features")).compress_text(text, query=READING, keep_rate=1.0).tokens_after
    )


@pytest.mark.parametrize("value", [0, -0.1, 1.01, float("nan"), "much", True])
def test_a_promise_that_can_not_be_kept_is_an_error(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"recall_target must be a number in \(0, 1\]"):
        CompressConfig(recall_target=value)
