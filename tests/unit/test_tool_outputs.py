"""Recall over 158 outputs of tools, by BM25: the shares are what was reached, and only rise."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentcompress import CompressConfig, Compressor

DATA = Path(__file__).parents[1] / "data"
LEXICAL = Compressor(CompressConfig(scorer="lexical"))


def read_cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file."""
    with gzip.open(DATA / f"tool_outputs_{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def list_strings(text: str) -> Iterator[str]:
    """The text, and every string in it where it is JSON."""
    yield text
    try:
        waiting = [json.loads(text)]
    except ValueError:
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value


def measure_kept(case: dict[str, Any], keep_rate: float | str) -> float:
    """The share of the wanted strings that are still there."""
    wanted = case["must"] + (case["more"] if keep_rate != 0.1 else [])
    result = LEXICAL.compress_text(case["text"], query=case["query"], hint=case["hint"], keep_rate=keep_rate)
    if keep_rate != "auto":
        assert result.tokens_after >= 0.6 * keep_rate * result.tokens_before, case["name"]
    found = "\n".join(list_strings(result.text))
    return sum(each in found for each in wanted) / len(wanted)


@pytest.mark.parametrize(
    ("name", "keep_rate", "least"),
    [
        ("seen", 0.1, 0.91),
        ("seen", 0.25, 0.92),
        ("seen", 0.4, 0.97),
        ("seen", "auto", 0.99),
        ("unseen", 0.1, 0.85),
        ("unseen", 0.25, 0.88),
        ("unseen", 0.4, 0.91),
        ("unseen", "auto", 0.98),
        ("later", 0.1, 0.69),
        ("later", 0.25, 0.82),
        ("later", 0.4, 0.87),
        ("later", "auto", 0.95),
    ],
)
def test_so_much_of_what_is_wanted_is_kept(name: str, keep_rate: float | str, least: float) -> None:
    kept = [measure_kept(case, keep_rate) for case in read_cases(name)]
    assert sum(kept) / len(kept) >= least
