"""Run the draft: encode windows after the sink, probe them with a query, read the band's attention (design 4.1).

Every window stands at the same positions, so its keys and values depend on its own text alone. Only the layers up
to the end of the band are loaded, without the language-model head.

Knows tokens and tensors; knows nothing of units, scores or budgets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agentcompress import progress
from agentcompress.drafts import capture, load
from agentcompress.drafts.quiet import without_bars
from agentcompress.drafts.tokens import DraftTokenizer
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError

BAND = (0.30, 0.75)
"""The layers whose attention is read, as fractions of the depth: floor(.3 L) up to, not including, floor(.75 L)."""

LAST_ROWS = 6
"""How many of the probe's last rows are averaged apart."""

_BATCH_TOKENS = 4096
_log = logging.getLogger("agentcompress")
_loading = threading.Lock()


@dataclass(frozen=True)
class WindowCache:
    """Keys and values of the sink and some windows: per layer (KV, S + T, D), windows in the order given."""

    keys: list[Tensor]
    values: list[Tensor]
    longest_window: int


@dataclass(frozen=True)
class ProbeAttention:
    """Post-softmax attention of probes on window tokens, float32, in the band's layers, a probe an entry.

    mean (probes, layers, heads, tokens): averaged over the probe's rows; last: over its last `LAST_ROWS` rows.
    rest (probes, layers, heads): what went to the sink and to the probe itself; mean.sum(-1) + rest = 1.
    """

    mean: Tensor
    last: Tensor
    rest: Tensor


class DraftRuntime:
    """A draft in memory. Calls are serialised; a failing call leaves nothing behind for the next one."""

    def __init__(self, files: load.DraftFiles, dtype: torch.dtype | None = None) -> None:
        capture.register()
        self.files = files
        self.tokenizer = DraftTokenizer(files)
        self._lock = threading.Lock()
        self._model, self.layers = _band_model(files, dtype or best_dtype())
        self.band = range(int(BAND[0] * self.layers), max(1, int(BAND[1] * self.layers)))
        sink = self.tokenizer.template_ids(self.tokenizer.template.sink)
        self.sink_tokens = len(sink)
        state = capture.Encode(sink=[])
        self._forward(torch.tensor([sink]), start=0, state=state)
        if len(state.keys) != self.band.stop:
            raise DraftUnsupportedError(
                f"draft {files.name!r}: attention was captured in {len(state.keys)} of {self.band.stop} layers"
            )
        self._sink = [(k[0], v[0]) for k, v in zip(state.keys, state.values, strict=True)]

    def encode(self, windows: Sequence[np.ndarray]) -> WindowCache:
        """Encode windows of token ids, each after the sink and at the sink's next positions.

        Batched by length; a batch holds about 4,096 tokens, padding included.
        """
        with self._lock, torch.inference_mode():
            lengths = [len(window) for window in windows]
            starts = np.cumsum([self.sink_tokens, *lengths])
            keys, values = self._arena(int(starts[-1]))
            done = 0
            for batch in _batches(lengths):
                progress.report("encode", done, len(windows))
                done += len(batch)
                state = capture.Encode(self._sink)
                longest = lengths[batch[-1]]
                ids = torch.zeros(len(batch), longest, dtype=torch.long)
                for row, i in enumerate(batch):
                    ids[row, : lengths[i]] = torch.from_numpy(windows[i])
                self._forward(ids, self.sink_tokens, state)
                for layer, (k, v) in enumerate(zip(state.keys, state.values, strict=True)):
                    for row, i in enumerate(batch):
                        place = slice(int(starts[i]), int(starts[i + 1]))
                        keys[layer][:, place] = k[row, :, : lengths[i]]
                        values[layer][:, place] = v[row, :, : lengths[i]]
            progress.report("encode", done, len(windows))
            return WindowCache(keys, values, max(lengths))

    def probe(self, cache: WindowCache, probes: Sequence[Sequence[int]]) -> ProbeAttention:
        """Run every probe (token ids) over sink and windows jointly, in one forward pass."""
        with self._lock, torch.inference_mode():
            rows = torch.tensor([len(probe) for probe in probes])
            ids = torch.zeros(len(probes), int(rows.max()), dtype=torch.long)
            for row, probe in enumerate(probes):
                ids[row, : len(probe)] = torch.tensor(probe)
            state = capture.Probe(
                cache.keys, cache.values, self.sink_tokens, rows.to(self._model.device), self.band, LAST_ROWS
            )
            self._forward(ids, self.sink_tokens + cache.longest_window, state)
            mean, last, rest = (torch.stack(part, 1).cpu() for part in (state.mean, state.last, state.rest))
            return ProbeAttention(mean, last, rest)

    def _forward(self, ids: Tensor, start: int, state: capture.State) -> None:
        positions = torch.arange(start, start + ids.shape[1])[None].expand(ids.shape[0], -1)
        device = self._model.device
        with torch.inference_mode(), capture.capturing(state):
            self._model(input_ids=ids.to(device), position_ids=positions.to(device), use_cache=False)

    def _arena(self, tokens: int) -> tuple[list[Tensor], list[Tensor]]:
        arenas: tuple[list[Tensor], list[Tensor]] = ([], [])
        for sink_k, sink_v in self._sink:
            for arena, sink in ((arenas[0], sink_k), (arenas[1], sink_v)):
                place = sink.new_empty(sink.shape[0], tokens, sink.shape[2])
                place[:, : self.sink_tokens] = sink
                arena.append(place)
        return arenas


def shared_runtime(name: str) -> DraftRuntime:
    """Return the process's one runtime of a draft, fetching and loading it on first use. Safe in several threads."""
    with _loading:
        return _loaded(name)


@lru_cache(maxsize=2)
def _loaded(name: str) -> DraftRuntime:
    return DraftRuntime(load.pull(name))


def best_dtype() -> torch.dtype:
    """bfloat16 where the CPU multiplies it natively (AMX, AVX512-BF16) or a GPU is there, else float32."""
    if default_device() != "cpu":
        return torch.bfloat16
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = any(capabilities.get(feature) for feature in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def _band_model(files: load.DraftFiles, dtype: torch.dtype) -> tuple[Any, int]:
    """Load the draft without its head and without the layers above the band; also say how many it has in all."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging as transformers_logging

    try:
        config = AutoConfig.from_pretrained(str(files.folder))
    except (OSError, ValueError, KeyError) as error:
        raise DraftCorruptError(f"draft {files.name!r}: {error}") from error
    config = config.get_text_config(decoder=True)
    layers = config.num_hidden_layers
    config.num_hidden_layers = max(1, int(BAND[1] * layers))
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # "weights not used": the layers left out on purpose
    try:
        with without_bars():
            model = AutoModel.from_pretrained(
                str(files.folder), config=config, dtype=dtype, attn_implementation=capture.NAME
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DraftCorruptError(f"draft {files.name!r} in {files.folder} can't be loaded: {error}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    _log.debug("draft %s: %d of %d layers, %s", files.name, config.num_hidden_layers, layers, dtype)
    return model.eval().to(default_device()), layers


def default_device() -> str:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Group indexes so that windows of a batch have similar lengths; ascending within a batch."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batches and (len(batches[-1]) + 1) * lengths[i] <= _BATCH_TOKENS:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
