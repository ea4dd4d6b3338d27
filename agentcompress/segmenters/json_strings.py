"""Where a long JSON string may be cut: behind words, never inside an escape."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ATOM_END = re.compile(r"(?:\\n|[ ,;:.])(?=[^\\]|\\[^u])")
_CHARACTERS = re.compile(
    r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]){1,30}", re.DOTALL
)


def find_string_cuts(text: str, start: int, end: int, limit_chars: int) -> list[int]:
    """Places inside a string, never inside an escape, about `limit_chars` apart: behind words where there are any."""
    cuts: list[int] = []
    at = start
    for match in _ATOM_END.finditer(text, start, end):
        escaped = _is_escaped(text, match.start(), start)
        if not escaped and match.end() - at >= limit_chars // 2 and end - match.end() >= limit_chars // 2:
            cuts += _find_blind_cuts(text, at, match.end(), limit_chars)
            cuts.append(match.end())
            at = match.end()
    return [*cuts, *_find_blind_cuts(text, at, end, limit_chars)]


def _find_blind_cuts(text: str, start: int, end: int, limit_chars: int) -> Iterator[int]:
    """Places in a stretch without words: base64, a hash, a script that is all escapes."""
    at = start
    if end - start <= 3 * limit_chars:
        return
    for match in _CHARACTERS.finditer(text, start, end):
        if match.end() - at >= limit_chars and end - match.end() >= limit_chars:
            yield match.end()
            at = match.end()


def _is_escaped(text: str, at: int, start: int) -> bool:
    """Whether an odd number of backslashes stands right before a character."""
    first = at
    while first > start and text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1
