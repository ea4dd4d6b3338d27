"""Ways to send an agent's messages: all of them, ours, and what others do. Each is asked once a request, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentcompress.common.checks import checked_count, checked_rate
from agentcompress.compressor import Compressor
from agentcompress.errors import InvalidInputError, PluginError

Messages = Sequence[Mapping[str, Any]]
Way = Callable[[str, Messages], Sequence[Mapping[str, Any]]]
"""(a conversation's name, a request's messages in OpenAI's chat format) -> the messages that are sent instead."""

NAMES = "everything, ours:RATE, litellm:TOKENS, clear:TOKENS[:KEEP], head-tail:CHARS"
"""The ways there are. `cli.replay` repeats this for its help, which must not load what this module imports."""

DEFAULT = (
    "everything",
    *(f"ours:{rate}" for rate in ("auto", 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
    *("litellm:4000", "litellm:8000", "litellm:16000", "litellm:32000"),
    *("clear:2000", "clear:5000", "clear:10000", "clear:20000"),
    *("head-tail:1000", "head-tail:2000", "head-tail:4000", "head-tail:8000"),
)


def build_way(name: str, compressor: Compressor) -> Way:
    """Build the way of a name. Raises `InvalidInputError` for an unknown one, `PluginError` for what is missing.

    ours:RATE is the compressor at that keep rate; litellm:TOKENS is `litellm.compress` from so many tokens on;
    clear:TOKENS:KEEP is LangChain's `ClearToolUsesEdit` from so many tokens on, which keeps the last KEEP results (3);
    head-tail:CHARS keeps both ends of every longer result.
    """
    kind, _, options = name.partition(":")
    builders = {
        "everything": _send_everything,
        "litellm": _send_litellms,
        "clear": _send_cleared,
        "head-tail": _send_ends,
    }
    if kind == "ours":
        return _send_ours(compressor, options)
    if kind not in builders:
        raise InvalidInputError("way", name, f"one of {NAMES}")
    return builders[kind](options)


def _send_everything(options: str) -> Way:
    return lambda name, messages: messages


def _send_ours(compressor: Compressor, options: str) -> Way:
    rate = checked_rate("auto" if options in ("", "auto") else _parse_number(options))

    def send(name: str, messages: Messages) -> Messages:
        space = f"{name} at {rate}"  # one scorer for all rates, and decisions for each
        return compressor.compress(messages, keep_rate=rate, namespace=space, on_error="warn", format="openai").messages

    return send


def _send_litellms(options: str) -> Way:
    trigger = checked_count("litellm", int(_parse_number(options)))

    def send(name: str, messages: Messages) -> Messages:
        import litellm

        given = [{**message, "content": message.get("content") or ""} for message in messages]  # it fails on None
        return litellm.compress(given, model="gpt-4o", compression_trigger=trigger)["messages"]

    return send


def _send_cleared(options: str) -> Way:
    try:
        from langchain.agents.middleware import ClearToolUsesEdit
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
        from langchain_core.messages.utils import count_tokens_approximately
    except ImportError:
        raise PluginError('this way needs LangChain: pip install "agentcompress[langchain]"') from None
    trigger, _, keep = options.partition(":")
    kept = int(_parse_number(keep)) if keep else 3
    edit = ClearToolUsesEdit(trigger=checked_count("clear", int(_parse_number(trigger))), keep=kept)

    def to_langchain(message: Mapping[str, Any]) -> Any:
        said = str(message.get("content") or "")
        if message["role"] == "tool":
            return ToolMessage(said, tool_call_id=str(message.get("tool_call_id")))
        if message["role"] == "assistant":
            calls = [(call["function"], call["id"]) for call in message.get("tool_calls") or ()]
            named = [{"name": f["name"], "args": {"arguments": f["arguments"]}, "id": i} for f, i in calls]
            return AIMessage(said, tool_calls=named)
        return SystemMessage(said) if message["role"] == "system" else HumanMessage(said)

    def send(name: str, messages: Messages) -> Messages:
        edited = [to_langchain(message) for message in messages]
        edit.apply(edited, count_tokens=count_tokens_approximately)  # pyrefly: ignore
        return [
            dict(message, content=other.content) if message["role"] == "tool" else message
            for message, other in zip(messages, edited, strict=True)
        ]

    return send


def _send_ends(options: str) -> Way:
    chars = checked_count("head-tail", int(_parse_number(options)))

    def send(name: str, messages: Messages) -> Messages:
        return [_keep_ends(each, chars) if each["role"] == "tool" else each for each in messages]

    return send


def _keep_ends(message: Mapping[str, Any], chars: int) -> Mapping[str, Any]:
    text = str(message.get("content") or "")
    if len(text) <= chars:
        return message
    head, tail = text[: chars // 2], text[-(chars - chars // 2) :]
    return {**message, "content": f"{head}\n[... {len(text) - chars} chars omitted]\n{tail}"}


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError("way", text, f"a number in one of {NAMES}") from None
