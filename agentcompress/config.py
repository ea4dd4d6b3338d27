"""Every setting, its range, and one clear error when a value is outside it: of a compressor, and of one call."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentcompress.common.checks import KEEP_RATES, TOKENS_RANGE, KeepRate
from agentcompress.errors import ConfigError, InvalidInputError

OnError = Literal["raise", "warn", "ignore"]
ON_ERRORS = '"raise", "warn" or "ignore"'
Format = Literal["auto", "openai", "responses", "anthropic"]
FORMAT_NAMES = "one of auto, openai, responses, anthropic"
_OPTIONS = "a mapping of option names to values"


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value


def _as_int(value: object) -> object:
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


_Rate = Annotated[float, BeforeValidator(_as_float), Field(gt=0, le=1, allow_inf_nan=False)] | Literal["auto"]
_Tokens = Annotated[int, BeforeValidator(_as_int), Field(ge=1)]
_Milliseconds = Annotated[float, BeforeValidator(_as_float), Field(gt=0)]


class CompressConfig(BaseModel):
    """Settings of a `Compressor`. Frozen; unknown names and values out of range raise `ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    draft: Annotated[str, Field(min_length=1)] = "smollm2-135m"
    """The draft model: a folder, a .gguf file, a Hugging Face id, or a built-in name."""

    scorer: Annotated[str, Field(min_length=1)] = "reader"
    """Name of a scorer or "pkg.mod:Class": "reader" ("features" for tool results, "calibrated" for all else), one of
    these two, "lexical", "random", or an entry point."""

    scorer_options: Mapping[str, Any] = Field(default_factory=dict, description=_OPTIONS)
    """Keyword options of the scorer, e.g. {"lexical_weight": 0.0}."""

    segmenter: Annotated[str, Field(min_length=1)] = "auto"
    """"auto" (by content and by what named it), "prose", "lines", "chunks", "source", "log", "json", "diff", "matches",
    "table", "outline", "mixed", an entry point or "pkg.mod:Class"."""

    segmenter_options: Mapping[str, Any] = Field(default_factory=dict, description=_OPTIONS)
    """Keyword options of the segmenter, e.g. {"chunk_tokens": 128}; not allowed with "auto"."""

    selection: Annotated[Literal["budget", "share"], Field(description='"budget" or "share"')] = "budget"
    """"budget" never goes above the budget; "share" keeps that share of the units, as published methods do, whatever
    they cost the target."""

    delimiter: Annotated[str | None, Field(min_length=1, description="a non-empty string or None")] = None
    """What stands where something was left out; None: by the kind of text, and how much it was."""

    target: Annotated[str, Field(min_length=1)] = "gpt-4o"
    """LiteLLM name of the model whose tokens are counted, where a call names none."""

    keep_rate: Annotated[_Rate, Field(description=KEEP_RATES)] = "auto"
    """Fraction of a block's tokens that is kept, where a call says nothing else: (0, 1], or "auto": by how the scores
    are spread, the kind and the length (`selection/budget.py`)."""

    recall_target: Annotated[float, BeforeValidator(_as_float), Field(gt=0, le=1, description="a number in (0, 1]")] = (
        0.9
    )
    """With "auto": the share of what the next steps of an agent use that is to be kept of a tool's result, in (0, 1],
    as the reader expects it (docs/reader.md says how well that holds)."""

    min_tokens: Annotated[int, Field(ge=1, description=TOKENS_RANGE)] = 512
    """Blocks of a conversation with fewer target tokens are left alone."""

    deadline_ms: Annotated[float | None, Field(gt=0, allow_inf_nan=False, description="a number > 0 or None")] = (
        60_000.0
    )
    """How long all blocks of a call may take; what is not done then is done without the draft, or left as it is."""

    namespace: Annotated[str, Field(description="a string")] = ""
    """Whose conversations these are: nobody reads the decisions of another namespace."""

    ledger: Annotated[str, Field(min_length=1)] = "auto"
    """Where decisions about conversations are kept: "auto" (AGENTCOMPRESS_LEDGER, else an SQLite file in the user's
    state folder), "memory", an SQLite file, or the URL of a Redis."""

    mode: Annotated[Literal["live", "shadow"], Field(description='"live" or "shadow"')] = "live"
    """"shadow": the original is sent, and receipts say what would have been sent and saved."""

    receipts: Annotated[str | None, Field(min_length=1, description='"otel", a file, or None')] = None
    """Where receipts of conversations are written: a file (JSON Lines), or "otel" (OpenTelemetry); None: nowhere."""

    machine_price: Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number >= 0")] = 0.1
    """US dollars an hour of the machine that the draft runs on: what receipts take off the savings."""

    recall: Annotated[bool, Field(description="true or false")] = False
    """Whether delimiters carry ids, by which what they stand for can be read again (`conversation/recall.py`)."""

    segment_cache_bytes: Annotated[int, Field(ge=0, description="a whole number >= 0")] = 1 << 30
    """Memory for what the draft has encoded (0: none), shared where draft and cache settings are the same."""

    segment_cache_folder: Annotated[str | None, Field(min_length=1, description="a path or None")] = None
    """Folder where encoded segments are kept for other processes and later ones; None: memory only."""

    segment_cache_folder_bytes: Annotated[int, Field(ge=1, description=TOKENS_RANGE)] = 8 << 30
    """Most that may lie in that folder."""

    seed: Annotated[int, Field(description="a whole number")] = 0
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
                raise _make_error(error) from None
            if self.segmenter == "auto" and self.segmenter_options:
                raise ConfigError("segmenter_options", dict(self.segmenter_options), 'empty with segmenter="auto"')


def _make_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "config"
    if first["type"] == "extra_forbidden":
        allowed = f"absent (settings are: {', '.join(CompressConfig.model_fields)})"
    else:
        allowed = (CompressConfig.model_fields[name].description if name != "config" else None) or "a non-empty string"
    return ConfigError(name, first["input"], allowed)


class SharedOptions(TypedDict, total=False):
    """What one call may want otherwise than its compressor is configured, as keyword arguments; None: as configured.

    Names of `CallSettings`, whose fields say what they mean and what is allowed.
    """

    target: str | None
    keep_rate: KeepRate | None
    target_tokens: int | None
    deadline_ms: float | None
    on_error: OnError


class CallOptions(SharedOptions, total=False):
    """Those of one call of a compressor."""

    namespace: str | None
    format: Format


class DoorOptions(SharedOptions, total=False):
    """Those of one place in a program, where requests are told apart and their models are known."""

    namespace: str | None
    fit: bool


class CallSettings(BaseModel):
    """Settings of one call; None: as configured. Frozen.

    The only list of them: whoever takes them by name hands them to `from_options`, which says what is wrong with one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: Annotated[str | None, Field(description="a string")] = None
    """LiteLLM name of the model whose tokens are counted."""

    keep_rate: Annotated[_Rate | None, Field(description=KEEP_RATES)] = None
    """Fraction of a block's tokens that is kept: (0, 1], or "auto"."""

    target_tokens: Annotated[_Tokens | None, Field(description=TOKENS_RANGE)] = None
    """The most that the whole request may take, >= 1, images and all else estimated; None: no such limit."""

    deadline_ms: Annotated[_Milliseconds | None, Field(description="a number > 0")] = None
    """How long all blocks of the call may take, > 0."""

    namespace: Annotated[str | None, Field(description="a string")] = None
    """Whose conversation it is; nobody reads another's decisions."""

    on_error: Annotated[OnError, Field(description=ON_ERRORS)] = "raise"
    """What becomes of a failure: raised, or overcome ("warn": with a warning; "ignore": without one)."""

    format: Annotated[Format, Field(description=FORMAT_NAMES)] = "auto"
    """The messages' wire format; "auto" looks at them."""

    fit: Annotated[bool, Field(description="true or false")] = True
    """Whether a request that would exceed its model's window is made to fit, where no `target_tokens` are said."""

    @classmethod
    def from_options(
        cls,
        options: Mapping[str, Any],
        config: CompressConfig | None = None,
        allowed: Collection[str] | None = None,
    ) -> Self:
        """Read options by name. config: what holds for those that are None; otherwise they stay so.

        allowed: names, by default of all settings. Raises `InvalidInputError` for another name, and for a value out of
        its range.
        """
        check_names(options, cls.model_fields if allowed is None else allowed, "options")
        named = dict(options)
        if config is not None:
            named.update({name: getattr(config, name) for name in _CONFIGURED if named.get(name) is None})
        try:
            return cls(**named)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise InvalidInputError(name, named[name], str(cls.model_fields[name].description)) from None


_CONFIGURED = ("target", "keep_rate", "deadline_ms", "namespace")
"""What a call takes from its compressor's config where it says nothing."""

PER_CALL = ("keep_rate", "target_tokens", "deadline_ms", "namespace", "fit")
"""What `agentcompress=` of a call, a header, a key or a team may say."""


def check_names(options: Mapping[str, Any], allowed: Collection[str], what: str) -> None:
    """Raise `InvalidInputError` for an option by another name than these. what: "options" or "settings"."""
    for name, value in options.items():
        if name not in allowed:
            raise InvalidInputError(name, value, f"absent ({what} are: {', '.join(allowed)})")


def read_door_options(options: Mapping[str, Any]) -> CallSettings:
    """Read the options of one place in a program. Raises `InvalidInputError` for what is none of `DoorOptions`.

    There a deadline is a finite one: somebody waits behind it.
    """
    settings = CallSettings.from_options(options, allowed=DoorOptions.__annotations__)
    if settings.deadline_ms is not None and math.isinf(settings.deadline_ms):
        raise InvalidInputError("deadline_ms", settings.deadline_ms, "a number > 0")
    return settings


def read_overrides(named: Any) -> CallSettings:
    """Return the settings that a mapping of `PER_CALL` names. Raises `InvalidInputError` for what is none of them."""
    if not isinstance(named, Mapping):
        raise InvalidInputError("agentcompress", named, "False, True, a mapping, a CompressConfig or a Compressor")
    for name in named:
        if name not in PER_CALL:
            raise InvalidInputError("agentcompress", name, f"one of {', '.join(PER_CALL)}")
    return read_door_options(named)
