"""What is compared: a scorer with its options, segmenter and draft, written in one word on the command line.

calibrated    speculative@chunks    calibrated:lexical_weight=0    claa:layer=20,z_score=true    paper    paper-code
my_package.my_module:MyScorer       my_package.my_module:MyScorer:option=3
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress import plugins
from agentcompress.config import CompressConfig
from agentcompress.errors import InvalidInputError

_FORM = "NAME[@SEGMENTER][:OPTION=VALUE,...], paper or paper-code"
FULL = "full"
"""The name of the way that compresses nothing: the full prompt."""


@dataclass(frozen=True)
class Variant:
    """A way to compress. name: as it was written; draft: "" where none is used."""

    name: str
    draft: str
    config: CompressConfig


def build_variants(specs: Sequence[str], drafts: Sequence[str], target: str, **settings: Any) -> list[Variant]:
    """Build every spec with every draft; those that use no draft once.

    Raises `InvalidInputError` for a spec that is none.
    """
    if not specs:
        raise InvalidInputError("scorer", list(specs), "at least one")
    found = []
    for draft in drafts:
        for spec in specs:
            config = _parse_config(spec, draft=draft, target=target, **settings)
            uses_draft = getattr(plugins.load("scorers", config.scorer), "uses_draft", True)
            uses_draft = uses_draft or config.segmenter == "chunks"
            if uses_draft or draft == drafts[0]:
                found.append(Variant(spec, draft if uses_draft else "", config))
    return found


def _parse_config(spec: str, **settings: Any) -> CompressConfig:
    head, colon, listed = spec.rpartition(":")
    if not colon or ("=" not in listed and "." in head):  # no options, or the class of a dotted path
        head, listed = spec, ""
    name, at, segmenter = head.partition("@")
    paper = name in ("paper", "paper-code")
    if not name or name == FULL or (at and (paper or not segmenter)):
        raise InvalidInputError("scorer", spec, _FORM)
    options = dict(_parse_option(spec, part) for part in listed.split(",")) if listed else {}
    if paper:
        return CompressConfig.paper(code=name == "paper-code", scorer_options=options, **settings)
    return CompressConfig(scorer=name, scorer_options=options, segmenter=segmenter or "auto", **settings)


def _parse_option(spec: str, part: str) -> tuple[str, Any]:
    key, equals, value = part.partition("=")
    if not key or not equals:
        raise InvalidInputError("scorer", spec, _FORM)
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
