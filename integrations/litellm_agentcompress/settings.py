"""`agentcompress_settings:` of a proxy's YAML, validated; errors name the key."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentcompress.config import CallSettings, CompressConfig, read_overrides
from agentcompress.errors import ConfigError, InvalidInputError
from agentcompress.targets.facts import target_facts

SECTION = "agentcompress_settings"
HEADER = "x-agentcompress"
METADATA = "agentcompress"
"""Of a key, a team, or a request: overrides, or false."""


class ProxySettings(BaseModel):
    """What the proxy does; what is compressed how is `CompressConfig`'s, in the same section."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    enabled: bool = True
    """Whether requests are compressed that say nothing else."""

    warmup: bool = False
    """Whether the draft is loaded when the proxy starts, not on the first request."""

    fit: bool = True
    """Whether requests over their target's window are made to fit."""

    allow_overrides: bool = True
    """Whether requests may say `x-agentcompress` or `metadata.agentcompress`; keys and teams always may."""

    skip_models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Patterns of models (`*`, `?`) that are not compressed for: the names clients use, or those of deployments."""

    targets: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    """Facts of models that LiteLLM's map does not hold, or holds wrongly, by deployment name: `window_tokens`, ..."""

    config: CompressConfig = Field(default_factory=CompressConfig)

    @classmethod
    def from_section(cls, section: Any) -> ProxySettings:
        """Read a section. Raises `ConfigError` naming the key."""
        if not isinstance(section, Mapping):
            raise ConfigError(SECTION, section, "a mapping")
        own = {name: value for name, value in section.items() if name in cls.model_fields and name != "config"}
        try:
            config = CompressConfig(**{name: value for name, value in section.items() if name not in own})
            for name, facts in dict(own.get("targets") or {}).items():
                target_facts(name, facts)
            return cls(**own, config=config)
        except InvalidInputError as error:
            raise ConfigError(f"{SECTION}.{error.field}", error.value, error.allowed) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{SECTION}.{where}", first["input"], _say_allowed(first)) from None

    def skips(self, *models: str | None) -> bool:
        """Whether one of these names is a model that is not compressed for."""
        return any(model and fnmatchcase(model, pattern) for model in models for pattern in self.skip_models)


def _say_allowed(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid ") or "of another kind"


def read_proxy_settings() -> ProxySettings:
    """The running proxy's, or the defaults where no proxy runs in this process."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    state = server.proxy_config.get_config_state() if server is not None else {}
    section = state.get(SECTION)
    return ProxySettings() if section is None else ProxySettings.from_section(section)


def merge_overrides(*says: Any) -> tuple[bool | None, CallSettings]:
    """Whether to compress (None: nothing was said) and how, by what says so, the last one first where they differ.

    Every one is None, a flag, or a mapping of overrides that may hold `enabled`. Raises `InvalidInputError`.
    """
    enabled, named = None, {}
    for each in says:
        if each is None:
            continue
        if isinstance(each, bool):
            enabled = each
            continue
        if not isinstance(each, Mapping):
            raise InvalidInputError("agentcompress", each, "true, false, or a mapping")
        rest = dict(each)
        if "enabled" in rest:
            flag = rest.pop("enabled")
            if not isinstance(flag, bool):
                raise InvalidInputError("agentcompress.enabled", flag, "true or false")
            enabled = flag
        named.update(rest)
    return enabled, read_overrides(named)


def read_header(text: str | None) -> Any:
    """What a header says: `off`, `on`, or `keep_rate=0.3, target_tokens=8000`. Raises `InvalidInputError`."""
    if text is None or not text.strip():
        return None
    word = text.strip().lower()
    if word in ("off", "false", "0", "on", "true", "1"):
        return word in ("on", "true", "1")
    named: dict[str, Any] = {}
    for part in text.replace(";", ",").split(","):
        name, sign, value = part.partition("=")
        if not sign:
            raise InvalidInputError(HEADER, text, "off, on, or NAME=VALUE, ...")
        named[name.strip()] = value.strip() if name.strip() == "namespace" else _parse_value(value.strip())
    return named


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
