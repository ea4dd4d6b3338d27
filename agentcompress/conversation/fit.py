"""The hard fit: a request of at most so many tokens, where its blocks as they were decided take more.

The only rewrite there is. All blocks are decided again in one *cut*, well below the target so that it lasts, and the
cut is one record in the ledger, under the target and the hash of the whole history it was made on. Every later request
of that history and target begins with the newest cut, whatever is asked for; blocks after it are decided as ever.
Reasoning between the first edited message and the end of a cut is bound to what is no longer there, and goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentcompress.common.checks import KeepRate
from agentcompress.conversation import own_texts
from agentcompress.conversation.blocks import Plan
from agentcompress.conversation.decide import Decided, Decider
from agentcompress.conversation.shares import shares
from agentcompress.ledger.cuts import Cut, Cuts
from agentcompress.messages.sizes import request_tokens
from agentcompress.messages.view import Address, Wire, as_mapping, last_reply, replaced
from agentcompress.protocols import TokenCounter
from agentcompress.schema import Decision, Span
from agentcompress.selection.budget import EXPECTED
from agentcompress.selection.select import compute_budget_tokens
from agentcompress.text.clip import CLIP

ROOM = 0.75
"""How much of the target a cut fills: the rest is for the turns to come, or it would be cut again at every one."""


RAW_OVER = "what must not be touched alone is over target_tokens"
RAW_CUT = "left as it is by a cut"
CUT = "cut to fit target_tokens"

_MOST_CUTS = 8
"""Of one call: more than one only where others were faster, with a higher limit."""


@dataclass(frozen=True)
class Settled:
    """What is sent, what stands for every block, and what had to be done for it (as in `Receipt`)."""

    messages: list[Any]
    decisions: list[Decided]
    tokens: int | None = None
    rewritten_from: int | None = None
    reasoning_dropped: int = 0
    skipped_because: str | None = None


class Fitting:
    """Settles one request.

    prefixes: the hash of the history up to every message. keep_rate: of blocks that are not decided yet.
    beside_tokens: of the request, outside of its messages.
    """

    def __init__(
        self,
        messages: Sequence[Any],
        blocks: Sequence[Plan],
        prefixes: Sequence[str],
        wire: Wire,
        decider: Decider,
        counter: TokenCounter,
        target: str,
        keep_rate: KeepRate,
        beside_tokens: int = 0,
    ) -> None:
        self._messages, self._blocks, self._wire = messages, blocks, wire
        self._decider, self._counter, self._beside = decider, counter, beside_tokens
        self._expected_rate = EXPECTED if keep_rate == "auto" else keep_rate
        self._last_reply = last_reply(messages, wire)
        self._sizes: dict[int, tuple[Any, int]] = {}
        self._cuts = Cuts(prefixes, blocks[0].key if blocks else None, target, decider)

    def settled(self, target_tokens: int | None) -> Settled:
        """Decide every block; with target_tokens >= 1, so that the request takes no more than that, if it can."""
        cut = self._cuts.newest(self._ends)
        before = [self._by_cut(block, cut) for block in self._blocks]
        if target_tokens is None:
            return self._rendered(self._decided(before), cut)
        sent = [known or self._decider.known(block.key) for block, known in zip(self._blocks, before, strict=True)]
        if self._expected(sent, cut) <= target_tokens:
            settled = self._sized(self._rendered(self._decided(before), cut))
            if settled.tokens is not None and settled.tokens <= target_tokens:
                return settled
        now, rewritten = sent, []
        for _ in range(_MOST_CUTS):
            new = self._cut(now, cut, target_tokens)
            if new is None:
                break
            rewritten += self._edited(sent, new, cut)
            cut, now = new, [self._by_cut(block, new) for block in self._blocks]
            decided = [Decided(d, is_new=d != old) for d, old in zip(now, sent, strict=True) if d is not None]
            settled = self._sized(self._rendered(decided, cut))
            if settled.tokens is not None and settled.tokens <= target_tokens:
                return replace(settled, rewritten_from=min(rewritten, default=None))
        settled = self._sized(self._rendered(self._left(now), cut))
        return replace(settled, rewritten_from=min(rewritten, default=None), skipped_because=RAW_OVER)

    def _ends(self) -> list[int]:
        """The last messages of the requests that made this history: those that a reply follows, and the last of all."""
        last = len(self._messages) - 1
        fields = [as_mapping(message, i, "a mapping") for i, message in enumerate(self._messages)]
        return [i for i in range(len(fields)) if i == last or self._wire.is_reply(fields[i + 1])]

    def _by_cut(self, block: Plan, cut: Cut | None) -> Decision | None:
        """What a cut says of a block; None for blocks after it."""
        if cut is None or block.key not in cut.texts:
            return None
        text = cut.texts[block.key]
        if text is None:
            return Decision.raw(RAW_CUT, block.tokens)
        return Decision(text, CUT, block.tokens, self._counter.count(text), None)

    def _decided(self, known: Sequence[Decision | None]) -> list[Decided]:
        pairs = zip(self._blocks, known, strict=True)
        return [self._decider.decided(block) if decision is None else Decided(decision) for block, decision in pairs]

    def _left(self, known: Sequence[Decision | None]) -> list[Decided]:
        """What was not sent before is left as it is, from now on."""
        decided = []
        for block, decision in zip(self._blocks, known, strict=True):
            if decision is None:
                raw = self._decider.kept(block.key, Decision.raw(RAW_OVER, block.tokens))
                decided.append(Decided(raw, is_new=True))
            else:
                decided.append(Decided(decision))
        return decided

    def _cut(self, known: Sequence[Decision | None], last: Cut | None, target_tokens: int) -> Cut | None:
        """Decide all blocks again, and write that down; None where not even that would do."""
        if not self._blocks:
            return None
        sizes = [self._size(block, decision) for block, decision in zip(self._blocks, known, strict=True)]
        whole = [block.tokens for block in self._blocks]
        first = self._blocks[0].address.message
        gone = last.gone if last else ()
        for more in ((), (range(first, len(self._messages)),)):  # the second without any reasoning
            fixed = self._tokens(self._unbound(self._messages, (*gone, *more))) - sum(whole)
            room = max(ROOM * target_tokens, (fixed + target_tokens) / 2) - fixed
            limits = shares(sizes, whole, int(room), self._counter.count(CLIP))
            if limits is not None:
                break
        else:
            return None
        texts = {
            block.key: self._recut(block, decision, limit)
            for block, decision, limit in zip(self._blocks, known, limits, strict=True)
        }
        changed = self._changed(known, texts)
        if changed and not more:
            more = (range(min(changed), len(self._messages)),)
        return self._cuts.kept(Cut(len(self._messages), texts, (*gone, *more)), last)

    def _recut(self, block: Plan, known: Decision | None, limit: int) -> str | None:
        if known is not None and self._size(block, known) <= limit:
            return known.text
        return None if block.tokens <= limit else self._decider.fitted(block, limit, self._counter).text

    def _changed(self, before: Sequence[Decision | None], texts: Mapping[str, str | None]) -> list[int]:
        """Messages that were sent before, as far as is known, with another text; raw, where nobody decided."""
        return [
            block.address.message
            for block, old in zip(self._blocks, before, strict=True)
            if (old is not None or block.address.message <= self._last_reply)
            and (old.text if old else None) != texts.get(block.key)
        ]

    def _edited(self, before: Sequence[Decision | None], new: Cut, last: Cut | None) -> list[int]:
        """Messages that are sent differently from now on."""
        was_gone = _indexes(last.gone if last else ())
        dropped = [i for i in _indexes(new.gone) - was_gone if i < len(self._messages) and self._is_bound(i)]
        return [*self._changed(before, new.texts), *dropped]

    def _size(self, block: Plan, decision: Decision | None) -> int:
        if decision is None:
            whole = self._decider.raw_because(block) is not None
            return block.tokens if whole else compute_budget_tokens(self._expected_rate, block.tokens)
        return block.tokens if decision.text is None else self._counter.count(decision.text)

    def _expected(self, known: Sequence[Decision | None], cut: Cut | None) -> int:
        saved = sum(block.tokens - self._size(block, each) for block, each in zip(self._blocks, known, strict=True))
        return self._tokens(self._unbound(self._messages, cut.gone if cut else ())) - saved

    def _tokens(self, messages: Sequence[Any]) -> int:
        return self._beside + sum(map(self._tokens_of, messages))

    def _tokens_of(self, message: Any) -> int:
        """Counted once a message: most are the very same objects before and after."""
        known = self._sizes.get(id(message))
        if known is None or known[0] is not message:
            known = self._sizes[id(message)] = message, request_tokens([message], self._wire, self._counter)
        return known[1]

    def _sized(self, settled: Settled) -> Settled:
        return replace(settled, tokens=self._tokens(settled.messages))

    def _rendered(self, decided: list[Decided], cut: Cut | None) -> Settled:
        replacements: dict[Address, list[tuple[Span, str]]] = {}
        for block, each in zip(self._blocks, decided, strict=True):
            if each.decision.text is not None:
                if self._decider.live:
                    own_texts.note(each.decision.text)
                replacements.setdefault(block.address, []).append((block.span, each.decision.text))
        gone = cut.gone if cut else ()
        messages = self._unbound(replaced(self._messages, replacements), gone)
        bound = sum(self._is_bound(i) for i in _indexes(gone) if i < len(self._messages))
        return Settled(messages, decided, reasoning_dropped=bound)

    def _is_bound(self, index: int) -> bool:
        return self._wire.is_bound(as_mapping(self._messages[index], index, "a mapping"))

    def _unbound(self, messages: Sequence[Any], gone: Iterable[range]) -> list[Any]:
        """The messages without the reasoning that cuts have made worthless."""
        indexes = _indexes(gone)
        if not indexes:
            return list(messages)
        out: list[Any] = []
        for i in range(len(messages) - 1, -1, -1):
            message = messages[i]
            if i in indexes:
                fields = message if isinstance(message, Mapping) else message.model_dump(exclude_unset=True)
                following = as_mapping(out[-1], i + 1, "a mapping") if out else {}
                left = self._wire.unbound(fields, following)
                message = message if left is fields else left
            if message is not None:
                out.append(message)
        return out[::-1]


def _indexes(ranges: Iterable[range]) -> set[int]:
    return {i for each in ranges for i in each}
