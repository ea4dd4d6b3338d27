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
from agentcompress.segmenters.detect import code_share, detect, sample
from agentcompress.segmenters.grammars import GRAMMARS, language_of_fence, language_of_file
from agentcompress.segmenters.rows import Rows, view_of

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig
    from agentcompress.protocols import Segmenter

_log = logging.getLogger("agentcompress")

_NAME = re.compile(r"[\w./\\~+-]{2,200}")
_SHEBANG = re.compile(r"#!\s*\S*?/(?:env\s+)?(\w+?)[\d.]*\s")
_HUNK = re.compile(r"^@@+ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)
_DIFF_LINE = re.compile(r"[-+ @\\]|diff |index |commit |Author:|Date:|new file|deleted |rename |similarity |Binary ")
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype html|<html\b)", re.IGNORECASE)
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

_KEY = re.compile(r"\s*(?:- )?[\w.\"'/-]+:(?:\s|$)|\s*- \S|\s*#|---")
_FEATURES: dict[str, re.Pattern[str]] = {
    "python": re.compile(r"^\s*(?:(?:async )?def \w+\(.*|class \w+.*:|from [\w.]+ import |import \w+|elif .*:|@\w+)"),
    "javascript": re.compile(
        r"^\s*(?:const|let|var|function|export|import .* from|class \w+ (?:extends|\{)|module\.exports)\b"
    ),
    "typescript": re.compile(
        r"^\s*(?:export )?(?:interface \w+|type \w+ =|enum \w+|declare )|^\s*\w+\??: (?:string|number|boolean)\b"
    ),
    "java": re.compile(r"^\s*(?:(?:public|private|protected)\s.*[({;]|package [\w.]+;|import [\w.]+;|@Override)"),
    "go": re.compile(r"^(?:func |package \w+$|type \w+ (?:struct|interface)|import \()|:= "),
    "rust": re.compile(r"^\s*(?:pub (?:fn|struct|enum|mod|use)|fn \w+|impl\b|use [\w:]+|let mut |#\[|match .*\{)"),
    "c": re.compile(
        r"^\s*#\s*(?:include|define|ifdef|ifndef|endif)\b|^(?:static |const |unsigned )?\w+ \*?\w+\(.*\)\s*\{?$"
    ),
    "cpp": re.compile(r"^\s*(?:namespace \w+|template\s*<|using namespace|std::|class \w+\s*[:{]|virtual )|\w+::\w+\("),
    "csharp": re.compile(
        r"^\s*(?:using [\w.]+;|namespace [\w.]+|(?:public|private|internal) .*(?:\{ get|class |void |async ))"
    ),
    "ruby": re.compile(
        r"^\s*(?:def [\w.]+[?!]?(?:\(.*\))?\s*$|end$|require ['\"]|module [A-Z]|class [A-Z]\w*( <.*)?$|attr_\w+ :)"
    ),
    "php": re.compile(r"^\s*(?:<\?php|\$\w+ = |(?:public |private )?function \w+\(|namespace [\w\\]+;|use [\w\\]+;)"),
    "kotlin": re.compile(r"^\s*(?:(?:override |private |suspend )?fun \w+|val \w+|data class |import [\w.]+$)"),
    "swift": re.compile(
        r"^\s*(?:(?:public |private )?func \w+|let \w+|guard |import \w+$|extension \w+|struct \w+.*\{)"
    ),
    "bash": re.compile(r"^\s*(?:if \[|fi$|done$|then$|esac$|echo |export \w+=|\w+=\$|local \w+)"),
    "sql": re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|DELETE)\b", re.IGNORECASE),
    "css": re.compile(r"^\s*(?:[.#@]?[\w-]+(?:[ ,>:.#\w-]*)\{|[\w-]+:\s.*;)\s*$"),
}
_EVIDENCE = {
    "html": re.compile(r".*<[a-zA-Z!/][^<>]*>?"),
    "yaml": _KEY,
    "toml": re.compile(r"\s*(?:\[.*\]|[\w.\"-]+\s*=|#|\]|\"|')"),
    "css": _FEATURES["css"],
    "sql": _FEATURES["sql"],
    "bash": _FEATURES["bash"],
}
"""What lines of languages look like that would take any text for their own."""

_LEAST_EVIDENCE = {"html": 0.4, "yaml": 0.8, "toml": 0.8, "css": 0.4, "sql": 0.2, "bash": 0.05}
_DIGITS = re.compile(r"\d+")
_OFTEN = 5  # lines that differ in numbers alone are a machine's
_CODE_SHARE = 0.08
_MOST_BROKEN, _LEAST_BROKEN = 0.3, 0.02
"""The share of code that may not parse; of what may as well be a log, which quotes code."""

_PARSED_CHARS = 60_000
_LONG_LINE = 2000
_SEEN_CHARS = 300  # of a line
_HINT_CHARS = 4000


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
    raw = [line[:_SEEN_CHARS] for line in part.splitlines() if line.strip()]
    if not raw or sum(len(line) for line in part.splitlines() if len(line) > _LONG_LINE) > 0.3 * len(part):
        return Kind("lines")
    view = None if _is_table(raw) else view_of(Rows(part))
    part = view.bare if view else part
    lines = [line[:_SEEN_CHARS] for line in part.splitlines() if line.strip()] if view else raw
    diff = _is_diff(lines)
    marked = diff or (fences and len(_FENCE.findall(part)) >= 2)
    said = len(_REPORT.findall(part)) / len(lines)  # code quotes a traceback, too
    report = max(30 * said, _share(_STAMP, lines), 6 * _share(_COMPLAINT, lines), _share(_PROGRESS, lines)) > 0.3
    language = _language(_beginning(text, seen_through=view is not None), lines, hint, sure=not (report or marked))
    if language:
        return Kind("source", {"language": language})
    if marked:
        return Kind("diff" if diff else "mixed")
    return Kind("log" if report else _shape(part, lines))


def _is_diff(lines: list[str]) -> bool:
    """Hunks, and hardly a line that can't be in a diff."""
    hunks = sum(1 for line in lines if _HUNK.match(line))
    return hunks > 0 and sum(1 for line in lines if _DIFF_LINE.match(line)) > 0.8 * len(lines)


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
    if _share(_TREE, lines) > 0.7:
        return "outline"
    if _share(_MATCH, lines) > 0.6 or _share(_LS, lines) > 0.5 or _share(_PATH, lines) > 0.9:
        return "matches"
    if _is_table(lines):
        return "table"
    templates = Counter(_DIGITS.sub("0", line) for line in lines)
    if sum(often for often in templates.values() if often >= _OFTEN) > 0.5 * len(lines):
        return "log"
    return detect(part)


def _share(pattern: re.Pattern[str], lines: list[str]) -> float:
    return sum(1 for line in lines if pattern.match(line)) / len(lines)


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


def _beginning(text: str, *, seen_through: bool) -> str:
    """Whole lines from the beginning of a text, which parse better than a sample does."""
    cut = len(text) if len(text) <= _PARSED_CHARS else text.rfind("\n", 0, _PARSED_CHARS) + 1 or _PARSED_CHARS
    view = view_of(Rows(text[:cut])) if seen_through else None
    return view.bare if view else text[:cut]


def _language(part: str, lines: list[str], hint: str, *, sure: bool) -> str | None:
    """The language of code: what a hint says, a shebang or the content, if it parses well enough.

    part: its beginning; lines: of a sample of it. sure: that it can be nothing else that quotes code, a log or a diff,
    say; else it must be named, and parse.
    """
    named = [language for name in _NAME.findall(hint[:_HINT_CHARS]) if (language := language_of_file(name))]
    shebang = _SHEBANG.match(part[:_SEEN_CHARS])
    if shebang and (language := language_of_fence(shebang.group(1))):
        named.insert(0, language)
    if _MARKUP.match(part[:_SEEN_CHARS]):
        named.insert(0, "html")
    looks = code_share(part) > _CODE_SHARE
    guessed = _guessed(lines) if sure else []
    candidates = [
        name
        for name in dict.fromkeys([*named[:3], *guessed])
        if shebang or (_evident(name, lines) if name in _EVIDENCE else looks)
    ]
    broken = [(_broken(part, name), name) for name in candidates[:4]]
    fitting = [name for share, name in broken if share <= (_MOST_BROKEN if sure else _LEAST_BROKEN)]
    named_fitting = [name for name in fitting if name in named]
    if named_fitting or not fitting:
        return named_fitting[0] if named_fitting else None
    return min(broken)[1]


def _evident(language: str, lines: list[str]) -> bool:
    return _share(_EVIDENCE[language], lines) > _LEAST_EVIDENCE[language]


def _guessed(lines: list[str]) -> list[str]:
    """Languages that a text's lines look like, the likeliest first."""
    found = {name: sum(1 for line in lines if feature.search(line)) for name, feature in _FEATURES.items()}
    best = sorted(found, key=lambda name: -found[name])[:2]
    likely = [name for name in best if found[name] >= max(2, 0.02 * len(lines))]
    if len(lines) > 4 and _share(_KEY, lines) > 0.95:
        likely.insert(0, "yaml")
    return likely


def _broken(part: str, language: str) -> float:
    """The share of a text's characters in what tree-sitter takes for errors."""
    source = part.encode("utf-8", "replace")
    broken, waiting = 0, [GRAMMARS[language].parse(source).root_node]
    while waiting:
        node = waiting.pop()
        if node.type == "ERROR":
            inner = sum(
                child.end_byte - child.start_byte for child in node.children if child.is_named and child.children
            )
            broken += max(0, node.end_byte - node.start_byte - inner)
        elif node.has_error:
            waiting.extend(node.children)
    return broken / max(1, len(source))
