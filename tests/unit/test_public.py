"""The public surface: names, what importing costs, and the one-line path through LiteLLM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agentcompress
from agentcompress import CompressConfig, Compressor
from agentcompress.errors import UnknownNameError
from tests.fakes import conversation
from tests.texts_of_agents import LOG

HEAVY = ("torch", "transformers", "litellm", "langchain", "langchain_core", "tiktoken", "tokenizers", "huggingface_hub")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "line",
    ["import agentcompress", "from agentcompress import Compressor; Compressor()", "import agentcompress.cli.main"],
)
def test_importing_loads_nothing_heavy(line: str) -> None:
    assert run(f"{line}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])") == "[]\n"


def test_scoring_without_a_draft_loads_no_torch() -> None:
    code = (
        "from agentcompress import *\nimport sys\n"
        "Compressor(CompressConfig(scorer='lexical')).compress_text('One. Two. ' * 99, query='two', keep_rate=0.2)\n"
        "print('torch' in sys.modules, 'litellm' in sys.modules)"
    )
    assert run(code) == "False False\n"


def test_public_names() -> None:
    assert sorted(agentcompress.__all__) == [
        "AgentCompressError",
        "CompressConfig",
        "CompressedDocument",
        "CompressedMessages",
        "CompressedRequest",
        "CompressedText",
        "Compressor",
        "ConfigError",
        "DraftError",
        "InvalidInputError",
        "Receipt",
        "__version__",
        "acompletion",
        "aresponses",
        "completion",
        "compress_documents",
        "compressed",
        "recall_schema",
        "responses",
        "wrap_router",
    ]
    assert all(getattr(agentcompress, name) is not None for name in agentcompress.__all__)
    assert set(agentcompress.__all__) <= set(dir(agentcompress))
    assert agentcompress.target_facts.target_facts("gpt-4o").window_tokens == 128_000
    with agentcompress.deadlines.within(1000) as deadline:
        assert not deadline.is_over
    from agentcompress.deadlines import Deadline, within
    from agentcompress.target_facts import target_facts

    assert (Deadline, within, target_facts) == (
        agentcompress.deadlines.Deadline,
        agentcompress.deadlines.within,
        agentcompress.target_facts.target_facts,
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        agentcompress.nothing  # noqa: B018


def test_every_module_has_a_docstring() -> None:
    import ast

    for file in Path(agentcompress.__file__).parent.rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(source)), file


class TestCompletion:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        import litellm

        calls: list[dict[str, Any]] = []

        def completion(**options: Any) -> str:
            calls.append(options)
            return "reply"

        monkeypatch.setattr(litellm, "completion", completion)
        return calls

    def test_sends_compressed_messages_and_every_option(self, sent: list[dict[str, Any]]) -> None:
        messages = conversation(LOG)
        config = CompressConfig(scorer="lexical", keep_rate=0.1)
        reply = agentcompress.completion("gpt-4o", messages, agentcompress=config, temperature=0, tools=[])
        assert reply == "reply"
        assert {key: sent[0][key] for key in ("model", "temperature", "tools")} == {
            "model": "gpt-4o",
            "temperature": 0,
            "tools": [],
        }
        assert len(sent[0]["messages"][3]["content"]) < len(LOG) / 4
        agentcompress.completion("gpt-4o", messages, agentcompress=config)
        assert sent[1]["messages"] == sent[0]["messages"]

    def test_false_sends_the_original(self, sent: list[dict[str, Any]]) -> None:
        agentcompress.completion("gpt-4o", conversation(LOG), agentcompress=False)
        assert sent[0]["messages"] == conversation(LOG)

    def test_a_failure_warns_and_the_request_goes_out(
        self, sent: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = Compressor(CompressConfig(scorer="tests.fakes:BrokenScorer"))
        agentcompress.completion("gpt-4o", conversation(LOG), agentcompress=broken)
        assert [*sent[0]["messages"][:3], sent[0]["messages"][3]["role"]] == [*conversation(LOG)[:3], "tool"]
        assert len(sent[0]["messages"][3]["content"]) < len(LOG)  # by BM25
        assert "message 3: tests.fakes:BrokenScorer: ScoringError: because of a RuntimeError" in caplog.text
        agentcompress.completion("gpt-4o", "no messages", agentcompress=broken)  # type: ignore[arg-type]
        assert sent[1]["messages"] == "no messages"
        assert "sending the original messages: MessageFormatError: body.messages must be" in caplog.text
        with pytest.raises(UnknownNameError):
            agentcompress.completion("gpt-4o", [], agentcompress=CompressConfig(scorer="psychic"))


def test_the_embedded_provider_answers_through_litellm(tiny_draft: str) -> None:
    reply = agentcompress.completion(
        f"embedded/{tiny_draft}", [{"role": "user", "content": "Hello?"}], agentcompress=False, max_tokens=5
    )
    assert reply.usage.completion_tokens <= 5
    assert reply.usage.prompt_tokens > 5
    assert isinstance(reply.choices[0].message.content, str)


def test_the_embedded_provider_says_tool_calls_in_words() -> None:
    from agentcompress.targets.embedded import join_plain_turns

    turns = join_plain_turns(
        [*conversation("result"), {"role": "user", "content": [{"type": "text", "text": "Well?"}]}]
    )
    assert [turn["role"] for turn in turns] == ["system", "user"]
    assert turns[1]["content"] == ('Which line failed?\n\nOutput of read_log {"path": "a.log"}:\nresult\n\nWell?')
