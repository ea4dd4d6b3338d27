"""Attention of a query over cached windows: one softmax over pages that stay where they are.

Knows tensors; knows nothing of text or units. Shapes: H query heads, KV key heads, G = H / KV, R rows of the probe,
S tokens of the sink, P pages of a run, N = PAGE_TOKENS, D head dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from agentcompress.drafts.capture import KV, cap_logits, group_heads
from agentcompress.drafts.pages import PAGE_TOKENS, Run
from agentcompress.errors import DraftUnsupportedError

_ROWS_AT_ONCE = 64  # a long query over many windows would not fit in memory as one matrix
_UNSHIFTED = 20.0  # logits up to here are exponentiated as they are, where the type holds such numbers


class Started(Protocol):
    """Work that was begun: a `streams.Batch`, or what has been done already."""

    def wait(self) -> None:
        """Return when all of it is done; raises what a piece of it raised."""
        ...


class Spread(Protocol):
    """Something that runs pieces of work, several at a time perhaps: `streams.Streams`, or `InTurn`."""

    def start(self, work: Callable[[int], None], count: int) -> Started:
        """Begin `work(0)` .. `work(count - 1)`."""
        ...


class InTurn:
    """Does pieces of work where it is told to, one after the other. Nothing is left to wait for."""

    def start(self, work: Callable[[int], None], count: int) -> InTurn:
        """Do `work(0)` .. `work(count - 1)`."""
        for index in range(count):
            work(index)
        return self

    def wait(self) -> None:
        """Return at once."""


_IN_TURN = InTurn()


class Probe:
    """Query tokens over sink and windows jointly, and causally over themselves.

    runs: the windows' pages. sink: per layer keys and values (1, KV, S, D). rows: R. After the pass `collect_attention`
    gives, in the layers of `band`, post-softmax attention averaged over the rows, and over the last `last_rows`.

    Every page is exponentiated against the same shift per row, and what pages sum to is added up in their order: so
    a result depends neither on who computed which page nor on where the pages lie.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        sink: Sequence[KV],
        rows: int,
        band: range,
        last_rows: int,
        spread: Spread = _IN_TURN,
    ) -> None:
        self._runs, self._sink, self._band, self._spread = runs, sink, band, spread
        device = runs[0].kv.device
        share = torch.zeros(2, rows, device=device)  # of a row in the mean, and in the mean of the last rows
        share[0] = 1 / rows
        share[1, -last_rows:] = 1 / min(rows, last_rows)
        self._share = share
        self._starts = [0, *accumulate(len(run.counts) for run in runs)]  # first page of every run, and the end
        self._found = torch.empty(0)  # (layers of the band, 2, H, all P, N): mean, last
        self._rest = torch.empty(0)  # (layers of the band, H)
        self._reading: Started = _IN_TURN  # who looked where, being added up for the rows before

    def collect_attention(self) -> tuple[Tensor, Tensor, Tensor]:
        """Attention on the windows: mean and last, float32 (band, H, tokens); and what went elsewhere, (band, H)."""
        self._reading.wait()
        if not len(self._rest):
            raise DraftUnsupportedError("no attention was captured in the band's layers")
        counts = [count for run in self._runs for count in run.counts]
        found = torch.cat([self._found[:, :, :, page, :count] for page, count in enumerate(counts)], 3)
        return found[:, 0], found[:, 1], self._rest  # (band, H, tokens) twice

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scaling: float, softcap: float | None) -> Tensor:
        """Attend to sink, windows and the probe itself; in the band, write down who looked where."""
        heads, rows = q.shape[1:3]
        if not len(self._rest):
            self._found = q.new_zeros(len(self._band), 2, heads, self._starts[-1], PAGE_TOKENS, dtype=torch.float32)
            self._rest = q.new_zeros(len(self._band), heads, dtype=torch.float32)
        near = [torch.cat([sink[0], own[0]], 1).float() for sink, own in zip(self._sink[layer], (k, v), strict=True)]
        sink_tokens = near[0].shape[1] - rows
        out = []
        for start in range(0, rows, _ROWS_AT_ONCE):
            block = slice(start, min(rows, start + _ROWS_AT_ONCE))
            scaled = group_heads(q[:, :, block] * scaling, k.shape[1])
            seen = (near[0][:, : sink_tokens + block.stop], near[1][:, : sink_tokens + block.stop])  # (KV, S + .., D)
            self._reading.wait()
            part = _Rows(scaled, seen, self._runs, layer, block.stop - start, softcap, self._spread)
            out.append(part.attend())
            if layer in self._band:
                self._reading = self._begin_reading(self._band.index(layer), part, self._share[:, block])
        return torch.cat(out, 1)[None].to(q.dtype)

    def _begin_reading(self, index: int, part: _Rows, share: Tensor) -> Started:
        """Begin to add rows, each with its share (2, rows), to the means, while the next layer is computed."""
        groups, rows = part.total.shape[0], share.shape[1]
        heads = part.total.shape[1] // rows  # query heads that share a key head
        mixing = torch.einsum("mr,hg->mhgr", share, torch.eye(heads, device=share.device))
        mixing = mixing.reshape(2 * heads, heads * rows) / part.total.transpose(1, 2)  # (KV, 2 G, G R)
        dtype = part.weights[0].dtype
        if dtype is torch.float16:  # which has no numbers small enough
            dtype = torch.float32
        self._rest[index] += (part.rest / part.total).view(-1, rows) @ share[0]
        found = self._found[index].view(2, groups, heads, -1, PAGE_TOKENS)
        # Not a method: the probe holds what was begun, and a cycle would keep its pages for long.
        work = partial(_add_to_means, found, self._starts, part.weights, mixing.to(dtype))
        return self._spread.start(partial(_work_inferring, work), len(self._runs))


def _add_to_means(found: Tensor, starts: Sequence[int], weights: Sequence[Tensor], mixing: Tensor, i: int) -> None:
    """Add what rows see of run `i` to the means: found (2, KV, G, P, N), weights (P KV, G R, N) of every run."""
    pages = starts[i + 1] - starts[i]
    both = mixing.repeat(pages, 1, 1).bmm(weights[i].to(mixing.dtype))  # (P KV, 2 G, N)
    both = both.view(pages, found.shape[1], 2, found.shape[2], PAGE_TOKENS).permute(2, 1, 3, 0, 4)
    found[:, :, :, starts[i] : starts[i + 1]] += both


class _Rows:
    """Some rows at one layer, q scaled (KV, G R, D), the same number of every head.

    near: keys and values of sink and probe up to the last of the rows, float32 (KV, S + .., D) each.
    After `attend`: weights, per run (P KV, G R, N), exponentiated logits; total and rest, float32 (KV, G R, 1), the
    sum of all weights and of those that are not on windows.
    """

    def __init__(
        self,
        q: Tensor,
        near: KV,
        runs: Sequence[Run],
        layer: int,
        rows: int,
        softcap: float | None,
        spread: Spread,
    ) -> None:
        self._q, (self._near_keys, self._near_values) = q, near
        self._runs, self._layer, self._rows, self._softcap, self._spread = runs, layer, rows, softcap, spread
        self.weights = [q] * len(runs)
        self.total = self.rest = q

    def attend(self) -> Tensor:
        """Compute the rows' attention: returns (H, R, D), and sets weights, total and rest."""
        logits = cap_logits(self._q.float() @ self._near_keys.transpose(1, 2), self._softcap)  # (KV, G R, S + ..)
        own = torch.ones(self._rows, self._rows, dtype=torch.bool, device=logits.device)
        logits.view(-1, self._rows, logits.shape[2])[:, :, -self._rows :].masked_fill_(own.triu(1), -torch.inf)
        # Any shift will do that keeps exp within range; where sinks take most of the attention, this is near the best.
        shift = logits.amax(-1, keepdim=True)
        fits = torch.finfo(self._q.dtype).max > 1e30 and float(shift.abs().amax()) <= _UNSHIFTED
        shift = shift * 0 if fits else shift.to(self._q.dtype).float()
        weighted = self._weigh_runs(logits, shift)
        if not (torch.isfinite(weighted).all() and torch.isfinite(self.total).all()):
            # Some window's logits are far above those of sink and probe, or all are so low that padding's zero is.
            unshifted = torch.zeros_like(shift)
            highest = [
                self._mask_padding(i, self._compute_logits(i, unshifted))
                .view(-1, *self._q.shape[:2], PAGE_TOKENS)
                .amax((0, 3))
                for i in range(len(self._runs))
            ]
            shift = torch.stack([shift, *(high.float()[..., None] for high in highest)]).amax(0)
            weighted = self._weigh_runs(logits, shift, padded=True)
        return (weighted / self.total).view(-1, self._rows, weighted.shape[-1])

    def _weigh_runs(self, near_logits: Tensor, shift: Tensor, *, padded: bool = False) -> Tensor:
        """Set weights, total and rest for a shift (KV, G R, 1); return the weighted values (KV, G R, D).

        padded: keep padding out of the exponentials too, where it might be the largest.
        """
        sums, weighted = [self._q] * len(self._runs), [self._q] * len(self._runs)
        work = partial(self._weigh_run, shift, padded, sums, weighted)
        weighing = self._spread.start(partial(_work_inferring, work), len(self._runs))
        near_weights = (near_logits - shift).exp()
        self.rest = near_weights.sum(-1, keepdim=True)
        near = near_weights @ self._near_values
        weighing.wait()
        self.total = self.rest + torch.cat(sums).sum(0, dtype=torch.float32)
        return near + torch.cat(weighted).sum(0, dtype=torch.float32)

    def _weigh_run(self, shift: Tensor, padded: bool, sums: list[Tensor], weighted: list[Tensor], i: int) -> None:
        """Set weights of run `i`, their sums (P, KV, G R, 1) and the values they weight (P, KV, G R, D)."""
        groups, run = self._q.shape[0], self._runs[i]
        logits = self._compute_logits(i, shift)
        weights = (self._mask_padding(i, logits) if padded else logits).exp_()
        half = weights.dtype is torch.float16  # whose range a page's sum may leave
        summed = weights.float().bmm(run.real.float()) if half else weights.bmm(run.real)
        sums[i] = summed.view(-1, groups, *weights.shape[1:2], 1)
        weighted[i] = weights.bmm(run.kv[self._layer, 1].flatten(0, 1)).view(-1, *self._q.shape)
        self.weights[i] = weights

    def _compute_logits(self, i: int, shift: Tensor) -> Tensor:
        """Logits on a run less `shift`, (P KV, G R, N): subtracted before rounding, so the high ones stay exact."""
        keys = self._runs[i].kv[self._layer, 0]
        pages = keys.shape[0]
        q, keys = self._q.repeat(pages, 1, 1), keys.flatten(0, 1).transpose(1, 2)  # (P KV, G R, D), (P KV, D, N)
        shift = shift.to(q.dtype)
        if self._softcap is not None:
            return cap_logits(q.bmm(keys), self._softcap).sub_(shift.repeat(pages, 1, 1))
        if not shift.any():
            return q.bmm(keys)
        return torch.baddbmm(shift.repeat(pages, 1, 1), q, keys, beta=-1)

    def _mask_padding(self, i: int, logits: Tensor) -> Tensor:
        """Set logits on padding, of a run's (P KV, G R, N), to -inf."""
        return logits.masked_fill_(self._runs[i].real.transpose(1, 2) == 0, -torch.inf)


def _work_inferring(work: Callable[[int], None], piece: int) -> None:
    """Do a piece of work in inference mode, which is off in another thread until somebody sets it there."""
    with torch.inference_mode():
        work(piece)
