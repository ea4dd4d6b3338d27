"""Reads JSON Lines, JSON lists and single JSON objects row by row, gzipped or not, and says which row is none."""

from __future__ import annotations

import codecs
import gzip
import json
import logging
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any

from agentcompress.errors import InvalidInputError

_log = logging.getLogger("agentcompress")

_MOST_BYTES = 1 << 28  # of one line, or of one JSON document: what a gzipped file may swell to in memory
_GZIP = b"\x1f\x8b"
_Bytes = BufferedReader | gzip.GzipFile


@dataclass(frozen=True)
class Row:
    """A JSON value of a file. number: its line, or its place in a list, from 1. where: the file and that, in words."""

    where: str
    number: int
    value: Any


def read_rows(path: Path, *, live: bool = False) -> Generator[Row, None, None]:
    """Yield the rows of a file: its lines, blank ones left out, or the items of its one list, or its one object.

    JSON Lines are read line by line, everything else whole. live: the file may still be written to, so that a last
    line which is no JSON and has no end is left out with a warning. Raises `InvalidInputError` for a file that can't
    be read, and for a line that is no JSON, is no UTF-8 or has more than 256 MiB.
    """
    try:
        with _open_bytes(path) as file:
            yield from _read_values(path, file, live)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(path.name, str(error), "a file that can be read") from error


def _open_bytes(path: Path) -> _Bytes:
    with path.open("rb") as file:
        is_gzipped = file.read(len(_GZIP)) == _GZIP
    return gzip.open(path) if is_gzipped else path.open("rb")


def _read_values(path: Path, file: _Bytes, live: bool) -> Iterator[Row]:
    lines = _number_lines(path.name, file)
    first = next(lines, None)
    if first is None:
        return
    if _is_document(path, first[1]):
        rest = file.read(_MOST_BYTES - len(first[1]) + 1) if len(first[1]) <= _MOST_BYTES else b""
        yield from _split_document(path.name, _parse_json(path.name, first[1] + rest))
        return
    for number, line in chain([first], lines):
        where = f"{path.name} line {number}"
        try:
            value = _parse_json(where, line)
        except InvalidInputError:
            if not live or number == first[0] or line.endswith(b"\n"):
                raise
            _log.warning("%s is left out: it has no end, as if it were still being written", where)
            return
        yield Row(where, number, value)


def _number_lines(name: str, file: _Bytes) -> Iterator[tuple[int, bytes]]:
    """Yield all lines that are not blank, and their numbers from 1."""
    number = 0
    while line := file.readline(_MOST_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip():
            yield number, line


def _is_document(path: Path, first_line: bytes) -> bool:
    """Tell whether a file is one JSON value: what isn't called JSON Lines, and whose first line is no object alone."""
    if ".jsonl" in path.suffixes[-2:]:
        return False
    try:
        return not isinstance(json.loads(first_line), dict)
    except (ValueError, RecursionError):
        return True


def _split_document(name: str, value: Any) -> Iterator[Row]:
    if not isinstance(value, list):
        yield Row(name, 1, value)
        return
    for number, item in enumerate(value, 1):
        yield Row(f"{name} line {number}", number, item)


def _parse_json(where: str, data: bytes) -> Any:
    if len(data) > _MOST_BYTES:
        raise InvalidInputError(where, f"{len(data):,} bytes", f"at most {_MOST_BYTES:,} bytes of JSON")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(where, str(error), "UTF-8") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(where, text[:60], f"JSON ({error})") from error
