"""What scorers share on the level of units: means, parents, standard scores. Plain numpy, float64."""

from __future__ import annotations

import math

import numpy as np

from agentcompress.common.digests import digest
from agentcompress.schema import Segment

_TINY = 1e-9
_LEAST_SIZE = 0.1


def digest_segment(segment: Segment) -> str:
    """Return a short key that is the same for segments in which a scorer sees the same."""
    units = np.fromiter(
        (
            number
            for unit in segment.units
            for number in (unit.start, unit.end, unit.parent, len(unit.requires), *unit.requires)
        ),
        dtype=np.int64,
    )
    names = "\0".join(unit.name for unit in segment.units) if any(unit.name for unit in segment.units) else ""
    breaks = ",".join(map(str, segment.breaks))
    return digest(segment.text, segment.kind, units.tobytes(), names, *([breaks] if breaks else []))


def find_units_of_tokens(segment: Segment, ends: np.ndarray) -> np.ndarray:
    """Which unit each token stands in, (tokens,) int64, by its last character (`ends` - 1).

    A token's first character may be the white space that closes the unit before.
    """
    starts = np.fromiter((unit.start for unit in segment.units), dtype=np.int64, count=len(segment.units))
    return np.searchsorted(starts, np.maximum(ends - 1, 0), side="right") - 1


def average_by_unit(token_scores: np.ndarray, unit_of_token: np.ndarray, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean score and number of tokens of every unit, (units,) each. A unit without tokens gets the lowest mean."""
    sizes = np.bincount(unit_of_token, minlength=units).astype(np.float64)
    sums = np.bincount(unit_of_token, weights=token_scores, minlength=units)
    lowest = (sums[sizes > 0] / sizes[sizes > 0]).min() if sizes.any() else 0.0
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), lowest), sizes


def add_parent_scores(own: np.ndarray, sizes: np.ndarray, segment: Segment) -> np.ndarray:
    """Standardised own score plus the standardised mean of its parent's units, weighted by size; float64 (units,)."""
    return standardise(own) + standardise(average_by_parent(own, sizes, segment))


def average_by_parent(own: np.ndarray, sizes: np.ndarray, segment: Segment) -> np.ndarray:
    """The mean score of the units of every unit's parent, weighted by size, (units,)."""
    parent_of_unit = number_parents(segment)
    weights = np.maximum(sizes, _TINY)
    totals = np.bincount(parent_of_unit, weights=own * weights) / np.bincount(parent_of_unit, weights=weights)
    return totals[parent_of_unit]


def number_parents(segment: Segment) -> np.ndarray:
    """The parent of every unit as a number from 0 on, without gaps, int64 (units,)."""
    parents = np.fromiter((unit.parent for unit in segment.units), dtype=np.int64, count=len(segment.units))
    return np.unique(parents, return_inverse=True)[1]


def blur_scores(own: np.ndarray, sizes: np.ndarray, width: float) -> np.ndarray:
    """A moving average of the scores, weighted by size and by a Gaussian of standard deviation `width` units.

    What answers a query seldom fits one unit, and seldom stands in one parent alone: a function is found by its
    class and its neighbours too.
    """
    reach = math.ceil(3 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    weights = np.maximum(sizes, _LEAST_SIZE)

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.convolve(values, kernel)[reach : reach + len(own)]

    return smooth(own * weights) / smooth(weights)


def standardise(values: np.ndarray) -> np.ndarray:
    """(values - mean) / standard deviation; all zero where every value is the same."""
    if not len(values):
        return values
    spread = values.std()
    return (values - values.mean()) / spread if spread > _TINY * max(1.0, np.abs(values).max()) else values * 0.0
