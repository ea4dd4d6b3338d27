"""A real LiteLLM proxy in front of a strict provider, driven by the real clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import yaml

from agentcompress.evaluation.replay.replay import to_wire
from tests.integration.test_real_redis import Server
from tests.provider import Provider, with_reasoning
from tests.proxy import EXAMPLE, KEY, Proxy, config, proxy
from tests.texts_of_agents import DATED_LOG, talk
from tests.upstream import Upstream

pytestmark = [pytest.mark.integration, pytest.mark.sockets, pytest.mark.usefixtures("clean_server")]

SETTINGS = {"scorer": "lexical", "min_tokens": 100, "keep_rate": 0.2, "skip_models": ["*-mini", "gpt-4"]}
TOOLS = [{"name": "read", "description": "Read a part.", "input_schema": {"type": "object", "properties": {}}}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def running(server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    made = config(server.url, {**SETTINGS, "ledger": str(folder / "ledger.db")})
    made["litellm_settings"]["callbacks"].append("prometheus")
    with proxy(folder, made) as started:
        yield started


def openai_client(running: Proxy, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0, **options)


def anthropic_client(running: Proxy, **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=running.url, api_key=KEY, max_retries=0, **options)


def chat(running: Proxy, messages: Any, *, stream: bool, **options: Any) -> str:
    with openai_client(running) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream, **options)
        if not stream:
            return str(reply.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)


def responses(running: Proxy, messages: Any, *, stream: bool, **options: Any) -> str:
    with openai_client(running) as client:
        reply = client.responses.create(model="gpt-4o", input=messages, stream=stream, **options)
        if not stream:
            return reply.output_text
        return "".join(event.delta for event in reply if event.type == "response.output_text.delta")


def messages(running: Proxy, messages: Any, *, stream: bool, **options: Any) -> str:
    call = {"model": "claude", "max_tokens": 4096, "messages": messages, "tools": TOOLS, **options}
    with anthropic_client(running) as client:
        if not stream:
            return client.messages.create(**call).content[0].text
        with client.messages.stream(**call) as reply:
            return "".join(reply.text_stream)


def chat_async(running: Proxy, messages: Any, *, stream: bool, **options: Any) -> str:
    async def ask() -> str:
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as client:
            reply = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream, **options)
            if not stream:
                return str(reply.choices[0].message.content)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in reply if chunk.choices])

    return asyncio.run(ask())


def messages_async(running: Proxy, messages: Any, *, stream: bool, **options: Any) -> str:
    call = {"model": "claude", "max_tokens": 4096, "messages": messages, "tools": TOOLS, **options}

    async def ask() -> str:
        async with anthropic.AsyncAnthropic(base_url=running.url, api_key=KEY, max_retries=0) as client:
            if not stream:
                return (await client.messages.create(**call)).content[0].text
            async with client.messages.stream(**call) as reply:
                return "".join([text async for text in reply.text_stream])

    return asyncio.run(ask())


ROUTES: list[tuple[Callable[..., str], str]] = [
    (chat, "openai"),
    (chat_async, "openai"),
    (responses, "responses"),
    (messages, "anthropic"),
    (messages_async, "anthropic"),
]


def field_of(format: str) -> str:
    return "input" if format == "responses" else "messages"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("ask", "format"), ROUTES)
def test_a_tool_loop_of_ten_steps(
    ask: Callable[..., str],
    format: str,
    stream: bool,
    running: Proxy,
    server: Upstream,
) -> None:
    provider, field = Provider(format), field_of(format)
    request = f"Which job failed? ({ask.__name__}, {stream})"
    for steps in range(1, 11):
        recorded = [{"role": "user", "content": request}, *talk(steps)[1:]]
        meant = to_wire(recorded, format)
        assert ask(running, meant, stream=stream) == "All is well."
        assert provider.send(server.sent(field), meant) is None
    assert len(server.bodies) == 10
    assert len(json.dumps(server.sent(field))) < 0.4 * len(json.dumps(meant))


def test_images_and_thinking_come_through(running: Proxy, server: Upstream) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    request = {"role": "user", "content": [image, {"type": "text", "text": "Which job failed?"}]}
    _, called, result = to_wire(talk(1), "anthropic")
    (thought,) = with_reasoning([called], "sig_1", "anthropic")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    messages(running, [request, thought, result], stream=False, thinking=thinking)
    sent = server.sent()
    assert sent[:2] == [request, thought]
    assert server.bodies[-1][1]["thinking"] == thinking
    assert len(json.dumps(sent[2])) < 0.4 * len(json.dumps(result))
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
    asked = {"role": "user", "content": [*parts, {"type": "text", "text": "Which job failed?"}]}
    chat(running, [asked, *to_wire(talk(1), "openai")[1:]], stream=False)
    assert server.sent()[0] == asked


def test_a_request_that_is_translated_is_compressed_once(running: Proxy, server: Upstream) -> None:
    meant = to_wire(talk(2), "anthropic")
    with anthropic_client(running) as client:
        client.messages.create(model="gpt-4o", max_tokens=100, messages=meant, tools=TOOLS)
        once = json.dumps(server.bodies[-1][1])
        client.messages.create(model="gpt-4o", max_tokens=100, messages=meant, tools=TOOLS)
    assert json.dumps(server.bodies[-1][1]) == once
    assert once.count("lines omitted") <= 2 * len([part for part in meant if "tool_result" in json.dumps(part)]) * 40
    assert len(once) < 0.5 * len(json.dumps(meant))


def sizes(running: Proxy, server: Upstream, *requests: dict[str, Any]) -> list[int]:
    """What is sent of the same conversation, in several ways; each is another conversation to the ledger."""
    found = []
    for n, options in enumerate(requests):
        recorded = [{"role": "user", "content": f"{n}: which job failed? {options}"}, *talk(2)[1:]]
        chat(running, to_wire(recorded, "openai"), stream=False, **options)
        found.append(len(json.dumps(server.sent())))
    return found


def test_a_request_may_say_how(running: Proxy, server: Upstream) -> None:
    def header(text: str) -> dict[str, Any]:
        return {"extra_headers": {"X-AgentCompress": text}}

    usual, more, off, unreadable, by_metadata, off_by_metadata = sizes(
        running,
        server,
        {},
        header("keep_rate=0.8"),
        header("off"),
        header("keep_rate=7"),
        {"metadata": {"agentcompress": {"keep_rate": 0.8}}},
        {"metadata": {"agentcompress": False}},
    )
    assert 2 * usual < more < 0.95 * off
    assert off == pytest.approx(unreadable, rel=0.02) == pytest.approx(off_by_metadata, rel=0.02)
    assert by_metadata == pytest.approx(more, rel=0.1)


def test_a_model_may_be_left_out(running: Proxy, server: Upstream) -> None:
    meant = to_wire(talk(1), "openai")
    with openai_client(running) as client:
        client.chat.completions.create(model="gpt-4", messages=meant)
    assert server.sent() == meant


def test_the_client_sees_nothing_but_headers(running: Proxy) -> None:
    with openai_client(running) as client:
        reply = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=to_wire(talk(1), "openai"))
    assert len(reply.headers["x-agentcompress-receipt"]) == 32
    assert int(reply.headers["x-agentcompress-tokens-saved"]) > 1000
    assert "agentcompress" not in reply.text


def test_logs_hold_no_prompts(running: Proxy) -> None:
    chat(running, to_wire(talk(1), "openai"), stream=False)
    with openai_client(running) as client, pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "these words are private"}, 7])  # type: ignore[list-item]
    log = "\n".join(line for line in running.log.read_text().splitlines() if "agentcompress" in line)
    assert DATED_LOG[:40] not in running.log.read_text()
    assert "private" not in log


def test_metrics(running: Proxy) -> None:
    chat(running, to_wire(talk(1), "openai"), stream=False)
    shown = running.get("/metrics/")
    assert 'agentcompress_requests_total{outcome="compressed"}' in shown
    assert 'agentcompress_tokens_total{when="before"}' in shown
    assert "agentcompress_seconds_bucket" in shown


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    redis = Server(tmp_path)
    redis.start()
    yield redis.url
    redis.kill()


def test_two_proxies_and_one_ledger(server: Upstream, redis_url: str, tmp_path: Path) -> None:
    """Requests of one conversation go to either, and the large model's fallback has a small window."""
    made = [
        config(server.url, {**SETTINGS, "skip_models": [], "keep_rate": rate, "ledger": redis_url})
        for rate in (0.2, 0.6)
    ]
    provider = Provider("openai")
    with proxy(tmp_path, made[0], name="one") as one, proxy(tmp_path, made[1], name="two") as two:
        for steps in range(1, 9):
            meant = to_wire(talk(steps), "openai")
            chat(one if steps % 2 else two, meant, stream=bool(steps % 3))
            assert provider.send(server.sent(), meant) is None
    assert len(json.dumps(server.sent())) < 0.5 * len(json.dumps(meant))


def test_what_was_billed_is_held_against_the_receipts(server: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    settings = {"scorer": "lexical", "keep_rate": 0.2, "ledger": "memory", "receipts": str(file)}
    with proxy(tmp_path, config(server.url, settings)) as started:
        for steps in (1, 2):
            chat(started, to_wire(talk(steps), "openai"), stream=False)
        waits = time.monotonic() + 30
        while file.read_text(encoding="utf-8").count('"usage", "id"') < 2 and time.monotonic() < waits:
            time.sleep(0.1)
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    made = [record["id"] for record in records if record["type"] == "receipt"]
    billed = [record for record in records if record["type"] == "usage"]
    assert sorted(record["id"] for record in billed) == sorted(made)
    assert {record["input_tokens"] for record in billed} == {10}


def test_retries_and_a_fallback_with_a_small_window(server: Upstream, tmp_path: Path) -> None:
    router = {"num_retries": 2, "retry_after": 0, "fallbacks": [{"gpt-4o": ["gpt-4"]}], "disable_cooldowns": True}
    settings = {"scorer": "lexical", "keep_rate": 1.0, "ledger": "memory"}
    meant = to_wire(talk(6), "openai")
    with proxy(tmp_path, config(server.url, settings, router_settings=router)) as started:
        for _ in range(2):
            server.bodies.clear()
            server.failures[:] = [429, 500, 500]
            chat(started, meant, stream=False)
            asked = [body for _, body in server.bodies]
            assert [body["model"] for body in asked] == ["gpt-4o"] * 3 + ["gpt-4"]
            assert all(body["messages"] == meant for body in asked[:3])
            fitted = json.dumps(asked[3]["messages"])
            assert len(fitted) < 0.4 * len(json.dumps(meant))
            Provider("openai").send(asked[3]["messages"], meant)


def test_the_example_starts_and_loads_its_draft(tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x", "AGENTCOMPRESS_LEDGER": str(tmp_path / "ledger.db")}
    with proxy(tmp_path, yaml.safe_load(EXAMPLE.read_text()), **keys) as started:
        assert "gpt-4o" in started.get("/v1/models")
        assert "warm-up" not in started.log.read_text()


def test_a_proxy_does_not_start_with_settings_that_there_are_not(tmp_path: Path) -> None:
    """Which they are is in the unit tests of `ProxySettings`: a proxy takes long to say so."""
    started = Proxy(tmp_path, config("http://127.0.0.1:9", {"keep_rat": 0.2}))
    with pytest.raises(RuntimeError):
        started.start()
    assert "agentcompress_settings.keep_rat must be absent" in started.log.read_text()
