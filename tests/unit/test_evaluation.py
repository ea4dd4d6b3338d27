"""The grid, its resumption, and what is made of results. Texts are scored by rules or by a tiny draft."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import agentcompress.evaluation.quality.answers as answers_module
from agentcompress.cli.main import main
from agentcompress.common import progress
from agentcompress.errors import AgentCompressError, EvaluationError, InvalidInputError
from agentcompress.evaluation.quality import grid, measured, report
from agentcompress.evaluation.quality.oracle import OracleScorer, correlate_ranks
from agentcompress.evaluation.quality.ruler import RulerTask
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence
from agentcompress.evaluation.quality.variants import FULL, build_variants
from agentcompress.segmenters.prose import ProseSegmenter


class Sentences:
    """Items whose gold sentence is the one with the number asked for."""

    name = "sentences"

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        for number in range(6 if limit is None else limit):
            text = "".join(f"The cat number {i} weighs {7 * i} grams today. " for i in range(40))
            yield EvalItem(
                id=f"s{number}",
                text=text,
                query=f"cat number {number + 20}",
                evidence=Evidence(strings=(f"weighs {7 * (number + 20)} grams",)),
                answers=(str(7 * (number + 20)),),
            )


class Echo:
    """Answers with the whole prompt; fails when it was told to."""

    def __init__(self, fail_after: int = 10**9) -> None:
        self.left = fail_after

    def answer(self, prompt: str, max_tokens: int) -> tuple[str, float | None]:
        if not self.left:
            raise EvaluationError("target 'echo' failed: out of credit")
        self.left -= 1
        return " ".join(prompt.split()) + "\u2028\x85 end", 5.0 + len(prompt)  # line ends that are none of ours


def plan(answers: bool = False) -> grid.Plan:
    ways = build_variants(["lexical", "head", "random"], ["smollm2-135m"], "gpt-4o")
    return grid.Plan([Sentences()], ways, [0.1, 0.3], "gpt-4o", answers=answers)


def test_the_grid_measures_what_is_kept(tmp_path: Path) -> None:
    rows = grid.Grid(plan(), tmp_path).run()
    assert len(rows) == 6 * 3 * 2
    assert all(row["evidence"] == 1 for row in rows if row["scorer"] == "lexical")
    assert all(row["evidence"] == 0 for row in rows if row["scorer"] == "head")
    assert all(row["tokens_after"] <= row["keep_rate"] * row["tokens_before"] + 1 for row in rows)
    assert [json.loads(line) for line in (tmp_path / grid.RESULTS).read_text().splitlines()] == rows


@pytest.mark.parametrize("cut", [1, 60, 333, 2000])
def test_a_killed_evaluation_goes_on_to_the_same_file(tmp_path: Path, cut: int) -> None:
    grid.Grid(plan(answers=True), tmp_path / "whole", Echo()).run()
    whole = (tmp_path / "whole" / grid.RESULTS).read_bytes()
    stopped = tmp_path / "stopped"
    with pytest.raises(EvaluationError):
        grid.Grid(plan(answers=True), stopped, Echo(fail_after=9)).run()
    file = stopped / grid.RESULTS
    file.write_bytes(file.read_bytes()[:-cut])  # in the middle of a line
    rows = grid.Grid(plan(answers=True), stopped, Echo()).run()
    assert file.read_bytes() == whole
    assert [json.loads(line) for line in whole.splitlines()] == rows
    assert len(grid.read_timings(stopped)) == len(rows)


def test_a_process_that_is_killed_goes_on_to_the_same_file(tmp_path: Path) -> None:
    task = tmp_path / "set.jsonl"
    context = "".join(f"The cat number {i} weighs {7 * i} grams today. " for i in range(400))
    items = [
        {"id": i, "context": context, "question": f"cat number {i}", "answers": [f"{7 * i} grams"]} for i in range(30)
    ]
    task.write_text("".join(json.dumps(item) + "\n" for item in items))
    command = [sys.executable, "-m", "agentcompress", "eval", "-t", str(task), "-s", "lexical", "-s", "random"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, "-o", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = killed / grid.RESULTS
    until = time.monotonic() + 60
    while time.monotonic() < until and not (results.exists() and results.stat().st_size > 500):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert 0 < results.read_bytes().count(b"\n") < 120, "killed too early or too late to show anything"
    for folder in (killed, whole):
        subprocess.run([*command, "-o", str(folder)], check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert results.read_bytes() == (whole / grid.RESULTS).read_bytes()
    assert (killed / "table.md").read_bytes() == (whole / "table.md").read_bytes()


def test_answers_are_scored_and_the_full_prompt_is_asked_too(tmp_path: Path) -> None:
    rows = grid.Grid(plan(answers=True), tmp_path, Echo()).run()
    full = [row for row in rows if row["scorer"] == FULL]
    assert len(full) == 6
    assert all(row["score"] == 1 for row in full)
    assert {row["score"] for row in rows if row["scorer"] == "head"} == {0.0}
    text = report.render_table(rows, grid.read_timings(tmp_path))
    assert "| full prompt | 1.000 [1.00, 1.00] |  |" in text
    assert "| head | 0.000 [0.00, 0.00] (-1.000 [-1.00, -1.00])" in text
    assert "Time to first token" in text


def test_results_of_another_plan_are_left_alone(tmp_path: Path) -> None:
    grid.Grid(plan(), tmp_path).run()
    before = (tmp_path / grid.RESULTS).read_bytes()
    other = grid.Plan([Sentences()], plan().variants, [0.2], "gpt-4o")
    with pytest.raises(
        InvalidInputError, match="output must be an empty folder, or one with results of this very plan"
    ):
        grid.Grid(other, tmp_path)
    assert (tmp_path / grid.RESULTS).read_bytes() == before


def test_an_edited_file_is_another_plan(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    row = {"id": 1, "context": "One cat sat. Two dogs ran. Three birds flew.", "question": "dogs", "answers": ["dogs"]}
    file.write_text(json.dumps(row) + "\n")
    command = ["eval", "-t", str(file), "-s", "lexical", "-k", "0.5", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert CliRunner().invoke(main, command).exit_code == 0
    file.write_text(json.dumps({**row, "answers": ["birds"]}) + "\n")
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "output must be an empty folder" in result.stderr


def test_a_plan_that_could_not_begin_does_not_block_the_folder(tmp_path: Path) -> None:
    ways = build_variants(["lexical"], ["smollm2-135m"], "gpt-4o")
    for target, options in (("gpt-40", "lexical"), ("gpt-4o", "lexical:k1=-1")):
        bad = grid.Plan([Sentences()], build_variants([options], ["smollm2-135m"], "gpt-4o"), [0.2], target)
        with pytest.raises(InvalidInputError):
            grid.Grid(bad, tmp_path)
    assert len(grid.Grid(grid.Plan([Sentences()], ways, [0.2], "gpt-4o"), tmp_path).run()) == 6


def test_tasks_of_one_name_would_be_mixed_up(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="task must be tasks of different names"):
        grid.Grid(grid.Plan([Sentences(), Sentences()], plan().variants, [0.2], "gpt-4o"), tmp_path)


def test_what_is_too_long_is_skipped_and_said(tmp_path: Path, tiny_draft: str) -> None:
    ways = build_variants(["claa", "lexical"], [tiny_draft], "gpt-4o")
    rows = grid.Grid(grid.Plan([Sentences()], ways, [0.2], "gpt-4o", limit=2), tmp_path).run()
    assert ["skipped" in row for row in rows] == [True, False, True, False]
    assert "512 tokens" in rows[0]["skipped"]
    text = report.render_table(rows)
    assert "2 cells were skipped, e.g. s0: text must be at most" in text
    assert "| lexical | 1.000" in text


def test_drafts_are_run_one_after_the_other(tiny_drafts: dict[str, Path]) -> None:
    drafts = [str(tiny_drafts["llama"]), str(tiny_drafts["qwen3"])]
    ways = build_variants(["calibrated", "lexical"], drafts, "gpt-4o")
    cells = list(grid.Grid.yield_cells(grid.Plan([Sentences()], ways, [0.2], "gpt-4o", limit=2, answers=True)))
    seen = [(cell.item.id, cell.variant.draft if cell.variant else FULL) for cell in cells]
    first, second = drafts
    assert seen == [
        ("s0", FULL),
        ("s0", first),
        ("s0", ""),
        ("s1", FULL),
        ("s1", first),
        ("s1", ""),
        ("s0", second),
        ("s1", second),
    ]


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    ways = build_variants(["lexical"], ["smollm2-135m"], "gpt-4o")
    rows = grid.Grid(grid.Plan([RulerTask("cwe", 300)], ways, [0.3], "gpt-4o", 1), tmp_path).run()
    assert report.render_table(rows).startswith("Nothing was measured")


def test_a_rate_out_of_range_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"keep_rate must be a number in \(0, 1\], got 1.5"):
        grid.Grid(grid.Plan([Sentences()], plan().variants, [1.5], "gpt-4o"), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_progress_is_in_seconds_and_ends_full(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with progress.listening(lambda *report: seen.append(report)):
        grid.Grid(plan(), tmp_path).run()
    assert len(seen) == 36
    assert all(what == "evaluate (s)" and done <= total for what, done, total in seen)
    assert seen[-1][1] == seen[-1][2]


def test_what_is_left_is_reckoned_from_what_took_as_long() -> None:
    cells = list(grid.Grid.yield_cells(plan()))
    left = grid._Remaining(cells)
    seen: list[tuple[str, int, int]] = []
    slow = {"lexical": 10.0, "head": 1.0, "random": 2.0}
    with progress.listening(lambda *report: seen.append(report)):
        for cell in cells[:6]:
            assert cell.variant
            left.note_passed(cell, slow[cell.variant.name])
    assert seen[-1] == ("evaluate (s)", 26, 6 * 26)


def test_variants_are_written_in_one_word() -> None:
    ways = build_variants(
        [
            "calibrated:lexical_weight=0",
            "speculative@lines:too_long=pieces",
            "lexical",
            "paper-code:lookahead=4",
            "random@chunks",
        ],
        ["smollm2-135m", "other"],
        "gpt-4o",
    )
    assert [(way.name.split(":")[0], way.draft) for way in ways] == [
        ("calibrated", "smollm2-135m"),
        ("speculative@lines", "smollm2-135m"),
        ("lexical", ""),
        ("paper-code", "smollm2-135m"),
        ("random@chunks", "smollm2-135m"),
        ("calibrated", "other"),
        ("speculative@lines", "other"),
        ("paper-code", "other"),
        ("random@chunks", "other"),
    ]
    assert ways[0].config.scorer_options == {"lexical_weight": 0}
    assert ways[1].config.segmenter == "lines"
    assert ways[1].config.scorer_options == {"too_long": "pieces"}
    assert ways[3].config.scorer_options == {"lookahead": 4, "pool": 13, "pool_first": False}
    classes = build_variants(
        ["tests.fakes:LongestScorer", "tests.fakes:LongestScorer@lines"], ["smollm2-135m"], "gpt-4o"
    )
    assert [way.config.scorer for way in classes] == ["tests.fakes:LongestScorer"] * 2
    assert classes[1].config.segmenter == "lines"


@pytest.mark.parametrize(
    "spec", ["", ":a=1", "full", "calibrated:x", "calibrated:=1", "psychic", "paper@lines", "lexical@"]
)
def test_specs_that_are_none(spec: str) -> None:
    with pytest.raises(AgentCompressError, match="scorer must be"):
        build_variants([spec], ["smollm2-135m"], "gpt-4o")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_an_interval_holds_its_mean(values: list[float]) -> None:
    found = measured.bootstrap_interval(values)
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values) + 1e-9
    assert found == measured.bootstrap_interval(values)


def test_intervals_have_the_width_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(size=400).tolist()
    found = measured.bootstrap_interval(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.06)


def test_differences_are_paired() -> None:
    one, other = {str(i): i % 2 for i in range(40)}, {str(i): i % 2 - 0.1 for i in range(30)}
    found = measured.compare_paired(one, other)
    assert found
    assert (found.mean, found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1))
    assert found.items == 30
    assert measured.compare_paired(one, {}) is None


def test_the_command_writes_tables_and_pictures(tmp_path: Path, tiny_draft: str) -> None:
    arguments = ["-t", "ruler:niah_multikey_1:200", "-s", "calibrated", "-s", "claa:too_long=pieces", "-s", "head"]
    arguments += ["-k", "0.1", "-k", "0.4", "-n", "2", "-d", tiny_draft, "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, ["eval", *arguments])
    assert result.exit_code == 0, result.output
    assert "### Evidence kept: ruler-niah_multikey_1-200 (2 items" in result.output
    assert (tmp_path / "out" / "table.md").read_text() + "\n" == result.output
    assert (tmp_path / "out" / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_correlates_with_an_oracle(tmp_path: Path, tiny_draft: str) -> None:
    task = tmp_path / "short.jsonl"
    items = [
        {
            "id": i,
            "context": "The cat sat. The dog ran. It was late. " * 4,
            "question": f"Who ran {i}?",
            "answers": ["dog"],
        }
        for i in range(2)
    ]
    task.write_text("".join(json.dumps(item) + "\n" for item in items))
    arguments = [
        "eval",
        "-t",
        str(task),
        "-s",
        "lexical",
        "-s",
        "claa",
        "-k",
        "0.5",
        "-d",
        tiny_draft,
        "--oracle",
        tiny_draft,
    ]
    result = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "### Spearman correlation with the oracle" in result.output
    file = tmp_path / "out" / "spearman.jsonl"
    whole = file.read_bytes()
    rows = [row for line in whole.splitlines() for row in json.loads(line)["rows"]]
    assert len(rows) == 2 * (1 + 8)
    assert all(-1 <= row["spearman"] <= 1 and len(row["by_layer"]) == 8 for row in rows)
    file.write_bytes(whole[: len(whole) * 2 // 3])  # killed in the second item
    again = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out")])
    assert again.exit_code == 0
    assert file.read_bytes() == whole
    assert (tmp_path / "out" / "spearman.png").exists()


def test_the_oracle_agrees_with_itself_and_says_what_each_layer_thinks(tiny_draft: str) -> None:
    segment = ProseSegmenter().segment("The cat sat on the mat. The dog barked. Rain fell on the hills. " * 3)
    oracle = OracleScorer(tiny_draft, answer_tokens=5)
    layers = oracle.score_layers(segment, "Who barked?")
    assert layers.shape == (9, len(segment.units))
    assert (layers[:-1].max(0) >= layers[-1] / 9).all()
    assert np.ptp(layers, axis=1).min() > 0
    assert correlate_ranks(layers[-1], layers[-1]) == pytest.approx(1)
    assert correlate_ranks(layers[-1], -layers[-1]) == pytest.approx(-1)
    assert correlate_ranks(layers[-1], np.zeros(len(segment.units))) == 0
    with pytest.raises(InvalidInputError, match="answer_tokens must be a whole number >= 1"):
        OracleScorer(tiny_draft, answer_tokens=0)


def test_a_target_that_fails_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    def failing(**options: object) -> None:
        raise litellm.APIConnectionError("no route", llm_provider="x", model="y")

    monkeypatch.setattr(litellm, "completion", failing)
    with pytest.raises(EvaluationError, match="target 'gpt-4o' failed: APIConnectionError"):
        answers_module.LiteLLMTarget("gpt-4o").answer("hi", 5)


def test_a_local_target_says_when_its_first_token_was_there(tiny_draft: str) -> None:
    text, first_ms = answers_module.LiteLLMTarget(f"embedded/{tiny_draft}").answer("The cat sat.", 4)
    assert isinstance(text, str)
    assert first_ms is not None
    assert first_ms > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-t", "nothing"], "task must be FILE.jsonl, a session file or a folder of them, ruler:NAME"),
        (["-t", "ruler:vt:200", "-k", "0"], "keep_rate must be a number in (0, 1], got 0.0"),
        (["-t", "ruler:vt:200", "-s", "psychic"], "scorer must be one of"),
        (["-t", "ruler:vt:200", "--count-as", "gpt-40"], "target must be a model LiteLLM knows"),
        (["-t", "ruler:vt:200", "-n", "0"], "0 is not in the range x>=1"),
    ],
)
def test_bad_options_of_the_command(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["eval", "-s", "lexical", "-o", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_picture_needs_matplotlib_and_says_so_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = CliRunner().invoke(main, ["eval", "-t", "ruler:vt:200", "-s", "lexical", "-o", str(tmp_path / "out")])
    assert result.exit_code == 4
    assert 'pip install "agentcompress[eval]"' in result.stderr
    assert not (tmp_path / "out").exists()


def test_tables_of_several_tasks_end_with_their_mean() -> None:
    rows = [
        {"task": task, "item": str(i), "scorer": s, "draft": "", "keep_rate": 0.1, "evidence": value}
        for task in ("a", "b")
        for i in range(4)
        for s, value in (("lexical", 1.0 if task == "a" else 0.5), ("random", 0.0))
    ]
    text = report.render_table(rows)
    assert "### Evidence kept: mean of tasks" in text
    assert "| lexical | 0.750 [0.75, 0.75] |" in text
    assert "| random | 0.000 [0.00, 0.00] (-0.500 [-0.50, -0.50]) |" in text
    assert "| random | 0.000 [0.00, 0.00] (-0.750 [-0.75, -0.75]) |" in text


def test_ruler_runs_on_the_grid(tmp_path: Path) -> None:
    ways = build_variants(["lexical"], ["smollm2-135m"], "gpt-4o")
    rows = grid.Grid(grid.Plan([RulerTask("cwe", 300), RulerTask("vt", 300)], ways, [0.3], "gpt-4o", 2), tmp_path).run()
    assert [row["evidence"] is None for row in rows] == [True, True, False, False]
