"""From recorded agents to rows to learn from: every long tool result, as it is read when it is compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agentcompress.compressor import Compressor
from agentcompress.conversation.blocks import find_blocks
from agentcompress.corpora.trajectories import Trajectory
from agentcompress.evaluation.quality.references import NEXT_STEPS, find_used_later
from agentcompress.evaluation.replay.replay import find_starts, to_wire
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.best_line import split_lines
from agentcompress.scorers.next_step.columns import describe_rows
from agentcompress.segmenters.listings import explain_left_whole

NEAR, FAR = NEXT_STEPS, 25
"""Horizons in steps: what the next steps use, and what later ones use without having read it again."""

_MOST_PLACES = 3
"""Of a string that stands in more rows, only so many count: it is no news there."""


@dataclass(frozen=True, eq=False)
class Case:
    """A tool's result that later steps have used.

    id: of the trajectory, and its message. tokens: of the text, as the target counts. near, far: strings that steps
    within the horizons used. rows: float32 (rows, columns), by `names`; unit_of_row: int64 (rows,). labels: bool
    (rows,), whether a row holds one of them.
    """

    id: str
    segment: Segment
    reading: Reading
    tokens: int
    near: tuple[str, ...]
    far: tuple[str, ...]
    rows: np.ndarray
    unit_of_row: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray


def make_cases(trajectory: Trajectory, compressor: Compressor) -> Iterator[Case]:
    """Make a case of every tool result of 1,500 characters and more that would be cut and was used.

    Each is read with what stood in the conversation before it and no more.
    """
    near = dict(find_used_later(trajectory.context, NEAR))
    far = dict(find_used_later(trajectory.context, FAR))
    messages = to_wire(trajectory.context, "openai")
    starts = find_starts(trajectory.context, "openai")
    for step in sorted(near.keys() | far.keys()):
        call = compressor.read_conversation(messages[: starts[step] + 1], {"format": "openai"})
        blocks = [block for block in find_blocks(call, compressor.config.min_tokens) if block.raw_because is None]
        blocks = [block for block in blocks if block.address.message == starts[step]]
        if len(blocks) != 1 or blocks[0].kind != "tool" or explain_left_whole(blocks[0].text) is not None:
            continue
        block = blocks[0]
        segment = compressor.segment(block.text, block.hint)
        if len(segment.units) < 2:
            continue
        rows, unit_of_row, names = describe_rows(segment, block.reading)
        used = (near.get(step, ()), far.get(step, ()))
        labels = label_rows(segment, [*used[0], *used[1]])
        if labels.any():
            identity = f"{trajectory.id}:{step}"
            yield Case(identity, segment, block.reading, block.tokens, *used, rows, unit_of_row, names, labels)


def label_rows(segment: Segment, strings: Sequence[str]) -> np.ndarray:
    """Which rows of a segment hold one of the strings, at its first places, bool (rows,)."""
    rows, _ = split_lines(segment)
    starts = np.fromiter((row.start for row in rows.units), dtype=np.int64, count=len(rows.units))
    labels = np.zeros(len(starts), dtype=bool)
    for string in strings:
        at = rows.text.find(string)
        for _ in range(_MOST_PLACES):
            if at < 0:
                break
            first, last = np.searchsorted(starts, (at, at + len(string) - 1), side="right") - 1
            labels[first : last + 1] = True
            at = rows.text.find(string, at + len(string))
    return labels
