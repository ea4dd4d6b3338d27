"""Keys are written to disk: another key is another decision, so that what they are made of is held fast here."""

from __future__ import annotations

import datetime
import hashlib
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel

from agentcompress.errors import MessageFormatError
from agentcompress.ledger.notes import ORIGINAL, SENT, is_note, make_sent_key
from agentcompress.messages.formats import WIRES
from agentcompress.messages.hashing import canonical, chain, make_block_key, make_seed

OPENAI = WIRES["openai"]
USER = {"role": "user", "content": "Hello?"}


def test_a_seed_says_whose_and_what_it_goes_on_from() -> None:
    assert make_seed("team") == make_seed("team", "", "live") == '["team", ""]'
    assert make_seed("team", "resp_1") == '["team", "resp_1"]'
    assert make_seed("team", "resp_1", "shadow") == '["team", "resp_1", "shadow"]'


def test_a_chain_hangs_every_message_on_what_was_before() -> None:
    said = "{s7:content[{s4:texts6:Hello?}]s4:roles4:user}"
    assert canonical(USER, OPENAI) == said
    first = hashlib.sha256(f"\n{said}".encode()).hexdigest()
    second = hashlib.sha256(f"{first}\n{said}".encode()).hexdigest()
    assert list(chain([USER, USER], OPENAI)) == [first, second]
    assert next(chain([USER], OPENAI, "seed")) == hashlib.sha256(f"seed\n{said}".encode()).hexdigest()


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("content",), "hash:content:7"),
        (("content", 0, "text"), "hash:content:7"),  # a text alone and a list of it are one
        (("content", 1, "text"), "hash:content.1.text:7"),
        (("content", 0, "content", 0, "text"), "hash:content.0.content:7"),
        (("content", 0, "output"), "hash:content.0.output:7"),
    ],
)
def test_a_block_is_found_by_where_it_stands(path: tuple[str | int, ...], key: str) -> None:
    assert make_block_key("hash", path, 7) == key


def test_notes_are_told_from_decisions() -> None:
    assert is_note(make_sent_key("text"))
    assert is_note(f"{ORIGINAL}k7f2q9")
    assert not is_note(make_block_key("5e47", ("content",), 0))
    assert not is_note("")


def test_halves_of_characters_have_keys_too() -> None:
    half = "\ud83d"
    digest = hashlib.sha256(half.encode("utf-8", "surrogatepass")).hexdigest()
    assert make_sent_key(half) == f"{SENT}{digest}"
    assert len(next(chain([{"role": "user", "content": half}], OPENAI))) == 64


class Answer(BaseModel):
    """What a client makes of an answer, with a field of its own that it never sends."""

    __api_exclude__ = {"parsed"}

    role: str = "assistant"
    content: str = "Hello."
    at: datetime.date = datetime.date(2026, 1, 2)
    parsed: str | None = "mine"


class Sent:
    """A wire that sends every field."""

    def select_sent(self, message: Any) -> Any:
        return message


def test_objects_say_what_their_client_sends() -> None:
    wire: Any = Sent()
    sent = {"role": "assistant", "content": "Hello.", "at": "2026-01-02"}
    assert canonical(Answer(), wire) == canonical(sent, wire)
    assert canonical({"in": Answer()}, wire) == canonical({"in": sent}, wire)
    assert canonical(Answer(content="Goodbye."), wire) != canonical(sent, wire)


@pytest.mark.parametrize(
    ("value", "same", "other"),
    [(object(), object(), 1), ({"a", "b"}, {"b", "a"}, {"a"}), (1j, 1j, 2j), (b"a", b"a", b"b")],
)
def test_what_is_no_json_is_covered_all_the_same(value: object, same: object, other: object) -> None:
    wire: Any = Sent()
    written = [canonical({"role": "user", "content": each}, wire) for each in (value, same, other)]
    assert written[0] == written[1] != written[2]


def test_what_holds_itself_is_named() -> None:
    wire: Any = Sent()
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MessageFormatError, match="JSON-like throughout") as raised:
        canonical({"role": "user", "content": endless}, wire)
    assert raised.value.field == "messages"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        ("1", 1),
        (["a", "b"], ["ab"]),
        ({"a": {"b": "c"}}, {"a": "b", "c": ""}),
        (b"a", "a"),
        ("a", "A"),
    ],
)
def test_different_values_are_different(one: object, other: object) -> None:
    wire: Any = Sent()
    assert canonical({"x": one}, wire) != canonical({"x": other}, wire)


def test_nothing_said_is_nothing_different() -> None:
    wire: Any = Sent()
    plain = canonical(USER, wire)
    for empty in (None, [], {}, ()):
        assert canonical({**USER, "x": empty}, wire) == plain
    for text in ("text", "input_text", "output_text"):
        assert canonical({**USER, "type": text}, wire) == plain
    assert canonical({**USER, "type": "image"}, wire) != plain
    assert canonical({**USER, "cache_control": {"type": "ephemeral"}}, wire) == plain
    assert canonical({**USER, "x": False}, wire) != plain
    assert canonical(dict(reversed(USER.items())), wire) == plain
    assert canonical({**USER, "content": ""}, wire) == canonical({"role": "user", "content": []}, wire)


def test_however_a_mapping_is_held_and_whatever_its_keys_are() -> None:
    wire: Any = Sent()
    held = {"b": [1, "x"], 2: {"c": 0.5}}
    assert canonical(held, wire) == "{s1:2{s1:cf0.5;}s1:b[i1;s1:x]}"
    assert canonical(MappingProxyType(dict(reversed(held.items()))), wire) == canonical(held, wire)
    assert canonical({"in": MappingProxyType({"a": 1})}, wire) == canonical({"in": {"a": 1}}, wire)
    assert canonical({"in": [[]]}, wire) == "{s2:in[[]]}"
