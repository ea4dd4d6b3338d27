"""Spans as a ledger keeps them: a JSON list of pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agentcompress.schema import Span


def encode_spans(spans: Sequence[Span] | None) -> str | None:
    """Write spans as JSON; None stays None."""
    return None if spans is None else json.dumps(spans, separators=(",", ":"))


def decode_spans(pairs: Any) -> tuple[Span, ...] | None:
    """Read spans from a list of pairs, or its JSON; None stays None. Raises `ValueError` and `TypeError` for others."""
    if isinstance(pairs, str):
        pairs = json.loads(pairs)
    return None if pairs is None else tuple(Span(int(start), int(end)) for start, end in pairs)
