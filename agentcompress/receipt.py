"""What one call did, block by block, in the target's tokens."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

DRIFT = 0.02
"""Of what was counted from what was billed; more is reported."""


@dataclass(frozen=True, slots=True)
class BlockReceipt:
    """What was decided about one block.

    message: index in the list. kind: "tool" or "context". tool: the tool's name, where known.
    decision: "new" (compressed now), "replayed" (compressed in an earlier call), "raw" (as it is, for `reason`).
    scorer: that has decided it. stages_ms: what compressing it now took, by stage.
    """

    message: int
    kind: Literal["tool", "context"]
    tool: str | None
    decision: Literal["new", "replayed", "raw"]
    reason: str | None
    tokens_before: int
    tokens_after: int
    ms: float
    scorer: str | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Money:
    """US dollars of one request's texts, without us and with us. The answer costs the same.

    list_before, list_after: every token at the input price. before, after: as the provider bills it, what was sent
    before read from its prompt cache, where that is `warm`. draft: of the machine, for the time that compressing took.
    """

    list_before: float
    list_after: float
    before: float
    after: float
    draft: float
    warm: bool

    @property
    def saved(self) -> float:
        """What is left of it all: below zero where it did not pay."""
        return self.before - self.after - self.draft

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "saved": self.saved}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider has billed. drift: of what the receipt says from that, as a share; None where it can't say."""

    input_tokens: int
    cached_tokens: int
    drift: float | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One call of `compress`: tokens of all text in the messages, before and after; images and schemas not counted.

    Holds no text of the conversation. mode: "shadow" where the original was sent, and all else is what would have
    been. continues: whether it goes on from what the server holds. conversation: a hash of its beginning. at:
    seconds since the epoch. money: None where no price is known. used: how many strings the model's last reply took
    from blocks that are cut, used_kept: how many of them it had been sent; None where nobody asked (no `receipts`,
    not in shadow mode). Where a call had `target_tokens`: request_tokens, what the request takes with everything
    counted or estimated; rewritten_from, the first message that was sent differently before, where history had to
    be cut to fit; skipped_because, why it does not fit. reasoning_dropped: messages whose reasoning, bound to what
    was cut, is gone.
    """

    target: str
    scorer: str
    tokens_before: int
    tokens_after: int
    blocks: tuple[BlockReceipt, ...]
    ms: float
    request_tokens: int | None = None
    rewritten_from: int | None = None
    reasoning_dropped: int = 0
    skipped_because: str | None = None
    mode: str = "live"
    continues: bool = False
    conversation: str = ""
    at: float = 0.0
    money: Money | None = None
    used: int | None = None
    used_kept: int | None = None
    usage: Usage | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "money": None if self.money is None else self.money.to_dict()}

    def record(self) -> dict[str, Any]:
        """What a log keeps: figures, the blocks that were compressed now, and why others are raw."""
        figures = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "blocks"}
        figures["money"] = None if self.money is None else self.money.to_dict()
        figures["usage"] = None if self.usage is None else asdict(self.usage)
        raw = Counter(block.reason for block in self.blocks if block.decision == "raw")
        new = [asdict(block) for block in self.blocks if block.decision == "new"]
        return {"type": "receipt", **figures, "blocks": new, "raw": dict(raw)}

    def reconciled(self, usage: Any) -> Receipt:
        """The receipt with what the provider has billed: the `usage` of its response, of any of the three formats.

        Unchanged for what is no usage. The drift is of `request_tokens`, which counts all of a request: there is none
        without them, nor in shadow mode, where something else was sent.
        """
        found = _read_usage(usage)
        if found is None:
            return self
        known = self.request_tokens if self.mode == "live" and not self.continues else None
        drift = None if known is None or not found[0] else known / found[0] - 1
        return replace(self, usage=Usage(*found, drift))

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Blocks and their tokens, by kind: "context", or a tool's name."""
        found: dict[str, dict[str, int]] = {}
        for block in self.blocks:
            kind = block.tool or block.kind
            row = found.setdefault(kind, dict.fromkeys(("blocks", "cut", "tokens_before", "tokens_after"), 0))
            row["blocks"] += 1
            row["cut"] += block.decision != "raw"
            row["tokens_before"] += block.tokens_before
            row["tokens_after"] += block.tokens_after
        return found


def compute_billed_more(drift: float) -> float:
    """How much more is billed than is counted, as a share of what is counted."""
    return 1 / (1 + drift) - 1


def _read_usage(usage: Any) -> tuple[int, int] | None:
    """Input tokens and those of them that were read from a cache, from a provider's or LiteLLM's usage."""
    fields = _read_fields(usage)
    whole = _read_count(fields.get("prompt_tokens"))
    if whole:  # OpenAI chat, and LiteLLM for all: cached tokens are among them
        cached = _read_count(_read_fields(fields.get("prompt_tokens_details")).get("cached_tokens"))
        return whole, cached or _read_count(fields.get("cache_read_input_tokens"))
    whole = _read_count(fields.get("input_tokens"))
    if fields.get("input_tokens_details") is not None:  # OpenAI Responses
        cached = _read_count(_read_fields(fields["input_tokens_details"]).get("cached_tokens"))
    else:  # Anthropic: cached tokens come on top
        cached = _read_count(fields.get("cache_read_input_tokens"))
        whole += cached + _read_count(fields.get("cache_creation_input_tokens"))
    return (whole, cached) if whole else None


def _read_fields(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return value.model_dump() if hasattr(value, "model_dump") else getattr(value, "__dict__", {})


def _read_count(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return int(value) if number else 0
