"""All families of items, and how many of each are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from agentcompress.calibration.items import Item

Maker = Callable[[random.Random], Item]


def list_makers() -> dict[str, Maker]:
    """Return what makes an item, by family: questions first, next actions behind them."""
    from agentcompress.calibration import episodes, facts, functions, lookups

    return {
        "fact": facts.ask_fact,
        "function": functions.find_described,
        "log": lookups.find_log_line,
        "json": lookups.find_json_value,
        "traceback": episodes.open_what_failed,
        "element": episodes.click_element,
        "edit": episodes.edit_function,
        "listing": episodes.open_listed,
        "matches": episodes.open_match,
        "record": episodes.use_record,
    }


def make_items(count: int, seed: int = 0) -> Iterator[Item]:
    """Yield `count` items, the families in turn; the same seed gives the same items wherever packages are the same."""
    families = list_makers()
    for number in range(count):
        name = list(families)[number % len(families)]
        yield families[name](random.Random(f"{seed}:{name}:{number}"))
