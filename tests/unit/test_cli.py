from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentcompress import __version__
from agentcompress.cli.main import main
from agentcompress.drafts import load

PROSE = "The cat sat on the mat. A dog barked at noon. Rain fell on the old town. Nobody noticed the open gate. " * 5


def run(*arguments: str, stdin: bytes | str = PROSE) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def test_text_goes_to_stdout_and_one_line_to_stderr(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text(PROSE, encoding="utf-8")
    for result in (
        run("compress", "-q", "gate", "-k", "0.2", "-s", "lexical"),
        run("compress", str(file), "-q", "gate", "-k", "0.2", "-s", "lexical"),
    ):
        assert result.exit_code == 0
        assert "open gate" in result.stdout
        assert len(result.stdout) < len(PROSE) / 2
        assert result.stderr.count("\n") == 1
        assert "tokens (" in result.stderr
        assert "for gpt-4o, scorer lexical" in result.stderr


def test_json_is_for_machines() -> None:
    result = run("compress", "--query", "gate", "--target-tokens", "20", "--scorer", "lexical", "--json")
    out = json.loads(result.stdout)
    assert out["tokens_after"] <= 20 < out["tokens_before"]
    assert all(PROSE[a:b] in out["text"] for a, b in out["spans"])
    assert set(out) == {"text", "spans", "tokens_before", "tokens_after", "keep_rate", "target", "scorer", "timings_ms"}


def test_bytes_that_are_no_utf8_come_out_as_they_went_in() -> None:
    data = b"caf\xe9 \xff\x00 ok\r\n"
    result = run("compress", "-q", "x", "-k", "1", "-s", "lexical", stdin=data)
    assert result.stdout_bytes == data


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-k", "0"], 2, 'agentcompress: keep_rate must be a number in (0, 1] or "auto", got 0.0'),
        (["-k", "nan"], 2, 'keep_rate must be a number in (0, 1] or "auto", got nan'),
        (["-n", "0"], 2, "target_tokens must be a whole number >= 1, got 0"),
        (["-k", "0.5", "-n", "5"], 2, "--keep-rate and --target-tokens exclude each other"),
        (["-t", "gpt-40"], 2, "target must be a model LiteLLM knows"),
        (["-s", "psychic"], 2, "scorer must be one of calibrated, claa, fastkv,"),
        (["--segmenter", "psychic"], 2, "segmenter must be one of"),
        (["-s", "calibrated", "-d", "psychic"], 2, "draft must be smollm2-135m"),
        (
            ["-s", "tests.fakes:BrokenScorer"],
            4,
            "scorer 'tests.fakes:BrokenScorer' failed: RuntimeError: out of memory",
        ),
    ],
)
def test_exit_codes(arguments: list[str], code: int, message: str) -> None:
    result = run("compress", "-q", "gate", "-s", "lexical", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_not_there() -> None:
    result = run("compress", "missing.txt", "-q", "x")
    assert result.exit_code == 2
    assert "missing.txt" in result.stderr


def test_a_draft_that_can_not_be_used(tmp_path: Path) -> None:
    result = run("compress", "-q", "gate", "-k", "0.2", "-d", str(tmp_path))
    assert result.exit_code == 3
    assert "holds no *.safetensors and no config.json" in result.stderr


class TestDraft:
    @pytest.fixture(autouse=True)
    def _empty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENTCOMPRESS_CACHE", str(tmp_path))
        monkeypatch.setattr(load.fetch, "find_cached_snapshot", lambda hub_id: None)

    def test_list_and_path_and_remove_of_what_is_not_here(self) -> None:
        assert run("draft", "list").stdout == "smollm2-135m\tnot on this machine\n"
        missing = run("draft", "path", "smollm2-135m")
        assert missing.exit_code == 3
        assert "`agentcompress draft pull smollm2-135m`" in missing.stderr
        assert "nothing of smollm2-135m to remove" in run("draft", "remove", "smollm2-135m").stderr

    def test_pull_prints_the_folder(self, tiny_draft: str) -> None:
        assert run("draft", "pull", tiny_draft).stdout == f"{tiny_draft}\n"
        assert run("draft", "path", tiny_draft).stdout == f"{tiny_draft}\n"


def test_version() -> None:
    assert __version__ in run("--version").stdout
