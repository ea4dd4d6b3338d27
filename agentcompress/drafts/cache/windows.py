"""Keeps what a draft has encoded: a wrapper around `drafts.runtime.DraftRuntime`, with the same interface.

Keys and values of a window depend on nothing but its own tokens and the draft, so they are kept by content: the same
document hits in another order, conversation or call. Also kept: what the query-free probe found on the same windows,
and texts' tokens. Everything counts against one budget; what was not used for longest goes first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from agentcompress.common import deadlines
from agentcompress.common.checks import checked_count
from agentcompress.common.digests import digest
from agentcompress.drafts.cache.memory import WindowMemory
from agentcompress.drafts.cache.protocol import Runtime, Tokenizer

if TYPE_CHECKING:
    from agentcompress.drafts.cache.files import WindowFiles
    from agentcompress.drafts.pages import Window
    from agentcompress.drafts.runtime import ProbeAttention
    from agentcompress.drafts.tokens import Tokens

_EXTENTS_PER_BUDGET = 8  # so that what is evicted at a time is a small part of it


@dataclass(frozen=True)
class CacheStats:
    """Counts since the cache was made, of windows unless they say otherwise.

    hits: found in memory; file_hits: found on disk; misses: encoded; bytes: held in memory now; evicted_bytes: given
    up so far; encode_ms, probe_ms: wall time spent in the draft, summed over calls.
    """

    hits: int = 0
    file_hits: int = 0
    misses: int = 0
    bytes: int = 0
    evicted_bytes: int = 0
    encode_ms: float = 0.0
    probe_ms: float = 0.0


class WindowCache:
    """A runtime that encodes every window once, as long as the budget holds. Safe in several threads.

    budget_bytes: memory of everything kept, >= 1; a call may need more than that while it runs. files: a second,
    slower place, shared with other processes.
    """

    def __init__(self, runtime: Any, budget_bytes: int = 1 << 30, files: WindowFiles | None = None) -> None:
        from agentcompress.drafts.pages import EXTENT_PAGES  # with torch, which a runtime has loaded by now

        self.runtime = runtime
        self.fingerprint, self.band = runtime.fingerprint, runtime.band
        self._kept = WindowMemory(checked_count("segment_cache_bytes", budget_bytes))
        self._files = files
        self._lock = threading.Lock()
        self._pending: dict[str, Future[Window]] = {}
        self._stats = CacheStats()
        page_bytes = runtime.shape.page_bytes
        self._extent_pages = max(1, min(EXTENT_PAGES, budget_bytes // (_EXTENTS_PER_BUDGET * page_bytes)))
        self.tokenizer = _CachingTokenizer(runtime.tokenizer, self._kept)

    def encode(self, windows: Sequence[np.ndarray]) -> list[Window]:
        """Encode windows of token ids, those that are not here yet; a window that another call is at is waited for."""
        keys = [self.runtime.compute_window_key(ids) for ids in windows]
        ids_of = dict(zip(keys, windows, strict=True))
        found: dict[str, Window] = {}
        while len(found) < len(ids_of):
            mine, others = self._claim_windows([key for key in ids_of if key not in found], found)
            if mine:
                found.update(self._encode_claimed({key: ids_of[key] for key in mine}))
            for key, pending in others.items():
                window = _await_window(pending)
                if window is not None:  # else whoever was at it gave up, and it is anyone's again
                    found[key] = window
                    self._add_counts(hits=1)
        return [found[key] for key in keys]

    def probe(
        self, windows: Sequence[Window], query: Sequence[int], null: Sequence[int]
    ) -> tuple[ProbeAttention, ProbeAttention]:
        """Probe with a query; what the query-free probe finds on the same windows is computed once."""
        started = time.perf_counter()
        key = digest("null", *(window.key for window in windows), *map(str, null))
        known = self._kept.get(key)
        if known is None:
            asked, known = self.runtime.probe(windows, query, null)
            self._kept.put(key, known)
        else:
            asked = self.runtime.probe_query(windows, query)
        self._add_counts(probe_ms=(time.perf_counter() - started) * 1000)
        return asked, known

    def get_stats(self) -> CacheStats:
        """Return how many windows were found, computed, kept and given up since the cache was made."""
        with self._lock:
            stats = self._stats
        held, evicted = self._kept.get_sizes()
        return replace(stats, bytes=held, evicted_bytes=evicted)

    def measure_kv_bytes_per_token(self) -> float:
        """Memory of the windows kept now, padding included, for each of their draft tokens; 0 when none are."""
        windows = self._kept.list_windows()
        held = sum({id(window.extent): window.extent.nbytes for window in windows}.values())
        return held / max(1, sum(window.tokens for window in windows))

    def clear(self) -> None:
        """Drop all windows, probes and tokens from memory; files stay."""
        self._kept.clear()

    def _claim_windows(self, keys: list[str], found: dict[str, Window]) -> tuple[list[str], dict[str, Future[Window]]]:
        """Put what is here into `found`; return the keys this call is to encode, and those others are at."""
        mine, others = [], {}
        with self._lock:
            for key in keys:
                window = self._kept.get_window(key)
                if window is not None:
                    found[key] = window
                elif key in self._pending:
                    others[key] = self._pending[key]
                else:
                    self._pending[key] = Future()
                    mine.append(key)
        self._add_counts(hits=len(keys) - len(mine) - len(others))
        return mine, others

    def _encode_claimed(self, ids_of: dict[str, np.ndarray]) -> dict[str, Window]:
        """Read from disk, or compute, windows that this call has claimed; returns those that were done by key."""
        started = time.perf_counter()
        done: dict[str, Window] = {}
        read = 0
        try:
            if self._files:
                done.update(self._files.load({key: len(ids) for key, ids in ids_of.items()}, self.runtime.shape))
            read, missing = len(done), [key for key in ids_of if key not in done]
            self._kept.make_room(self.runtime.shape.count_window_bytes(len(ids_of[key]) for key in missing))
            encoded = self.runtime.encode(
                [ids_of[key] for key in missing],
                extent_pages=self._extent_pages,
                done=lambda window: done.__setitem__(window.key, window),  # also of a call that ends early
            )
            if self._files:
                self._files.store(encoded)
        finally:
            try:
                self._kept.keep_windows(list(done.values()))
            finally:
                self._settle_pending(ids_of, done)
            milliseconds = (time.perf_counter() - started) * 1000
            self._add_counts(file_hits=read, misses=len(done) - read, encode_ms=milliseconds)
        return done

    def _settle_pending(self, keys: Iterable[str], done: Mapping[str, Window]) -> None:
        """Tell those who wait for these windows that they are there, or that nobody is at them any more."""
        with self._lock:
            pending = {key: self._pending.pop(key) for key in keys}
        for key, future in pending.items():
            if key in done:
                future.set_result(done[key])
            else:
                future.cancel()

    def _add_counts(self, **more: float) -> None:
        """Add to the counts, each by its name in `CacheStats`."""
        with self._lock:
            changed = {name: getattr(self._stats, name) + value for name, value in more.items()}
            self._stats = replace(self._stats, **changed)


class _CachingTokenizer:
    """A tokenizer that keeps the tokens of the texts it saw last, in the cache's memory."""

    def __init__(self, tokenizer: Tokenizer, kept: WindowMemory) -> None:
        self._tokenizer, self._kept = tokenizer, kept  # not the cache: a cycle would keep its memory for long
        self.template = tokenizer.template

    def tokenize(self, text: str) -> Tokens:
        key = digest("tokens", text)
        tokens = self._kept.get(key)
        if tokens is None:
            tokens = self._tokenizer.tokenize(text)
            self._kept.put(key, tokens)
        return tokens

    def tokenize_template(self, text: str) -> list[int]:
        return self._tokenizer.tokenize_template(text)


def get_shared_cache(draft: str, budget_bytes: int, folder: str | None, folder_bytes: int) -> Runtime:
    """Return the process's one cache of a draft with these settings; budget_bytes 0 is the bare runtime."""
    from agentcompress.drafts.runtime import get_shared_runtime

    runtime = get_shared_runtime(draft)
    if not budget_bytes:
        return runtime
    with _making:
        return _make_cache(runtime, budget_bytes, folder, folder_bytes)


@lru_cache(maxsize=2)
def _make_cache(runtime: Any, budget_bytes: int, folder: str | None, folder_bytes: int) -> WindowCache:
    from agentcompress.drafts.cache.files import WindowFiles

    return WindowCache(runtime, budget_bytes, WindowFiles(folder, folder_bytes) if folder else None)


_making = threading.Lock()


def _await_window(pending: Future[Window]) -> Window | None:
    """What another call is at, or None when it gave up; `DeadlineError` when this caller's deadline comes first."""
    deadline = deadlines.current()
    while True:
        try:
            return pending.result(deadlines.POLL_S if deadline else None)
        except FutureTimeoutError:
            if deadline and deadline.is_over:
                raise deadline.error() from None
        except CancelledError:
            return None
