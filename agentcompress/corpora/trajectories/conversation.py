"""Puts together a conversation from what a log has in its own order: results are paired with their calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Said:
    role: str
    text: str


@dataclass
class _Turn:
    """An assistant's message. results: by the places of their calls."""

    key: str | None = None
    texts: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: dict[int, str] = field(default_factory=dict)

    def write_messages(self) -> list[dict[str, Any]]:
        """Write the message and its results, in the order of the calls.

        A call without a result gets an empty one where a later call has one, which would else be taken for its own;
        calls at the end stay without.
        """
        if not self.texts and not self.calls:
            return []
        message: dict[str, Any] = {"role": "assistant", "content": "\n".join(self.texts)}
        if self.calls:
            message["tool_calls"] = self.calls
        answered = range(max(self.results, default=-1) + 1)
        return [message, *({"role": "tool", "content": self.results.get(place, "")} for place in answered)]


class Conversation:
    """Messages as they come, into which words, calls and results are put in the order of a log.

    A result whose call is not there is left out, and so is a second one for a call: no model was sent them like that.
    """

    def __init__(self) -> None:
        self._entries: list[_Said | _Turn] = []
        self._turn: _Turn | None = None
        self._callers: dict[str, tuple[_Turn, int]] = {}

    def add_message(self, role: str, text: str) -> None:
        """Add what a user or the system says; nothing where the text is empty."""
        if text:
            self._entries.append(_Said(role, text))

    def open_turn(self, key: str | None = None) -> None:
        """Begin an assistant's message, or go on with the last one where that has the same key.

        Logs write one message as several lines, and results of its first calls may stand between them.
        """
        if key is None or self._turn is None or self._turn.key != key:
            self._turn = _Turn(key)
            self._entries.append(self._turn)

    def continue_turn(self) -> None:
        """Go on with the assistant's message that stands last and has no result yet, or begin one."""
        if self._turn is None or self._entries[-1] is not self._turn or self._turn.results:
            self.open_turn()

    def add_words(self, text: str) -> None:
        """Add words to the assistant's message that was opened last, once if they come again right behind."""
        turn = self._get_turn()
        if text and turn.texts[-1:] != [text]:
            turn.texts.append(text)

    def add_call(self, identity: str | None, name: str, arguments: dict[str, Any] | str) -> None:
        """Add a call to the assistant's message that was opened last; nothing where it has a call of that id.

        An id may come again in another message: results go to the last call that has it.
        """
        turn = self._get_turn()
        if identity is not None:
            if self._callers.get(identity, (None, 0))[0] is turn:
                return
            self._callers[identity] = (turn, len(turn.calls))
        turn.calls.append({"name": name, "arguments": arguments})

    def add_result(self, identity: str | None, text: str) -> bool:
        """Put a result behind its call; without an id, behind the first call of the last message that has none.

        Returns whether there was such a call.
        """
        if identity is not None:
            turn, place = self._callers.get(identity, (None, 0))
        else:
            turn = self._turn
            place = next((n for n in range(len(turn.calls)) if n not in turn.results), -1) if turn else -1
        if turn is None or place < 0 or place in turn.results:
            return False
        turn.results[place] = text
        return True

    def write_messages(self) -> list[dict[str, Any]]:
        """Write all messages, each result behind the message that called."""
        messages: list[dict[str, Any]] = []
        for entry in self._entries:
            if isinstance(entry, _Turn):
                messages.extend(entry.write_messages())
            else:
                messages.append({"role": entry.role, "content": entry.text})
        return messages

    def _get_turn(self) -> _Turn:
        if self._turn is None:
            self.open_turn()
        return self._turn  # type: ignore[return-value]
