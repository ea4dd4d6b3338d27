"""What LiteLLM's bundled map says of a target: window, prices, prompt cache. Works offline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from agentcompress.errors import InvalidInputError, UnknownNameError
from agentcompress.targets.counting import get_token_counter, read_cost_map

MARGIN = 0.02
"""The share of a window that a request leaves free where tokens are counted exactly."""

INEXACT_MARGIN = 0.1
"""The share of a window that a request leaves free where the target's own tokenizer is not public."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What is known of one target. Prices are US dollars a token; a field that is not known is None.

    window_tokens: the most that a request may hold. answer_tokens: the most that an answer may. input_price,
    output_price: of tokens sent and answered. cache_read_price, cache_write_price: of tokens found in the prompt cache,
    and written to it (None: no own price). cache_write_1h_price: of those that are to last an hour.
    cache_min_tokens: a shorter prefix is not cached.

    Nothing here reads output_price and cache_write_1h_price: they are for callers of `target_facts`, whose settings may
    name them too.
    """

    name: str
    window_tokens: int | None = None
    answer_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None
    cache_write_1h_price: float | None = None
    cache_min_tokens: int | None = None

    @property
    def read_multiple(self) -> float | None:
        """The price of a token read from the prompt cache over that of an input token; None: not known."""
        return self._divide_by_input(self.cache_read_price)

    @property
    def write_multiple(self) -> float | None:
        """The price of a token written to the prompt cache over that of an input token; 1 where it has no own price."""
        return self._divide_by_input(self.cache_write_price or self.input_price)

    def count_fitting_tokens(self) -> int | None:
        """What a request may hold with a margin for what can't be counted exactly; None: no window is known."""
        if self.window_tokens is None:
            return None
        try:
            exact = get_token_counter(self.name).exact
        except UnknownNameError:
            exact = False
        return int(self.window_tokens * (1 - (MARGIN if exact else INEXACT_MARGIN)))

    def _divide_by_input(self, price: float | None) -> float | None:
        return price / self.input_price if price is not None and self.input_price else None


_FIELDS = {
    "window_tokens": ("max_input_tokens", "max_tokens"),
    "answer_tokens": ("max_output_tokens", "max_tokens"),
    "input_price": ("input_cost_per_token",),
    "output_price": ("output_cost_per_token",),
    "cache_read_price": ("cache_read_input_token_cost", "input_cost_per_token_cache_hit"),
    "cache_write_price": ("cache_creation_input_token_cost",),
    "cache_write_1h_price": ("cache_creation_input_token_cost_above_1hr",),
    "cache_min_tokens": ("prompt_cache_min_tokens",),
}


def target_facts(name: str, overrides: Mapping[str, Any] | None = None) -> TargetFacts:
    """Return what is known of a target; everything is None of one that the map does not hold.

    overrides: fields of `TargetFacts` that the user knows better. Raises `InvalidInputError` for other names, and for
    values that are no numbers >= 0.
    """
    entry = find_entry(name)
    known = {field: _read_first_number(entry, names) for field, names in _FIELDS.items()}
    facts = TargetFacts(name, **known)  # type: ignore[arg-type]
    return replace(facts, **_check_overrides(overrides or {}))


def find_entry(name: str) -> Mapping[str, Any]:
    """Return the map's entry of a name, or of what stands behind its provider; empty where neither is there."""
    known = read_cost_map()
    while name not in known and "/" in name:
        name = name.partition("/")[2]
    return known.get(name, {})


def _read_first_number(entry: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the names that an entry has a positive number for; tokens as int, prices as float."""
    for name in names:
        value = entry.get(name)
        if isinstance(value, int | float) and value > 0:
            return int(value) if name.endswith("tokens") else float(value)
    return None


def _check_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides as they are, or raise `InvalidInputError` for a field or value that can't be."""
    allowed = [field.name for field in fields(TargetFacts) if field.name != "name"]
    for name, value in overrides.items():
        if name not in allowed:
            raise InvalidInputError("target", name, f"one of {', '.join(allowed)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InvalidInputError(f"target.{name}", value, "a number >= 0")
    return dict(overrides)
