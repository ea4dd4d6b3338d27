"""Prometheus counters, where its client is installed: the proxy's `/metrics` shows them beside its own."""

from __future__ import annotations

from typing import Any

from agentcompress.conversation.own_texts import SEEN
from agentcompress.receipt import Receipt


def _make_counters() -> dict[str, Any] | None:
    try:
        from prometheus_client import Counter, Histogram
    except ImportError:
        return None
    try:
        return _register_counters(Counter, Histogram)
    except ValueError:  # this module was loaded before, under another name
        return None


def _register_counters(Counter: Any, Histogram: Any) -> dict[str, Any]:  # noqa: N803 - they are classes
    return {
        "requests": Counter("agentcompress_requests", "Requests, by what was done", ["outcome"]),
        "blocks": Counter("agentcompress_blocks", "Blocks, by decision", ["decision"]),
        "tokens": Counter("agentcompress_tokens", "Tokens of texts, before and after", ["when"]),
        "seconds": Histogram("agentcompress_seconds", "Time that compressing took", buckets=_BUCKETS),
    }


_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_counters = _make_counters()


def count_compressed(receipt: Receipt) -> None:
    """Count a request that went through the compressor."""
    if _counters is None:
        return
    cut = receipt.rewritten_from is not None
    if receipt.mode != "live":
        _counters["requests"].labels("shadow").inc()
        return
    outcome = "over the limit" if receipt.skipped_because else "cut to fit" if cut else "compressed"
    _counters["requests"].labels(outcome).inc()
    for block in receipt.blocks:
        _counters["blocks"].labels(block.decision).inc()
    _counters["tokens"].labels("before").inc(receipt.tokens_before)
    _counters["tokens"].labels("after").inc(receipt.tokens_after)
    _counters["seconds"].observe(receipt.ms / 1000)


def count_uncompressed(why: str | None) -> None:
    """Count a request that went out as it came."""
    if _counters is not None:
        already = why == SEEN
        _counters["requests"].labels("seen before" if already else "as it came").inc()
