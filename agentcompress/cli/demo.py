"""The demo: a real failing test run and the sources its traceback names, compressed and answered from."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

from agentcompress.common.checks import checked_keep_rate
from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.errors import AgentCompressError
from agentcompress.results import CompressedMessages
from agentcompress.targets.counting import get_token_counter

TASK = "Our settings test fails. Run it, read the sources that the traceback names, and then answer my question."
QUESTION = (
    "configparser raised InterpolationDepthError for settings that refer to each other. "
    "What is the maximum interpolation depth it allows? Answer with the line that sets it."
)
EVIDENCE = "MAX_INTERPOLATION_DEPTH = 10"

_TESTS = textwrap.dedent(
    '''
    """Settings that refer to each other: a chain of N values, resolved from its last."""
    import configparser
    import unittest

    def chain(length):
        parser = configparser.ConfigParser()
        parser["paths"] = {f"step{i}": f"%(step{i - 1})s/{i}" for i in range(1, length + 1)} | {"step0": "/srv"}
        return parser.get("paths", f"step{length}")

    class SettingsTest(unittest.TestCase):
        pass

    def add(length, times):
        def test(self):
            self.assertTrue(chain(length).startswith("/srv"))
        setattr(SettingsTest, f"test_chain_of_{length:02d}_settings_resolves_{times:02d}", test)

    for length in range(1, 10):
        for times in range(16):
            add(length, times)
    add(14, 0)

    if __name__ == "__main__":
        unittest.main(verbosity=2)
    '''
).lstrip()
_FRAME = re.compile(r'File "([^"]+)", line \d+')


class DemoError(AgentCompressError):
    """The demo's context can't be made, or its target does not answer."""


class _Context(NamedTuple):
    messages: list[dict[str, Any]]
    sources: list[Path]


class DemoResult(NamedTuple):
    """What the demo found.

    whole: the target's tokens of all tool results before compression. draft_s, target_s: seconds of either model.
    """

    context: _Context
    compressed: CompressedMessages
    whole: int
    draft_s: float
    target_s: float
    answer: str


def compress_and_ask(*, target: str, keep_rate: float, draft: str) -> DemoResult:
    """Do everything that takes time: make the context, compress it, and have the target answer."""
    keep_rate = checked_keep_rate(keep_rate)
    counter = get_token_counter(target)
    context = build_context()
    compressor = Compressor(CompressConfig(draft=draft, keep_rate=keep_rate, min_tokens=256, ledger="memory"))
    started = time.perf_counter()
    compressed = compressor.compress(context.messages, target=target)
    draft_s = time.perf_counter() - started
    started = time.perf_counter()
    answer = _ask_target(target, compressed.messages)
    target_s = time.perf_counter() - started
    whole = sum(counter.count(text) for text in _list_tool_texts(context.messages))
    return DemoResult(context, compressed, whole, draft_s, target_s, answer)


def build_context() -> _Context:
    """Run the failing test with this Python and read the sources its traceback names: an agent's messages."""
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test_settings.py"
        test.write_text(_TESTS, encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, test.name], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        log = ran.stderr + ran.stdout
        named = dict.fromkeys(Path(name) for name in _FRAME.findall(log))
        sources = [file for file in named if file.is_file() and not file.is_relative_to(folder)]
        sources = [file for file in sources if "unittest" not in file.parts]
        calls = [("run_tests", {"command": f"python {test.name}"}, log)]
        calls += [("read_file", {"path": file.name}, file.read_text(encoding="utf-8")) for file in sources]
    if ran.returncode == 0 or EVIDENCE not in "".join(text for _, _, text in calls):
        raise DemoError(f"Python {sys.version.split()[0]} does not fail this test as the demo expects")
    messages: list[dict[str, Any]] = [{"role": "user", "content": TASK}]
    for number, (name, arguments, result) in enumerate(calls):
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": result})
    messages.append({"role": "user", "content": QUESTION})
    return _Context(messages, sources)


def _ask_target(target: str, messages: list[dict[str, Any]]) -> str:
    import litellm

    from agentcompress.targets import embedded

    embedded.register_embedded()
    try:
        reply: Any = litellm.completion(model=target, messages=messages, max_tokens=64, stop=["\n\n"])
    except Exception as error:
        raise DemoError(f"target {target!r} did not answer: {error}") from error
    return reply.choices[0].message.content or ""


def _list_tool_texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "tool"]


def show_result(result: DemoResult) -> None:
    """Print what the demo found: tokens, times, whether the evidence survived, and the answer."""
    from rich.console import Console
    from rich.markup import escape
    from rich.panel import Panel
    from rich.text import Text

    console = Console(highlight=False)
    receipt, whole = result.compressed.receipt, result.whole
    kept = sum(block.tokens_after for block in receipt.blocks)
    survived = [text for text in _list_tool_texts(result.compressed.messages) if EVIDENCE in text]
    names = ", ".join(file.name for file in result.context.sources)
    console.print(f"[bold]context[/]   a failing test run's log and {names}: {whole:,} tokens")
    console.print(f"[bold]asked[/]     {escape(QUESTION)}")
    console.print(f"[bold]tokens[/]    {whole:,} -> {kept:,} ({kept / whole:.1%}) in {receipt.target}'s tokens")
    for block in receipt.blocks:
        console.print(f"          {block.tool}: {block.tokens_before:,} -> {block.tokens_after:,} ({block.decision})")
    console.print(f"[bold]seconds[/]   {result.draft_s:.1f} draft (loading included), {result.target_s:.1f} target")
    verdict = "[green]survived[/]" if survived else "[red]lost[/]"
    console.print(f"[bold]evidence[/]  {escape(EVIDENCE)}: {verdict}")
    console.print(f"[bold]answer[/]    {escape(result.answer)}")
    if survived:
        console.print(Panel(_cut_around(Text(survived[0]), EVIDENCE), title="kept text around the evidence"))


def _cut_around(text: Any, evidence: str, lines: int = 8) -> Any:
    """Cut out the lines around the evidence: the evidence in green, delimiters dimmed."""
    text.highlight_regex(re.escape(evidence), "bold green")
    text.highlight_regex(r"\[(?:\.\.\.|…)[^\[\]\n]*\]", "dim cyan")
    rows = text.split("\n")
    at = next(i for i, row in enumerate(rows) if evidence in row.plain)
    return type(text)("\n").join(rows[max(0, at - lines) : at + lines + 1])
