"""In what order units are kept: the best score first; floors, and what kept units want, in between.

The order knows no budget. What is kept is as much of its beginning as fits, so a higher rate keeps a superset. What
costs much waits until as much was taken before it: the first that does not fit leaves little of a budget unused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from heapq import heappop, heappush

import numpy as np

from agentcompress.schema import Segment

_AHEAD = 0.05
"""The share of the text that floors may take before anything else is taken."""

_LARGE, _LARGE_UNITS, _LARGE_TOKENS = 0.08, 3.0, 120.0
"""A unit that costs a larger share of the text, more than three of its usual ones and more tokens than this, with what
it requires, waits until as much was taken."""

_LARGEST = 0.1
"""A floor that costs a larger share of the text than this waits for its rank like any other unit."""

_MOST_WAITING = 8  # of what kept units want; who waits longer is forgotten


def order_units(segment: Segment, scores: np.ndarray, costs: np.ndarray) -> list[int]:
    """Every unit's index, the first to be kept first. scores, costs (in tokens): float64 (units,)."""
    priors = np.fromiter((unit.prior for unit in segment.units), dtype=np.float64, count=len(segment.units))
    ranked = np.argsort(-(scores + scores.std() * priors), kind="stable").tolist()
    if not segment.floor_share and _find_large(costs) >= _bound_largest(segment, costs):
        return ranked
    return _Order(segment, scores, costs).merge_floors(ranked)


def _find_large(costs: np.ndarray) -> float:
    """The tokens from which on a unit is a large one."""
    usual = float(costs.mean()) if costs.size else 0.0
    return max(_LARGE * float(costs.sum()), _LARGE_UNITS * usual, _LARGE_TOKENS)


def _bound_largest(segment: Segment, costs: np.ndarray) -> float:
    """No unit costs more tokens than this, with what it requires; the text where that is not plain."""
    if any(unit.requires for unit in segment.units):
        return float(costs.sum())
    return float(costs.max(initial=0.0))


def find_missing(segment: Segment, unit: int, kept: Container[int]) -> list[int]:
    """A unit and all it requires, directly or not, that are not among `kept`."""
    found: dict[int, None] = {}
    waiting = [unit]
    while waiting:
        i = waiting.pop()
        if i not in kept and i not in found:
            found[i] = None
            waiting.extend(segment.units[i].requires)
    return list(found)


class _Order:
    """Takes from the floors whenever their share of what was taken so far allows the next one, else by rank.

    What a twentieth of the text would allow them, they may take from the start, endings before all else, unless the
    segment says that floors come later; what kept units want does not wait for that.
    """

    def __init__(self, segment: Segment, scores: np.ndarray, costs: np.ndarray) -> None:
        self._segment, self._costs = segment, costs
        text = float(costs.sum())
        self._ahead, self._largest, self._from = _AHEAD * text, _LARGEST * text, segment.floor_from * text
        self._large = _find_large(costs)
        floors = [i for i, unit in enumerate(segment.units) if unit.floor and segment.floor_share]
        self._floors = deque(sorted(floors, key=lambda i: (-segment.units[i].floor, -scores[i], i)))
        self._wanted: deque[int] = deque(maxlen=_MOST_WAITING if segment.floor_share else 0)
        self._waiting: list[tuple[float, int, int]] = []  # cost, rank and index of large ones, the cheapest first
        self._kept: set[int] = set()
        self._listed: set[int] = set()
        self._total = self._of_floors = 0.0
        self._enough = 0.0  # tokens that must have been taken before the next floor may come

    def merge_floors(self, ranked: list[int]) -> list[int]:
        """Every unit's index, the first to be kept first. ranked: all of them, the best score first."""
        order: list[int] = []
        for rank, i in enumerate(ranked):
            order.extend(self._take_affordable())
            order.extend(self._take_waiting())
            if i in self._listed:
                continue
            units, cost = self._price_missing(i)
            if cost > max(self._large, self._total):
                heappush(self._waiting, (cost, rank, i))
            else:
                order.append(i)
                self._take_ranked(i, units)
        while self._waiting:
            order.extend(self._take_waiting(at_once=True))
        return order

    def _take_waiting(self, *, at_once: bool = False) -> Iterator[int]:
        """Take the large units whose turn has come, by rank; at_once: the cheapest of them in any case."""
        ready: list[tuple[int, int]] = []
        while self._waiting and (at_once or self._waiting[0][0] <= self._total):
            ready.append(heappop(self._waiting)[1:])
            at_once = False
        for _, i in sorted(ready):
            if i not in self._listed:
                yield i
                self._take_ranked(i, self._price_missing(i)[0])
                yield from self._take_affordable()

    def _take_ranked(self, unit: int, units: list[int]) -> None:
        """Take a unit by its rank, with what it requires (`units`), and note what it wants."""
        self._take_units(unit, units)
        self._wanted.extend(self._segment.units[unit].wants)

    def _take_affordable(self) -> Iterator[int]:
        """Take what is wanted and can be had now, then floors, as long as their share allows the next one."""
        for _ in range(len(self._wanted)):
            i = self._wanted.popleft()
            units, cost = self._price_missing(i)
            if self._compute_needed(cost) > self._total:
                self._wanted.append(i)
            elif units:
                self._of_floors += cost
                self._take_units(i, units)
                yield i
        while self._floors and self._enough <= self._total:
            if self._floors[0] in self._listed:
                self._floors.popleft()
                continue
            units, cost = self._price_missing(self._floors[0])
            self._enough = max(self._from, self._compute_needed(cost))
            if self._enough <= self._total or cost > self._largest:
                i = self._floors.popleft()
                if cost <= self._largest:  # else it waits for its rank
                    self._of_floors += cost
                    self._take_units(i, units)
                    yield i
                self._enough = 0.0

    def _price_missing(self, unit: int) -> tuple[list[int], float]:
        """What a unit requires that is not kept yet, itself included, and its tokens."""
        units = find_missing(self._segment, unit, self._kept)
        return units, float(self._costs[units].sum())

    def _compute_needed(self, cost: float) -> float:
        """The tokens that must have been taken before floors may take `cost` more."""
        wanted = (self._of_floors + cost) / self._segment.floor_share
        return 0.0 if wanted <= self._ahead else wanted - cost

    def _take_units(self, unit: int, units: list[int]) -> None:
        """List a unit, and note it and what it requires (`units`) as kept."""
        self._listed.add(unit)
        self._kept.update(units)
        self._total += float(self._costs[units].sum())
