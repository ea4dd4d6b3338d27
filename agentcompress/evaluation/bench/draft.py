"""How fast the draft is: cold, warm and hot calls, against the published method and the machine's own ceiling.

A call is `Scorer.score` of the default scorer: text and units in, scores out. Counting the target's tokens, selecting
and rendering are not the draft's and are not in it. Ratios are taken within one run, neighbours in time.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch

from agentcompress.common import progress
from agentcompress.common.checks import checked_count
from agentcompress.corpora.passages import make_passage
from agentcompress.drafts.cache.windows import WindowCache
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.bench import conversation, doors, structure
from agentcompress.evaluation.bench.rivals import GemmCeiling, SpeculativePass, call_at_once
from agentcompress.evaluation.bench.timing import time_ms
from agentcompress.schema import Reading, Segment

LENGTHS = (1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
_QUERY = "Why was the {} moved?"
_READING = Reading(_QUERY.format("user"))
_SUBJECTS = ("shipment", "session", "replica", "batch", "index", "order")
_CALLERS, _CALLER_TOKENS = 16, 4096
_SHORT = 16_384
_ROUNDS = 2
_SLACK_BYTES = 3 << 29  # 1.5 GiB for everything but weights and cache


@dataclass(frozen=True)
class Row:
    """Median times at a length, in milliseconds; None where not measured.

    warm_ms is not measured where the cache can't hold the text, baseline_ms not beyond 8192 tokens.
    """

    tokens: int
    cold_ms: float
    warm_ms: float | None
    hot_ms: float
    baseline_ms: float | None


@dataclass(frozen=True)
class _Call:
    """What calls on one text took, in milliseconds, and in memory. TIMES: the names of the times."""

    TIMES: ClassVar = ("cold", "warm", "hot")
    cold: list[float]
    warm: list[float]
    hot: list[float]
    peak_rss_bytes: int
    kv_bytes_per_token: float


@dataclass
class BenchReport:
    """What a run found: `rows` are the table by length, `keys` all other figures, `machine` says where it ran."""

    draft: str
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    keys: dict[str, float | int | bool | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return everything for `json.dumps`, the figures of `keys` on the top level."""
        return {**self.keys, "draft": self.draft, "machine": self.machine, "rows": [asdict(row) for row in self.rows]}


class Bench:
    """One run over a draft's runtime. Everything is measured on caches of its own."""

    def __init__(self, draft: str, lengths: Sequence[int] = LENGTHS, budget_bytes: int = 1 << 30) -> None:
        from agentcompress.drafts.runtime import get_shared_runtime
        from agentcompress.scorers.cached import CachedScores
        from agentcompress.scorers.calibrated import CalibratedScorer

        if not lengths or min(checked_count("lengths", length) for length in lengths) < 64:
            raise InvalidInputError("lengths", list(lengths), "token counts >= 64")
        self._lengths = sorted(set(lengths))
        self._runtime = get_shared_runtime(draft)
        self._budget = budget_bytes
        self._new_cache = lambda: WindowCache(self._runtime, budget_bytes)
        self._new_scorer = lambda cache: CachedScores(CalibratedScorer(lambda: cache))
        self._seed = 0
        self._report = BenchReport(draft, self._describe_machine())

    def run(self) -> BenchReport:
        """Measure everything. Takes minutes."""
        self._warm_up()
        texts = [(tokens, i) for i in range(3) for tokens in self._lengths if i < _count_texts(tokens)]
        calls: dict[int, list[_Call]] = {tokens: [] for tokens in self._lengths}
        steps: list[tuple[str, Callable[[], None]]] = [  # lengths in turn, so that a busy minute is not one length's
            *((f"{tokens} tokens", lambda t=tokens: calls[t].append(self._measure_call(t))) for tokens, _ in texts),
            ("summing up", lambda: self._sum_up(calls)),
            ("share of the ceiling", self._measure_share),
            (f"{_CALLERS} callers at once", self._measure_callers),
            ("speculative prefill", self._measure_baseline),
            ("segmentation", lambda: self._report.keys.update(structure.measure_segmentation())),
            ("conversations", lambda: self._report.keys.update(conversation.measure_replay())),
            ("doors", lambda: self._report.keys.update(doors.measure_doors())),
        ]
        for i, (name, step) in enumerate(steps):
            progress.report(name, i, len(steps))
            step()
        progress.report("done", len(steps), len(steps))
        return self._report

    def _sum_up(self, calls: dict[int, list[_Call]]) -> None:
        """Make the rows, and the ratios of cold, warm and hot calls; at the longest also of the process's memory."""
        keys = self._report.keys
        for tokens, of_length in calls.items():
            cold, warm, hot = ([ms for call in of_length for ms in getattr(call, name)] for name in _Call.TIMES)
            row = Row(tokens, _median(cold), _median(warm) if warm else None, _median(hot), None)
            self._report.rows.append(row)
            if tokens == _SHORT and row.warm_ms:
                keys["warm_speedup_16k"], keys["hot_speedup_16k"] = row.cold_ms / row.warm_ms, row.cold_ms / row.hot_ms
                keys["kv_bytes_per_token"] = of_length[0].kv_bytes_per_token
        keys["peak_rss_bytes"] = max(call.peak_rss_bytes for call in calls[self._lengths[-1]])
        keys["peak_rss_limit_bytes"] = self._runtime.weight_bytes + self._budget + _SLACK_BYTES
        cold_ms = {row.tokens: row.cold_ms for row in self._report.rows}
        for tokens in cold_ms:
            if tokens % 2048 == 0 and tokens // 2 in cold_ms:
                ratio = cold_ms[tokens] / cold_ms[tokens // 2]
                keys[f"growth_{tokens // 1024}k_over_{tokens // 2048}k"] = ratio

    def _measure_call(self, tokens: int) -> _Call:
        """Score one fresh text: once cold, then warm with other queries, then hot, again with the first one."""
        cache, segment = self._new_cache(), self._make_passage(tokens)
        scorer = self._new_scorer(cache)

        def time_score(subject: str) -> float:
            return time_ms(scorer.score, segment, Reading(_QUERY.format(subject)))

        fits = tokens * self._runtime.shape.token_bytes * 1.1 < self._budget
        subjects = _SUBJECTS if fits else []
        with _watch_peak_rss() as peak:
            cold = time_score("user")
            warm, hot = [time_score(subject) for subject in subjects], [time_score("user") for _ in range(9)]
        return _Call([cold], warm, hot, peak[0], cache.measure_kv_bytes_per_token())

    def _measure_share(self) -> None:
        """Measure the share of the best matrix product's speed that encoding reaches.

        In slices, each between two readings of the product, so that a busy moment slows both.
        """
        ceiling = GemmCeiling(self._runtime.dtype, self._runtime.decoder.device.type, self._runtime.threads)
        shares, readings = [], [ceiling.measure()]
        for _ in range(2):
            ids = self._runtime.tokenizer.tokenize(self._make_passage(_SHORT).text).ids
            for start in range(0, len(ids), 4096):
                windows = [ids[i : i + 512] for i in range(start, min(start + 4096, len(ids)), 512)]
                seconds = time_ms(self._runtime.encode, windows) / 1000
                readings.append(ceiling.measure())
                flops = sum(self._runtime.count_flops(len(window)) for window in windows)
                shares.append(flops / seconds / statistics.mean(readings[-2:]))
        self._report.keys["gemm_share_16k"] = _median(shares)
        self._report.keys["gemm_ceiling_flops"] = _median(readings)

    def _measure_callers(self) -> None:
        """Make the same calls in a row and at once, on caches of their own; compare times and scores."""
        ratios, identical = [], True
        for i in range(_ROUNDS):
            segments = [self._make_passage(_CALLER_TOKENS) for _ in range(_CALLERS)]
            found: dict[str, list[np.ndarray]] = {}
            ms = {}
            for way in ("row", "once") if i % 2 == 0 else ("once", "row"):  # neither always goes first
                scorer = self._new_scorer(self._new_cache())
                calls: list[Callable[[], np.ndarray]] = [
                    lambda s=s, scorer=scorer: scorer.score(s, _READING) for s in segments
                ]
                started = time.perf_counter()
                found[way] = [call() for call in calls] if way == "row" else call_at_once(calls)
                ms[way] = (time.perf_counter() - started) * 1000
            ratios.append(ms["once"] / ms["row"])
            identical &= all(np.array_equal(a, b) for a, b in zip(found["row"], found["once"], strict=True))
        self._report.keys["callers_at_once_over_in_a_row"] = _median(ratios)
        self._report.keys["callers_identical"] = identical

    def _measure_baseline(self) -> None:
        """Time speculative prefill where its context allows, each time next to a cold call of ours."""
        baseline = SpeculativePass(self._runtime.files, self._runtime.dtype, self._runtime.decoder.device.type)
        baseline.run(torch.arange(256))
        for i, row in enumerate(self._report.rows):
            if row.tokens > 8192:
                break
            theirs, ours = [], []
            for _ in range(_ROUNDS):
                segment = self._make_passage(row.tokens)
                ids = torch.from_numpy(self._runtime.tokenizer.tokenize(segment.text).ids)
                theirs.append(time_ms(baseline.run, ids))
                scorer = self._new_scorer(self._new_cache())
                ours.append(time_ms(scorer.score, segment, _READING))
            ratio = _median([t / o for t, o in zip(theirs, ours, strict=True)])
            if row.tokens % 1024 == 0:
                self._report.keys[f"cold_over_baseline_{row.tokens // 1024}k"] = ratio
            self._report.rows[i] = replace(row, baseline_ms=_median(theirs))

    def _warm_up(self) -> None:
        self._new_scorer(self._new_cache()).score(self._make_passage(2048), _READING)

    def _make_passage(self, tokens: int) -> Segment:
        self._seed += 1
        return make_passage(self._runtime.tokenizer, tokens, self._seed)

    def _describe_machine(self) -> dict[str, Any]:
        return {
            "device": self._runtime.decoder.device.type,
            "dtype": str(self._runtime.dtype).removeprefix("torch."),
            "threads": self._runtime.threads,
            "decoder": type(self._runtime.decoder).__name__,
            "torch": torch.__version__,
        }


def _count_texts(tokens: int) -> int:
    """Return how many texts of a length are measured: fewer of those that take long."""
    return 3 if tokens <= 16_384 else 2 if tokens <= 65_536 else 1


_median = statistics.median


@contextmanager
def _watch_peak_rss() -> Iterator[list[int]]:
    """Yield a list whose one item is, afterwards, the most bytes that the process held: it looks every 10 ms."""
    import psutil

    process, peak, ended = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        peak[0] = max(peak[0], process.memory_info().rss)
