"""Whole requests, whichever door they come through: parsed once, compressed for their model, and into its window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CallSettings
from agentcompress.doors.catch import run_or_else
from agentcompress.errors import InvalidInputError
from agentcompress.messages import bodies
from agentcompress.receipt import Receipt
from agentcompress.targets.facts import target_facts

_ANSWER = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_NOT_OF_THE_CORE = {"fit"}


@dataclass(frozen=True, slots=True)
class ShorterRequest:
    """What came of a request. changed: its fields that are sent otherwise, by name. messages: as they are sent."""

    changed: Mapping[str, Any]
    messages: Sequence[Any]
    receipt: Receipt


class RequestCompressor:
    """Compresses requests with one compressor.

    targets: facts of models that LiteLLM's map does not hold, as of `target_facts`, by name.
    """

    def __init__(self, compressor: Compressor, targets: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.compressor = compressor
        self._targets = targets or {}

    def compress(self, request: bodies.Request, settings: CallSettings) -> ShorterRequest:
        """Compress a request for its model, by that name; into the model's window, unless told not to.

        Raises as `Compressor.compress_request` does.
        """
        options = settings.model_dump(exclude_none=True, exclude=_NOT_OF_THE_CORE)
        if settings.target_tokens is None and settings.fit:
            options["target_tokens"] = self._find_window(request.fields)
        call = self.compressor.read_request(request, options)
        result = self.compressor.compress_conversation(call)
        sent = self.compressor.rebuild(request, result)
        changed = {name: value for name, value in sent.items() if not _is_same(value, request.fields.get(name))}
        return ShorterRequest(changed, result.messages, result.receipt)

    def note_billed(self, receipt: Receipt | None, usage: Any) -> None:
        """Hold a response's usage against the receipt of what was sent for it. Never raises: the answer is there."""
        if receipt is not None and usage is not None:
            run_or_else(
                lambda: self.compressor.reconciled(receipt, usage), lambda _: receipt, on_error="ignore", saying="usage"
            )

    def _find_window(self, body: Mapping[str, Any]) -> int | None:
        """What a request may hold: the target's window, less the answer that it asks for."""
        target = str(body.get("model") or "")
        try:
            facts = self._targets.get(target) or self._targets.get(target.partition("/")[2])
            window = target_facts(target, facts).count_fitting_tokens()
        except InvalidInputError:
            return None
        answer = next((body[name] for name in _ANSWER if isinstance(body.get(name), int)), 0)
        return window if window is None else max(window // 2, window - answer)


def _is_same(new: Any, old: Any) -> bool:
    """Whether nothing was changed: what was not is the very same object, and so is every message of a list."""
    if isinstance(new, str) or isinstance(old, str) or not isinstance(new, Sequence) or not isinstance(old, Sequence):
        return new is old or (isinstance(new, str) and new == old)
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))
