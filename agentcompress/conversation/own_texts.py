"""Which texts are ours: what was sent in the place of others is not compressed again.

A request may pass several doors of one program, and change its format in between. So texts are known one by one, and
a whole conversation that holds some, so that what it leaves raw stays raw too. What may come back in another process is
noted in the ledger as well (`CallLedger.was_sent_elsewhere`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from cachetools import LRUCache

from agentcompress.messages.view import Wire

SEEN = "compressed already"


class OwnTexts:
    """A memory of the texts and conversations that this process has sent. Safe in several threads.

    Known by hashes: two texts that share one would cost a block that is not compressed.
    """

    def __init__(self, max_texts: int = 100_000, max_conversations: int = 20_000) -> None:
        self._texts: LRUCache[tuple[int, int], bool] = LRUCache(max_texts)
        self._conversations: LRUCache[int, bool] = LRUCache(max_conversations)
        self._lock = threading.Lock()

    def note_texts(self, texts: Iterable[str]) -> None:
        """Remember texts that are sent in the place of others."""
        keys = {(hash(text), len(text)): True for text in texts}
        with self._lock:
            self._texts.update(keys)

    def knows_text(self, text: str) -> bool:
        """Whether this process has sent a text in another's place."""
        with self._lock:
            return (hash(text), len(text)) in self._texts

    def note_conversation(self, messages: Sequence[Any], wire: Wire) -> None:
        """Remember the texts of a conversation as it is sent."""
        key = _hash_texts(messages, wire)
        with self._lock:
            self._conversations[key] = True

    def knows_conversation(self, messages: Sequence[Any], wire: Wire) -> bool:
        """Whether these are the texts of a conversation that was compressed in this process."""
        if not self._conversations:
            return False
        key = _hash_texts(messages, wire)
        with self._lock:
            return key in self._conversations

    def replace_lock(self) -> None:
        """Begin with a lock that nobody holds: in a forked child, another thread's may be held for ever."""
        self._lock = threading.Lock()


def _hash_texts(messages: Sequence[Any], wire: Wire) -> int:
    return hash(tuple((part.address, part.role, part.text) for part in wire.find_texts(messages)))


own_texts = OwnTexts()
"""This process's: a request may pass several compressors."""
