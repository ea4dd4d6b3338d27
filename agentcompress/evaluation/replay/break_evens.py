"""When compressing pays, by target: a table in Markdown, from LiteLLM's map.

python -m agentcompress.evaluation.replay.break_evens
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agentcompress.targets.facts import target_facts
from agentcompress.targets.prompt_cache import find_cache_rules

TARGETS = (
    *("claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-4-6", "claude-haiku-4-5"),
    *("gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-4o"),
    *("gemini/gemini-2.5-pro", "gemini/gemini-2.5-flash", "deepseek/deepseek-chat"),
)
TURNS = 10

_HEAD = (
    "target",
    "$ a million",
    "read",
    "write",
    "cached from",
    "lasts",
    f"1,000 tokens left out, {TURNS} turns",
    f"rewriting pays from, {TURNS} turns left",
)


def render_table(targets: Sequence[str] = TARGETS) -> str:
    """Render a table in Markdown with a row a target.

    The seventh column is what a block decided at first sight saves: written once, then read. The last is how many
    tokens a rewrite of cached history must remove for every token that stands behind it: `(w - r) / (r R)`, from
    `dT (w + r (R - 1)) > (w - r) (S + dT)` with a warm cache.
    """
    rows = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    return "\n".join([*rows, *(f"| {' | '.join(_build_row(target))} |" for target in targets)])


def _build_row(target: str) -> list[str]:
    facts = target_facts(target)
    rules = find_cache_rules(facts)
    price, read, write = facts.input_price or 0.0, facts.read_multiple or 1.0, facts.write_multiple or 1.0
    saved = 1000 * price * (write + read * (TURNS - 1))
    rewrite = (write - read) / (read * TURNS)
    return [
        target,
        f"{price * 1e6:.2f}",
        f"{read:.2f}",
        f"{write:.2f}",
        "" if rules is None else f"{rules.min_tokens:,}",
        "" if rules is None else f"{rules.ttl_s / 60:.0f} min",
        f"{saved * 100:.2f} cents",
        f"{rewrite:.2f} tokens for each behind",
    ]


if __name__ == "__main__":
    sys.stdout.write(render_table() + "\n")
