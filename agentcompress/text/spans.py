"""Ranges of a text: what stands between some of them, and a range without white space at its ends."""

from __future__ import annotations

from collections.abc import Sequence

from agentcompress.schema import Span


def find_between(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the ranges before, between and behind spans that are disjoint; empty ones are left out."""
    edges = [0, *(edge for span in sorted(spans) for edge in span), len(text)]
    return [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def strip_span(text: str, span: Span) -> Span:
    """Return a range without the white space at its ends."""
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    return Span(start, max(start, span.start + len(inside.rstrip())))
