"""Which language code is written in: what names it, what its lines look like, and whether it parses."""

from __future__ import annotations

import re

from agentcompress.errors import SegmentationError
from agentcompress.segmenters.detect import looks_like_code
from agentcompress.segmenters.grammars import GRAMMARS, find_language_of_fence, list_languages_of_file

_NAME = re.compile(r"[\w./\\~+-]{2,200}")
_SHEBANG = re.compile(r"#!\s*\S*?/(?:env\s+)?(\w+?)[\d.]*\s")
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype html|<html\b)", re.IGNORECASE)
_KEY = re.compile(r"\s*(?:- )?(?!\d)[\w.\"'/-]+:(?:\s|$)|\s*- \S|\s*#|---")
_FEATURES: dict[str, re.Pattern[str]] = {
    "python": re.compile(r"^\s*(?:(?:async )?def \w+\(.*|class \w+.*:|from [\w.]+ import |import \w+|elif .*:|@\w+)"),
    "javascript": re.compile(
        r"^\s*(?:const|let|var|function|export|import .* from|class \w+ (?:extends|\{)|module\.exports)\b"
    ),
    "typescript": re.compile(
        r"^\s*(?:export )?(?:interface \w+|type \w+ =|enum \w+|declare )|^\s*\w+\??: (?:string|number|boolean)\b"
    ),
    "java": re.compile(r"^\s*(?:(?:public|private|protected)\s.*[({;]|package [\w.]+;|import [\w.]+;|@Override)"),
    "go": re.compile(r"^(?:func |package \w+$|type \w+ (?:struct|interface)|import \()|^\s+\w+(?:, \w+)* := "),
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
"""What lines must look like of languages whose grammars take nearly any text for their own."""

_LEAST_EVIDENCE = {"html": 0.4, "yaml": 0.8, "toml": 0.8, "css": 0.4, "sql": 0.2, "bash": 0.05}
_NAMED_KEY = re.compile(r"\s*(?:- )?(?!\d)[\w.\"'/-]+:(?:\s|$)")
_FEATURES_OF = {"tsx": "typescript"}
_FEW = 0.05
"""A text is believed to be in the language it is said to be in when this share of its lines look like that one."""

_TAGGED = re.compile(r"\s*<[/!?a-zA-Z]")
_HINT_CHARS = 4000
_MOST_NAMED = 4
LOOKED_AT_CHARS = 300  # at the beginning of a line: what stands behind is not looked at
_LESS_LIKELY = 0.1
"""How much smaller the broken share must be in each language that comes later by the looks of the lines."""

_MOST_BROKEN, _LEAST_BROKEN = 0.3, 0.02
"""The largest share of a text that may fail to parse as code; and where it may as well be a log that quotes code."""

PARSED_CHARS = 60_000  # of a text, from its beginning: what is parsed to tell its language


def detect_language(part: str, lines: list[str], hint: str, *, sure: bool) -> str | None:
    """The language of code, or None: what a hint says, a shebang or the content, if it parses well enough.

    part: its beginning; lines: of a sample of it. sure: that it can be nothing else that quotes code, a log or a diff,
    say; else it must be named, and parse.
    """
    has_shebang = _SHEBANG.match(part[:LOOKED_AT_CHARS]) is not None
    named = _list_named_languages(part[:LOOKED_AT_CHARS], hint)
    candidates = list(dict.fromkeys([*named[:_MOST_NAMED], *(_guess_languages(lines) if sure else ())]))
    if not has_shebang:
        looks = looks_like_code(part)
        candidates = [
            name for name in candidates if _is_evident(name, lines, named=name in named, looks=looks, sure=sure)
        ]
    broken = {name: _measure_broken(part, name) for name in candidates[: _MOST_NAMED + 1]}
    most_broken = _MOST_BROKEN if sure else _LEAST_BROKEN
    fitting = [name for name, share in broken.items() if share <= most_broken]
    likely = [name for name in fitting if name in named] or fitting
    return min(likely, key=lambda name: broken[name] + _LESS_LIKELY * likely.index(name), default=None)


def _list_named_languages(beginning: str, hint: str) -> list[str]:
    """Languages that a text's first line or where it comes from names, the surest first."""
    names = _NAME.findall(hint[:_HINT_CHARS])
    named = list(dict.fromkeys(language for name in names for language in list_languages_of_file(name)))
    shebang = _SHEBANG.match(beginning)
    if shebang and (language := find_language_of_fence(shebang.group(1))):
        named.insert(0, language)
    if _MARKUP.match(beginning):
        named.insert(0, "html")
    return named


def _is_evident(language: str, lines: list[str], *, named: bool, looks: bool, sure: bool) -> bool:
    """Whether lines look like the language. looks: whether they look like code at all. sure: see `detect_language`."""
    if language == "bash" and not sure:  # which takes nearly any text for its own
        return False
    if language in _EVIDENCE:
        return measure_share(_EVIDENCE[language], lines) > _LEAST_EVIDENCE[language] * (0.5 if named else 1)
    feature = _FEATURES[_FEATURES_OF.get(language, language)]
    return looks or (named and sum(1 for line in lines if feature.search(line)) >= _FEW * len(lines))


def _guess_languages(lines: list[str]) -> list[str]:
    """Languages that a text's lines look like, the likeliest first."""
    found = {name: sum(1 for line in lines if feature.search(line)) for name, feature in _FEATURES.items()}
    best = sorted(found, key=lambda name: -found[name])[:2]
    likely = [name for name in best if found[name] >= max(2, 0.02 * len(lines))]
    if len(lines) > 4 and measure_share(_KEY, lines) > 0.95 and measure_share(_NAMED_KEY, lines) > 0.3:
        likely.insert(0, "yaml")
    if len(lines) > 4 and measure_share(_TAGGED, lines) > 0.5:
        likely.insert(0, "html")
    return likely


def _measure_broken(part: str, language: str) -> float:
    """The share of a text's characters in what tree-sitter takes for errors; all of what it can't parse."""
    source = part.encode("utf-8", "replace")
    try:
        tree = GRAMMARS[language].parse(source)
    except SegmentationError:
        return 1.0
    broken, waiting = 0, [tree.root_node]
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


def measure_share(pattern: re.Pattern[str], lines: list[str]) -> float:
    """Return the share of lines that begin as the pattern says, 0 to 1. lines: one at least."""
    return sum(1 for line in lines if pattern.match(line)) / len(lines)
