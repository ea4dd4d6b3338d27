"""The demo, from its failing test to its last line; with the real draft it is `make demo`."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from agentcompress.cli import demo
from agentcompress.cli.main import main


def test_what_the_demo_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(target: str, messages: list[dict[str, str]]) -> str:
        asked.append(messages[-1]["content"])
        return "[10]"

    monkeypatch.setattr(demo, "_ask_target", answer)
    result = CliRunner().invoke(main, ("demo", "--target", "gpt-4o", "--keep-rate", "1"))  # nothing is cut or scored
    assert result.exit_code == 0, result.output
    lines = " ".join(result.stdout.split())
    order = ("context a failing test run's log and configparser.py: ", "asked configparser raised", "tokens ")
    order += ("(100.0%) in gpt-4o's tokens", "seconds ", f"evidence {demo.EVIDENCE}: survived", "answer [10]")
    at = 0
    for shown in (*order, "kept text around the evidence"):
        assert shown in lines[at:]
        at = lines.index(shown, at)
    assert lines.startswith(order[0])
    assert asked == [demo.QUESTION]


def test_a_target_that_does_not_answer(tiny_draft: str) -> None:
    result = CliRunner().invoke(main, ("demo", "--target", f"embedded/{tiny_draft}", "--keep-rate", "1"))
    assert result.exit_code == 4
    assert "did not answer" in result.stderr
    assert "exceed the window of 512" in result.stderr
    assert result.stdout == ""


def test_a_python_that_does_not_fail_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = SimpleNamespace(stderr="OK\n", stdout="", returncode=0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ran)
    with pytest.raises(demo.DemoError, match="does not fail this test as the demo expects"):
        demo.build_context()
