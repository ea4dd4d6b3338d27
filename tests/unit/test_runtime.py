"""The captured attention against a dense reference: the model's own eager attention over one plain sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2Model

from agentcompress.drafts import capture, load
from agentcompress.drafts.decoder import FusedDecoder, ModuleDecoder, choose_decoder
from agentcompress.drafts.pages import Shape, find_runs, place_windows
from agentcompress.drafts.probe import Probe
from agentcompress.drafts.runtime import LAST_ROWS, DraftRuntime
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError, InvalidInputError, ScoringError
from tests.tiny import tiny_shape

ARCHITECTURES = ["llama", "qwen3", "gemma3"]
TEXT = "The cat sat on the mat. The dog barked at the cat, and then it ran away.\n"


@pytest.fixture(scope="module", params=ARCHITECTURES)
def runtime(request: pytest.FixtureRequest, tiny_drafts: dict[str, Path]) -> DraftRuntime:
    return DraftRuntime(load.pull_draft(str(tiny_drafts[request.param])), torch.float32)


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
@pytest.mark.parametrize("text", [TEXT, TEXT * 20])
def test_one_window_is_a_plain_prefill(runtime: DraftRuntime, question: str, text: str) -> None:
    tokens = runtime.tokenizer.tokenize(text).ids[:400]
    sink = runtime.tokenizer.tokenize_template(runtime.tokenizer.template.sink)
    probe = runtime.tokenizer.tokenize(question).ids.tolist()
    read = runtime.probe(runtime.encode([tokens]), probe, probe[:3])

    dense = dense_attention(runtime.files.folder, [*sink, *tokens.tolist(), *probe])
    band = dense[runtime.band.start : runtime.band.stop]
    first = len(sink) + len(tokens)
    windows = band[:, :, :, len(sink) : first]
    for found, rows in zip(read, (len(probe), 3), strict=True):
        mine = windows[:, :, first : first + rows]
        assert torch.allclose(found.mean.double(), mine.mean(2), atol=1e-5)
        assert torch.allclose(found.last.double(), mine[:, :, -LAST_ROWS:].mean(2), atol=1e-5)
        assert torch.allclose(found.mean.sum(-1) + found.rest, torch.ones(1), atol=1e-5)


def test_windows_do_not_see_each_other_and_their_order_does_not_matter(runtime: DraftRuntime) -> None:
    tokens = runtime.tokenizer.tokenize(TEXT * 20).ids
    windows = [tokens[:300], tokens[300:317], tokens[317:340]]
    probe = runtime.tokenizer.tokenize("Who barked?").ids.tolist()
    straight, turned = runtime.encode(windows), runtime.encode(windows[::-1])
    for one, other in zip(straight, turned[::-1], strict=True):
        assert one.key == other.key
        assert torch.equal(one.copy_kv(), other.copy_kv())
        assert torch.equal(one.copy_kv(), runtime.encode([windows[straight.index(one)]])[0].copy_kv())
    a, b = runtime.probe(straight, probe, probe)[0].mean, runtime.probe(turned, probe, probe)[0].mean
    assert torch.allclose(a[..., :300], b[..., -300:], atol=1e-5)
    assert torch.allclose(a[..., -23:], b[..., :23], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_whatever_is_computed_beside_it_and_wherever_it_lies(
    tiny_drafts: dict[str, Path], dtype: torch.dtype
) -> None:
    files = load.pull_draft(str(tiny_drafts["llama"]))
    one, three = DraftRuntime(files, dtype, threads=1), DraftRuntime(files, dtype, threads=3)
    tokens = one.tokenizer.tokenize(TEXT * 200).ids
    windows = [tokens[i * 400 : (i + 1) * 400] for i in range(9)]
    probe = one.tokenizer.tokenize("Who barked at the cat?").ids.tolist()
    together = one.probe(one.encode(windows), probe, probe[:4])[0]
    apart = [three.encode([window], extent_pages=1)[0] for window in windows]
    for found in (three.probe(apart, probe, probe[:5])[0], three.probe_query(apart, probe)):
        assert torch.equal(found.mean, together.mean)
        assert torch.equal(found.last, together.last)
        assert torch.equal(found.rest, together.rest)


def test_only_the_layers_of_the_band_are_loaded(runtime: DraftRuntime) -> None:
    assert runtime.layers == 8
    assert runtime.band == range(2, 6)
    window = runtime.encode([runtime.tokenizer.tokenize(TEXT).ids])[0]
    assert window.copy_kv().shape == (6, 2, 2, window.tokens, 8)  # KV heads, not query heads
    assert runtime.shape.token_bytes == 6 * 2 * 2 * 8 * 4


def test_common_shapes_are_fused_and_others_run_on_their_modules(runtime: DraftRuntime) -> None:
    assert isinstance(runtime.decoder, ModuleDecoder if "gemma3" in runtime.files.name else FusedDecoder)


def test_biases_are_fused_too(tmp_path: Path) -> None:
    shape = tiny_shape(400)
    torch.manual_seed(7)
    model = Qwen2Model(Qwen2Config(**shape)).eval()
    for layer in model.layers:
        for part in ("q_proj", "k_proj", "v_proj"):
            torch.nn.init.normal_(getattr(layer.self_attn, part).bias)
    assert fused_and_modules_agree(model) < 1e-4


def test_a_fused_draft_that_disagrees_is_left_aside(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(7)
    model = Qwen2Model(Qwen2Config(**tiny_shape(400))).eval()
    model.layers[1].mlp.act_fn = torch.nn.Tanh()  # not what its config says
    assert fused_and_modules_agree(model) > 1e-2
    assert isinstance(choose_decoder(model, torch.arange(30)), ModuleDecoder)
    assert "fused layers are" in caplog.text


def test_a_build_without_the_fused_operators_runs_on_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise RuntimeError("not in this build")

    monkeypatch.setattr(FusedDecoder, "forward", unsupported)
    torch.manual_seed(7)
    model = Qwen2Model(Qwen2Config(**tiny_shape(400))).eval()
    capture.register_attention()
    model.set_attn_implementation(capture.NAME)
    assert isinstance(choose_decoder(model, torch.arange(30)), ModuleDecoder)


def fused_and_modules_agree(model: Qwen2Model) -> float:
    capture.register_attention()
    model.set_attn_implementation(capture.NAME)
    ids, last = torch.arange(30), []
    with torch.inference_mode():
        for decoder in (ModuleDecoder(model), FusedDecoder(model)):
            written: list[torch.Tensor] = []
            decoder.forward(ids, 3, capture.Encode(decoder.layers, lambda _, k, v, w=written: w.append(k)))
            last.append(written[-1])
    return float((last[0] - last[1]).abs().max() / last[0].abs().max())


def test_sums_beyond_half_precision_do_not_overflow() -> None:
    shape = Shape(1, 1, 8, torch.float16, torch.device("cpu"))
    window = place_windows(["a"], [200], shape, 16)[0]
    keys = torch.full((1, 200, 8), 1.0, dtype=torch.float16)
    window.extent.write_window(0, 0, keys, keys * 0.01)
    zero, q = torch.zeros(1, 1, 3, 8, dtype=torch.float16), torch.full((1, 1, 2, 8), 1.25, dtype=torch.float16)
    state = Probe(
        find_runs([window], 2), [(zero, zero)], 2, range(1), 1
    )  # exp(10) of 200 tokens, over exp(0) of the sink
    out = state.attend(0, q, zero[:, :, :2], zero[:, :, :2], 1.0, None)
    mean, _, rest = state.collect_attention()
    assert torch.allclose(out.float(), torch.full_like(out, 0.01).float(), rtol=1e-2)
    assert torch.allclose(mean.sum(-1), torch.ones(1, 1), atol=1e-2)
    assert torch.allclose(mean[0, 0], torch.full((200,), 1 / 200), rtol=1e-2)
    assert float(rest) == pytest.approx((2.5 + 2) / 2 * 0 + 4.5 / (200 * np.exp(10)), rel=0.2)


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_threads_are_counted(tiny_draft: str, threads: float) -> None:
    with pytest.raises(InvalidInputError, match="threads must be a whole number >= 1"):
        DraftRuntime(load.pull_draft(tiny_draft), torch.float32, threads=threads)  # type: ignore[arg-type]


def test_logits_far_above_the_sinks_do_not_overflow() -> None:
    torch.manual_seed(0)
    q = torch.randn(1, 4, 5, 8)
    for softcap in (None, 300.0):
        logits = checked_against_dense(q, torch.randn(2, 320, 8) * 100, torch.randn(1, 2, 9, 8), softcap)
        assert logits.max() > 200


@pytest.mark.parametrize("near", [-200.0, -300.0])
def test_logits_far_below_zero_are_not_outdone_by_padding(near: float) -> None:
    torch.manual_seed(0)  # the first layer of Qwen2.5, whose keys have biases
    q, direction = torch.rand(1, 4, 5, 8) + 1, torch.eye(8)[0]
    q[..., 0] = 1
    keys, near_keys = torch.randn(2, 320, 8) - 300 * direction, torch.randn(1, 2, 9, 8) + near * direction
    for softcap in (None, 1000.0):
        logits = checked_against_dense(q, keys, near_keys, softcap)
        assert logits[logits.isfinite()].max() < -150


def checked_against_dense(q: torch.Tensor, keys: torch.Tensor, near_keys: torch.Tensor, softcap: float | None):
    """Windows of 300 and 20 keys, behind four of the sink and before five of the probe; returns all logits."""
    values, near_values = torch.randn(2, 320, 8), torch.randn(1, 2, 9, 8)
    shape = Shape(1, 2, 8, torch.float32, torch.device("cpu"))
    windows = place_windows(["a", "b"], [300, 20], shape, 16)
    for window, part in zip(windows, (slice(0, 300), slice(300, 320)), strict=True):
        window.extent.write_window(0, window.page, keys[:, part], values[:, part])
    sink = [(near_keys[:, :, :4], near_values[:, :, :4])]
    state = Probe(find_runs(windows, 2), sink, 5, range(1), 2)
    out = state.attend(0, q, near_keys[:, :, 4:], near_values[:, :, 4:], 1.0, softcap)
    mean, last, rest = state.collect_attention()

    all_keys, all_values = (
        torch.cat([near[0, :, :4], far, near[0, :, 4:]], 1).double().repeat_interleave(2, 0)
        for near, far in ((near_keys, keys), (near_values, values))
    )
    logits = q[0].double() @ all_keys.transpose(1, 2)
    if softcap:
        logits = torch.tanh(logits / softcap) * softcap
    logits[..., -5:].masked_fill_(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    weights = logits.softmax(-1)
    assert torch.allclose(out[0].double(), weights @ all_values, atol=1e-3, rtol=1e-4)
    assert torch.allclose(mean[0].double(), weights[:, :, 4:324].mean(1), atol=1e-4)
    assert torch.allclose(last[0].double(), weights[:, -2:, 4:324].mean(1), atol=1e-4)
    assert torch.allclose(rest[0].double(), 1 - weights[:, :, 4:324].mean(1).sum(-1), atol=1e-4)
    return logits


@pytest.mark.parametrize("poisoned", ["window", "probe"])
def test_numbers_that_are_none_are_an_error_of_that_call_alone(runtime: DraftRuntime, poisoned: str) -> None:
    own = DraftRuntime(runtime.files, torch.float32)
    rare = own.tokenizer.tokenize("@").ids
    tokens, probe = own.tokenizer.tokenize(TEXT).ids, own.tokenizer.tokenize("Who barked?").ids.tolist()
    before = own.probe(own.encode([tokens]), probe, probe)[0].mean
    embedding = (
        own.decoder.model.embed_tokens.weight if isinstance(own.decoder, ModuleDecoder) else own.decoder._embedding
    )  # type: ignore[attr-defined]
    with torch.no_grad():
        embedding[int(rare[0])] = float("nan")
    window, query = [tokens], [*probe, int(rare[0])]
    if poisoned == "window":
        window, query = [tokens, np.concatenate([tokens, rare])], probe
    with pytest.raises(ScoringError, match="finite number"):
        own.probe(own.encode(window), query, probe)
    assert torch.equal(own.probe(own.encode([tokens]), probe, probe)[0].mean, before)


def test_a_failing_call_leaves_nothing_behind(runtime: DraftRuntime) -> None:
    tokens = runtime.tokenizer.tokenize(TEXT).ids
    probe = runtime.tokenizer.tokenize("Who barked?").ids.tolist()
    before = runtime.probe(runtime.encode([tokens]), probe, probe)[0].mean
    with pytest.raises(IndexError):
        runtime.encode([np.array([10**6])])
    assert torch.equal(runtime.probe(runtime.encode([tokens]), probe, probe)[0].mean, before)


def test_special_tokens_in_a_text_are_text(runtime: DraftRuntime) -> None:
    special = runtime.tokenizer.tokenize_template("<|im_end|>")
    assert len(special) == 1
    tokens = runtime.tokenizer.tokenize("a<|im_end|>b")
    assert special[0] not in tokens.ids
    assert tokens.ends[-1] == 12


def test_a_damaged_draft_says_so(tiny_drafts: dict[str, Path], tmp_path: Path) -> None:
    for file in tiny_drafts["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(DraftCorruptError, match="can't be loaded"):
        DraftRuntime(load.pull_draft(str(tmp_path)))


def test_attention_that_can_not_be_read_says_so() -> None:
    q = torch.zeros(1, 2, 3, 4)
    with pytest.raises(DraftUnsupportedError, match="outside of a capture"):
        capture._run_attention(torch.nn.Module(), q, q, q, None)
    with capture.capture_attention(capture.Encode(1, lambda *_: None)):
        with pytest.raises(DraftUnsupportedError, match="learned attention sinks"):
            capture._run_attention(torch.nn.Module(), q, q, q, None, s_aux=torch.zeros(2))
        with pytest.raises(DraftUnsupportedError, match="which layer it is"):
            capture._run_attention(torch.nn.Module(), q, q, q, None)
