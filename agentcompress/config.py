"""CompressConfig: every setting, its range, and one clear error when a value is outside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentcompress.common.checks import KEEP_RATES, TOKENS_RANGE
from agentcompress.errors import ConfigError, InvalidInputError


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
    are spread, the kind and the length (`selection/budget.py`)."""

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
