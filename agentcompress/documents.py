"""Several texts under one budget: retrieved documents, the best parts of all of them.

They are read as one segment whose texts are encoded apart, so that a document's encoding is found again in whatever
company it comes, and all scores are of one scale. What is kept of each is rendered in its own style; a document of
which nothing is kept costs nothing.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agentcompress.common.checks import KeepRate, checked_text
from agentcompress.compressor import Compressor
from agentcompress.errors import InvalidInputError
from agentcompress.protocols import TokenCounter
from agentcompress.schema import DelimiterStyle, Reading, Segment, Span, Unit
from agentcompress.segmenters.moved import move_unit
from agentcompress.selection.budget import Budget, keep_within
from agentcompress.selection.select import check_scores
from agentcompress.targets.counting import get_token_counter
from agentcompress.text.delimiters import choose_style
from agentcompress.text.rendering import render_spans, trim_spans

_TRIES = 8
"""How often a budget is lowered because texts apart take more than in one piece."""


@dataclass(frozen=True, slots=True)
class CompressedDocument:
    """What is left of one of several texts.

    index: of the text. text: rendered, delimiters included; empty where nothing is kept. spans: the kept ranges of the
    original. score: that of its best unit, in standard deviations over the units of all texts.
    """

    index: int
    text: str
    spans: tuple[Span, ...]
    score: float
    tokens_before: int
    tokens_after: int


def compress_documents(
    compressor: Compressor,
    texts: Sequence[str],
    *,
    query: str,
    keep_rate: KeepRate | None = None,
    target_tokens: int | None = None,
    target: str | None = None,
    hints: Sequence[str] = (),
) -> list[CompressedDocument]:
    """Keep the parts of all texts that matter for `query`, within one budget of the target's tokens; in their order.

    keep_rate, target_tokens, target: as in `Compressor.compress_text`, of all texts together. hints: of each text, what
    is known of where it comes from. Raises what `compress_text` raises.
    """
    texts = _check_texts(texts)
    checked_text("query", query)
    config = compressor.config
    counter = get_token_counter(config.target if target is None else checked_text("target", target))
    before = [counter.count(text) for text in texts]
    budget = Budget.from_call(sum(before), config, keep_rate, target_tokens)
    said = [*hints, *[""] * len(texts)]
    found = [i for i, text in enumerate(texts) if text.strip()]
    segments = [compressor.segment(texts[i], said[i]) for i in found]
    whole = [_keep_whole(i, text, before[i]) for i, text in enumerate(texts)]
    if not segments:
        return whole
    joined = _join_segments(segments)
    scores = check_scores(joined, compressor.score(joined, Reading(query)))
    budget = replace(budget.for_scores(joined, scores), by_units=False)  # shares of units are of one text
    best = _find_best_scores(segments, scores)
    if budget.holds_all:
        kept = [whole[i] for i in found]
    else:
        whole = [replace(each, text="", spans=(), tokens_after=0) for each in whole]
        kept = _keep_documents(segments, joined, scores, budget, counter, config.delimiter)
    for i, document, score in zip(found, kept, best, strict=True):
        whole[i] = replace(document, index=i, score=score, tokens_before=before[i])
    return whole


def _check_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise InvalidInputError("texts", texts, "a list of strings")
    return [checked_text(f"texts[{i}]", text) for i, text in enumerate(texts)]


def _keep_whole(index: int, text: str, tokens: int) -> CompressedDocument:
    return CompressedDocument(index, text, (Span(0, len(text)),) if text else (), 0.0, tokens, tokens)


def _join_segments(segments: Sequence[Segment]) -> Segment:
    """One segment of all; its kind and floors are those of the kind that most of the text is of."""
    chars = Counter[str]()
    units: list[Unit] = []
    offset = parents = 0
    for segment in segments:
        chars[segment.kind] += len(segment.text)
        first = len(units)
        units += [
            move_unit(unit, unit.start + offset, unit.end + offset, parents=parents, first=first)
            for unit in segment.units
        ]
        parents += max(unit.parent for unit in segment.units) + 1
        offset += len(segment.text)
    kind = chars.most_common(1)[0][0]
    like = next(segment for segment in segments if segment.kind == kind)
    return Segment(
        text="".join(segment.text for segment in segments),
        kind=kind,
        units=tuple(units),
        floor_share=like.floor_share,
        floor_from=like.floor_from,
        divisible=all(segment.divisible for segment in segments),
        strict=any(segment.strict for segment in segments),
        breaks=tuple(_find_offsets(segments)[1:-1]),
    )


def _find_offsets(segments: Sequence[Segment]) -> list[int]:
    return [0, *itertools.accumulate(len(segment.text) for segment in segments)]


def _find_best_scores(segments: Sequence[Segment], scores: np.ndarray) -> list[float]:
    standard = (scores - scores.mean()) / (scores.std() or 1.0)
    ends = itertools.accumulate(len(segment.units) for segment in segments)
    return [float(each.max()) for each in np.split(standard, list(ends)[:-1])]


def _keep_documents(
    segments: Sequence[Segment],
    joined: Segment,
    scores: np.ndarray,
    budget: Budget,
    counter: TokenCounter,
    delimiter: str | None,
) -> list[CompressedDocument]:
    joined = replace(joined, kind="documents")  # white space before a gap is a matter of the text that it stands in
    styles = [choose_style(segment, delimiter) for segment in segments]
    style = _Apart(segments, styles, _find_offsets(segments))
    most, allowed, documents = budget.tokens or 0, budget, []
    for _ in range(_TRIES):
        selection = keep_within(joined, scores, allowed, counter, style)
        documents = _render_documents(segments, styles, selection.rendered.spans, counter)
        over = sum(document.tokens_after for document in documents) - most
        if over <= 0:
            return documents
        allowed = replace(allowed, tokens=max(1, (allowed.tokens or 0) - over))
    return [replace(document, text="", spans=(), tokens_after=0) for document in documents]


def _render_documents(
    segments: Sequence[Segment], styles: Sequence[DelimiterStyle], spans: Sequence[Span], counter: TokenCounter
) -> list[CompressedDocument]:
    documents = []
    for (start, end), segment, style in zip(itertools.pairwise(_find_offsets(segments)), segments, styles, strict=True):
        within = [Span(max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start]
        rendered = render_spans(segment.text, trim_spans(segment, within), style)
        text = rendered.text if within else ""
        documents.append(CompressedDocument(0, text, rendered.spans, 0.0, 0, counter.count(text) if text else 0))
    return documents


@dataclass(frozen=True)
class _Apart:
    """The style of every text within it; of a text that is left out whole, nothing is said."""

    segments: Sequence[Segment]
    styles: Sequence[DelimiterStyle]
    offsets: Sequence[int]

    def gap(self, text: str, gap: Span) -> str:
        """What the styles of the texts say that the gap touches."""
        said = []
        at = bisect_right(self.offsets, gap.start) - 1
        while at < len(self.segments) and self.offsets[at] < gap.end:
            offset, inner = self.offsets[at], self.segments[at].text
            within = Span(max(gap.start - offset, 0), min(gap.end - offset, len(inner)))
            if within != (0, len(inner)):
                said.append(self.styles[at].gap(inner, within))
            at += 1
        return "".join(said)

    def longest(self, text: str) -> str:
        """Return the longest delimiter that any of the texts' styles can give."""
        longest = [style.longest(segment.text) for style, segment in zip(self.styles, self.segments, strict=True)]
        return max(longest, key=len)
