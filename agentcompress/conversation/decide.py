"""What stands for a block from now on: looked up, or written once. A decision is never made again.

What goes wrong with the ledger does not reach a caller who did not ask for it: a block that can't be looked up stays as
it is, since it may have been decided elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from agentcompress.conversation.blocks import Block, DecidedBlock
from agentcompress.conversation.failures import Failures
from agentcompress.conversation.own_texts import SEEN, OwnTexts
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.notes import make_sent_key
from agentcompress.schema import Decision

RAW_LEDGER = "the ledger is down"


class CallLedger:
    """The ledger as one call sees it. Raises only where failures are to be raised.

    live: whether what is decided is sent; only then are its texts noted as ours.
    """

    def __init__(
        self, store: MemoryStore | FrontedStore, failures: Failures, own_texts: OwnTexts, *, live: bool = True
    ) -> None:
        self._store = store
        self._failures = failures
        self._own_texts = own_texts
        self._live = live

    def adopt_earlier(self, blocks: Sequence[Block]) -> list[Block]:
        """Give blocks that were decided when keys named beginnings alone the keys that they had then."""
        return [
            replace(block, key=block.earlier_key)
            if block.earlier_key and self.look_up(block.key) is None and self._was_decided_as(block, block.earlier_key)
            else block
            for block in blocks
        ]

    def _was_decided_as(self, block: Block, key: str) -> bool:
        """Whether what stands under a key is of this very range: a text of another one would lose or repeat words."""
        decision = self.look_up(key)
        if decision is None or decision.text is None:
            return decision is not None
        ends = decision.spans[-1].end if decision.spans else 0
        return decision.tokens_before == block.tokens and ends <= len(block.text)

    def known(self, block: Block) -> DecidedBlock | None:
        """Return what was decided about a block, None where nothing was.

        A block of a ledger that is down is raw, from now on.
        """
        started = time.perf_counter()
        try:
            decision = self._store.get(block.key)
        except Exception as error:  # noqa: BLE001 - it may have been decided elsewhere: nobody can know
            self._failures.tell(f"{RAW_LEDGER}: {error}", error)
            raw = self.write(block.key, Decision.raw(RAW_LEDGER, block.tokens))
            return DecidedBlock(raw, is_new=True, ms=_ms_since(started))
        return None if decision is None else DecidedBlock(decision, ms=_ms_since(started))

    def keep(self, block: Block, found: DecidedBlock) -> DecidedBlock:
        """Write what was found for a block; return what stands for it, another's decision if that was faster."""
        decision = self.write(block.key, found.decision)
        self.note_own(decision)
        return replace(found, decision=decision)

    def note_own(self, decision: Decision) -> None:
        """Note that a decision's text is ours: it may come back as a block of another history."""
        if decision.text is not None and self._live:
            self.write(make_sent_key(decision.text), Decision.raw(SEEN, 0))

    def was_sent_here(self, text: str) -> bool:
        """Whether this process has sent a text in another's place."""
        return self._own_texts.knows_text(text)

    def was_sent_elsewhere(self, text: str) -> bool:
        """Whether any process that shares the ledger has."""
        return self.look_up(make_sent_key(text)) is not None

    def look_up(self, key: str) -> Decision | None:
        """Return what stands under a key, None also where that can't be known now."""
        try:
            return self._store.get(key)
        except Exception as error:  # noqa: BLE001
            self._failures.tell(f"{RAW_LEDGER}: {error}", error)
            return None

    def look_up_all(self, keys: Sequence[str]) -> list[Decision | None]:
        """Return what stands under each of the keys, None where nothing does or that can't be known now."""
        try:
            found = self._store.get_many(keys)
        except Exception:  # noqa: BLE001 - this process may still know some
            return [self.look_up(key) for key in keys]
        return [found.get(key) for key in keys]

    def write(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there from now on."""
        try:
            return self._store.put(key, decision)
        except Exception as error:  # noqa: BLE001 - sent now all the same
            self._failures.tell(f"a decision is not remembered: {error}", error)
            return decision


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
