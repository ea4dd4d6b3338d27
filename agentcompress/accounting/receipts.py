"""The receipt of a call: what was decided, and what it saved against the same conversation without us.

History, everything before the model's last reply, was sent in the request before this one, and is read from the
provider's cache where that is still there, and was sent as it is sent now. Requests are remembered in this process, by
hash; where the one before is not known, it is taken to be in the cache, which is what saves least.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from cachetools import LRUCache

from agentcompress.accounting.quotes import find_used_in_arguments, find_used_in_words
from agentcompress.accounting.sinks import open_sink
from agentcompress.config import CompressConfig
from agentcompress.conversation.blocks import Block, DecidedBlock
from agentcompress.conversation.put_back import Assembled
from agentcompress.messages.conversation import Conversation
from agentcompress.protocols import TokenCounter
from agentcompress.receipt import DRIFT, BlockReceipt, Money, Receipt, compute_billed_more
from agentcompress.targets.facts import TargetFacts, target_facts
from agentcompress.targets.prompt_cache import CacheRules, bill_request, find_cache_rules

_log = logging.getLogger("agentcompress")

_HOUR_MS = 3_600_000.0
_MOST_STRINGS = 64
"""Of a reply that are looked for: an agent may write a whole file."""


class Accounts:
    """Makes receipts, and hands them to the config's sink. Raises `ConfigError` and `PluginError` for a bad sink."""

    def __init__(self, config: CompressConfig) -> None:
        self._config = config
        self._sink = open_sink(config.receipts) if config.receipts else None
        self._sent: LRUCache[str, float] = LRUCache(10_000)
        self._drifting: set[str] = set()
        self._lock = threading.Lock()

    def write_receipt(self, call: Conversation, blocks: Sequence[Block], assembled: Assembled) -> Receipt:
        """Make the receipt of a call, and hand it to the sink. The time it has taken ends here."""
        ms = call.clock.total_ms()
        tokens = call.part_tokens
        told = tuple(_describe_block(*each, call.counter) for each in zip(blocks, assembled.decided, strict=True))
        history = call.count_history()
        asks = self._sink is not None or self._config.mode == "shadow"
        used, kept = _count_references(call, blocks, assembled, history) if asks else (None, None)
        receipt = Receipt(
            target=call.target,
            scorer=self._config.scorer,
            tokens_before=sum(tokens),
            tokens_after=sum(tokens) - sum(block.tokens_before - block.tokens_after for block in told),
            blocks=told,
            ms=ms,
            request_tokens=assembled.tokens,
            rewritten_from=assembled.rewritten_from,
            reasoning_dropped=assembled.reasoning_dropped,
            skipped_because=assembled.skipped_because,
            mode=self._config.mode,
            continues=call.continues,
            conversation=_identify(call),
            at=time.time(),
            used=used,
            used_kept=kept,
        )
        receipt = replace(receipt, money=self._bill(call, receipt, tokens, history))
        if self._sink is not None:
            self._sink.write(receipt.record())
        return receipt

    def reconciled(self, receipt: Receipt, usage: Any) -> Receipt:
        """The receipt with what was billed, told to the sink; a drift over 2 % is logged, once a target."""
        found = receipt.reconciled(usage)
        if found.usage is None:
            return found
        if self._sink is not None:
            self._sink.write({"type": "usage", "id": receipt.id, "target": receipt.target, **asdict(found.usage)})
        drift = found.usage.drift
        if drift is not None and abs(drift) > DRIFT and receipt.target not in self._drifting:
            self._drifting.add(receipt.target)
            _log.warning(
                "%s bills other tokens than are counted here: %+.1f %%",
                receipt.target,
                100 * compute_billed_more(drift),
            )
        return found

    def _bill(self, call: Conversation, receipt: Receipt, tokens: Sequence[int], history: int) -> Money | None:
        facts, rules = _find_prices(call.target)
        if facts.input_price is None:
            return None
        cached = self._count_cached(call, history, rules)
        new = (block.message for block in receipt.blocks if block.decision == "new" and block.message < cached)
        unchanged = min([cached, *new, *([] if receipt.rewritten_from is None else [receipt.rewritten_from])])

        def count_upto(end: int) -> int:
            """Tokens of the texts of the first messages, and of what stands beside them."""
            texts = (n for part, n in zip(call.parts, tokens, strict=True) if part.address.message < end)
            return sum(texts) + call.beside_tokens if end else 0

        cut = sum(block.tokens_before - block.tokens_after for block in receipt.blocks if block.message < unchanged)
        before, after = receipt.tokens_before + call.beside_tokens, receipt.tokens_after + call.beside_tokens
        marked = rules is not None and rules.marked and _is_marked(call)
        kept_cached = max(0, count_upto(unchanged) - cut)
        return Money(
            list_before=before * facts.input_price,
            list_after=after * facts.input_price,
            before=bill_request(rules, before, count_upto(cached), marked=marked).compute_dollars(facts) or 0.0,
            after=bill_request(rules, after, kept_cached, marked=marked).compute_dollars(facts) or 0.0,
            draft=receipt.ms / _HOUR_MS * self._config.machine_price,
            warm=cached > 0,
        )

    def _count_cached(self, call: Conversation, history: int, rules: CacheRules | None) -> int:
        """How many messages are in the provider's cache, as far as is known: also of a request that is sent again."""
        if rules is None or not call.prefixes:
            return 0
        now = time.monotonic()
        with self._lock:
            sent = [self._sent.get(f"{call.target} {prefix}") for prefix in call.prefixes]
            self._sent[f"{call.target} {call.prefixes[-1]}"] = now
        alive = (i + 1 for i, at in enumerate(sent) if at is not None and now - at <= rules.ttl_s)
        longest = max(alive, default=0)
        known = history == 0 or sent[history - 1] is not None
        return max(longest, 0 if known else history)


@lru_cache(maxsize=256)
def _find_prices(target: str) -> tuple[TargetFacts, CacheRules | None]:
    facts = target_facts(target)
    return facts, find_cache_rules(facts)


def _is_marked(call: Conversation) -> bool:
    """Whether anything of a request carries a cache marker."""
    return call.last_marker >= 0 or "cache_control" in str(call.beside)


def _identify(call: Conversation) -> str:
    """A hash of a conversation's beginning, up to the first message of its user."""
    asked = next((part.address.message for part in call.parts if part.role == "user"), 0)
    return call.prefixes[asked][:16] if call.prefixes else ""


def _describe_block(block: Block, decided: DecidedBlock, counter: TokenCounter) -> BlockReceipt:
    decision = decided.decision
    return BlockReceipt(
        message=block.address.message,
        kind=block.kind,
        tool=block.tool,
        decision="raw" if decision.text is None else "new" if decided.is_new else "replayed",
        reason=decision.reason,
        tokens_before=block.tokens,
        tokens_after=block.tokens if decision.text is None else counter.count(decision.text),
        ms=decided.ms,
        scorer=decision.scorer,
        stages_ms=decided.stages_ms,
    )


def _count_references(
    call: Conversation, blocks: Sequence[Block], assembled: Assembled, history: int
) -> tuple[int, int]:
    """Count the strings that the last reply took from blocks that are cut, and how many of them it was sent."""
    cut = [
        (block.text, each.decision.text)
        for block, each in zip(blocks, assembled.decided, strict=True)
        if each.decision.text is not None and block.address.message < history
    ]
    if not cut:
        return 0, 0
    whole = [part.text for part in call.parts if part.address.message < history]
    used = kept = 0
    for string in itertools.islice(dict.fromkeys(_find_used(call, history)), _MOST_STRINGS):
        shown = [sent for text, sent in cut if string in text]
        if not shown:
            continue
        beside = sum(string in text for text in whole) > len(shown)  # in a text that is not cut, too
        used += 1
        kept += beside or any(string in sent for sent in shown)
    return used, kept


def _find_used(call: Conversation, history: int) -> Iterator[str]:
    seen: set[str] = set()
    for part in call.parts:
        if part.address.message < history:
            continue
        if part.role == "assistant":
            yield from find_used_in_words(part.text)
        elif part.arguments and part.arguments not in seen:
            seen.add(part.arguments)
            yield from find_used_in_arguments(_parse_arguments(part.arguments))


def _parse_arguments(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
