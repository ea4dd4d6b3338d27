"""What was kept of a text, or of a conversation, and why: data for `agentcompress explain`.

Scores are those of now; what is shown as sent is what is sent, decided now or before. Where that can't be told apart
into what was kept and what was cut, the two are shown side by side as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agentcompress.common.checks import KeepRate
from agentcompress.compressor import Compressor
from agentcompress.config import Format
from agentcompress.conversation.blocks import Block, find_blocks
from agentcompress.errors import AgentCompressError
from agentcompress.messages.view import Address, TextPart
from agentcompress.protocols import TokenCounter
from agentcompress.receipt import BlockReceipt
from agentcompress.schema import Reading, Segment, Span

_ALIKE, _MOST_CHARS = 0.15, 600  # of units that are shown as one: their scores, and how long that gets

WHY = ("cut", "score", "floor", "required", "gap", "protected", "unaligned")
"""Why a unit is, or is not, there: cut; a good score; a failure, an ending or a signature; a kept unit stands under it;
a gap there would cost more than it saves; never compressed; what was kept of it can't be told apart."""

CUT, SCORE, FLOOR, REQUIRED, GAP, PROTECTED, UNALIGNED = range(len(WHY))


@dataclass(frozen=True)
class Piece:
    """Units next to each other that fared alike. score: of the best, 0 to 1 by rank; sent: what stands for them."""

    text: str
    why: int
    score: float
    sent: str


@dataclass(frozen=True)
class Explained:
    """One text: a part of a message, or all there is. decision, reason: as in `BlockReceipt`; else "protected"."""

    message: int
    role: str
    tool: str
    decision: str
    reason: str
    tokens_before: int
    tokens_after: int
    pieces: tuple[Piece, ...]
    query: str = ""
    ms: float = 0.0


@dataclass(frozen=True)
class Page:
    """A whole page: its title, what it is about, and its texts in order."""

    title: str
    about: Mapping[str, Any]
    texts: tuple[Explained, ...] = field(default=())


@dataclass(frozen=True)
class _Told:
    """A block, what its receipt says, what is sent for it, and which ranges of it that has kept, as far as known."""

    block: Block
    receipt: BlockReceipt
    sent: str | None
    spans: Sequence[Span] | None


def explain_text(
    compressor: Compressor,
    text: str,
    query: str,
    *,
    title: str,
    keep_rate: KeepRate | None = None,
    target: str | None = None,
) -> Page:
    """Explain one text for a query. Raises what `compress_text` raises."""
    result = compressor.compress_text(text, query=query, keep_rate=keep_rate, target=target)
    pieces = _make_pieces(compressor, text, query, query, result.text, result.spans)
    before, after = result.tokens_before, result.tokens_after
    decision = "new" if result.text != text else "raw"
    one = Explained(0, "text", "", decision, "", before, after, pieces, query, result.timings_ms["total"])
    about = {"scorer": result.scorer, "target": result.target, "tokens_before": before, "tokens_after": after}
    return Page(title, about, (one,))


def explain_messages(
    compressor: Compressor,
    messages: Sequence[Any],
    *,
    title: str,
    keep_rate: KeepRate | None = None,
    target: str | None = None,
    format: Format = "auto",  # noqa: A002
) -> Page:
    """Explain a conversation: every text of it, compressed or not. Raises what `compress` raises."""
    options = {"keep_rate": keep_rate, "target": target, "format": format}
    call = compressor.read_conversation(messages, options)
    result = compressor.compress_conversation(call)
    receipt = result.receipt
    blocks = find_blocks(call, compressor.config.min_tokens)
    of_part: dict[Address, list[_Told]] = {}
    for each in map(_Told, blocks, receipt.blocks, result.sent, result.spans):
        of_part.setdefault(each.block.address, []).append(each)
    texts: list[Explained] = []
    for part in call.parts:
        at = 0
        for each in of_part.get(part.address, ()):
            texts += _explain_protected(part, at, each.block.span.start, call.counter)
            texts.append(_explain_block(compressor, part, each))
            at = each.block.span.end
        texts += _explain_protected(part, at, len(part.text), call.counter)
    money = None if receipt.money is None else {"before": receipt.money.before, "after": receipt.money.after}
    about = {"scorer": receipt.scorer, "target": receipt.target, "money": money, "ms": round(receipt.ms)}
    return Page(
        title, {**about, "tokens_before": receipt.tokens_before, "tokens_after": receipt.tokens_after}, tuple(texts)
    )


def _explain_protected(part: TextPart, start: int, end: int, counter: TokenCounter) -> list[Explained]:
    text = part.text[start:end]
    if not text:
        return []
    tokens = counter.count(text)
    pieces = (Piece(text, PROTECTED, 0.0, text),)
    return [Explained(part.address.message, part.role, part.tool or "", "protected", "", tokens, tokens, pieces)]


def _explain_block(compressor: Compressor, part: TextPart, told: _Told) -> Explained:
    block, receipt = told.block, told.receipt
    pieces: tuple[Piece, ...] = (Piece(block.text, PROTECTED, 0.0, block.text),)
    if told.sent is not None:
        spans = find_kept_spans(block.text, told.sent) if told.spans is None else told.spans
        pieces = _make_pieces(compressor, block.text, block.query, block.hint, told.sent, spans)
    return Explained(
        message=part.address.message,
        role=part.role,
        tool=part.tool or "",
        decision=receipt.decision,
        reason=receipt.reason or "",
        tokens_before=receipt.tokens_before,
        tokens_after=receipt.tokens_after,
        pieces=pieces,
        query=block.query,
        ms=receipt.ms,
    )


def find_kept_spans(text: str, sent: str) -> tuple[Span, ...]:
    """Find the ranges of a text that a rendering of it holds, line by line: older ledgers keep no spans."""
    spans: list[Span] = []
    at = 0
    for line in sent.splitlines(keepends=True):  # as those ledgers' renderings were put together
        for piece in _split_blank(text, line, at):
            start = text.find(piece, at)
            if start < 0 and (start := text.find(piece.rstrip("\n"), at)) >= 0 and piece.strip():
                piece = piece.rstrip("\n")
            if start < 0 or not piece:
                continue
            if spans and spans[-1].end == start:
                spans[-1] = Span(spans[-1].start, start + len(piece))
            else:
                spans.append(Span(start, start + len(piece)))
            at = start + len(piece)
    return tuple(spans)


def _split_blank(text: str, line: str, at: int) -> Sequence[str]:
    """A line as it is, or, where it is blank and not in the text, the breaks it is made of: two lines gave one each."""
    return line if not line.strip() and text.find(line, at) < 0 else [line]


def _make_pieces(
    compressor: Compressor, text: str, query: str, hint: str, sent: str, spans: Sequence[Span]
) -> tuple[Piece, ...]:
    """Runs of units that fared alike, each with what stands for it in what is sent."""
    segment = compressor.segment(text, hint)
    try:
        scores = compressor.score(segment, Reading(query))
    except AgentCompressError:
        scores = np.zeros(len(segment.units))
    kept = _find_kept(segment, spans)
    why = _find_reasons(segment, scores, kept)
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable") / max(1, len(scores) - 1)
    runs: list[Piece] = []
    for unit, reason, rank in zip(segment.units, why, ranks.tolist(), strict=True):
        shown = text[unit.start : unit.end]
        last = runs[-1] if runs else None
        if last is not None and last.why == reason and abs(last.score - rank) < _ALIKE and len(last.text) < _MOST_CHARS:
            runs[-1] = Piece(last.text + shown, reason, max(last.score, rank), last.sent)
        else:
            runs.append(Piece(shown, reason, rank, ""))
    shown = tuple(_add_sent(runs, sent))
    if "".join("".join(piece.sent.split()) for piece in shown) == "".join(sent.split()):
        return shown
    return (Piece(text, UNALIGNED, 0.0, sent),)


def _find_kept(segment: Segment, spans: Sequence[Span]) -> np.ndarray:
    """Which units are there, whole or in part, bool (units,)."""
    starts = np.array([span.start for span in spans], dtype=np.int64)
    ends = np.array([span.end for span in spans], dtype=np.int64)
    units = np.array([(unit.start, unit.end) for unit in segment.units], dtype=np.int64).reshape(-1, 2)
    if not len(starts) or not len(units):
        return np.zeros(len(units), dtype=bool)
    at = np.searchsorted(ends, units[:, 0], side="right")
    found = at < len(starts)
    return found & (starts[np.minimum(at, len(starts) - 1)] < units[:, 1])


def _find_reasons(segment: Segment, scores: np.ndarray, kept: np.ndarray) -> list[int]:
    count = int(kept.sum())
    best = np.zeros(len(kept), dtype=bool)
    best[np.argsort(-scores, kind="stable")[:count]] = True
    required = {i for n, unit in enumerate(segment.units) if kept[n] for i in unit.requires}

    def why(i: int, *, has_floor: bool) -> int:
        if not kept[i]:
            return CUT
        if best[i]:
            return SCORE
        if has_floor:
            return FLOOR
        return REQUIRED if i in required else GAP

    return [why(i, has_floor=unit.floor > 0) for i, unit in enumerate(segment.units)]


def _add_sent(runs: Sequence[Piece], sent: str) -> list[Piece]:
    """Every run with its text in what is sent: itself where it is kept, a delimiter for the first of those cut."""
    out: list[Piece] = []
    at, gap = 0, None  # the first run of the cut ones right before
    for i, run in enumerate(runs):
        if run.why == CUT:
            gap = len(out) if gap is None else gap
            out.append(run)
            continue
        text = run.text.strip("\n")
        found = _find_run(sent, at, runs, i)
        if found >= 0:
            delimiter, at = sent[at:found].strip("\n"), found + len(text)
            if gap is not None:
                out[gap] = replace(out[gap], sent=delimiter)
        out.append(replace(run, sent=run.text))
        gap = None
    if gap is not None:
        out[gap] = replace(out[gap], sent=sent[at:].strip("\n"))
    return out


def _find_run(sent: str, at: int, runs: Sequence[Piece], i: int) -> int:
    """Where a kept run begins in what is sent: with what is kept right behind it, since a bracket may be anywhere."""
    text = runs[i].text.strip("\n")
    behind = list(itertools.takewhile(lambda run: run.why != CUT, runs[i : i + 8]))
    together = "".join(run.text for run in behind).strip("\n")
    found = sent.rfind(together) if i + len(behind) == len(runs) else sent.find(together, at)
    return found if found >= at else sent.find(text, at)
