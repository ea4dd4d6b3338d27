"""Decisions in Redis: many machines. `pip install "agentcompress[redis]"`.

The first writer of a key wins (`SET NX`); a decision lives for so many days after it was last seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from agentcompress.common.checks import checked_count
from agentcompress.errors import PluginError, StoreError
from agentcompress.ledger.fronted import Entry, Stats
from agentcompress.ledger.notes import is_note
from agentcompress.ledger.spans import decode_spans
from agentcompress.schema import Decision

_T = TypeVar("_T")

_PREFIX = "agentcompress:1:"
"""Of every key; the number is the layout's."""

_TIMEOUT_S = 0.5
_DAY_S = 86_400
_SCANNED = 1000


class RedisStore:
    """A `Store` behind a URL, `redis://host:6379/0` or `unix:///path`. Safe in several threads and processes.

    days: how long a decision lives after it was last seen, >= 1. Connects on first use; every failure is a
    `StoreError`, also an answer that takes longer than half a second.
    """

    def __init__(self, url: str, *, days: int = 30) -> None:
        try:
            import redis
        except ImportError as error:
            raise PluginError('a ledger in Redis needs: pip install "agentcompress[redis]"') from error
        self._life_s = checked_count("days", days) * _DAY_S
        try:
            self._redis: Any = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, health_check_interval=30
            )
        except ValueError as error:
            raise StoreError(f"ledger in Redis: {error}") from error
        self.place = url
        self._errors = (redis.RedisError, OSError)

    def get(self, key: str) -> Decision | None:
        """Return the decision under `key`, or None."""
        name = _PREFIX + key
        found, _ = self._run(lambda: self._pipeline().get(name).expire(name, self._life_s).execute())
        return self._read_entry(key, found).decision if found is not None else None

    def get_many(self, keys: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions there are under these keys."""
        values = self._run(lambda: self._redis.mget([_PREFIX + key for key in keys])) if keys else []
        pairs = zip(keys, values, strict=True)
        return {key: self._read_entry(key, value).decision for key, value in pairs if value is not None}

    def put(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there now."""
        name, value = _PREFIX + key, json.dumps([time.time(), *_list_fields(decision)])
        _, standing = self._run(lambda: self._pipeline().set(name, value, nx=True, ex=self._life_s).get(name).execute())
        return self._read_entry(key, standing).decision

    def touch(self, keys: Sequence[str]) -> None:
        """Note that the conversation of these keys was seen now."""

        def expire() -> None:
            pipeline = self._pipeline()
            for key in keys:
                pipeline.expire(_PREFIX + key, self._life_s)
            pipeline.execute()

        self._run(expire)

    def entries(self, limit: int) -> Iterator[Entry]:
        """Some of the decisions, those seen last first."""
        found = sorted((entry for entry in self._read_all() if not is_note(entry.key)), key=lambda entry: -entry.seen)
        yield from found[:limit]

    def stats(self) -> Stats:
        """How many decisions there are, and what they take and save."""
        entries = list(self._read_all())
        of_blocks = [entry for entry in entries if not is_note(entry.key)]
        texts = [entry.decision.text for entry in entries if entry.decision.text is not None]
        return Stats(
            decisions=len(of_blocks),
            compressed=sum(entry.decision.text is not None for entry in of_blocks),
            bytes=sum(len(text.encode("utf-8", "surrogatepass")) for text in texts),
            tokens_before=sum(entry.decision.tokens_before for entry in entries),
            tokens_after=sum(entry.decision.tokens_after for entry in entries),
            first_made=min((entry.made for entry in entries), default=None),
            last_seen=max((entry.seen for entry in entries), default=None),
        )

    def prune(self, *, older_than_s: float, max_bytes: int | None, keep_s: float) -> int:
        """Drop decisions not seen for so long, then the longest unseen ones until the texts fit; return how many."""
        now, total, dropped = time.time(), 0, []
        for entry in sorted(self._read_all(), key=lambda entry: -entry.seen):
            total += len(entry.key) + len((entry.decision.text or "").encode("utf-8", "surrogatepass"))
            unseen_s = now - entry.seen
            if unseen_s >= keep_s and (unseen_s > older_than_s or (max_bytes is not None and total > max_bytes)):
                dropped.append(_PREFIX + entry.key)
        if dropped:
            self._run(lambda: self._redis.delete(*dropped))
        return len(dropped)

    def _pipeline(self) -> Any:
        return self._redis.pipeline(transaction=True)

    def _read_all(self) -> Iterator[Entry]:
        names = self._run(lambda: list(self._redis.scan_iter(match=f"{_PREFIX}*", count=_SCANNED)))
        for name in names:
            value, left_ms = self._run(lambda name=name: (self._redis.get(name), self._redis.pttl(name)))
            if value is not None:
                entry = self._read_entry(name.decode().removeprefix(_PREFIX), value)
                yield Entry(
                    entry.key, entry.decision, entry.made, time.time() - (self._life_s - max(0, left_ms) / 1000)
                )

    def _read_entry(self, key: str, value: bytes) -> Entry:
        try:
            made, text, reason, before, after, scorer, *more = json.loads(value)
            decision = Decision(text, reason, before, after, scorer, decode_spans(more[0] if more else None))
            return Entry(key, decision, float(made), float(made))
        except (ValueError, TypeError) as error:
            raise StoreError(f"ledger: what stands under {key} is no decision: {error}") from error

    def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except self._errors as error:
            raise StoreError(f"ledger in Redis: {error}") from error


def _list_fields(decision: Decision) -> list[object]:
    """What a value holds of a decision; spans stand behind the rest, where there are any."""
    sizes = decision.tokens_before, decision.tokens_after
    more = [] if decision.spans is None else [decision.spans]
    return [decision.text, decision.reason, *sizes, decision.scorer, *more]
