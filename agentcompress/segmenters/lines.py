"""Lines: for logs, listings, code without a grammar, and anything whose lines must stay whole."""

from __future__ import annotations

from dataclasses import dataclass

from agentcompress.common.checks import checked_count
from agentcompress.schema import Segment, Unit
from agentcompress.text.cut_points import cut_stretch
from agentcompress.text.lines import LINE


@dataclass(frozen=True)
class LineSegmenter:
    """Lines as units; blocks as parents: a run of lines up to a blank one, at most `block_lines` long.

    max_line_chars: a longer line (minified code, base64, one-line JSON) is cut into pieces of `piece_chars`.
    """

    block_lines: int = 12
    max_line_chars: int = 2000
    piece_chars: int = 400

    def __post_init__(self) -> None:
        for name in ("block_lines", "max_line_chars", "piece_chars"):
            checked_count(name, getattr(self, name))

    def segment(self, text: str) -> Segment:
        """Cut `text` behind every line feed. Every string tiles; an empty one has no units."""
        units: list[Unit] = []
        block, in_block = 0, 0
        for match in LINE.finditer(text):
            start, end = match.span()
            if in_block >= self.block_lines or (in_block and not match.group().strip()):
                block, in_block = block + 1, 0
            units.extend(
                Unit(a, b, block) for a, b in cut_stretch(text, start, end, self.max_line_chars, self.piece_chars)
            )
            in_block += 1
        return Segment(text, "lines", tuple(units))
