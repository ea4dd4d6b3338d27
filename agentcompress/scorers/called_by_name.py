"""What a query calls by its name: a function, or the value at a path of a JSON text."""

from __future__ import annotations

import re

import numpy as np

from agentcompress.schema import Segment

_WORD = re.compile(r"[^\W\d]\w{3,}")
_NAME = re.compile(r"[^\W\d]\w*")
_REACHED = re.compile(r"[^\W\d]\w*(?:(?:\.|::|#)[^\W\d]\w*)+|[^\W\d]\w*(?=\()|(?<=`)[^\W\d]\w*(?=`)")
_PATH = re.compile(r"[^\s.\[\]/\"',()?]+(?:(?:\.|/|\[)[\"']?[^\s.\[\]/\"',()?]+[\"']?\]?)+")
_KEYS = re.compile(r"[^\s.\[\]/\"',()?]+")
_DISTINCT_CHARS = 6
_MOST_KEYS = 24  # that are looked at of one path


def score_called(segment: Segment, query: str) -> np.ndarray:
    """Float64 (units,), in [0, 1]: 1 where the query calls the unit's name, 1/2 where it calls what that stands in.

    A short word in small letters alone is no name: queries say "read" and "open" for other reasons.
    """
    if not any(unit.name for unit in segment.units):
        return np.zeros(len(segment.units))
    words = _find_likely_names(query)
    paths = _find_called_paths(query, {unit.name[2:] for unit in segment.units if unit.name.startswith("$.")})
    known: dict[str, float] = {}
    for unit in segment.units:
        if unit.name not in known:
            known[unit.name] = (
                _score_path(unit.name, paths) if unit.name.startswith("$") else _score_name(unit.name, words)
            )
    return np.array([known[unit.name] for unit in segment.units], dtype=np.float64)


def _find_likely_names(query: str) -> set[str]:
    """Words that may be names: long ones, ones that are spelt like names, and ones that are called or reached into."""
    words = {word for word in _WORD.findall(query) if len(word) >= _DISTINCT_CHARS or not word.islower() or "_" in word}
    return words | {part for match in _REACHED.findall(query) for part in _NAME.findall(match)}


def _score_name(name: str, words: set[str]) -> float:
    """1 where a dotted name's last part is among the words, 1/2 where one of those before it is, else 0."""
    *outer, inner = name.split(".")
    return 1.0 if inner in words else 0.5 if any(part in words for part in outer) else 0.0


def _score_path(name: str, paths: set[str]) -> float:
    """1 where a query calls a JSON value by its path, or what that value stands in, else 0."""
    keys = name[2:].split(".")
    return float(any(".".join(keys[: i + 1]) in paths for i in range(len(keys))))


def _find_called_paths(query: str, standing: set[str]) -> set[str]:
    """Paths that a query calls, of those that stand in a text, `a.b.3.c`: with dots, brackets or slashes.

    A value that is no unit of its own is called by the one it is in. Of a path that begins with what is none here (a
    variable, a file) an end of two keys or more counts.
    """
    found: set[str] = set()
    for match in _PATH.finditer(query):
        keys = _KEYS.findall(match.group())[:_MOST_KEYS]
        parts = (
            ".".join(keys[start:end])
            for start in range(len(keys) - 1)
            for end in range(len(keys), start + (1 if start else 0), -1)
        )
        found.update([path for path in parts if path in standing][:1])
    return found
