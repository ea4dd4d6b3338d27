"""Context blocks of a user message: what was pasted beside the request, told apart by tags, fences, or length.

The request itself must never be compressed, so every rule errs on the side of leaving text alone. What is found depends
on the message alone, so that it is found again when settings and targets have changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentcompress.messages.pastes import find_pastes
from agentcompress.schema import Span

UNTAGGED_CHARS = 8000
"""Unmarked text counts as context from this many characters, about 2,000 tokens."""

_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,80})(?:\s[^<>]{0,500})?>")
_INSTRUCTION_TAG = re.compile(
    r"instruct|task|request|question|query|rule|prompt|goal|issue|system|remind|descri|format"
)
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n]*\n", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_ASKS = re.compile(r"\s*(?:user\s+)?(?:question|query|q)\s*:", re.IGNORECASE)
_REQUEST_CHARS = 1000
_LEAST_CHARS = 200
_LEAST_INNER_CHARS = 2000


def find_context(text: str, *, request_beside: bool = False) -> list[Span]:
    """Ranges of context in a text of a user message, in order, disjoint, without white space at their ends.

    Insides of `<tag>...</tag>` pairs and of fences. Tags named like instructions, and all they hold, are not context.
    Of what is left, in stretches of at least 8,000 characters: what is recognised as pasted data (`pastes.py`), line by
    line; and, where a first or last paragraph of at most 1,000 characters starts with "Question:" or so, all else.
    request_beside: another text of the same message can be the request; without one, and without a word that a person
    may have written, nothing unmarked is context.
    """
    tagged, instructions = _find_tagged(text)
    marked = _make_disjoint([*tagged, *_find_fenced(text)], instructions)
    spans = [_strip_span(text, span) for span in marked]
    unmarked: list[Span] = []
    for stretch in _find_between(text, _make_disjoint([*marked, *instructions], [])):
        if stretch.end - stretch.start >= UNTAGGED_CHARS:
            asked = _find_asked_about(text, stretch)
            unmarked += [asked] if asked else find_pastes(text, stretch)
    if unmarked and (request_beside or read_outside(text, [*spans, *unmarked])):
        spans += [_strip_span(text, span) for span in unmarked]
    return sorted(span for span in spans if span.end - span.start >= _LEAST_CHARS)


def read_outside(text: str, spans: Sequence[Span]) -> str:
    """Return the text around context blocks: what the human says."""
    return "\n".join(text[span.start : span.end] for span in _find_between(text, spans)).strip()


@dataclass
class _Open:
    """A tag that waits for its end: what was found inside so far, and how much of it is large."""

    name: str
    start: int
    blocks: list[Span] = field(default_factory=list)
    large_chars: int = 0
    holds_instructions: bool = False

    def take(self, blocks: list[Span], large_chars: int, *, instructions: bool) -> None:
        """Add what was found inside a pair, or inside a tag that was never closed."""
        if len(blocks) > len(self.blocks):  # the longer list stays: moving it level by level would take for ever
            self.blocks, blocks = blocks, self.blocks
        self.blocks.extend(blocks)
        self.large_chars += large_chars
        self.holds_instructions |= instructions


def _find_tagged(text: str) -> tuple[list[Span], list[Span]]:
    """Insides of tag pairs, and whole instruction pairs. Of nested pairs the large ones, else the outer one."""
    stack = [_Open("", 0)]
    waiting: Counter[str] = Counter()
    instructions: list[Span] = []
    for match in _TAG.finditer(text):
        closing, name = match.group(1), match.group(2).lower()
        if match.group().endswith("/>"):
            continue
        if not closing:
            stack.append(_Open(name, match.end()))
            waiting[name] += 1
            continue
        if not waiting[name]:
            continue
        while stack[-1].name != name:  # left open inside: no pair, what it holds moves up
            _fold(stack, waiting)
        pair = stack.pop()
        waiting[name] -= 1
        size = match.start() - pair.start
        if _INSTRUCTION_TAG.search(name):
            instructions.append(Span(pair.start, match.start()))
            stack[-1].take([], 0, instructions=True)
        elif pair.holds_instructions or pair.large_chars >= 0.6 * size > 0:
            stack[-1].take(pair.blocks, pair.large_chars, instructions=pair.holds_instructions)
        else:
            large = size if size >= _LEAST_INNER_CHARS else 0
            stack[-1].take([Span(pair.start, match.start())], large, instructions=False)
    while len(stack) > 1:
        _fold(stack, waiting)
    return stack[0].blocks, instructions


def _fold(stack: list[_Open], waiting: Counter[str]) -> None:
    unclosed = stack.pop()
    waiting[unclosed.name] -= 1
    stack[-1].take(unclosed.blocks, unclosed.large_chars, instructions=unclosed.holds_instructions)


def _find_fenced(text: str) -> list[Span]:
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


def _make_disjoint(spans: Sequence[Span], protected: Sequence[Span]) -> list[Span]:
    """Drop spans that overlap an earlier or outer one, or touch anything protected."""
    kept: list[Span] = []
    guards = sorted(protected)
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= span.end or (kept and span.start < kept[-1].end):
            continue
        while at < len(guards) and guards[at].end <= span.start:
            at += 1
        if at < len(guards) and guards[at].start < span.end:
            continue
        kept.append(span)
    return kept


def _find_between(text: str, spans: Sequence[Span]) -> list[Span]:
    edges = [0, *(edge for span in sorted(spans) for edge in span), len(text)]
    return [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _find_asked_about(text: str, stretch: Span) -> Span | None:
    """What stands beside a short first or last paragraph that is marked as the question; None without one."""
    breaks = list(_PARAGRAPH.finditer(text, stretch.start, stretch.end))
    if not breaks:
        return None
    start, end = stretch
    if _ASKS.match(text, start) and breaks[0].start() - start <= _REQUEST_CHARS:
        start = breaks[0].end()
    if _ASKS.match(text, breaks[-1].end()) and end - breaks[-1].end() <= _REQUEST_CHARS:
        end = max(start, breaks[-1].start())
    return Span(start, end) if (start, end) != stretch else None


def _strip_span(text: str, span: Span) -> Span:
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    return Span(start, max(start, span.start + len(inside.rstrip())))
