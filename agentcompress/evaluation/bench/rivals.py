"""What the draft's speed is held against: published speculative prefill's draft pass, and the machine's own ceiling."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from agentcompress.drafts import load
from agentcompress.drafts.quiet import silence_progress_bars
from agentcompress.drafts.streams import use_one_thread

LOOKAHEAD = 8
_SIZES = [(1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 1024)]
_SLICE_S = 0.2


class SpeculativePass:
    """The draft's part of speculative prefill as published (2502.02789; 2603.02631, Algorithm 1).

    All layers over the whole prompt at once, then tokens decoded greedily until there are 8, with Hugging Face's SDPA
    attention and generation. Reading the attention out is left away, which is in its favour.
    """

    def __init__(self, files: load.DraftFiles, dtype: torch.dtype, device: str) -> None:
        from transformers import AutoModelForCausalLM

        with silence_progress_bars():
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(files.folder), dtype=dtype, attn_implementation="sdpa"
            )
        self._model = model.eval().to(device)

    def run(self, ids: torch.Tensor) -> None:
        """Prefill token ids (T,) and decode 8 tokens, as the published method does."""
        prompt = ids[None].to(self._model.device)
        with torch.inference_mode():
            self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=LOOKAHEAD,
                min_new_tokens=LOOKAHEAD,
                do_sample=False,
                pad_token_id=0,
            )


class GemmCeiling:
    """The fastest large matrix product of this machine, in floating-point operations a second.

    Which one that is, is found out first, by medians over a few rounds: of three sizes and, on a CPU, of two ways to
    use its cores, torch's own threads and products side by side on a thread each. A busy machine makes single readings
    jump, so their maximum would be nobody's usual speed.
    """

    def __init__(self, dtype: torch.dtype, device: str, threads: int) -> None:
        ways: list[Callable[[], float]] = []
        for m, k, n in _SIZES:
            a, b = torch.randn(m, k, device=device, dtype=dtype), torch.randn(n, k, device=device, dtype=dtype)
            ways.append(lambda a=a, b=b: _measure_rate(a, b))
            if device == "cpu" and threads > 1:
                ways.append(lambda a=a, b=b: _measure_side_by_side(a, b, threads))
        readings = [[way() for way in ways] for _ in range(3)]
        medians = [statistics.median(column) for column in zip(*readings, strict=True)]
        self._best = ways[medians.index(max(medians))]

    def measure(self) -> float:
        """Return the operations a second that this product reaches now."""
        return self._best()


def _measure_rate(a: torch.Tensor, b: torch.Tensor) -> float:
    """Multiply one after the other for a fraction of a second; return the operations a second."""
    flops = 2.0 * a.shape[0] * a.shape[1] * b.shape[0]
    out = torch.mm(a, b.T)
    _synchronise(a)
    started, products = time.perf_counter(), 0
    while True:
        torch.mm(a, b.T, out=out)
        products += 1
        if products % 4 == 0:
            _synchronise(a)
            seconds = time.perf_counter() - started
            if seconds > _SLICE_S:
                return products * flops / seconds


def _measure_side_by_side(a: torch.Tensor, b: torch.Tensor, threads: int) -> float:
    rates: list[float] = []
    together = threading.Barrier(threads)

    def work() -> None:
        use_one_thread()
        together.wait()
        rates.append(_measure_rate(a, b))

    _run_all([threading.Thread(target=work) for _ in range(threads)])
    return sum(rates)


def _run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def call_at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time, a thread each; results in their order, or the first error."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def _synchronise(tensor: torch.Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize()
    elif tensor.device.type == "mps":
        torch.mps.synchronize()
