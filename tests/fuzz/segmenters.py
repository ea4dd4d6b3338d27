"""Fuzzes every kind of text with atheris: `pip install atheris`, then

    python -m tests.fuzz.segmenters CORPUS -max_total_time=3600 -max_len=4096

The first byte of an input chooses the kind, the rest is the text. What must hold: units tile the text, what they
require is there, budgets hold, and what is kept stands in the text. With `--seed` a corpus is written first, from this
repository's own files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # pyrefly: ignore[missing-import]

with atheris.instrument_imports(include=["agentcompress"]):
    from agentcompress.segmenters.kinds import Kind, detect_kind, make_segmenter
    from tests.kept import assert_sound, kept
    from tests.unit.test_segmenters import SEGMENTERS

KINDS = [Kind(name, options) for name, options in SEGMENTERS if name != "chunks"]  # which need a draft
_TREES = Path(__file__).parents[2]


def one_input(data: bytes) -> None:
    """Cut one text and keep parts of it."""
    if len(data) < 2:
        return
    number, text = data[0], data[1:].decode("utf-8", "surrogateescape" if data[0] & 1 else "replace")
    kind = KINDS[number % (len(KINDS) + 4)] if number % (len(KINDS) + 4) < len(KINDS) else detect_kind(text)
    segment = make_segmenter(kind).segment(text)
    assert_sound(segment, text)
    if not segment.units:
        return
    for part in (20, 5, 2):
        budget = 1 + len(text) // part
        selection = kept(segment, budget, seed=number)
        if selection.tokens > budget:
            raise AssertionError(f"{kind}: {selection.tokens} of {budget} tokens")
        last = -1
        for span in selection.rendered.spans:
            if not last < span.start < span.end <= len(text):
                raise AssertionError(f"{kind}: spans {selection.rendered.spans}")
            if text[span.start : span.end] not in selection.rendered.text:
                raise AssertionError(f"{kind}: not verbatim")
            last = span.end


def seed(corpus: Path) -> None:
    """Write this repository's files as first inputs, each as a kind or two."""
    corpus.mkdir(parents=True, exist_ok=True)
    files = [*_TREES.glob("docs/*.md"), *_TREES.glob("agentcompress/segmenters/*.py"), _TREES / "pyproject.toml"]
    for i, file in enumerate(files):
        for number in range(i % 7, len(KINDS) + 4, 7):
            (corpus / f"{file.stem}-{number}").write_bytes(bytes([number]) + file.read_bytes()[:3000])


if __name__ == "__main__":
    if "--seed" in sys.argv:
        sys.argv.remove("--seed")
        seed(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
