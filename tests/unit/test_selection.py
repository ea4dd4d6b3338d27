from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcompress.errors import ScoringError
from agentcompress.schema import DelimiterStyle, Reading, Segment, Span, Unit
from agentcompress.scorers.seeded import RandomScorer
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.segmenters.logs import LogSegmenter
from agentcompress.segmenters.prose import ProseSegmenter
from agentcompress.segmenters.source import SourceSegmenter
from agentcompress.segmenters.structured import JsonSegmenter
from agentcompress.selection.select import Selection, compute_budget_tokens, select_units
from agentcompress.targets.counting import get_token_counter
from agentcompress.text.delimiters import choose_style, is_counted, make_comment_style, make_line_style
from agentcompress.text.lines import Rows
from agentcompress.text.rendering import render_units
from tests.fakes import WordCounter
from tests.texts import any_text

SEGMENTERS = {"prose": ProseSegmenter(max_unit_chars=80), "lines": LineSegmenter(3, 120, 40)}
COUNTERS = {"words": WordCounter(), "gpt-4o": get_token_counter("gpt-4o")}


def selected(text: str, kind: str, budget: int, counter: str, seed: int = 0) -> tuple[Segment, Selection]:
    segment = SEGMENTERS[kind].segment(text)
    scores = RandomScorer(seed).score(segment, Reading(""))
    return segment, select_units(segment, scores, budget, COUNTERS[counter], choose_style(segment))


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("kind", SEGMENTERS)
@given(text=any_text.filter(bool), budget=st.integers(1, 120), seed=st.integers(0, 3))
def test_budget_is_never_exceeded_and_kept_text_is_verbatim(
    kind: str, counter: str, text: str, budget: int, seed: int
) -> None:
    segment, selection = selected(text, kind, budget, counter, seed)
    rendered = selection.rendered
    assert selection.tokens == COUNTERS[counter].count(rendered.text) <= budget
    assert_subsequence(segment, rendered.text, rendered.spans)


def assert_subsequence(segment: Segment, text: str, spans: tuple[Span, ...]) -> None:
    """The kept ranges stand in the text in order, with nothing but delimiters between them."""
    style = choose_style(segment)
    at, last = 0, 0
    for span in spans:
        assert last <= span.start < span.end <= len(segment.text)
        if span.start > last:
            delimiter = style.gap(segment.text, Span(last, span.start))
            if text[at:].startswith(delimiter):
                at += len(delimiter)
            else:  # a beginning under a budget too small for any delimiter
                assert len(spans) == 1
        kept = segment.text[span.start : span.end]
        assert text[at : at + len(kept)] == kept
        at, last = at + len(kept), span.end
    rest = style.gap(segment.text, Span(last, len(segment.text))) if last < len(segment.text) else ""
    assert text[at:] in (rest, "")


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("kind", SEGMENTERS)
@given(text=any_text.filter(bool), seed=st.integers(0, 3))
def test_a_larger_budget_keeps_a_superset(kind: str, counter: str, text: str, seed: int) -> None:
    kept: set[int] = set()
    for budget in range(1, 60):
        spans = selected(text, kind, budget, counter, seed)[1].rendered.spans
        characters = {i for span in spans for i in range(span.start, span.end)}
        assert kept <= characters
        kept = characters


@given(text=any_text.filter(bool), kind=st.sampled_from(sorted(SEGMENTERS)), kept=st.sets(st.integers(0, 40)))
def test_a_source_text_never_holds_the_delimiter_it_gets(text: str, kind: str, kept: set[int]) -> None:
    segment = SEGMENTERS[kind].segment(text)
    style = choose_style(segment)
    mark = getattr(style, "mark")  # noqa: B009 - both styles have one, the protocol does not say so
    assert (mark if kind == "prose" else f"[{mark}") not in text
    rendered = render_units(segment, sorted(i for i in kept if i < len(segment.units)), style)
    again = SEGMENTERS[kind].segment(rendered.text)
    if len(rendered.spans) < len(kept) and mark in rendered.text:
        assert choose_style(again) != style


def test_best_units_are_kept_in_order_with_a_delimiter_in_every_gap() -> None:
    text = "".join(f"This is line number {i} of the log.\n" for i in range(12))
    segment = LineSegmenter().segment(text)
    scores = np.array([1.0 if i in (3, 4, 9) else 0.0 for i in range(12)])
    chosen = select_units(segment, scores, 60, COUNTERS["words"], choose_style(segment))
    assert chosen.rendered.text == (
        "[... 3 lines omitted]\n"
        "This is line number 3 of the log.\n"
        "This is line number 4 of the log.\n"
        "[... 4 lines omitted]\n"
        "This is line number 9 of the log.\n"
        "[... 2 lines omitted]\n"
    )


def test_delimiters_of_lines_keep_indentation_and_line_endings() -> None:
    text = "def f():\r\n    a = 1\r\n    b = 2\r\n    c = 3\r\n    return a\r\nlast"
    segment = LineSegmenter().segment(text)
    rendered = render_units(segment, [0, 4], choose_style(segment))
    assert rendered.text == ("def f():\r\n    [... 3 lines omitted]\r\n    return a\r\n[...]")


LONG = "".join(f"line {i:3d} of the text\n" for i in range(100))  # 21 characters each
CUT = {
    "lines": (make_line_style(LONG), "[...]\n", "[... {n} lines omitted]\n"),
    "comment": (
        make_comment_style(LONG, ("//", ""), Rows(LONG).starts),
        "// ...\n",
        "// ... {n} lines omitted (11-{last})\n",
    ),
    "closed comment": (
        make_comment_style(LONG, ("/*", "*/"), Rows(LONG).starts, numbered=True),
        "/* ... */\n",
        "/* ... {n} lines omitted */\n",
    ),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("lines", [1, 12, 13, 40])
def test_a_gap_is_counted_where_it_is_an_eighth_of_the_text(name: str, lines: int) -> None:
    style, brief, counted = CUT[name]
    said = style.gap(LONG, Span(210, 210 + 21 * lines))
    assert said == (brief if lines < 13 else counted.format(n=lines, last=10 + lines))


def test_a_gap_of_two_thousand_characters_is_counted_in_any_text() -> None:
    text = "x" * 99 + "\n"
    style = make_line_style(text * 1000)
    assert style.gap(text * 1000, Span(100, 2000)) == "[...]\n"
    assert style.gap(text * 1000, Span(100, 2100)) == "[... 20 lines omitted]\n"


def test_within_a_line_a_small_gap_is_not_counted() -> None:
    text = "word " * 400
    for style in (make_line_style(text), make_comment_style(text, ("#", ""), Rows(text).starts)):
        assert style.gap(text, Span(5, 205)) == "[...]"
        assert style.gap(text, Span(5, 305)) == "[... 300 chars omitted]"


def test_the_bounds_of_what_is_counted_are_exact() -> None:
    for length in (8, 15, 16, 8000, 15_999, 16_000, 16_001, 10**6):
        bound = min(math.ceil(length / 8), 2000)
        text = "x" * length
        for start in (0, 3, length - bound):
            assert is_counted(text, Span(start, start + bound))
            assert not is_counted(text, Span(start, start + bound - 1))


ENDS = "".join(f"{'  ' * (i % 3)}line {i:3d}\r\n" for i in range(60))
ROWS = Rows(ENDS).starts


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (make_line_style(ENDS), "[...]"),
        (make_comment_style(ENDS, ("#", ""), ROWS), "# ..."),
        (make_comment_style(ENDS, ("<!--", "-->"), ROWS), "<!-- ... -->"),
    ],
)
def test_a_brief_delimiter_is_indented_and_ends_its_line_as_the_lines_do(style: DelimiterStyle, said: str) -> None:
    for row in range(1, 50):
        assert style.gap(ENDS, Span(ROWS[row], ROWS[row + 2])) == f"{'  ' * (row % 3)}{said}\r\n"
    assert style.gap(ENDS, Span(ROWS[58], len(ENDS))) == f"  {said}\r\n"
    assert style.gap(ENDS[:-2], Span(ROWS[58], len(ENDS) - 2)) == f"  {said}"
    assert style.gap(ENDS, Span(ROWS[3] + 2, ROWS[4])) == "[...]\r\n"  # from within a line to its end


def test_in_prose_a_small_gap_says_no_number_of_lines() -> None:
    text = "".join(f"This is sentence number {i:3d}.\n" for i in range(64))  # an eighth is eight lines
    segment = ProseSegmenter().segment(text)
    style = choose_style(segment)
    line = len(text) // 64
    assert style.gap(text, Span(line - 1, 9 * line)) == "\n[... 8 lines]\n"
    assert style.gap(text, Span(line - 1, 9 * line - 1)) == "\n[... 7 lines]\n"
    assert style.gap(text, Span(line - 1, 9 * line - 2)) == "\n[...]\n"
    assert style.gap(text.replace("\n", "\r\n"), Span(line - 1, 5 * line)) == "\r\n[...]\r\n"
    assert style.gap(text, Span(0, 3 * line)) == "[...]\n"


def test_what_is_like_the_line_before_is_counted_however_little() -> None:
    text = "".join(f"12:00:00 worker {i} finished\n" for i in range(100))
    for other in (50, 70):
        text = text.replace(f"worker {other} finished", f"disk /dev/sd{other} is nearly full, call somebody")
    segment = LogSegmenter().segment(text)
    starts, style = Rows(text).starts, choose_style(segment)
    assert style.gap(text, Span(starts[10], starts[11])) == "[... 1 more like this omitted]\n"
    assert style.gap(text, Span(starts[10], starts[40])) == "[... 30 more like this omitted]\n"
    assert style.gap(text, Span(starts[48], starts[51])) == "[...]\n"
    assert style.gap(text, Span(starts[48], starts[72])) == "[... 24 lines omitted]\n"


def test_what_a_progress_bar_has_overwritten_is_counted_however_little() -> None:
    text = "\r".join(f"fetching {i} of 5" for i in range(1, 6)) + "\n"
    text += "".join(f"compiled the module {i} of the great many that there are\n" for i in range(90))
    segment = LogSegmenter().segment(text)
    gap = Span(0, segment.units[0].end)
    assert not is_counted(text, gap)
    assert choose_style(segment).gap(text, gap) == "[... 4 overwritten updates omitted]\n"


def test_elements_and_keys_are_counted_however_few() -> None:
    records = [{"id": i, "name": f"name {i}", "note": "word " * 300} for i in range(40)]
    text = json.dumps({"rows": records})
    segment = JsonSegmenter().segment(text)
    style = choose_style(segment)

    def leave_out(first: str, end: str) -> str:
        start = text.index(first)
        return style.gap(text, Span(start, text.index(end, start)))

    assert leave_out('{"id": 3,', '{"id": 4,') == '"[... 1 element omitted]", '
    assert leave_out('"name": "name 3"', '"note"') == '"[... 1 key omitted: name]": null, '
    pieces = [unit for unit in segment.units if text[unit.start : unit.end].replace("word ", "") == ""]
    assert len(pieces) > 40
    assert {style.gap(text, Span(unit.start, unit.end)) for unit in pieces} == {"[...]"}


LINES_OF_ALL_KINDS = st.lists(
    st.tuples(
        st.sampled_from(["", "  ", "    "]),
        st.sampled_from(["x = 1", "def f(a, b):", "", "It rained. It blew hard.", "12:00 ERROR it failed", "# ..."]),
        st.integers(0, 9),
    ).map(lambda made: f"{made[0]}{made[1]} {made[2]}\n"),
    min_size=30,
    max_size=90,
).map("".join)
"""Of so many lines, most gaps are brief."""

ALL = {**SEGMENTERS, "log": LogSegmenter(), "source": SourceSegmenter("python")}


@pytest.mark.parametrize("kind", ALL)
@given(text=LINES_OF_ALL_KINDS, seed=st.integers(0, 3), counter=st.sampled_from(sorted(COUNTERS)))
@settings(max_examples=30)
def test_brief_and_counted_delimiters_are_in_the_budget(kind: str, text: str, seed: int, counter: str) -> None:
    """And a larger budget keeps a superset, but of code, whose units can't be cut."""
    segment = ALL[kind].segment(text)
    scores = RandomScorer(seed).score(segment, Reading(""))
    kept: set[int] = set()
    for budget in (1, 3, 8, 20, 30, 31, 32, 50, 80, 120, 200):
        found = select_units(segment, scores, budget, COUNTERS[counter], choose_style(segment))
        assert found.tokens == COUNTERS[counter].count(found.rendered.text) <= budget
        assert_subsequence(segment, found.rendered.text, found.rendered.spans)
        characters = {i for span in found.rendered.spans for i in range(span.start, span.end)}
        assert kept <= characters or not segment.divisible
        kept = characters


@pytest.mark.parametrize(
    ("line", "goes"), [("red green blue black", False), ("red green blue black white grey pink", True)]
)
def test_a_gap_goes_where_it_takes_more_than_twice_a_brief_delimiter(line: str, goes: bool) -> None:
    """Between the lines that are better, what is short stays."""
    counter = COUNTERS["gpt-4o"]
    text = "".join(f"kept line number {i} of many\n{line}\n" for i in range(60))
    segment = LineSegmenter().segment(text)
    style = choose_style(segment)
    brief = counter.count("[...]\n")
    assert counter.count(style.longest(text)) > 2 * brief
    assert (counter.count(f"{line}\n") > 2 * brief) == goes
    scores = np.array([float("kept" in text[unit.start : unit.end]) for unit in segment.units])
    best = counter.count("".join(f"kept line number {i} of many\n" for i in range(60)))
    found = select_units(segment, scores, best + 40 * brief, counter, style).rendered.text
    better = found.count("kept")
    assert 40 < better < 60
    assert found.count(f"many\n{line}\nkept") == (0 if goes else better - 1)
    assert found.count("many\n[...]\nkept") == (better - 1 if goes else 0)


def test_delimiters_of_prose_stand_between_sentences_and_at_paragraph_ends() -> None:
    segment = ProseSegmenter().segment("One is here. Two is here. Three is here.\n\nFour is here. Five is here.")
    assert (
        render_units(segment, [0, 2], choose_style(segment)).text == "One is here. [...] Three is here.\n[... 1 line]"
    )
    assert render_units(segment, [1, 3], choose_style(segment)).text == "[...] Two is here. [...]\nFour is here. [...]"


def test_a_gap_that_costs_no_more_than_its_delimiter_is_kept() -> None:
    text = "alpha beta gamma delta epsilon zeta\nx\nalpha beta gamma delta epsilon zeta\n" + "y y y y y y y y\n" * 9
    segment = LineSegmenter().segment(text)
    scores = np.array([1.0, 0.0, 1.0] + [0.0] * 9)
    chosen = select_units(segment, scores, 26, COUNTERS["words"], choose_style(segment))
    assert "x\n" in chosen.rendered.text
    assert chosen.rendered.spans == (Span(0, text.index("y")),)


def test_a_sentence_brings_its_heading() -> None:
    text = "# Storms\n\nIt rained a lot. It blew hard.\n\n# Calm\n\nThe sea lay still for days. Nothing moved at all.\n"
    segment = ProseSegmenter().segment(text)
    scores = np.array([float("sea" in text[unit.start : unit.end]) for unit in segment.units])
    chosen = select_units(segment, scores, 24, COUNTERS["words"], choose_style(segment))
    assert "# Calm\n\nThe sea lay still for days." in chosen.rendered.text
    assert "Storms" not in chosen.rendered.text


def test_a_budget_is_used_up_where_units_are_small() -> None:
    text = "\n" * 4000 + "".join(f"line {i} of some length, {i % 7} words or more\n" for i in range(800))
    budget = COUNTERS["gpt-4o"].count(text) // 3
    selection = selected(text, "lines", budget, "gpt-4o")[1]
    assert 0.95 * budget < selection.tokens <= budget


def test_a_long_line_after_a_hash_is_no_heading() -> None:
    text = f"# {'word ' * 4000}\n\n" + "It rained a lot that day. " * 200
    selection = selected(text, "prose", 500, "words")[1]
    assert 400 < selection.tokens <= 500


def test_blank_lines_give_no_indentation_to_a_delimiter() -> None:
    text = f"a = 1\n{' ' * 3000}\n    b = 2\n{' ' * 90}c = 3\nd = 4\n"
    segment = LineSegmenter(max_line_chars=4000).segment(text)
    assert render_units(segment, [0, 4], choose_style(segment)).text == "a = 1\n    [... 3 lines omitted]\nd = 4\n"
    assert render_units(segment, [0, 1, 2, 4], choose_style(segment)).text.splitlines()[-2] == " " * 40 + "[...]"


def test_a_text_full_of_marks_gets_one_of_its_own() -> None:
    text = "[...] […] " + " ".join(f"[... #{i}]" for i in range(2, 30_000))
    segment = SEGMENTERS["prose"].segment(text)
    assert choose_style(segment).gap(text, Span(0, len(text))) == "[... #30000]"


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 8])
def test_tiny_budgets_keep_a_beginning(budget: int) -> None:
    text = "Supercalifragilistic words everywhere are hard to fit into one small budget"
    segment = ProseSegmenter().segment(text)
    chosen = select_units(segment, np.zeros(1), budget, COUNTERS["gpt-4o"], choose_style(segment))
    assert chosen.tokens <= budget
    if budget == 8:
        assert chosen.rendered.text.startswith("Super")


@pytest.mark.parametrize(
    "scores", [np.zeros(2), np.zeros((3, 1)), np.array([0.0, np.nan, 1.0]), np.array([0, np.inf, 1])]
)
def test_scores_that_can_not_be_used(scores: np.ndarray) -> None:
    segment = Segment("abc", "lines", (Unit(0, 1, 0), Unit(1, 2, 0), Unit(2, 3, 0)))
    with pytest.raises(ScoringError, match="one finite score for each of 3 units"):
        select_units(segment, scores, 1, COUNTERS["words"], choose_style(segment))


@given(rate=st.floats(0.001, 1), tokens=st.integers(1, 10**6))
def test_budget_rounds_up(rate: float, tokens: int) -> None:
    assert compute_budget_tokens(rate, tokens) <= math.ceil(rate * tokens)
    assert compute_budget_tokens(1.0, tokens) == tokens
    assert compute_budget_tokens(1e-12, tokens) == 1
    assert compute_budget_tokens(rate, 0) == 0
    assert compute_budget_tokens(0.1, 1830) == 183  # 0.1 * 1830 is a little over 183 in floating point
