"""What pyproject.toml says is shipped."""

from __future__ import annotations

import tomllib
from pathlib import Path


def entry_points(kind: str) -> dict[str, str]:
    """Names and classes ("pkg.mod:Class") of the entry points of `kind` ("scorers", "segmenters")."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["entry-points"][f"agentcompress.{kind}"]
