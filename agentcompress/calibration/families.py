"""All families of items, and how many of each are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from agentcompress.calibration.items import Item

Maker = Callable[[random.Random], Item]


def makers() -> dict[str, Maker]:
    """Every family of items: questions first, next actions behind them."""
    from agentcompress.calibration import episodes, facts, functions, lookups

    return {
        "fact": facts.question,
        "function": functions.by_description,
        "log": lookups.log_line,
        "json": lookups.json_value,
        "traceback": episodes.open_what_failed,
        "element": episodes.click_element,
        "edit": episodes.edit_function,
        "listing": episodes.open_listed,
        "matches": episodes.open_match,
        "record": episodes.use_record,
    }


def make_items(count: int, seed: int = 0) -> Iterator[Item]:
    """Yield `count` items, the families in turn; the same seed gives the same items wherever packages are the same."""
    families = makers()
    for number in range(count):
        name = list(families)[number % len(families)]
        yield families[name](random.Random(f"{seed}:{name}:{number}"))
