"""Which blocks of a conversation may be compressed, and what the query is for each.

Compressible: tool results, and context blocks of user messages (`messages/context.py`). Never: system, assistant and
developer messages, tool-call arguments, what the human asks, reminders that a client has put into a result
(`messages/reminders.py`), anything but text, blocks under `min_tokens`; and, where they have no decision yet, blocks at
or before a cache marker, or before reasoning that is bound to them: those were sent as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentcompress.messages.context import find_context, read_outside
from agentcompress.messages.conversation import Conversation
from agentcompress.messages.hashing import make_block_key
from agentcompress.messages.reminders import find_around_reminders
from agentcompress.messages.view import Address, TextPart
from agentcompress.schema import Decision, Reading, Span

RAW_CACHED = "at or before a cache marker"
RAW_BOUND = "before reasoning that is bound to it"
RAW_SMALL = "under min_tokens"

_HINT_CHARS = 200
_APART = ":apart"  # in keys of blocks around reminders: once such a text was one block
_TASK_CHARS, _ACTION_CHARS = (400, 200), 500  # of the query: both ends of the task, the end of the action


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of text that may be compressed: where it stands, what for, and why it must stay raw, if it must.

    task, said, arguments: as of its `Reading`. texts, earlier: of the conversation, and how many of them stand before.

    hint: the tool's call it answers, or what stands right before it in a user's message; either may name a file.
    key: of the decision about it in the ledger; of part of a text it names both ends, so that another range, as a later
    version may find, is another block. earlier_key: what named its beginning alone, if anything did.
    tokens: of the whole block, as the target counts them.
    """

    address: Address
    span: Span
    text: str
    kind: Literal["tool", "context"]
    tool: str | None
    hint: str
    key: str
    tokens: int
    raw_because: str | None
    earlier_key: str | None = None
    task: str = ""
    said: str = ""
    arguments: str = ""
    texts: Sequence[str] = field(default=(), repr=False, compare=False)
    earlier: int = 0

    @property
    def query(self) -> str:
        """What it is read for, in words: the request; for a tool's result the task and the action that led to it."""
        if self.kind != "tool":
            return self.task
        call = _describe_call(self.tool, self.arguments)
        return write_action_query(self.task, "\n".join(text for text in (self.said, call) if text))

    @property
    def reading(self) -> Reading:
        """All that is known of what it is read for."""
        before = tuple(self.texts[: self.earlier])
        return Reading(self.query, self.task, self.said, self.tool or "", self.arguments, before)


@dataclass(frozen=True, slots=True)
class DecidedBlock:
    """What stands for a block, whether that is new, and the milliseconds that it took to find out, also by stage."""

    decision: Decision
    is_new: bool = False
    ms: float = 0.0
    stages_ms: Mapping[str, float] = field(default_factory=dict)


def find_blocks(call: Conversation, min_tokens: int) -> list[Block]:
    """Find the blocks of a conversation, in order. min_tokens: >= 1; smaller blocks must stay raw."""
    marker = min(call.last_marker, call.last_reply)  # behind the last reply nothing was sent before
    texts = Counter(part.address.message for part in call.parts if part.text.strip())
    found = [(part, _find_spans(part, request_beside=texts[part.address.message] > 1)) for part in call.parts]
    request = _find_last_request(found)
    said = [text for part in call.parts for text in (part.arguments or "", part.text)]
    return [
        _describe_block(
            call, said, number, span, request, RAW_CACHED if part.address.message <= marker else None, min_tokens
        )
        for number, (part, spans) in enumerate(found)
        for span in spans
    ]


def _describe_block(
    call: Conversation, texts: Sequence[str], number: int, span: Span, request: str, raw: str | None, min_tokens: int
) -> Block:
    """Describe a block of the part of that number. raw: why it must stay so, as far as its place says.

    texts: two of every part: the arguments of the call that it answers, and its own.
    """
    part = call.parts[number]
    at = part.address.message
    text = part.text[span.start : span.end]
    is_whole = len(text) == len(part.text)
    is_apart = part.role != "user" and not is_whole
    tokens = call.part_tokens[number] if is_whole else call.counter.count(text)
    raw = raw or (RAW_BOUND if at < call.last_bound else None)
    key = make_block_key(call.prefixes[at], part.address.path, span.start) + (_APART if is_apart else "")
    return Block(
        address=part.address,
        span=span,
        text=text,
        kind="tool" if part.role == "tool" else "context",
        tool=part.tool,
        hint=_describe_call(part.tool, part.arguments) or part.text[max(0, span.start - _HINT_CHARS) : span.start],
        key=key if is_whole else f"{key}-{span.end}",
        tokens=tokens,
        raw_because=RAW_SMALL if tokens < min_tokens else raw,
        earlier_key=None if is_whole else key,
        task=request,
        said=part.said,
        arguments=part.arguments or "",
        texts=texts,
        earlier=2 * number,
    )


def write_action_query(task: str, action: str) -> str:
    """What a tool result is read for: the task, of a long one both ends, and the action that led to it."""
    if len(task) > sum(_TASK_CHARS):
        task = f"{task[: _TASK_CHARS[0]]} {task[-_TASK_CHARS[1] :]}"
    return f"Task: {task}\nLast action: {action[-_ACTION_CHARS:]}"


def _find_last_request(found: Sequence[tuple[TextPart, Sequence[Span]]]) -> str:
    """The last human text of the conversation: the last user message that says anything outside of context blocks."""
    asked: dict[int, str] = {}
    for part, spans in found:
        if part.role == "user":
            before = asked.get(part.address.message, "")
            asked[part.address.message] = f"{before}\n{read_outside(part.text, spans)}".strip()
    return next((text for text in reversed(asked.values()) if text), "")


def _describe_call(tool: str | None, arguments: str | None) -> str:
    return f"{tool} {arguments or ''}".strip() if tool else ""


def _find_spans(part: TextPart, *, request_beside: bool) -> Sequence[Span]:
    if part.role in ("tool", "document"):
        return find_around_reminders(part.text)
    return find_context(part.text, request_beside=request_beside) if part.role == "user" else []
