"""The captured attention against a dense reference: the model's own eager attention over one plain sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from agentcompress.drafts import load
from agentcompress.drafts.runtime import LAST_ROWS, DraftRuntime
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError

ARCHITECTURES = ["llama", "qwen3", "gemma3"]
TEXT = "The cat sat on the mat. The dog barked at the cat, and then it ran away.\n"


@pytest.fixture(scope="module", params=ARCHITECTURES)
def runtime(request: pytest.FixtureRequest, tiny_drafts: dict[str, Path]) -> DraftRuntime:
    return DraftRuntime(load.pull(str(tiny_drafts[request.param])), torch.float32)


def dense_attention(folder: Path, ids: list[int]) -> torch.Tensor:
    """Float64 post-softmax attention of a plain causal pass, (layers, heads, rows, tokens), sliding windows lifted."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    model.config.sliding_window = 10_000
    for layer in model.model.layers:
        layer.self_attn.sliding_window = 10_000
    with torch.inference_mode():
        attentions = model(torch.tensor([ids]), output_attentions=True).attentions
    return torch.stack(attentions)[:, 0]


@pytest.mark.parametrize("question", ["Who barked?", "Who barked at the cat on the mat, and then ran away? " * 6])
def test_one_window_is_a_plain_prefill(runtime: DraftRuntime, question: str) -> None:
    tokens = runtime.tokenizer.tokenize(TEXT).ids
    sink = runtime.tokenizer.template_ids(runtime.tokenizer.template.sink)
    probe = runtime.tokenizer.tokenize(question).ids.tolist()
    read = runtime.probe(runtime.encode([tokens]), [probe, probe[:3]])

    dense = dense_attention(runtime.files.folder, [*sink, *tokens.tolist(), *probe])
    band = dense[runtime.band.start : runtime.band.stop]
    first = len(sink) + len(tokens)
    windows = band[:, :, :, len(sink) : first]
    for entry, rows in ((0, len(probe)), (1, 3)):
        mine = windows[:, :, first : first + rows]
        assert torch.allclose(read.mean[entry].double(), mine.mean(2), atol=1e-5)
        assert torch.allclose(read.last[entry].double(), mine[:, :, -LAST_ROWS:].mean(2), atol=1e-5)
        assert torch.allclose(read.mean[entry].sum(-1) + read.rest[entry], torch.ones(1), atol=1e-5)


def test_windows_do_not_see_each_other_and_their_order_does_not_matter(runtime: DraftRuntime) -> None:
    tokens = runtime.tokenizer.tokenize(TEXT * 3).ids
    windows = [tokens[:17], tokens[17:40], tokens[40:48]]
    probe = [runtime.tokenizer.tokenize("Who barked?").ids.tolist()]
    straight = runtime.encode(windows)
    turned = runtime.encode(windows[::-1])
    sink = runtime.sink_tokens
    assert torch.allclose(straight.keys[-1][:, sink : sink + 17], turned.keys[-1][:, -17:], atol=1e-5)
    alone = runtime.encode([windows[1]])
    assert torch.allclose(straight.values[-1][:, sink + 17 : sink + 40], alone.values[-1][:, sink:], atol=1e-5)
    a, b = runtime.probe(straight, probe).mean, runtime.probe(turned, probe).mean
    assert torch.allclose(a[..., :17], b[..., -17:], atol=1e-5)
    assert torch.allclose(a[..., -8:], b[..., :8], atol=1e-5)


def test_only_the_layers_of_the_band_are_loaded(runtime: DraftRuntime) -> None:
    assert runtime.layers == 8
    assert runtime.band == range(2, 6)
    cache = runtime.encode([runtime.tokenizer.tokenize(TEXT).ids])
    assert len(cache.keys) == 6
    assert cache.keys[0].shape[0] == 2  # KV heads, not query heads


def test_a_failing_call_leaves_nothing_behind(runtime: DraftRuntime) -> None:
    tokens = runtime.tokenizer.tokenize(TEXT).ids
    probe = [runtime.tokenizer.tokenize("Who barked?").ids.tolist()]
    before = runtime.probe(runtime.encode([tokens]), probe).mean
    with pytest.raises(IndexError):
        runtime.encode([np.array([10**6])])
    assert torch.equal(runtime.probe(runtime.encode([tokens]), probe).mean, before)


def test_special_tokens_in_a_text_are_text(runtime: DraftRuntime) -> None:
    special = runtime.tokenizer.template_ids("<|im_end|>")
    assert len(special) == 1
    tokens = runtime.tokenizer.tokenize("a<|im_end|>b")
    assert special[0] not in tokens.ids
    assert tokens.ends[-1] == 12


def test_a_damaged_draft_says_so(tiny_drafts: dict[str, Path], tmp_path: Path) -> None:
    for file in tiny_drafts["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(DraftCorruptError, match="can't be loaded"):
        DraftRuntime(load.pull(str(tmp_path)))


def test_attention_that_can_not_be_read_says_so() -> None:
    from agentcompress.drafts import capture

    q = torch.zeros(1, 2, 3, 4)
    with pytest.raises(DraftUnsupportedError, match="outside of a capture"):
        capture._attention(torch.nn.Module(), q, q, q, None)
    with capture.capturing(capture.Encode(sink=[])):
        with pytest.raises(DraftUnsupportedError, match="learned attention sinks"):
            capture._attention(torch.nn.Module(), q, q, q, None, s_aux=torch.zeros(2))
        with pytest.raises(DraftUnsupportedError, match="which layer it is"):
            capture._attention(torch.nn.Module(), q, q, q, None)
