"""Which kind of text this is, by its content. A wrong guess costs quality, never an error."""

from __future__ import annotations

import re
from functools import lru_cache

from agentcompress.segmenters.shapes import Shapes, make_templates
from agentcompress.text.lines import split_visible

_SAMPLE_CHARS = 24_000
_CODE_SHARE = 0.08
"""A text with a larger share of lines that can only be code is no prose; code full of documentation has this many."""

_SENTENCE_WORDS = 8
_USUAL_SHARE, _LONG_CHARS = 0.35, 160
"""A text with a larger share of characters in lines of a shape that comes again and again is no prose; longer lines are
sentences, which may well begin alike."""

_WORDS = re.compile(r"[^\W\d_]{2,}")
_CODE_LINE = re.compile(
    r"""
    ^\s*[\])}]+[,;]?\s*$
    |^\s*(?:async\s+)?(?:def|class|func|fn|function|struct|impl)\s+\w+.*[({:]
    |^\s*(?:from\s+[\w.]+\s+)?import\s+[\w.{*"']+
    |^\s*\#\s*(?:include|define|ifdef|ifndef|endif)\b
    |^\s*(?:if|elif|else|for|while|try|except|finally|with)\b.*:\s*$
    |^\s*(?:return|raise|yield|assert|self\.|const\s|let\s|var\s|public\s|private\s|static\s|@\w+)
    |^\s*[\w.\[\]"']+\s*[-+*/|&]?=\s*[^=\s]
    |^\s*"[^"]*"\s*:\s
    """,
    re.VERBOSE,
)
_CODE_END = re.compile(r"(?:[{;]|\w\([^()]*\))\s*$")
"""Ends of statements and calls. Items of a list end so too: a line that reads like prose does not count."""

_OTHER_LINE = re.compile(r"^\s*(?:[\[{<|+>$#@]|\d{2,4}[-:/]\d{2}|[A-Z]{4,}\b|\S+:\d+)")
_WRAPPED_CHARS = 50
_SENTENCE_END = re.compile(r"[.!?…:,;؟۔।։។၊]['\"”’»)\]*_]*$")
"""A line that is no sentence's end is one of prose where it is as long as wrapped lines are."""

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def tell_prose_from_lines(text: str) -> str:
    """Return "prose" or "lines".

    Prose is text most of whose characters stand in lines that read like sentences (long enough, mostly letters), hardly
    any of whose lines can only be code, and few of whose lines are alike, as a machine's are. Looks at 24,000
    characters: beginning, middle and end.
    """
    lines = [line for line in split_visible(sample_text(text)) if line.strip()]
    if not lines or looks_like_code(text):
        return "lines"
    total = sum(len(line.strip()) for line in lines)
    prose = sum(len(line.strip()) for line in lines if _reads_like_prose(line.strip()))
    if 2 * prose <= total:
        return "lines"
    shapes = Shapes(make_templates(lines))
    alike = sum(
        len(line.strip())
        for row, line in enumerate(lines)
        if len(line) < _LONG_CHARS and shapes.is_usual(row) and not _is_sentence(line)
    )
    return "prose" if alike <= _USUAL_SHARE * total else "lines"


def _is_sentence(line: str) -> bool:
    """Whether a line is a whole sentence, which may well come again and again."""
    return line.rstrip().endswith((".", "!", "?", "。")) and line.count(" ") >= _SENTENCE_WORDS and line[:1].isupper()


def looks_like_code(text: str) -> bool:
    """Whether so many of a text's lines look like code that it may be some."""
    return measure_code_share(text) > _CODE_SHARE


def measure_code_share(text: str) -> float:
    """The share of lines that can only be code, of those `sample_text` shows."""
    return _measure_share_of(sample_text(text))


@lru_cache(maxsize=8)
def _measure_share_of(sample: str) -> float:
    """The share of lines that can only be code; asked of one sample several times."""
    lines = [line for line in split_visible(sample) if line.strip()]
    return sum(_is_code(line) for line in lines) / max(1, len(lines))


def sample_text(text: str) -> str:
    """Return up to 24,000 characters of a text, in thirds from its beginning, middle and end."""
    if len(text) <= _SAMPLE_CHARS:
        return text
    size = _SAMPLE_CHARS // 3
    middle = (len(text) - size) // 2
    return "\n".join((text[:size], text[middle : middle + size], text[-size:]))


def _is_code(line: str) -> bool:
    """Whether a line can only be code."""
    if _CODE_LINE.search(line):
        return True
    return _CODE_END.search(line) is not None and not _reads_like_prose(line.strip())


def _reads_like_prose(line: str) -> bool:
    """Whether a line without its indentation is long enough and has letters enough to be of a sentence."""
    if _OTHER_LINE.match(line):
        return False
    if len(_CJK.findall(line)) > len(line) // 3:
        return True
    letters = sum(len(word) for word in _WORDS.findall(line))
    if letters < 0.6 * len(line) or line.count(" ") < 3:
        return False
    return len(line) >= _WRAPPED_CHARS or _SENTENCE_END.search(line) is not None
