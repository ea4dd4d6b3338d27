"""Results that can't lose anything without losing everything: short ones, and views of a folder.

An agent reads them as a whole: which files there are, and which are not.
"""

from __future__ import annotations

import re

from agentcompress.segmenters.kinds import LISTED
from agentcompress.segmenters.languages import LOOKED_AT_CHARS
from agentcompress.text.lines import split_visible

RAW_SHORT = "too short to be cut"
RAW_LISTING = "a listing"

_SHORT_LINES = 20
_LINE_CHARS = 120
"""Characters that count as one line; a longer line counts as several."""

_LISTED_LINES, _LISTED_CHARS = 120, 8_000
_TREE = re.compile(r"\s*(?:[│├└]|[|`](?:--|   ))|\s*\S+/$")
_LEAST_LISTED = 0.8


def explain_left_whole(text: str) -> str | None:
    """Return why a tool's result is better left whole (`RAW_SHORT`, `RAW_LISTING`), or None where it is not."""
    if len(text) > _LISTED_CHARS:
        return None
    lines = [line for line in split_visible(text) if line.strip()]
    if sum(-(-len(line) // _LINE_CHARS) for line in lines) <= _SHORT_LINES:
        return RAW_SHORT
    lines = [line[:LOOKED_AT_CHARS] for line in lines]
    if len(lines) <= _LISTED_LINES:
        listed = sum(1 for line in lines if _TREE.match(line) or any(pattern.match(line) for pattern in LISTED))
        if listed >= _LEAST_LISTED * len(lines):
            return RAW_LISTING
    return None
