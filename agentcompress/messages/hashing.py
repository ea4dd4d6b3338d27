"""Keys of decisions: a hash chain over the raw messages, so that the same history finds the same decision."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentcompress.errors import MessageFormatError
from agentcompress.messages.view import Wire

_TEXTS = ("content", "output")
_TEXT_TYPES = ("text", "input_text", "output_text")
_CONSTANTS = {None: "n", True: "t", False: "f"}
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")  # in memory, another one in every process
_EMPTY_LIST, _EMPTY = "[]", ("n", "[]", "{}")


def chain(messages: Sequence[Any], wire: Wire, seed: str = "") -> Iterator[str]:
    """Yield, message by message, the SHA-256 of everything up to and including it.

    seed: what else the conversation hangs on: a tenant, the response that these messages go on from.
    """
    digest = seed
    for message in messages:
        digest = hashlib.sha256(f"{digest}\n{canonical(message, wire)}".encode("utf-8", "surrogatepass")).hexdigest()
        yield digest


def make_seed(namespace: str, continues: str = "", mode: str = "live") -> str:
    """What a conversation's keys hang on beside its messages; what a shadow has decided was never sent."""
    return json.dumps([namespace, continues, *([] if mode == "live" else [mode])])


def make_block_key(prefix: str, path: Sequence[str | int], start: int) -> str:
    """Key of the block at character `start` of the text at `path` of the message that `prefix` ends with.

    A text alone and a list of it are one: clients go from one to the other to put a cache marker on it.
    """
    path = path[:-2] if tuple(path[-2:]) == (0, "text") else path
    return f"{prefix}:{'.'.join(map(str, path))}:{start}"


def canonical(message: Any, wire: Wire) -> str:
    """Everything a message says, in one string: the same however it is held and whatever was marked on it.

    Only the fields that are sent count, and of those no empty ones: a message object, its dump and the dictionary it
    was parsed from are one message. Cache markers don't count: clients move them along from call to call. Texts stand
    in it as they are, after their length: escaping them would take longer than all the rest. What is no message, or no
    JSON, stands in it as whatever it is; `MessageFormatError` for what holds itself, or is nested as deep.
    """
    try:
        dumped = message if isinstance(message, Mapping) else _dump_object(message)
        sent = wire.select_sent(dumped) if isinstance(dumped, Mapping) else dumped
        try:
            return _encode(sent)
        except RecursionError:  # JSON's own encoder goes deeper
            return f"j{json.dumps(sent, sort_keys=True, default=_describe_object)}"
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageFormatError("messages", message, f"JSON-like throughout ({error})") from error


def _encode(value: Any) -> str:
    if type(value) is dict:  # the usual case first: being asked whether it is a mapping takes a dictionary long
        return _encode_fields(value)
    if isinstance(value, str):
        return f"s{len(value)}:{value}"
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, int):
        return f"i{int(value)};"
    if isinstance(value, float):
        return f"f{float(value)!r};"
    if isinstance(value, Mapping):
        return _encode_fields(value)
    if isinstance(value, list | tuple):
        return f"[{''.join(map(_encode, value))}]" if value else _EMPTY_LIST
    if isinstance(value, bytes | bytearray):
        return f"b{len(value)}:{hashlib.sha256(value).hexdigest()}"
    return _encode(_dump_object(value)) if hasattr(value, "model_dump") else _describe_object(value)


def _encode_fields(fields: Mapping[Any, Any]) -> str:
    pieces = []
    for name in _sort_names(fields):
        value = fields[name]
        if value is None or name == "cache_control" or (name == "type" and value in _TEXT_TYPES):
            continue
        if name in _TEXTS and isinstance(value, str):  # a text and a list of it are one
            code = f"[{{s4:texts{len(value)}:{value}}}]" if value else _EMPTY_LIST
        else:
            code = _encode(value)
        if code not in _EMPTY:
            name = str(name)
            pieces.append(f"s{len(name)}:{name}{code}")
    return f"{{{''.join(pieces)}}}"


def _sort_names(names: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(names)
    except TypeError:
        return sorted(names, key=str)


def _dump_object(value: Any) -> Any:
    if not hasattr(value, "model_dump"):
        return value
    # what a client made of the answer for its user, and never sends
    return value.model_dump(mode="json", exclude=set(getattr(value, "__api_exclude__", None) or ()))


def _describe_object(value: Any) -> str:
    """What is no JSON, the same in every process as far as it can be told."""
    if isinstance(value, set | frozenset):
        return f"{{{''.join(sorted(map(_encode, value)))}}}"
    shown = _PLACE.sub("", repr(value))
    return f"o{len(shown)}:{shown}"
