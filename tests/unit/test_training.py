"""Learning a reader from recorded agents."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from agentcompress import CompressConfig, Compressor
from agentcompress.cli.main import main
from agentcompress.corpora.trajectories import Trajectory
from agentcompress.errors import InvalidInputError, PluginError
from agentcompress.evaluation.quality.references import find_used_later
from agentcompress.scorers.next_step.forest import Forest, read_forest
from agentcompress.scorers.next_step.scorer import FeaturesScorer
from agentcompress.training import judge
from agentcompress.training.boost import boost_forest
from agentcompress.training.cases import label_rows, make_cases
from agentcompress.training.train import read_cases, train_reader

WORDS = ["gate", "queue", "token", "cache", "route", "batch", "frame", "index"]


def make_session(seed: int, steps: int = 3) -> list[dict[str, Any]]:
    """An agent that always goes on with what a line behind `TODO` names."""
    rng = random.Random(seed)
    talk: list[dict[str, Any]] = [{"role": "user", "content": f"Mend the {rng.choice(WORDS)}."}]
    for step in range(steps):
        lines = [f"{rng.choice(WORDS)}_{seed}_{step}_{i} = load_{rng.choice(WORDS)}({i})" for i in range(70)]
        lines[rng.randrange(70)] = f"# TODO mend_{rng.choice(WORDS)}_{seed}_{step} before it runs"
        talk += [
            {"role": "assistant", "content": "I look.", "tool_calls": [{"name": "view", "arguments": {"n": step}}]},
            {"role": "tool", "content": "\n".join(lines)},
        ]
        wanted = next(line for line in lines if "TODO" in line).split()[2]
        talk.append({"role": "assistant", "content": "", "tool_calls": [{"name": "edit", "arguments": {"s": wanted}}]})
        talk.append({"role": "tool", "content": "done"})
    return talk


def write_sessions(file: Path, seeds: range) -> Path:
    rows = ({"id": f"s{seed}", "context": make_session(seed)} for seed in seeds)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def reading_compressor() -> Compressor:
    return Compressor(CompressConfig(scorer="lexical", ledger="memory"))


def message(role: str, content: str = "", *used: str) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": [{"name": "act", "arguments": list(used)}] if used else []}


def test_what_is_used_late_counts_unless_it_was_shown_again() -> None:
    text = "first_name second_name third_name known_name\n" * 50
    steps = [message("assistant", "", "nothing_else") for _ in range(6)]
    talk = [message("user", "known_name"), message("assistant", "", "look"), message("tool", text)]
    talk += [message("assistant", "", "first_name", "known_name"), *steps]
    talk += [message("tool", "third_name"), message("assistant", "", "second_name", "third_name")]
    assert dict(find_used_later(talk, 6)) == {2: ("first_name",)}
    assert dict(find_used_later(talk, 25)) == {2: ("first_name", "second_name")}
    assert dict(find_used_later(talk, 7)) == {2: ("first_name",)}
    again = [*talk[:4], message("tool", "third_name"), message("assistant", "", "third_name")]
    assert dict(find_used_later(again, 25)) == {2: ("first_name", "third_name")}, "near ones count in any case"


def test_cases_are_read_as_they_are_when_they_are_compressed() -> None:
    trajectory = Trajectory("s1", make_session(1), "test")
    cases = list(make_cases(trajectory, reading_compressor()))
    assert [case.id for case in cases] == ["s1:2", "s1:6", "s1:10"]
    for case in cases:
        assert case.reading.tool == "view"
        assert case.reading.task.startswith("Mend the")
        assert len(case.near) == 1
        assert case.rows.shape == (70, len(case.names))
        assert next(case.segment.text.split("\n")[i] for i in np.flatnonzero(case.labels)).startswith("# TODO")
        assert case.segment.text not in case.reading.before
    assert len(cases[2].reading.before) > len(cases[0].reading.before)


def test_labels_are_the_first_places_of_a_string() -> None:
    segment = reading_compressor().segment("a_b\nx\na_b\na_b\na_b\nc\nd\n")
    assert label_rows(segment, ["a_b"]).tolist() == [True, False, True, True, False, False, False]
    assert label_rows(segment, ["c\nd"]).tolist() == [False, False, False, False, False, True, True]
    assert not label_rows(segment, ["nowhere"]).any()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    return [write_sessions(folder / "one.jsonl", range(12)), write_sessions(folder / "two.jsonl", range(20, 32))]


@pytest.fixture(scope="module")
def trained(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("reader")
    command = ["train", *map(str, sources), "-o", str(folder / "reader.json"), "--plot", str(folder / "plot.png")]
    return CliRunner().invoke(main, command), folder


def test_a_reader_finds_what_agents_go_on_with(trained: tuple[Result, Path]) -> None:
    done, folder = trained
    assert done.exit_code == 0, done.output
    (case, *_) = make_cases(Trajectory("new", make_session(99), "test"), reading_compressor())
    scorer = FeaturesScorer(reader=str(folder / "reader.json"), lexical_weight=0)
    assert scorer.score(case.segment, case.reading).argmax() == np.flatnonzero(case.labels)[0]


def test_training_says_what_the_reader_is_worth_on_agents_it_has_not_seen(trained: tuple[Result, Path]) -> None:
    done, folder = trained
    lines = done.output.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["one", "36"], ["two", "36"]]
    assert "1.000" in lines[1], "of two strings that it looks for alike, trees keep both"
    assert lines[3].startswith("over the best of lexical, head, head-tail")
    asked = [float(line.split("for ")[1].split("%")[0]) / 100 for line in lines[4:]]
    assert asked == list(judge.ASKED)
    assert (folder / "plot.png").stat().st_size > 10_000
    made = read_forest(folder / "reader.json").made
    assert made["cases"] == {"one": 36, "two": 36}
    assert set(made["recalls"]["one"]) == {"reader", "lexical", "head", "head-tail"}


def test_the_same_sessions_and_seed_give_the_same_reader(sources: list[Path]) -> None:
    first, report = train_reader(sources, folds=False)
    again, _ = train_reader(sources, folds=False)
    other, _ = train_reader(sources, folds=False, seed=1)
    assert first.as_json() == again.as_json()
    assert first.as_json() != other.as_json()
    assert report.recalls == {}


def test_trees_are_taken_apart_as_they_were_grown() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 6)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 3] * rows[:, 1] > 0.5).astype(float)
    forest = boost_forest(rows, labels, np.ones(2000), [f"c{i}" for i in range(6)], seed=3)
    assert ((forest.predict_chances(rows, [f"c{i}" for i in range(6)]) > 0.5) == (labels > 0)).mean() > 0.85
    from agentcompress.training import boost

    data = lightgbm.Dataset(rows, labels, weight=np.ones(2000), params={"verbose": -1})
    theirs = lightgbm.train({**boost._PARAMETERS, "seed": 3}, data, boost._TREES).predict(rows, raw_score=True)
    assert forest.predict(rows[:, [int(name[1:]) for name in forest.columns]]) == pytest.approx(theirs, abs=3e-3)


def test_a_slope_is_found_that_keeps_the_promise() -> None:
    """Chances that are far too sure of themselves are put right."""
    rng = np.random.default_rng(0)
    promises = []
    for _ in range(150):
        sums = rng.normal(-3, 1.5, size=60)
        used = rng.random(60) < 1 / (1 + np.exp(-sums))
        if used.any():
            segment = reading_compressor().segment("".join(f"{i:03d}\n" for i in range(60)))
            needed = [[np.array([i])] for i in np.flatnonzero(used)]
            promises.append(judge.Promise(segment, sums, sums / 0.5, np.arange(60), needed))
    slope = judge.fit_slope(promises)
    assert slope in (0.4, 0.5, 0.6)
    for asked, reached, sent in judge.measure_promise(promises, slope):
        assert abs(asked - reached) < 0.08
        assert 0 < sent < 1


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    file = write_sessions(tmp_path / "few.jsonl", range(2))
    done = run(file, "-o", tmp_path / "reader.json")
    assert done.exit_code == 2
    assert "files must be sessions with 20 results that were used, got 6" in done.output
    assert not (tmp_path / "reader.json").exists()


def test_bad_input_is_said_before_minutes_have_passed(tmp_path: Path, sources: list[Path]) -> None:
    assert run(sources[0], "-o", tmp_path / "nowhere" / "reader.json").exit_code == 2
    assert run(sources[0], "-o", tmp_path / "reader.json", "--plot", tmp_path / "plot.docx").exit_code == 2
    assert run(tmp_path / "none.jsonl", "-o", tmp_path / "reader.json").exit_code == 2
    (tmp_path / "text.jsonl").write_text("not JSON\n")
    assert "text.jsonl line 1" in run(tmp_path / "text.jsonl", "-o", tmp_path / "reader.json").output
    with pytest.raises(InvalidInputError, match="given once"):
        train_reader([sources[0], sources[0], sources[0]])


def test_without_lightgbm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(PluginError, match=r'pip install "agentcompress\[train\]"'):
        boost_forest(np.zeros((1, 1)), np.zeros(1), np.ones(1), ["a"])
    assert "agentcompress[train]" in run(tmp_path, "-o", tmp_path / "reader.json").output


def test_a_reader_of_ones_own_is_used_everywhere(tmp_path: Path) -> None:
    forest = Forest(("from_start",), 0.0, ([0, 4.5, 9.0, -9.0],))
    (tmp_path / "mine.json").write_text(json.dumps(forest.as_json()))
    options = {"reader": str(tmp_path / "mine.json")}
    compressor = Compressor(CompressConfig(scorer_options=options, ledger="memory", keep_rate=0.1))
    text = "".join(f"made thing_{i} of part_{i % 7}\n" for i in range(300))
    talk = [
        {"role": "user", "content": "Go on."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "run", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": text},
    ]
    for mine in (compressor, compressor.fallback):
        result = mine.compress(talk)
        assert "".join(text.splitlines(keepends=True)[:5]) in result.messages[2]["content"]
    assert read_cases(write_sessions(tmp_path / "s.jsonl", range(1)), compressor)


def test_another_scorers_option_is_not_taken_for_a_reader() -> None:
    compressor = Compressor(CompressConfig(scorer="tests.fakes:LongestScorer", ledger="memory"))
    compressor.config = compressor.config.model_copy(update={"scorer_options": {"reader": "/no/such/file"}})
    assert isinstance(compressor.fallback.scorer, FeaturesScorer)
