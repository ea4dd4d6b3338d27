"""Values from a caller: returned as they are to be used, or one `InvalidInputError` that names the field."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Literal

from agentcompress.errors import InvalidInputError

KEEP_RATE_RANGE = "a number in (0, 1]"
KEEP_RATES = f'{KEEP_RATE_RANGE} or "auto"'
KeepRate = float | Literal["auto"]
TOKENS_RANGE = "a whole number >= 1"


def checked_keep_rate(keep_rate: object, allowed: str = KEEP_RATE_RANGE) -> float:
    """Return `keep_rate` as a float in (0, 1], or raise `InvalidInputError` (NaN, 0, negative, > 1, no number)."""
    rate = math.nan if isinstance(keep_rate, bool) or not isinstance(keep_rate, Real) else float(keep_rate)
    if not 0 < rate <= 1:  # NaN compares false
        raise InvalidInputError("keep_rate", keep_rate, allowed)
    return rate


def checked_rate(keep_rate: object) -> KeepRate:
    """Return "auto", or `keep_rate` as a float in (0, 1]; or raise `InvalidInputError`."""
    return "auto" if isinstance(keep_rate, str) and keep_rate == "auto" else checked_keep_rate(keep_rate, KEEP_RATES)


def checked_count(name: str, tokens: object) -> int:
    """Return `tokens` as an int >= 1, or raise `InvalidInputError` naming the field."""
    number = 0 if isinstance(tokens, bool) or not isinstance(tokens, Integral) else int(tokens)
    if number < 1:
        raise InvalidInputError(name, tokens, TOKENS_RANGE)
    return number


def checked_text(name: str, text: object) -> str:
    """Return `text` when it is a string, or raise `InvalidInputError` naming the field."""
    if not isinstance(text, str):
        raise InvalidInputError(name, text, "a string")
    return text


def checked_flag(name: str, flag: object) -> bool:
    """Return `flag` when it is True or False, or raise `InvalidInputError` naming the field."""
    if not isinstance(flag, bool):
        raise InvalidInputError(name, flag, "true or false")
    return flag


def checked_weight(name: str, weight: object, highest: float = math.inf) -> float:
    """Return `weight` as a finite float in [0, highest], or raise `InvalidInputError` naming the field."""
    number = math.nan if isinstance(weight, bool) or not isinstance(weight, Real) else float(weight)
    if not 0 <= number <= highest or math.isinf(number):
        raise InvalidInputError(name, weight, "a number >= 0" if math.isinf(highest) else f"a number in [0, {highest}]")
    return number
