"""Which kind of text this is, by its content. A wrong guess costs quality, never an error."""

from __future__ import annotations

import re

_SAMPLE_CHARS = 20_000
_WORDS = re.compile(r"[^\W\d_]{2,}")
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*[<\[{]|^\s*\"[^\"]*\"\s*:|^\s*(?:def|class|import|from|return|if|for|while|else)\b.*[:;]?$|\s=\s"
)
_LOG_LINE = re.compile(r"^\s*(?:\[|\d{2,4}[-:/]\d{2}|[A-Z]{4,}\b|\S+:\d+|[|+>$#@])")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def detect(text: str) -> str:
    """Return "prose" or "lines".

    Prose is text most of whose characters stand in lines that read like sentences: long enough, mostly letters,
    no code punctuation at their ends and no log prefix. Looks at the first 20,000 characters.
    """
    total, prose = 0, 0
    for line in text[:_SAMPLE_CHARS].splitlines():
        stripped = line.strip()
        total += len(stripped)
        if _reads_like_prose(stripped):
            prose += len(stripped)
    return "prose" if 2 * prose > total else "lines"


def _reads_like_prose(line: str) -> bool:
    if _LOG_LINE.match(line) or _CODE_LINE.search(line):
        return False
    if len(_CJK.findall(line)) > len(line) // 3:
        return True
    letters = sum(len(word) for word in _WORDS.findall(line))
    return letters >= 0.6 * len(line) and line.count(" ") >= 3
