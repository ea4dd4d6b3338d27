"""LangChain's messages, read and put back without importing LangChain.

They are no wire format: every LangChain model turns them into its own. For the line they are read as chat messages,
each of which carries the object that it was made of, and what has changed comes back as a copy of that object with
another content: ids, names, artifacts, status and metadata stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentcompress.messages.view import ORIGIN, THINKING

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "function",
    "chat": "system",  # of a role that the user has made up: not ours to touch
    "HumanMessageChunk": "user",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "function",
    "ChatMessageChunk": "system",
}
_SAID_BY = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}
_CARRIES_ID = ("text", "output_text", "refusal", "function_call")  # an id of the server's, as of Responses
_REASONING = ("reasoning", "reasoning_content")  # LangChain's own name, and Bedrock's


class _Alone(dict[str, str]):
    """A part that was a bare string; a copy of it, made because the text was cut, is a part like others."""


class _Reasoning(dict[str, Any]):
    """A part that is reasoning under another name, whole under `thinking`."""


def is_langchain(message: Any) -> bool:
    """Whether an object is one of LangChain's messages."""
    return hasattr(message, "additional_kwargs") and hasattr(message, "response_metadata")


def to_chat(messages: Any) -> Any:
    """The messages with LangChain's as chat messages; the same object where there are none.

    A LangChain message of an unknown type becomes one of an unknown role, which stays as it is.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        return messages
    if not any(is_langchain(message) for message in messages):
        return messages
    return [_as_chat(message) if is_langchain(message) else message for message in messages]


def from_chat(messages: Sequence[Any]) -> list[Any]:
    """What `to_chat` has made, after the line: LangChain's messages again."""
    return [_as_message(message) for message in messages]


def _as_chat(message: Any) -> dict[str, Any]:
    kind = str(getattr(message, "type", ""))
    role = _ROLES.get(kind, kind)
    chat = {"role": role, "content": _read_parts(message.content), "name": message.name, ORIGIN: message}
    if kind.startswith(("chat", "Chat")) and kind in _ROLES:
        chat["role"] = _SAID_BY.get(str(message.role).lower(), role)
        chat["name"] = message.name or message.role
    if role == "tool":
        chat["tool_call_id"] = message.tool_call_id
    elif role == "assistant" and (calls := [*(message.tool_calls or ()), *(message.invalid_tool_calls or ())]):
        chat["tool_calls"] = [
            {"id": call.get("id"), "function": {"name": call.get("name"), "arguments": call.get("args")}}
            for call in calls
        ]
    return chat


def _read_parts(content: Any) -> Any:
    """A content as chat messages have it: texts alone as parts, and everybody's reasoning by one name."""
    return [_read_part(part) for part in content] if isinstance(content, list) else content


def _read_part(part: Any) -> Any:
    if isinstance(part, str):
        return _Alone(type="text", text=part)
    if isinstance(part, Mapping) and part.get("type") in _REASONING:
        return _Reasoning(type=THINKING[0], thinking=part)
    return part


def _as_message(chat: Any) -> Any:
    if not isinstance(chat, Mapping) or ORIGIN not in chat:
        return chat
    message = chat[ORIGIN]
    if isinstance(message.content, str):
        same = chat["content"] == message.content
        return message if same else message.model_copy(update={"content": chat["content"]})
    if not isinstance(message.content, list):
        return message
    content = [_restore_part(part) for part in chat["content"]]
    if _count_thoughts(content) < _count_thoughts(message.content):
        if any(map(_is_hosted, content)):
            return message
        content = list(map(_drop_id, content))
    return message if content == message.content else message.model_copy(update={"content": content})


def _restore_part(part: Any) -> Any:
    """A part in the form that it had, as far as nothing was cut in it."""
    if isinstance(part, _Alone):
        return part["text"]
    return part["thinking"] if isinstance(part, _Reasoning) else part


def _count_thoughts(content: Any) -> int:
    return sum(part.get("type") in (*THINKING, *_REASONING) for part in content if isinstance(part, Mapping))


def _drop_id(part: Any) -> Any:
    """What came with reasoning that is gone, without the id by which OpenAI would miss that."""
    if not isinstance(part, Mapping):
        return part
    if part.get("type") in _CARRIES_ID:
        return {name: value for name, value in part.items() if name != "id"}
    extras = part.get("extras")
    if isinstance(extras, Mapping) and "item_id" in extras:
        return {**part, "extras": {name: value for name, value in extras.items() if name != "item_id"}}
    return part


def _is_hosted(part: Any) -> bool:
    """Whether a part is a call that the server has answered itself: refused without its reasoning."""
    kind = str(part.get("type")) if isinstance(part, Mapping) else ""
    return kind.endswith("_call") and kind not in ("function_call", "tool_call", "invalid_tool_call")
