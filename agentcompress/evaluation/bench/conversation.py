"""How fast a decided history is replayed: 200 messages of 200,000 tokens, and one SHA-256 over its JSON beside it.

python -m agentcompress.evaluation.bench.conversation [--json FILE] [--rounds N]

measures it alone, in seconds and without a draft. Two checkouts are compared in turn, a few times, on an idle machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.evaluation.bench.structure import TEXTS
from agentcompress.evaluation.bench.timing import time_ms
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.formats import WIRES
from agentcompress.receipt import Receipt

MESSAGES = 200
RESULT_CHARS = 5_600
"""Characters of a tool's result: a hundred of them are about 200,000 tokens."""

_ROUNDS = 31


@dataclass(frozen=True)
class Replayed:
    """One wire format: medians over the rounds, in milliseconds, and the fastest replay. blocks: how many replayed."""

    replay_ms: float
    fastest_ms: float
    sha256_ms: float
    replay_over_sha256: float
    blocks: int


def measure_replay() -> dict[str, float]:
    """Measure every wire format; return the slowest one's milliseconds, and how many times those of SHA-256."""
    return _take_slowest(measure_formats().values())


def measure_formats(rounds: int = _ROUNDS, scorer: str = "random") -> dict[str, Replayed]:
    """Measure how long a decided history takes in each wire format.

    The histories are parsed anew every round, as a server's are: nothing of one call is known to the next but through
    the ledger and the counts of texts. rounds: >= 1. scorer: what the history was decided with, before the first round.
    """
    return {name: _measure_format(json.dumps(list(make_history(name))), name, rounds, scorer) for name in WIRES}


def _take_slowest(formats: Iterable[Replayed]) -> dict[str, float]:
    found = list(formats)
    return {name: max(getattr(each, name) for each in found) for name in ("replay_ms", "replay_over_sha256")}


def _measure_format(body: str, wire: Any, rounds: int, scorer: str) -> Replayed:
    """Decide a request's messages once, then time replays and hashes of them, in turn."""
    compressor = Compressor(CompressConfig(scorer=scorer), store=MemoryStore())

    def replay(messages: Sequence[Any]) -> Receipt:
        return compressor.compress(messages, format=wire).receipt

    replay(json.loads(body))
    blocks = sum(block.decision == "replayed" for block in replay(json.loads(body)).blocks)
    times = [(time_ms(replay, json.loads(body)), time_ms(_hash, json.loads(body))) for _ in range(rounds)]
    replayed, hashed = zip(*times, strict=True)
    replay_ms, sha256_ms = statistics.median(replayed), statistics.median(hashed)
    return Replayed(replay_ms, min(replayed), sha256_ms, replay_ms / sha256_ms, blocks)


def _hash(messages: Sequence[Mapping[str, Any]]) -> None:
    hashlib.sha256(json.dumps(messages).encode()).hexdigest()


def make_history(wire: str, messages: int = MESSAGES) -> Iterator[dict[str, Any]]:
    """Yield a conversation's messages: a request, then calls and their results, code, logs and JSON in turn."""
    from agentcompress.evaluation.replay.replay import to_wire

    pieces = [yield_pieces() for yield_pieces in TEXTS.values()]
    recorded: list[dict[str, Any]] = [{"role": "user", "content": "Find out why the nightly job fails."}]
    while len(recorded) < messages:
        result = ""
        while len(result) < RESULT_CHARS:
            result += next(pieces[len(recorded) // 2 % len(pieces)])
        call = {"name": "run", "arguments": {"command": f"show part {len(recorded)}"}}
        said = f"Step {len(recorded)}: the part before it says nothing of the failure, so I look at the next one."
        recorded.append({"role": "assistant", "content": said, "tool_calls": [call]})
        recorded.append({"role": "tool", "content": result[:RESULT_CHARS]})
    yield from to_wire(recorded[:messages], wire)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the replay alone, with a scorer that needs no draft; print a line a wire format, or JSON."""
    parser = argparse.ArgumentParser(prog="agentcompress.evaluation.bench.conversation", description=main.__doc__)
    parser.add_argument("--json", metavar="FILE", help='write JSON there; "-": to standard output, instead of lines')
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="replays of each format (%(default)s)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network for prices, and waits
    if options.rounds < 1:
        parser.error("--rounds must be >= 1")
    formats = measure_formats(options.rounds, "lexical")
    figures = {**_take_slowest(formats.values()), "formats": {name: asdict(each) for name, each in formats.items()}}
    if options.json != "-":
        for name, each in formats.items():
            sys.stdout.write(f"{name:10} {each.replay_ms:8.2f} ms  {each.replay_over_sha256:5.2f} x sha256\n")
    if options.json:
        text = json.dumps({"rounds": options.rounds, "messages": MESSAGES, **figures}, indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
