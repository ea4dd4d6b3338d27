"""Our attention, registered with transformers: it reads cached windows and writes down who looked where.

A forward pass runs under `capturing(state)`; `state` is an `Encode` or a `Probe`, and every layer's attention call
goes to it. Registered with both of transformers' interfaces: without the mask one, a pass over a cache would be
given a mask that assumes consecutive positions (and sliding layers would not see far windows).

Knows tensors; knows nothing of text, units or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agentcompress.errors import DraftUnsupportedError

NAME = "agentcompress"
_ROWS_AT_ONCE = 64


class State(Protocol):
    """What happens at a layer's attention."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """q (B, H, R, D), k and v (B, KV, R, D), positions already applied; returns (B, H, R, Dv)."""
        ...


@dataclass
class Encode:
    """Windows after a shared sink: causal among themselves, all of the sink in sight.

    sink: per layer (k, v), each (KV, S, D), or empty to encode the sink itself.
    After the pass `keys[layer]` and `values[layer]` are (B, KV, T, D).
    """

    sink: list[tuple[Tensor, Tensor]]
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Store this layer's keys and values, then attend to sink + window."""
        self.keys.append(k)
        self.values.append(v)
        if self.sink:
            sink_k, sink_v = (part.expand(k.shape[0], -1, -1, -1) for part in self.sink[layer])
            k, v = torch.cat([sink_k, k], 2), torch.cat([sink_v, v], 2)  # (B, KV, S + T, D)
        rows, seen = q.shape[2], k.shape[2]
        mask = torch.ones(rows, seen, dtype=torch.bool, device=q.device).tril(seen - rows)
        if softcap is not None:
            weights = _logits(q, k, scaling, softcap).masked_fill(~mask, -torch.inf).softmax(-1)
            return _weighted(weights, v).to(q.dtype)
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling, enable_gqa=True)


@dataclass
class Probe:
    """Query tokens over sink and windows jointly, and causally over themselves.

    keys, values: per layer (KV, S + T, D): the sink's first, then every window's.
    sink_tokens: S. rows: real (not padding) rows of each batch entry, (B,).
    After the pass, for every layer of `band`, averaged over the real rows:
      mean[i] (B, H, T) post-softmax attention on the windows; last[i] the same over the last `last_rows` real rows;
      rest[i] (B, H) the attention that went to the sink and the probe itself.
    """

    keys: list[Tensor]
    values: list[Tensor]
    sink_tokens: int
    rows: Tensor
    band: range
    last_rows: int
    mean: list[Tensor] = field(default_factory=list)
    last: list[Tensor] = field(default_factory=list)
    rest: list[Tensor] = field(default_factory=list)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Attend in float32 to the cached keys and to the probe's own, which are not joined to one tensor.

        A few rows at a time: a long query over many windows would not fit in memory as one matrix.
        """
        keys, values = self.keys[layer][None].float(), self.values[layer][None].float()
        k, v = k.float(), v.float()
        cached, rows = keys.shape[2], q.shape[2]
        causal = torch.ones(rows, rows, dtype=torch.bool, device=q.device).tril()
        out, read = [], []
        for start in range(0, rows, _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            ahead = _logits(q[:, :, block], k, scaling, softcap).masked_fill(~causal[block], -torch.inf)
            weights = torch.cat([_logits(q[:, :, block], keys, scaling, softcap), ahead], -1).softmax(-1)
            out.append(_weighted(weights[..., :cached], values) + _weighted(weights[..., cached:], v))
            if layer in self.band:
                read.append(self._shares(weights[..., self.sink_tokens : cached], start))
        if read:
            mean, last = (torch.stack(part).sum(0) for part in zip(*read, strict=True))
            self.mean.append(mean)
            self.last.append(last)
            self.rest.append(1.0 - mean.sum(-1))
        return torch.cat(out, 2).to(q.dtype)

    def _shares(self, windows: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """What rows `start`.. add to the means over all real rows and over the last of them: twice (B, H, T)."""
        row = torch.arange(start, start + windows.shape[2], device=windows.device)
        real = row < self.rows[:, None]  # (B, R)
        tail = real & (row >= self.rows[:, None] - self.last_rows)
        counts = self.rows[:, None], self.rows[:, None].clamp_max(self.last_rows)
        mean, last = (
            torch.einsum("bhrt,br->bht", windows, rows / count)
            for rows, count in zip((real, tail), counts, strict=True)
        )
        return mean, last


_current: ContextVar[State | None] = ContextVar("agentcompress_capture", default=None)


@contextmanager
def capturing(state: State) -> Iterator[None]:
    """Send the attention of forward passes in this context to `state`."""
    token = _current.set(state)
    try:
        yield
    finally:
        _current.reset(token)


def register() -> None:
    """Make `attn_implementation="agentcompress"` known to transformers; calling it again changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, _no_mask)


def _attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> tuple[Tensor, None]:
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


def _no_mask(*_: Any, **__: Any) -> None:
    """Leave masking to `State.attend`, which knows what a row may see."""


def _logits(q: Tensor, k: Tensor, scaling: float, softcap: float | None) -> Tensor:
    """q (B, H, R, D), k (1 or B, KV, T, D) -> float32 (B, H, R, T); query heads share their group's keys."""
    batch, heads, rows, dim = q.shape
    groups = k.shape[1]
    grouped = (q.float() * scaling).reshape(batch, groups, (heads // groups) * rows, dim)
    logits = grouped @ k.float().transpose(-1, -2)
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    return logits.view(batch, heads, rows, k.shape[2])


def _weighted(weights: Tensor, v: Tensor) -> Tensor:
    """Weights (B, H, R, T), v (1 or B, KV, T, D) -> (B, H, R, D) in float32."""
    batch, heads, rows, tokens = weights.shape
    groups = v.shape[1]
    grouped = weights.reshape(batch, groups, (heads // groups) * rows, tokens)
    return (grouped @ v.float()).view(batch, heads, rows, v.shape[-1])
