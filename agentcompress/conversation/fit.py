"""The hard fit: a request of at most so many tokens, where its blocks as they were decided take more.

The only rewrite there is. All blocks are decided again in one *cut*, well below the target so that it lasts, and the
cut is one record in the ledger, under the target and the hash of the whole history it was made on. Every later request
of that history and target begins with the newest cut, whatever is asked for; blocks after it are decided as ever.
Reasoning between the first edited message and the end of a cut is bound to what is no longer there, and goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentcompress.conversation.blocks import Block, DecidedBlock
from agentcompress.conversation.decide import CallLedger
from agentcompress.conversation.ladder import Ladder
from agentcompress.conversation.put_back import (
    Assembled,
    drop_reasoning,
    holds_bound_reasoning,
    indexes_of,
    put_back,
)
from agentcompress.conversation.shares import share_out
from agentcompress.ledger.cuts import Cut, Cuts
from agentcompress.messages.conversation import Conversation
from agentcompress.messages.sizes import count_request_tokens
from agentcompress.schema import Decision
from agentcompress.selection.budget import EXPECTED, compute_budget_tokens
from agentcompress.text.clip import CLIP

ROOM = 0.75
"""How much of the target a cut fills: the rest is for the turns to come, or it would be cut again at every one."""

RAW_OVER = "what must not be touched alone is over target_tokens"
RAW_CUT = "left as it is by a cut"
CUT = "cut to fit target_tokens"

_MOST_CUTS = 8
"""Of one call: more than one only where others were faster, with a higher limit."""


def open_cuts(call: Conversation, blocks: Sequence[Block], ledger: CallLedger) -> Cuts:
    """Open the cuts of a conversation for its target, as the ledger holds them."""
    return Cuts(call.prefixes, blocks[0].key if blocks else None, call.target, ledger)


def find_cut(call: Conversation, cuts: Cuts) -> Cut | None:
    """Find the cut that this history begins with, if any."""
    return cuts.find_newest(call.find_request_ends()) if cuts.exist() else None


def read_cut(call: Conversation, block: Block, cut: Cut | None) -> DecidedBlock | None:
    """Return what a cut says of a block; None for blocks after it."""
    if cut is None or block.key not in cut.texts:
        return None
    text = cut.texts[block.key]
    if text is None:
        return DecidedBlock(Decision.raw(RAW_CUT, block.tokens))
    spans = cut.spans.get(block.key)
    return DecidedBlock(Decision(text, CUT, block.tokens, call.counter.count(text), None, spans))


class HardFit:
    """Makes one request fit. ladder: decides what nobody has decided. cuts: where a new cut is written."""

    def __init__(
        self, call: Conversation, blocks: Sequence[Block], ledger: CallLedger, ladder: Ladder, cuts: Cuts
    ) -> None:
        self._call, self._blocks = call, blocks
        self._ledger, self._ladder, self._cuts = ledger, ladder, cuts
        rate = call.settings.keep_rate
        self._expected_rate = EXPECTED if rate == "auto" or rate is None else rate
        self._sizes = _RequestSizes(call)

    def fit(self, target_tokens: int, cut: Cut | None) -> Assembled:
        """Decide every block so that the request takes no more than target_tokens, if it can.

        cut: the newest of this history. What was sent before stays as it was sent where that fits; else all blocks are
        cut; where not even that does, nothing new is cut, and `skipped_because` says so.
        """
        by_cut = [read_cut(self._call, block, cut) for block in self._blocks]
        pairs = list(zip(by_cut, self._blocks, strict=True))
        sent = [found.decision if found else self._ledger.look_up(block.key) for found, block in pairs]
        if self._expect_tokens(sent, cut) <= target_tokens:
            decided = [found or self._ladder.decide(block) for found, block in pairs]
            assembled = self._assemble(decided, cut)
            if assembled.tokens is not None and assembled.tokens <= target_tokens:
                return assembled
        return self._fit_by_cuts(target_tokens, sent, cut)

    def _fit_by_cuts(self, target_tokens: int, sent: Sequence[Decision | None], cut: Cut | None) -> Assembled:
        """Cut all blocks. sent: what was sent for each before; None for those that nobody has decided, as is known."""
        now: Sequence[Decision | None] = sent
        rewritten: list[int] = []
        for _ in range(_MOST_CUTS):
            new = self._make_cut(now, cut, target_tokens)
            if new is None:
                break
            rewritten += self._find_edited(sent, new, cut)
            decided = [self._read_new_cut(block, new, old) for block, old in zip(self._blocks, sent, strict=True)]
            cut, now = new, [each.decision for each in decided]
            assembled = self._assemble(decided, cut)
            if assembled.tokens is not None and assembled.tokens <= target_tokens:
                return replace(assembled, rewritten_from=min(rewritten, default=None))
        assembled = self._assemble(self._leave_new_raw(now), cut)
        return replace(assembled, rewritten_from=min(rewritten, default=None), skipped_because=RAW_OVER)

    def _read_new_cut(self, block: Block, cut: Cut, old: Decision | None) -> DecidedBlock:
        found = read_cut(self._call, block, cut) or self._ladder.decide(block)
        return replace(found, is_new=found.decision != old)

    def _leave_new_raw(self, known: Sequence[Decision | None]) -> list[DecidedBlock]:
        """Leave what was not sent before as it is, from now on."""
        decided = []
        for block, old in zip(self._blocks, known, strict=True):
            raw = old or self._ledger.write(block.key, Decision.raw(RAW_OVER, block.tokens))
            decided.append(DecidedBlock(raw, is_new=old is None))
        return decided

    def _make_cut(self, known: Sequence[Decision | None], last: Cut | None, target_tokens: int) -> Cut | None:
        """Decide all blocks again, and write that down; None where not even that would do."""
        if not self._blocks:
            return None
        first = self._blocks[0].address.message
        gone = last.gone if last else ()
        sizes = [self._size_of(block, decision) for block, decision in zip(self._blocks, known, strict=True)]
        for more in ((), (range(first, len(self._call.messages)),)):  # the second without any reasoning
            limits = self._find_limits(sizes, (*gone, *more), target_tokens)
            if limits is not None:
                break
        else:
            return None
        recut = [self._recut(*each) for each in zip(self._blocks, known, limits, strict=True)]
        texts = {block.key: each.text for block, each in zip(self._blocks, recut, strict=True)}
        spans = {
            block.key: each.spans for block, each in zip(self._blocks, recut, strict=True) if each.spans is not None
        }
        changed = self._find_changed(known, texts)
        if changed and not more:
            more = (range(min(changed), len(self._call.messages)),)
        return self._cuts.keep(Cut(len(self._call.messages), texts, (*gone, *more), spans=spans), last)

    def _find_limits(self, sizes: Sequence[int], gone: Sequence[range], target_tokens: int) -> list[int] | None:
        """Share out the room that is left beside what can't be cut; None where there is too little of it."""
        whole = [block.tokens for block in self._blocks]
        fixed = self._sizes.count(drop_reasoning(self._call, self._call.messages, gone)) - sum(whole)
        room = max(ROOM * target_tokens, (fixed + target_tokens) / 2) - fixed
        return share_out(sizes, whole, int(room), self._call.counter.count(CLIP))

    def _recut(self, block: Block, known: Decision | None, limit: int) -> Decision:
        if known is not None and self._size_of(block, known) <= limit:
            return known
        if block.tokens <= limit:
            return Decision.raw(RAW_CUT, block.tokens)
        found = self._ladder.fit(block, limit)
        self._ledger.note_own(found)
        return found

    def _find_changed(self, before: Sequence[Decision | None], texts: Mapping[str, str | None]) -> list[int]:
        """Messages that were sent before, as far as is known, with another text; raw, where nobody decided."""
        return [
            block.address.message
            for block, old in zip(self._blocks, before, strict=True)
            if (old is not None or block.address.message <= self._call.last_reply)
            and (old.text if old else None) != texts.get(block.key)
        ]

    def _find_edited(self, before: Sequence[Decision | None], new: Cut, last: Cut | None) -> list[int]:
        """Messages that are sent differently from now on."""
        was_gone = indexes_of(last.gone if last else ())
        now_gone = (i for i in indexes_of(new.gone) - was_gone if i < len(self._call.messages))
        dropped = [i for i in now_gone if holds_bound_reasoning(self._call, i)]
        return [*self._find_changed(before, new.texts), *dropped]

    def _size_of(self, block: Block, decision: Decision | None) -> int:
        """Tokens that a block takes as it was decided, or about what it will take when it is."""
        if decision is None:
            whole = self._ladder.find_raw_reason(block) is not None
            return block.tokens if whole else compute_budget_tokens(self._expected_rate, block.tokens)
        return block.tokens if decision.text is None else self._call.counter.count(decision.text)

    def _expect_tokens(self, known: Sequence[Decision | None], cut: Cut | None) -> int:
        saved = sum(block.tokens - self._size_of(block, each) for block, each in zip(self._blocks, known, strict=True))
        return self._sizes.count(drop_reasoning(self._call, self._call.messages, cut.gone if cut else ())) - saved

    def _assemble(self, decided: Sequence[DecidedBlock], cut: Cut | None) -> Assembled:
        assembled = put_back(self._call, self._blocks, decided, cut)
        return replace(assembled, tokens=self._sizes.count(assembled.messages))


class _RequestSizes:
    """Tokens of whole requests of one call. A message is counted once: most are the very same objects each time."""

    def __init__(self, call: Conversation) -> None:
        self._call = call
        self._known: dict[int, tuple[Any, int]] = {}

    def count(self, messages: Sequence[Any]) -> int:
        """Target tokens of a request with these messages, and all that stands beside them."""
        return self._call.beside_tokens + sum(map(self._count_message, messages))

    def _count_message(self, message: Any) -> int:
        known = self._known.get(id(message))
        if known is None or known[0] is not message:
            known = message, count_request_tokens([message], self._call.wire, self._call.counter)
            self._known[id(message)] = known
        return known[1]
