"""Replaying recorded agents: what counts as a rewrite, and that there is none."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentcompress.cli.main import main
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.replay.replay import Step, replay_file, to_wire
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.formats import WIRES
from agentcompress.schema import Reading
from tests import fakes
from tests.texts_of_agents import LOG, RECORDED

compressor = partial(fakes.compressor, min_tokens=200, keep_rate=0.1)


def written(tmp_path: Path, *contexts: Any) -> Path:
    path = tmp_path / "agent.jsonl"
    path.write_text(
        "\n".join(json.dumps({"id": f"t{i}", "context": c}) for i, c in enumerate(contexts)), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("name", WIRES)
def test_every_request_begins_with_the_one_before(name: str, tmp_path: Path) -> None:
    steps = [step for step in replay_file(written(tmp_path, RECORDED), compressor(), name) if isinstance(step, Step)]
    assert [(step.new, step.replayed) for step in steps] == [(0, 0), (1, 0), (1, 1), (1, 2), (0, 3)]
    assert not any(step.is_rewrite for step in steps)
    assert [step.previous_bytes > 0 for step in steps] == [False, True, True, True, True]
    assert steps[-1].tokens_sent < 0.4 * steps[-1].tokens_raw


def test_a_rewrite_is_found_out(tmp_path: Path) -> None:
    class Forgetful(MemoryStore):
        def get(self, key: str) -> None:
            return None

        def put(self, key: str, decision: Any) -> Any:
            return decision

    mine = fakes.compressor(Forgetful(), scorer="tests.unit.test_replay:Fickle", min_tokens=200)
    steps = [step for step in replay_file(written(tmp_path, RECORDED), mine, "openai") if isinstance(step, Step)]
    assert any(step.is_rewrite for step in steps)


class Fickle:
    """Never the same twice."""

    calls = 0

    def score(self, segment: Any, reading: Reading) -> Any:
        import numpy as np

        Fickle.calls += 1
        return np.random.default_rng(Fickle.calls).normal(size=len(segment.units))


@pytest.mark.parametrize("name", WIRES)
def test_calls_and_results_are_paired(name: str) -> None:
    parts = [part for part in WIRES[name].find_texts(to_wire(RECORDED, name)) if part.role == "tool"]
    assert [part.tool for part in parts] == ["read", "a", "b", "act"]
    assert [part.text for part in parts] == [LOG, "one", LOG + "!", LOG + "?"]
    assert parts[0].said == "I look."


def test_from_the_command_line(tmp_path: Path) -> None:
    references = [
        *RECORDED[:4],
        {"role": "assistant", "content": "", "tool_calls": [{"name": "kill", "arguments": {"id": "137"}}]},
    ]
    path = written(tmp_path, RECORDED, references, [{"role": "user", "content": "Hello."}])
    command = ["replay", str(path), "-s", "lexical", "-k", "0.1", "--recall", "--json", str(tmp_path / "out.json")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    out = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    totals = json.loads(result.output.splitlines()[-1])
    assert {**totals, "by_step": out["by_step"]} == out
    assert (out["steps"], out["rewrites"]) == (8, 0)
    assert 0 < out["tokens_sent"] < out["tokens_raw"]
    assert 0 <= out["recall"] <= 1
    assert "t0 2: " in result.output


@pytest.mark.parametrize("context", ["text", [1], [{"content": "x"}]])
def test_what_is_no_trajectory_names_its_line(context: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"agent.jsonl line 2 must be a trajectory"):
        list(replay_file(written(tmp_path, RECORDED, context), compressor(), "openai"))


def test_a_format_that_is_none() -> None:
    with pytest.raises(InvalidInputError, match="format must be one of openai, responses, anthropic"):
        to_wire(RECORDED, "xml")


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
def test_of_what_is_sent_whole_all_is_recalled(name: str, tmp_path: Path) -> None:
    words = [f"{a}{b}_{c}" for a in "abcdefg" for b in "hijklmn" for c in "opqrst"]
    noise = "\n".join(f"line {n} of {word}" for n, word in enumerate(words))  # what is wanted is not odd among these
    context = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Mend it."},
        {"role": "tool", "content": f"{noise}\nline 7 of no_call_of_mine\n{noise}"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "run", "arguments": {"x": "no_call_of_mine"}}]},
        {"role": "tool", "content": f"{noise}\nline 7 of first_thing_here\n{noise}"},
        {"role": "tool", "content": f"{noise}\nline 7 of second_thing_here\n{noise}"},
        {"role": "assistant", "content": "`first_thing_here` and `second_thing_here`"},
        {"role": "user", "content": "Go on."},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": "a", "context": context}))

    def recalls(**settings: Any) -> list[float]:
        mine = compressor(**settings)
        return [found for found in replay_file(path, mine, name, recall=True) if isinstance(found, float)]

    assert recalls(keep_rate=1.0) == [1.0, 1.0, 1.0]
    assert sum(recalls(scorer="random", keep_rate=0.05)) < 3
