"""Specific strings: what an agent's next call is made of, whatever it was asked.

A call takes identifiers, paths, ids and numbers from what was read, letter by letter. A unit that holds many of them
which stand nowhere else can't be done without; a string on every line says nothing about any.
"""

from __future__ import annotations

import math
import re
import threading
from collections import Counter

import numpy as np
from cachetools import LRUCache, cached

from agentcompress.schema import Segment
from agentcompress.scorers.units import digest_segment

_LEAST_TOKENS = 3.0  # so that a unit of one short number is not all that counts
_STRING = re.compile(r"[^\W\d]\w*(?:[./:\-]\w+)*|\d{3,}")
_INNER = re.compile(r"[_./:]|[a-z][A-Z]|[^\W\d_]\d")
_KEPT_UNITS = 300_000


def score_specific_strings(segment: Segment, sizes: np.ndarray) -> np.ndarray:
    """How many specific strings a unit holds, for each of its tokens; float64 (units,).

    sizes: tokens of every unit, (units,). A string in n units counts 1 / n in each.
    """
    return _count_specific_strings(segment) / np.maximum(sizes, _LEAST_TOKENS)


@cached(LRUCache(_KEPT_UNITS, getsizeof=len), key=digest_segment, lock=threading.Lock())
def _count_specific_strings(segment: Segment) -> np.ndarray:
    """The specific strings of every unit, each counted as 1 / (units that hold it), float64 (units,)."""
    strings = [find_specific_strings(segment.text[unit.start : unit.end]) for unit in segment.units]
    standing = Counter(string for held in strings for string in held)
    # fsum, for the order of a set differs from process to process
    return np.array([math.fsum(1 / standing[string] for string in held) for held in strings], dtype=np.float64)


def find_specific_strings(text: str) -> set[str]:
    """Numbers of three digits and more; names of four characters and more with an inner mark, capital or digit."""
    found = _STRING.findall(text)
    return {string for string in found if string[0].isdigit() or (len(string) >= 4 and _INNER.search(string))}
