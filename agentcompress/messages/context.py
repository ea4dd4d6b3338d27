"""Context blocks of a user message: what was pasted beside the request, told apart by tags, fences, or length.

The request itself must never be compressed, so every rule errs on the side of leaving text alone. What is found depends
on the message alone, so that it is found again when settings and targets have changed.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache, cached

from agentcompress.common.digests import digest
from agentcompress.messages.pasted import find_pasted
from agentcompress.schema import Span
from agentcompress.segmenters.detect import tell_prose_from_lines
from agentcompress.text.spans import find_between, strip_span

UNTAGGED_CHARS = 8000
"""Unmarked text counts as context where there are this many characters of it, about 2,000 tokens."""

_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]{0,80})(?:\s[^<>]{0,500})?>")
_DATA_TAG = re.compile(
    r"doc|file|output|std(?:out|err)|\blogs?\b|log$|content|source|result|context|passage|chunk|snippet|code|data|page|article"
    r"|text|transcript|table|diff|patch|attach|paste|record|response|html|xml|json|csv|email|mail|thread|history|search"
    r"|web|tool|function|repo|tree|listing|readme|excerpt|reference|evidence|knowledge|item|entry|body|url|report|trace"
    r"|dump|psql|sql|example|paper|chapter|section|book|quote|corpus|material|note"
)
"""Names of tags that hold data; under any other name a person may have written."""

_INSTRUCTION_TAG = re.compile(
    r"instruct|task|request|question|query|rule|prompt|goal|issue|system|remind|descri|format"
    r"|environment|permission|skill|command-|user[-_]?(?:input|message|ask)|human|guideline|constraint|polic(?:y|ies)"
    r"|important|feedback"
)
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})([^\n]*)\n", re.MULTILINE)
_WORDS_OF_PROSE = frozenset(("", "text", "txt", "plain", "plaintext", "markdown", "md"))
"""What fences are called that may hold a person's words."""

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_ASKS = re.compile(r"\s*(?:user\s+)?(?:question|query|q)\s*:", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_REQUEST_CHARS, _RULE_CHARS, _MOST_RULES = 1000, 400, 4
"""A request's first or last paragraph, and so many shorter ones beside it, may be the rules for an answer."""

_LEAST_PASTED_CHARS = 2000
"""Shorter stretches of data in an unmarked text stay: somebody has picked them, and they are under `min_tokens`."""

_REMEMBERED = 256
"""Texts whose context is remembered, by a digest of each: a history comes again with every call."""

_LEAST_CHARS = 200
_LEAST_MARKUP_LINES, _MARKUP_SHARE = 20, 0.9
_LEAST_INNER_CHARS = 2000


def _make_key(text: str, *, request_beside: bool = False) -> tuple[str, bool]:
    return digest(text), request_beside


@cached(LRUCache(_REMEMBERED), key=_make_key, lock=threading.Lock())
def find_context(text: str, *, request_beside: bool = False) -> Sequence[Span]:
    """Ranges of context in a text of a user message, in order, disjoint, without white space at their ends.

    Insides of `<tag>...</tag>` pairs and of fences; of a pair whose name is not one of data, or stands in a sentence,
    and of a fence that holds prose, only what nobody but a machine writes. Tags named like instructions, and all they
    hold, are not context.
    Of what is left, what nobody but a machine writes (`pasted.py`), where there are at least 8,000 characters of it in
    stretches of 2,000, and something beside it that can be the request; all else may be the request. Prose is context
    only between the first and the last paragraph, and if one of them starts with "Question:" or the like.
    request_beside: another text of the same message can be the request.
    """
    tagged, instructions = _find_tagged(text)
    fenced, doubtful = _find_fenced(text)
    pairs = [span for span in tagged if _holds_data(text, span)]
    marked = _make_disjoint([*pairs, *fenced], instructions)
    unsure = _make_disjoint([*doubtful, *(set(tagged) - set(pairs))], [*instructions, *marked])
    stretches = find_between(text, _make_disjoint([*marked, *instructions, *unsure], []))
    inside = [part for span in marked for part in _leave_words_in_markup(text, strip_span(text, span))]
    inside += [strip_span(text, part) for span in unsure for part in find_pasted(text, span)]
    spans = inside + _find_unmarked(text, stretches, request_beside)
    return tuple(sorted(span for span in spans if span.end - span.start >= _LEAST_CHARS))


def read_outside(text: str, spans: Sequence[Span]) -> str:
    """Return the text around context blocks: what the human says."""
    return "\n".join(text[span.start : span.end] for span in find_between(text, spans)).strip()


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


def _leave_words_in_markup(text: str, span: Span) -> list[Span]:
    """A range but for the words in it, where all else is markup: one half of a page may open a tag that another closes.

    Documents and chunks in tags have lines of text, too, but many.
    """
    lines = [line for line in text[span.start : span.end].splitlines() if line.strip()]
    tags = sum(line.lstrip().startswith("<") for line in lines)
    if len(lines) < _LEAST_MARKUP_LINES or tags < _MARKUP_SHARE * len(lines):
        return [span]
    parts = [strip_span(text, part) for part in find_pasted(text, span)]
    rest = [
        between
        for between in find_between(text[: span.end], [Span(0, span.start), *parts])
        if between.start >= span.start
    ]
    return parts if any(_says_anything(text, between) for between in rest) else [span]


def _holds_data(text: str, inside: Span) -> bool:
    """Whether a pair is called like data, and begins where a line or another tag does: no name in a sentence does."""
    opening = text.rfind("<", 0, inside.start)
    name = _TAG.match(text, opening)
    before = text[text.rfind("\n", 0, opening) + 1 : opening].rstrip()
    return before[-1:] in ("", ">") and name is not None and _DATA_TAG.search(name.group(2).lower()) is not None


def _find_fenced(text: str) -> tuple[list[Span], list[Span]]:
    """Insides of fences, and of those that hold prose; none where one is left open.

    Then nobody knows which of them begin and which end; and what reads like prose may stand between two of them.
    """
    spans: list[Span] = []
    prose: list[Span] = []
    fence, word, start = "", "", 0
    for match in _FENCE.finditer(f"{text}\n"):
        mark = match.group(1)
        if not fence:
            fence, word, start = mark, match.group(2).strip().lower(), match.end()
        elif mark[0] == fence[0] and len(mark) >= len(fence) and match.group().strip() == mark:
            says = word in _WORDS_OF_PROSE and tell_prose_from_lines(text[start : match.start()]) == "prose"
            (prose if says else spans).append(Span(start, match.start()))
            fence = ""
    return ([], []) if fence else (spans, prose)


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


def _find_unmarked(text: str, stretches: Sequence[Span], request_beside: bool) -> list[Span]:
    """Ranges of context in stretches without marks: data, and prose that a question stands beside."""
    prose = [strip_span(text, _find_questioned(text, stretch)) for stretch in stretches]
    spans = [span for span in prose if span.end - span.start >= UNTAGGED_CHARS]
    stretches = [
        stretch for stretch in stretches if not any(stretch.start <= span.start < stretch.end for span in spans)
    ]
    if _measure(stretches) < UNTAGGED_CHARS:
        return spans
    pasted = [strip_span(text, span) for stretch in stretches for span in find_pasted(text, stretch)]
    pasted = [span for span in pasted if span.end - span.start >= _LEAST_PASTED_CHARS]
    if _measure(pasted) < UNTAGGED_CHARS:
        return spans
    asks = request_beside or any(_says_anything(text, rest) for rest in find_between(text, pasted))
    return spans + pasted if asks else spans


def _measure(spans: Sequence[Span]) -> int:
    return sum(span.end - span.start for span in spans)


def _says_anything(text: str, span: Span) -> bool:
    """Whether a word stands there that is no tag's name."""
    return _WORD.search(_TAG.sub("", text[span.start : span.end])) is not None


def _find_questioned(text: str, stretch: Span) -> Span:
    """Prose between a short first and a short last paragraph, one of which is called a question; empty for all else."""
    nothing = Span(stretch.start, stretch.start)
    breaks = list(_PARAGRAPH.finditer(text, *stretch)) if stretch.end - stretch.start >= UNTAGGED_CHARS else []
    if not breaks:
        return nothing
    start, end = stretch
    rule_chars = min(_RULE_CHARS, (end - start) // (2 * len(breaks)))  # shorter than most, by far
    for i, found in enumerate(breaks[: 1 + _MOST_RULES]):
        if found.start() - start > (rule_chars if i else _REQUEST_CHARS):
            break
        start = found.end()
    for i, found in enumerate(reversed(breaks[-1 - _MOST_RULES :])):
        if end - found.end() > (rule_chars if i else _REQUEST_CHARS):
            break
        end = max(start, found.start())
    asks = any(_ASKS.match(text, at) for at in (stretch.start, end))
    return Span(start, end) if asks and tell_prose_from_lines(text[start:end]) == "prose" else nothing
