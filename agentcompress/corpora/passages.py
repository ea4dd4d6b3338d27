"""Text made to a length in draft tokens: log-like lines from a seed, the same on every machine."""

from __future__ import annotations

import random
from itertools import accumulate

from agentcompress.drafts.cache.protocol import Tokenizer
from agentcompress.schema import Segment
from agentcompress.segmenters.lines import LineSegmenter

_SUBJECTS = [
    "the service",
    "a worker",
    "its queue",
    "user session",
    "the index",
    "replica 3",
    "an operator",
    "the batch",
]
_VERBS = ["moved", "released", "retried", "dropped", "verified", "migrated", "throttled", "restored", "compacted"]
_PLACES = [
    "after the deploy",
    "while reading the cache",
    "on another host",
    "before the lease expired",
    "in the region",
]
_SERVICES = ["billing", "search", "gateway", "ledger", "mailer", "catalog", "auth", "scheduler"]


def make_passage(tokenizer: Tokenizer, tokens: int, seed: int) -> Segment:
    """A segment of lines with as many draft tokens as asked for, give or take one line."""
    rng = random.Random(seed)
    lines = [_make_line(rng, i) for i in range(16 + tokens // 12)]  # a line is longer than 12 tokens
    ends = tokenizer.tokenize("".join(lines)).ends
    length = int(ends[min(tokens, len(ends)) - 1])
    places = list(accumulate(map(len, lines)))
    kept = sum(place <= length for place in places) or 1
    return LineSegmenter().segment("".join(lines[:kept]))


def _make_line(rng: random.Random, number: int) -> str:
    """One line of a made-up log, at `number` seconds past midnight."""
    words = ", ".join(
        f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_SUBJECTS)} {rng.choice(_PLACES)}"
        for _ in range(rng.randint(1, 3))
    )
    clock = f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f"{clock} {rng.choice(_SERVICES)}-{rng.randint(1, 40)} {words} id={rng.randrange(16**6):06x}\n"
