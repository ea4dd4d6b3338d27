"""CompressConfig: every setting, its range, and one clear error when a value is outside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentcompress.errors import ConfigError, InvalidInputError

KEEP_RATE_RANGE = "a number in (0, 1]"
KEEP_RATES = f'{KEEP_RATE_RANGE} or "auto"'
KeepRate = float | Literal["auto"]
TOKENS_RANGE = "a whole number >= 1"


class CompressConfig(BaseModel):
    """Settings of a `Compressor`. Frozen; unknown names and values out of range raise `ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    draft: Annotated[str, Field(min_length=1)] = "smollm2-135m"
    """The draft model: a folder, a .gguf file, a Hugging Face id, or a built-in name."""

    scorer: Annotated[str, Field(min_length=1)] = "calibrated"
    """Name of a scorer ("calibrated", "lexical", "random", an entry point) or "pkg.mod:Class"."""

    scorer_options: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword options of the scorer, e.g. {"lexical_weight": 0.0}."""

    segmenter: Annotated[str, Field(min_length=1)] = "auto"
    """"auto" (by content and by what named it), "prose", "lines", "chunks", "source", "log", "json", "diff", "matches",
    "table", "outline", "mixed", an entry point or "pkg.mod:Class"."""

    segmenter_options: Mapping[str, Any] = Field(default_factory=dict)
    """Keyword options of the segmenter, e.g. {"chunk_tokens": 128}; not allowed with "auto"."""

    selection: Literal["budget", "share"] = "budget"
    """"budget" never goes above the budget; "share" keeps that share of the units, as published methods do, whatever
    they cost the target."""

    delimiter: Annotated[str | None, Field(min_length=1)] = None
    """What stands where something was left out; None: by the kind of text, and how much it was."""

    target: Annotated[str, Field(min_length=1)] = "gpt-4o"
    """LiteLLM name of the model whose tokens are counted, where a call names none."""

    keep_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | Literal["auto"] = "auto"
    """Fraction of a block's tokens that is kept, where a call says nothing else: (0, 1], or "auto": by how the scores
    are spread, the kind and the length (`rates.py`)."""

    min_tokens: Annotated[int, Field(ge=1)] = 512
    """Blocks of a conversation with fewer target tokens are left alone."""

    deadline_ms: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = 60_000.0
    """How long all blocks of a call may take; what is not done then is done without the draft, or left as it is."""

    namespace: str = ""
    """Whose conversations these are: nobody reads the decisions of another namespace."""

    ledger: Annotated[str, Field(min_length=1)] = "auto"
    """Where decisions about conversations are kept: "auto" (AGENTCOMPRESS_LEDGER, else an SQLite file in the user's
    state folder), "memory", an SQLite file, or the URL of a Redis."""

    mode: Literal["live", "shadow"] = "live"
    """"shadow": the original is sent, and receipts say what would have been sent and saved."""

    receipts: Annotated[str | None, Field(min_length=1)] = None
    """Where receipts of conversations are written: a file (JSON Lines), or "otel" (OpenTelemetry); None: nowhere."""

    machine_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1
    """US dollars an hour of the machine that the draft runs on: what receipts take off the savings."""

    recall: bool = False
    """Whether delimiters carry ids, by which what they stand for can be read again (`recall.py`)."""

    segment_cache_bytes: Annotated[int, Field(ge=0)] = 1 << 30
    """Memory for what the draft has encoded (0: none), shared where draft and cache settings are the same."""

    segment_cache_folder: Annotated[str | None, Field(min_length=1)] = None
    """Folder where encoded segments are kept for other processes and later ones; None: memory only."""

    segment_cache_folder_bytes: Annotated[int, Field(ge=1)] = 8 << 30
    """Most that may lie in that folder."""

    seed: int = 0
    """Seed of the `random` scorer."""

    @classmethod
    def paper(cls, *, code: bool = False, **settings: Any) -> Self:
        """Cross-family speculative prefill as published (arXiv 2603.02631, Algorithm 1, A.1 and A.3), for comparison.

        Eight lookahead tokens, chunks of 32 draft tokens (128 for code), scores smoothed over 13 tokens, the best
        ceil(keep_rate n) chunks, neighbours merged, `[...]` (`// omitted` for code) between what is kept. A prompt
        longer than the draft's context is an error. settings: any of this class's, which win; options are added.
        """
        published: dict[str, Any] = {
            "scorer": "speculative",
            "segmenter": "chunks",
            "selection": "share",
            "delimiter": "// omitted" if code else "[...]",
        }
        options = {"lookahead": 8, "pool": 13, "pool_first": False, **settings.pop("scorer_options", {})}
        chunks = {"chunk_tokens": 128 if code else 32, **settings.pop("segmenter_options", {})}
        return cls(**{**published, **settings}, scorer_options=options, segmenter_options=chunks)

    if not TYPE_CHECKING:  # type checkers see the fields

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise _config_error(error) from None
            if self.segmenter == "auto" and self.segmenter_options:
                raise ConfigError("segmenter_options", dict(self.segmenter_options), 'empty with segmenter="auto"')


def _config_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "config"
    allowed = {
        "keep_rate": KEEP_RATES,
        "min_tokens": TOKENS_RANGE,
        "seed": "a whole number",
        "deadline_ms": "a number > 0 or None",
        "namespace": "a string",
        "segment_cache_bytes": "a whole number >= 0",
        "segment_cache_folder": "a path or None",
        "recall": "true or false",
        "mode": '"live" or "shadow"',
        "receipts": '"otel", a file, or None',
        "machine_price": "a number >= 0",
        "selection": '"budget" or "share"',
        "delimiter": "a non-empty string or None",
        "segment_cache_folder_bytes": TOKENS_RANGE,
        "scorer_options": "a mapping of option names to values",
        "segmenter_options": "a mapping of option names to values",
    }.get(name, "a non-empty string")
    if first["type"] == "extra_forbidden":
        allowed = f"absent (settings are: {', '.join(CompressConfig.model_fields)})"
    return ConfigError(name, first["input"], allowed)


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
