"""What is encoded once stays right: hits in any order, budgets, several callers, and disks that fail."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.common import deadlines
from agentcompress.drafts import load
from agentcompress.drafts.cache.files import WindowFiles
from agentcompress.drafts.cache.windows import WindowCache, get_shared_cache
from agentcompress.drafts.pages import Window
from agentcompress.drafts.runtime import DraftRuntime
from agentcompress.errors import ConfigError, DeadlineError, ScoringError
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.cached import CachedScores
from agentcompress.scorers.calibrated import CalibratedScorer
from tests.fakes import LongestScorer

PROBE, NULL = [5, 6, 7, 8, 9], [5, 6]
DOCUMENTS = [np.arange(start, start + length) % 300 + 3 for start, length in ((0, 300), (7, 40), (90, 256), (33, 1))]


@pytest.fixture(scope="module")
def runtime(tiny_draft: str) -> DraftRuntime:
    return DraftRuntime(load.pull_draft(tiny_draft), torch.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "segments"


def same(runtime: DraftRuntime, cache: WindowCache, documents: Sequence[np.ndarray]) -> None:
    """The cache gives the very bits that its runtime gives."""
    windows, plain = cache.encode(documents), runtime.encode(documents)
    assert [window.key for window in windows] == [window.key for window in plain]
    for window, expected in zip(windows, plain, strict=True):
        assert torch.equal(window.copy_kv(), expected.copy_kv())
    for found, expected in zip(cache.probe(windows, PROBE, NULL), runtime.probe(plain, PROBE, NULL), strict=True):
        assert torch.equal(found.mean, expected.mean)
        assert torch.equal(found.last, expected.last)
        assert torch.equal(found.rest, expected.rest)


@settings(max_examples=30)
@given(
    calls=st.lists(st.lists(st.sampled_from(range(4)), min_size=1, max_size=5), min_size=1, max_size=5),
    budget=st.sampled_from([1, 400_000, 1 << 30]),
)
def test_a_cache_changes_nothing(runtime: DraftRuntime, calls: list[list[int]], budget: int) -> None:
    cache = WindowCache(runtime, budget)
    for call in calls:
        same(runtime, cache, [DOCUMENTS[i] for i in call])
        assert cache.get_stats().bytes <= budget


def test_a_document_hits_in_another_order_and_beside_others(runtime: DraftRuntime) -> None:
    cache = WindowCache(runtime)
    cache.encode(DOCUMENTS[:2])
    cache.encode([DOCUMENTS[2], DOCUMENTS[1], DOCUMENTS[0], DOCUMENTS[1]])
    assert (cache.get_stats().hits, cache.get_stats().misses) == (2, 3)
    assert cache.get_stats().encode_ms > 0
    cache.clear()
    assert cache.get_stats().bytes == 0
    cache.encode(DOCUMENTS[:1])
    assert cache.get_stats().misses == 4


def test_the_query_free_probe_is_computed_once(runtime: DraftRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, probed = WindowCache(runtime), []
    original = DraftRuntime._run_probe
    monkeypatch.setattr(
        DraftRuntime, "_run_probe", lambda self, windows, ids: (probed.append(ids), original(self, windows, ids))[1]
    )
    windows = cache.encode(DOCUMENTS)
    cache.probe(windows, PROBE, NULL)
    cache.probe(windows, PROBE[1:], NULL)
    cache.probe(windows[1:], PROBE, NULL)
    assert sorted(map(tuple, probed)) == sorted(map(tuple, [PROBE, NULL, PROBE[1:], PROBE, NULL]))


def test_a_thousand_segments_through_a_small_cache(runtime: DraftRuntime) -> None:
    budget = 64 << 20
    cache = WindowCache(runtime, budget)
    rng = np.random.default_rng(0)
    documents = [rng.integers(3, 300, 40) for _ in range(1000)]
    most = 0
    for document in documents:
        cache.encode([document])
        most = max(most, cache.get_stats().bytes)
    assert budget * 0.9 < most <= budget
    stats = cache.get_stats()
    assert stats.misses == 1000
    assert stats.bytes + stats.evicted_bytes == 1000 * runtime.shape.page_bytes
    cache.encode(documents[-300:])
    assert cache.get_stats().misses == 1000  # the last ones are all here
    cache.encode(documents[:300])
    assert cache.get_stats().misses == 1300  # the first ones are not


def test_what_is_used_stays(runtime: DraftRuntime) -> None:
    cache = WindowCache(runtime, 3 * runtime.shape.page_bytes)
    for document in (DOCUMENTS[1], DOCUMENTS[2], DOCUMENTS[3], DOCUMENTS[1], np.arange(3, 60), np.arange(4, 60)):
        cache.encode([document])
    before = cache.get_stats().misses
    cache.encode([DOCUMENTS[1]])
    assert cache.get_stats().misses == before


def test_a_budget_smaller_than_one_request(runtime: DraftRuntime) -> None:
    cache = WindowCache(runtime, runtime.shape.page_bytes)
    for _ in range(2):
        same(runtime, cache, DOCUMENTS)
    assert cache.get_stats().bytes <= runtime.shape.page_bytes


def test_callers_at_the_same_window_encode_it_once(runtime: DraftRuntime) -> None:
    cache, errors = WindowCache(runtime), []

    def call() -> None:
        try:
            same(runtime, cache, DOCUMENTS)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert errors == []
    assert cache.get_stats().misses == len(DOCUMENTS)


class SlowRuntime(DraftRuntime):
    """Waits at a gate, and fails as often as it is told to."""

    gate: threading.Event
    failures: int

    def encode(self, windows: Sequence[np.ndarray], **options: Any) -> list[Window]:
        self.gate.wait(10)
        if self.failures:
            self.failures -= 1
            raise ScoringError("not this time")
        return super().encode(windows, **options)


def test_a_call_that_waits_for_another_takes_over_when_that_fails(tiny_draft: str) -> None:
    slow = SlowRuntime(load.pull_draft(tiny_draft), torch.float32)
    slow.gate, slow.failures = threading.Event(), 1
    cache, ends = WindowCache(slow), []

    def call() -> None:
        try:
            ends.append(cache.encode(DOCUMENTS[:1])[0].tokens)
        except ScoringError as error:
            ends.append(str(error))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
        time.sleep(0.02)
    with deadlines.within(30), pytest.raises(DeadlineError):
        cache.encode(DOCUMENTS[:1])  # waits no longer than it may
    slow.gate.set()
    for caller in callers:
        caller.join()
    assert sorted(map(str, ends)) == ["300", "300", "not this time"]
    assert cache.get_stats().misses == 1


def test_what_was_done_before_a_deadline_is_kept(tiny_draft: str) -> None:
    own = DraftRuntime(load.pull_draft(tiny_draft), torch.float32, threads=1)
    cache, gate = WindowCache(own), threading.Event()
    original, encoded = own._encode_window, []

    def slow(ids: np.ndarray, window: Window) -> None:
        if encoded:  # all but the first
            gate.wait(10)
        original(ids, window)
        encoded.append(window)

    own._encode_window = slow  # type: ignore[method-assign]
    with deadlines.within(200), pytest.raises(DeadlineError):
        cache.encode(DOCUMENTS)
    gate.set()
    assert cache.get_stats().misses == 1
    same(own, cache, DOCUMENTS)
    assert cache.get_stats().hits == 1
    assert cache.get_stats().misses == len(DOCUMENTS)


def test_a_failed_call_holds_no_memory(tiny_draft: str) -> None:
    own = DraftRuntime(load.pull_draft(tiny_draft), torch.float32)
    extents = []

    def fail(ids: np.ndarray, window: Window) -> None:
        extents.append(weakref.ref(window.extent))
        raise ZeroDivisionError

    own._encode_window = fail  # type: ignore[method-assign]
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError):
            WindowCache(own).encode(DOCUMENTS)
        own._streams.run(lambda _: None, 8)
        assert [extent() for extent in extents if extent() is not None] == []
    finally:
        gc.enable()


def test_numbers_that_are_none_are_not_kept(tiny_draft: str) -> None:
    own = DraftRuntime(load.pull_draft(tiny_draft), torch.float32)
    embedding = own.decoder._embedding  # type: ignore[attr-defined]
    with torch.no_grad():
        healthy = embedding[9].clone()
        embedding[9] = float("nan")
    cache = WindowCache(own)
    with pytest.raises(ScoringError, match="finite"):
        cache.encode(DOCUMENTS)
    with torch.no_grad():
        embedding[9] = healthy
    same(own, cache, DOCUMENTS)


def test_files_serve_the_next_process(runtime: DraftRuntime, folder: Path) -> None:
    files = WindowFiles(folder, 1 << 30)
    first = WindowCache(runtime, files=files)
    first.encode(DOCUMENTS)
    files.flush()
    second = WindowCache(runtime, files=WindowFiles(folder, 1 << 30))
    same(runtime, second, DOCUMENTS[::-1])
    assert (second.get_stats().file_hits, second.get_stats().misses) == (len(DOCUMENTS), 0)


@pytest.mark.parametrize("damage", ["emptied", "cut", "one bit", "another window's"])
def test_damaged_files_are_computed_again(
    runtime: DraftRuntime, folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = WindowFiles(folder, 1 << 30)
    window, other = WindowCache(runtime, files=files).encode([DOCUMENTS[0], DOCUMENTS[2]])
    files.flush()
    file = folder / f"{window.key}.kv.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 4
    file.write_bytes(
        {
            "emptied": b"",
            "cut": bytes(data[:-1000]),
            "one bit": bytes(data),
            "another window's": (folder / f"{other.key}.kv.safetensors").read_bytes(),
        }[damage]
    )
    cache = WindowCache(runtime, files=files)
    same(runtime, cache, [DOCUMENTS[0], DOCUMENTS[2]])
    assert (cache.get_stats().file_hits, cache.get_stats().misses) == (1, 1)
    assert "is damaged" in caplog.text
    files.flush()
    fresh = WindowCache(runtime, files=WindowFiles(folder, 1 << 30))
    fresh.encode([DOCUMENTS[0]])
    assert fresh.get_stats().file_hits == 1  # it was mended


def test_a_folder_that_can_not_be_written_to_is_worked_without(
    runtime: DraftRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    files = WindowFiles(tmp_path / "file" / "segments", 1 << 30)
    for _ in range(2):
        same(runtime, WindowCache(runtime, files=files), DOCUMENTS)
        files.flush()
    assert caplog.text.count("can't be written to") == 1


def test_a_file_that_can_not_be_read_is_left_alone(
    runtime: DraftRuntime, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import safetensors

    files = WindowFiles(folder, 1 << 30)
    WindowCache(runtime, files=files).encode(DOCUMENTS)
    files.flush()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors, "safe_open", refuse)
        patch.setattr(files, "store", lambda windows: None)
        same(runtime, WindowCache(runtime, files=files), DOCUMENTS)
    monkeypatch.setattr(os, "utime", refuse)
    again = WindowCache(runtime, files=files)
    same(runtime, again, DOCUMENTS)
    assert again.get_stats().file_hits == len(DOCUMENTS)
    assert caplog.text == ""


def test_another_config_or_draft_has_other_keys(tiny_drafts: dict[str, Path], tmp_path: Path) -> None:
    keys = set()
    for name, change in (("same", {}), ("theta", {"rope_theta": 77.0}), ("eps", {"rms_norm_eps": 1e-2})):
        copy = tmp_path / name / "draft"
        shutil.copytree(tiny_drafts["llama"], copy, copy_function=shutil.copy2)
        config = json.loads((copy / "config.json").read_text())
        config.get("rope_parameters", {}).update({k: v for k, v in change.items() if k == "rope_theta"})
        config.update(change)
        (copy / "config.json").write_text(json.dumps(config))
        files = load.DraftFiles("draft", copy, "the same revision")
        keys |= {
            DraftRuntime(files, dtype).compute_window_key(DOCUMENTS[0]) for dtype in (torch.float32, torch.bfloat16)
        }
    assert len(keys) == 6
    files = load.DraftFiles("draft", tmp_path / "same" / "draft", "the same revision")
    assert DraftRuntime(files, torch.float32, threads=1).compute_window_key(DOCUMENTS[0]) in keys


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process's file sizes are POSIX's")
def test_a_full_disk_is_worked_without(tiny_draft: str, folder: Path) -> None:
    out = in_another_process(
        tiny_draft,
        folder,
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "cache.encode(documents); files.flush(); print(cache.get_stats().misses)",
    )
    assert "can't be written to" in out.stderr
    assert out.stdout == "4\n"
    assert [file.stat().st_size for file in folder.iterdir() if file.stat().st_size > 50_000] == []
    assert list(folder.glob("*.part")) == []


def test_a_folder_that_goes_away_under_way_comes_back(runtime: DraftRuntime, folder: Path) -> None:
    files = WindowFiles(folder, 1 << 30)
    cache = WindowCache(runtime, files=files)
    cache.encode(DOCUMENTS[:2])
    files.flush()
    shutil.rmtree(folder)
    same(runtime, cache, DOCUMENTS)
    files.flush()
    assert len(list(folder.iterdir())) == 2


def test_the_folder_is_capped(runtime: DraftRuntime, folder: Path) -> None:
    files = WindowFiles(folder, 300_000)
    cache = WindowCache(runtime, files=files)
    (folder).mkdir()
    left = folder / "x.part"
    left.touch()
    os.utime(left, (1, 1))
    for start in range(20):
        cache.encode([np.arange(start + 3, start + 53)])
        files.flush()
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert 200_000 < sum(sizes) <= 300_000 + max(sizes)
    assert not left.exists()
    again = WindowCache(runtime, files=WindowFiles(folder, 300_000))
    again.encode([np.arange(22, 72)])
    assert again.get_stats().file_hits == 1  # the last one is among those that stayed


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_killed_while_writing(tiny_draft: str, runtime: DraftRuntime, folder: Path) -> None:
    killed = in_another_process(
        tiny_draft,
        folder,
        "import os, signal\n"
        "from pathlib import Path\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache.encode(documents); files.flush()",
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(folder.glob("*.part"))) == 1
    files = WindowFiles(folder, 1 << 30)
    same(runtime, WindowCache(runtime, files=files), DOCUMENTS)
    files.flush()
    assert len(list(folder.glob("*.kv.safetensors"))) == len(DOCUMENTS)


def test_two_processes_on_one_folder(tiny_draft: str, runtime: DraftRuntime, folder: Path) -> None:
    code = (
        "for _ in range(20):\n"
        "    cache.clear(); cache.encode(documents); files.flush()\n"
        "print(cache.get_stats().misses + cache.get_stats().file_hits)"
    )
    other = subprocess.Popen(command(tiny_draft, folder, code), stdout=subprocess.PIPE, text=True)
    files = WindowFiles(folder, 300_000)  # so small that files come and go
    while other.poll() is None:
        same(runtime, WindowCache(runtime, files=files), DOCUMENTS)
    files.flush()
    assert other.returncode == 0
    assert other.stdout is not None
    assert other.stdout.read() == "80\n"
    other.stdout.close()


def command(draft: str, folder: Path, code: str) -> list[str]:
    setup = (
        "import torch\n"
        "from agentcompress.drafts import load\n"
        "from agentcompress.drafts.runtime import DraftRuntime\n"
        "from agentcompress.drafts.cache.windows import WindowCache\n"
        "from agentcompress.drafts.cache.files import WindowFiles\n"
        "from tests.unit.test_segment_cache import DOCUMENTS as documents\n"
        f"files = WindowFiles({str(folder)!r}, 1 << 30)\n"
        f"cache = WindowCache(DraftRuntime(load.pull_draft({draft!r}), torch.float32), files=files)\n"
    )
    return [sys.executable, "-c", setup + code]


def in_another_process(draft: str, folder: Path, code: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(draft, folder, code), capture_output=True, text=True, check=check, timeout=120)


class CountingScorer(LongestScorer):
    def __init__(self) -> None:
        self.calls = 0

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        self.calls += 1
        return super().score(segment, reading)


def test_scores_are_remembered_by_text_units_and_query() -> None:
    counting = CountingScorer()
    scorer = CachedScores(counting)
    segments = [
        Compressor(CompressConfig(scorer="lexical", segmenter=name)).segment("a\n\nb. c\n")
        for name in ("lines", "prose")
    ]
    for _ in range(2):
        for segment in segments:
            for query in ("b", "c"):
                scorer.score(segment, Reading(query))[:] = 0  # the caller's copy
    assert counting.calls == 4
    assert scorer.score(segments[0], Reading("b")).any()
    small = CachedScores(counting, budget_bytes=1)
    small.score(segments[0], Reading("b"))
    assert np.array_equal(small.score(segments[0], Reading("b")), scorer.score(segments[0], Reading("b")))


def test_the_drafts_scorer_runs_on_the_cache_its_config_asks_for(tiny_draft: str, folder: Path) -> None:
    text = "The cat sat on the mat. The dog barked.\n" * 60
    results = []
    for options in (
        {"segment_cache_bytes": 0},
        {},
        {"segment_cache_bytes": 1 << 20, "segment_cache_folder": str(folder)},
    ):
        config = CompressConfig(scorer="calibrated", draft=tiny_draft, **options)
        compressor = Compressor(config)
        results.append(compressor.compress_text(text, query="Who barked?", keep_rate=0.2).text)
        scorer = compressor.scorer
        assert isinstance(scorer, CachedScores)
        assert isinstance(scorer.scorer, CalibratedScorer)
    assert results[0] == results[1] == results[2]
    cache = get_shared_cache(tiny_draft, 1 << 20, str(folder), 8 << 30)
    assert isinstance(cache, WindowCache)
    assert cache.get_stats().misses > 0
    assert cache is get_shared_cache(tiny_draft, 1 << 20, str(folder), 8 << 30)
    assert isinstance(get_shared_cache(tiny_draft, 0, None, 1), DraftRuntime)


@pytest.mark.parametrize(
    ("field", "bad", "allowed"),
    [
        ("segment_cache_bytes", -1, "a whole number >= 0"),
        ("segment_cache_bytes", 1.5, "a whole number >= 0"),
        ("segment_cache_folder", 7, "a path or None"),
        ("segment_cache_folder", "", "a path or None"),
        ("segment_cache_folder_bytes", 0, "a whole number >= 1"),
    ],
)
def test_bad_cache_settings(field: str, bad: object, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be {allowed}"):
        CompressConfig(**{field: bad})
