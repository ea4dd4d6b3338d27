"""JSON with something around it: a sentence or headers before it, an exit code behind it."""

from __future__ import annotations

import json
import re

from agentcompress.schema import Span

_BEGINS = re.compile(r"^\ufeff?[ \t]*(?=[\[{])", re.MULTILINE)
_MOST_TRIED = 4
_LEAST_SHARE = 0.5


def find_json_within(text: str) -> Span | None:
    """Where an object or array stands that is most of a text, from the beginning of a line; None where none does."""
    decoder = json.JSONDecoder()
    for tried, match in enumerate(_BEGINS.finditer(text)):
        if tried == _MOST_TRIED or len(text) - match.end() < _LEAST_SHARE * len(text):
            return None
        try:
            _, end = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if end - match.end() >= _LEAST_SHARE * len(text):
            return Span(match.end(), end)
    return None
