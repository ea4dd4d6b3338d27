"""What recorded agents would have cost in several ways: billed as by hand, and the baselines do what theirs do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agentcompress.cli.main import main
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.replay import cost_report, ways
from agentcompress.evaluation.replay.costs import CostReport, Costs
from agentcompress.evaluation.replay.ways import DEFAULT, build_way
from tests.fakes import compressor
from tests.texts_of_agents import make_log

LOG = make_log(120, "worker {i} did {jobs} jobs in job_{i}")


def trajectory(steps: int = 6) -> dict[str, Any]:
    """An agent that puts one string of every result to use in its next step."""
    context: list[dict[str, Any]] = [
        {"role": "system", "content": "You are careful. " * 300},
        {"role": "user", "content": "Which worker was slow?"},
    ]
    for i in range(steps):
        arguments = {"id": f"s{i - 1}_job_{7 * i}"} if i else {"id": "all"}
        context.append({"role": "assistant", "content": "", "tool_calls": [{"name": "read", "arguments": arguments}]})
        context.append({"role": "tool", "content": LOG.replace("job_", f"s{i}_job_")})
    return {"id": "t", "context": [*context, {"role": "assistant", "content": "Done."}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "agents.jsonl"
    made.write_text(json.dumps(trajectory()) + "\n", encoding="utf-8")
    return made


def run(file: Path, *names: str, targets: tuple[str, ...] = ("claude-sonnet-4-6",), gap_s: float = 30.0) -> CostReport:
    shared = compressor()
    return Costs({name: build_way(name, shared) for name in names}, targets, gap_s).run([file])


def test_everything_costs_what_its_messages_do(file: Path) -> None:
    [way] = run(file, "everything").ways
    [cost] = way.costs
    assert (way.requests, way.rewrites, way.recall) == (7, 0, 1.0)
    assert way.result_tokens == way.result_tokens_sent > 10_000
    assert cost.input_tokens == 0
    assert cost.dollars == pytest.approx(cost.write_tokens * 3.75e-6 + cost.read_tokens * 0.3e-6)
    assert cost.read_tokens > 2 * cost.write_tokens
    cold = run(file, "everything", gap_s=301).ways[0].costs[0]
    assert cold.read_tokens == 0
    assert cold.write_tokens == cost.tokens


def test_ours_rewrites_nothing_and_costs_less(file: Path) -> None:
    whole, *ours = run(file, "everything", "ours:0.2", "ours:0.5", "ours:auto").ways
    assert [way.rewrites for way in ours] == [0, 0, 0]
    assert ours[0].costs[0].dollars < ours[1].costs[0].dollars < whole.costs[0].dollars
    assert ours[0].result_tokens_sent < 0.25 * ours[0].result_tokens
    assert (ours[0].recall or 0) <= (ours[1].recall or 0) <= 1


def test_what_is_cleared_is_rewritten(file: Path) -> None:
    whole, cleared, one = run(file, "everything", "clear:4000", "clear:4000:1").ways
    assert cleared.rewrites >= 2
    assert one.costs[0].tokens < cleared.costs[0].tokens < whole.costs[0].tokens
    assert cleared.costs[0].write_tokens > whole.costs[0].write_tokens
    assert cleared.recall == 1.0  # the last results are there when they are used


def test_litellms_compress_runs_on_tool_calls(file: Path) -> None:
    whole, theirs = run(file, "everything", "litellm:4000").ways
    assert theirs.costs[0].tokens < whole.costs[0].tokens
    assert theirs.rewrites > 0


def test_both_ends_of_results(file: Path) -> None:
    shared = compressor()
    sent = build_way("head-tail:100", shared)("x", [{"role": "tool", "content": LOG}, {"role": "user", "content": LOG}])
    assert sent[1]["content"] == LOG
    assert sent[0]["content"] == f"{LOG[:50]}\n[... {len(LOG) - 100} chars omitted]\n{LOG[-50:]}"
    assert run(file, "head-tail:1000").ways[0].rewrites == 0


def test_recall_is_of_what_was_there_when_it_was_used(file: Path) -> None:
    report = run(file, "head-tail:1400")
    assert report.ways[0].references == 5
    assert report.ways[0].recall == pytest.approx(0.4)  # jobs 7 and 14 stand in the first 700 characters


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "way must be one of everything, ours:RATE"),
        ("ours:2", "keep_rate must be a number in"),
        ("ours:x", "way must be a number in one of"),
        ("litellm:0", "litellm must be a whole number >= 1"),
        ("head-tail:", "way must be a number"),
    ],
)
def test_bad_ways(name: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        build_way(name, compressor())


def test_bad_pace_and_lines(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="gap must be a number of seconds >= 0"):
        Costs({}, ["gpt-5"], -1)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1}\n')
    with pytest.raises(InvalidInputError, match=r"bad\.jsonl line 1 must be a trajectory"):
        run(bad, "everything")


def test_the_command(file: Path, tmp_path: Path) -> None:
    names = ["everything", "ours:0.3", "clear:4000", "head-tail:1000"]
    options = [word for name in names for word in ("--way", name)]
    output = ["--json", str(tmp_path / "c.json"), "--plot", str(tmp_path / "c.png")]
    done = CliRunner().invoke(main, ["replay", str(file), str(file), "--costs", "-s", "lexical", *options, *output])
    assert done.exit_code == 0, done.output
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == ["way", *names]
    assert "$" in rows[1]
    assert "(1.00)" in rows[1]
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["targets"] == ["claude-sonnet-4-6", "gpt-5", "deepseek/deepseek-chat", "gemini/gemini-2.5-pro"]
    assert [way["requests"] for way in written["ways"]] == [14] * 4
    assert (tmp_path / "c.png").stat().st_size > 5000
    bad = CliRunner().invoke(main, ["replay", str(file), "--costs", "--plot", str(tmp_path / "c.bmp")])
    assert bad.exit_code == 2


def test_who_is_better_on_both() -> None:
    from agentcompress.evaluation.replay.costs import Cost, WayReport

    def way(name: str, dollars: float, recall: float) -> WayReport:
        return WayReport(name, [Cost("x", dollars=dollars)], found=recall, references=1)

    report = CostReport(["x"], 30.0, [way("everything", 1, 1), way("ours:a", 0.5, 0.9), way("clear:1", 0.4, 0.95)])
    assert cost_report.find_dominated(report, "x") == [("ours:a", "clear:1")]
    report.ways[2].costs[0].dollars = 0.6
    assert cost_report.find_dominated(report, "x") == []


def test_the_help_knows_all_ways() -> None:
    from agentcompress.cli import replay as cli_replay

    assert cli_replay.NAMES == ways.NAMES
    assert all(build_way(name, compressor()) for name in DEFAULT)
