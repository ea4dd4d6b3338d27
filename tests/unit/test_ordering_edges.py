"""Which unit comes when, worked by hand: a hundred units of a token each, and two fifths of what is kept for floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agentcompress.schema import Segment, Unit
from agentcompress.selection.order import find_missing, order_units


def order_of(units: Mapping[int, Mapping[str, Any]], scores: Mapping[int, float], **segment: Any) -> list[int]:
    """units: what some are beside plain. scores: of some; the others' are 0, so that they come last, in their order."""
    made = tuple(Unit(i, i + 1, 0, **units.get(i, {})) for i in range(100))
    found = order_units(
        Segment("x" * 100, "lines", made, **{"floor_share": 0.4, **segment}),
        np.array([scores.get(i, 0.0) for i in range(100)]),
        np.ones(100),
    )
    assert sorted(found) == list(range(100))
    return found


BEST = {i: 100.0 - i for i in range(50, 60)}
"""Units 50 to 59 have the best scores, in this order."""


def test_floors_come_by_their_height_then_score_then_place() -> None:
    """Floors of n tokens want n / .4 taken, themselves included; up to a twentieth of all that comes at once.

    The third wants 3 / .4 - 1 = 6.5 taken before it, the fourth 9.
    """
    floors = {10: {"floor": 1}, 20: {"floor": 2}, 30: {"floor": 1}, 40: {"floor": 1}}
    order = order_of(floors, {**BEST, 10: 0.9, 20: 0.1, 30: 0.5, 40: 0.5})
    assert order[:10] == [20, 10, 50, 51, 52, 53, 54, 30, 55, 40]


def test_floors_that_come_later() -> None:
    order = order_of({20: {"floor": 1}}, BEST, floor_from=0.12)
    assert order[:13] == [*range(50, 60), 0, 1, 20]


def test_a_floor_that_was_taken_by_its_score_keeps_no_other_waiting() -> None:
    order = order_of({20: {"floor": 2}, 30: {"floor": 1}}, {**BEST, 20: 99.0}, floor_from=0.05)
    assert order[:6] == [20, 50, 51, 52, 53, 30]


def test_what_is_wanted_comes_out_of_the_floors_share() -> None:
    """Two of them at once, in the twentieth; the third when 6.5 are taken, the fourth when 9 are."""
    order = order_of({50: {"wants": (60, 61, 62, 63)}}, BEST)
    assert order[:10] == [50, 60, 61, 51, 52, 53, 54, 62, 55, 63]


def test_no_more_than_eight_wait() -> None:
    order = order_of({50: {"wants": tuple(range(60, 70))}}, BEST)
    assert order[:3] == [50, 62, 63]
    assert order.index(69) < order.index(60) < order.index(61)


def test_a_floor_over_a_tenth_of_the_text_is_none() -> None:
    """It brings what it requires: eleven tokens."""
    heavy = {20: {"floor": 1, "requires": tuple(range(70, 80))}}
    assert order_of(heavy, BEST)[:3] == [50, 51, 52]
    light = {20: {"floor": 1, "requires": tuple(range(70, 79))}}
    assert 20 in order_of(light, BEST)[:20]


def test_what_a_line_is_worth_beside_its_score_is_counted_in_deviations() -> None:
    order = order_of({7: {"prior": 3.0}, 8: {"prior": -3.0}}, {40: 1.0, 41: 1.0}, floor_share=0.0)
    assert order[:3] == [40, 41, 7]  # the scores' deviation is .14
    assert order[-1] == 8
    assert order_of({7: {"prior": 9.0}}, {40: 1.0, 41: 1.0}, floor_share=0.0)[:2] == [7, 40]


def test_equal_scores_come_in_the_order_of_the_text() -> None:
    assert order_of({}, {i: float(i % 2) for i in range(100)}) == [*range(1, 100, 2), *range(0, 100, 2)]


def test_what_is_missing_is_what_is_required_and_not_kept() -> None:
    requires = {1: (2, 3), 2: (4,), 3: (5,), 5: (1,)}  # in a circle
    units = tuple(Unit(i, i + 1, 0, requires=requires.get(i, ())) for i in range(6))
    segment = Segment("x" * 6, "lines", units)
    assert sorted(find_missing(segment, 1, ())) == [1, 2, 3, 4, 5]
    assert sorted(find_missing(segment, 1, {3})) == [1, 2, 4]
    assert find_missing(segment, 1, {1}) == []
    assert find_missing(segment, 0, {1}) == [0]
