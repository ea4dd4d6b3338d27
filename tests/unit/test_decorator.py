"""`@compressed`, `@compressed.tool`: every kind of function, the original where anything fails, no other change."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from pydantic import BaseModel

import agentcompress as package
from agentcompress import AgentCompressError, CompressConfig, Compressor, InvalidInputError, Receipt, compressed
from agentcompress.schema import Reading
from tests.fakes import conversation
from tests.texts_of_agents import make_log

LOG = make_log(200)
CONFIG = CompressConfig(scorer="lexical", ledger="memory", keep_rate=0.2)
BROKEN = CompressConfig(scorer="tests.fakes:BrokenScorer", ledger="memory")
MESSAGES = conversation(LOG)
PROMPT = f"Which worker did most?\n\n<log>\n{LOG}</log>"


def size(messages: Any) -> int:
    return len(messages[3]["content"])


@compressed(config=CONFIG)
def module_level(messages: list[Any]) -> int:
    """Says how long the last message is."""
    return size(messages)


@compressed.tool(config=CONFIG)
def module_tool(worker: str) -> str:
    return LOG


def test_a_function() -> None:
    assert module_level(MESSAGES) == module_level(messages=MESSAGES) < len(LOG) / 2
    assert size(MESSAGES) == len(LOG)


def test_it_looks_like_what_it_wraps() -> None:
    assert module_level.__name__ == "module_level"
    assert module_level.__doc__ == "Says how long the last message is."
    assert str(inspect.signature(module_level)) == "(messages: 'list[Any]') -> 'int'"
    assert module_level.__wrapped__(MESSAGES) == len(LOG)  # pyrefly: ignore
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    assert pickle.loads(pickle.dumps(module_tool)) is module_tool


def test_async_functions_and_generators() -> None:
    @compressed(config=CONFIG)
    async def later(messages: list[Any]) -> int:
        await asyncio.sleep(0)
        return size(messages)

    @compressed(config=CONFIG)
    def each(messages: list[Any]) -> Iterator[int]:
        got = yield size(messages)
        yield got
        return 7

    assert inspect.iscoroutinefunction(later)
    assert inspect.isgeneratorfunction(each)
    assert asyncio.run(later(MESSAGES)) < len(LOG) / 2
    generator = each(MESSAGES)
    assert next(generator) < len(LOG) / 2
    assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == 7


def test_an_async_generator_takes_what_is_sent_and_thrown_and_is_closed() -> None:
    seen: list[Any] = []

    @compressed(config=CONFIG)
    async def each(messages: list[Any]) -> AsyncIterator[Any]:
        try:
            seen.append((yield size(messages)))
            try:
                yield 1
            except ValueError as error:
                yield str(error)
            yield 2
        finally:
            seen.append("closed")

    async def drive() -> list[Any]:
        generator = each(MESSAGES)
        got = [
            await generator.asend(None),
            await generator.asend("hello"),
            await generator.athrow(ValueError("thrown")),
        ]
        await generator.aclose()
        return [*got, [item async for item in each(MESSAGES)]]

    first, *rest = asyncio.run(drive())
    assert inspect.isasyncgenfunction(each)
    assert first < len(LOG) / 2
    assert rest == [1, "thrown", [first, 1, 2]]
    assert seen == ["hello", "closed", None, "closed"]


def test_methods_of_all_kinds() -> None:
    class Agent:
        @compressed(config=CONFIG)
        def method(self, history: list[Any]) -> int:
            return size(history)

        @compressed(config=CONFIG)
        @classmethod
        def of_class(cls, messages: list[Any]) -> int:
            return size(messages)

        @staticmethod
        @compressed(config=CONFIG)
        def static(messages: list[Any]) -> int:
            return size(messages)

        @compressed(config=CONFIG)
        def __call__(self, messages: list[Any]) -> int:
            return size(messages)

    agent = Agent()
    assert agent.method(MESSAGES) == agent.of_class(MESSAGES) == agent.static(MESSAGES) == agent(MESSAGES)
    assert agent(MESSAGES) < len(LOG) / 2


class _Later:
    async def __call__(self, messages: list[Any]) -> int:
        return size(messages)


def test_an_object_that_is_called() -> None:
    assert asyncio.run(compressed(config=CONFIG)(_Later())(MESSAGES)) < len(LOG) / 2


@dataclass(frozen=True)
class State:
    messages: list[Any]


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (MESSAGES, size),
        (tuple(MESSAGES), size),
        (PROMPT, len),
        ({"model": "gpt-4o", "messages": MESSAGES}, lambda body: size(body["messages"])),
        ({"input": [{"role": "user", "content": PROMPT}]}, lambda body: len(body["input"][0]["content"])),
        ([HumanMessage(PROMPT)], lambda messages: len(messages[0].content)),
        (ChatPromptValue(messages=[HumanMessage(PROMPT)]), lambda value: len(value.messages[0].content)),
        (StringPromptValue(text=PROMPT), lambda value: len(value.text)),
    ],
)
def test_what_an_argument_may_be(value: Any, length: Any) -> None:
    seen = compressed(config=CONFIG)(lambda prompt: prompt)(value)
    assert length(seen) < len(LOG) / 2
    assert type(seen) is type(value)
    if isinstance(value, dict):
        assert {**seen, "messages": 0, "input": 0} == {**value, "messages": 0, "input": 0}


@pytest.mark.parametrize(
    "value", [None, 3, b"bytes", "", [], {}, {"messages": None}, {"other": 1}, Odd(), State([]), "short", MESSAGES[:1]]
)
def test_what_is_nothing_to_compress_is_the_very_same_object(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert compressed(config=CONFIG)(lambda prompt: prompt)(value) is value
    assert not caplog.records


def test_which_argument() -> None:
    def by_name(prompt: Any, messages: Any) -> Any:
        return prompt, messages

    def by_annotation(x: int, turn: list[BaseMessage]) -> Any:
        return turn

    def any_name(a: Any, b: Any = MESSAGES, *rest: Any, **more: Any) -> Any:
        return a, b, rest, more

    prompt, messages = compressed(config=CONFIG)(by_name)(PROMPT, MESSAGES)
    assert prompt is PROMPT
    assert size(messages) < len(LOG) / 2
    assert len(compressed(config=CONFIG)(by_annotation)(1, [HumanMessage(PROMPT)])[0].content) < len(LOG) / 2
    second = compressed(arg="b", config=CONFIG)(any_name)
    assert size(second(MESSAGES, MESSAGES)[0]) == len(LOG)
    assert size(second(0, MESSAGES, 1, x=2)[1]) < len(LOG) / 2
    assert second(0, MESSAGES, 1, x=2)[2:] == ((1,), {"x": 2})
    assert size(second(0)[1]) == len(LOG)  # its default is the function's own
    assert size(compressed(config=CONFIG)(any_name)(0, messages=MESSAGES)[3]["messages"]) < len(LOG) / 2
    assert size(compressed(arg="extra", config=CONFIG)(any_name)(0, extra=MESSAGES)[3]["extra"]) < len(LOG) / 2


def test_a_name_that_is_positional_alone_may_be_another_arguments_too() -> None:
    def function(messages: Any, /, **more: Any) -> Any:
        return messages, more

    first, more = compressed(config=CONFIG)(function)(MESSAGES, messages=MESSAGES)
    assert size(first) < len(LOG) / 2
    assert more["messages"] is MESSAGES


class Strange(dict[str, Any]):
    """Can't be read."""

    def get(self, *_: Any) -> Any:
        raise RuntimeError("mine")


class Guarded(BaseModel):
    @property
    def messages(self) -> Any:
        raise RuntimeError("mine")


@pytest.mark.parametrize("value", [Strange(), Guarded()])
def test_what_can_not_be_read_goes_on_as_it_is(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert compressed(config=CONFIG)(lambda prompt: prompt)(value) is value
    assert "going on with the original: RuntimeError: see the debug log" in caplog.text
    with pytest.raises(AgentCompressError, match="RuntimeError: mine"):
        compressed(config=CONFIG, on_error="raise")(lambda prompt: prompt)(value)


def test_causes_stand_in_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "agentcompress"):
        compressed(config=CONFIG)(lambda prompt: prompt)(Strange())
    assert 'raise RuntimeError("mine")' in caplog.text


def test_a_states_other_fields_are_no_part_of_the_request() -> None:
    receipts: list[Receipt] = []
    limited = compressed(config=CONFIG, target_tokens=6000, on_receipt=receipts.append)(lambda state: state)
    state = {"messages": MESSAGES, "tools": LOG * 9, "text": LOG * 9}
    assert {**limited(state), "messages": 0} == {**state, "messages": 0}
    assert receipts[0].rewritten_from is None
    assert receipts[0].skipped_because is None


def test_a_wrong_call_raises_what_the_function_raises() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        module_level(MESSAGES, nope=1)  # pyrefly: ignore
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        module_level()  # pyrefly: ignore


@pytest.mark.parametrize(
    ("decorate", "message"),
    [
        (lambda: compressed(arg="history")(lambda messages: 1), "arg must be one of messages"),
        (lambda: compressed(lambda x: 1), "arg must be given: .* has no argument named messages"),
        (lambda: compressed(keep_rate=2), "keep_rate must be a number in"),
        (lambda: compressed(keeprate=0.5), "keeprate must be absent .settings are: config, target, keep_rate"),
        (lambda: compressed(on_error="explode"), 'on_error must be "raise", "warn" or "ignore"'),
        (lambda: compressed(on_receipt=3), "on_receipt must be a function"),
        (lambda: compressed(config="gpt-4o"), "config must be a CompressConfig"),
        (lambda: compressed(config={"draf": "x"}), "draf must be absent"),
        (lambda: compressed(Odd), "function must be a function or method"),
        (lambda: compressed.tool(3), "function must be a function or method"),
        (lambda: compressed.tool(max), "function must be one whose signature can be read"),
        (lambda: compressed(star_args), "arg must be given"),
        (lambda: compressed(arg="messages")(star_args), "arg must be one of none, it has no arguments"),
        (lambda: compressed(target="no-such-model"), "target must be a model LiteLLM knows"),
        (lambda: compressed.tool(query_from="x")(lambda y: ""), "query_from must be one of y"),
        (lambda: compressed.tool(each_line), "function must be one that returns a text"),
        (lambda: compressed.tool(arg="x"), "arg must be absent"),
    ],
)
def test_bad_settings(decorate: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        decorate()


def star_args(*messages: Any) -> Any:
    return messages


def each_line(path: str) -> Iterator[str]:
    yield path


def test_a_failure_never_reaches_the_agent(caplog: pytest.LogCaptureFixture) -> None:
    endless: list[Any] = []
    endless.append(endless)
    strange = [{"role": "user", "content": LOG, "name": endless}]
    for on_error, warnings in (("warn", 1), ("ignore", 0)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "agentcompress"):
            assert compressed(config=CONFIG, on_error=on_error)(lambda messages: messages)(strange) is strange
        assert len(caplog.records) == warnings
    with pytest.raises(AgentCompressError, match="JSON-like throughout"):
        compressed(config=CONFIG, on_error="raise")(lambda messages: messages)(strange)


def test_a_scorer_that_fails_is_stepped_down_from_or_raised() -> None:
    assert size(compressed(config=BROKEN, keep_rate=0.2, on_error="ignore")(lambda messages: messages)(MESSAGES)) < 4000
    fresh = conversation(LOG.replace("worker", "helper"))
    with pytest.raises(AgentCompressError, match="out of memory"):
        compressed(config=BROKEN, keep_rate=0.2, on_error="raise")(lambda messages: messages)(fresh)


def test_what_is_no_error_of_ours_becomes_one_where_errors_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("inside")

    compressor = Compressor(CONFIG)
    monkeypatch.setattr(compressor, "compress_conversation", fail)
    assert compressed(config=compressor)(lambda messages: messages)(MESSAGES) is MESSAGES
    with pytest.raises(AgentCompressError, match="KeyError: 'inside'"):
        compressed(config=compressor, on_error="raise")(lambda messages: messages)(MESSAGES)


def test_the_functions_own_errors_are_its_own() -> None:
    @compressed(config=CONFIG)
    def broken(messages: list[Any]) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        broken(MESSAGES)


def test_receipts_and_a_listener_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    receipts: list[Receipt] = []
    compressed(config=CONFIG, target="claude-sonnet-4-5", on_receipt=receipts.append)(lambda messages: 0)(MESSAGES)
    assert receipts[0].target == "claude-sonnet-4-5"
    assert receipts[0].tokens_after < receipts[0].tokens_before
    failing = compressed(config=CONFIG, on_receipt=lambda receipt: 1 / 0)(lambda messages: messages)
    assert size(failing(MESSAGES)) < len(LOG) / 2
    assert "on_receipt: ZeroDivisionError" in caplog.text


def test_history_is_repeated_byte_for_byte() -> None:
    shared = Compressor(CONFIG)
    low = compressed(config=shared, keep_rate=0.1)(lambda messages: messages)
    high = compressed(config=shared, keep_rate=0.8)(lambda messages: messages)
    first = low(MESSAGES)
    more = [*MESSAGES, {"role": "assistant", "content": "Worker 3."}, {"role": "user", "content": "Sure?"}]
    assert high(more)[:4] == first


def test_decorated_twice_is_compressed_once() -> None:
    once = compressed(config=CONFIG)(lambda messages: messages)
    twice = compressed(config=CONFIG)(once)
    assert twice(MESSAGES) == once(MESSAGES)


def test_a_node_that_gives_back_what_it_was_given_does_not_shorten_it_again(tmp_path: Path) -> None:
    """A graph's state then holds what was sent; in a new process nobody knows that but the ledger."""
    code = (
        "import json, sys\n"
        "from agentcompress import CompressConfig, compressed\n"
        "config = CompressConfig(scorer='lexical', ledger=sys.argv[1], keep_rate=0.3, min_tokens=50)\n"
        "@compressed(config=config)\n"
        "def node(state): return [*state['messages'], {'role': 'assistant', 'content': 'ok'}]\n"
        "print(json.dumps(node({'messages': json.load(sys.stdin)})))"
    )
    messages = MESSAGES
    sent = []
    for _ in range(3):
        command = [sys.executable, "-c", code, str(tmp_path / "ledger.db")]
        done = subprocess.run(
            command, input=json.dumps(messages), capture_output=True, text=True, timeout=60, check=True
        )
        messages = [*json.loads(done.stdout), {"role": "user", "content": "And now?"}]
        sent.append(size(messages))
    assert sent[0] == sent[1] == sent[2] < len(LOG) / 2


def test_one_namespace_does_not_read_anothers_decisions() -> None:
    shared = Compressor(CONFIG)
    receipts: list[Receipt] = []
    for name in ("a", "b", "a"):
        compressed(config=shared, namespace=name, on_receipt=receipts.append)(lambda messages: 0)(MESSAGES)
    assert [receipt.blocks[0].decision for receipt in receipts] == ["new", "new", "replayed"]


def test_a_tool() -> None:
    short = module_tool("17")
    assert len(short) < len(LOG) / 2
    assert "omitted]" in short
    assert module_tool("17") == module_tool(worker="17") == short


class Noting:
    """Scores nothing, and notes what it was asked."""

    def __init__(self, queries: list[str]) -> None:
        self.queries = queries

    def score(self, segment: Any, reading: Reading) -> np.ndarray:
        self.queries.append(reading.query)
        return np.zeros(len(segment.units))


def test_a_tools_query_is_what_its_arguments_say() -> None:
    queries: list[str] = []

    compressor = Compressor(CONFIG)
    compressor.scorer = Noting(queries)

    def grep(pattern: str, path: str = "src", *, deep: bool = True) -> str:
        return LOG + path + pattern

    class Files:
        @compressed.tool(query_from="pattern", config=compressor)
        def grep(self, pattern: str) -> str:
            return LOG + pattern

    compressed.tool(query_from="pattern", config=compressor)(grep)("def main", "lib")
    compressed.tool(query_from=["path", "pattern"], config=compressor)(grep)("def main", "lib2")
    compressed.tool(query_from=lambda said: f"why {said['pattern']}?", config=compressor)(grep)("it fails")
    compressed.tool(config=compressor)(grep)("x", deep=False)
    Files().grep("in a method")
    assert queries == [
        'Task: def main\nLast action: grep {"pattern": "def main", "path": "lib", "deep": true}',
        'Task: lib2 def main\nLast action: grep {"pattern": "def main", "path": "lib2", "deep": true}',
        'Task: why it fails?\nLast action: grep {"pattern": "it fails", "path": "src", "deep": true}',
        'Task: \nLast action: grep {"pattern": "x", "path": "src", "deep": false}',
        'Task: in a method\nLast action: grep {"pattern": "in a method"}',
    ]


def test_a_tools_other_arguments() -> None:
    queries: list[str] = []
    compressor = Compressor(CONFIG)
    compressor.scorer = Noting(queries)

    def any_name(**kwargs: Any) -> str:
        return LOG + str(kwargs)

    def odd_keys(table: Any) -> str:
        return LOG + str(table)

    compressed.tool(query_from="pattern", config=compressor)(any_name)(pattern="def main")
    compressed.tool(config=compressor)(odd_keys)({(1, 2): 3})
    assert queries == [
        'Task: def main\nLast action: any_name {"pattern": "def main"}',
        'Task: \nLast action: odd_keys {"table": "{(1, 2): 3}"}',
    ]


def test_a_sync_wrapper_around_an_async_tool() -> None:
    async def fetch(url: str) -> str:
        return LOG + url

    @compressed.tool(config=CONFIG)
    @functools.wraps(fetch)
    def retried(*args: Any, **kwargs: Any) -> Any:
        return fetch(*args, **kwargs)

    assert len(asyncio.run(retried("x"))) < len(LOG) / 2


def test_an_async_tool_and_results_that_are_no_long_texts() -> None:
    @compressed.tool(config=CONFIG)
    async def fetch(url: str) -> Any:
        return {"long": LOG, "short": "ok", "empty": "", "none": None, "list": [LOG]}[url]

    results = {url: asyncio.run(fetch(url)) for url in ("long", "short", "empty", "none", "list")}
    assert len(results.pop("long")) < len(LOG) / 2
    assert results == {"short": "ok", "empty": "", "none": None, "list": [LOG]}


def test_a_tool_that_can_not_be_compressed_returns_what_it_found(caplog: pytest.LogCaptureFixture) -> None:
    def asks(_: Mapping[str, Any]) -> str:
        raise LookupError("no query")

    text = f"once {LOG}"
    assert compressed.tool(query_from=asks, config=CONFIG)(lambda x: text)("a") is text
    assert "LookupError" in caplog.text
    with pytest.raises(AgentCompressError, match="no query"):
        compressed.tool(query_from=asks, config=CONFIG, on_error="raise")(lambda x: text)("a")


def test_what_a_tool_has_cut_the_agents_door_leaves_alone() -> None:
    short = module_tool("18")
    messages = conversation(short)
    config = CompressConfig(scorer="lexical", ledger="memory", keep_rate=0.2, min_tokens=1)
    assert compressed(config=config)(lambda messages: messages)(messages) == messages


def test_type_checkers_see_the_original_signatures(tmp_path: Path) -> None:
    file = tmp_path / "typed.py"
    file.write_text(
        "from collections.abc import AsyncIterator\n"
        "from agentcompress import compressed\n"
        "@compressed\n"
        "def a(messages: list[dict[str, str]], n: int = 1) -> str: return ''\n"
        "@compressed(arg='history', keep_rate=0.3)\n"
        "async def b(history: str) -> int: return 1\n"
        "@compressed.tool(query_from='pattern')\n"
        "def c(pattern: str, path: str = '.') -> str: return ''\n"
        "class D:\n"
        "    @compressed\n"
        "    async def e(self, messages: list[str]) -> AsyncIterator[str]:\n"
        "        yield ''\n"
        "x: str = a([], n=2)\n"
        "async def main() -> None:\n"
        "    y: int = await b('x')\n"
        "    async for z in D().e([]): z.upper()\n"
        "c('x', 3)\n"
        "a(n='x')\n"
    )
    config = Path(package.__file__).parents[1] / "pyproject.toml"
    options = ["--output-format", "min-text", "--config", str(config)]
    done = subprocess.run(
        [sys.executable, "-m", "pyrefly", "check", str(file), *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 3, done.stdout
    assert ":17:" in errors[0]
    assert ":18:" in errors[1]
    assert ":18:" in errors[2]
