"""LangChain: the middleware, the runnable, the document compressor and the tool, each in all the ways it is called."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import logging
import pickle
import re
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    SummarizationMiddleware,
)
from langchain_agentcompress import (
    AgentCompressMiddleware,
    CompressPrompt,
    DraftDocumentCompressor,
    middleware,
    recall_tool,
)
from langchain_agentcompress.models import describe_tools
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentcompress import AgentCompressError, CompressConfig, Compressor, InvalidInputError, Receipt
from agentcompress.doors import background, choice
from agentcompress.ledger.memory import MemoryStore
from agentcompress.schema import Reading, Segment
from examples.scripted import ScriptedChat, make_step
from tests.fakes import FlakyStore
from tests.texts_of_agents import make_log

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CONFIG = {"scorer": "lexical", "ledger": "memory", "keep_rate": 0.2}
ID = re.compile(r"recall ([0-9a-z]{6}[:@]\d+-\d+)")
WAYS = ("invoke", "ainvoke", "stream", "astream")


@pytest.fixture(autouse=True)
def _nothing_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressors of one process share what is in memory; tests do not."""
    monkeypatch.setattr(choice, "_shared", {})
    monkeypatch.setattr(choice, "_decisions", MemoryStore())


def log(worker: str) -> str:
    return make_log(200).replace("worker ", f"worker {worker}.")


@tool
def logs(worker: str) -> str:
    """Read a worker's log."""
    return log(worker)


@tool(response_format="content_and_artifact")
def query(table: str) -> tuple[str, dict[str, int]]:
    """Read a table."""
    return log(table), {"rows": 200}


@tool
def picture(worker: str) -> list[Any]:
    """Take a picture."""
    return [{"type": "text", "text": log(worker)}, IMAGE]


@tool
def note(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
    """Write something down."""
    message = ToolMessage(log(text), tool_call_id=tool_call_id, status="error", additional_kwargs={"kept": 1})
    return Command(update={"messages": [message]})


TOOLS: list[BaseTool] = [logs, query, picture, note]
TURNS = [
    make_step(0, "logs", worker="a"),
    make_step(1, "query", table="b"),
    make_step(2, "picture", worker="c"),
    make_step(3, "note", text="d"),
]


def scripted(turns: Sequence[AIMessage] = TURNS, end: str = "Worker 3.", **fields: Any) -> ScriptedChat:
    """A model that takes these turns, by how many results it sees, and then says the end."""

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        return copy.deepcopy(turns[done]) if done < len(turns) else AIMessage(end)

    return ScriptedChat(script=script, **fields)


def run(agent: Any, way: str, given: Any = None, **options: Any) -> list[BaseMessage]:
    """Run an agent to its end; its messages."""
    given = {"messages": [("user", "Which worker did most?")]} if given is None else given
    if way == "invoke":
        return agent.invoke(given, **options)["messages"]
    if way == "ainvoke":
        return asyncio.run(agent.ainvoke(given, **options))["messages"]
    if way == "stream":
        return list(agent.stream(given, stream_mode="values", **options))[-1]["messages"]

    async def streamed() -> list[Any]:
        return [state async for state in agent.astream(given, stream_mode="values", **options)]

    return asyncio.run(streamed())[-1]["messages"]


def said(messages: Sequence[BaseMessage]) -> list[Any]:
    """What a provider is sent of messages."""
    return [
        (type(m).__name__, m.content, getattr(m, "tool_calls", None), getattr(m, "tool_call_id", None))
        for m in messages
    ]


def assert_append_only(model: ScriptedChat) -> None:
    for earlier, later in zip(model.sent, model.sent[1:], strict=False):
        assert said(later)[: len(earlier)] == said(earlier)


# The middleware


@pytest.mark.parametrize("way", WAYS)
def test_calls_are_shorter_and_append_only_and_the_state_holds_the_originals(way: str) -> None:
    model, plain = scripted(), scripted()
    agent = create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG)], system_prompt="Be terse.")
    state = run(agent, way)
    expected = run(create_agent(plain, TOOLS, system_prompt="Be terse."), way)
    assert said(state) == said(expected)
    assert len(model.sent) == 5
    assert_append_only(model)
    results = [message for message in model.sent[-1] if isinstance(message, ToolMessage)]
    originals = [message for message in state if isinstance(message, ToolMessage)]
    for new, old in zip(results, originals, strict=True):
        assert len(str(new.content)) < len(str(old.content)) / 2
        assert {**vars(new), "content": 0} == {**vars(old), "content": 0}
    assert results[1].artifact == {"rows": 200}
    assert results[2].content[1] == IMAGE
    assert (results[3].status, results[3].additional_kwargs) == ("error", {"kept": 1})


def test_all_ways_send_the_same() -> None:
    sent = []
    for way in WAYS:
        model = scripted()
        run(create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG)]), way)
        sent.append([said(messages) for messages in model.sent])
    assert sent[0] == sent[1] == sent[2] == sent[3]


class _Twice(AgentMiddleware):
    """Runs the handler twice, as one that retries would."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        handler(request)
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        await handler(request)
        return await handler(request)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("outer", [True, False])
def test_a_handler_that_runs_twice_sends_the_same_twice(way: str, outer: bool) -> None:
    model = scripted()
    ours = AgentCompressMiddleware(CONFIG)
    run(create_agent(model, TOOLS, middleware=[_Twice(), ours] if outer else [ours, _Twice()]), way)
    pairs = list(zip(model.sent[::2], model.sent[1::2], strict=True))
    assert all(said(first) == said(second) for first, second in pairs)
    assert len(str(model.sent[-1][2].content)) < 4000


def test_an_agent_that_goes_on_sends_what_it_sent() -> None:
    store = InMemorySaver()
    thread = {"configurable": {"thread_id": "1"}}
    model = scripted()
    for rate, question in ((0.2, "Which worker did most?"), (0.8, "And which one least?")):
        ours = AgentCompressMiddleware({**CONFIG, "keep_rate": rate})
        agent = create_agent(model, TOOLS, middleware=[ours], checkpointer=store)
        run(agent, "invoke", {"messages": [("user", question)]}, config=thread)
    assert_append_only(model)


@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_context_editing(ours_first: bool) -> None:
    model = scripted()
    editing = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=4000, keep=1)])
    ours = AgentCompressMiddleware(CONFIG)
    state = run(create_agent(model, TOOLS, middleware=[ours, editing] if ours_first else [editing, ours]), "invoke")
    cleared = [str(message.content) == "[cleared]" for message in model.sent[-1] if isinstance(message, ToolMessage)]
    if ours_first:  # it sees what is sent: nothing to be cleared yet, nothing rewritten
        assert cleared == [False] * 4
        assert_append_only(model)
    else:
        assert cleared[0]
        assert not cleared[-1]
    assert "[cleared]" not in str(state) or not ours_first


def summarization(model: ScriptedChat) -> SummarizationMiddleware:
    named = inspect.signature(SummarizationMiddleware.__init__).parameters
    if "trigger" in named:
        return SummarizationMiddleware(model, trigger=("tokens", 6000), keep=("messages", 3))
    return SummarizationMiddleware(model, max_tokens_before_summary=6000, messages_to_keep=3)  # pyrefly: ignore


@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_summarization(ours_first: bool) -> None:
    done: list[int] = []

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        done.append(1)
        return copy.deepcopy(TURNS[len(done) - 1]) if len(done) <= 4 else AIMessage("Worker 3.")

    model = ScriptedChat(script=script)
    summary = ScriptedChat(script=lambda messages: AIMessage("They read logs."))
    others = [AgentCompressMiddleware(CONFIG), summarization(summary)]
    run(create_agent(model, TOOLS, middleware=others if ours_first else others[::-1]), "invoke")
    assert summary.sent
    assert "They read logs." in str(model.sent[-1][0].content)
    for messages in model.sent:
        assert all(len(str(m.content)) < 4500 for m in messages if isinstance(m, ToolMessage))


@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_a_human_in_the_loop(ours_first: bool) -> None:
    model = scripted()
    human = HumanInTheLoopMiddleware(interrupt_on={"query": True})
    ours = AgentCompressMiddleware(CONFIG)
    agent = create_agent(
        model, TOOLS, middleware=[ours, human] if ours_first else [human, ours], checkpointer=InMemorySaver()
    )
    thread: Any = {"configurable": {"thread_id": "1"}}
    first = agent.invoke({"messages": [("user", "Which worker did most?")]}, thread)
    assert "__interrupt__" in first
    edited = {"name": "query", "args": {"table": "edited"}}
    answer = {"decisions": [{"type": "edit", "edited_action": edited}]}
    state = agent.invoke(Command(resume=answer), thread)
    assert "worker edited.7" in str(state["messages"])
    assert [len(messages) for messages in model.sent] == [1, 3, 5, 7, 9]
    assert len(str(model.sent[-1][4].content)) < 4000


def test_receipts_name_the_requests_model() -> None:
    receipts: list[Receipt] = []
    ours = AgentCompressMiddleware(CONFIG, on_receipt=receipts.append)
    run(create_agent(scripted(model_name="openai/gpt-4o-mini"), TOOLS, middleware=[ours]), "invoke")
    assert [receipt.target for receipt in receipts] == ["openai/gpt-4o-mini"] * 5
    assert [block.decision for block in receipts[-1].blocks] == ["replayed"] * 3 + ["new"]
    ours = AgentCompressMiddleware(CONFIG, target="claude-sonnet-4-5", on_receipt=receipts.append)
    run(create_agent(scripted(), TOOLS, middleware=[ours]), "invoke")
    assert receipts[-1].target == "claude-sonnet-4-5"


def test_a_limit_holds_for_the_whole_request_tools_and_system_prompt_included() -> None:
    receipts: list[Receipt] = []
    ours = AgentCompressMiddleware({**CONFIG, "keep_rate": 0.9}, target_tokens=6000, on_receipt=receipts.append)
    model = scripted()
    run(create_agent(model, TOOLS, middleware=[ours], system_prompt="Be terse. " * 400), "invoke")
    sizes = [receipt.request_tokens or 0 for receipt in receipts]
    assert min(sizes) > 1000
    assert max(sizes) <= 6000
    assert receipts[-1].rewritten_from is not None


class SlowScorer:
    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        time.sleep(2)
        return np.zeros(len(segment.units))


def _fails(*_: Any) -> Any:
    raise LookupError("whose is it?")


FAULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "the scorer fails": lambda: {"config": {**CONFIG, "scorer": "tests.fakes:BrokenScorer"}},
    "scores are no numbers": lambda: {"config": {**CONFIG, "scorer": "tests.fakes:NanScorer"}},
    "the segmenter fails": lambda: {"config": {**CONFIG, "segmenter": "tests.fakes:BrokenSegmenter"}},
    "the draft is missing": lambda: {
        "config": {"scorer": "calibrated", "draft": "/no/such/folder", "ledger": "memory", "keep_rate": 0.2}
    },
    "it is too slow": lambda: {
        "config": {**CONFIG, "scorer": "tests.unit.test_langchain:SlowScorer"},
        "deadline_ms": 300,
    },
    "the ledger is down": lambda: {
        "config": Compressor(CompressConfig(**CONFIG), store=FlakyStore(error=OSError, is_down=True))
    },
    "nobody knows whose it is": lambda: {"config": CONFIG, "namespace": _fails},
}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_reaches_the_agent(fault: str, way: str) -> None:
    model = scripted(TURNS[:2])
    ours = AgentCompressMiddleware(**FAULTS[fault](), on_error="ignore")
    state = run(create_agent(model, TOOLS, middleware=[ours]), way)
    assert state[-1].content == "Worker 3."
    assert_append_only(model)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_raised_where_that_is_asked_for(fault: str) -> None:
    ours = AgentCompressMiddleware(**FAULTS[fault](), on_error="raise")
    with pytest.raises(AgentCompressError):
        run(create_agent(scripted(TURNS[:2]), TOOLS, middleware=[ours]), "invoke")


def test_tools_that_can_not_be_counted_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    for model in (scripted(), scripted()):
        run(create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG)]), "invoke")
        sent.append([said(messages) for messages in model.sent])
        monkeypatch.setattr(middleware, "describe_tools", _fails)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_where_no_thread_is_to_be_had_the_event_loop_does_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class _None:
        def submit(self, *args: Any) -> Any:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "_pool", _None)
    model = scripted()
    run(create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG)]), way)
    assert len(str(model.sent[-1][2].content)) < 4000


def test_the_models_own_errors_are_its_own() -> None:
    for way in ("invoke", "ainvoke"):
        agent = create_agent(ScriptedChat(script=_fails), TOOLS, middleware=[AgentCompressMiddleware(CONFIG)])
        with pytest.raises(LookupError, match="whose is it"):
            run(agent, way)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_rate": 0}, "keep_rate must be a number in"),
        ({"on_error": "no"}, "on_error must be"),
        ({"namespace": 3}, "namespace must be a string"),
        ({"target_tokens": -1}, "target_tokens must be a whole number >= 1"),
        ({"recall": 1}, "recall must be true or false"),
        ({"config": Compressor(CompressConfig(**CONFIG)), "recall": True}, "with CompressConfig.recall=True"),
        ({"config": {"draft": ""}}, "draft must be a non-empty string"),
        ({"config": 7}, "config must be a CompressConfig"),
    ],
)
def test_bad_settings_of_the_middleware(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        AgentCompressMiddleware(**settings)


# Recall


def recalling(id_from: Callable[[Sequence[BaseMessage]], str]) -> ScriptedChat:
    """A model that reads a log, asks for what was omitted from it, and ends."""

    def script(messages: Sequence[BaseMessage]) -> AIMessage:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        if done == 0:
            return make_step(0, "logs", worker="a")
        return make_step(1, "recall", id=id_from(messages)) if done == 1 else AIMessage("Worker 3.")

    return ScriptedChat(script=script)


@pytest.mark.parametrize("way", WAYS)
def test_an_agent_recalls_what_was_omitted(way: str) -> None:
    model = recalling(lambda messages: ID.findall(str(messages[-1].content))[0])
    state = run(create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG, recall=True)]), way)
    assert sorted(model.offered[0]) == ["logs", "note", "picture", "query", "recall"]
    assert model.offered == [model.offered[0]] * 3
    asked = ID.findall(str(model.sent[1][-1].content))[0]
    head, _, text = str(model.sent[2][-1].content).partition("\n")
    assert head == f"[recalled {asked}]"
    first, last = (int(number) for number in asked.split(":")[1].split("-"))
    assert text == "".join(log("a").splitlines(keepends=True)[first - 1 : last])
    assert state[-2].content == model.sent[2][-1].content


def test_recall_is_offered_always_or_never() -> None:
    for recall in (True, False):
        model = scripted([])
        run(create_agent(model, TOOLS, middleware=[AgentCompressMiddleware(CONFIG, recall=recall)]), "invoke")
        assert ("recall" in model.offered[0]) is recall


@dataclass
class Context:
    tenant: str


def test_a_tenant_recalls_its_own_alone() -> None:
    shared = Compressor(CompressConfig(**CONFIG, recall=True))
    ids: list[str] = []

    def first_id(messages: Sequence[BaseMessage]) -> str:
        ids.append(ids[0] if ids else ID.findall(str(messages[-1].content))[0])
        return ids[0]

    answers = []
    for tenant in ("a", "b", "a"):
        model = recalling(first_id)
        ours = AgentCompressMiddleware(shared, recall=True, namespace=lambda context: context.tenant)
        agent = create_agent(model, TOOLS, middleware=[ours], context_schema=Context)
        run(agent, "invoke", context=Context(tenant))
        answers.append(str(model.sent[-1][-1].content))
    assert answers[0] == answers[2]
    assert answers[0].startswith("[recalled ")
    assert answers[1].startswith("Nothing is kept under ")


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_tenant_that_nobody_knows_gets_an_answer(way: str, caplog: pytest.LogCaptureFixture) -> None:
    model = recalling(lambda messages: "k7f2q9:1-2")
    ours = AgentCompressMiddleware(CONFIG, recall=True, namespace=lambda context: context.tenant)
    state = run(create_agent(model, TOOLS, middleware=[ours]), way)
    assert state[-1].content == "Worker 3."
    assert str(state[-2].content).startswith("k7f2q9:1-2 can't be looked up right now.")
    assert "nobody knows whose it is: AttributeError" in caplog.text


def test_the_tool_answers_bad_ids() -> None:
    found = recall_tool(Compressor(CompressConfig(**CONFIG, recall=True)))
    assert found.invoke({"id": "nothing"}).startswith("That is no id.")
    assert asyncio.run(found.ainvoke({"id": "abc123:1-2"})).startswith("Nothing is kept under abc123")
    schema = found.tool_call_schema.model_json_schema()  # pyrefly: ignore
    assert schema["required"] == ["id"]
    assert set(schema["properties"]) == {"id", "page"}


# The runnable

LOG = log("a")
TEXT = f"Which worker did most?\n\n<log>\n{LOG}</log>"
CHAT = [
    SystemMessage("Be terse."),
    HumanMessage("Which worker did most?"),
    make_step(1, "logs", worker="a"),
    ToolMessage(LOG, tool_call_id="call_1"),
]


def test_what_comes_out_is_what_went_in_but_shorter() -> None:
    shorten = CompressPrompt(CONFIG)
    assert len(shorten.invoke(TEXT)) < len(LOG) / 2
    value = shorten.invoke(ChatPromptTemplate.from_messages(CHAT).invoke({}))
    assert value.__class__.__name__ == "ChatPromptValue"
    assert len(value.messages[3].content) < len(LOG) / 2
    string = shorten.invoke(PromptTemplate.from_template("{text}").invoke({"text": TEXT}))
    assert string.__class__.__name__ == "StringPromptValue"
    assert string.text == shorten.invoke(TEXT)
    messages = shorten.invoke(CHAT)
    assert messages[:3] == CHAT[:3]
    assert messages == value.messages
    tuples = shorten.invoke([("system", "Be terse."), ("user", TEXT)])
    assert [type(message) for message in tuples] == [SystemMessage, HumanMessage]
    assert len(tuples[1].content) < len(LOG) / 2
    dicts = shorten.invoke([{"role": "user", "content": TEXT}])
    assert dicts == [{"role": "user", "content": tuples[1].content}]


def test_what_holds_nothing_to_compress_is_the_very_same() -> None:
    shorten = CompressPrompt(CONFIG)
    for prompt in ("", "short", [], CHAT[:3], ChatPromptTemplate.from_messages(CHAT[:2]).invoke({})):
        assert shorten.invoke(prompt) is prompt


@pytest.mark.parametrize("value", [3, None, {"messages": CHAT}, b"x"])
def test_an_input_that_is_no_prompt(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="input must be a string, a prompt value or a list of messages"):
        CompressPrompt(CONFIG).invoke(value)


def test_in_a_chain_in_all_ways() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be terse."), ("user", "{question}\n\n<log>\n{log}</log>")])
    model = ScriptedChat(script=lambda messages: AIMessage("Worker 3."))
    chain = prompt | CompressPrompt(CONFIG) | model
    given = {"question": "Which worker did most?", "log": LOG}

    async def streamed() -> str:
        return "".join([str(chunk.content) async for chunk in chain.astream(given)])

    assert chain.invoke(given).content == "Worker 3."
    assert asyncio.run(chain.ainvoke(given)).content == "Worker 3."
    assert [answer.content for answer in chain.batch([given] * 3)] == ["Worker 3."] * 3
    assert len(asyncio.run(chain.abatch([given] * 3))) == 3
    assert "".join(str(chunk.content) for chunk in chain.stream(given)) == "Worker 3. "
    assert asyncio.run(streamed()) == "Worker 3. "
    assert len(model.sent) == 10
    assert len({str(messages[1].content) for messages in model.sent}) == 1
    assert len(str(model.sent[0][1].content)) < len(LOG) / 2


class _Noting(BaseCallbackHandler):
    def __init__(self) -> None:
        self.runs: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.runs.append((kwargs.get("name"), kwargs.get("tags"), kwargs.get("metadata", {}).get("a")))


def test_arguments_of_the_chain_are_not_its_own() -> None:
    model = ScriptedChat(script=lambda messages: AIMessage("Worker 3."))
    chain = CompressPrompt(CONFIG) | model
    assert chain.invoke("Who?", stop=["x"]).content == "Worker 3."
    assert asyncio.run(chain.ainvoke("Who?", stop=["x"])).content == "Worker 3."
    assert CompressPrompt(CONFIG).bind(stop=["x"]).invoke("Who?") == "Who?"


def test_config_and_callbacks_are_passed_on() -> None:
    for way in ("invoke", "ainvoke"):
        noting = _Noting()
        config: Any = {"callbacks": [noting], "tags": ["t"], "metadata": {"a": 1}, "run_name": "shorten"}
        done = getattr(CompressPrompt(CONFIG), way)("short", config)
        assert (asyncio.run(done) if way == "ainvoke" else done) == "short"
        assert noting.runs == [("shorten", ["t"], 1)]


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_dumps_and_loads() -> None:
    shorten = CompressPrompt(CompressConfig(**CONFIG), keep_rate=0.4, target="claude-sonnet-4-5", on_receipt=print)
    assert shorten.is_lc_serializable()
    text = dumps(shorten)
    assert json.loads(text)["id"] == ["langchain_agentcompress", "CompressPrompt"]
    allowed = {"allowed_objects": [CompressPrompt]} if "allowed_objects" in inspect.signature(loads).parameters else {}
    back = loads(text, valid_namespaces=["langchain_agentcompress"], **allowed)
    assert back == CompressPrompt(CONFIG, keep_rate=0.4, target="claude-sonnet-4-5")
    assert back.invoke(TEXT) == shorten.invoke(TEXT)


def test_copies_and_pickles() -> None:
    shorten = CompressPrompt(CONFIG, keep_rate=0.4)
    for other in (
        copy.deepcopy(shorten),
        copy.copy(shorten),
        pickle.loads(pickle.dumps(shorten)),
        shorten.model_copy(),
    ):
        assert other == shorten
        assert other.invoke(TEXT) == shorten.invoke(TEXT)
    assert shorten != CompressPrompt(CONFIG, keep_rate=0.5)
    other = shorten.model_copy(update={"keep_rate": 0.05})
    assert (
        len(other.invoke(TEXT.replace("worker", "robot"))) < len(shorten.invoke(TEXT.replace("worker", "helper"))) / 3
    )
    other.keep_rate = 0.9
    assert len(other.invoke(TEXT.replace("worker", "server"))) > len(LOG) / 2


def test_a_rate_may_be_configured_by_call() -> None:
    shorten = CompressPrompt(CONFIG).configurable_fields(keep_rate=ConfigurableField(id="keep_rate"))
    sizes = [
        len(shorten.invoke(TEXT.replace("worker", name), {"configurable": {"keep_rate": rate}}))
        for name, rate in (("helper", 0.1), ("server", 0.7))
    ]
    assert sizes[0] < sizes[1] / 3


@pytest.mark.parametrize("make", [CompressPrompt, DraftDocumentCompressor])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_rat": 0.3}, "keep_rat must be absent .*config, target, keep_rate"),
        ({"keep_rate": "all"}, "keep_rate must be a number in"),
        ({"on_error": 3}, "on_error must be"),
        ({"config": "gpt-4o"}, "config must be a CompressConfig"),
        ({"config": {"ledger": 3}}, "ledger must be a non-empty string"),
        ({"target": 3}, "target must be a model LiteLLM knows"),
        ({"target": "no-such-model"}, "target must be a model LiteLLM knows"),
    ],
)
def test_bad_settings(make: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make(**settings)


def test_a_prompt_that_fails_goes_on_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    broken = {**CONFIG, "ledger": "memory", "segmenter": "tests.fakes:EmptySegmenter"}
    with caplog.at_level(logging.WARNING, "agentcompress"):
        assert CompressPrompt(broken).invoke(TEXT.replace("worker", "robot")) == TEXT.replace("worker", "robot")
    assert "don't tile the text" in caplog.text
    with pytest.raises(AgentCompressError):
        CompressPrompt(broken, on_error="raise").invoke(TEXT.replace("worker", "agent"))


# Documents

PROSE = " ".join(f"The {i}th keeper of the house wrote {i * 31 % 97} letters. None was sent." for i in range(60))
BEES = f"{PROSE} Mira Tolland keeps eleven beehives on the roof. {PROSE}"
DOCUMENTS = [
    Document(LOG, metadata={"source": "a.log", "page": 3}, id="1"),
    Document(PROSE, metadata={"source": "b.md"}),
    Document(BEES, metadata={"source": "c.md"}),
]
QUESTION = "Where does Mira Tolland keep her beehives?"


@pytest.mark.parametrize("way", ["sync", "async"])
def test_documents(way: str) -> None:
    compressor = DraftDocumentCompressor(CONFIG, keep_rate=0.05)
    before = copy.deepcopy(DOCUMENTS)
    if way == "sync":
        found = compressor.compress_documents(DOCUMENTS, QUESTION)
    else:
        found = asyncio.run(compressor.acompress_documents(DOCUMENTS, QUESTION))
    assert before == DOCUMENTS
    assert [document.metadata["source"] for document in found] == sorted(d.metadata["source"] for d in found)
    best = max(found, key=lambda document: document.metadata["agentcompress"]["score"])
    assert "eleven beehives on the roof" in best.page_content
    for document in found:
        said = document.metadata["agentcompress"]
        original = next(each for each in DOCUMENTS if each.metadata["source"] == document.metadata["source"])
        assert {**document.metadata, "agentcompress": 0} == {**original.metadata, "agentcompress": 0}
        assert document.id == original.id
        assert all(original.page_content[a:b] in document.page_content for a, b in said["spans"])
        assert 0 < said["tokens_after"] < said["tokens_before"]
    json.dumps([document.metadata for document in found])


def test_order_and_documents_of_which_nothing_is_left() -> None:
    by_score = DraftDocumentCompressor(CONFIG, target_tokens=60, order="score", drop_empty=False)
    found = by_score.compress_documents(DOCUMENTS, QUESTION)
    assert found[0].metadata["source"] == "c.md"
    assert [bool(document.page_content) for document in found] == [True, False, False]
    kept = DraftDocumentCompressor(CONFIG, target_tokens=60).compress_documents(DOCUMENTS, QUESTION)
    assert [document.metadata["source"] for document in kept] == ["c.md"]
    assert DraftDocumentCompressor(CONFIG).compress_documents([], QUESTION) == []


def test_behind_a_retriever_in_a_chain() -> None:
    compressor = DraftDocumentCompressor(CONFIG, keep_rate=0.1)
    chain = RunnableLambda(lambda query: DOCUMENTS) | (lambda found: compressor.compress_documents(found, QUESTION))
    assert any("eleven beehives" in document.page_content for document in chain.invoke(QUESTION))


def test_documents_that_can_not_be_compressed(caplog: pytest.LogCaptureFixture) -> None:
    broken = {**CONFIG, "scorer": "tests.fakes:BrokenScorer"}
    with caplog.at_level(logging.WARNING, "agentcompress"):
        found = DraftDocumentCompressor(broken, keep_rate=0.05).compress_documents(DOCUMENTS, QUESTION)
    assert "eleven beehives" in "".join(document.page_content for document in found)  # by BM25
    assert "documents are scored by BM25: ScoringError" in caplog.text
    slow = {**CONFIG, "scorer": "tests.unit.test_langchain:SlowScorer"}
    found = DraftDocumentCompressor(slow, keep_rate=0.05, deadline_ms=100).compress_documents(DOCUMENTS, QUESTION)
    assert "eleven beehives" in "".join(document.page_content for document in found)
    nothing: Any = None
    assert DraftDocumentCompressor(CONFIG).compress_documents(DOCUMENTS, nothing) is DOCUMENTS
    for config, query in ((broken, QUESTION), (CONFIG, nothing)):
        with pytest.raises(AgentCompressError):
            DraftDocumentCompressor(config, on_error="raise").compress_documents(DOCUMENTS, query)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"order": "date"}, 'order must be "document" or "score"'), ({"drop_empty": "no"}, "drop_empty must be true")],
)
def test_bad_settings_of_documents(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        DraftDocumentCompressor(**settings)


# Models and tools


def test_a_tools_schema_is_made_once() -> None:
    first, second = describe_tools([logs, {"type": "web_search"}]), describe_tools([logs])
    assert first[0]["function"]["name"] == "logs"
    assert first[0] is second[0]
    assert first[1] == {"type": "web_search"}


def test_tools_are_not_kept_alive() -> None:
    def made() -> weakref.ref[BaseTool]:
        @tool
        def short_lived(x: str) -> str:
            """Lives for one request."""
            return x

        describe_tools([short_lived])
        return weakref.ref(short_lived)

    kept = [made() for _ in range(20)]
    gc.collect()
    assert not [each for each in kept if each() is not None]


def test_importing_loads_neither_langchain_nor_torch() -> None:
    import subprocess
    import sys

    code = "import langchain_agentcompress, sys; print([m for m in ('langchain_core', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
    import langchain_agentcompress

    assert sorted(langchain_agentcompress.__all__) == [
        "AgentCompressMiddleware",
        "CompressPrompt",
        "DraftDocumentCompressor",
        "recall_tool",
    ]
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        langchain_agentcompress.nope  # noqa: B018
