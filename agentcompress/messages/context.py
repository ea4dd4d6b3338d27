"""Context blocks of a user message: what was pasted beside the request, told apart by tags, fences, or length.

The request itself must never be compressed, so every rule errs on the side of leaving text alone. Linear time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from agentcompress.schema import Span

UNTAGGED_TOKENS = 2000
"""Unmarked text counts as context from this many target tokens, if a short paragraph beside it can be the request."""

_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,80})(?:\s[^<>]{0,500})?>")
_INSTRUCTION_TAG = re.compile(
    r"instruct|task|request|question|query|rule|prompt|goal|issue|system|remind|descri|format"
)
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n]*\n", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_REQUEST_CHARS = 1000
_LEAST_CHARS = 200


def context_spans(text: str, count: Callable[[str], int]) -> list[Span]:
    """Ranges of context in a user message, in order, disjoint, without white space at their ends.

    Insides of `<tag>...</tag>` pairs (not those named like instructions) and of fences; of what is left, stretches
    of at least 2,000 tokens (`count`) beside a first or last paragraph of at most 1,000 characters, the request.
    """
    marked = _disjoint([*_tagged(text), *_fenced(text)])
    spans = [_stripped(text, span) for span in marked]
    for stretch in _between(text, marked):
        body = _stripped(text, _without_request(text, stretch))
        if body != _stripped(text, stretch) and count(text[body.start : body.end]) >= UNTAGGED_TOKENS:
            spans.append(body)
    return sorted(span for span in spans if span.end - span.start >= _LEAST_CHARS)


def outside(text: str, spans: Sequence[Span]) -> str:
    """Return the text around context blocks: what the human says."""
    return "\n".join(text[span.start : span.end] for span in _between(text, spans)).strip()


def _tagged(text: str) -> list[Span]:
    """Insides of tag pairs; where smaller pairs inside make up most of one (documents in a list), theirs."""
    open_tags: list[tuple[str, int, list[Span]]] = []  # name, where its inside starts, blocks found inside
    waiting: Counter[str] = Counter()
    found: list[Span] = []
    for match in _TAG.finditer(text):
        closing, name = match.group(1), match.group(2).lower()
        if match.group().endswith("/>"):
            continue
        if not closing:
            open_tags.append((name, match.end(), []))
            waiting[name] += 1
            continue
        if not waiting[name]:
            continue
        inner: list[Span] = []
        while True:  # tags left open inside are no pairs: what they hold moves up
            opened, start, blocks = open_tags.pop()
            waiting[opened] -= 1
            inner = [*blocks, *inner]
            if opened == name:
                break
        body = Span(start, match.start())
        blocks = [] if _INSTRUCTION_TAG.search(name) else _better(body, inner)
        (open_tags[-1][2] if open_tags else found).extend(blocks)
    for _, _, blocks in open_tags:
        found.extend(blocks)
    return found


def _better(body: Span, inner: Sequence[Span]) -> list[Span]:
    large = [span for span in inner if span.end - span.start >= _LEAST_CHARS]
    covered = sum(span.end - span.start for span in large)
    return list(large) if covered >= 0.6 * (body.end - body.start) else [body]


def _fenced(text: str) -> list[Span]:
    spans: list[Span] = []
    fence, start = "", 0
    for match in _FENCE.finditer(f"{text}\n"):
        mark = match.group(1)
        if not fence:
            fence, start = mark, match.end()
        elif mark[0] == fence[0] and len(mark) >= len(fence) and match.group().strip() == mark:
            spans.append(Span(start, match.start()))
            fence = ""
    return spans


def _disjoint(spans: Sequence[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start < span.end and (not kept or span.start >= kept[-1].end):
            kept.append(span)
    return kept


def _between(text: str, spans: Sequence[Span]) -> list[Span]:
    edges = [0, *(edge for span in sorted(spans) for edge in span), len(text)]
    return [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _without_request(text: str, stretch: Span) -> Span:
    """Take a short first and a short last paragraph off a stretch: they are what is asked, or may be."""
    breaks = list(_PARAGRAPH.finditer(text, stretch.start, stretch.end))
    start, end = stretch
    if breaks and breaks[0].start() - start <= _REQUEST_CHARS:
        start = breaks[0].end()
    if breaks and end - breaks[-1].end() <= _REQUEST_CHARS:
        end = max(start, breaks[-1].start())
    return Span(start, end)


def _stripped(text: str, span: Span) -> Span:
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    return Span(start, max(start, span.start + len(inside.rstrip())))
