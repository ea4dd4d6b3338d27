"""Where users have `within` and `Deadline` from; they are made in `common/deadlines.py`."""

from __future__ import annotations

from agentcompress.common.deadlines import Deadline, current, within

__all__ = ["Deadline", "current", "within"]
