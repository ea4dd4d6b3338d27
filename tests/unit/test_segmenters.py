from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, plugins
from agentcompress.protocols import Segmenter
from agentcompress.schema import Segment
from agentcompress.segmenters.check import segment_checked
from agentcompress.segmenters.detect import tell_prose_from_lines
from agentcompress.segmenters.grammars import GRAMMARS
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.segmenters.prose import ProseSegmenter
from agentcompress.text.cut_points import find_cut_points
from tests.kept import assert_sound, kept
from tests.shipped import entry_points
from tests.texts import any_text


def units(segment: Segment) -> list[str]:
    return [segment.text[unit.start : unit.end] for unit in segment.units]


def assert_tiles(segment: Segment, text: str) -> None:
    assert segment.text == text
    assert "".join(units(segment)) == text
    assert all(units(segment))
    parents = [unit.parent for unit in segment.units]
    assert parents == sorted(parents)
    assert all(0 <= i < len(segment.units) for unit in segment.units for i in unit.requires)


SEGMENTERS: list[tuple[str, dict[str, Any]]] = [
    *(("source", {"language": language}) for language in GRAMMARS),
    ("log", {}),
    ("json", {}),
    ("json", {"small_chars": 20, "record_chars": 100, "string_chars": 60}),
    ("diff", {}),
    ("diff", {"hunk_lines": 2}),
    ("matches", {}),
    ("table", {}),
    ("sections", {}),
    ("sections", {"language": "yaml"}),
    ("sections", {"language": "toml"}),
    ("outline", {}),
    ("mixed", {}),
    ("prose", {}),
    ("prose", {"max_unit_chars": 40}),
    ("lines", {}),
    ("lines", {"block_lines": 3, "max_line_chars": 60, "piece_chars": 20}),
    ("chunks", {"chunk_tokens": 4}),
]
"""Every segmenter keeps the contract below; a new one is tested by adding it here."""


def test_the_list_holds_every_segmenter_there_is() -> None:
    assert {name for name, _ in SEGMENTERS} == set(entry_points("segmenters"))


@pytest.fixture(
    scope="module", params=SEGMENTERS, ids=lambda listed: "-".join([listed[0], *map(str, listed[1].values())])
)
def segmenter(request: pytest.FixtureRequest, tiny_draft: str) -> Segmenter:
    name, options = request.param
    return plugins.build("segmenters", name, options, CompressConfig(draft=tiny_draft))


@given(text=any_text, seed=st.integers(0, 9))
def test_contract_units_tile_any_text_and_what_is_kept_is_in_the_budget(
    segmenter: Segmenter, text: str, seed: int
) -> None:
    segment = segment_checked(segmenter, "under test", text)
    assert_sound(segment, text)
    if segment.units:
        smaller, larger = (kept(segment, 1 + len(text) // part, seed) for part in (16, 8))
        assert smaller.tokens <= 1 + len(text) // 16
        assert larger.tokens <= 1 + len(text) // 8


@given(text=any_text)
def test_contract_the_same_text_is_cut_the_same(segmenter: Segmenter, text: str) -> None:
    first, second = segmenter.segment(text), segmenter.segment(text)
    assert (first.kind, first.units, first.floor_share) == (second.kind, second.units, second.floor_share)


def test_contract_an_empty_text_has_no_units(segmenter: Segmenter) -> None:
    assert isinstance(segmenter, Segmenter)
    assert segmenter.segment("").units == ()


@pytest.mark.parametrize("in_order", [ProseSegmenter(max_unit_chars=40), LineSegmenter(3, 60, 20)])
@given(text=any_text)
def test_units_tile_any_text(in_order: ProseSegmenter | LineSegmenter, text: str) -> None:
    assert_tiles(in_order.segment(text), text)


@given(text=any_text)
def test_oversized_units_are_cut(text: str) -> None:
    assert all(len(unit) <= 40 for unit in units(ProseSegmenter(max_unit_chars=40).segment(text)))
    assert all(len(unit) <= 60 for unit in units(LineSegmenter(3, 60, 20).segment(text)))


@pytest.mark.parametrize("chunk_tokens", [1, 4, 32])
def test_chunks_tile_and_count_draft_tokens(tiny_draft: str, chunk_tokens: int) -> None:
    from agentcompress.drafts.tokens import get_draft_tokenizer

    text = "The cat sat on the mat. 漢字 🙂 \ud800 and <|im_end|> stays text.\n" * 9
    config = CompressConfig(draft=tiny_draft)
    segment = plugins.build("segmenters", "chunks", {"chunk_tokens": chunk_tokens}, config).segment(text)
    assert_tiles(segment, text)
    assert segment.kind == "chunks"
    if chunk_tokens == 32:
        starts = get_draft_tokenizer(tiny_draft).tokenize(text).starts
        assert [unit.start for unit in segment.units] == starts[::32].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("Dr. Who met J. R. R. Tolkien, e.g. in Oxford. He left.", 2),
        ("It cost 3.5 million. Then it fell to 2.1 million.", 2),
        ("Made in the U.S. in 1990. Sold abroad.", 2),
        ('He said "Stop." Then he left.', ['He said "Stop." ', "Then he left."]),
        (
            "今日は晴れです。明日は雨でしょう！本当？はい。",
            ["今日は晴れです。", "明日は雨でしょう！", "本当？", "はい。"],
        ),
        ("他说：“你好。”然后走了。再见。", ["他说：“你好。”", "然后走了。", "再见。"]),
        ("First item\nSecond item\n", ["First item\n", "Second item\n"]),
        ("A line that was wrapped by an editor at about seventy characters and\ngoes on here. Next.", 2),
        ("Really?! Yes. OK...so what. Fine.", 4),
    ],
)
def test_sentences(text: str, expected: list[str] | int) -> None:
    found = units(ProseSegmenter().segment(text))
    assert (found if isinstance(expected, list) else len(found)) == expected, found


def test_sentences_stand_in_paragraphs_under_headings() -> None:
    segment = ProseSegmenter().segment("# Title\nIntro here. More.\n\nBody.\n\n## Part two\n\nLast one.\n")
    parents = {text.strip(): unit.parent for text, unit in zip(units(segment), segment.units, strict=True)}
    requires = {text.strip(): unit.requires for text, unit in zip(units(segment), segment.units, strict=True)}
    index = {text.strip(): i for i, text in enumerate(units(segment))}
    assert parents["Intro here."] == parents["More."] != parents["Body."]
    assert requires["Body."] == (index["# Title"],)
    assert requires["Last one."] == (index["## Part two"],)
    assert requires["# Title"] == ()


def test_blocks_of_lines_end_at_blank_lines_or_are_full() -> None:
    text = "a\nb\n\nc\n" + "d\n" * 30
    parents = [unit.parent for unit in LineSegmenter(block_lines=12).segment(text).units]
    assert parents[:4] == [0, 0, 1, 1]
    assert max(parents.count(parent) for parent in parents) == 12


def test_characters_drawn_as_one_are_not_cut() -> None:
    family = "👩\u200d👩\u200d👧"
    text = family * 40
    cuts = find_cut_points(text, 0, len(text), 24)
    assert cuts
    assert all(text[cut] != "\u200d" and text[cut - 1] != "\u200d" for cut in cuts)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Normandy is a region in the north of France. Its name comes from the Normans, who settled it.", "prose"),
        ("これは日本語の文章です。とても短いですが、散文です。", "prose"),
        ("def f(x):\n    return x + 1\n\n\nclass A:\n    b = 2\n", "lines"),
        ("2024-01-01 10:00:00 ERROR failed to connect\n2024-01-01 10:00:01 INFO retrying in 3 s\n", "lines"),
        ('{"a": 1, "b": [1, 2, 3]}', "lines"),
        ("", "lines"),
    ],
)
def test_detection(text: str, kind: str) -> None:
    assert tell_prose_from_lines(text) == kind


@given(text=st.text())
def test_detection_never_fails(text: str) -> None:
    assert tell_prose_from_lines(text) in ("prose", "lines")


@pytest.mark.parametrize("hostile", [".", '?"', "\n \n", " \n", "# \n", "a.\n", "--", ", ", "\u200d", "e\u0301"])
def test_hostile_repetition_takes_linear_time(hostile: str) -> None:
    text = hostile * (600_000 // len(hostile))
    assert_tiles(ProseSegmenter().segment(text), text)
    assert_tiles(LineSegmenter().segment(text), text)
    assert tell_prose_from_lines(text) in ("prose", "lines")


def test_what_is_spelt_like_no_word_comes_first_where_it_is_rare() -> None:
    sentences = [f"The men of house {i} went to the river and said little about it.\n" for i in range(300)]
    sentences[170] = "We think that the men of picoCTF{gr3p_15_@w3s0m3_4c479940} are lost.\n"
    sentences[80] = "See https://cdn.example.org/IMG4a7Bb2c9d.png and x-1a2b3c4d5e6f for more of it.\n"
    units = ProseSegmenter().segment("".join(sentences)).units
    assert [i for i, unit in enumerate(units) if unit.prior > 0] == [170]
    few = ProseSegmenter().segment("".join(sentences[150:200])).units
    assert not any(unit.prior for unit in few)
