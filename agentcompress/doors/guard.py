"""Compression for agents that hold their own messages: a decorated function's, LangChain's.

Whatever fails, the agent goes on with what it had; with `on_error="raise"` it gets an `AgentCompressError` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, Unpack

from agentcompress.common.checks import checked_text
from agentcompress.common.threads import run_within
from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig, DoorOptions, read_door_options
from agentcompress.documents import CompressedDocument, compress_documents
from agentcompress.doors.catch import run_or_else
from agentcompress.doors.choice import share_compressor
from agentcompress.doors.requests import RequestCompressor
from agentcompress.errors import InvalidInputError
from agentcompress.messages.bodies import parse
from agentcompress.receipt import Receipt
from agentcompress.targets.counting import check_target

_T = TypeVar("_T")

Config = CompressConfig | Compressor | Mapping[str, Any] | None
OnReceipt = Callable[[Receipt], object]


class Guarded:
    """A compressor with the settings of one place in a program.

    config: a `CompressConfig`, its settings as a mapping, or a `Compressor`; by default one for all. on_receipt: called
    with the receipt of every call. options: those of `CallSettings`: target is by default the model that a call names,
    on_error "warn". Raises `InvalidInputError` for bad settings.
    """

    def __init__(
        self, config: Config = None, *, on_receipt: OnReceipt | None = None, **options: Unpack[DoorOptions]
    ) -> None:
        if on_receipt is not None and not callable(on_receipt):
            raise InvalidInputError("on_receipt", on_receipt, "a function of a receipt, or None")
        if options.get("target") is not None:
            check_target(options["target"])
        named = {name: value for name, value in options.items() if value is not None or name == "on_error"}
        self.settings = read_door_options({"on_error": "warn", **named})
        self.on_receipt = on_receipt
        self._requests = _find_requests(config)
        said = self.settings.model_dump(exclude_none=True, exclude={"format"})
        self._made_of = {**said, "on_receipt": on_receipt, "config": config}

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle is made anew of the same settings; one around a `Compressor` can't be made."""
        return _make_guarded, (self._made_of,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guarded) and self._made_of == other._made_of

    __hash__ = None  # pyrefly: ignore

    def __deepcopy__(self, memo: object) -> Guarded:
        """Itself: it never changes, and a compressor can't be copied."""
        return self

    @property
    def compressor(self) -> Compressor:
        """The compressor that requests are handed to."""
        return self._requests.compressor

    def compress_request(
        self, body: Mapping[str, Any], namespace: str | None = None
    ) -> tuple[Mapping[str, Any], Receipt]:
        """Compress the conversation of a request; the same object where nothing is changed. Raises what goes wrong.

        body: `messages` or `input`, and what is known of all else, `model` included. namespace: of this call.
        """
        settings = self.settings
        if namespace is not None:
            settings = settings.model_copy(update={"namespace": checked_text("namespace", namespace)})
        named = {**body, "model": settings.target or body.get("model") or self.compressor.config.target}
        shorter = self._requests.compress(parse(named), settings)
        self._tell(shorter.receipt)
        changed = {name: value for name, value in shorter.changed.items() if name in ("messages", "input")}
        return {**body, **changed} if changed else body, shorter.receipt

    def note_billed(self, receipt: Receipt | None, usage: Any) -> None:
        """Hold what a provider has billed against a receipt. Never raises."""
        self._requests.note_billed(receipt, usage)

    def _tell(self, receipt: Receipt) -> None:
        """Tell the listener; what is decided stays decided, whatever it does."""
        if self.on_receipt is not None:
            tell = partial(self.on_receipt, receipt)
            run_or_else(tell, lambda _: None, saying="on_receipt", shows_message=True)

    def run_or_keep(self, original: _T, compress: Callable[[], _T]) -> _T:
        """Return what `compress` gives; the original where that fails."""
        on_error = self.settings.on_error
        return run_or_else(compress, lambda _: original, saying="going on with the original", on_error=on_error)

    def compress_documents(
        self, texts: Sequence[str], query: str, hints: Sequence[str] = ()
    ) -> list[CompressedDocument]:
        """Compress texts under one budget, by the config's scorer within its deadline, else by BM25.

        Raises what `documents.compress_documents` does; with `on_error="raise"` also where the scorer alone fails.
        """
        compress = partial(
            compress_documents,
            texts=texts,
            query=query,
            keep_rate=self.settings.keep_rate,
            target_tokens=self.settings.target_tokens,
            target=self.settings.target,
            hints=hints,
        )
        deadline_ms = self.settings.deadline_ms or self.compressor.config.deadline_ms
        best = partial(compress, self.compressor)
        return run_or_else(
            best
            if deadline_ms is None
            else partial(run_within, deadline_ms / 1000, best, of=f"a deadline of {deadline_ms:,.0f} ms"),
            lambda _: compress(self.compressor.fallback),
            saying="documents are scored by BM25",
            on_error=self.settings.on_error,
            unless=(InvalidInputError,),
        )

    def compress_messages(
        self, messages: Sequence[Any], beside: Mapping[str, Any] | None = None, namespace: str | None = None
    ) -> Sequence[Any]:
        """Compress a list of messages; the same object where nothing is changed, or where that fails.

        beside: what else is known of the request, as in a body: model, system, tools.
        """
        body = {**(beside or {}), "messages": messages}
        return self.run_or_keep(messages, lambda: self.compress_request(body, namespace)[0]["messages"])

    def compress_prompt(self, prompt: str) -> str:
        """Compress the context blocks of a prompt, a user's message."""
        return str(self.compress_messages([{"role": "user", "content": prompt}])[0]["content"]) if prompt else prompt

    def shorten(self, value: Any) -> Any:
        """Compress what an agent hands on to a model; the same object where nothing is changed, or where that fails.

        value: a prompt, a list of messages, a request or a graph's state (`messages` or `input`), a prompt value of
        LangChain's, an object with `messages`. Anything else comes out as it is.
        """
        return self.run_or_keep(value, lambda: self._shorten(value))

    def _shorten(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.compress_prompt(value)
        if isinstance(value, Mapping):
            return self._shorten_messages(value)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            shorter = self.compress_messages(value) if value else value
            return tuple(shorter) if type(value) is tuple and shorter is not value else shorter
        return self._copy_shorter(value) if hasattr(value, "model_copy") else value

    def _shorten_messages(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """A request, or a state; what a state holds beside its messages is nobody's system prompt or tools."""
        name = next((name for name in ("messages", "input") if isinstance(value.get(name), list | tuple)), None)
        if name is None:
            return value
        body = value if "model" in value else {name: value[name]}
        shorter, _ = self.compress_request(body)
        return value if shorter is body else {**value, name: shorter[name]}

    def _copy_shorter(self, value: Any) -> Any:
        """A copy of a pydantic model with shorter `messages`, or `text`."""
        messages, text = getattr(value, "messages", None), getattr(value, "text", None)
        if isinstance(messages, list | tuple) and messages:
            shorter = self.compress_messages(messages)
            return value if shorter is messages else value.model_copy(update={"messages": shorter})
        if isinstance(text, str) and hasattr(value, "to_messages"):  # a string's prompt value
            shorter = self.compress_prompt(text)
            return value if shorter == text else value.model_copy(update={"text": shorter})
        return value


def _make_guarded(settings: Mapping[str, Any]) -> Guarded:
    return Guarded(**settings)


def read_settings(config: Any) -> dict[str, Any]:
    """What a config, or a mapping of settings, says. Raises `InvalidInputError` for what is neither."""
    if isinstance(config, CompressConfig):
        return config.model_dump(exclude_unset=True)
    if config is not None and not isinstance(config, Mapping):
        raise InvalidInputError("config", config, "a CompressConfig or a mapping of its settings")
    return dict(config or {})


def add_recall(config: Config) -> CompressConfig | Compressor:
    """The config with `recall=True`. Raises `InvalidInputError` for a `Compressor` without it."""
    if not isinstance(config, Compressor):
        settings = read_settings(config)
        settings["recall"] = True
        return CompressConfig(**settings)
    if not config.config.recall:
        raise InvalidInputError("config", config, "a Compressor with CompressConfig(recall=True)")
    return config


def _find_requests(config: Any) -> RequestCompressor:
    if isinstance(config, Compressor):
        return RequestCompressor(config)
    return share_compressor(config if isinstance(config, CompressConfig) else CompressConfig(**read_settings(config)))
