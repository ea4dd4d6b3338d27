"""The last prompts' attention, kept: a wrapper around `full_pass.FullPass`, with the same interface.

Several scorers then read one pass. Attention of a prompt is large (L H (W + N) T numbers), so that little is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from cachetools import LRUCache

from agentcompress.common.digests import digest
from agentcompress.drafts.full_pass import FullPass, PromptAttention, get_shared_full_pass

_made: dict[str, CachedPass] = {}
_making = threading.Lock()


class CachedPass:
    """A full pass that reads the same prompt once. budget_bytes: of the attention kept."""

    def __init__(self, full_pass: FullPass, budget_bytes: int = 1 << 30) -> None:
        self._pass = full_pass
        self.tokenizer = full_pass.tokenizer
        self.layers, self.context_tokens = full_pass.layers, full_pass.context_tokens
        self._kept: LRUCache[str, tuple[int, PromptAttention]] = LRUCache(budget_bytes, lambda kept: kept[1].nbytes)
        self._lock = threading.Lock()

    def read_prompt(self, ids: Sequence[int], *, steps: int = 8, last_rows: int = 8) -> PromptAttention:
        """Do what `FullPass.read_prompt` does, from memory where as many rows and steps are kept, else by a new pass.

        Its `answer` may be longer than asked for: it is that of the pass that was made.
        """
        key = digest("prompt", np.asarray(ids, dtype="<i8").tobytes())
        with self._lock:
            read_steps, found = self._kept.get(key, (0, None))
        if found is None or read_steps < steps or found.window.shape[2] < min(last_rows, len(ids)):
            # Scorers that look back need 8 rows, those that look ahead as many: the second finds the first's.
            found = self._pass.read_prompt(ids, steps=steps, last_rows=max(8, last_rows))
            with self._lock:
                if found.nbytes <= self._kept.maxsize:
                    self._kept[key] = (steps, found)
        return replace(found, window=found.window[:, :, -last_rows:], lookahead=found.lookahead[:, :, :steps])

    def forget(self) -> None:
        """Drop all prompts' attention: the next prompt is read anew."""
        with self._lock:
            self._kept.clear()


def forget_prompts() -> None:
    """Drop all prompts' attention of the process, for a measurement that must not find it."""
    with _making:
        for reader in _made.values():
            reader.forget()


def get_shared_reader(name: str) -> CachedPass:
    """Return the process's one reader of a model, fetching and loading it on first use; the last one is kept."""
    with _making:
        if name not in _made:
            _made.clear()
            _made[name] = CachedPass(get_shared_full_pass(name))
        return _made[name]
