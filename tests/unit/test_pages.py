"""README and docs hold what is there: names, arguments, commands with their options, make's targets."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agentcompress import CompressConfig, Compressor
from agentcompress.cli.main import main
from tests.fakes import conversation
from tests.pages import PAGES, ROOT, Fence, commands, fences
from tests.texts_of_agents import LOG

OURS = ("agentcompress", "langchain_agentcompress", "litellm_agentcompress")
PYTHON = [fence for page in PAGES for fence in fences(page, "python")]
COMMANDS = commands("agentcompress")


def test_there_is_something_to_read() -> None:
    assert len(PYTHON) >= 15
    assert len(COMMANDS) >= 15
    assert {fence.page.name for fence in PYTHON} >= {"README.md", "quickstart.md", "langchain.md", "litellm.md"}


@pytest.mark.parametrize("fence", PYTHON, ids=str)
def test_names_and_arguments_are_there(fence: Fence) -> None:
    known: dict[str, object] = {}
    tree = ast.parse(fence.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            module = importlib.import_module(node.module or "")
            known |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in OURS:
                    known[alias.asname or alias.name] = importlib.import_module(alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            known[ast.unparse(node)] = getattr(known[node.value.id], node.attr)
    known.setdefault("CompressConfig", CompressConfig)  # some fences go on where another stopped
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (called := known.get(ast.unparse(node.func))) is not None:
            named = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            if called is CompressConfig:
                assert set(named) <= set(CompressConfig.model_fields), ast.unparse(node)
            else:
                inspect.signature(called).bind_partial(**named)  # type: ignore[arg-type]


def _leaves(command: click.Command) -> Iterator[click.Command]:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _leaves(child)
    else:
        yield command


@pytest.mark.parametrize(
    ("where", "arguments"), COMMANDS, ids=[f"{at} {' '.join(words[:2])}" for at, words in COMMANDS]
)
def test_commands_take_their_arguments(
    where: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in arguments:
        if Path(word).suffix in {".jsonl", ".json", ".log"}:
            Path(word).touch()
        elif word.startswith("~"):
            Path(word).mkdir(parents=True)
    called = []
    for command in _leaves(main):
        monkeypatch.setattr(command, "callback", lambda **options: called.append(options))
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, len(called)) == (0, 1), f"{where}: {result.output}"


def test_every_command_is_in_the_docs() -> None:
    shown = {tuple(words[:2]) for _, words in COMMANDS} | {(words[0],) for _, words in COMMANDS}
    for name, command in main.commands.items():
        if name not in ("demo",):  # shown as `make demo`
            assert (name,) in shown, name
        assert "\n## agentcompress " + name + "\n" in (ROOT / "docs/cli.md").read_text(encoding="utf-8"), command


def test_commands_that_need_no_draft_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTCOMPRESS_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("AGENTCOMPRESS_CACHE", str(tmp_path))
    config = CompressConfig(scorer="lexical", keep_rate=0.2, receipts="receipts.jsonl", ledger="auto")
    Compressor(config).compress(conversation(LOG), target="gpt-4o")
    ran = set()
    for where, arguments in COMMANDS:
        if arguments[0] in ("report", "ledger") or arguments == ["draft", "list"]:
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, f"{where}: {result.output}"
            ran.add(" ".join(arguments))
            if arguments == ["ledger", "stats"]:
                assert json.loads(result.stdout)["decisions"] == 1
    assert {"report receipts.jsonl", "ledger stats", "draft list"} <= ran


def test_targets_of_make_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {words[0] for _, words in commands("make")}
    assert {"demo", "test"} <= shown <= targets
