"""Kept units -> text with delimiters. The kept ranges appear byte for byte, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agentcompress.schema import DelimiterStyle, Segment, Span


@dataclass(frozen=True)
class Rendered:
    """The text that is sent, and the ranges of the original it was made of."""

    text: str
    spans: tuple[Span, ...]


def render_units(segment: Segment, kept: Iterable[int], style: DelimiterStyle) -> Rendered:
    """Join the kept units (indexes, ascending), a delimiter in every gap."""
    return render_spans(segment.text, trim_spans(segment, merge_units(segment, kept)), style)


def render_spans(text: str, spans: list[Span], style: DelimiterStyle | None) -> Rendered:
    """Join ranges of `text` that are in order and don't touch, a delimiter in every gap; None leaves gaps unmarked."""
    parts: list[str] = []
    at = 0
    for span in spans:
        if style and span.start > at:
            parts.append(style.gap(text, Span(at, span.start)))
        parts.append(text[span.start : span.end])
        at = span.end
    if style and at < len(text):
        parts.append(style.gap(text, Span(at, len(text))))
    return Rendered("".join(parts), tuple(spans))


def merge_units(segment: Segment, kept: Iterable[int]) -> list[Span]:
    """Return the character ranges of runs of neighbouring units. kept: indexes, ascending."""
    spans: list[Span] = []
    for i in kept:
        unit = segment.units[i]
        if spans and spans[-1].end == unit.start:
            spans[-1] = Span(spans[-1].start, unit.end)
        else:
            spans.append(Span(unit.start, unit.end))
    return spans


def trim_spans(segment: Segment, spans: list[Span]) -> list[Span]:
    """In prose and chunks, leave the white space before a gap to the delimiter."""
    if segment.kind not in ("prose", "chunks"):
        return spans
    trimmed = []
    for span in spans:
        end = span.end
        if end < len(segment.text):
            end = span.start + len(segment.text[span.start : end].rstrip())
        if end > span.start:
            trimmed.append(Span(span.start, end))
    return trimmed
