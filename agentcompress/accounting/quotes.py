"""Strings that an agent puts to use: what its calls' arguments and its code hold that is specific enough to be a quote.

A name with an inner mark or capital, a number of three digits and more, or a whole line of a multi-line argument (what
an edit has to match letter by letter). Not prose, where an agent may merely repeat a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_LEAST_LINE_CHARS = 12
_STRING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[./:\-][A-Za-z0-9_]+)*|\d{3,}")
_SPECIFIC = re.compile(r"[_./:]|[a-z][A-Z]|[A-Za-z]\d")
_QUOTED = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def find_used_in_words(said: str) -> Iterator[str]:
    """Strings of what an agent says: of its fences and backticks."""
    for quoted in _QUOTED.findall(said):
        yield from _find_specific(quoted.strip("`"))


def find_used_in_arguments(arguments: Any) -> Iterator[str]:
    """Strings of a call's arguments, parsed."""
    if isinstance(arguments, Mapping):
        arguments = list(arguments.values())
    if isinstance(arguments, list):
        for inner in arguments:
            yield from find_used_in_arguments(inner)
    elif arguments is not None:
        yield from _find_specific(arguments.strip('"') if isinstance(arguments, str) else str(arguments))


def _find_specific(text: str) -> Iterator[str]:
    yield from filter(_is_specific, _STRING.findall(text))
    if "\n" in text:
        yield from (line.strip() for line in text.splitlines() if len(line.strip()) >= _LEAST_LINE_CHARS)


def _is_specific(string: str) -> bool:
    return string.isdigit() or (len(string) >= 4 and not string.endswith(".") and bool(_SPECIFIC.search(string)))
