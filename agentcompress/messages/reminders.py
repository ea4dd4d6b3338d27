"""What clients write into texts that are not theirs: `<system-reminder>` at the end of a file that was read.

They are instructions for the model, wherever they stand, and stay as they are.
"""

from __future__ import annotations

import re

from agentcompress.schema import Span

_OPENING = re.compile(
    r"<(system[-_](?:reminder|warning|notice|note|message|instructions?)|(?:important|policy)[-_]reminder)(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)


def find_around_reminders(text: str) -> list[Span]:
    """Ranges of a text around its reminders, in order, without white space at their ends; all of it without one."""
    reminders = _find_reminders(text)
    if not reminders:
        return [Span(0, len(text))] if text else []
    edges = [0, *(edge for span in reminders for edge in span), len(text)]
    around = (_strip_span(text, a, b) for a, b in zip(edges[::2], edges[1::2], strict=True))
    return [span for span in around if span.end > span.start]


def _find_reminders(text: str) -> list[Span]:
    """Whole reminders, tags included; one that is not closed is none."""
    found: list[Span] = []
    at = 0
    unclosed: set[str] = set()
    while (match := _OPENING.search(text, at)) is not None:
        closing = f"</{match.group(1)}>"
        end = -1 if closing in unclosed else text.find(closing, match.end())
        at = match.end()
        if end < 0:
            unclosed.add(closing)
            continue
        at = end + len(closing)
        found.append(Span(match.start(), at))
    return found


def _strip_span(text: str, start: int, end: int) -> Span:
    inside = text[start:end]
    first = start + len(inside) - len(inside.lstrip())
    return Span(first, max(first, start + len(inside.rstrip())))
