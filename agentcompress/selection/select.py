"""Scores + budget -> kept units. Exact after rendering, and nested: a larger budget keeps a superset.

Units are taken in the order `order` gives; what is kept is always a *prefix* of that order, plus what the prefix
requires (headings, signatures) and gaps that would cost no more than their delimiter. Which prefix: start from the
longest whose estimated cost fits, then count the rendered text, and step down until it fits, or up while it does.
Each step compares with the budget alone, so a larger budget never ends at a shorter prefix. Where the next unit is so
large that much of the budget is left, its beginning is kept; a unit that must stay whole (JSON, code) makes way for
those behind it that fit, and a larger budget need not keep them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agentcompress.errors import ScoringError
from agentcompress.protocols import TokenCounter
from agentcompress.schema import DelimiterStyle, Segment, Span
from agentcompress.selection.order import find_missing, order_units
from agentcompress.text.cut_points import find_cut_points
from agentcompress.text.delimiters import is_counted
from agentcompress.text.lines import LINE
from agentcompress.text.rendering import Rendered, merge_units, render_spans, render_units, trim_spans

_COUNTED_CHARS = 4_000_000
"""How many characters may be counted to use up the last of a budget: bounds the steps up on long texts."""

_USED = 0.8
"""The share of a budget that is used at least, where the text has more to offer."""

_TRIED_UNITS = 4000
"""How many units are tried at most to use up a budget that the next one does not fit."""

_LEAST_CUT, _THIN = 100, 0.2
"""In so many tokens at least, units are kept without what they require rather than that most of a budget is left."""

_TRIED_CUTS = 64
"""How many places to cut a unit are tried."""

_TRIED_GAPS = 8
"""How many gaps of one unit are tried to tell what a brief delimiter costs."""

_WORTH = 2.0
"""How many times its delimiter's tokens a gap must take to be worth it: the reader, too, pays for a gap."""

_COUNTED_UNITS = 64
"""How many neighbouring units are counted together to put their estimated costs right."""


@dataclass(frozen=True)
class Selection:
    """What is kept: the rendered text with its spans, and the target tokens of that whole text."""

    rendered: Rendered
    tokens: int


def compute_budget_tokens(keep_rate: float, tokens_before: int) -> int:
    """The most tokens a text may keep: ceil(keep_rate * tokens_before)."""
    return max(min(1, tokens_before), math.ceil(round(keep_rate * tokens_before, 9)))


def select_units(
    segment: Segment, scores: np.ndarray, budget: int, counter: TokenCounter, style: DelimiterStyle
) -> Selection:
    """Keep the best units whose rendered text costs at most `budget` target tokens (>= 1).

    scores: (units,), finite, or `ScoringError`. Where less than four fifths of the budget are used then, the next unit
    is kept as far as it fits; in a text whose units can't be cut those of the next that fit.
    """
    costs = _estimate_costs(segment, counter)
    order = order_units(segment, check_scores(segment, scores), costs)
    pool = _Pool(segment, order, costs, counter, style)
    n = pool.find_best(budget)
    if n == len(order) or (n and pool.take_prefix(n).tokens >= _USED * budget):
        return pool.take_prefix(n)
    if segment.divisible:
        found = _Cutter(segment, pool.list_prefix(n), budget, counter, style).cut_unit(order[n])
    else:
        found = pool.fill_up(n, budget)
        thin = (found or pool.take_prefix(n)).tokens < _THIN * budget
        if thin and budget >= _LEAST_CUT and not segment.strict:
            loose = tuple(replace(unit, requires=()) for unit in segment.units)
            return select_units(replace(segment, units=loose, divisible=True), scores, budget, counter, style)
    return found or (pool.take_prefix(n) if n else _keep_nothing(segment, budget, counter, style))


def select_share(
    segment: Segment, scores: np.ndarray, keep_rate: float, counter: TokenCounter, style: DelimiterStyle
) -> Selection:
    """Keep the best ceil(keep_rate n) of n units, whatever they cost: top-K of arXiv 2603.02631, Algorithm 1."""
    count = compute_budget_tokens(keep_rate, len(segment.units))
    rendered = render_units(
        segment, sorted(np.argsort(-check_scores(segment, scores), kind="stable")[:count].tolist()), style
    )
    return Selection(rendered, counter.count(rendered.text))


def check_scores(segment: Segment, scores: np.ndarray) -> np.ndarray:
    """Return the scores, or raise `ScoringError`: one finite number for every unit."""
    units = len(segment.units)
    if scores.shape != (units,) or not np.isfinite(scores).all():
        raise ScoringError(f"a scorer must give one finite score for each of {units} units, got shape {scores.shape}")
    return scores


def _estimate_costs(segment: Segment, counter: TokenCounter) -> np.ndarray:
    """Estimated target tokens of every unit, float64 (units,)."""
    text, units = segment.text, segment.units
    costs = np.array([counter.count(text[unit.start : unit.end]) for unit in units], dtype=np.float64)
    for i in range(0, len(units), _COUNTED_UNITS):
        # Units counted apart cost a little more than in one piece: put each run of them right.
        run = costs[i : i + _COUNTED_UNITS]
        run *= counter.count(text[units[i].start : units[i + len(run) - 1].end]) / max(1.0, run.sum())
    return costs


class _Pool:
    """Prefixes of the order of scores: estimated costs of all, counted costs of the ones asked for."""

    def __init__(
        self, segment: Segment, order: list[int], costs: np.ndarray, counter: TokenCounter, style: DelimiterStyle
    ) -> None:
        self._segment, self._order, self._counter, self._style = segment, order, counter, style
        text = segment.text
        self._cost_before = np.concatenate([[0.0], np.cumsum(costs)])
        self._prices = _Prices.of_style(segment, counter, style)
        self._taken: dict[int, Selection] = {}
        self._gaps, self._gaps_at = self._make_gaps(), 0
        self._steps_up = max(2, min(64, _COUNTED_CHARS // max(1, len(text))))

    def find_best(self, budget: int) -> int:
        """Length of the longest prefix that fits, as far as it is worth counting; 0 where not even one unit does."""
        n = self.find_longest_estimated(budget)
        for _ in range(self._steps_up):
            if n == len(self._order) or self.take_prefix(n + 1).tokens > budget:
                break
            n += 1
        while n and self.take_prefix(n).tokens > budget:
            n -= 1
        return n

    def list_prefix(self, n: int) -> list[int]:
        """Indexes of the units that the first n of the order keep, ascending."""
        return self._keep_all(self._order[:n]).list_kept()

    def fill_up(self, n: int, budget: int) -> Selection | None:
        """The first n units, and of those that follow the ones that still fit; None where not one does."""
        gaps = self._keep_all(self._order[:n])
        tried = self._order[n : n + _TRIED_UNITS]
        slack = max(0.0, gaps.cost - self.take_prefix(n).tokens)  # delimiters cost less than is estimated
        added = [unit for unit in tried if gaps.keep_affordable(unit, budget + slack)]
        while added:
            found = self._render(self._keep_all([*self._order[:n], *added]))
            if found.tokens <= budget:
                return found
            added = added[: len(added) - max(1, len(added) // 8)]
        return None

    def take_prefix(self, n: int) -> Selection:
        """Render the first n units of the order, with what they require, and count its tokens."""
        if n not in self._taken:
            if n < self._gaps_at:
                self._gaps, self._gaps_at = self._make_gaps(), 0
            for unit in self._order[self._gaps_at : n]:
                self._gaps.keep_unit(unit)
            self._gaps_at = n
            self._taken[n] = self._render(self._gaps)
        return self._taken[n]

    def find_longest_estimated(self, budget: int) -> int:
        """Length of the longest prefix whose estimated cost is within the budget."""
        gaps = self._make_gaps()
        longest = 0
        for n, unit in enumerate(self._order, start=1):
            gaps.keep_unit(unit)
            if gaps.cost <= budget:
                longest = n
            elif gaps.kept_cost > budget:  # only grows
                break
        return longest

    def _render(self, gaps: _Gaps) -> Selection:
        rendered = render_units(self._segment, gaps.list_kept(), self._style)
        return Selection(rendered, self._counter.count(rendered.text))

    def _keep_all(self, units: Sequence[int]) -> _Gaps:
        gaps = self._make_gaps()
        for unit in units:
            gaps.keep_unit(unit)
        return gaps

    def _make_gaps(self) -> _Gaps:
        return _Gaps(self._segment, self._cost_before, self._prices)


@dataclass(frozen=True)
class _Prices:
    """Estimated tokens of delimiters: of the longest, which say how much went, and of those that do not."""

    long: int
    brief: int

    @classmethod
    def of_style(cls, segment: Segment, counter: TokenCounter, style: DelimiterStyle) -> _Prices:
        """Try some gaps of one unit each."""
        long = counter.count(style.longest(segment.text))
        tried = segment.units[:: max(1, len(segment.units) // _TRIED_GAPS)]
        gaps = [gap for gap in (Span(unit.start, unit.end) for unit in tried) if not is_counted(segment.text, gap)]
        return cls(long, min(long, max((counter.count(style.gap(segment.text, gap)) for gap in gaps), default=long)))

    @property
    def worth(self) -> float:
        """Gaps of more tokens than this are worth a delimiter."""
        return min(float(self.long), _WORTH * self.brief)


class _Gaps:
    """Runs of units left out, kept up to date as units come in; gaps not worth a delimiter count as kept."""

    def __init__(self, segment: Segment, cost_before: np.ndarray, prices: _Prices) -> None:
        self._segment = segment
        self._cost_before = cost_before
        self._prices = prices
        self._starts, self._ends = [0], [len(segment.units)]
        self._followed: set[int] = set()  # units whose requirements are kept
        self.kept_cost = 0.0
        self._delimiters = self._price_gap(0, len(segment.units))

    @property
    def cost(self) -> float:
        """Estimated tokens of what is kept, a delimiter for every gap included."""
        return self.kept_cost + self._delimiters

    def keep_unit(self, unit: int) -> None:
        """Keep a unit and what it requires; nothing happens where it is kept already."""
        for i in find_missing(self._segment, unit, self._followed):
            self._followed.add(i)
            self._keep_one(i)

    def keep_affordable(self, unit: int, budget: float) -> bool:
        """Keep a unit and what it requires, if their estimated tokens and their delimiters are within the budget."""
        missing = find_missing(self._segment, unit, self._followed)
        runs = sum(1 for i in missing if i - 1 not in missing)
        cost = sum(self._sum_cost(i, i + 1) for i in missing)
        if self.cost + cost + runs * self._prices.long > budget:
            return False
        self.keep_unit(unit)
        return True

    def list_kept(self) -> list[int]:
        """Return the indexes of all kept units, ascending."""
        bounds = zip([0, *self._ends], [*self._starts, len(self._segment.units)], strict=True)
        return [i for start, end in bounds for i in range(start, end)]

    def _keep_one(self, i: int) -> None:
        """Split the gap a unit stands in; what is left of it and not worth a delimiter is kept too."""
        at = bisect_right(self._starts, i) - 1
        if at < 0 or i >= self._ends[at]:
            return
        start, end = self._starts[at], self._ends[at]
        left = [gap for gap in ((start, i), (i + 1, end)) if self._sum_cost(*gap) > self._prices.worth]
        self.kept_cost += self._sum_cost(start, end) - sum(self._sum_cost(*gap) for gap in left)
        self._delimiters += sum(self._price_gap(*gap) for gap in left) - self._price_gap(start, end)
        self._starts[at : at + 1] = [a for a, _ in left]
        self._ends[at : at + 1] = [b for _, b in left]

    def _price_gap(self, start: int, end: int) -> int:
        """Estimated tokens of the delimiter for units `start` up to `end`."""
        units = self._segment.units
        if start == end:
            return 0
        is_long = is_counted(self._segment.text, Span(units[start].start, units[end - 1].end))
        return self._prices.long if is_long else self._prices.brief

    def _sum_cost(self, start: int, end: int) -> float:
        """Estimated tokens of units `start` up to `end`."""
        return float(self._cost_before[end] - self._cost_before[start])


class _Cutter:
    """Adds to what is kept as much of the beginning of one more unit as fits: whole lines, else whole words."""

    def __init__(
        self, segment: Segment, kept: list[int], budget: int, counter: TokenCounter, style: DelimiterStyle
    ) -> None:
        self._segment, self._kept, self._budget = segment, kept, budget
        self._counter, self._style = counter, style

    def cut_unit(self, unit: int) -> Selection | None:
        """What is kept with the beginning of a unit, behind what that requires; None where nothing of it fits.

        Budgets too small for any delimiter get an unmarked cut: the alternative is to lose the text without a trace.
        """
        kept = list(self._kept)
        best = self._render(kept, None, self._style) if kept else None
        for i in sorted(find_missing(self._segment, unit, set(kept))):
            whole = self._render([*kept, i], None, self._style)
            if whole is None:
                return self._cut_within(kept, i) or best
            kept, best = [*kept, i], whole
        return best

    def _cut_within(self, kept: list[int], unit: int) -> Selection | None:
        """The longest beginning of a unit that fits beside others."""
        text, start = self._segment.text, self._segment.units[unit].start
        cuts = _find_cuts(text, start, self._segment.units[unit].end)
        tried = cuts[: bisect_left(cuts, start + 32 * self._budget)]
        if len(tried) > _TRIED_CUTS:  # too many to render them all: those about as long as what is left
            room = self._budget - self._counter.count(render_units(self._segment, sorted(kept), self._style).text)
            at = bisect_right(tried, room, key=lambda cut: self._counter.count(text[start:cut]))
            tried = tried[max(0, at - _TRIED_CUTS) : at]
        for cut in reversed(tried):
            found = self._render(kept, Span(start, cut), self._style)
            if found is not None:
                return found
        return self._render([], Span(start, cuts[0]), None) if cuts and not kept else None

    def _render(self, kept: list[int], beginning: Span | None, style: DelimiterStyle | None) -> Selection | None:
        """Units, and a beginning of one more, if they fit."""
        spans = sorted([*merge_units(self._segment, sorted(kept)), *([beginning] if beginning else [])])
        joined = spans[:1]
        for span in spans[1:]:
            if span.start <= joined[-1].end:
                joined[-1] = Span(joined[-1].start, span.end)
            else:
                joined.append(span)
        rendered = render_spans(self._segment.text, trim_spans(self._segment, joined), style)
        tokens = self._counter.count(rendered.text)
        return Selection(rendered, tokens) if tokens <= self._budget else None


def _keep_nothing(segment: Segment, budget: int, counter: TokenCounter, style: DelimiterStyle) -> Selection:
    """Select no unit: the delimiter alone where it fits the budget, else an empty text."""
    alone = render_spans(segment.text, [], style)
    tokens = counter.count(alone.text)
    return Selection(alone, tokens) if tokens <= budget else Selection(Rendered("", ()), 0)


def _find_cuts(text: str, start: int, end: int) -> list[int]:
    """Where a stretch may be cut, ascending: behind its lines, and behind the words of the first one."""
    lines = [match.end() for match in LINE.finditer(text, start, end)]
    return [*_find_word_ends(text, start, lines[0] if lines else end), *lines[:-1]]


def _find_word_ends(text: str, start: int, end: int) -> list[int]:
    """Positions behind the words of `text[start:end]`, ascending; a word over 16 characters is cut up."""
    end = start + len(text[start:end].rstrip())
    ends = [i for i in range(start + 1, end) if text[i].isspace() and not text[i - 1].isspace()]
    cuts: list[int] = []
    for last, cut in zip([start, *ends], [*ends, end], strict=True):
        if cut > last:
            cuts += [*find_cut_points(text, last, cut, 16), cut]
    return cuts
