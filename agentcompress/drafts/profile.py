"""What is known of a draft: which of its heads look for what a query asks, and what else counts how much.

A profile is a small JSON, found by the fingerprint of the draft's weights, which is the same for the weights from the
hub and for a quantised copy of them: shipped ones lie beside this module, one's own (`agentcompress calibrate`) in
the cache folder, and win.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentcompress.common.digests import digest
from agentcompress.drafts import load
from agentcompress.errors import ConfigError

_log = logging.getLogger("agentcompress")

NONE, AUTO = "none", "auto"
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Frozen):
    """How a unit's score is made up: a weighted sum of parts, each standardised over the segment's units first.

    Attention of the profile's heads, plus `band` times that of all heads, is taken at four levels: `own`; `parent`,
    the unit it stands in; `near` and `wide`, moving averages over about 5 (`near_width` standard deviations) and 60
    units. BM25 at three of them:
    `lexical`, `lexical_parent`, `lexical_wide`. Identifiers and numbers that stand nowhere else: `specific` in the
    unit itself, `specific_near` around it. `brevity` is taken off for a unit's length: of two units as good, the
    shorter leaves more room.
    """

    band: Weight = 1.0
    own: Weight = 1.0
    parent: Weight = 1.0
    near: Weight = 0.0
    wide: Weight = 0.0
    lexical: Weight = 0.5
    lexical_parent: Weight = 0.5
    lexical_wide: Weight = 0.0
    specific: Weight = 0.0
    specific_near: Weight = 0.0
    brevity: Weight = 0.0
    near_width: Annotated[float, Field(gt=0, le=100)] = 2.0


PROSE = Weights(band=1.5, parent=1.5, near=1.0, brevity=0.25)
"""The weights of a draft without a profile of its own, for prose: sentences in paragraphs."""

LINES = Weights(
    band=0.0,
    parent=0.5,
    wide=1.5,
    lexical_wide=0.5,
    specific=0.625,
    specific_near=0.75,
    brevity=0.25,
)
"""Those for lines, and for everything else that an agent reads."""

SOURCE = LINES.model_copy(update={"near": 1.5, "near_width": 6.0, "specific": 0.8, "specific_near": 1.25})
"""Those for code, where what answers a query is mostly a function: neighbours count more."""


class Head(_Frozen):
    """An attention head, counted from 0, and how much it counts."""

    layer: Annotated[int, Field(ge=0)]
    head: Annotated[int, Field(ge=0)]
    weight: Weight = 1.0


class Profile(_Frozen):
    """A draft's heads and weights. made: how it was made and what it scored, for the record."""

    draft: str
    fingerprint: str
    heads: tuple[Head, ...] = ()
    prose: Weights = PROSE
    lines: Weights = LINES
    source: Weights = SOURCE
    made: Mapping[str, Any] = Field(default_factory=dict)

    def get_weights(self, kind: str) -> Weights:
        """Return the weights for a segment of this kind ("prose", "source", or any other)."""
        return {"prose": self.prose, "source": self.source}.get(kind, self.lines)


def choose_profile(choice: str, fingerprint: str) -> Profile:
    """Return the profile to use. choice: "auto", "none", or a file.

    Without one, all heads of the band count alike. Raises `ConfigError` for a file that is none, or another draft's.
    """
    if choice == NONE:
        return make_default_profile(fingerprint)
    if choice == AUTO:
        return _find_profile(fingerprint) or make_default_profile(fingerprint)
    found = read_profile(Path(choice))
    if found.fingerprint != fingerprint:
        raise ConfigError("profile", choice, f"one of this draft ({fingerprint}), not of {found.draft!r}")
    return found


def make_default_profile(fingerprint: str) -> Profile:
    """Make the profile of a draft of which nothing is known: all heads of the band count alike."""
    return Profile(draft="", fingerprint=fingerprint)


def read_profile(path: Path) -> Profile:
    """Read a profile; `ConfigError` when the file is not there or is none."""
    try:
        return Profile.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError("profile", str(path), f'"auto", "none", or a profile\'s file ({error})') from error


def write_profile(profile: Profile, path: Path | None = None) -> Path:
    """Write a profile, by default to where "auto" looks first; return the file."""
    path = path or _get_own_path(profile.fingerprint)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(profile.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path


def digest_own_profiles() -> str:
    """A digest of one's own profiles: it changes when "auto" may find another one."""
    files = sorted((load.get_cache_folder() / "profiles").glob("*.json"))
    return digest(*(part for file in files for part in (file.name, file.read_bytes())))


def _get_own_path(fingerprint: str) -> Path:
    """The file of the user's own profile of a draft, whether it is there or not."""
    return load.get_cache_folder() / "profiles" / f"{fingerprint}.json"


def _find_profile(fingerprint: str) -> Profile | None:
    """The user's own profile of a draft, else the shipped one, else None; a broken one is left aside with a warning."""
    own = _get_own_path(fingerprint)
    if own.is_file():
        try:
            return read_profile(own)
        except ConfigError as error:
            _log.warning("%s is left aside: %s", own, error)
    return _read_shipped_profiles().get(fingerprint)


@lru_cache(maxsize=1)
def _read_shipped_profiles() -> dict[str, Profile]:
    """The profiles in this package, by fingerprint."""
    folder = resources.files("agentcompress.drafts") / "profiles"
    files = [file for file in folder.iterdir() if file.name.endswith(".json")]
    profiles = [Profile.model_validate_json(file.read_text(encoding="utf-8")) for file in files]
    return {profile.fingerprint: profile for profile in profiles}
