"""Which kind of text this is, and which segmenter cuts it: by its content, and by what is known of where it comes from.

What a call's arguments or a fence say is a hint, and must agree with the content. A wrong guess costs quality, never an
error: every segmenter takes every text.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from agentcompress import plugins
from agentcompress.errors import PluginError
from agentcompress.segmenters.detect import detect, sample
from agentcompress.segmenters.languages import LOOKED_AT_CHARS, PARSED_CHARS, language_of, share_of
from agentcompress.segmenters.rows import Rows, view_of

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig
    from agentcompress.protocols import Segmenter

_log = logging.getLogger("agentcompress")

_HUNK = re.compile(r"^@@+ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)
_DIFF_LINE = re.compile(r"[-+ @\\]|diff |index |commit |Author:|Date:|new file|deleted |rename |similarity |Binary ")
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)
_MATCH = re.compile(r"[^\s:][^:\n]{0,300}?(?:[./][^:\n]{0,100}?)?[:-]\d+[:-]")
_STAMP = re.compile(
    r"\W{0,3}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d\d/\w{3}/\d{4}|[A-Z][a-z]{2}\s+\d{1,2} \d\d:\d\d|\[\s*\d+\.\d+\]"
    r"|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|TRACE|FATAL|NOTICE)\b)"
)
_REPORT = re.compile(
    r"^(?:Traceback \(most recent call last\)|=+ .*(?:test session starts|FAILURES|short test summary).*=+"
    r"|Ran \d+ tests? in |make(?:\[\d+\])?: \*\*\* |npm ERR!|--- FAIL: |test result: )"
    r"|^\S+::\S+ (?:PASSED|FAILED|SKIPPED)|^test_\w+ \(.*\) \.\.\. ",
    re.MULTILINE,
)
_COMPLAINT = re.compile(
    r"\S*(?:ERROR|WARNING|FAIL|error|warning|fatal)\b:? |\S+:\d+:\d+: |make(?:\[\d+\])?: |Collecting \w|gcc |cc "
)
_PROGRESS = re.compile(
    r"\s*(?:copying|creating|adding|writing|running|building|byte-compiling|Building|Collecting|Compiling|Checking|Cloning"
    r"|Downloading|Fetching|Get:\d|Hit:\d|Installing|Linking|Preparing|Processing|Requirement already|Running|Selecting"
    r"|Setting up|Step \d|Unpacking|Using cached|> Task|npm |\[\s*\d+(?:/\d+|%)\]|#\d+ |==> |--> )"
)
_PATH = re.compile(r"\s*(?:[│├└─ ]*)?[\w.@~+-]*(?:/[\w.@~+ -]+)+/?$|\s*[\w.@+-]+/?$")
_TREE = re.compile(r"\s*\[\d+\] \w+|\s*(?:StaticText|RootWebArea) '|\s*[│├└|`]|\s*- \w+( \".*\")?( \[\w+=|:|$)")
_LS = re.compile(r"[-dlbcps][rwxsStT-]{9}[.+@]?\s+\d+\s")
LISTED = (_PATH, _LS)
"""What lines of a folder's listing look like."""

_DIGITS = re.compile(r"\d+")
_OFTEN = 5  # lines that differ in numbers alone are a machine's
_LONG_LINE = 2000


@dataclass(frozen=True)
class Kind:
    """A segmenter's name and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def built_in(kind: Kind) -> Segmenter:
    """Make the segmenter."""
    return _class(kind.name)(**kind.options)


def segmenter_for(text: str, hint: str, config: CompressConfig) -> Segmenter:
    """What cuts this text: the first plugin that claims it, else the built-in one of its kind.

    A plugin claims by a static method `claims(text, hint) -> bool` of its class.
    """
    for name, claims in _claiming():
        if claims(text, hint):
            return plugins.build("segmenters", name, {}, config)
    return built_in(kind_of(text, hint))


@cache
def _class(name: str) -> type:
    return plugins.load("segmenters", name)


@cache
def _claiming() -> tuple[tuple[str, Callable[[str, str], bool]], ...]:
    """Segmenters that claim texts; one that can't be loaded is left aside, with a warning."""
    found = []
    for name in plugins.names("segmenters"):
        try:
            claims = getattr(_class(name), "claims", None)
        except PluginError as error:
            _log.warning("%s", error)
            continue
        if claims is not None:
            found.append((name, claims))
    return tuple(found)


def forget_plugins() -> None:
    """Look again which segmenters are installed."""
    _class.cache_clear()
    _claiming.cache_clear()


def kind_of(text: str, hint: str = "", *, fences: bool = True) -> Kind:
    """Say what cuts a text best. hint: a file's name, or a tool's call: whatever names where the text comes from."""
    if _is_json(text):
        return Kind("json")
    part = sample(text)
    raw = [line[:LOOKED_AT_CHARS] for line in part.splitlines() if line.strip()]
    if not raw or sum(len(line) for line in part.splitlines() if len(line) > _LONG_LINE) > 0.3 * len(part):
        return Kind(detect(part) if raw else "lines")
    view = None if _is_table(raw) else view_of(Rows(part))
    part = view.bare if view else part
    lines = [line[:LOOKED_AT_CHARS] for line in part.splitlines() if line.strip()] if view else raw
    diff = _is_diff(lines)
    marked = diff or (fences and len(_FENCE.findall(part)) >= 2)
    prose = detect(part) == "prose"
    report = _is_report(part, lines, prose=prose)
    sure = not (report or marked or prose)
    language = language_of(_beginning(text, seen_through=view is not None), lines, hint, sure=sure)
    if language:
        return Kind("source", {"language": language})
    if marked:
        return Kind("diff" if diff else "mixed")
    return Kind("log" if report else _shape(part, lines))


def _is_report(part: str, lines: list[str], *, prose: bool) -> bool:
    """Time stamps, what test runners and builds say; prose and code quote a traceback or an error, too."""
    said = len(_REPORT.findall(part)) / len(lines)
    if max(30 * said, share_of(_STAMP, lines)) > 0.3:
        return True
    return not prose and max(6 * share_of(_COMPLAINT, lines), share_of(_PROGRESS, lines)) > 0.3


def _is_diff(lines: list[str]) -> bool:
    """Hunks, and hardly a line that can't be in a diff."""
    hunks = sum(1 for line in lines if _HUNK.match(line))
    return hunks > 0 and sum(1 for line in lines if _DIFF_LINE.match(line)) > 0.8 * len(lines)


def _beginning(text: str, *, seen_through: bool) -> str:
    """Whole lines from the beginning of a text, which parse better than a sample does."""
    cut = len(text) if len(text) <= PARSED_CHARS else text.rfind("\n", 0, PARSED_CHARS) + 1 or PARSED_CHARS
    view = view_of(Rows(text[:cut])) if seen_through else None
    return view.bare if view else text[:cut]


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except RecursionError:
        return False
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return len(lines) > 1 and all(isinstance(json.loads(line), dict | list) for line in lines)
        except (ValueError, RecursionError):
            return False
    return True


def _shape(part: str, lines: list[str]) -> str:
    """What lines that are neither code nor a log look like."""
    if share_of(_TREE, lines) > 0.7:
        return "outline"
    if share_of(_MATCH, lines) > 0.6 or share_of(_LS, lines) > 0.5 or share_of(_PATH, lines) > 0.9:
        return "matches"
    if _is_table(lines):
        return "table"
    templates = Counter(_DIGITS.sub("0", line) for line in lines)
    if sum(often for often in templates.values() if often >= _OFTEN) > 0.5 * len(lines):
        return "log"
    return detect(part)


def _is_table(lines: list[str]) -> bool:
    """Nearly all lines have as many separators as the first, two at least."""
    if len(lines) < 4:
        return False
    for separator in (",", "\t", ";", "|"):
        columns = Counter(line.count(separator) for line in lines)
        usual, often = columns.most_common(1)[0]
        if usual >= 2 and often >= 0.9 * len(lines) and (separator != "," or lines[0].count(", ") < usual / 2):
            return True
    return False
