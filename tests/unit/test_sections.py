"""YAML, TOML and INI: a value comes with its keys and with what names its record, and what is kept still parses."""

from __future__ import annotations

import configparser
import tomllib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.segmenters.kinds import Kind, detect_kind
from agentcompress.segmenters.sections import SectionSegmenter
from tests.kept import kept
from tests.tool_texts import TEXTS

LEXICAL = Compressor(CompressConfig(scorer="lexical"))
WORDS = st.text("abcdefgh ", min_size=1, max_size=30).map(str.strip).filter(bool)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=40,
)


@given(
    documents=st.lists(st.dictionaries(WORDS, VALUES, min_size=1, max_size=6), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_kept_yaml_parses(documents: list[object], seed: int) -> None:
    text = yaml.safe_dump_all(documents, allow_unicode=True, sort_keys=False)
    segment = SectionSegmenter("yaml").segment(text)
    for part in (2, 4, 8):
        list(yaml.safe_load_all(kept(segment, 1 + len(text) // part, seed).rendered.text))


def test_a_quoted_text_that_goes_on_behind_a_backslash_is_one() -> None:
    text = yaml.safe_dump({"a": [None, ["\x1f" * 20 + "go on " * 30, 1]], "b": [{"c": None}] * 9}, allow_unicode=True)
    segment = SectionSegmenter("yaml").segment(text)
    assert text.count("\\\n") == 3
    for seed in range(40):
        list(yaml.safe_load_all(kept(segment, 1 + len(text) // 8, seed).rendered.text))


@pytest.mark.parametrize("keep_rate", [0.1, 0.3, 0.6])
def test_kept_manifests_and_locks_parse(keep_rate: float) -> None:
    made = TEXTS["manifests"]()
    shown = LEXICAL.compress_text(made.text, query=made.query, keep_rate=keep_rate).text
    for document in yaml.safe_load_all(shown):
        assert document is None or "kind" in document
    made = TEXTS["lock_file"]()
    shown = LEXICAL.compress_text(made.text, query=made.query, keep_rate=keep_rate).text
    assert all("name" in package for package in tomllib.loads(shown)["package"])
    made = TEXTS["settings"]()
    shown = LEXICAL.compress_text(made.text, query=made.query, keep_rate=keep_rate).text
    parser = configparser.ConfigParser(allow_no_value=True)
    parser.read_string(shown)
    assert parser.sections()


def test_a_key_that_one_document_alone_has_is_odd() -> None:
    documents = [f"kind: Pod\nmetadata:\n  name: p{i}\nspec:\n  image: a{i}\n" for i in range(40)]
    documents[23] += "  hostPID: true\n"
    text = "---\n".join(documents)
    shown = LEXICAL.compress_text(text, query="which is unsafe?", keep_rate=0.1).text
    assert "  hostPID: true" in shown
    assert "name: p23" in shown


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[a]\nb = 1\n; c\n\n[d.e]\nf = 2\n", Kind("sections", {"language": "ini"})),
        (
            '[[package]]\nname = "a"\nversion = "1"\ndependencies = [\n "b",\n]\n' * 4,
            Kind("sections", {"language": "ini"}),
        ),
        ("[2026-03-01] one = two\nthree\nfour five six\n", Kind("log")),
    ],
)
def test_kinds(text: str, kind: Kind) -> None:
    assert detect_kind(text) == kind


def test_a_views_last_number_may_stand_alone() -> None:
    lines = [
        line for i in range(40) for line in (f"  svc{i}:", f"    image: app{i}:1", "    ports:", f'      - "80{i}:80"')
    ]
    view = "\n".join(f"{i + 1:6d}\t{line}" for i, line in enumerate(["services:", *lines, ""]))
    segment = SectionSegmenter("yaml").segment(view)
    assert sum(len(unit.requires) for unit in segment.units) >= 160
