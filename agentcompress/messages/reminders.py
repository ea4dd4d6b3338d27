"""What is left of a text around the reminders that a client has written into it: they stay as they are."""

from __future__ import annotations

from agentcompress.schema import Span
from agentcompress.text.reminders import find_reminders
from agentcompress.text.spans import find_between, strip_span


def find_around_reminders(text: str) -> list[Span]:
    """Ranges of a text around its reminders, in order, without white space at their ends; all of it without one."""
    reminders = find_reminders(text)
    if not reminders:
        return [Span(0, len(text))] if text else []
    around = (strip_span(text, span) for span in find_between(text, reminders))
    return [span for span in around if span.end > span.start]
