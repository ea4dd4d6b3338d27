"""Reads JSON files and JSON Lines row by row, and says which row is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentcompress.errors import InvalidInputError


def read_json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a JSON list, or of JSON Lines without the blank ones, and their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(path.name, str(error), "UTF-8") from error
    if path.suffix == ".json":
        yield from enumerate(_parse_json(path.name, text), 1)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _parse_json(f"{path.name} line {number}", line)


def _parse_json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInputError(where, text[:60], f"JSON ({error})") from error
