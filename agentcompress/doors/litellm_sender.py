"""What goes to LiteLLM: the arguments of one call compressed, whichever of LiteLLM's doors it comes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentcompress.config import CallSettings
from agentcompress.conversation.own_texts import SEEN, own_texts
from agentcompress.doors.catch import describe_failure, run_or_else
from agentcompress.doors.requests import RequestCompressor
from agentcompress.messages.bodies import parse
from agentcompress.messages.view import WireName
from agentcompress.receipt import Receipt

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
    *("max_completion_tokens", "max_output_tokens", "max_tokens"),
)
"""What is read of a call: LiteLLM's own settings, keys and hooks are none of a request's."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The arguments to send, and the receipt; None where nothing was done, for `skipped_because`."""

    kwargs: dict[str, Any]
    receipt: Receipt | None = None
    skipped_because: str | None = None


def compress_call(
    requests: RequestCompressor, kwargs: Mapping[str, Any], call_type: str, settings: CallSettings | None = None
) -> Sent:
    """Return the arguments with a compressed conversation, all else as it was; never mutates them, never raises.

    call_type: LiteLLM's name of the call. Whatever fails, the call goes out as it came; so does a conversation that was
    compressed here before, with all that was left raw: a call may pass several hooks.
    """
    original = dict(kwargs)
    wire = FORMATS.get(call_type)
    if wire is None:
        return Sent(original, skipped_because=f"{call_type} holds no conversation")
    settings = (settings or CallSettings()).model_copy(update={"on_error": "warn"})
    return run_or_else(
        partial(_compress_call, requests, original, wire, settings),
        lambda error: Sent(original, skipped_because=describe_failure(error)),
        saying="sending the original messages",
    )


def _compress_call(requests: RequestCompressor, kwargs: dict[str, Any], wire: WireName, settings: CallSettings) -> Sent:
    body = {name: kwargs[name] for name in _READ if kwargs.get(name) is not None}
    request = parse({**body, "model": _name_target(kwargs)}, wire)
    if own_texts.knows_conversation(request.messages, request.wire):
        return Sent(kwargs, skipped_because=SEEN)
    shorter = requests.compress(request, settings)
    if request.field in shorter.changed:
        own_texts.note_conversation(shorter.messages, request.wire)
    return Sent({**kwargs, **shorter.changed}, shorter.receipt)


def _name_target(kwargs: Mapping[str, Any]) -> str:
    """The model with its provider, as far as they are said."""
    model, provider = str(kwargs.get("model") or ""), kwargs.get("custom_llm_provider")
    return f"{provider}/{model}" if isinstance(provider, str) and provider and "/" not in model else model
