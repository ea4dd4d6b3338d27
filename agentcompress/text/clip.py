"""Both ends of a text: what is left where nothing but its length is known."""

from __future__ import annotations

from agentcompress.protocols import TokenCounter

CLIP = "[...]"
"""The mark in place of the middle of a text, where nothing but its length was known."""

_MOST_CHARS = 8
"""A token has no more characters than this, on average over a text: no longer ends are tried."""


def clip_text(text: str, tokens: int, counter: TokenCounter) -> str:
    """Both ends of a text, whole lines where they are short, with a mark between; the mark alone where nothing fits."""
    low, high, best = 0, min(len(text) // 2, tokens * _MOST_CHARS), CLIP
    while low <= high:
        half = (low + high) // 2
        head, tail = text[:half], text[len(text) - half :]
        shorter = f"{_cut_to_line_end(head)}\n{CLIP}\n{_cut_from_line_start(tail)}" if half else CLIP
        if counter.count(shorter) <= tokens:
            low, best = half + 1, shorter
        else:
            high = half - 1
    return best


def _cut_to_line_end(head: str) -> str:
    """Drop the line that a beginning of a text breaks off in, if another is left."""
    return head[: head.rfind("\n")] if "\n" in head.strip() else head


def _cut_from_line_start(tail: str) -> str:
    """Drop the line that an end of a text begins inside of, if another is left."""
    return tail[tail.find("\n") + 1 :] if "\n" in tail.strip() else tail
