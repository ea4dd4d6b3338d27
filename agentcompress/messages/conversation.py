"""One conversation as a call sends it, read once: what every stage after this asks of its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.common.clock import Clock
from agentcompress.common.deadlines import Deadline
from agentcompress.config import CallSettings
from agentcompress.messages import langchain
from agentcompress.messages.formats import find_wire
from agentcompress.messages.hashing import chain, make_seed
from agentcompress.messages.sizes import count_other_tokens
from agentcompress.messages.view import TextPart, Wire, find_last_bound, find_last_marker, find_last_reply, read_fields
from agentcompress.protocols import TokenCounter


@dataclass(frozen=True)
class Conversation:
    """The messages of one call, and what was found in them. Never changed: compressed messages are new ones.

    original: as the caller has them. messages: in their wire format; LangChain's as chat messages. settings: of the
    call, target, keep_rate, namespace and deadline said. clock, deadline: of the call, begun when it was read.
    counter: of the target's tokens. parts: every text with its address; part_tokens: of each of them. prefixes: the
    hash of the history up to and including every message. last_reply, last_bound, last_marker: index of the last
    message that the model has put out, that holds reasoning bound to what is before it, that carries a cache marker;
    -1 without one. beside: what the request holds beside its messages, and beside_tokens, how many tokens that takes.
    continues: whether the server holds more of it.
    """

    original: Sequence[Any]
    messages: Sequence[Any]
    settings: CallSettings
    clock: Clock
    deadline: Deadline
    wire: Wire
    counter: TokenCounter
    parts: Sequence[TextPart]
    part_tokens: Sequence[int]
    prefixes: Sequence[str]
    last_reply: int
    last_bound: int
    last_marker: int
    beside: Mapping[str, Any]
    beside_tokens: int
    continues: bool

    @classmethod
    def read(
        cls,
        messages: Sequence[Any],
        settings: CallSettings,
        counter: TokenCounter,
        *,
        continues: str = "",
        beside: Mapping[str, Any] | None = None,
        mode: str = "live",
        clock: Clock | None = None,
    ) -> Conversation:
        """Read messages. settings: of the call, with its namespace.

        continues: what they go on from, where they are not all there is. mode: "live" or "shadow"; what a shadow has
        decided was never sent, so it has histories of its own. clock: of the call, by default begun now. Raises
        `MessageFormatError`, and `InvalidInputError` for a format there is not.
        """
        deadline = Deadline(settings.deadline_ms)
        chat = langchain.to_chat(messages)
        wire = find_wire(chat, settings.format if chat is messages else "openai")
        parts = wire.find_texts(chat)
        return cls(
            original=messages,
            messages=chat,
            settings=settings,
            clock=clock or Clock(),
            deadline=deadline,
            wire=wire,
            counter=counter,
            parts=parts,
            part_tokens=[counter.count(part.text) for part in parts],
            prefixes=list(chain(chat, wire, make_seed(settings.namespace or "", continues, mode))),
            last_reply=find_last_reply(chat, wire),
            last_bound=find_last_bound(chat, wire),
            last_marker=find_last_marker(chat),
            beside=beside or {},
            beside_tokens=count_other_tokens(beside or {}, counter),
            continues=bool(continues),
        )

    @property
    def target(self) -> str:
        """LiteLLM name of the model that it is sent to."""
        return str(self.settings.target)

    def find_request_ends(self) -> list[int]:
        """Indexes of the last messages of the requests that made this history: a reply follows each but the last."""
        last = len(self.messages) - 1
        return [i for i in range(last + 1) if i == last or self.wire.is_reply(self.fields_of(i + 1))]

    def count_history(self) -> int:
        """How many messages the request before this one held: those before the model's last reply."""
        at = self.last_reply
        while at > 0 and self.wire.is_reply(self.fields_of(at - 1)):
            at -= 1
        return max(at, 0)

    def fields_of(self, index: int) -> Mapping[str, Any]:
        """A message by field names, whatever object it is; none of what has none."""
        return read_fields(self.messages[index])
