"""Faults: what the provider sees is what it would have seen without us, or LiteLLM's own error."""

from __future__ import annotations

import copy
import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from agentcompress.evaluation.replay.replay import to_wire
from tests.proxy import KEY, Proxy, config, proxy
from tests.texts_of_agents import talk
from tests.upstream import Upstream

pytestmark = [pytest.mark.integration, pytest.mark.sockets]

FAULTS: dict[str, dict[str, Any]] = {
    "a draft that there is not": {"draft": "/nowhere/at/all", "min_tokens": 100},
    "a scorer that fails": {"scorer": "tests.fakes:BrokenScorer", "segmenter": "tests.fakes:BrokenSegmenter"},
    "a ledger that can't be reached": {"scorer": "lexical", "ledger": "redis://127.0.0.1:9/0"},
    "a deadline that no one can keep": {"scorer": "lexical", "deadline_ms": 0.001},
}


@pytest.fixture(scope="module")
def plain(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("plain"), config(server.url, None)) as started:
        yield started


@pytest.fixture(scope="module")
def ours(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("ours")
    settings = {"scorer": "lexical", "min_tokens": 200, "ledger": str(folder / "ledger.db")}
    with proxy(folder, config(server.url, settings)) as started:
        yield started


PATHS = {"openai": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}


def post(running: Proxy, path: str, body: bytes) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "x-api-key": KEY}
    request = urllib.request.Request(f"{running.url}{path}", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, None


def body_of(format: str, steps: int = 2, *, short: bool = False) -> dict[str, Any]:
    recorded = [{**message, "content": message["content"][:200]} for message in talk(steps)] if short else talk(steps)
    conversation = to_wire(recorded, format)
    if format == "responses":
        return {"model": "gpt-4o", "input": conversation}
    if format == "anthropic":
        return {"model": "claude", "max_tokens": 100, "messages": conversation}
    return {"model": "gpt-4o", "messages": conversation}


def seen(server: Upstream, running: Proxy, path: str, body: bytes) -> tuple[int, list[Any]]:
    """The client's status, and the bodies that the provider got."""
    server.bodies.clear()
    status, _ = post(running, path, body)
    return status, [json.loads(json.dumps(got)) for _, got in server.bodies]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_agent_gets_its_answer(
    fault: str, server: Upstream, plain: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fault")
    settings = {"ledger": str(folder / "ledger.db"), **FAULTS[fault]}
    compressed_all_the_same = "draft" in fault  # by BM25
    with proxy(folder, config(server.url, settings), PYTHONPATH=".") as started:
        for format, path in PATHS.items():
            body = json.dumps(body_of(format)).encode()
            with_us, without = seen(server, started, path, body), seen(server, plain, path, body)
            assert with_us[0] == without[0] == 200
            if compressed_all_the_same:
                assert len(json.dumps(with_us[1])) < 0.9 * len(json.dumps(without[1]))
            else:
                assert with_us[1] == without[1]
            assert seen(server, started, path, body) == with_us


def mangled(body: dict[str, Any], rng: random.Random) -> Any:
    """The body with one thing in it replaced, dropped, or put in twice, anywhere."""
    body = copy.deepcopy(body)
    holder, key = rng.choice(list(_places(body)))
    what = rng.randrange(3)
    if what == 0:
        holder[key] = rng.choice([None, 0, -1, True, "", "x" * 50, [], {}, [[]], {"type": "text"}, [None], 1e308])
    elif what == 1:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder["extra"] = holder[key]
    return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "model":
                yield value, name
                yield from _places(inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield value, i
            yield from _places(inner)


@pytest.mark.parametrize("format", PATHS)
def test_malformed_bodies_are_litellms_business(format: str, server: Upstream, plain: Proxy, ours: Proxy) -> None:
    """Where nothing is large enough to be compressed, what arrives is the same to the byte; else it arrives or fails
    just as it would have."""
    rng = random.Random(format)
    for short in (True, False):
        for _ in range(20):
            body = json.dumps(mangled(body_of(format, 1, short=short), rng)).encode()
            with_us, without = (seen(server, which, PATHS[format], body) for which in (ours, plain))
            assert with_us[0] == without[0], body[:2000]
            assert len(with_us[1]) == len(without[1]), body[:2000]
            assert not short or with_us == without, body[:2000]
