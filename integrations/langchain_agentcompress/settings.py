"""The settings that CompressPrompt and DraftDocumentCompressor share, as fields of a pydantic model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from agentcompress.config import CompressConfig, OnError, SharedOptions
from agentcompress.doors.guard import Guarded, read_settings
from agentcompress.errors import InvalidInputError


class GuardedSettings(BaseModel):
    """Settings of `Guarded`; `config` a mapping of `CompressConfig`'s, or one of those. Raises `InvalidInputError`."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    config: dict[str, Any] = Field(default_factory=dict)
    target: str | None = None
    keep_rate: float | Literal["auto"] | None = None
    target_tokens: int | None = None
    deadline_ms: float | None = None
    on_error: OnError = "warn"

    settings: ClassVar[tuple[str, ...]] = ("config", *SharedOptions.__annotations__)
    """Which of the fields are `Guarded`'s."""

    _made: tuple[dict[str, Any], Guarded] | None = PrivateAttr(default=None)

    def __init__(self, config: CompressConfig | Mapping[str, Any] | None = None, **settings: Any) -> None:
        fields = type(self).model_fields
        for name, value in settings.items():
            if name not in fields:
                raise InvalidInputError(name, value, f"absent ({', '.join(fields)})")
        named = read_settings(config)
        Guarded(named, **{name: settings[name] for name in self.settings if name in settings})  # its errors are clearer
        super().__init__(config=named, **settings)

    @property
    def guarded(self) -> Guarded:
        """What compresses, by the settings as they are now."""
        settings = {name: getattr(self, name) for name in self.settings}
        if self._made is None or self._made[0] != settings:
            self._made = settings, Guarded(**settings)
        return self._made[1]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # pyrefly: ignore
