"""The published way to read a model: all layers over the whole prompt, then tokens decoded greedily (one at a time).

What `runtime` avoids for its cost, and what speculative prefill, CLAA, FastKV, GemFilter and the Answer-Informed
Oracle are defined on. Works for any Hugging Face decoder-only model; sliding-window layers see their window.

Knows token ids and tensors; knows nothing of units or budgets. Shapes: L layers, H query heads, KV key heads, W last
prompt rows, N lookahead rows, T prompt tokens, D head dimension.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agentcompress.drafts import capture, load
from agentcompress.drafts.quiet import silence_progress_bars
from agentcompress.drafts.runtime import choose_device, choose_dtype
from agentcompress.drafts.tokens import DraftTokenizer
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError, TooLongError

_ROWS_AT_ONCE = 512
_NO_LIMIT = 1 << 30


@dataclass(frozen=True, eq=False)
class PromptAttention:
    """Who looked at which token of a prompt, float32.

    window (L, H, W, T): post-softmax attention of the prompt's last W tokens. lookahead (L, H, N, T): that of the last
    prompt token and of the tokens decoded behind it, with the softmax over the prompt's keys alone; reduced, it is
    what `reduce` made of it. logits (L, H, T): the last prompt token's raw products q.k, scaled.
    answer: ids decoded, without the end-of-sequence token. kv_heads: how many key heads H share.
    """

    window: Tensor
    lookahead: Tensor
    logits: Tensor
    answer: tuple[int, ...]
    kv_heads: int

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its tensors take."""
        return self.window.nbytes + self.lookahead.nbytes + self.logits.nbytes


class FullPass:
    """A whole model in memory, read prompt by prompt; one call at a time.

    dtype: of weights and activations, by default `choose_dtype()`.
    """

    def __init__(self, files: load.DraftFiles, dtype: torch.dtype | None = None) -> None:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM

        capture.register_attention()
        self.files = files
        self.tokenizer = DraftTokenizer(files)
        try:
            with silence_progress_bars():
                model: Any = AutoModelForCausalLM.from_pretrained(
                    str(files.folder), dtype=dtype or choose_dtype(), attn_implementation=capture.NAME
                )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise DraftCorruptError(f"draft {files.name!r} in {files.folder} can't be loaded: {error}") from error
        self._model = model.eval().to(choose_device())
        config = model.config.get_text_config(decoder=True)
        self.layers: int = config.num_hidden_layers
        self.context_tokens: int = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
        self.sliding = _find_sliding_windows(config)
        ends = model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])
        self._lock = threading.Lock()

    @torch.inference_mode()
    def read_prompt(
        self,
        ids: Sequence[int],
        *,
        steps: int = 8,
        last_rows: int = 8,
        reduce: Callable[[Tensor], Tensor] = lambda rows: rows,
    ) -> PromptAttention:
        """Prefill token ids (T,), then decode greedily until there are `steps` >= 1 query rows or the answer ends.

        last_rows: W >= 1. reduce: applied to every layer's lookahead rows (H, 1, T), to save memory.
        Raises `TooLongError` for a prompt that leaves no room in the model's context.
        """
        if not 1 <= len(ids) <= self.context_tokens - steps + 1:
            raise TooLongError(
                "prompt tokens",
                len(ids),
                f"in 1 to {self.context_tokens - steps + 1}: {self.files.name!r} has a context of "
                f"{self.context_tokens} tokens, {steps - 1} of which are decoded",
            )
        with self._lock:
            state = _Reading(self.layers, self.sliding, last_rows, reduce)
            following = self._run_tokens(list(ids), 0, state)
            answer: list[int] = []
            for step in range(1, steps):
                if following in self._ends:
                    break
                answer.append(following)
                following = self._run_tokens([following], len(ids) + step - 1, state)
            else:
                if following not in self._ends:
                    answer.append(following)
            return state.stack_result(tuple(answer))

    def _run_tokens(self, ids: list[int], start: int, state: _Reading) -> int:
        """Run token ids at positions `start`.. behind those that `state` has; return the likeliest next id."""
        device = self._model.device
        positions = torch.arange(start, start + len(ids), device=device)[None]
        with capture.capture_attention(state):
            out = self._model(
                input_ids=torch.tensor([ids], device=device),
                position_ids=positions,
                use_cache=False,
                logits_to_keep=1,
            )
        return int(out.logits[0, -1].argmax())


class _Reading:
    """A `capture.State`: plain causal attention with a cache of its own; writes down the rows asked for."""

    def __init__(
        self, layers: int, sliding: Sequence[int | None], last_rows: int, reduce: Callable[[Tensor], Tensor]
    ) -> None:
        self._sliding, self._last_rows, self._reduce = sliding, last_rows, reduce
        self._cache: list[capture.KV | None] = [None] * layers
        self._windows: list[Tensor] = []  # (H, W, T) a layer
        self._logits: list[Tensor] = []  # (H, T) a layer
        self._ahead: list[list[Tensor]] = [[] for _ in range(layers)]  # (H, 1, T) a row, reduced
        self._prompt = self._kv_heads = 0

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Attend as the model does, and write down the rows asked for: q (1, H, R, D), k and v (1, KV, R, D)."""
        before = self._cache[layer]
        if before is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        self._cache[layer] = (k, v)
        if before is None:
            self._prompt, self._kv_heads = k.shape[2], k.shape[1]
            self._write_prompt(layer, q[:, :, -self._last_rows :], k, scaling, softcap)
        else:
            seen = k[:, :, : self._prompt]
            first = self._prompt if self._sliding[layer] is None else k.shape[2] - 1
            logits = compute_masked_logits(q, seen, first, self._sliding[layer], scaling, softcap)
            self._ahead[layer].append(self._reduce(logits.softmax(-1).nan_to_num(0.0)))
        return _attend_in_blocks(q, k, v, self._sliding[layer], scaling, softcap)

    def _write_prompt(self, layer: int, q: Tensor, k: Tensor, scaling: float, softcap: float | None) -> None:
        """Write down a layer's attention and logits of the prompt's last rows, q (1, H, W, D), k (1, KV, T, D)."""
        logits = compute_masked_logits(q, k, k.shape[2] - q.shape[2], self._sliding[layer], scaling, softcap)
        rows = logits.softmax(-1)  # (H, W, T)
        self._windows.append(rows)
        self._logits.append(compute_masked_logits(q[:, :, -1:], k, k.shape[2], None, scaling, softcap)[:, 0])
        self._ahead[layer].append(self._reduce(rows[:, -1:]))

    def stack_result(self, answer: tuple[int, ...]) -> PromptAttention:
        """Return what was written down of every layer, on the CPU."""
        ahead = torch.stack([torch.cat(rows, -2) for rows in self._ahead])
        return PromptAttention(
            torch.stack(self._windows).cpu(), ahead.cpu(), torch.stack(self._logits).cpu(), answer, self._kv_heads
        )


def compute_masked_logits(
    q: Tensor, k: Tensor, first: int, sliding: int | None, scaling: float, softcap: float | None
) -> Tensor:
    """Scaled products of rows at positions `first`.. with keys at 0.., -inf where a row may not look.

    q (1, H, R, D), k (1, KV, T, D); returns float32 (H, R, T).
    """
    heads, rows = q.shape[1:3]
    logits = capture.group_heads(q.float() * scaling, k.shape[1]) @ k[0].float().transpose(1, 2)  # (KV, G R, T)
    logits = capture.cap_logits(logits, softcap).view(heads, rows, -1)
    return logits.masked_fill_(~_build_seen_mask(first, rows, 0, k.shape[2], sliding, q.device), -torch.inf)


def _attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, sliding: int | None, scaling: float, softcap: float | None
) -> Tensor:
    """Causal attention (1, H, R, D) of the last R of the keys, within a sliding window where there is one."""
    rows, first = q.shape[2], k.shape[2] - q.shape[2]
    if softcap is None and (sliding is None or k.shape[2] <= sliding) and (rows == 1 or not first):
        return scaled_dot_product_attention(q, k, v, is_causal=rows > 1, scale=scaling, enable_gqa=True)
    out = torch.empty_like(q)
    for start in range(0, rows, _ROWS_AT_ONCE):  # a long prompt's whole matrix would not fit in memory
        block = q[:, :, start : start + _ROWS_AT_ONCE]
        at = first + start
        low = 0 if sliding is None else max(0, at - sliding + 1)
        keys, values = k[:, :, low : at + block.shape[2]], v[:, :, low : at + block.shape[2]]
        if softcap is None:
            seen = _build_seen_mask(at, block.shape[2], low, keys.shape[2], sliding, q.device)
            part = scaled_dot_product_attention(block, keys, values, attn_mask=seen, scale=scaling, enable_gqa=True)
        else:
            logits = compute_masked_logits(block, keys, at - low, sliding, scaling, softcap)
            weights = capture.group_heads(logits.softmax(-1)[None], k.shape[1])  # (KV, G R, T)
            part = (weights @ values[0].float()).view(block.shape).to(q.dtype)
        out[:, :, start : start + _ROWS_AT_ONCE] = part
    return out


def _build_seen_mask(first: int, rows: int, low: int, keys: int, sliding: int | None, device: torch.device) -> Tensor:
    """Which keys, at positions `low`.., rows at positions `first`.. may look at: bool (rows, keys)."""
    row = torch.arange(first, first + rows, device=device)[:, None]
    key = torch.arange(low, low + keys, device=device)[None]
    seen = key <= row
    return seen if sliding is None else seen & (key > row - sliding)


def _find_sliding_windows(config: Any) -> list[int | None]:
    """Every layer's sliding window in tokens, None where a layer sees everything.

    Raises `DraftUnsupportedError` for a model with layers that do not attend in one of these ways.
    """
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if not kinds:  # one kind for all
        return [window if getattr(config, "use_sliding_window", True) else None] * config.num_hidden_layers
    other = set(kinds) - {"sliding_attention", "full_attention"}
    if other:
        raise DraftUnsupportedError(f"layers of {', '.join(sorted(other))} can't be read")
    return [window if kind == "sliding_attention" else None for kind in kinds]


_loading = threading.Lock()


def get_shared_full_pass(name: str) -> FullPass:
    """Return the process's one whole copy of a model, fetching and loading it on first use; the last one is kept."""
    with _loading:
        return _load_full_pass(name)


@lru_cache(maxsize=1)
def _load_full_pass(name: str) -> FullPass:
    return FullPass(load.pull_draft(name))
