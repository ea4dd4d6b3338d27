"""From a name to a class: an entry point of group `agentcompress.<kind>`, or "pkg.mod:Class"."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from agentcompress.errors import AgentCompressError, ConfigError, PluginError, UnknownNameError

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig


def names(kind: str) -> list[str]:
    """List the entry points of `kind` ("scorers", "segmenters"), sorted."""
    return sorted({point.name for point in entry_points(group=f"agentcompress.{kind}")})


def load(kind: str, name: str) -> type:
    """Return the class called `name`; `UnknownNameError` lists what there is, `PluginError` says what broke."""
    singular = kind.removesuffix("s")
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise PluginError(f"{singular} {name!r} can't be loaded: {error}") from error
    found = [point for point in entry_points(group=f"agentcompress.{kind}") if point.name == name]
    if not found:
        known = ", ".join(names(kind)) or "none (is agentcompress installed?)"
        raise UnknownNameError(singular, name, f'one of {known}, or "pkg.mod:Class"')
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{singular} {name!r} can't be loaded from {found[0].value}: {error}") from error


def build(kind: str, name: str, options: Mapping[str, Any], config: CompressConfig) -> Any:
    """Make the component: `cls.from_config(config, **options)` where the class has it, else `cls(**options)`."""
    cls = load(kind, name)
    try:
        maker = getattr(cls, "from_config", None)
        return cls(**options) if maker is None else maker(config, **options)
    except AgentCompressError:
        raise
    except TypeError as error:
        raise ConfigError(f"{kind.removesuffix('s')}_options", dict(options), f"options of {name}: {error}") from error
