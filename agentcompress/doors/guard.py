"""Compression for agents that hold their own messages: a decorated function's, LangChain's. The one catch is here.

Whatever fails, the agent goes on with what it had; with `on_error="raise"` it gets an `AgentCompressError` instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from agentcompress.common.checks import KeepRate, checked_text
from agentcompress.common.threads import run_within
from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig, checked_overrides
from agentcompress.conversation.ladder import OnError, checked_on_error
from agentcompress.documents import CompressedDocument, compress_documents
from agentcompress.doors.choice import shared_sender
from agentcompress.doors.litellm_sender import Sender
from agentcompress.errors import AgentCompressError, InvalidInputError, without_values
from agentcompress.receipt import Receipt
from agentcompress.targets.counting import check_target

_log = logging.getLogger("agentcompress")
_T = TypeVar("_T")

Config = CompressConfig | Compressor | Mapping[str, Any] | None
OnReceipt = Callable[[Receipt], object]


class Guarded:
    """A compressor with the settings of one place in a program.

    config: a `CompressConfig`, its settings as a mapping, or a `Compressor`; by default one for all. target: whose
    tokens are counted, by default those of the model that a call names. keep_rate, target_tokens, deadline_ms,
    namespace, fit: as in `Overrides`. on_receipt: called with the receipt of every call. Raises `InvalidInputError` for
    bad settings.
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
        checked_on_error(on_error)
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
        self.target = None if target is None else check_target(target)
        self.on_error: OnError = on_error
        self.on_receipt = on_receipt
        self._sender = _sender(config)
        self._made_of = {**named, "target": target, "on_error": on_error, "on_receipt": on_receipt, "config": config}

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle is made anew of the same settings; one around a `Compressor` can't be made."""
        return _made, (self._made_of,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guarded) and self._made_of == other._made_of

    __hash__ = None  # pyrefly: ignore

    def __deepcopy__(self, memo: object) -> Guarded:
        """Itself: it never changes, and a compressor can't be copied."""
        return self

    @property
    def compressor(self) -> Compressor:
        """What compresses."""
        return self._sender.compressor

    def request(self, body: Mapping[str, Any], namespace: str | None = None) -> tuple[Mapping[str, Any], Receipt]:
        """Compress the conversation of a request; the same object where nothing is changed. Raises what goes wrong.

        body: `messages` or `input`, and what is known of all else, `model` included. namespace: of this call.
        """
        overrides = self.overrides
        if namespace is not None:
            overrides = overrides.model_copy(update={"namespace": checked_text("namespace", namespace)})
        named = {**body, "model": self.target or body.get("model") or self.compressor.config.target}
        result = self._sender.compressed(named, "auto", overrides, self.on_error)
        self._tell(result.receipt)
        changed = {name: result.body[name] for name in ("messages", "input") if name in body}
        same = all(_same(new, body[name]) for name, new in changed.items())
        return body if same else {**body, **changed}, result.receipt

    def billed(self, receipt: Receipt | None, usage: Any) -> None:
        """Hold what a provider has billed against a receipt. Never raises."""
        self._sender.billed(receipt, usage)

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
            _log.debug("going on with the original", exc_info=error)
            return original

    def documents(self, texts: Sequence[str], query: str, hints: Sequence[str] = ()) -> list[CompressedDocument]:
        """Compress texts under one budget, by the config's scorer within its deadline, else by BM25.

        Raises what `compress_documents` does; with `on_error="raise"` also where the scorer alone fails.
        """

        def compressed(compressor: Compressor) -> list[CompressedDocument]:
            return compress_documents(
                compressor,
                texts,
                query=query,
                keep_rate=self.overrides.keep_rate,
                target_tokens=self.overrides.target_tokens,
                target=self.target,
                hints=hints,
            )

        deadline_ms = self.overrides.deadline_ms or self.compressor.config.deadline_ms
        try:
            if deadline_ms is None:
                return compressed(self.compressor)
            return run_within(deadline_ms / 1000, lambda: compressed(self.compressor))
        except InvalidInputError:
            raise
        except Exception as error:
            if self.on_error == "raise":
                raise
            if self.on_error == "warn":
                _log.warning("documents are scored by BM25: %s: %s", type(error).__name__, without_values(error))
            _log.debug("documents are scored by BM25", exc_info=error)
            return compressed(self.compressor.fallback)

    def messages(
        self, messages: Sequence[Any], beside: Mapping[str, Any] | None = None, namespace: str | None = None
    ) -> Sequence[Any]:
        """Compress a list of messages; the same object where nothing is changed, or where that fails.

        beside: what else is known of the request, as in a body: model, system, tools.
        """
        body = {**(beside or {}), "messages": messages}
        return self.guarded(messages, lambda: self.request(body, namespace)[0]["messages"])

    def prompt(self, prompt: str) -> str:
        """Compress the context blocks of a prompt, a user's message."""
        return str(self.messages([{"role": "user", "content": prompt}])[0]["content"]) if prompt else prompt

    def shortened(self, value: Any) -> Any:
        """Compress what an agent hands on to a model; the same object where nothing is changed, or where that fails.

        value: a prompt, a list of messages, a request or a graph's state (`messages` or `input`), a prompt value of
        LangChain's, an object with `messages`. Anything else comes out as it is.
        """
        return self.guarded(value, lambda: self._shortened(value))

    def _shortened(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.prompt(value)
        if isinstance(value, Mapping):
            return self._with_messages(value)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            shorter = self.messages(value) if value else value
            return tuple(shorter) if type(value) is tuple and shorter is not value else shorter
        return self._copied(value) if hasattr(value, "model_copy") else value

    def _with_messages(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """A request, or a state; what a state holds beside its messages is nobody's system prompt or tools."""
        name = next((name for name in ("messages", "input") if isinstance(value.get(name), list | tuple)), None)
        if name is None:
            return value
        body = value if "model" in value else {name: value[name]}
        shorter, _ = self.request(body)
        return value if shorter is body else {**value, name: shorter[name]}

    def _copied(self, value: Any) -> Any:
        """A copy of a pydantic model with shorter `messages`, or `text`."""
        messages, text = getattr(value, "messages", None), getattr(value, "text", None)
        if isinstance(messages, list | tuple) and messages:
            shorter = self.messages(messages)
            return value if shorter is messages else value.model_copy(update={"messages": shorter})
        if isinstance(text, str) and hasattr(value, "to_messages"):  # a string's prompt value
            shorter = self.prompt(text)
            return value if shorter == text else value.model_copy(update={"text": shorter})
        return value


def _same(new: Any, old: Any) -> bool:
    """Whether nothing was changed: what was not is the very same object."""
    if isinstance(new, str) or isinstance(old, str):
        return new == old
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _made(settings: Mapping[str, Any]) -> Guarded:
    return Guarded(**settings)


def settings_of(config: Any) -> dict[str, Any]:
    """What a config, or a mapping of settings, says. Raises `InvalidInputError` for what is neither."""
    if isinstance(config, CompressConfig):
        return config.model_dump(exclude_unset=True)
    if config is not None and not isinstance(config, Mapping):
        raise InvalidInputError("config", config, "a CompressConfig or a mapping of its settings")
    return dict(config or {})


def with_recall(config: Config) -> CompressConfig | Compressor:
    """The config with `recall=True`. Raises `InvalidInputError` for a `Compressor` without it."""
    if not isinstance(config, Compressor):
        settings = settings_of(config)
        settings["recall"] = True
        return CompressConfig(**settings)
    if not config.config.recall:
        raise InvalidInputError("config", config, "a Compressor with CompressConfig(recall=True)")
    return config


def _sender(config: Any) -> Sender:
    if isinstance(config, Compressor):
        return Sender(config)
    return shared_sender(config if isinstance(config, CompressConfig) else CompressConfig(**settings_of(config)))
