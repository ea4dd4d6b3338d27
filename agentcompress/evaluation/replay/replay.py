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
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.files import json_rows
from agentcompress.evaluation.quality.references import cases
from agentcompress.messages.formats import WIRES
from agentcompress.targets.counting import CachedCounts, get_token_counter


@dataclass(frozen=True)
class Step:
    """One request. prefix_bytes: shared with the request before, of previous_bytes; new, replayed, raw: decisions."""

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
        """Whether something that was sent before was sent differently."""
        return self.prefix_bytes < self.previous_bytes


@dataclass
class ReplayReport:
    """All steps. recall: of the strings that later steps took from a tool's result, the share that was sent in it."""

    steps: list[Step] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)

    def totals(self) -> dict[str, Any]:
        """What the whole comes to: the tokens are those of all requests, one after the other."""
        return {
            "steps": len(self.steps),
            "rewrites": sum(step.is_rewrite for step in self.steps),
            "tokens_raw": sum(step.tokens_raw for step in self.steps),
            "tokens_sent": sum(step.tokens_sent for step in self.steps),
            "recall": sum(self.kept) / len(self.kept) if self.kept else None,
        }

    def as_json(self) -> dict[str, Any]:
        """Totals and steps."""
        return {**self.totals(), "by_step": [asdict(step) for step in self.steps]}


def line(step: Step) -> str:
    """A step in one line."""
    shared = f"{step.prefix_bytes:,} of {step.previous_bytes:,} bytes shared"
    decided = f"{step.new} new, {step.replayed} replayed, {step.raw} as they are"
    tokens = f"{step.tokens_raw:,} -> {step.tokens_sent:,} tokens"
    return f"{step.trajectory} {step.step}: {tokens}, {shared}, {decided}, {step.ms:.0f} ms"


def replay(path: Path, compressor: Compressor, format: str, *, recall: bool = False) -> Iterator[Step | float]:  # noqa: A002
    """Yield every step of every trajectory of a file, and, if asked, the recall of every result that was referred to.

    Raises `InvalidInputError` for a line that is no trajectory.
    """
    for number, row in json_rows(path):
        context = checked_trajectory(row, f"{path.name} line {number}")
        messages = as_sent(context, format)
        yield from _steps(str(row.get("id", number)), messages, context, compressor, format)
        if recall:
            yield from _recalled(row, messages, compressor, format)


def checked_trajectory(row: Any, where: str) -> list[Mapping[str, Any]]:
    """The messages of a trajectory; `InvalidInputError` for what is none."""
    context = row.get("context") if isinstance(row, Mapping) else None
    if not isinstance(context, list) or not all(isinstance(each, Mapping) and "role" in each for each in context):
        raise InvalidInputError(where, row, "a trajectory: context, a list of messages")
    return context


def _steps(
    name: str,
    messages: Sequence[Any],
    recorded: Sequence[Mapping[str, Any]],
    compressor: Compressor,
    format: str,  # noqa: A002
) -> Iterator[Step]:
    counter = CachedCounts(get_token_counter(compressor.config.target))
    previous = b""
    for step, end in enumerate(requests_of(recorded, format)):
        request = messages[:end]
        started = time.perf_counter()
        result = compressor.compress(request, on_error="warn", format=format)  # type: ignore[arg-type]
        ms = (time.perf_counter() - started) * 1000
        sent = _bytes(result.messages)
        decisions = [block.decision for block in result.receipt.blocks]
        yield Step(
            trajectory=name,
            step=step,
            tokens_raw=counter.count(json.dumps(request, ensure_ascii=False)),
            tokens_sent=counter.count(json.dumps(result.messages, ensure_ascii=False)),
            prefix_bytes=len(previous) if sent.startswith(previous) else _shared(previous, sent),
            previous_bytes=len(previous),
            new=decisions.count("new"),
            replayed=decisions.count("replayed"),
            raw=decisions.count("raw"),
            ms=ms,
        )
        previous = sent


def requests_of(recorded: Sequence[Mapping[str, Any]], format: str) -> Iterator[int]:  # noqa: A002
    """How many messages every request holds: all before an assistant's message, once there is one of a user or tool."""
    starts = starts_of(recorded, format)
    for i, message in enumerate(recorded):
        if message["role"] == "assistant" and i and recorded[i - 1]["role"] != "assistant":
            yield starts[i]
    if recorded and recorded[-1]["role"] != "assistant":
        yield starts[-1]


def starts_of(recorded: Sequence[Mapping[str, Any]], format: str) -> list[int]:  # noqa: A002
    """Where the messages begin that a recorded one becomes; at last, how many there are."""
    return list(itertools.accumulate((len(made) for made in _made(recorded, format)), initial=0))


def _bytes(messages: Sequence[Any]) -> bytes:
    """The messages as a request's body has them, without what closes the list."""
    return b"".join(
        json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"," for message in messages
    )


def _shared(a: bytes, b: bytes) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _recalled(row: Mapping[str, Any], messages: Sequence[Any], compressor: Compressor, format: str) -> Iterator[float]:  # noqa: A002
    sent = compressor.compress(messages, on_error="warn", format=format).messages  # type: ignore[arg-type]
    starts = starts_of(row["context"], format)
    texts: dict[int, str] = {}
    for part in WIRES[format].text_parts(sent):
        texts[part.address.message] = texts.get(part.address.message, "") + part.text
    for case in cases(row):
        text = texts.get(starts[int(case.id.rsplit(":", 1)[1])], "")
        yield sum(string in text for string in case.evidence.strings) / len(case.evidence.strings)


def as_sent(recorded: Sequence[Mapping[str, Any]], format: str) -> list[dict[str, Any]]:  # noqa: A002
    """A recorded conversation in a wire format, calls and results paired by ids that are made here.

    recorded: `role`, `content`, and on assistant messages `tool_calls` with `name` and `arguments`; results follow
    their calls in order. Where there are more results than calls, calls without arguments are added.
    """
    return [message for made in _made(recorded, format) for message in made]


def _made(recorded: Sequence[Mapping[str, Any]], format: str) -> Iterator[list[dict[str, Any]]]:  # noqa: A002
    """What each recorded message becomes."""
    if format not in WIRES:
        raise InvalidInputError("format", format, f"one of {', '.join(WIRES)}")
    waiting: list[str] = []
    made = 0
    for at, message in enumerate(recorded):
        content = message.get("content") or ""
        if message["role"] == "assistant":
            given = [(str(call.get("name")), call.get("arguments")) for call in message.get("tool_calls") or ()]
            given += [("act", {})] * (_results_behind(recorded, at) - len(given))
            calls = [(f"call_{made + n}", name, arguments) for n, (name, arguments) in enumerate(given)]
            made += len(calls)
            waiting = [identity for identity, *_ in calls]
            yield _assistant(content, calls, format)
        elif message["role"] == "tool" and waiting:
            yield _result(content, waiting.pop(0), format)
        elif message["role"] == "system" and format == "anthropic":
            yield []  # stands beside the messages there
        else:
            yield [{"role": "user" if message["role"] == "tool" else message["role"], "content": content}]


def _results_behind(recorded: Sequence[Mapping[str, Any]], at: int) -> int:
    return sum(1 for _ in itertools.takewhile(lambda message: message["role"] == "tool", recorded[at + 1 :]))


def _assistant(content: str, calls: Sequence[tuple[str, str, Any]], format: str) -> list[dict[str, Any]]:  # noqa: A002
    if format == "anthropic":
        used = [{"type": "tool_use", "id": i, "name": name, "input": _object(given)} for i, name, given in calls]
        said = [{"type": "text", "text": content}] if content else []
        return [{"role": "assistant", "content": [*said, *used]}] if said or used else []
    named = [(i, name, given if isinstance(given, str) else json.dumps(given)) for i, name, given in calls]
    if format == "responses":
        said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": content}]}]
        return [
            *(said if content else []),
            *({"type": "function_call", "call_id": i, "name": name, "arguments": given} for i, name, given in named),
        ]
    functions = [{"id": i, "type": "function", "function": {"name": n, "arguments": given}} for i, n, given in named]
    return [{"role": "assistant", "content": content or None, **({"tool_calls": functions} if functions else {})}]


def _result(content: str, identity: str, format: str) -> list[dict[str, Any]]:  # noqa: A002
    if format == "anthropic":
        return [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": identity, "content": content}]}]
    if format == "responses":
        return [{"type": "function_call_output", "call_id": identity, "output": content}]
    return [{"role": "tool", "tool_call_id": identity, "content": content}]


def _object(given: Any) -> dict[str, Any]:
    return dict(given) if isinstance(given, Mapping) else {"arguments": given}
