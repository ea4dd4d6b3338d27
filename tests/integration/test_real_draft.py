"""The main job with the real SmolLM2: what matters survives, within the budget, the same every time."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import agentcompress
from agentcompress import CompressConfig, Compressor
from agentcompress.drafts.runtime import DraftRuntime
from agentcompress.schema import Reading
from agentcompress.scorers.calibrated import CalibratedScorer
from agentcompress.segmenters.prose import ProseSegmenter
from agentcompress.targets.counting import get_token_counter
from examples.facts import QUESTIONS, TEXT
from tests.fakes import conversation

pytestmark = pytest.mark.usefixtures("runtime")


def kept_share(scorer: str, keep_rate: float) -> float:
    compressor = Compressor(CompressConfig(scorer=scorer))
    kept = 0
    for question, evidence in QUESTIONS:
        result = compressor.compress_text(TEXT, query=question, keep_rate=keep_rate, target="gpt-4o")
        assert result.tokens_after <= math.ceil(keep_rate * result.tokens_before)
        assert result.tokens_after == get_token_counter("gpt-4o").count(result.text)
        kept += any(evidence in TEXT[a:b] for a, b in result.spans)
    return kept / len(QUESTIONS)


def test_answers_survive_at_ten_percent() -> None:
    assert kept_share("calibrated", 0.1) >= 0.9
    assert kept_share("random", 0.1) <= 0.4


def test_the_same_bytes_in_every_process() -> None:
    code = (
        "import json, sys; from agentcompress import *\n"
        "from examples.facts import QUESTIONS, TEXT\n"
        "c = Compressor(CompressConfig())\n"
        "print(json.dumps([c.compress_text(TEXT, query=q, keep_rate=0.2).text for q, _ in QUESTIONS[:3]]))"
    )
    compressor = Compressor(CompressConfig())
    here = [[compressor.compress_text(TEXT, query=q, keep_rate=0.2).text for q, _ in QUESTIONS[:3]] for _ in range(2)]
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert here[0] == here[1] == json.loads(there.stdout)


def test_bfloat16_attention_agrees_with_a_dense_float32_pass(runtime: DraftRuntime) -> None:
    model = AutoModelForCausalLM.from_pretrained(runtime.files.folder, dtype=torch.float32, attn_implementation="eager")
    tokens = runtime.tokenizer.tokenize(TEXT).ids[:400]
    sink = runtime.tokenizer.tokenize_template(runtime.tokenizer.template.sink)
    probe = runtime.tokenizer.tokenize("\n\nQuestion: Where does Mira Tolland have her bees?").ids.tolist()
    with torch.inference_mode():
        dense = model(torch.tensor([[*sink, *tokens.tolist(), *probe]]), output_attentions=True).attentions
    band = torch.stack(dense)[runtime.band.start : runtime.band.stop, 0]
    expected = band[:, :, -len(probe) :, len(sink) : len(sink) + len(tokens)].mean(2)
    found = runtime.probe(runtime.encode([tokens]), probe, probe)[0].mean
    assert torch.corrcoef(torch.stack([expected.flatten(), found.flatten()]))[0, 1] > 0.99


def test_groups_rank_units_much_like_one_softmax(runtime: DraftRuntime) -> None:
    segment = ProseSegmenter().segment(TEXT)
    at_once, grouped = (
        CalibratedScorer(lambda: runtime, window_tokens=64, group_tokens=limit, lexical_weight=0)
        for limit in (4096, 256)
    )
    for question, _ in QUESTIONS[:4]:
        ranks = [np.argsort(np.argsort(scorer.score(segment, Reading(question)))) for scorer in (at_once, grouped)]
        assert np.corrcoef(*ranks)[0, 1] > 0.5


def test_odd_texts_are_scored() -> None:
    compressor = Compressor(CompressConfig())
    for text in (
        "\x00" * 3000,
        "\ud800 " * 500,
        "👩\u200d👩\u200d👧" * 200,
        "今日は晴れです。" * 100,
        " \n" * 500,
        "x" * 4000,
    ):
        result = compressor.compress_text(text, query="what is this?", keep_rate=0.2)
        assert result.tokens_after <= math.ceil(0.2 * result.tokens_before)
    assert compressor.compress_text("short", query="a much longer query " * 400, keep_rate=0.5).tokens_after <= 1


def test_a_conversation_keeps_what_the_agent_needs() -> None:
    log = "".join(f"test_{i:03d}_of_the_parser PASSED in {i * 7 % 90} ms\n" for i in range(300))
    log = log.replace("test_171_of_the_parser PASSED", "test_171_of_the_parser FAILED: KeyError 'timeout_ms'")
    messages = conversation(log, "Which setting is missing when the parser test fails?")
    result = Compressor(CompressConfig(keep_rate=0.1)).compress(messages, target="gpt-4o")
    assert "KeyError 'timeout_ms'" in result.messages[3]["content"]
    assert result.receipt.blocks[0].tokens_after <= math.ceil(0.1 * result.receipt.blocks[0].tokens_before)


def test_completion_compresses_and_an_embedded_target_answers() -> None:
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {
            "role": "user",
            "content": f"<notes>\n{TEXT}\n</notes>\nFrom which pier does the boat to Skarn Island depart?",
        },
    ]
    config = CompressConfig(keep_rate=0.2, min_tokens=100)
    reply = agentcompress.completion("embedded/smollm2-135m", messages, agentcompress=config, max_tokens=24)
    assert "nine" in reply.choices[0].message.content
    assert reply.usage.prompt_tokens < 300
    stopped = agentcompress.completion("embedded/smollm2-135m", messages, agentcompress=config, stop=["nine"])
    assert "nine" not in stopped.choices[0].message.content
    assert stopped.usage.completion_tokens <= reply.usage.completion_tokens


def test_the_demo_runs_to_its_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agentcompress", "demo"], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "survived" in done.stdout
    assert "MAX_INTERPOLATION_DEPTH = 10" in done.stdout
