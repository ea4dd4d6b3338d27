"""The benchmark: its figures are there, mean what they say, and can be shown. On a draft that takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from agentcompress.cli.main import main
from agentcompress.corpora.passages import make_passage
from agentcompress.drafts import load
from agentcompress.drafts.runtime import DraftRuntime
from agentcompress.errors import InvalidInputError, PluginError
from agentcompress.evaluation.bench import conversation, rivals, structure
from agentcompress.evaluation.bench import draft as bench
from agentcompress.evaluation.bench import report as bench_report

KEYS = [
    "cold_over_baseline_8k",
    "warm_speedup_16k",
    "hot_speedup_16k",
    "gemm_share_16k",
    "growth_64k_over_32k",
    "kv_bytes_per_token",
    "peak_rss_bytes",
    "callers_at_once_over_in_a_row",
    *(f"segment_{kind}_{figure}" for kind in ("code", "log", "json") for figure in ("s_per_mb", "growth")),
    "replay_ms",
    "replay_over_sha256",
    *(f"{door}_{what}_ms" for door in ("decorator", "runnable") for what in ("idle", "100")),
]


@pytest.fixture(scope="module")
def report(tiny_draft: str) -> bench.BenchReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals, "_SLICE_S", 0.01)
        patch.setattr(rivals, "_SIZES", [(64, 64, 64), (128, 64, 64)])
        patch.setattr(bench, "_count_texts", lambda tokens: 2 if tokens == 1024 else 1)
        patch.setattr(bench, "_CALLER_TOKENS", 300)
        patch.setattr(structure, "SIZES", (20_000, 200_000))
        patch.setattr(conversation, "RESULT_CHARS", 100)
        return bench.Bench(tiny_draft, (1024, 8192, 16_384, 32_768, 65_536)).run()


def test_every_figure_is_there(report: bench.BenchReport) -> None:
    out = json.loads(json.dumps(report.as_json()))
    assert {key: out[key] for key in KEYS if out[key] > 0}.keys() == set(KEYS)
    assert out["callers_identical"] is True
    assert [row["tokens"] for row in out["rows"]] == [1024, 8192, 16_384, 32_768, 65_536]
    assert [row["baseline_ms"] is not None for row in out["rows"]] == [True, True, False, False, False]
    rows = {row["tokens"]: row for row in out["rows"]}
    assert out["warm_speedup_16k"] == rows[16_384]["cold_ms"] / rows[16_384]["warm_ms"]
    assert out["hot_speedup_16k"] == rows[16_384]["cold_ms"] / rows[16_384]["hot_ms"] > 10
    assert out["growth_64k_over_32k"] == rows[65_536]["cold_ms"] / rows[32_768]["cold_ms"]
    assert out["machine"]["device"] in ("cpu", "cuda", "mps")


def test_memory_of_the_cache_is_what_it_holds(report: bench.BenchReport, tiny_draft: str) -> None:
    runtime = DraftRuntime(load.pull_draft(tiny_draft))
    per_token = report.keys["kv_bytes_per_token"]
    assert per_token is not None
    assert runtime.shape.token_bytes <= per_token <= 1.25 * runtime.shape.token_bytes  # padded to pages


def test_the_plot_and_the_table(report: bench.BenchReport, tmp_path: Path) -> None:
    bench_report.plot_report(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    grid = bench_report.build_table(report)
    assert grid.row_count == 5
    assert len(bench_report.list_figures(report)) == len(KEYS)


def test_from_the_command_line(report: bench.BenchReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(bench.Bench, "__init__", lambda self, *args: asked.append(args))
    monkeypatch.setattr(bench.Bench, "run", lambda self: report)
    out = tmp_path / "bench.json"
    result = CliRunner().invoke(main, ["bench", "--lengths", "1024,2048", "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert asked == [("smollm2-135m", [1024, 2048])]
    assert "cold_over_baseline_8k" in result.output
    assert json.loads(out.read_text())["hot_speedup_16k"] == report.keys["hot_speedup_16k"]
    for option, bad in (("--json", "nowhere/x.json"), ("--plot", "nowhere/x.png"), ("--plot", "x.xyz")):
        result = CliRunner().invoke(main, ["bench", option, bad])
        assert result.exit_code == 2
        assert option in result.output
    for bad in ("a,b", "1024,"):
        result = CliRunner().invoke(main, ["bench", "--lengths", bad])
        assert result.exit_code == 2
        assert "whole numbers with commas between" in result.output


def test_bad_lengths(tiny_draft: str) -> None:
    for bad in ([], [10], [0]):
        with pytest.raises(InvalidInputError, match="lengths must be"):
            bench.Bench(tiny_draft, bad)


def test_a_plot_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(PluginError, match=r"agentcompress\[eval\]"):
        bench_report.load_figure_class()


def test_passages_have_the_length_asked_for(tiny_draft: str) -> None:
    tokenizer = DraftRuntime(load.pull_draft(tiny_draft)).tokenizer
    for tokens in (100, 1000, 5000):
        segment = make_passage(tokenizer, tokens, seed=1)
        assert tokens - 200 < len(tokenizer.tokenize(segment.text).ids) <= tokens
        assert segment == make_passage(tokenizer, tokens, seed=1)
        assert segment.text != make_passage(tokenizer, tokens, seed=2).text


def test_operations_are_counted_as_a_model_does_them(tiny_draft: str) -> None:
    runtime = DraftRuntime(load.pull_draft(tiny_draft), torch.float32)
    hidden, inner, heads, kv_heads, dim = 32, 48, 4, 2, 8
    a_layer = hidden * dim * (2 * heads + 2 * kv_heads) + 3 * hidden * inner
    pairs = sum(runtime.sink_tokens + row + 1 for row in range(50))
    assert runtime.count_flops(50) == pytest.approx(5 * (2 * 50 * a_layer + 4 * heads * dim * pairs))


def test_the_ceiling_is_a_rate() -> None:
    a = torch.randn(64, 64)
    assert 0 < rivals._measure_rate(a, a) < 1e15
    assert rivals.call_at_once([lambda i=i: np.int64(i) for i in range(5)]) == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        rivals.call_at_once([lambda: 1, lambda: 1 / 0])


def test_the_replay_is_measured_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conversation, "RESULT_CHARS", 3000)
    conversation.main(["--json", "-", "--rounds", "3"])
    out = json.loads(capsys.readouterr().out)
    assert (out["rounds"], out["messages"]) == (3, 200)
    assert list(out["formats"]) == ["openai", "responses", "anthropic"]
    for each in out["formats"].values():
        assert each["blocks"] > 50  # decided beforehand, all of them: else it isn't replaying that is measured
        assert 0 < each["fastest_ms"] <= each["replay_ms"] <= out["replay_ms"]
        assert each["replay_over_sha256"] == each["replay_ms"] / each["sha256_ms"] <= out["replay_over_sha256"]
    conversation.main(["--json", str(tmp_path / "out.json"), "--rounds", "1"])
    assert capsys.readouterr().out.count(" ms ") == 3
    assert json.loads((tmp_path / "out.json").read_text())["rounds"] == 1
    with pytest.raises(SystemExit):
        conversation.main(["--rounds", "0"])
