"""Load on a proxy: `python -m tests.load_proxy [--seconds 120] [--loops 32]`. Prints JSON.

First agent loops with long tool results and a scorer of fixed latency: errors, and the proxy's memory as it goes. Then
requests with nothing to compress, through a proxy with us and through one without, in turn: both p50 and p99.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.schema import Reading, Segment
from tests.proxy import KEY, Proxy, config, proxy
from tests.upstream import upstream

LATENCY_S = 0.05
PATH = "/v1/chat/completions"


class FixedLatency:
    """A draft that takes as long as one does, and no core."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        time.sleep(LATENCY_S)
        return np.arange(len(segment.units), dtype=np.float64)


async def _ask(client: httpx.AsyncClient, messages: Any) -> tuple[int, float]:
    started = time.perf_counter()
    answer = await client.post(PATH, json={"model": "gpt-4o", "messages": messages})
    return answer.status_code, time.perf_counter() - started


async def _agent(client: httpx.AsyncClient, name: int, until: float, found: list[tuple[int, float]]) -> None:
    turn = 0
    while time.time() < until:
        turn += 1
        recorded: list[dict[str, Any]] = [{"role": "user", "content": f"Agent {name}, turn {turn}: find the fault."}]
        for step in range(10):
            if time.time() >= until:
                return
            call = {"name": "read", "arguments": {"part": step}}
            recorded.append({"role": "assistant", "content": "Next.", "tool_calls": [call]})
            lines = (f"{name}.{turn}.{step}: line {n} of a log that says nothing new" for n in range(150))
            recorded.append({"role": "tool", "content": "\n".join(lines)})
            found.append(await _ask(client, to_wire(recorded, "openai")))


async def _loops(running: Proxy, loops: int, seconds: float) -> dict[str, Any]:
    found: list[tuple[int, float]] = []
    memory: list[int] = []
    until = time.time() + seconds
    async with _client(running, loops) as client:
        agents = [asyncio.create_task(_agent(client, n, until, found)) for n in range(loops)]
        while time.time() < until:
            await asyncio.sleep(seconds / 12)
            memory.append(_rss(running))
        await asyncio.gather(*agents)
    return {
        "requests": len(found),
        "errors": sum(status != 200 for status, _ in found),
        **_quantiles([took for _, took in found]),
        "rss_mib": [used >> 20 for used in memory],
    }


async def _nothing_to_do(running: Proxy, loops: int, requests: int) -> list[float]:
    messages = to_wire([{"role": "user", "content": f"Say {'please ' * 50}."}], "openai")
    async with _client(running, loops) as client:

        async def one(n: int) -> list[float]:
            return [(await _ask(client, messages))[1] for _ in range(n)]

        times = await asyncio.gather(*(one(requests // loops) for _ in range(loops)))
    return [took for each in times for took in each]


def _client(running: Proxy, loops: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=loops)
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(base_url=running.url, headers=headers, timeout=120, limits=limits)


def _rss(running: Proxy) -> int:
    process = psutil.Process(running._process.pid)  # type: ignore[union-attr]
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])


def _quantiles(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--loops", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    root = str(Path(__file__).parent.parent)
    settings = {"scorer": "tests.load_proxy:FixedLatency", "min_tokens": 200, "keep_rate": 0.3}
    settings["ledger"] = str(folder / "ledger.db")
    with upstream() as server:
        server.keep = False
        with (
            proxy(folder, config(server.url, settings), name="ours", PYTHONPATH=root) as ours,
            proxy(folder, config(server.url, None), name="plain") as plain,
        ):
            out: dict[str, Any] = {"loops": asyncio.run(_loops(ours, asked.loops, asked.seconds))}
            times: dict[str, list[float]] = {"with": [], "without": []}
            for _ in range(asked.rounds):  # in turn, so that a busy minute is not one proxy's
                times["without"] += asyncio.run(_nothing_to_do(plain, 4, 400))
                times["with"] += asyncio.run(_nothing_to_do(ours, 4, 400))
            out |= {name: _quantiles(each) for name, each in times.items()}
            out["p99_ratio"] = round(out["with"]["p99_ms"] / out["without"]["p99_ms"], 2)
    print(json.dumps(out, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
