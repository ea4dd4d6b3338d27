"""What clients write into texts that are not theirs: `<system-reminder>` at the end of a file that was read.

They are instructions for the model, wherever they stand.
"""

from __future__ import annotations

import re

from agentcompress.schema import Span

_OPENING = re.compile(
    r"<(system[-_](?:reminder|warning|notice|note|message|instructions?)|(?:important|policy)[-_]reminder)(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)


def find_reminders(text: str) -> list[Span]:
    """Whole reminders, tags included, in order; one that is not closed is none."""
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
