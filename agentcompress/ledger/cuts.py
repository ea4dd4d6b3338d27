"""Cuts in the ledger: what all blocks of a history became when it had to fit, in one record that is written once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentcompress.schema import Decision


@dataclass(frozen=True)
class Cut:
    """What a history of `stop` messages was cut to.

    texts: of all its blocks, by key; None: as it is. gone: messages without the reasoning that was bound to others.
    number: of the cuts of this very history, from 0.
    """

    stop: int
    texts: Mapping[str, str | None]
    gone: tuple[range, ...]
    number: int = 0


class Ledger(Protocol):
    """What is asked of a ledger here; it never raises."""

    def known(self, key: str) -> Decision | None:
        """What stands under a key."""
        ...

    def known_of(self, keys: Sequence[str]) -> list[Decision | None]:
        """What stands under every one of the keys."""
        ...

    def kept(self, key: str, decision: Decision) -> Decision:
        """Write unless taken; return what stands there."""
        ...


class Cuts:
    """The cuts of one conversation for one target, by its name: other providers of a model may have other windows.

    prefixes: hashes of the history up to every message. A record under the first block's key says whether there is any
    cut to look for, which spares nearly all conversations the search.
    """

    def __init__(self, prefixes: Sequence[str], first_block: str | None, target: str, ledger: Ledger) -> None:
        self._prefixes, self._ledger = prefixes, ledger
        self._target = target
        self._any = None if first_block is None else f"{first_block}:{self._target}:cuts"

    def newest(self, request_ends: Callable[[], Sequence[int]]) -> Cut | None:
        """The cut of the longest beginning of this history.

        request_ends: finds the indexes of messages that requests ended with; asked only where there is a cut.
        """
        if self._any is None or self._ledger.known(self._any) is None:
            return None
        ends = request_ends()
        found = self._ledger.known_of([self._key(i, 0) for i in ends])
        at = max((i for i, decision in zip(ends, found, strict=True) if _read(decision, i + 1, 0)), default=None)
        cut, number = None, 0
        while at is not None and (more := _read(self._ledger.known(self._key(at, number)), at + 1, number)):
            cut, number = more, number + 1
        return cut

    def kept(self, cut: Cut, last: Cut | None) -> Cut:
        """Write a cut of the whole history, made after `last`; return what stands, another's if that was faster."""
        number = last.number + 1 if last and last.stop == cut.stop else 0
        if self._any is not None:
            self._ledger.kept(self._any, Decision("there are cuts", None, 0, 0, None))
        record = json.dumps([cut.texts, [[part.start, part.stop] for part in cut.gone]])
        standing = self._ledger.kept(self._key(cut.stop - 1, number), Decision(record, "a cut", 0, 0, None))
        return _read(standing, cut.stop, number) or cut

    def _key(self, index: int, number: int) -> str:
        return f"{self._prefixes[index]}:{self._target}:cut:{number}"


def _read(decision: Decision | None, stop: int, number: int) -> Cut | None:
    try:
        texts, gone = json.loads(decision.text if decision and decision.text else "")
        return Cut(stop, dict(texts), tuple(range(start, end) for start, end in gone), number)
    except (TypeError, ValueError):
        return None
