"""What one call wants differently from how its compressor is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentcompress.config import KEEP_RATES, TOKENS_RANGE
from agentcompress.errors import InvalidInputError

_ALLOWED = {
    "keep_rate": KEEP_RATES,
    "target_tokens": TOKENS_RANGE,
    "deadline_ms": "a number > 0",
    "namespace": "a string",
    "fit": "true or false",
}


class Overrides(BaseModel):
    """Settings of one call; None: as configured. Frozen. fit: whether the target's window is kept to."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keep_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | Literal["auto"] | None = None
    target_tokens: Annotated[int, Field(ge=1)] | None = None
    deadline_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    namespace: str | None = None
    fit: bool = True


def checked_overrides(named: Any) -> Overrides:
    """Return the overrides that a mapping names. Raises `InvalidInputError` for what is none of them."""
    if not isinstance(named, Mapping):
        raise InvalidInputError("agentcompress", named, "False, True, a mapping, a CompressConfig or a Compressor")
    for name in named:
        if name not in _ALLOWED:
            raise InvalidInputError("agentcompress", name, f"one of {', '.join(_ALLOWED)}")
    try:
        return Overrides(**named)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise InvalidInputError(name, named[name], _ALLOWED[name]) from None
