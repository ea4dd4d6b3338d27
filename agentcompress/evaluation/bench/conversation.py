"""How fast a decided history is replayed: 200 messages of 200,000 tokens, and one SHA-256 over its JSON beside it."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.evaluation.bench.structure import TEXTS
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.formats import WIRES

MESSAGES = 200
RESULT_CHARS = 5_600
"""Characters of a tool's result: a hundred of them are about 200,000 tokens."""

_ROUNDS = 31


def measure() -> dict[str, float]:
    """Milliseconds to replay it, and how many times that of `sha256(json.dumps(messages))`, in the slowest format.

    The histories are parsed anew every time, as a server's are: nothing of one call is known to the next but through
    the ledger and the counts of texts.
    """
    found = [_measured(json.dumps(list(history(name))), name) for name in WIRES]
    return {
        "replay_ms": max(replayed for replayed, _ in found),
        "replay_over_sha256": max(replayed / hashed for replayed, hashed in found),
    }


def _measured(body: str, format: Any) -> tuple[float, float]:  # noqa: A002
    """Milliseconds of a replay and of a hash, the medians."""
    compressor = Compressor(CompressConfig(scorer="random"), store=MemoryStore())

    def replay(messages: Sequence[Any]) -> None:
        compressor.compress(messages, format=format)

    replay(json.loads(body))
    times = [(_ms(replay, json.loads(body)), _ms(_sha256, json.loads(body))) for _ in range(_ROUNDS)]
    replayed, hashed = zip(*times, strict=True)
    return statistics.median(replayed), statistics.median(hashed)


def _sha256(messages: Sequence[Mapping[str, Any]]) -> None:
    hashlib.sha256(json.dumps(messages).encode()).hexdigest()


def _ms(call: Callable[[Sequence[Any]], None], messages: Sequence[Any]) -> float:
    started = time.perf_counter()
    call(messages)
    return (time.perf_counter() - started) * 1000


def history(format: str, messages: int = MESSAGES) -> Iterator[dict[str, Any]]:  # noqa: A002
    """A request, calls and their results: code, logs and JSON in turn."""
    from agentcompress.evaluation.replay.replay import as_sent

    pieces = [made() for made in TEXTS.values()]
    recorded: list[dict[str, Any]] = [{"role": "user", "content": "Find out why the nightly job fails."}]
    while len(recorded) < messages:
        result = ""
        while len(result) < RESULT_CHARS:
            result += next(pieces[len(recorded) // 2 % len(pieces)])
        call = {"name": "run", "arguments": {"command": f"show part {len(recorded)}"}}
        said = f"Step {len(recorded)}: the part before it says nothing of the failure, so I look at the next one."
        recorded.append({"role": "assistant", "content": said, "tool_calls": [call]})
        recorded.append({"role": "tool", "content": result[:RESULT_CHARS]})
    yield from as_sent(recorded[:messages], format)
