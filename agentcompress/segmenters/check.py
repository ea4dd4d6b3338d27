"""Running a segmenter, and checking that what it says of a text is so."""

from __future__ import annotations

from agentcompress.errors import AgentCompressError, SegmentationError
from agentcompress.protocols import Segmenter
from agentcompress.schema import Segment


def segment_checked(segmenter: Segmenter, name: str, text: str) -> Segment:
    """Return what the segmenter of that name makes of a text.

    Raises `SegmentationError` where it fails, its units do not tile the text, or they name units there are not; our own
    errors pass as they are.
    """
    try:
        segment = segmenter.segment(text)
    except AgentCompressError:
        raise
    except Exception as error:
        raise SegmentationError(f"segmenter {name!r} failed: {type(error).__name__}: {error}") from error
    ends = [0, *(unit.end for unit in segment.units)]
    starts = [*(unit.start for unit in segment.units), len(text)]
    if segment.text != text or ends != starts or any(unit.start >= unit.end for unit in segment.units):
        raise SegmentationError(f"segmenter {name!r} gave units that don't tile the text")
    named = {i for unit in segment.units for i in (*unit.requires, *unit.wants)}
    if named and not 0 <= min(named) <= max(named) < len(segment.units):
        raise SegmentationError(f"segmenter {name!r} gave units that require or want others there are not")
    return segment
