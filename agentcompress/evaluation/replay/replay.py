"""A recorded agent, replayed request by request: what would have been sent, and whether any of it was ever rewritten.

A request goes out before every assistant message. What counts is bytes: the JSON of a request's messages must begin
with the messages of the one before, or the provider's prompt cache misses.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.corpora.trajectories import Trajectory, read_trajectories
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.references import find_cases
from agentcompress.messages.formats import WIRES
from agentcompress.targets.counting import CachedCounts, get_token_counter


@dataclass(frozen=True)
class Step:
    """One request of a recorded agent.

    prefix_bytes: how many of the request before, which had previous_bytes, it begins with. new, replayed, raw: how many
    of its blocks were decided in it, decided before, and left as they are. ms: what compressing it took.
    """

    trajectory: str
    step: int
    tokens_raw: int
    tokens_sent: int
    prefix_bytes: int
    previous_bytes: int
    new: int
    replayed: int
    raw: int
    ms: float

    @property
    def is_rewrite(self) -> bool:
        """Whether this request changes something that the one before it had sent."""
        return self.prefix_bytes < self.previous_bytes


@dataclass
class ReplayReport:
    """All steps. recalls: of the strings that later steps took from a tool's result, the share that was sent in it."""

    steps: list[Step] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)

    def sum_up(self) -> dict[str, Any]:
        """Sum up all steps; the tokens are those of all requests, one after the other."""
        return {
            "steps": len(self.steps),
            "rewrites": sum(step.is_rewrite for step in self.steps),
            "tokens_raw": sum(step.tokens_raw for step in self.steps),
            "tokens_sent": sum(step.tokens_sent for step in self.steps),
            "recall": sum(self.recalls) / len(self.recalls) if self.recalls else None,
        }

    def as_json(self) -> dict[str, Any]:
        """Return the sums and every step, ready for `json.dumps`."""
        return {**self.sum_up(), "by_step": [asdict(step) for step in self.steps]}


def format_step(step: Step) -> str:
    """Say in one line what a step sent, shared and decided."""
    shared = f"{step.prefix_bytes:,} of {step.previous_bytes:,} bytes shared"
    decided = f"{step.new} new, {step.replayed} replayed, {step.raw} as they are"
    tokens = f"{step.tokens_raw:,} -> {step.tokens_sent:,} tokens"
    return f"{step.trajectory} {step.step}: {tokens}, {shared}, {decided}, {step.ms:.0f} ms"


def replay_file(path: Path, compressor: Compressor, wire: str, *, recall: bool = False) -> Iterator[Step | float]:
    """Yield every step of every trajectory of a file, and, if asked, the recall of every result that was referred to.

    path: a session file of any known format, or a folder of them (`agentcompress.corpora.trajectories`). Raises
    `InvalidInputError` for what is none, and for a line that is no trajectory.
    """
    for trajectory in read_trajectories(path):
        messages = to_wire(trajectory.context, wire)
        yield from _replay_steps(trajectory, messages, compressor, wire)
        if recall:
            yield from _measure_recall(trajectory, messages, compressor, wire)


def _replay_steps(trajectory: Trajectory, messages: Sequence[Any], compressor: Compressor, wire: str) -> Iterator[Step]:
    counter = CachedCounts(get_token_counter(compressor.config.target))
    previous = b""
    for step, end in enumerate(find_requests(trajectory.context, wire)):
        request = messages[:end]
        started = time.perf_counter()
        result = compressor.compress(request, on_error="warn", format=wire)  # type: ignore[arg-type]
        ms = (time.perf_counter() - started) * 1000
        sent = _encode_messages(result.messages)
        decisions = [block.decision for block in result.receipt.blocks]
        yield Step(
            trajectory=trajectory.id,
            step=step,
            tokens_raw=counter.count(json.dumps(request, ensure_ascii=False)),
            tokens_sent=counter.count(json.dumps(result.messages, ensure_ascii=False)),
            prefix_bytes=len(previous) if sent.startswith(previous) else _count_shared(previous, sent),
            previous_bytes=len(previous),
            new=decisions.count("new"),
            replayed=decisions.count("replayed"),
            raw=decisions.count("raw"),
            ms=ms,
        )
        previous = sent


def find_requests(recorded: Sequence[Mapping[str, Any]], wire: str) -> Iterator[int]:
    """Yield how many messages every request holds: all before an assistant's that follows another role's."""
    starts = find_starts(recorded, wire)
    for i, message in enumerate(recorded):
        if message["role"] == "assistant" and i and recorded[i - 1]["role"] != "assistant":
            yield starts[i]
    if recorded and recorded[-1]["role"] != "assistant":
        yield starts[-1]


def find_starts(recorded: Sequence[Mapping[str, Any]], wire: str) -> list[int]:
    """Return where the messages begin that each recorded one becomes, and at last how many there are."""
    return list(itertools.accumulate((len(made) for made in _convert_each(recorded, wire)), initial=0))


def _encode_messages(messages: Sequence[Any]) -> bytes:
    """Encode messages as a request's body has them, without what closes the list."""
    return b"".join(
        json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"," for message in messages
    )


def _count_shared(a: bytes, b: bytes) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _measure_recall(
    trajectory: Trajectory, messages: Sequence[Any], compressor: Compressor, wire: str
) -> Iterator[float]:
    sent = compressor.compress(messages, on_error="warn", format=wire).messages  # type: ignore[arg-type]
    starts = find_starts(trajectory.context, wire)
    texts: dict[int, str] = {}
    for part in WIRES[wire].find_texts(sent):
        texts[part.address.message] = texts.get(part.address.message, "") + part.text
    for case in find_cases(trajectory):
        text = texts.get(starts[int(case.id.rsplit(":", 1)[1])], "")
        yield sum(string in text for string in case.evidence.strings) / len(case.evidence.strings)


def to_wire(recorded: Sequence[Mapping[str, Any]], wire: str) -> list[dict[str, Any]]:
    """Convert a recorded conversation into a wire format, calls and results paired by ids that are made here.

    recorded: `role`, `content`, and on assistant messages `tool_calls` with `name` and `arguments`; results follow
    their calls in order. Where there are more results than calls, calls without arguments are added.
    """
    return [message for made in _convert_each(recorded, wire) for message in made]


def _convert_each(recorded: Sequence[Mapping[str, Any]], wire: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages that each recorded one becomes."""
    if wire not in WIRES:
        raise InvalidInputError("format", wire, f"one of {', '.join(WIRES)}")
    waiting: list[str] = []
    made = 0
    for at, message in enumerate(recorded):
        content = message.get("content") or ""
        if message["role"] == "assistant":
            given = [(str(call.get("name")), call.get("arguments")) for call in message.get("tool_calls") or ()]
            given += [("act", {})] * (_count_results_behind(recorded, at) - len(given))
            calls = [(f"call_{made + n}", name, arguments) for n, (name, arguments) in enumerate(given)]
            made += len(calls)
            waiting = [identity for identity, *_ in calls]
            yield _build_assistant(content, calls, wire)
        elif message["role"] == "tool" and waiting:
            yield _build_result(content, waiting.pop(0), wire)
        elif message["role"] == "system" and wire == "anthropic":
            yield []  # stands beside the messages there
        else:
            yield [{"role": "user" if message["role"] == "tool" else message["role"], "content": content}]


def _count_results_behind(recorded: Sequence[Mapping[str, Any]], at: int) -> int:
    return sum(1 for _ in itertools.takewhile(lambda message: message["role"] == "tool", recorded[at + 1 :]))


def _build_assistant(content: str, calls: Sequence[tuple[str, str, Any]], wire: str) -> list[dict[str, Any]]:
    if wire == "anthropic":
        used = [{"type": "tool_use", "id": i, "name": name, "input": _to_object(given)} for i, name, given in calls]
        said = [{"type": "text", "text": content}] if content else []
        return [{"role": "assistant", "content": [*said, *used]}] if said or used else []
    named = [(i, name, given if isinstance(given, str) else json.dumps(given)) for i, name, given in calls]
    if wire == "responses":
        said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": content}]}]
        return [
            *(said if content else []),
            *({"type": "function_call", "call_id": i, "name": name, "arguments": given} for i, name, given in named),
        ]
    functions = [{"id": i, "type": "function", "function": {"name": n, "arguments": given}} for i, n, given in named]
    return [{"role": "assistant", "content": content or None, **({"tool_calls": functions} if functions else {})}]


def _build_result(content: str, identity: str, wire: str) -> list[dict[str, Any]]:
    if wire == "anthropic":
        return [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": identity, "content": content}]}]
    if wire == "responses":
        return [{"type": "function_call_output", "call_id": identity, "output": content}]
    return [{"role": "tool", "tool_call_id": identity, "content": content}]


def _to_object(given: Any) -> dict[str, Any]:
    return dict(given) if isinstance(given, Mapping) else {"arguments": given}
