"""What goes to LiteLLM: the arguments of one call compressed, whichever door it comes through.

The one catch of the LiteLLM integrations is here: whatever fails, the call goes out as it came.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from cachetools import LRUCache

from agentcompress.compressor import Compressor
from agentcompress.config import Overrides
from agentcompress.conversation.ladder import OnError
from agentcompress.conversation.own_texts import SEEN
from agentcompress.errors import InvalidInputError, without_values
from agentcompress.messages.bodies import opened
from agentcompress.messages.formats import WIRES, Format
from agentcompress.messages.hashing import chain
from agentcompress.messages.view import WireName
from agentcompress.receipt import Receipt
from agentcompress.results import CompressedRequest
from agentcompress.targets.facts import target_facts

_log = logging.getLogger("agentcompress")
_T = TypeVar("_T")

FORMATS: Mapping[str, WireName] = {
    "completion": "openai",
    "acompletion": "openai",
    "anthropic_messages": "anthropic",
    "responses": "responses",
    "aresponses": "responses",
}
"""Of LiteLLM's call types, those that hold a conversation."""

_READ = (
    *("model", "messages", "input", "system", "instructions", "tools", "functions", "response_format", "text"),
    *("tool_choice", "thinking", "previous_response_id", "conversation", "prediction", "mcp_servers"),
)


_ANSWER = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Sent:
    """The arguments to send, and the receipt; None where nothing was done, for `skipped_because`."""

    kwargs: dict[str, Any]
    receipt: Receipt | None = None
    skipped_because: str | None = None


class Sender:
    """Compresses arguments of LiteLLM calls with one compressor. Never raises, and nothing twice.

    targets: facts of models that LiteLLM's map does not hold, as of `target_facts`, by name.
    """

    def __init__(self, compressor: Compressor, targets: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.compressor = compressor
        self._targets = targets or {}

    def sent(self, kwargs: Mapping[str, Any], call_type: str, overrides: Overrides | None = None) -> Sent:
        """Return the arguments with a compressed conversation, all else as it was; never mutates them.

        call_type: LiteLLM's name of the call. What was compressed here before comes out as it is: a call may pass
        several hooks.
        """
        original = dict(kwargs)
        wire = FORMATS.get(call_type)
        if wire is None:
            return Sent(original, skipped_because=f"{call_type} holds no conversation")
        try:
            return self._sent(original, wire, overrides or Overrides())
        except Exception as error:  # noqa: BLE001 - whatever it is, the agent must get its answer
            why = f"{type(error).__name__}: {without_values(error)}"
            _log.warning("sending the original messages: %s", why)
            _log.debug("sending the original messages", exc_info=error)
            return Sent(original, skipped_because=why)

    def _sent(self, kwargs: dict[str, Any], wire: WireName, overrides: Overrides) -> Sent:
        body = {name: kwargs[name] for name in _READ if kwargs.get(name) is not None}
        conversation = opened(body, wire)
        if _is_ours(conversation.messages, wire):
            return Sent(kwargs, skipped_because=SEEN)
        answer = {name: kwargs[name] for name in _ANSWER if name in kwargs}
        result = self.compressed({**body, **answer, "model": _target_name(kwargs)}, wire, overrides)
        changed = {name: result.body[name] for name in (conversation.field, "thinking") if name in body}
        if changed[conversation.field] != body[conversation.field]:
            _remember(opened(result.body, wire).messages, wire)
        return Sent({**kwargs, **changed}, result.receipt)

    def billed(self, receipt: Receipt | None, usage: Any) -> None:
        """Hold a response's usage against the receipt of what was sent for it. Never raises."""
        if receipt is None or usage is None:
            return
        try:
            self.compressor.reconciled(receipt, usage)
        except Exception as error:  # noqa: BLE001 - the answer is there
            _log.debug("usage", exc_info=error)

    def compressed(
        self,
        body: Mapping[str, Any],
        format: Format,  # noqa: A002
        overrides: Overrides,
        on_error: OnError = "warn",
    ) -> CompressedRequest:
        """Compress a request for its model, by that name; into the model's window, unless told not to.

        Raises as `Compressor.compress_request` does.
        """
        limit = overrides.target_tokens
        if limit is None and overrides.fit:
            limit = self._window(body)
        return self.compressor.compress_request(
            body,
            keep_rate=overrides.keep_rate,
            target_tokens=limit,
            on_error=on_error,
            deadline_ms=overrides.deadline_ms,
            format=format,
            namespace=overrides.namespace,
        )

    def _window(self, body: Mapping[str, Any]) -> int | None:
        """What a request may hold: the target's window, less the answer that it asks for."""
        target = str(body.get("model") or "")
        try:
            facts = self._targets.get(target) or self._targets.get(target.partition("/")[2])
            window = target_facts(target, facts).count_fitting_tokens()
        except InvalidInputError:
            return None
        answer = next((body[name] for name in _ANSWER if isinstance(body.get(name), int)), 0)
        return window if window is None else max(window // 2, window - answer)


async def in_background(work: Callable[[], _T]) -> _T:
    """Do something in one of our threads: a slow draft must not take all of an event loop's own.

    Here, where no thread is to be had: there are too many, or the program ends.
    """
    try:
        done = asyncio.get_running_loop().run_in_executor(_pool(), contextvars.copy_context().run, work)
    except RuntimeError:
        return work()
    return await done


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "agentcompress")


def _target_name(kwargs: Mapping[str, Any]) -> str:
    """The model with its provider, as far as they are said."""
    model, provider = str(kwargs.get("model") or ""), kwargs.get("custom_llm_provider")
    return f"{provider}/{model}" if isinstance(provider, str) and provider and "/" not in model else model


_THREADS = 32
_ours: LRUCache[str, bool] = LRUCache(20_000)
_lock = threading.Lock()


def _fingerprint(messages: Sequence[Any], wire: WireName) -> str:
    hashes = list(chain(messages, WIRES[wire], seed=wire))
    return hashes[-1] if hashes else wire


def _is_ours(messages: Sequence[Any], wire: WireName) -> bool:
    if not _ours:
        return False
    mark = _fingerprint(messages, wire)
    with _lock:
        return mark in _ours


def _remember(messages: Sequence[Any], wire: WireName) -> None:
    mark = _fingerprint(messages, wire)
    with _lock:
        _ours[mark] = True


def _forked() -> None:
    """In a child: threads did not come along, and a lock may have been held."""
    global _lock
    _lock = threading.Lock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
