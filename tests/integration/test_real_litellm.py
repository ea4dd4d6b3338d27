"""LiteLLM itself, against a provider on this machine: every function, streaming and not, retries and fallbacks."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm_agentcompress.hooks import AgentCompressHandler
from litellm_agentcompress.settings import ProxySettings

import agentcompress
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.targets.counting import get_token_counter
from tests import fakes
from tests.provider import Provider
from tests.texts_of_agents import talk
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.integration,
    pytest.mark.sockets,
    pytest.mark.usefixtures("clean_server"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # LiteLLM leaves sockets and a loop behind
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

compressor = partial(fakes.compressor, min_tokens=100, keep_rate=0.2)


@pytest.fixture(scope="module", autouse=True)
def _connections() -> Iterator[None]:
    """Close what LiteLLM keeps open, after the server is gone."""
    yield
    litellm.in_memory_llm_clients_cache.flush_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def text_of(reply: Any) -> str:
    return reply.choices[0].message.content


def streamed(reply: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)


async def streamed_async(reply: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in reply if chunk.choices])


def output_of(reply: Any) -> str:
    return reply.output[0].content[0].text


def chat(server: Upstream, steps: int, **options: Any) -> dict[str, Any]:
    call = {"model": "openai/gpt-4o", "api_base": f"{server.url}/v1", "api_key": "x", **options}
    return {**call, "messages": to_wire(talk(steps), "openai")}


def items(server: Upstream, steps: int, **options: Any) -> dict[str, Any]:
    call = {"model": "openai/gpt-4o", "api_base": f"{server.url}/v1", "api_key": "x", **options}
    return {**call, "input": to_wire(talk(steps), "responses")}


def acompletion(**options: Any) -> str:
    async def call() -> str:
        reply = await agentcompress.acompletion(**options)
        return await streamed_async(reply) if options.get("stream") else text_of(reply)

    return asyncio.run(call())


def aresponses(**options: Any) -> str:
    async def call() -> str:
        reply = await agentcompress.aresponses(**options)
        if not options.get("stream"):
            return output_of(reply)
        return "".join([event.delta async for event in reply if event.type == "response.output_text.delta"])

    return asyncio.run(call())


def completion(**options: Any) -> str:
    reply = agentcompress.completion(**options)
    return streamed(reply) if options.get("stream") else text_of(reply)


def responses(**options: Any) -> str:
    reply = agentcompress.responses(**options)
    if not options.get("stream"):
        return output_of(reply)
    return "".join(event.delta for event in reply if event.type == "response.output_text.delta")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [completion, acompletion, responses, aresponses])
def test_a_loop_of_ten_steps(ask: Callable[..., str], stream: bool, server: Upstream) -> None:
    mine = compressor()
    format, field = ("responses", "input") if "responses" in ask.__name__ else ("openai", "messages")
    provider = Provider(format)
    for steps in range(1, 11):
        options = (items if field == "input" else chat)(server, steps, stream=stream)
        before = json.dumps(options[field])
        assert ask(**options, agentcompress=mine) == "All is well."
        assert json.dumps(options[field]) == before
        assert provider.send(server.sent(field), options[field]) is None
        assert server.bodies[-1][1]["model"] == "gpt-4o"
    assert len(server.bodies) == 10
    assert len(json.dumps(server.sent(field))) < 0.5 * len(before)


def test_off_for_one_call_and_other_settings_for_another(server: Upstream) -> None:
    options = chat(server, 2)
    completion(**options, agentcompress=False)
    assert server.sent() == options["messages"]
    mine, sizes = compressor(), []
    for rate in (0.9, 0.1):
        choice = {"keep_rate": rate, "namespace": str(rate), "compressor": mine}
        completion(**options, agentcompress=choice)
        sizes.append(len(json.dumps(server.sent())))
        assert choice["compressor"] is mine
    assert sizes[1] < 0.5 * sizes[0]


@pytest.mark.parametrize("choice", [{"keep": 1}, {"keep_rate": 2}, {"deadline_ms": 0}, {"fit": "yes"}, 3, "off"])
def test_a_setting_that_there_is_not_raises(choice: Any, server: Upstream) -> None:
    with pytest.raises(agentcompress.InvalidInputError):
        completion(**chat(server, 1), agentcompress=choice)
    assert not server.bodies


@pytest.mark.parametrize("messages", ["hello", [], [{"role": "user"}], None])
def test_what_is_no_conversation_is_litellms_business(messages: Any, server: Upstream) -> None:
    def outcome(call: Callable[..., Any]) -> str:
        try:
            call(**{**chat(server, 1), "messages": messages, "max_retries": 0})
        except Exception as error:  # noqa: BLE001
            return type(error).__name__
        return json.dumps(server.sent())

    assert outcome(lambda **options: completion(**options, agentcompress=compressor())) == outcome(litellm.completion)


def router(server: Upstream, **settings: Any) -> Any:
    def deployment(name: str, model: str) -> dict[str, Any]:
        params = {"model": model, "api_base": f"{server.url}/v1", "api_key": "x", "max_retries": 0}
        return {"model_name": name, "litellm_params": params}

    models = [deployment("large", "openai/gpt-4o"), deployment("small", "openai/gpt-4")]
    return litellm.Router(model_list=models, retry_after=0, cooldown_time=0, disable_cooldowns=True, **settings)


def ask_router(wrapped: Any, ask: str, **options: Any) -> str:
    if not ask.startswith("a"):
        return getattr(wrapped, ask)(**options)

    async def call() -> Any:
        return await getattr(wrapped, ask)(**options)

    return asyncio.run(call())


ROUTES = [("completion", "messages"), ("acompletion", "messages"), ("responses", "input"), ("aresponses", "input")]


@pytest.mark.parametrize(("ask", "field"), ROUTES)
def test_a_router_retries_with_the_same_bytes(ask: str, field: str, server: Upstream) -> None:
    plain = router(server, num_retries=3)
    wrapped = agentcompress.wrap_router(plain, compressor())
    messages = to_wire(talk(2), "responses" if field == "input" else "openai")
    server.failures[:] = [] if ask == "responses" else [429, 500]  # LiteLLM retries all but these
    tries = len(server.failures) + 1
    ask_router(wrapped, ask, model="large", **{field: messages})
    assert len(server.bodies) == tries
    assert all(body[field] == server.sent(field) for _, body in server.bodies)
    assert len(json.dumps(server.sent(field))) < 0.6 * len(json.dumps(messages))
    ask_router(wrapped, ask, model="large", agentcompress=False, **{field: messages})
    assert server.sent(field) == messages
    ask_router(plain, ask, model="large", **{field: messages})
    assert server.sent(field) == messages


@pytest.mark.parametrize("ask", ["completion", "acompletion"])
def test_a_router_asks_again_after_a_timeout(ask: str, server: Upstream) -> None:
    wrapped = agentcompress.wrap_router(router(server, num_retries=1, timeout=3), compressor())
    messages = to_wire(talk(2), "openai")
    server.delays_s[:] = [5.0]
    ask_router(wrapped, ask, model="large", messages=messages)
    (_, first), (_, second) = server.bodies
    assert first["messages"] == second["messages"] != messages


@pytest.mark.parametrize("ask", ["completion", "acompletion"])
def test_a_fallback_with_a_small_window_gets_what_fits(ask: str, server: Upstream) -> None:
    wrapped = agentcompress.wrap_router(
        router(server, fallbacks=[{"large": ["small"]}], num_retries=0), compressor(keep_rate=1.0)
    )
    messages = to_wire(talk(6), "openai")
    for _ in range(2):
        server.bodies.clear()
        server.failures[:] = [500]
        ask_router(wrapped, ask, model="large", messages=messages)
        (_, full), (_, fitted) = server.bodies
        assert full["model"] == "gpt-4o"
        assert full["messages"] == messages
        assert fitted["model"] == "gpt-4"
        assert len(json.dumps(fitted["messages"])) < 0.4 * len(json.dumps(messages))
        Provider("openai").send(fitted["messages"], messages)


@pytest.mark.parametrize("choice", [{"keep_rate": 0.3}, True])
def test_a_call_builds_on_what_its_router_has(choice: Any, server: Upstream) -> None:
    agentcompress.doors.choice._shared.clear()
    wrapped = agentcompress.wrap_router(router(server), compressor())
    messages = to_wire(talk(2), "openai")
    wrapped.completion(model="large", messages=messages, agentcompress=choice)
    assert len(json.dumps(server.sent())) < 0.6 * len(json.dumps(messages))
    assert not agentcompress.doors.choice._shared  # nobody made another compressor
    again = agentcompress.wrap_router(wrapped, compressor())
    again.completion(model="large", messages=messages, agentcompress=False)
    assert server.sent() == messages
    assert copy.copy(wrapped).router is wrapped.router


def test_callbacks_that_are_set_anew_do_not_switch_it_off(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = agentcompress.wrap_router(router(server), compressor())
    monkeypatch.setattr(litellm, "callbacks", [])
    messages = to_wire(talk(2), "openai")
    ask_router(wrapped, "acompletion", model="large", messages=messages)
    assert len(json.dumps(server.sent())) < 0.6 * len(json.dumps(messages))


def test_many_at_once_through_a_router(server: Upstream) -> None:
    wrapped = agentcompress.wrap_router(router(server), compressor())
    conversations = [to_wire([{"role": "user", "content": f"{n}?"}, *talk(1)[1:]], "openai") for n in range(4)]
    ask_router(wrapped, "abatch_completion", models=["large"], messages=conversations)
    assert len(server.bodies) == 4
    assert all(len(json.dumps(body["messages"])) < 0.6 * len(json.dumps(conversations[0])) for _, body in server.bodies)


def test_a_task_that_outlives_its_call_is_on_its_own(server: Upstream) -> None:
    wrapped, messages = agentcompress.wrap_router(router(server), compressor()), to_wire(talk(1), "openai")
    options = chat(server, 1)

    async def both() -> None:
        late: list[asyncio.Task[Any]] = []

        async def judge() -> None:
            await asyncio.sleep(0.5)
            await litellm.acompletion(**options)

        class Judging(CustomLogger):
            async def async_pre_call_deployment_hook(self, kwargs: Any, call_type: Any) -> None:
                late.append(asyncio.create_task(judge())) if not late else None

        litellm.callbacks.append(Judging())
        await wrapped.acompletion(model="large", messages=messages)
        await late[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litellm, "callbacks", [])
        asyncio.run(both())
    assert server.sent() == options["messages"]


@pytest.mark.parametrize("answer", [{}, {"max_tokens": 3000}])
def test_a_window_holds_the_answer_too(answer: dict[str, int], server: Upstream) -> None:
    options = {**chat(server, 6, **answer), "model": "openai/gpt-4"}
    completion(**options, agentcompress=compressor(keep_rate=1.0))
    tokens = get_token_counter("gpt-4").count("".join(message["content"] or "" for message in server.sent()))
    assert tokens < 8192 - answer.get("max_tokens", 0)


def test_markers_that_litellm_injects_come_after_us(server: Upstream) -> None:
    points = [{"location": "message", "index": -1}]
    call = {"model": "anthropic/claude-sonnet-4-5", "api_base": server.url, "api_key": "x", "max_tokens": 99}
    messages = to_wire(talk(2), "openai")
    completion(**call, messages=messages, cache_control_injection_points=points, agentcompress=compressor())
    sent = json.dumps(server.sent())
    assert sent.count("cache_control") == 1
    assert len(sent) < 0.6 * len(json.dumps(messages))
    more = [*messages, {"role": "assistant", "content": "So."}, {"role": "user", "content": "Go on."}]
    mine = compressor()
    texts = []
    for each in (messages, more):
        completion(**call, messages=each, cache_control_injection_points=points, agentcompress=mine)
        texts.append(json.dumps(server.sent()).replace(', "cache_control": {"type": "ephemeral"}', ""))
    assert texts[1].startswith(texts[0][:-2])


def test_savings_are_where_litellms_spend_records_look(server: Upstream) -> None:
    from litellm.proxy.spend_tracking.compression_savings import extract_compression_saved_tokens

    section = {"scorer": "lexical", "min_tokens": 100, "keep_rate": 0.2, "ledger": "memory"}
    found: dict[str, int] = {}  # events of earlier tests may come late, and have no savings

    class Spending(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            metadata = kwargs["litellm_params"]["metadata"]
            if saved := extract_compression_saved_tokens(metadata):
                found[kwargs["call_type"]] = saved

    async def ask() -> None:
        await litellm.acompletion(**chat(server, 2))
        await litellm.aresponses(**items(server, 2))
        call = {"model": "anthropic/claude-sonnet-4-5", "api_base": server.url, "api_key": "x", "max_tokens": 99}
        await litellm.anthropic.messages.acreate(**call, messages=to_wire(talk(2), "anthropic"))
        for _ in range(100):
            await asyncio.sleep(0.05 if len(found) < 3 else 0)

    with pytest.MonkeyPatch.context() as patch:
        callbacks = [AgentCompressHandler(ProxySettings.from_section(section)), Spending()]
        patch.setattr(litellm, "callbacks", callbacks)
        asyncio.run(ask())
    assert set(found) == {"acompletion", "aresponses", "anthropic_messages"}
    assert min(found.values()) > 5000
    assert all("metadata" not in body for _, body in server.bodies)


@pytest.mark.parametrize(
    ("ask", "made"),
    [(agentcompress.completion, chat), (acompletion, chat), (agentcompress.responses, items), (aresponses, items)],
)
def test_what_was_billed_is_held_against_the_receipt(ask: Any, made: Any, server: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    ask(**made(server, 2, agentcompress=compressor(receipts=str(file))))
    receipt, usage = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    assert (receipt["type"], usage["type"]) == ("receipt", "usage")
    assert usage["id"] == receipt["id"]
    assert usage["input_tokens"] == 10  # so says the server
    assert usage["drift"] == pytest.approx(receipt["request_tokens"] / 10 - 1)


def test_everything_else_of_a_router_is_its_own(server: Upstream) -> None:
    plain = router(server)
    wrapped = agentcompress.wrap_router(plain)
    assert wrapped.num_retries == plain.num_retries
    assert wrapped.completion.__doc__ == plain.completion.__doc__
    with pytest.raises(agentcompress.InvalidInputError):
        agentcompress.wrap_router(plain, {"rate": 3})
