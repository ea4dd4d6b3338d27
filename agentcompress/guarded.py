"""Compression for agents that hold their own messages: a decorated function's, LangChain's. The one catch is here.

Whatever fails, the agent goes on with what it had; with `on_error="raise"` it gets an `AgentCompressError` instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig, KeepRate, checked_text
from agentcompress.deciding import OnError
from agentcompress.errors import AgentCompressError, InvalidInputError
from agentcompress.overrides import checked_overrides
from agentcompress.receipts import Receipt
from agentcompress.routing import shared_sender
from agentcompress.sending import Sender, without_values

_log = logging.getLogger("agentcompress")
_T = TypeVar("_T")

Config = CompressConfig | Compressor | Mapping[str, Any] | None
OnReceipt = Callable[[Receipt], object]


class Guarded:
    """A compressor with the settings of one place in a program.

    config: a `CompressConfig`, its settings as a mapping, or a `Compressor`; by default one for all. target: whose
    tokens are counted where a call names no model. keep_rate, target_tokens, deadline_ms, namespace, fit: as in
    `Overrides`. on_receipt: called with the receipt of every call. Raises `InvalidInputError` for bad settings.
    """

    def __init__(
        self,
        config: Config = None,
        *,
        target: str | None = None,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        deadline_ms: float | None = None,
        namespace: str | None = None,
        fit: bool = True,
        on_error: OnError = "warn",
        on_receipt: OnReceipt | None = None,
    ) -> None:
        if on_error not in ("raise", "warn", "ignore"):
            raise InvalidInputError("on_error", on_error, '"raise", "warn" or "ignore"')
        if on_receipt is not None and not callable(on_receipt):
            raise InvalidInputError("on_receipt", on_receipt, "a function of a receipt, or None")
        named = {
            "keep_rate": keep_rate,
            "target_tokens": target_tokens,
            "deadline_ms": deadline_ms,
            "namespace": namespace,
            "fit": fit,
        }
        self.overrides = checked_overrides({name: value for name, value in named.items() if value is not None})
        self.target = None if target is None else checked_text("target", target)
        self.on_error: OnError = on_error
        self.on_receipt = on_receipt
        self._sender = _sender(config)

    @property
    def compressor(self) -> Compressor:
        """What compresses."""
        return self._sender.compressor

    def request(self, body: Mapping[str, Any], namespace: str | None = None) -> Mapping[str, Any]:
        """Compress the conversation of a request; the same object where nothing is changed.

        body: `messages` or `input`, and what is known of all else, `model` included. namespace: of this call.
        """
        overrides = self.overrides
        if namespace is not None:
            overrides = overrides.model_copy(update={"namespace": checked_text("namespace", namespace)})
        named = {**body, "model": body.get("model") or self.target or self.compressor.config.target}
        result = self._sender.compressed(named, "auto", overrides, self.on_error)
        self._tell(result.receipt)
        changed = {name: result.body[name] for name in ("messages", "input") if name in body}
        return body if all(_same(new, body[name]) for name, new in changed.items()) else {**body, **changed}

    def _tell(self, receipt: Receipt) -> None:
        """What is decided stays decided, whatever a listener does."""
        try:
            if self.on_receipt is not None:
                self.on_receipt(receipt)
        except Exception as error:  # noqa: BLE001
            _log.warning("on_receipt: %s: %s", type(error).__name__, error)

    def guarded(self, original: _T, compressed: Callable[[], _T]) -> _T:
        """What `compressed` gives; the original where that fails."""
        try:
            return compressed()
        except Exception as error:
            if self.on_error == "raise":
                if isinstance(error, AgentCompressError):
                    raise
                raise AgentCompressError(f"{type(error).__name__}: {error}") from error
            if self.on_error == "warn":
                _log.warning("going on with the original: %s: %s", type(error).__name__, without_values(error))
            return original

    def messages(
        self, messages: Sequence[Any], beside: Mapping[str, Any] | None = None, namespace: str | None = None
    ) -> Sequence[Any]:
        """Compress a list of messages; the same object where nothing is changed, or where that fails.

        beside: what else is known of the request, as in a body: model, system, tools.
        """
        body = {**(beside or {}), "messages": messages}
        return self.guarded(messages, lambda: self.request(body, namespace)["messages"])

    def prompt(self, prompt: str, beside: Mapping[str, Any] | None = None) -> str:
        """Compress the context blocks of a prompt, a user's message."""
        if not prompt:
            return prompt
        messages = [{"role": "user", "content": prompt}]
        return str(self.messages(messages, beside)[0]["content"])


def _same(new: Any, old: Any) -> bool:
    """Whether nothing was changed: what was not is the very same object."""
    if isinstance(new, str) or isinstance(old, str):
        return new == old
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _sender(config: Any) -> Sender:
    if isinstance(config, Compressor):
        return Sender(config)
    if config is None or isinstance(config, Mapping):
        return shared_sender(CompressConfig(**(config or {})))
    if not isinstance(config, CompressConfig):
        raise InvalidInputError("config", config, "a CompressConfig, a mapping of its settings, or a Compressor")
    return shared_sender(config)
