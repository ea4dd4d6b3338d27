"""What matters in JSON by its place: an envelope's members, and records that are unlike their neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentcompress.segmenters.json_tree import JsonValue
from agentcompress.segmenters.odd_ones import find_odd_fields

_HEAVY, _MOST_HEAVY, _MOSTLY, _MOST_PARTS, _DEEPEST = 0.15, 3, 0.7, 6, 4
"""A member is what an envelope holds when it is so large a share of it; an envelope holds so many at most, which are
most of it, an array that belongs to it has so many elements, and no envelope is deeper."""

_LIGHT_CHARS, _LEAST_TOLD, _TOLD_SHARE = 300, 400, 0.05
"""The longest member that belongs to an envelope; characters of all of them, or their share of the text."""

_LEAST_RECORDS, _SCALAR_CHARS, _MOST_KEYS, _MOST_DEPTH, _FEW_ELEMENTS = 8, 160, 60, 6, 2
_ODD_MEMBERS = 6
_ALARMING = re.compile(r"(?i)(?<![a-z])(?:error|fatal|critical|panic|exception|failed|failure|emerg|alert)(?![a-z])")
_RAISED = re.compile(r"[A-Za-z_.]*(?:Error|Exception): \S")
_LEVELS = frozenset(
    ("level", "severity", "status", "lvl", "loglevel", "levelname", "state", "result", "outcome", "type", "event")
)
_TROUBLES = frozenset(
    ("error", "err", "exception", "stack", "stacktrace", "exc_info", "traceback", "errors", "failure")
)
_FEW_ALARMING, _MOST_ALARMING = 0.2, 5
_MOST_SCALARS = 12
_NOTHING = frozenset(("", "null", "None", "false", "0", "[]", "{}", "0001-01-01T00:00:00Z"))
_BAD_STATE = re.compile(
    r"(?i)^(?:exited|failed|error|dead|unhealthy|crashed|oomkilled|terminated|rejected|timed_?out)$"
)
_NAMING = ("path", "file", "filename", "file_path", "filepath", "uri", "url", "name", "language", "command", "title")
_HINT_CHARS = 200
_NAMES, _IDS, _NAME_CHARS = ("name", "title", "summary", "label"), ("key", "number", "id", "_id", "uuid"), 60


def read_hint(value: JsonValue, text: str) -> str:
    """What an object's members say of where its texts come from: a path, a command."""
    if value.kind != "object":
        return value.hint
    named = [
        text[held.value + 1 : held.end - 1] for held in value.held if held.kind == "string" and held.key in _NAMING
    ]
    return " ".join(name for name in named if len(name) <= _HINT_CHARS)


def find_envelope_members(roots: Sequence[JsonValue], text: str) -> list[int]:
    """Starts of the small members that stand beside what most of a document is: an exit code, a total, a next page."""
    if len(roots) != 1:
        return []
    most = max(_LEAST_TOLD, _TOLD_SHARE * len(text))
    found: list[int] = []
    waiting, chars = [(roots[0], 0)], 0
    while waiting:
        value, depth = waiting.pop()
        heavy = [held for held in value.held if held.end - held.value > _HEAVY * (value.end - value.value)]
        if (
            depth == _DEEPEST
            or sum(held.end - held.value for held in heavy) < _MOSTLY * (value.end - value.value)
            or not 0 < len(heavy) <= _MOST_HEAVY
            or (value.kind == "array" and len(value.held) > _MOST_PARTS)
        ):
            continue
        for held in value.held:
            if held in heavy:
                waiting.append((held, depth + 1))
            elif held.stop - held.start <= _LIGHT_CHARS and chars + held.stop - held.start <= most:
                chars += held.stop - held.start
                found += [inner.start for inner in iterate_members(held)]
    return found


def find_alarming_members(roots: Sequence[JsonValue], text: str) -> list[int]:
    """Starts of scalars that tell of trouble anywhere in documents that are no list of records, up to a few."""
    found: list[int] = []
    waiting: list[tuple[JsonValue, bool]] = [(root, False) for root in roots[:1]] if len(roots) == 1 else []
    while waiting and len(found) <= _MOST_SCALARS:
        value, troubled = waiting.pop()
        for held in value.held:
            inside = troubled or (held.key or "").lower() in _TROUBLES
            if held.held:
                waiting.append((held, inside))
            elif held.key and held.end - held.value <= 2 * _SCALAR_CHARS and (inside or _is_bad(held, text)):
                said = text[held.value : held.end].strip('"')
                found += [held.start] if said not in _NOTHING else []
    return found[:_MOST_SCALARS]


def _is_bad(value: JsonValue, text: str) -> bool:
    """Whether a scalar says that something has failed: an exit code, `OOMKilled`, a status, an exception."""
    key, said = (value.key or "").lower().replace("_", ""), text[value.value : value.end].strip('"')
    if key in ("exitcode", "exitstatus", "returncode", "oomkilled", "dead", "failed", "crashed", "timedout"):
        return said not in _NOTHING
    return (key in _LEVELS and _BAD_STATE.search(said) is not None) or _RAISED.match(said) is not None


def find_odd_members(roots: Sequence[JsonValue], text: str) -> list[int]:
    """Starts of the members of records that are unlike their neighbours, or tell of trouble, up to a few."""
    found: list[int] = []
    for records in _iterate_record_lists(roots):
        fields = [_read_fields(record, text) for record in records]
        keys = list(dict.fromkeys(key for read in fields for key in read))[:_MOST_KEYS]
        odd = find_odd_fields([[read.get(key, "") for key in keys] for read in fields])
        for i in dict.fromkeys([*odd, *_find_alarming(fields)]):
            found += _choose_members(records[i], text, [keys[at] for at in odd.get(i, ())])
    return found


def _iterate_record_lists(roots: Sequence[JsonValue]) -> Iterator[Sequence[JsonValue]]:
    """Lists of objects: the documents themselves, and arrays within them."""
    if len(roots) >= _LEAST_RECORDS:
        yield [root for root in roots if root.kind == "object"]
        return
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if value.kind == "array" and len(value.held) >= _LEAST_RECORDS:
            objects = [held for held in value.held if held.kind == "object"]
            if len(objects) >= _LEAST_RECORDS:
                yield objects
                continue
        waiting += [held for held in value.held if held.held]


def _read_fields(record: JsonValue, text: str) -> dict[str, str]:
    """Short scalars of a record, and of the objects in it, by their keys."""
    return {path: text[held.value : held.end].strip('"') for path, held in _list_scalars(record).items()}


def _list_scalars(record: JsonValue) -> dict[str, JsonValue]:
    """Scalars of a record and of what is in it, not too deep, by the keys that lead to them."""
    if record.kind == "object" and not any(held.held for held in record.held):  # most are flat
        flat = record.held[:_MOST_KEYS]
        return {f".{held.key}": held for held in flat if held.end - held.value <= _SCALAR_CHARS}
    found: dict[str, JsonValue] = {}
    waiting = [("", record, 0)]
    while waiting and len(found) < _MOST_KEYS:
        path, value, depth = waiting.pop(0)
        for number, held in enumerate(value.held[:_MOST_KEYS]):
            name = f"{path}.{number if held.key is None else held.key}"
            if held.held and depth < _MOST_DEPTH and (value.kind == "object" or len(value.held) <= _FEW_ELEMENTS):
                waiting.append((name, held, depth + 1))
            elif not held.held and held.end - held.value <= _SCALAR_CHARS:
                found[name] = held
    return found


def _find_alarming(fields: Sequence[dict[str, str]]) -> list[int]:
    """Records whose level or error tells of trouble, where few do."""
    keys = dict.fromkeys(key for read in fields for key in read)
    troubles = [key for key in keys if _is_trouble(key)]
    levels = [key for key in keys if key.rsplit(".", 1)[-1].lower() in _LEVELS]
    if not troubles and not levels:
        return []
    alarming = [
        i
        for i, read in enumerate(fields)
        if any(read.get(key, "") not in _NOTHING for key in troubles)
        or any(_ALARMING.search(read.get(key, "")) for key in levels)
    ]
    return alarming[:_MOST_ALARMING] if len(alarming) <= max(1.0, _FEW_ALARMING * len(fields)) else []


def _choose_members(record: JsonValue, text: str, odd_keys: Sequence[str]) -> list[int]:
    """Starts of a record that is small, of its first members, of those that name it, and of what is odd or alarming."""
    scalars = _list_scalars(record)
    chosen = dict.fromkeys([*odd_keys, *(key for key in scalars if _is_naming(key)), *scalars])
    told = [key for key, held in scalars.items() if _ALARMING.search(text, held.value, held.end) or _is_trouble(key)]
    keys = [*list(chosen)[: _ODD_MEMBERS + len(odd_keys)], *told[:_ODD_MEMBERS]]
    return [record.start, *(scalars[key].start for key in keys if key in scalars)]


def find_naming_members(value: JsonValue) -> list[JsonValue]:
    """The short members by which an object in a list is known, one that is an id and one that is a name."""
    keyed = {held.key.lower(): held for held in value.held if held.key and not held.held and _is_short(held)}
    found = (next((keyed[key] for key in keys if key in keyed), None) for keys in (_NAMES, _IDS))
    return [held for held in found if held is not None]


def _is_short(value: JsonValue) -> bool:
    return value.end - value.value <= _NAME_CHARS


def _is_naming(key: str) -> bool:
    name = key.rsplit(".", 1)[-1].lower()
    return name in ("name", "id", "key", "msg", "message", "title") or name.endswith(("id", "name"))


def _is_trouble(key: str) -> bool:
    """Whether a key, or one of those that lead to it, is that of an error."""
    return not _TROUBLES.isdisjoint(key.lower().split("."))


def iterate_members(value: JsonValue) -> Iterator[JsonValue]:
    """Yield a member and all in it."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting += inner.held
