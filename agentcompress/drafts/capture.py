"""Our attention, registered with transformers: it reads cached windows and writes down who looked where.

A forward pass runs under `capture_attention(state)`, an `Encode` or a `probe.Probe`, and every layer's attention call
goes to it. Registered with both of transformers' interfaces: without the mask one, a pass over a cache would be
given a mask that assumes consecutive positions (and sliding layers would not see far windows).

Knows tensors; knows nothing of text, units or files. Shapes: L layers, H query heads, KV key heads, G = H / KV, D head
dimension, R rows (tokens run), T tokens of a window, S of the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agentcompress.errors import DraftUnsupportedError

NAME = "agentcompress"
KV = tuple[Tensor, Tensor]
"""Keys and values of one layer, (1, KV, T, D) each."""

_ENCODE_ROWS = 128  # encoded in blocks: a causal mask leaves much of a big square unused


class State(Protocol):
    """Whoever takes a forward pass's attention calls, layer by layer: `Encode`, or `probe.Probe`."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """q (1, H, R, D), k and v (1, KV, R, D), positions already applied; returns (1, H, R, D)."""
        ...


class Encode:
    """A window after the sink: causal in itself, all of the sink in sight. Its keys and values go to `write`.

    layers: how many there are; the last one's output is not computed, for nobody reads it. sink: per layer keys and
    values, (1, KV, S, D) each; none to encode the sink itself. write: called as (layer, keys, values), (KV, T, D).
    """

    def __init__(self, layers: int, write: Callable[[int, Tensor, Tensor], None], sink: Sequence[KV] = ()) -> None:
        self._layers, self._write, self._sink = layers, write, sink

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Write this layer's keys and values, then return what the window sees of sink and itself, (1, H, R, D)."""
        if k.shape != v.shape:
            raise DraftUnsupportedError("drafts whose keys and values differ in shape can't be cached")
        self._write(layer, k[0], v[0])
        if layer + 1 == self._layers:
            return torch.zeros_like(q)
        if self._sink:
            k, v = (torch.cat(parts, 2) for parts in zip(self._sink[layer], (k, v), strict=True))  # (1, KV, S + T, D)
        before = k.shape[2] - q.shape[2]
        out = q.new_empty(1, q.shape[2], q.shape[1], q.shape[3]).transpose(1, 2)  # rows outermost, as the next wants
        for start in range(0, q.shape[2], _ENCODE_ROWS):
            block = q[:, :, start : start + _ENCODE_ROWS]
            seen = before + start + block.shape[2]
            out[:, :, start : start + _ENCODE_ROWS] = _attend_causally(
                block, k[:, :, :seen], v[:, :, :seen], scaling, softcap
            )
        return out


def _attend_causally(q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
    """Attention (1, H, R, D) of the last R of the keys: the last row sees all of them, the one before all but one."""
    rows, seen = q.shape[2], k.shape[2]
    mask = _get_causal_mask(seen - rows, q.dtype, q.device)[:rows]
    mask = mask[:, mask.shape[1] - _ENCODE_ROWS + rows - seen : mask.shape[1] - _ENCODE_ROWS + rows]
    if q.device.type == "mps":  # which has no grouped queries in every version of torch
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], 1) for part in (k, v))
    if softcap is None:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling, enable_gqa=True)
    groups = k.shape[1]
    logits = cap_logits(group_heads(q, groups).float() * scaling @ k[0].float().transpose(1, 2), softcap)
    weights = (logits.view(q.shape[1], rows, seen) + mask).softmax(-1)
    return (weights.view(groups, -1, seen) @ v[0].float()).view(1, q.shape[1], rows, -1).to(q.dtype)


def _get_causal_mask(before: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(block, at least `before` zeros and then a lower triangle of -inf above the diagonal)."""
    return _build_wide_mask(max(1024, 1 << before.bit_length()), dtype, device)


@lru_cache(maxsize=8)
def _build_wide_mask(before: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """As `_get_causal_mask`, with exactly `before` zeros: one mask serves all of about that width."""
    seen = torch.ones(_ENCODE_ROWS, before + _ENCODE_ROWS, dtype=torch.bool, device=device).tril(before)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)


_current: ContextVar[State | None] = ContextVar("agentcompress_capture", default=None)


@contextmanager
def capture_attention(state: State) -> Iterator[None]:
    """Send the attention calls of forward passes that run in this context to `state`."""
    token = _current.set(state)
    try:
        yield
    finally:
        _current.reset(token)


def register_attention() -> None:
    """Make `attn_implementation="agentcompress"` known to transformers. Calling it again changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _run_attention)
    AttentionMaskInterface.register(NAME, _skip_mask)


def _run_attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """The function that transformers calls for attention: hands it to the state in `capture_attention`."""
    state = _current.get()
    if state is None:
        raise DraftUnsupportedError("the draft was run outside of a capture")
    if options.get("s_aux") is not None:
        raise DraftUnsupportedError("drafts with learned attention sinks (s_aux) can't be captured")
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise DraftUnsupportedError(f"{type(module).__name__} does not say which layer it is (layer_idx)")
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    out = state.attend(layer, query, key, value, scaling, options.get("softcap"))
    return out.transpose(1, 2).contiguous(), None  # (B, R, H, D)


def _skip_mask(*_: Any, **__: Any) -> None:
    """Give transformers no mask: `State.attend` knows what a row may see."""


def group_heads(q: Tensor, groups: int) -> Tensor:
    """(1, H, R, D) -> (KV, G R, D): the query heads that share a key head, one behind the other."""
    return q.reshape(groups, -1, q.shape[-1])


def cap_logits(logits: Tensor, softcap: float | None) -> Tensor:
    """Logits of any shape, held softly within +-softcap as Gemma 2 does; as they are where it is None."""
    return logits if softcap is None else torch.tanh(logits / softcap) * softcap
