"""Units of a text that is part of another one: moved to where they stand there."""

from __future__ import annotations

from dataclasses import replace

from agentcompress.schema import Unit


def move_unit(unit: Unit, start: int, end: int, *, parents: int, first: int, around: tuple[int, ...] = ()) -> Unit:
    """Return a unit of a part as one of the whole, where it stands at `[start, end)`.

    parents, first: how many parents and units the whole has before the part's. around: units of the whole that all of
    the part's require beside their own.
    """
    return replace(
        unit,
        start=start,
        end=end,
        parent=unit.parent + parents,
        requires=(*(i + first for i in unit.requires), *around),
        wants=tuple(i + first for i in unit.wants),
    )
