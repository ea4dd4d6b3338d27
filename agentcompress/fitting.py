"""The hard fit: a request of at most so many tokens, where its blocks as they were decided take more.

The only rewrite there is. All blocks are decided again in one cut, well below the target so that it lasts, and the cut
is kept in the ledger beside what was decided before: as a generation of decisions, of one target. From then on that
target gets its newest generation, whatever is asked for, and new blocks are decided as ever. Reasoning between the
first edited message and the cut is bound to what is no longer there, and goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentcompress.config import KeepRate
from agentcompress.deciding import CLIP, Decided, Decider
from agentcompress.ledger.decision import Decision
from agentcompress.messages.sizes import request_tokens
from agentcompress.messages.view import Address, Wire, as_mapping, last_reply, replaced
from agentcompress.planning import Plan
from agentcompress.protocols import TokenCounter
from agentcompress.rates import EXPECTED
from agentcompress.schema import Span
from agentcompress.selection import budget_tokens

ROOM = 0.75
"""How much of the target a cut fills: the rest is for the turns to come, or it would be cut again at every one."""

LEAST_TOKENS = 64
"""Blocks are not cut below this while others can be."""

RAW_OVER = "what must not be touched alone is over target_tokens"

_MOST_CUTS = 8
"""Of one call: more than one only where others decided otherwise meanwhile."""


@dataclass(frozen=True)
class Settled:
    """What is sent, what stands for every block, and what had to be done for it (as in `Receipt`)."""

    messages: list[Any]
    decisions: list[Decided]
    tokens: int | None = None
    rewritten_from: int | None = None
    reasoning_dropped: int = 0
    skipped_because: str | None = None


@dataclass(frozen=True)
class _View:
    """The blocks as of a generation. decisions: None for those that came after it. cuts: whose reasoning is gone."""

    generation: int
    decisions: tuple[Decision | None, ...]
    cuts: tuple[range, ...] = ()


class Fitting:
    """Settles one request. keep_rate: of blocks that are not decided yet."""

    def __init__(
        self,
        messages: Sequence[Any],
        blocks: Sequence[Plan],
        wire: Wire,
        decider: Decider,
        counter: TokenCounter,
        target: str,
        keep_rate: KeepRate,
    ) -> None:
        self._messages, self._blocks, self._wire = messages, blocks, wire
        self._decider, self._counter, self._target = decider, counter, target
        self._expected_rate = EXPECTED if keep_rate == "auto" else keep_rate
        self._least = counter.count(CLIP)

    def settled(self, target_tokens: int | None) -> Settled:
        """Decide every block; with target_tokens >= 1, so that the messages take no more than that, if they can."""
        view = self._newest()
        if target_tokens is None:
            return self._rendered(view, self._decided(view))
        if self._expected(view) <= target_tokens:
            settled = self._rendered(view, self._decided(view))
            if (tokens := self._tokens(settled.messages)) <= target_tokens:
                return replace(settled, tokens=tokens)
        rewritten: int | None = None
        for _ in range(_MOST_CUTS):
            if (cut := self._cut(view, target_tokens)) is None:
                break
            view, edited = cut
            rewritten = min((at for at in (rewritten, edited) if at is not None), default=None)
            settled = self._rendered(view, [Decided(decision, is_new=True) for decision in view.decisions if decision])
            if (tokens := self._tokens(settled.messages)) <= target_tokens:
                return replace(settled, tokens=tokens, rewritten_from=rewritten)
        settled = self._rendered(view, self._decided(view, leave=True))
        return replace(settled, tokens=self._tokens(settled.messages), skipped_because=RAW_OVER)

    def _newest(self) -> _View:
        """The last generation that this very conversation was cut to, for this target."""
        view = _View(0, (None,) * len(self._blocks))
        while self._blocks:
            generation = view.generation + 1
            if self._decider.known(self._key(self._blocks[0], generation)) is None:
                return view
            found = [self._decider.known(self._key(block, generation)) for block in self._blocks]
            last = max(i for i, decision in enumerate(found) if decision)
            cut = self._decider.known(f"{self._key(self._blocks[last], generation)}:cut")
            gone = _range(cut)
            if gone is None or None in found[:last]:
                return view  # of another conversation that began like this one, or not done
            decisions = tuple(new or old for new, old in zip(found, view.decisions, strict=True))
            view = _View(generation, decisions, (*view.cuts, gone))
        return view

    def _key(self, block: Plan, generation: int) -> str:
        return f"{block.key}:{self._target}:{generation}"

    def _decided(self, view: _View, *, leave: bool = False) -> list[Decided]:
        """leave: what was not decided before is left as it is."""
        decided = []
        for block, decision in zip(self._blocks, view.decisions, strict=True):
            if decision is not None:
                decided.append(Decided(decision))
            elif not leave:
                decided.append(self._decider.decided(block))
            elif (known := self._decider.known(block.key)) is not None:
                decided.append(Decided(known))
            else:
                raw = Decision.raw(RAW_OVER, block.tokens)
                decided.append(Decided(self._decider.kept(block.key, raw), is_new=True))
        return decided

    def _cut(self, view: _View, target_tokens: int) -> tuple[_View, int | None] | None:
        """Decide all blocks again; return the new view, and the first message edited that was sent before.

        None where it can't be done.
        """
        before = [d or self._decider.known(b.key) for b, d in zip(self._blocks, view.decisions, strict=True)]
        sizes = [self._size(block, known) for block, known in zip(self._blocks, before, strict=True)]
        sent = last_reply(self._messages, self._wire)
        first = min((block.address.message for block in self._blocks), default=0)
        for cuts in (view.cuts, (*view.cuts, range(first, sent + 1))):
            fixed = self._tokens(self._unbound(self._messages, cuts)) - sum(block.tokens for block in self._blocks)
            left = max(ROOM * target_tokens, (fixed + target_tokens) / 2) - fixed
            limits = shares(sizes, [block.tokens for block in self._blocks], int(left), self._least)
            if limits is not None:
                break
        else:
            return None
        decisions = tuple(map(self._recut, self._blocks, before, limits, [view.generation + 1] * len(before)))
        changed = (
            block.address.message
            for block, old, new in zip(self._blocks, before, decisions, strict=True)
            if (old is not None or block.address.message <= sent) and (old.text if old else None) != new.text
        )
        edited = min(changed, default=None)
        if cuts != view.cuts:
            edited = first
        gone = range(len(self._messages) if edited is None else edited, len(self._messages))
        mark = Decision(json.dumps([gone.start, gone.stop]), "a cut", 0, 0, None)
        self._decider.kept(f"{self._key(self._blocks[-1], view.generation + 1)}:cut", mark)
        return _View(view.generation + 1, decisions, (*view.cuts, gone)), edited

    def _recut(self, block: Plan, before: Decision | None, limit: int, generation: int) -> Decision:
        key = self._key(block, generation)
        if (known := self._decider.known(key)) is not None:
            return known
        if before is not None and self._size(block, before) <= limit:
            return self._decider.kept(key, before)
        if block.tokens <= limit:
            return self._decider.kept(key, Decision.raw("it fits", block.tokens))
        return self._decider.kept(key, self._decider.fitted(block, limit, self._counter))

    def _size(self, block: Plan, decision: Decision | None) -> int:
        if decision is None:
            whole = self._decider.raw_because(block) is not None
            return block.tokens if whole else budget_tokens(self._expected_rate, block.tokens)
        return block.tokens if decision.text is None else self._counter.count(decision.text)

    def _expected(self, view: _View) -> int:
        saved = 0
        for block, decision in zip(self._blocks, view.decisions, strict=True):
            saved += block.tokens - self._size(block, decision or self._decider.known(block.key))
        return self._tokens(self._unbound(self._messages, view.cuts)) - saved

    def _tokens(self, messages: Sequence[Any]) -> int:
        return request_tokens(messages, self._wire, self._counter)

    def _rendered(self, view: _View, decided: list[Decided]) -> Settled:
        replacements: dict[Address, list[tuple[Span, str]]] = {}
        for block, each in zip(self._blocks, decided, strict=True):
            if each.decision.text is not None:
                replacements.setdefault(block.address, []).append((block.span, each.decision.text))
        messages = self._unbound(replaced(self._messages, replacements), view.cuts)
        gone = {i for cut in view.cuts for i in cut if i < len(self._messages)}
        dropped = sum(self._wire.is_bound(as_mapping(self._messages[i], i, "a mapping")) for i in gone)
        return Settled(messages, decided, reasoning_dropped=dropped)

    def _unbound(self, messages: Sequence[Any], cuts: Iterable[range]) -> list[Any]:
        """The messages without the reasoning that earlier cuts have made worthless."""
        gone = {i for cut in cuts for i in cut}
        if not gone:
            return list(messages)
        out = []
        for i, message in enumerate(messages):
            if i not in gone:
                out.append(message)
                continue
            fields = message if isinstance(message, Mapping) else message.model_dump(exclude_unset=True)
            left = self._wire.unbound(fields)
            if left is not None:
                out.append(message if left is fields else left)
        return out


def _range(cut: Decision | None) -> range | None:
    try:
        start, stop = json.loads(cut.text if cut and cut.text else "")
        return range(start, stop)
    except (TypeError, ValueError):
        return None


def shares(sizes: Sequence[int], whole: Sequence[int], tokens: int, least: int) -> list[int] | None:
    """Spread `tokens` over blocks of these sizes, in order of age; None where not even `least` each fits.

    whole: what they take uncut. No block gets more than its size; the others get what is proportional to their whole
    and to `1 + 3 / (1 + age)`, age 0 being the last block: of recorded agents, 67 % put the last tool result to use in
    the next step, 20 to 28 % those up to four steps back, and 10 to 20 % older ones.
    """
    floor = LEAST_TOKENS
    while sum(min(size, floor) for size in sizes) > tokens:
        if floor <= least:
            return None
        floor = max(least, floor // 2)
    weights = [1 + 3 / (1 + age) for age in range(len(sizes) - 1, -1, -1)]
    pairs = list(zip(sizes, (w * n for w, n in zip(weights, whole, strict=True)), strict=True))

    def at(level: float) -> list[int]:
        return [min(size, max(floor, math.floor(level * part))) for size, part in pairs]

    low, high = 0.0, 1.0  # at 1.0, every block has its size
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(at(middle)) <= tokens else (low, middle)
    return at(1.0) if sum(at(1.0)) <= tokens else at(low)
