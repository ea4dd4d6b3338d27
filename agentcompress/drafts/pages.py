"""Where encoded windows lie: pages of keys and values, many in one tensor, read in place.

A window fills whole pages, so operations over many windows are operations over many equal pages, and every page's
part of a result is the same wherever it lies. Padding is zero.

Knows tensors; knows nothing of text or models. Shapes: L layers, P pages, KV key heads, T tokens, D head dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PAGE_TOKENS = 256
EXTENT_PAGES = 16
"""Most pages of an extent, where nobody asks for less."""


@dataclass(frozen=True)
class Shape:
    """The shape and type of a draft's keys and values, layer by layer the same."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype.itemsize

    @property
    def page_bytes(self) -> int:
        """Bytes of a page."""
        return PAGE_TOKENS * self.token_bytes

    def count_window_bytes(self, tokens: Iterable[int]) -> int:
        """Bytes of windows of so many tokens each, padding included."""
        return self.page_bytes * sum(map(count_pages, tokens))

    def get_kv_shape(self, tokens: int) -> tuple[int, int, int, int, int]:
        """Shape of the keys and values of so many tokens: (L, 2, KV, T, D)."""
        return (self.layers, 2, self.kv_heads, tokens, self.head_dim)


class Extent:
    """Pages that live and die together: kv (L, 2, P, KV, PAGE_TOKENS, D), zero where nothing was written."""

    def __init__(self, shape: Shape, pages: int) -> None:
        size = (shape.layers, 2, pages, shape.kv_heads, PAGE_TOKENS, shape.head_dim)
        self.kv = torch.zeros(size, dtype=shape.dtype, device=shape.device)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its tensor takes."""
        return self.kv.nbytes

    def write_window(self, layer: int, page: int, keys: Tensor, values: Tensor) -> None:
        """Write a window's keys and values at a layer, (KV, T, D) each, from `page` on."""
        for half, part in enumerate((keys, values)):
            for start in range(0, part.shape[1], PAGE_TOKENS):
                tokens = part[:, start : start + PAGE_TOKENS]
                self.kv[layer, half, page + start // PAGE_TOKENS, :, : tokens.shape[1]] = tokens


@dataclass(frozen=True, eq=False)
class Window:
    """An encoded window: `tokens` tokens in the pages of `extent` from `page` on, never written to again.

    key: hexadecimal digest of everything that its keys and values depend on.
    """

    key: str
    extent: Extent
    page: int
    tokens: int

    @property
    def pages(self) -> int:
        """Pages that the window fills, the last one in part."""
        return count_pages(self.tokens)

    def copy_kv(self) -> Tensor:
        """Return a copy of its keys and values, (L, 2, KV, T, D)."""
        pages = self.extent.kv[:, :, self.page : self.page + self.pages]  # (L, 2, P, KV, page, D)
        return pages.transpose(2, 3).flatten(3, 4)[:, :, :, : self.tokens].contiguous()


def count_pages(tokens: int) -> int:
    """How many pages so many tokens of one window fill."""
    return -(-tokens // PAGE_TOKENS)


def place_windows(keys: Sequence[str], lengths: Sequence[int], shape: Shape, most_pages: int) -> list[Window]:
    """Windows on fresh extents of at most `most_pages` pages (or one window), one behind the other, not yet written."""
    windows: list[Window] = []
    start = 0
    while start < len(lengths):
        stop, pages = start + 1, count_pages(lengths[start])
        while stop < len(lengths) and pages + count_pages(lengths[stop]) <= most_pages:
            pages += count_pages(lengths[stop])
            stop += 1
        extent, page = Extent(shape, pages), 0
        for i in range(start, stop):
            windows.append(Window(keys[i], extent, page, lengths[i]))
            page += count_pages(lengths[i])
        start = stop
    return windows


@dataclass(frozen=True, eq=False)
class Run:
    """Pages that lie side by side: kv (L, 2, P, KV, PAGE_TOKENS, D), and the real tokens of each, as counts (P,).

    real (P KV, PAGE_TOKENS, 1), in kv's type: 1 where a token is real, 0 where it is padding.
    """

    kv: Tensor
    counts: list[int]
    real: Tensor


def find_runs(windows: Sequence[Window], most_pages: int) -> list[Run]:
    """The pages of windows in their order, as few runs as there are gaps, of at most `most_pages` pages."""
    stretches: list[tuple[Extent, int, list[int]]] = []  # extent, first page, real tokens of every page
    for window in windows:
        filled = [PAGE_TOKENS] * (window.pages - 1) + [window.tokens - PAGE_TOKENS * (window.pages - 1)]
        for page, tokens in enumerate(filled, window.page):
            if stretches:
                extent, first, counts = stretches[-1]
                if extent is window.extent and first + len(counts) == page and len(counts) < most_pages:
                    counts.append(tokens)
                    continue
            stretches.append((window.extent, page, [tokens]))
    return [_make_run(*stretch) for stretch in stretches]


def _make_run(extent: Extent, first: int, counts: list[int]) -> Run:
    """Make the run of the pages of an extent from `first` on, with so many real tokens each."""
    kv = extent.kv[:, :, first : first + len(counts)]
    real = torch.arange(PAGE_TOKENS) < torch.tensor(counts)[:, None]  # (P, page)
    return Run(kv, counts, real.to(kv).repeat_interleave(kv.shape[3], 0)[..., None])
