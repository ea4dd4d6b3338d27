"""Texts that nobody wants and everybody gets: none may fail, go over its budget, or come back changed."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agentcompress
from agentcompress import CompressConfig, Compressor
from agentcompress.errors import SegmentationError
from agentcompress.schema import Span
from agentcompress.segmenters.grammars import GRAMMARS, get_extension
from agentcompress.segmenters.source import SourceSegmenter
from agentcompress.text.delimiters import count_omitted, make_line_style
from agentcompress.text.rendering import Rendered
from tests.fakes import compressor
from tests.kept import assert_whole_lines
from tests.unit.test_structure import CLASSES, DIFF, OTHERS

OWN = (Path(agentcompress.__file__).parent / "compressor.py").read_text(encoding="utf-8")

BAD = {
    "binary": bytes(range(256)).decode("latin-1") * 200,
    "a line of 5 MB": "word " * 1_000_000,
    "a line of 5 MB without a blank": "x" * 5_000_000,
    "100,000 brackets": "[" * 100_000,
    "100,000 brackets, closed": "[" * 50_000 + "]" * 50_000,
    "100,000 braces in code": f"def f():\n    return 1\n\n\nx = {'{' * 100_000}\n",
    "JSON that breaks off": json.dumps([{"id": i, "name": f"user {i}"} for i in range(2000)])[:-700],
    "mixed encodings": "Größe: 3\nGrÃ¶Ã\x9fe: 3\n\udcff\udcfe broken\nплюс 東京\n" * 300,
    "CRLF and tabs": CLASSES.replace("\n", "\r\n").replace("    ", "\t") * 8,
    "mixed line ends": OTHERS["go"].replace("\n", "\r\n", 7) * 8,
    "our own delimiters": OWN.replace("\n\n", "\n# ... 14 lines omitted (120-133)\n[... 3 lines omitted]\n"),
    "a diff that breaks off": (DIFF * 9)[:-40],
    "a log of one line a thousand times": "2024-01-01 10:00:00 ERROR failed\n" * 1000,
    "nothing but blank lines": "\n \n\t\n" * 2000,
    "fences that never close": "```python\nx = 1\n\n~~~\n" * 300,
}


@pytest.mark.parametrize("hint", ["", "cat src/main.py", "data.json", "app.ts"])
@pytest.mark.parametrize("name", BAD)
def test_it_is_cut_all_the_same(name: str, hint: str, caplog: pytest.LogCaptureFixture) -> None:
    text = BAD[name]
    compressor = Compressor(CompressConfig(scorer="random"))
    with caplog.at_level(logging.WARNING, "agentcompress"):
        segment = compressor.segment(text, hint)
    assert not caplog.text
    assert "".join(text[unit.start : unit.end] for unit in segment.units) == text
    if len(text) < 1_000_000 or not hint:
        result = compressor.compress_text(text, query="", keep_rate=0.1, hint=hint)
        assert result.tokens_after <= 0.1 * result.tokens_before + 1
        assert all(text[span.start : span.end] in result.text for span in result.spans)


@pytest.mark.parametrize("name", ["CRLF and tabs", "mixed line ends", "our own delimiters"])
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_kept_lines_are_the_very_bytes(name: str, rate: float) -> None:
    text = BAD[name]
    result = Compressor(CompressConfig(scorer="random")).compress_text(text, query="", keep_rate=rate)
    assert len(result.spans) > 1
    assert_whole_lines(text, Rendered(result.text, result.spans))


def test_a_script_with_characters_beyond_latin_1_ends_no_process() -> None:
    """The scanner of bash's grammar reads beyond a table of C's for some of these: it is shown letters instead."""
    script = "}\x93\U000c52ca\U000ec973\x14\u00fa4h{\U000cd837\n"
    code = "import sys; from agentcompress.segmenters.source import SourceSegmenter\n"
    code += f"for text in ({script!r}, {script * 50!r}):\n    units = SourceSegmenter('bash').segment(text).units\n"
    code += "    assert ''.join(text[unit.start : unit.end] for unit in units) == text\n"
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


CODE = "int f() {\n" + "".join(f"  int x{i} = {i} + foo(bar);\n" for i in range(400)) + "}\n"
KEYS = "".join(f"k{i}: value {i}\n" for i in range(60))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("yaml", f"{KEYS}a:\n{'- ' * 256}x\n"),
        ("yaml", "".join(f"{' ' * i}a{i}:\n" for i in range(300))),
        ("yaml", "".join(f"{' ' * i}a{i}:\n" for i in range(150)) + " " * 150 + "? " * 150 + "x"),
        ("kotlin", f"fun f() {{\n  val y = {chr(34)}{'${' * 1100}\n}}\n"),
        ("c", CODE + "/*!\n" * 2000),
        ("go", f"package a\n{CODE}" + "/*!\n" * 2000),
    ],
)
def test_what_would_end_a_parser_or_take_for_ever_is_cut_at_lines(language: str, text: str) -> None:
    with pytest.raises(SegmentationError, match=f"parsed as {language}"):
        GRAMMARS[language].parse(text.encode())
    assert SourceSegmenter(language).segment(text).kind == "lines"
    assert compressor().compress_text(text, query="q", keep_rate=0.1, hint=f"x.{get_extension(language)}").text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\ntwo\nthree\n", "3 lines"),
        ("[one\ntwo\nthree\n]", "3 lines"),
        ("one [two]\n", "3 chars"),
        ("one [two\nthree\nfour\n]five", "3 chars and 2 lines"),
        ("one\n[two\nthr]ee", "3 chars and 1 line"),
        ("on[e\nt]wo", "2 chars"),
        ("one [two\nthree]", "3 chars and 1 line"),
        ("a\n[b]", "1 line"),
    ],
)
def test_what_is_left_out_is_counted_in_lines_and_parts_of_lines(text: str, said: str) -> None:
    bare = text.replace("[", "").replace("]", "")
    start = max(text.find("["), 0)
    end = text.find("]") - 1 if "]" in text else len(bare)
    assert count_omitted(bare, Span(start, end)) == said
    assert make_line_style(bare).gap(bare, Span(start, end)).strip() == f"[... {said} omitted]"


def test_a_long_line_of_code_that_was_cut_ends_where_it_ended() -> None:
    words = " ".join(f"w{i}" for i in range(900))
    text = f"import os\n\nDATA = '{words}'\n\n" + "".join(f"def f{i}(a):\n    return a + {i}\n\n" for i in range(30))
    shown = compressor().compress_text(text, query="f1 w0 w1 w2", keep_rate=0.2, hint="a.py").text
    assert re.search(r"w\d+ ?\[\.\.\. \d+ chars(?: and \d+ lines?)? omitted\]\n", shown)
    marked = text.replace("import os", "X = '[... 3200 chars and 1 line omitted]'")
    assert "[… " in compressor().compress_text(marked, query="f1 w0 w1 w2", keep_rate=0.2, hint="a.py").text


@pytest.mark.parametrize(
    "text",
    ["Output:\n" * 2000, "<system-reminder>" * 20_000, (" " * 700 + "x y z\n") * 400, "[" * 5000 + "\n" + "9" * 9000],
)
def test_hostile_texts_are_cut_without_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    more = "".join(f"2024-01-01 10:00:00 INFO request {i}\n" for i in range(200))
    compressor().compress_text(text + more, query="q", keep_rate=0.1)
    assert not caplog.records
