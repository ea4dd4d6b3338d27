"""What recorded agents would have cost: every request sent in several ways, billed by the prompt caches of providers.

Money is of the input alone: answers are those of the recording. Every way is given the same: requests at a steady pace,
and a client that marks the end of every request, where a provider wants that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentcompress.common import progress
from agentcompress.corpora.trajectories import Trajectory, read_trajectories
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.references import find_cases, find_references
from agentcompress.evaluation.replay.replay import find_requests, find_starts, to_wire
from agentcompress.evaluation.replay.ways import Way
from agentcompress.targets.counting import CachedCounts, get_token_counter
from agentcompress.targets.prompt_cache import Billed, PromptCache


@dataclass
class Cost:
    """What one way to send costs with one target: tokens as they are billed, and dollars."""

    target: str
    input_tokens: int = 0
    read_tokens: int = 0
    write_tokens: int = 0
    dollars: float = 0.0

    def add(self, billed: Billed, dollars: float | None) -> None:
        """Add a request as it is billed; dollars: None where the target has no price."""
        self.input_tokens += billed.input_tokens
        self.read_tokens += billed.read_tokens
        self.write_tokens += billed.write_tokens
        self.dollars += dollars or 0.0

    @property
    def tokens(self) -> int:
        """All tokens that were sent, however they are billed."""
        return self.input_tokens + self.read_tokens + self.write_tokens


@dataclass
class WayReport:
    """What one way to send comes to over all requests. rewrites: requests that do not begin as the one before them.

    found, references: results that steps took strings from, and the sum of the shares of them that stood in the request
    before the step that used them first.
    result_tokens, result_tokens_sent: of all tool results when they came first, with the first target's tokens.
    """

    name: str
    costs: list[Cost]
    requests: int = 0
    rewrites: int = 0
    found: float = 0.0
    references: int = 0
    result_tokens: int = 0
    result_tokens_sent: int = 0

    @property
    def recall(self) -> float | None:
        """The mean over results of the share of their references that were there when they were used."""
        return self.found / self.references if self.references else None

    def as_json(self) -> dict[str, Any]:
        """Return every figure by name, ready for `json.dumps`."""
        own = {name: getattr(self, name) for name in ("name", "requests", "rewrites", "recall", "references")}
        tokens = {"result_tokens": self.result_tokens, "result_tokens_sent": self.result_tokens_sent}
        return {**own, **tokens, "costs": [{**vars(cost), "tokens": cost.tokens} for cost in self.costs]}


@dataclass
class CostReport:
    """What all ways come to, and the targets and pace that were asked for."""

    targets: list[str]
    gap_s: float
    ways: list[WayReport] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return every figure by name, ready for `json.dumps`."""
        return {"targets": self.targets, "gap_s": self.gap_s, "ways": [way.as_json() for way in self.ways]}


class Costs:
    """Replays trajectories in several ways. gap_s: seconds from one request of a conversation to the next, >= 0."""

    def __init__(self, ways: Mapping[str, Way], targets: Sequence[str], gap_s: float = 30.0) -> None:
        if not 0 <= gap_s < float("inf"):
            raise InvalidInputError("gap", gap_s, "a number of seconds >= 0")
        self._ways = ways
        self._counters = {target: CachedCounts(get_token_counter(target), 200_000) for target in targets}
        self._gap_s = gap_s
        reports = [WayReport(name, [Cost(target) for target in targets]) for name in ways]
        self.report = CostReport(list(targets), gap_s, reports)

    def run(self, files: Sequence[Path]) -> CostReport:
        """Replay all trajectories of session files and folders. Raises `InvalidInputError` for what is none."""
        found = [
            (f"{path.name} {number}", trajectory)
            for path in files
            for number, trajectory in enumerate(read_trajectories(path), 1)
        ]
        for at, (name, trajectory) in enumerate(found):
            progress.report(name, at, len(found))
            self._add_trajectory(name, trajectory)
        progress.report("done", len(found), len(found))
        return self.report

    def _add_trajectory(self, name: str, trajectory: Trajectory) -> None:
        recorded = trajectory.context
        messages = to_wire(recorded, "openai")
        ends = list(find_requests(recorded, "openai"))
        starts = find_starts(recorded, "openai")
        uses = list(_find_uses(trajectory, starts))
        for way, report in zip(self._ways.values(), self.report.ways, strict=True):
            self._add_way(way, report, name, messages, ends, uses)

    def _add_way(
        self,
        way: Way,
        report: WayReport,
        name: str,
        messages: Sequence[Mapping[str, Any]],
        ends: Sequence[int],
        uses: Sequence[_Uses],
    ) -> None:
        caches = [PromptCache(cost.target) for cost in report.costs]
        previous: list[str] = []
        sent_at: dict[int, str] = {}
        for step, end in enumerate(ends):
            sent = way(name, messages[:end])
            texts = [json.dumps(message, ensure_ascii=False) for message in sent]
            report.requests += 1
            report.rewrites += texts[: len(previous)] != previous
            sent_at[end] = "\n".join(_read_content(message) for message in sent)
            for cost, cache in zip(report.costs, caches, strict=True):
                prefixes = _hash_prefixes(texts, self._counters[cost.target])
                billed = cache.bill(prefixes, step * self._gap_s)
                cost.add(billed, billed.compute_dollars(cache.facts))
            self._count_results(report, messages, sent, len(previous))
            previous = texts
        for use in uses:
            share = use.find_share(sent_at)
            if share is not None:
                report.found += share
                report.references += 1

    def _count_results(
        self, report: WayReport, messages: Sequence[Mapping[str, Any]], sent: Sequence[Mapping[str, Any]], first: int
    ) -> None:
        """Count the tokens of the tool results that this request is the first to hold, as recorded and as sent."""
        if len(sent) < first:
            return
        counter = self._counters[self.report.targets[0]]
        for old, new in zip(messages[first:], sent[first:], strict=False):
            if old["role"] == "tool":
                report.result_tokens += counter.count(str(old["content"]))
                report.result_tokens_sent += counter.count(str(new.get("content") or ""))


@dataclass(frozen=True)
class _Uses:
    """What later steps took from one result. strings: each with how many messages the request before its use held."""

    strings: Mapping[str, int]

    def find_share(self, sent: Mapping[int, str]) -> float | None:
        """Return the share of the strings that stood in the request before their first use; None without one."""
        known = {string: sent[end] for string, end in self.strings.items() if end in sent}
        return sum(string in text for string, text in known.items()) / len(known) if known else None


def _find_uses(trajectory: Trajectory, starts: Sequence[int]) -> Iterator[_Uses]:
    recorded = trajectory.context
    for case in find_cases(trajectory):
        at = int(case.id.rsplit(":", 1)[1])
        first: dict[str, int] = {}
        for i in range(at + 1, len(recorded)):
            if recorded[i]["role"] == "assistant":
                for string in find_references(recorded[i]):
                    first.setdefault(string, starts[i])
        yield _Uses({string: first[string] for string in case.evidence.strings if string in first})


def _hash_prefixes(texts: Sequence[str], counter: CachedCounts) -> list[tuple[str, int]]:
    digest, tokens, prefixes = hashlib.sha256(), 0, []
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
        tokens += counter.count(text)
        prefixes.append((digest.hexdigest(), tokens))
    return prefixes


def _read_content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
