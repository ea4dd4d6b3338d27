"""Cuts in the ledger: what all blocks of a history became when it had to fit, in one record that is written once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agentcompress.ledger.spans import decode_spans
from agentcompress.schema import Decision, Span


@dataclass(frozen=True)
class Cut:
    """What a history of `stop` messages was cut to.

    texts: of all its blocks, by key; None: as it is. gone: messages without the reasoning that was bound to others.
    number: of the cuts of this very history, from 0. spans: what the texts have kept of their blocks, as far as known.
    """

    stop: int
    texts: Mapping[str, str | None]
    gone: tuple[range, ...]
    number: int = 0
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)


class Ledger(Protocol):
    """What is asked of a ledger here; it never raises."""

    def look_up(self, key: str) -> Decision | None:
        """Return what stands under a key, None where nothing does."""
        ...

    def look_up_all(self, keys: Sequence[str]) -> list[Decision | None]:
        """Return what stands under each of the keys."""
        ...

    def write(self, key: str, decision: Decision) -> Decision:
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

    def exist(self) -> bool:
        """Whether there may be any: nearly all conversations have none."""
        return self._any is not None and self._ledger.look_up(self._any) is not None

    def find_newest(self, request_ends: Sequence[int]) -> Cut | None:
        """Find the cut of the longest beginning of this history. request_ends: indexes of what requests ended with."""
        found = self._ledger.look_up_all([self._key(i, 0) for i in request_ends])
        pairs = zip(request_ends, found, strict=True)
        at = max((i for i, decision in pairs if _read_cut(decision, i + 1, 0)), default=None)
        cut, number = None, 0
        while at is not None and (more := _read_cut(self._ledger.look_up(self._key(at, number)), at + 1, number)):
            cut, number = more, number + 1
        return cut

    def keep(self, cut: Cut, last: Cut | None) -> Cut:
        """Write a cut of the whole history, made after `last`; return what stands, another's if that was faster."""
        number = last.number + 1 if last and last.stop == cut.stop else 0
        if self._any is not None:
            self._ledger.write(self._any, Decision("there are cuts", None, 0, 0, None))
        record = json.dumps([cut.texts, [[part.start, part.stop] for part in cut.gone], cut.spans])
        standing = self._ledger.write(self._key(cut.stop - 1, number), Decision(record, "a cut", 0, 0, None))
        return _read_cut(standing, cut.stop, number) or cut

    def _key(self, index: int, number: int) -> str:
        return f"{self._prefixes[index]}:{self._target}:cut:{number}"


def _read_cut(decision: Decision | None, stop: int, number: int) -> Cut | None:
    try:
        texts, gone, *more = json.loads(decision.text if decision and decision.text else "")
        spans = {key: kept for key, pairs in dict(*more).items() if (kept := decode_spans(pairs)) is not None}
        return Cut(stop, dict(texts), tuple(range(start, end) for start, end in gone), number, spans)
    except (TypeError, ValueError):
        return None
