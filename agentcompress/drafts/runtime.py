"""Run the draft: encode windows after the sink, probe them with a query, read the attention of the band's layers.

Every window stands at the same positions, so its keys and values depend on its own text alone. Only the layers up
to the end of the band are loaded, without the language-model head. A window is encoded, and read by a probe, by one
thread on its own: the same bits come out whatever is computed beside it.

Knows tokens and tensors; knows nothing of units, scores or budgets.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from agentcompress.common.checks import checked_count
from agentcompress.common.digests import digest
from agentcompress.drafts import capture, cores, load, pages
from agentcompress.drafts.decoder import choose_decoder
from agentcompress.drafts.pages import Window
from agentcompress.drafts.probe import Probe
from agentcompress.drafts.quiet import silence_progress_bars
from agentcompress.drafts.streams import Streams
from agentcompress.drafts.tokens import DraftTokenizer
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError, ScoringError

BAND = (0.30, 0.75)
"""The layers whose attention is read, as fractions of the depth: floor(.3 L) up to, not including, floor(.75 L)."""

LAST_ROWS = 6
"""How many of the probe's last rows are averaged apart from the mean over all of them."""

_RUN_PAGES = 32
_log = logging.getLogger("agentcompress")


@dataclass(frozen=True, eq=False)
class ProbeAttention:
    """Post-softmax attention of a probe on window tokens, float32, in the band's layers.

    mean (layers, heads, tokens): averaged over the probe's rows; last: over its last `LAST_ROWS` rows.
    rest (layers, heads): what went to the sink and to the probe itself; mean.sum(-1) + rest = 1, within rounding.
    """

    mean: Tensor
    last: Tensor
    rest: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its tensors take."""
        return self.mean.nbytes + self.last.nbytes + self.rest.nbytes


class DraftRuntime:
    """A draft in memory, for many callers at once; a failing call leaves nothing behind for the next one.

    dtype: of weights and cache, by default `choose_dtype()`. threads: how many windows are computed at a time on a CPU,
    >= 1, by default the cores this process may use; fewer work while other processes keep those cores busy.
    """

    def __init__(self, files: load.DraftFiles, dtype: torch.dtype | None = None, threads: int | None = None) -> None:
        capture.register_attention()
        self.files = files
        self.tokenizer = DraftTokenizer(files)
        sink = self.tokenizer.tokenize_template(self.tokenizer.template.sink)
        self.sink_tokens = len(sink)
        model, self.layers = _load_band_model(files, dtype or choose_dtype())
        fingerprint = _compute_fingerprint(model, self.layers)
        self.dtype = model.dtype
        self.weight_bytes = sum(weight.nbytes for weight in model.parameters())
        projections = sum(w.numel() for name, w in model.named_parameters() if w.dim() == 2 and "embed" not in name)
        self._flop_weights = projections * (model.config.num_hidden_layers - 1) / model.config.num_hidden_layers
        self.band = range(int(BAND[0] * self.layers), max(1, int(BAND[1] * self.layers)))
        self.decoder = choose_decoder(model, torch.tensor(sink))
        self._streams = _make_streams(self.decoder.device, threads)
        self._sink: list[capture.KV] = []
        shapes: list[pages.Shape] = []
        self._streams.run(lambda _: shapes.append(self._encode_sink(torch.tensor(sink))), 1)
        self.shape = shapes[0]
        self._attention_width = (self.shape.layers - 1) * model.config.num_attention_heads * self.shape.head_dim
        # The sink's keys and values depend on every weight and setting of the layers, and on who computes them.
        computed = torch.cat([part.flatten().float().cpu() for kv in self._sink for part in kv]).numpy()
        self.fingerprint = fingerprint
        self.identity = digest(files.name, files.revision, str(self.dtype), repr(sink), computed.tobytes())
        _log.debug("draft %s: %s, %d threads", files.name, type(self.decoder).__name__, self.threads)

    @property
    def threads(self) -> int:
        """The most windows that are computed at a time."""
        return self._streams.count

    def count_flops(self, tokens: int) -> float:
        """Floating-point operations that encoding a window of so many tokens takes: products of weights and attention.

        The last layer, of which only keys and values are computed, is left out.
        """
        pairs = tokens * self.sink_tokens + tokens * (tokens + 1) / 2
        return 2.0 * self._flop_weights * tokens + 4.0 * self._attention_width * pairs

    def compute_window_key(self, ids: np.ndarray) -> str:
        """What `Window.key` will be for these token ids: of draft, revision, dtype, layers, sink and ids."""
        return digest(self.identity, ids.astype("<i8").tobytes())

    def encode(
        self,
        windows: Sequence[np.ndarray],
        *,
        extent_pages: int = pages.EXTENT_PAGES,
        done: Callable[[Window], object] = lambda window: None,
    ) -> list[Window]:
        """Encode windows of token ids, each after the sink and at the sink's next positions.

        Windows of concurrent calls are taken in turn. extent_pages: most pages that live and die together. done: called
        with each window when it is encoded, in the thread that did it.
        Raises `ScoringError` when the draft computes something that is no number, `DeadlineError` when the context's
        deadline passes first.
        """
        keys = [self.compute_window_key(ids) for ids in windows]
        placed = pages.place_windows(keys, [len(ids) for ids in windows], self.shape, extent_pages)
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i]))  # long ones first: threads end together

        def encode_one(piece: int) -> None:
            i = order[piece]
            self._encode_window(windows[i], placed[i])
            done(placed[i])

        self._streams.run(encode_one, len(windows), "encode")
        return placed

    def probe(
        self, windows: Sequence[Window], query: Sequence[int], null: Sequence[int]
    ) -> tuple[ProbeAttention, ProbeAttention]:
        """Run two probes (token ids) over sink and windows jointly: that of the query, and the query-free one.

        Each is computed on its own, so what the query's finds does not depend on the other being remembered.
        """
        found: dict[int, ProbeAttention] = {}

        def probe_one(i: int) -> None:
            found[i] = self._run_probe(windows, (query, null)[i])

        self._streams.run(probe_one, 2)
        return found[0], found[1]

    def probe_query(self, windows: Sequence[Window], query: Sequence[int]) -> ProbeAttention:
        """Run the query's probe (token ids) alone: the same bits as `probe` gives for it."""
        found: list[ProbeAttention] = []
        self._streams.run(lambda _: found.append(self._run_probe(windows, query)), 1)
        return found[0]

    @torch.inference_mode()
    def _encode_sink(self, ids: Tensor) -> pages.Shape:
        """Encode the sink's token ids (S,), keep its keys and values, and return their shape."""

        def keep_layer(layer: int, keys: Tensor, values: Tensor) -> None:
            self._sink.append((keys[None].clone(), values[None].clone()))

        self.decoder.forward(ids, 0, capture.Encode(self.band.stop, keep_layer))
        shapes = {part.shape for kv in self._sink for part in kv}
        if len(self._sink) != self.band.stop or len(shapes) != 1:
            raise DraftUnsupportedError(
                f"draft {self.files.name!r}: attention was captured in {len(self._sink)} of {self.band.stop} layers, "
                f"with keys of {len(shapes)} shapes"
            )
        _, kv_heads, _, head_dim = shapes.pop()
        return pages.Shape(self.band.stop, kv_heads, head_dim, self.dtype, self.decoder.device)

    @torch.inference_mode()
    def _encode_window(self, ids: np.ndarray, window: Window) -> None:
        """Write a window's keys and values to its pages; `ScoringError` where one is not finite."""
        extent, page = window.extent, window.page
        state = capture.Encode(self.band.stop, lambda layer, k, v: extent.write_window(layer, page, k, v), self._sink)
        self.decoder.forward(torch.from_numpy(ids), self.sink_tokens, state)
        # What goes wrong in a layer shows in all behind it; but half precision has infinities that may not.
        first = 0 if self.dtype is torch.float16 else self.shape.layers - 1
        written = extent.kv[first:, :, page : page + window.pages]
        if not torch.isfinite(written.sum(dtype=torch.float32)):
            raise ScoringError(f"draft {self.files.name!r} computed keys or values that are no finite numbers")

    @torch.inference_mode()
    def _run_probe(self, windows: Sequence[Window], ids: Sequence[int]) -> ProbeAttention:
        """Run one probe over windows and read its attention; `ScoringError` where that is not finite."""
        run_pages = max(1, min(_RUN_PAGES, sum(w.pages for w in windows) // (2 * self._streams.count)))
        runs = pages.find_runs(windows, run_pages)
        state = Probe(runs, self._sink, len(ids), self.band, LAST_ROWS, self._streams)
        self.decoder.forward(torch.tensor(ids), self.sink_tokens + max(w.tokens for w in windows), state)
        found = ProbeAttention(*(part.cpu() for part in state.collect_attention()))
        if not torch.isfinite(found.mean.sum()):
            raise ScoringError(f"draft {self.files.name!r} computed attention that is no finite number")
        return found


_runtimes: LRUCache[str, DraftRuntime] = LRUCache(2)
_guard = threading.Lock()
_loading: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def get_shared_runtime(name: str) -> DraftRuntime:
    """Return the process's one runtime of a draft, fetching and loading it on first use. Safe in several threads.

    The two used last are kept. While one is being fetched, calls on the other go on.
    """
    with _guard:
        runtime, loading = _runtimes.get(name), _loading[name]
    if runtime is None:
        with loading:
            with _guard:
                runtime = _runtimes.get(name)
            if runtime is None:
                runtime = DraftRuntime(load.pull_draft(name))
                with _guard:
                    _runtimes[name] = runtime
    return runtime


def _make_streams(device: torch.device, threads: int | None) -> Streams:
    """Make the threads that compute: one a core on a CPU, and a single one to feed an accelerator."""
    if device.type != "cpu":
        return Streams(1)
    count = cores.count_available_cores() if threads is None else checked_count("threads", threads)
    return Streams(count, cores.Load(count).count_free_cores)


def choose_dtype() -> torch.dtype:
    """bfloat16 where CPU (AMX, AVX512-BF16) or CUDA multiply it natively; else float16 on GPUs, float32 on CPUs."""
    device = choose_device()
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = any(capabilities.get(feature) for feature in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def _load_band_model(files: load.DraftFiles, dtype: torch.dtype) -> tuple[Any, int]:
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
        with silence_progress_bars():
            model = AutoModel.from_pretrained(
                str(files.folder), config=config, dtype=dtype, attn_implementation=capture.NAME
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DraftCorruptError(f"draft {files.name!r} in {files.folder} can't be loaded: {error}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    _log.debug("draft %s: %d of %d layers, %s", files.name, config.num_hidden_layers, layers, dtype)
    return model.eval().to(choose_device()), layers


def _compute_fingerprint(model: Any, layers: int) -> str:
    """What a profile is known by: the model's shape and the weights of its norms, rounded to 1/64.

    Quantised files leave norms alone, so a GGUF of a model has the fingerprint of the model, and whatever type it runs
    in here, they are taken in bfloat16, and rounded off the powers of two these are made of.
    """
    config = model.config
    shape = (config.model_type, layers, config.hidden_size, config.num_attention_heads)
    norms = [weight.to(torch.bfloat16).float().flatten() for name, weight in model.named_parameters() if "norm" in name]
    rounded = torch.floor(torch.cat(norms) * 64 + 0.3).to(torch.int32) if norms else torch.zeros(0, dtype=torch.int32)
    return digest("profile", repr(shape), rounded.cpu().numpy().astype("<i4").tobytes())


def choose_device() -> str:
    """Return the name of torch's device: "cuda" or "mps" where there is one, else "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
