"""LangChain for real: thirty steps over three processes with the real draft, real clients, the examples."""

from __future__ import annotations

import bisect
import calendar
import configparser
import importlib
import json
import queue
import sched
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_agentcompress import AgentCompressMiddleware, DraftDocumentCompressor
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage, messages_from_dict
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentcompress import CompressConfig, Compressor, Receipt
from agentcompress.ledger.memory import MemoryStore
from tests.agent_run import ASKS_AT, DIES_AT, STEPS
from tests.provider import Provider
from tests.texts_of_agents import DATED_LOG
from tests.upstream import Upstream

pytestmark = pytest.mark.integration

MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}
MODULES = [configparser, textwrap, shlex, sched, queue, bisect, calendar]


def go_on(folder: Path, **settings: Any) -> int:
    command = [sys.executable, "-m", "tests.agent_run", str(folder), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode in (0, 9), done.stderr[-3000:]
    return done.returncode


def said(message: dict[str, Any]) -> Any:
    """What a provider is sent of a dumped message."""
    data = message["data"]
    return message["type"], data["content"], data.get("tool_calls"), data.get("tool_call_id")


def results_of(messages: list[Any]) -> list[dict[str, Any]]:
    return [message["data"] for message in messages if message["type"] == "tool"]


def source(module: Any) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@pytest.fixture(scope="module")
def run_of_thirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[Any]]:
    """Requests and the last state of a run that is interrupted, goes on elsewhere, dies, and goes on elsewhere."""
    folder = tmp_path_factory.mktemp("agent")
    (folder / "project").mkdir()
    for module in MODULES:
        shutil.copy(str(module.__file__), folder / "project")
    assert go_on(folder, keep_rate=0.3) == 0
    assert not (folder / "project" / "notes.txt").exists()
    assert go_on(folder, keep_rate=0.7, scorer="lexical") == 9
    assert go_on(folder, keep_rate="auto") == 0
    requests = [json.loads(line) for line in (folder / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    return requests, json.loads((folder / "state.json").read_text(encoding="utf-8"))


def test_thirty_steps_are_prefix_monotone(run_of_thirty: tuple[list[Any], list[Any]]) -> None:
    requests, state = run_of_thirty
    assert len(requests) >= STEPS + 1
    assert state[-1]["data"]["content"] == "Done."
    longest: list[Any] = []
    for request in requests:
        sent = [said(message) for message in request["messages"]]
        shared = min(len(sent), len(longest))
        assert sent[:shared] == longest[:shared]
        longest = max(sent, longest, key=len)
    assert all(request["tools"] == requests[0]["tools"] for request in requests)
    assert "recall" in requests[0]["tools"]
    assert (ASKS_AT, DIES_AT) == (10, 20)


def test_the_state_holds_the_originals_and_requests_are_shorter(run_of_thirty: tuple[list[Any], list[Any]]) -> None:
    requests, state = run_of_thirty
    sent = {result["tool_call_id"]: result for result in results_of(requests[-1]["messages"])}
    results = results_of(state)
    assert len(results) == STEPS
    files = [source(module) for module in MODULES]
    read = [result for result in results if result["name"] == "read_file"]
    assert read
    assert all(result["content"] in files for result in read)
    cut = [result for result in results if sent[result["tool_call_id"]]["content"] != result["content"]]
    assert len(cut) >= 10
    for result in results:
        assert {**sent[result["tool_call_id"]], "content": 0} == {**result, "content": 0}
    whole, short = (sum(len(text_of(each["content"])) for each in group) for group in (results, sent.values()))
    assert short < 0.6 * whole


def test_recall_brings_back_exact_bytes(run_of_thirty: tuple[list[Any], list[Any]]) -> None:
    _, state = run_of_thirty
    results = results_of(state)
    recalled = [text_of(result["content"]) for result in results if result["name"] == "recall"]
    originals = [text_of(result["content"]) for result in results if result["name"] != "recall"]
    assert len(recalled) >= 3
    for answer in recalled:
        head, _, page = answer.partition("\n")
        assert head.startswith("[recalled ")
        assert page
        first, _, last = head.removesuffix("]").split(",")[0].partition(":")[2].partition("-")
        found = [text for text in originals if page in text]
        assert found
        if first and ", page" not in head:
            exact = ["".join(text.splitlines(keepends=True)[int(first) - 1 : int(last)]) for text in found]
            assert page in exact


@tool
def read_log(name: str) -> str:
    """Read a log."""
    return f"{name}\n{DATED_LOG}"


def model_of(provider: str, server: Upstream) -> Any:
    if provider == "openai":
        return ChatOpenAI(model=MODELS[provider], base_url=f"{server.url}/v1", api_key="x", max_retries=0)  # pyrefly: ignore
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options: Any = {"thinking": thinking, "max_tokens": 2048, "max_retries": 0}
    return ChatAnthropic(model=MODELS[provider], base_url=server.url, api_key="x", **options)


@pytest.mark.sockets
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the clients leave their connections to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_real_clients_send_is_accepted_by_a_strict_provider(provider: str, server: Upstream) -> None:
    receipts: list[Receipt] = []
    bodies = []
    config = CompressConfig(scorer="lexical", keep_rate=0.2)
    ours = AgentCompressMiddleware(Compressor(config, store=MemoryStore()), on_receipt=receipts.append)
    caching = [AnthropicPromptCachingMiddleware()] if provider == "anthropic" else []
    for middleware in ([ours, *caching], caching):
        server.bodies.clear()
        server.calls[:] = [("read_log", {"name": f"{n}.log"}) for n in range(5)]
        agent: Any = create_agent(
            model_of(provider, server), [read_log], middleware=middleware, system_prompt="Be terse."
        )
        state = agent.invoke({"messages": [("user", "Which worker was slow?")]})
        assert "All is well." in str(state["messages"][-1].content)
        bodies.append([body for _, body in server.bodies])
    assert [receipt.target for receipt in receipts] == [f"{provider}/{MODELS[provider]}"] * 6
    strict = Provider(provider)
    for number, (sent, meant) in enumerate(zip(*bodies, strict=True)):
        assert strict.send(sent["messages"], meant["messages"]) is None
        assert {**sent, "messages": 0} == {**meant, "messages": 0}
        if provider == "anthropic":
            strict.bind(f"signed_{4 - number}")
    assert strict.rewrites == 0
    assert len(json.dumps(bodies[0][-1])) < 0.4 * len(json.dumps(bodies[1][-1]))


def test_documents_with_the_real_draft() -> None:
    compressor = DraftDocumentCompressor(CompressConfig(ledger="memory"), keep_rate=0.1)
    documents = [
        Document(Path(str(module.__file__)).read_text(encoding="utf-8")[:6000], metadata={"source": module.__name__})
        for module in MODULES
    ]
    found = compressor.compress_documents(documents, "Which class schedules events, and by what is its queue ordered?")
    best = max(found, key=lambda document: document.metadata["agentcompress"]["score"])
    assert best.metadata["source"] == "sched"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("langgraph_agent", "At most 10; _interpolate_some checks it."),
        ("plain_loop", "isEnabledFor; manager.disable and the level"),
    ],
)
def test_examples(name: str, expected: str) -> None:
    answer = importlib.import_module(f"examples.{name}").main()
    assert (answer if isinstance(answer, str) else answer[0]) == expected


def test_the_example_over_documents() -> None:
    answer, seen = importlib.import_module("examples.rag_chain").main()
    assert answer
    assert "AGENTCOMPRESS_LEDGER" in "".join(document.page_content for document in seen)
    assert sum(document.metadata["agentcompress"]["tokens_after"] for document in seen) <= 800


def test_a_tool_message_survives_being_dumped() -> None:
    """What the run above compares is what LangChain keeps."""
    message = ToolMessage("x", tool_call_id="1", artifact={"a": 1}, status="error")
    assert messages_from_dict([{"type": "tool", "data": message.model_dump()}]) == [message]
