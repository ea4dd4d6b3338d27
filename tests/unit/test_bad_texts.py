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
    lines = set(text.split("\n"))
    shown = result.text.removesuffix("\n").split("\n")
    delimiters = [line for line in shown if line not in lines]
    omitted = sum(int(re.search(r"(\d+) lines? omitted", line).group(1)) for line in delimiters)  # type: ignore[union-attr]
    assert 0 < len(delimiters) < len(shown)
    assert len(shown) - len(delimiters) + omitted == len(text.removesuffix("\n").split("\n"))


def test_a_script_with_characters_beyond_latin_1_ends_no_process() -> None:
    """The scanner of bash's grammar reads beyond a table of C's for some of these: it is shown letters instead."""
    script = "}\x93\U000c52ca\U000ec973\x14\u00fa4h{\U000cd837\n"
    code = "import sys; from agentcompress.segmenters.source import SourceSegmenter\n"
    code += f"for text in ({script!r}, {script * 50!r}):\n    units = SourceSegmenter('bash').segment(text).units\n"
    code += "    assert ''.join(text[unit.start : unit.end] for unit in units) == text\n"
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
