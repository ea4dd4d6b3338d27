"""Events of OpenHands' agent SDK: `{"kind": "ActionEvent", ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentcompress.corpora.trajectories.conversation import Conversation
from agentcompress.corpora.trajectories.shapes import (
    get_id,
    get_list,
    get_object,
    get_objects,
    get_word,
    read_arguments,
    read_call,
    read_text,
)

_RESULTS = ("ObservationEvent", "UserRejectObservation", "AgentErrorEvent")
_KINDS = (*_RESULTS, "SystemPromptEvent", "MessageEvent", "ActionEvent", "Condensation", "ConversationStateUpdateEvent")


def is_sdk_event(value: Any) -> bool:
    """Tell whether a value is an event of the SDK."""
    return isinstance(value, Mapping) and value.get("kind") in _KINDS


def add_sdk_event(conversation: Conversation, event: Mapping[str, Any]) -> None:
    """Add an event to a conversation; nothing for one that no model is sent."""
    kind = event["kind"]
    if kind == "SystemPromptEvent":
        parts = [read_text(event.get("system_prompt")), read_text(event.get("dynamic_context"))]
        conversation.add_message("system", "\n".join(part for part in parts if part))
    elif kind == "MessageEvent":
        _add_message(conversation, event)
    elif kind == "ActionEvent":
        _add_call(conversation, event)
    elif kind in _RESULTS:
        conversation.add_result(get_id(event, "tool_call_id"), _read_result(event))


def _add_message(conversation: Conversation, event: Mapping[str, Any]) -> None:
    message = get_object(event, "llm_message")
    texts = [read_text(message.get("content")), read_text(event.get("extended_content"))]
    text = "\n".join(part for part in texts if part)
    if get_word(message, "role") == "assistant" or event.get("source") == "agent":
        conversation.open_turn(get_id(event, "llm_response_id"))
        conversation.add_words(text)
        for call in get_objects(message, "tool_calls"):
            conversation.add_call(*read_call(call))
    else:
        conversation.add_message("system" if message.get("role") == "system" else "user", text)


def _add_call(conversation: Conversation, event: Mapping[str, Any]) -> None:
    """Add a call; those of one answer have its id, and its words stand in the first of them."""
    conversation.open_turn(get_id(event, "llm_response_id"))
    conversation.add_words(read_text(event.get("thought")))
    identity, name, arguments = read_call(get_object(event, "tool_call"))
    if not name:
        given = get_object(event, "action")
        arguments = read_arguments({key: value for key, value in given.items() if key != "kind"})
    conversation.add_call(get_id(event, "tool_call_id") or identity, name or get_word(event, "tool_name"), arguments)


def _read_result(event: Mapping[str, Any]) -> str:
    observation = get_object(event, "observation")
    texts = [
        read_text(observation.get("content")) or get_word(observation, "output") or get_word(observation, "text"),
        read_text(get_list(event, "extended_content")),
        get_word(event, "error"),
        f"Action rejected: {event['rejection_reason']}" if get_word(event, "rejection_reason") else "",
    ]
    return "\n".join(text for text in texts if text)
