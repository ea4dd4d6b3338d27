"""How fast texts are cut: a megabyte and ten of real code, of a log and of JSON, telling their kinds apart included."""

from __future__ import annotations

import json
import random
import statistics
import sysconfig
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig

SIZES = (1_000_000, 10_000_000)
"""Characters of the short and of the long text."""

_ROUNDS = 3
_LEVELS = ("DEBUG", "INFO", "INFO", "INFO", "INFO", "INFO", "WARNING", "ERROR")
_ACTIONS = ("served", "queued", "retried", "dropped after timeout", "committed", "rolled back: deadlock detected")


def measure_segmentation() -> dict[str, float]:
    """Measure seconds a megabyte, the median of three, and how time grows from the short text to the long one."""
    compressor = Compressor(CompressConfig(scorer="random"))
    keys: dict[str, float] = {}
    for kind, pieces in TEXTS.items():
        short, long = (_build_text(pieces, size) for size in SIZES)
        compressor.segment(short)  # grammars and patterns are made on first use
        short_s = statistics.median(_time_segmenting(compressor, short) for _ in range(_ROUNDS))
        keys[f"segment_{kind}_s_per_mb"] = short_s / SIZES[0] * 1e6
        keys[f"segment_{kind}_growth"] = _time_segmenting(compressor, long) / short_s
    return keys


def _time_segmenting(compressor: Compressor, text: str) -> float:
    started = time.perf_counter()
    compressor.segment(text)
    return time.perf_counter() - started


def _build_text(pieces: Callable[[], Iterator[str]], chars: int) -> str:
    """Join pieces until they come to so many characters."""
    found: list[str] = []
    for piece in pieces():
        found.append(piece)
        chars -= len(piece)
        if chars <= 0:
            break
    return "".join(found)


def _yield_code() -> Iterator[str]:
    """Yield the standard library's files, again and again."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for _ in count():
        yield from (file.read_text(encoding="utf-8") for file in files)


def _yield_log() -> Iterator[str]:
    """Yield lines of a server's log, a traceback now and then."""
    rng = random.Random(0)
    for i in count():
        at = f"2026-11-{1 + i // 86400 % 28:02d} {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}"
        task = f"{rng.choice(_LEVELS)} worker-{rng.randrange(16)} request {rng.getrandbits(40):010x}"
        yield f"{at} {task} {rng.choice(_ACTIONS)} after {rng.randrange(4000)} ms\n"
        if i % 500 == 499:
            yield 'Traceback (most recent call last):\n  File "shop.py", line 41, in run\nKeyError: 17\n'


def _yield_json() -> Iterator[str]:
    """Yield records as JSON, a line each."""
    rng = random.Random(0)
    for i in count():
        record = {"id": i, "name": f"user {rng.randrange(10**6)}", "tags": ["a", "b"], "score": rng.random()}
        yield f"{json.dumps(record)}\n"


TEXTS: dict[str, Callable[[], Iterator[str]]] = {"code": _yield_code, "log": _yield_log, "json": _yield_json}
