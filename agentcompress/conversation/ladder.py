"""How a new block is compressed: by the best rung of a ladder that holds.

The rungs: the configured scorer, then BM25, then the block as it is. A rung that failed or was too slow rests for a
while; what went wrong does not reach a caller who did not ask for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from agentcompress.common.breaker import Breaker
from agentcompress.common.checks import KeepRate
from agentcompress.common.threads import run_within
from agentcompress.conversation.blocks import Block, DecidedBlock
from agentcompress.conversation.decide import CallLedger
from agentcompress.conversation.failures import Failures
from agentcompress.conversation.own_texts import SEEN
from agentcompress.conversation.pacing import Pace, can_draft_finish, share_time
from agentcompress.conversation.recall import RAW_RECALLED, Originals, is_recalled
from agentcompress.errors import DeadlineError, DraftError, ScoringError, describe_error
from agentcompress.messages.conversation import Conversation
from agentcompress.results import CompressedText
from agentcompress.schema import Decision, Reading
from agentcompress.segmenters.listings import explain_left_whole
from agentcompress.selection.budget import EXPECTED
from agentcompress.targets.facts import target_facts
from agentcompress.text.clip import clip_text
from agentcompress.text.delimiters import make_line_style
from agentcompress.text.ends import keep_ends
from agentcompress.text.recall_style import make_recall_style
from agentcompress.text.rendering import Rendered

_log = logging.getLogger("agentcompress")
_Cut = TypeVar("_Cut", CompressedText, Rendered)

RAW_DEADLINE = "the deadline passed"
RAW_WHOLE = "nothing would be cut, or nothing left"

ENDS_ONLY = "ends"
RAW_TOO_LARGE = "the block is too large for"

CLIPPED = "clipped"
"""Who decided where no rung holds and a block must be short all the same."""

_FIRST_SHARE = 0.8
"""Of the time that is left, what a rung may take before the next one gets its turn."""

_HOPELESS = 2.0
"""A rung is not begun whose time, as estimated, is so many times what is left."""

_LARGE_SHARE, _USUAL_WINDOW = 0.25, 128_000
"""Of a block that takes so large a share of the target's window (in tokens, where none is known), both ends are kept
rather than all of it, where nothing better can be had: as it is it would stay for good."""

_FAIR_MS = 5_000.0
"""From how long a deadline on it is the scorer's fault that it passed."""

_REST_S = 60.0
"""How long a scorer that failed is not asked again."""


class TextCompressor(Protocol):
    """What a rung asks of a compressor."""

    def compress_text(
        self,
        text: str,
        *,
        query: str | Reading,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        target: str | None = None,
        hint: str | None = None,
        recall_name: str | None = None,
    ) -> CompressedText:
        """Keep the parts of a text that matter for a query, within a budget of the target's tokens."""
        ...


@dataclass(frozen=True)
class Rung:
    """A way to compress a block, and the breaker that lets it rest after a failure."""

    name: str
    compressor: TextCompressor
    breaker: Breaker = field(default_factory=lambda: Breaker(_REST_S))


class Ladder:
    """The rungs for one call, the best first, within its deadline.

    originals: where the texts of what is cut are kept, if they are to be recalled. whole_listings: whether results that
    are listings or short stay as they are, whatever they cost.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        call: Conversation,
        ledger: CallLedger,
        failures: Failures,
        originals: Originals | None,
        *,
        whole_listings: bool,
        pace: Pace | None = None,
    ) -> None:
        self._rungs, self._call, self._ledger, self._failures = rungs, call, ledger, failures
        self._originals, self._whole_listings = originals, whole_listings
        self._deadline = call.deadline
        self._pace = pace or Pace()

    def decide(self, block: Block) -> DecidedBlock:
        """Return what stands for a block: known, or found now and kept."""
        started = time.perf_counter()
        known = self._ledger.known(block)
        if known is not None:
            return known
        kept = self._ledger.keep(block, self.compress(block))
        return replace(kept, ms=(time.perf_counter() - started) * 1000)

    def compress(self, block: Block) -> DecidedBlock:
        """Find what is to stand for a block at the call's keep rate."""
        why = self.find_raw_reason(block)
        decision, stages_ms = (Decision.raw(why, block.tokens), {}) if why else self._climb(block, None)
        return DecidedBlock(decision, is_new=True, stages_ms=stages_ms)

    def fit(self, block: Block, tokens: int) -> Decision:
        """Find a text of at most so many tokens, whatever happens: by a rung, else with the middle cut out."""
        count = self._call.counter.count
        found, _ = self._climb(block, tokens)
        if found.text is not None and 0 < count(found.text) <= tokens:
            return found
        text = clip_text(block.text, tokens, self._call.counter)
        return Decision(text, found.reason, block.tokens, count(text), CLIPPED)

    def find_raw_reason(self, block: Block) -> str | None:
        """Say why a block is left as it is, if it is, before anything is tried."""
        if block.raw_because is not None:
            return block.raw_because
        if self._ledger.was_sent_here(block.text):
            return SEEN
        if is_recalled(block.text):
            return RAW_RECALLED
        if block.kind == "tool" and self._whole_listings and (why := explain_left_whole(block.text)) is not None:
            return why
        return SEEN if self._ledger.was_sent_elsewhere(block.text) else None

    def _climb(self, block: Block, tokens: int | None) -> tuple[Decision, Mapping[str, float]]:
        """Try rung after rung. tokens: the most that the text may take; None: as the call's keep rate has it."""
        reasons = []
        for number, rung in enumerate(self._rungs):
            is_last = number + 1 == len(self._rungs)
            if self._deadline.is_over:
                reasons.append(RAW_DEADLINE)
                break
            if not self._failures.are_raised and rung.breaker.is_open:
                reasons.append(f"{rung.name} rests after a failure")
                continue
            if not self._failures.are_raised and self._is_hopeless(block, is_last=is_last):
                reasons.append(f"{rung.name}: {RAW_TOO_LARGE} {self._deadline.describe()}")
                continue
            try:
                result = self._run_in_time(rung, block, tokens, is_last=is_last)
            except Exception as error:
                if self._failures.are_raised:
                    raise
                reasons.append(self._note_failure(rung, block, error, is_last=is_last))
                continue
            if not result.text.strip() or result.text == block.text:  # some providers refuse empty texts
                return Decision.raw(RAW_WHOLE, block.tokens), {}
            why = "; ".join(reasons) or None
            before, after = result.tokens_before, result.tokens_after
            return Decision(result.text, why, before, after, result.scorer, result.spans), result.timings_ms
        if self._failures.are_raised:
            raise self._deadline.error()
        return self._give_up(block, tokens, "; ".join(reasons)), {}

    def _give_up(self, block: Block, tokens: int | None, reasons: str) -> Decision:
        """Leave a block as it is; of one that may not fit the target's window, keep both ends."""
        window = target_facts(self._call.target).window_tokens or _USUAL_WINDOW
        if tokens is None and block.tokens >= _LARGE_SHARE * window:
            rate = self._call.settings.keep_rate
            share = EXPECTED if rate is None or rate == "auto" else rate
            share = min(share, _LARGE_SHARE * window / block.tokens)
            kept = self._keep_ends(block, int(share * len(block.text)))
            if kept.text.strip() and len(kept.text) < len(block.text):
                after = self._call.counter.count(kept.text)
                return Decision(kept.text, reasons, block.tokens, after, ENDS_ONLY, kept.spans)
        return Decision.raw(f"failed: {reasons}", block.tokens)

    def _keep_ends(self, block: Block, chars: int) -> Rendered:
        """Keep both ends of a block."""
        style = make_line_style(block.text)

        def cut(name: str | None) -> Rendered:
            return keep_ends(block.text, chars, make_recall_style(style, name, block.text) if name else style)

        return self._cut_recallably(block, cut)

    def _is_hopeless(self, block: Block, *, is_last: bool) -> bool:
        """Whether a rung would plainly not be done with a block in the time that it could be given."""
        left_s = self._deadline.left_s
        if left_s == float("inf"):
            return False
        if is_last:
            return self._pace.estimate_s(len(block.text)) > _HOPELESS * left_s
        return not can_draft_finish(len(block.text), self._give_time(block, is_last=False))

    def _give_time(self, block: Block, *, is_last: bool) -> float:
        """Seconds that a rung may take: all that is left, or what those after it do not need."""
        left_s = self._deadline.left_s
        if is_last:
            return left_s
        return share_time(left_s, self._pace.estimate_s(len(block.text)), _FIRST_SHARE)

    def _run_in_time(self, rung: Rung, block: Block, tokens: int | None, *, is_last: bool) -> CompressedText:
        work = partial(self._run, rung, block, tokens)
        started = time.perf_counter()
        if self._deadline.left_s == float("inf"):
            result = work()
        else:
            result = run_within(self._give_time(block, is_last=is_last), work, of=self._deadline.describe())
        if is_last:
            self._pace.note(len(block.text), time.perf_counter() - started)
        return result

    def _run(self, rung: Rung, block: Block, tokens: int | None) -> CompressedText:
        """Compress a block by a rung."""

        def cut(name: str | None) -> CompressedText:
            return rung.compressor.compress_text(
                block.text,
                query=block.reading,
                keep_rate=self._call.settings.keep_rate if tokens is None else None,
                target_tokens=tokens,
                target=self._call.target,
                hint=block.hint,
                recall_name=name,
            )

        return self._cut_recallably(block, cut)

    def _cut_recallably(self, block: Block, cut: Callable[[str | None], _Cut]) -> _Cut:
        """Cut a block; what goes is kept, where that is wanted, to be recalled by a name that is no other text's."""
        if self._originals is None:
            return cut(None)
        names = self._originals.names_of(block.key)
        while True:
            name = next(names)
            result = cut(name)
            if self._originals.keep(name, block.text, result.text):
                return result

    def _note_failure(self, rung: Rung, block: Block, error: Exception, *, is_last: bool) -> str:
        """Let a rung rest that is to blame, tell of the failure, and return what decisions say of it."""
        if not is_last and self._is_to_blame(error):
            rung.breaker.trip()
        reason = f"{rung.name}: {type(error).__name__}: {describe_error(error)}"
        self._failures.tell(f"message {block.address.message}: {reason}", error)
        _log.debug("message %d", block.address.message, exc_info=error)
        return reason

    def _is_to_blame(self, error: Exception) -> bool:
        """Whether the next block would fare no better: not for one odd text, nor for an impatient caller."""
        if isinstance(error, DeadlineError):
            deadline_ms = self._call.settings.deadline_ms
            return deadline_ms is None or deadline_ms >= _FAIR_MS
        return isinstance(error, DraftError | ScoringError)
