"""What stands for a block from now on: looked up, else decided by the first rung of the ladder that holds, and kept.

The rungs: the configured scorer, then BM25, then the block as it is. Nothing that goes wrong here reaches a caller who
did not ask for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcompress.common.deadlines import Deadline
from agentcompress.common.threads import run_within
from agentcompress.conversation.blocks import RAW_WHOLE, Plan
from agentcompress.conversation.ladder import Ladder, Rung, checked_on_error
from agentcompress.conversation.own_texts import SEEN
from agentcompress.errors import AgentCompressError, DeadlineError, DraftError, ScoringError, said
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.notes import sent_key
from agentcompress.protocols import TokenCounter
from agentcompress.results import CompressedText
from agentcompress.schema import Decision
from agentcompress.text.clip import clip_text

_log = logging.getLogger("agentcompress")

RAW_LEDGER = "the ledger is down"
RAW_DEADLINE = "the deadline passed"


CLIPPED = "clipped"
"""Who decided then."""


_FIRST_SHARE = 0.8
"""Of the time that is left, what a rung may take before the next one gets its turn."""

_FAIR_MS = 5_000.0
"""From how long a deadline on it is the scorer's fault that it passed."""


@dataclass(frozen=True)
class Decided:
    """What stands for a block, whether that is new, and the milliseconds that it took to find out, also by stage."""

    decision: Decision
    is_new: bool = False
    ms: float = 0.0
    stages_ms: Mapping[str, float] = field(default_factory=dict)


class Decider:
    """Decides the blocks of one call.

    left_whole: why a block is not compressed whatever it costs, or None. live: whether what is decided is sent.
    """

    def __init__(
        self,
        store: MemoryStore | FrontedStore,
        ladder: Ladder,
        rungs: Sequence[Rung],
        left_whole: Callable[[Plan], str | None],
        on_error: str,
        deadline_ms: float | None,
        *,
        live: bool = True,
    ) -> None:
        checked_on_error(on_error)
        self._store, self._ladder, self._rungs, self._left_whole = store, ladder, rungs, left_whole
        self._on_error, self._deadline_ms = on_error, deadline_ms
        self._deadline = Deadline(deadline_ms)
        self._noted: set[str] = set()
        self.live = live
        self._stages_ms: dict[str, Mapping[str, float]] = {}

    def decided(self, block: Plan) -> Decided:
        """The decision that stands for a block: known, or made now."""
        started = time.perf_counter()
        decision, is_new = self._known_or_new(block)
        stages_ms = self._stages_ms.pop(block.key, {})
        return Decided(decision, is_new, (time.perf_counter() - started) * 1000, stages_ms)

    def _known_or_new(self, block: Plan) -> tuple[Decision, bool]:
        try:
            known = self._store.get(block.key)
        except Exception as error:  # noqa: BLE001 - it may have been decided elsewhere: nobody can know
            self._note(f"{RAW_LEDGER}: {error}", error)
            return self.kept(block.key, Decision.raw(RAW_LEDGER, block.tokens)), True
        if known is not None:
            return known, False
        why = self.raw_because(block)
        decision = Decision.raw(why, block.tokens) if why else self._compressed(block)
        return self._sent(self.kept(block.key, decision)), True

    def raw_because(self, block: Plan) -> str | None:
        """Why a block is left as it is, if it is, before anything was tried."""
        why = block.raw_because or self._left_whole(block)
        return SEEN if why is None and self.known(sent_key(block.text)) is not None else why

    def _sent(self, decision: Decision) -> Decision:
        """Note that its text is ours: it may come back as a block of another history, in another process."""
        if decision.text is not None and self.live:
            self.kept(sent_key(decision.text), Decision.raw(SEEN, 0))
        return decision

    def known(self, key: str) -> Decision | None:
        """What stands under a key, None also where that can't be known now."""
        try:
            return self._store.get(key)
        except Exception as error:  # noqa: BLE001
            self._note(f"{RAW_LEDGER}: {error}", error)
            return None

    def known_of(self, keys: Sequence[str]) -> list[Decision | None]:
        """The same for many keys."""
        try:
            found = self._store.get_many(keys)
        except Exception:  # noqa: BLE001 - this process may still know some
            return [self.known(key) for key in keys]
        return [found.get(key) for key in keys]

    def kept(self, key: str, decision: Decision) -> Decision:
        """Write a decision; return what stands there from now on."""
        try:
            return self._store.put(key, decision)
        except Exception as error:  # noqa: BLE001 - sent now all the same
            self._note(f"a decision is not remembered: {error}", error)
            return decision

    def fitted(self, block: Plan, tokens: int, counter: TokenCounter) -> Decision:
        """A decision of at most so many tokens, whatever happens: by a rung of the ladder, else with the middle cut."""
        found = self._compressed(block, tokens)
        if found.text is not None and 0 < counter.count(found.text) <= tokens:
            return self._sent(found)
        text = clip_text(block.text, tokens, counter)
        return self._sent(Decision(text, found.reason, block.tokens, counter.count(text), CLIPPED))

    def _compressed(self, block: Plan, tokens: int | None = None) -> Decision:
        reasons = []
        for number, rung in enumerate(self._rungs):
            if self._deadline.is_over:
                reasons.append(RAW_DEADLINE)
                break
            if self._on_error != "raise" and self._ladder.rests(rung.name):
                reasons.append(f"{rung.name} rests after a failure")
                continue
            try:
                result = self._bounded(rung, block, tokens, last=number + 1 == len(self._rungs))
            except Exception as error:
                if self._on_error == "raise":
                    raise
                if number + 1 < len(self._rungs) and self._is_to_blame(error):
                    self._ladder.let_rest(rung.name)
                reasons.append(f"{rung.name}: {type(error).__name__}: {said(error)}")
                self._note(f"message {block.address.message}: {reasons[-1]}", error)
                _log.debug("message %d", block.address.message, exc_info=error)
                continue
            if not result.text.strip() or result.text == block.text:  # some providers refuse empty texts
                return Decision.raw(RAW_WHOLE, block.tokens)
            self._stages_ms[block.key] = result.timings_ms
            why = "; ".join(reasons) or None
            return Decision(result.text, why, result.tokens_before, result.tokens_after, result.scorer)
        if self._on_error == "raise":
            raise self._deadline.error()
        return Decision.raw(f"failed: {'; '.join(reasons)}", block.tokens)

    def _is_to_blame(self, error: Exception) -> bool:
        """Whether the next block would fare no better: not for one odd text, nor for an impatient caller."""
        if isinstance(error, DeadlineError):
            return self._deadline_ms is None or self._deadline_ms >= _FAIR_MS
        return isinstance(error, DraftError | ScoringError)

    def _bounded(self, rung: Rung, block: Plan, tokens: int | None, *, last: bool) -> CompressedText:
        left_s = self._deadline.left_s
        if left_s == float("inf"):
            return rung.compress(block, tokens)
        share = 1.0 if last else _FIRST_SHARE
        return run_within(left_s * share, lambda: rung.compress(block, tokens))

    def _note(self, what: str, error: Exception) -> None:
        if self._on_error == "raise":
            if isinstance(error, AgentCompressError):
                raise error
            raise AgentCompressError(what) from error
        if self._on_error == "warn" and what not in self._noted:
            _log.warning("%s", what)
            self._noted.add(what)
