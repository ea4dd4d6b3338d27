from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.evaluation.quality import metrics


@pytest.mark.parametrize(
    ("metric", "answer", "answers", "expected"),
    [
        ("qa_f1", "The cat, sat.", ["a cat sat"], 1.0),
        ("qa_f1", "cat dog", ["cat bird fish"], 0.4),
        ("qa_f1", "dog", ["cat", "dog"], 1.0),
        ("qa_f1", "", ["cat"], 0.0),
        ("rouge_l", "the cat sat", ["the cat sat"], 1.0),
        ("rouge_l", "the cat was here", ["the cat is here"], 0.75),
        ("rouge_l", "", ["cat"], 0.0),
        ("code_sim", "\n# comment\n`x`\nreturn x\n", ["return x"], 1.0),
        ("code_sim", "return y", ["return x"], 0.88),
        ("code_sim", "# only comments", ["return x"], 0.0),
        ("retrieval", "Paragraph 7", ["Paragraph 7"], 1.0),
        ("retrieval", "Paragraph 7 or 8", ["Paragraph 7"], 0.5),
        ("retrieval", "none", ["Paragraph 7"], 0.0),
        ("count", "There are 12, no: 13", ["13"], 0.5),
        ("count", "no idea", ["13"], 0.0),
        ("best_subspan_em", "It was The Manhattan, I think.\nOr not", ["manhattan"], 1.0),
        ("best_subspan_em", "I think\nManhattan", ["manhattan"], 0.0),
        ("best_subspan_em", "anything", ["!?"], 0.0),
        ("string_match_all", "values 123 and 456", ["123", "456", "789"], 2 / 3),
        ("string_match_part", "values 123", ["123", "456"], 1.0),
        ("choice", "The correct answer is (B)", ["B"], 1.0),
        ("choice", "**C**. Because A is wrong", ["C"], 1.0),
        ("choice", "B", ["A"], 0.0),
        ("choice", "Neither A nor C, so D", ["D"], 1.0),
        ("choice", "The answer is: `close_all`", ["A", "close_all"], 1.0),
        ("choice", "no letter", ["A"], 0.0),
        ("choice", "The answer is B because A is wrong", ["B"], 1.0),
        ("choice", "A looks fine.\nB is the one.", ["B"], 1.0),
        ("choice", "A looks fine.\nB is the one.", ["A"], 0.0),
        ("choice", "The answer is: close_all.x", ["A", "close_all"], 0.0),
    ],
)
def test_metrics(metric: str, answer: str, answers: list[str], expected: float) -> None:
    assert metrics.score_answer(metric, answer, answers) == pytest.approx(expected, abs=1e-6)


def test_classification_shares_the_point_among_the_classes_named() -> None:
    classes = ["Food", "Animal", "Plant food", "City"]
    assert metrics.score_answer("classification", "Animal or City", ["City"], classes=classes) == 0.5
    assert metrics.score_answer("classification", "Plant food", ["Plant food"], classes=classes) == 1.0
    assert metrics.score_answer("classification", "Animal", ["City"], classes=classes) == 0.0


def test_few_shot_sets_count_the_first_line_only() -> None:
    assert metrics.score_answer("qa_f1", "\nParis\nQuestion: next", ["Paris"], dataset="triviaqa") == 1.0
    assert metrics.score_answer("qa_f1", "\nParis\nQuestion: next", ["Paris"]) < 1.0


@given(
    metric=st.sampled_from(sorted(metrics.NAMES)),
    answer=st.text(max_size=60),
    answers=st.lists(st.text(min_size=1, max_size=20), max_size=3),
)
def test_every_score_is_a_share(metric: str, answer: str, answers: list[str]) -> None:
    assert 0 <= metrics.score_answer(metric, answer, answers, classes=["a", "ab"]) <= 1


@given(st.text(alphabet="abc .,", max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert metrics.normalise(metrics.normalise(text)) == metrics.normalise(text)
