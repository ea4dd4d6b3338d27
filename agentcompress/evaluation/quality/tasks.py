"""What is evaluated: items of any task in one form, with what must survive compression and what the answer is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agentcompress.schema import Reading, Span

ANSWER_RULE = "Answer the question with a short phrase taken from the context."


@dataclass(frozen=True)
class Evidence:
    """What should still stand there: strings, or spans of the text where the same string elsewhere does not count.

    rule: "any" of the strings is enough (case aside), or the "share" of them counts.
    """

    strings: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    rule: Literal["any", "share"] = "share"

    def measure_kept(self, text: str, spans: tuple[Span, ...]) -> float:
        """Return the share of the evidence, in [0, 1], that the kept spans of the text hold."""
        if self.spans:
            held = [any(kept.start <= span.start and span.end <= kept.end for kept in spans) for span in self.spans]
        else:
            parts = [text[span.start : span.end] for span in spans]
            fold = self.rule == "any"
            kept_text = "\0".join(part.casefold() if fold else part for part in parts)
            held = [(string.casefold() if fold else string) in kept_text for string in self.strings]
        return float(any(held)) if self.rule == "any" else sum(held) / max(1, len(held))

    def __bool__(self) -> bool:
        return bool(self.strings or self.spans)


@dataclass(frozen=True)
class EvalItem:
    """One thing to evaluate.

    text: what is compressed; query: what for. before, behind: what stands around the text in the prompt, never
    compressed. evidence: falsy when only an answer tells. answers: right ones; metric: one of `metrics.NAMES`;
    classes, dataset: see `metrics.score`. max_tokens: of an answer. tool_result: what a tool returned; some of that is
    left whole (`segmenters.listings`). told: what is known beside the query.
    """

    id: str
    text: str
    query: str
    evidence: Evidence = field(default_factory=Evidence)
    answers: tuple[str, ...] = ()
    metric: str = "best_subspan_em"
    before: str = ""
    behind: str = ""
    classes: tuple[str, ...] = ()
    dataset: str = ""
    max_tokens: int = 32
    tool_result: bool = False
    told: Reading | None = field(default=None, repr=False)

    @property
    def reading(self) -> Reading:
        """All that is known of what the text is read for."""
        return self.told or Reading(self.query)

    def build_prompt(self, text: str) -> str:
        """Build the prompt with `text` (the item's, or what is left of it) as its context."""
        if self.before or self.behind:
            return f"{self.before}{text}{self.behind}"
        return f"{text}\n\n{ANSWER_RULE}\nQuestion: {self.query}\nAnswer:"


class Task(Protocol):
    """A named run of items, the same ones every time."""

    name: str

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        """Yield the first `limit` items, or all."""
        ...


def find_any_answer(text: str, answers: tuple[str, ...], metric: str) -> Evidence:
    """Make evidence of any of the answers that stand in the text; none for numbers, classes and letters."""
    if metric in ("count", "retrieval", "classification", "choice"):
        return Evidence()
    folded = text.casefold()
    return Evidence(strings=tuple(a for a in answers if a and a.casefold() in folded), rule="any")


def read_answers(given: Any) -> tuple[str, ...]:
    """Read right answers as texts: those of a list, or the one that stands alone."""
    listed = given if isinstance(given, list) else [given]
    if any(isinstance(answer, dict | list) for answer in listed):
        raise ValueError("answers must be texts or numbers")
    return tuple(str(answer) for answer in listed if answer is not None)
