"""The first and last lines of a large text: what is sent of it where there is no time to look inside."""

from __future__ import annotations

from agentcompress.schema import DelimiterStyle, Span
from agentcompress.text.rendering import Rendered, render_spans

_HEAD_SHARE = 0.5
"""The beginning's share; the rest is the end's: commands say there how it went."""


def keep_ends(text: str, chars: int, style: DelimiterStyle) -> Rendered:
    """Keep whole lines from both ends, about so many characters, with a delimiter of that style between them."""
    chars = min(chars, len(text))
    head_stop = text.rfind("\n", 0, max(1, int(_HEAD_SHARE * chars))) + 1 or int(_HEAD_SHARE * chars)
    tail_from = max(head_stop, len(text) - (chars - head_stop))
    line_start = text.find("\n", tail_from) + 1
    tail_start = line_start if 0 < line_start < len(text) else tail_from
    spans = [Span(0, head_stop)] if head_stop else []
    if tail_start < len(text):
        spans.append(Span(tail_start, len(text)))
    return render_spans(text, _join_touching(spans), style)


def _join_touching(spans: list[Span]) -> list[Span]:
    """Two spans that touch are one."""
    if len(spans) == 2 and spans[0].end >= spans[1].start:
        return [Span(spans[0].start, spans[1].end)]
    return spans
