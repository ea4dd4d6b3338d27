"""What is compared: a scorer with its options, segmenter and draft, written in one word on the command line.

calibrated    speculative@chunks    calibrated:lexical_weight=0    claa:layer=20,z_score=true    paper    paper-code
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress import plugins
from agentcompress.config import CompressConfig
from agentcompress.errors import InvalidInputError

FULL = "full"
"""Nothing compressed."""


@dataclass(frozen=True)
class Variant:
    """A way to compress. name: as it was written; draft: "" where none is used."""

    name: str
    draft: str
    config: CompressConfig


def variants(specs: Sequence[str], drafts: Sequence[str], target: str, **settings: Any) -> list[Variant]:
    """Every spec with every draft; those that use no draft once. Raises `InvalidInputError` for a spec that is none."""
    if not specs:
        raise InvalidInputError("scorer", list(specs), "at least one")
    found = []
    for draft in drafts:
        for spec in specs:
            config = _config(spec, draft=draft, target=target, **settings)
            uses_draft = getattr(plugins.load("scorers", config.scorer), "uses_draft", True)
            uses_draft = uses_draft or config.segmenter == "chunks"
            if uses_draft or draft == drafts[0]:
                found.append(Variant(spec, draft if uses_draft else "", config))
    return found


def _config(spec: str, **settings: Any) -> CompressConfig:
    head, _, listed = spec.partition(":")
    name, _, segmenter = head.partition("@")
    if not name or name == FULL:
        raise InvalidInputError("scorer", spec, "NAME[@SEGMENTER][:OPTION=VALUE,...]")
    options = dict(_option(spec, part) for part in listed.split(",")) if listed else {}
    if name in ("paper", "paper-code"):
        paper = CompressConfig.paper(code=name == "paper-code")
        merged = {**paper.scorer_options, **options}
        return CompressConfig.paper(code=name == "paper-code", **settings).model_copy(update={"scorer_options": merged})
    return CompressConfig(scorer=name, scorer_options=options, segmenter=segmenter or "auto", **settings)


def _option(spec: str, part: str) -> tuple[str, Any]:
    key, equals, value = part.partition("=")
    if not key or not equals:
        raise InvalidInputError("scorer", spec, "NAME[@SEGMENTER][:OPTION=VALUE,...]")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
