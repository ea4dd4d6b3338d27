"""Which kind of text this is, and which segmenter cuts it: by its content, and by what is known of where it comes from.

What a call's arguments or a fence say is a hint, and must agree with the content. A wrong guess costs quality, never an
error: every segmenter takes every text.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from agentcompress import plugins
from agentcompress.segmenters.detect import looks_like_code, sample_text, tell_prose_from_lines
from agentcompress.segmenters.envelopes import find_envelope
from agentcompress.segmenters.json_tree import find_documents
from agentcompress.segmenters.json_within import find_json_within
from agentcompress.segmenters.languages import LOOKED_AT_CHARS, PARSED_CHARS, detect_language, measure_share
from agentcompress.segmenters.shapes import Shapes, make_templates
from agentcompress.segmenters.signs import tells_count
from agentcompress.segmenters.tables import is_table
from agentcompress.text.lines import Rows, View, find_view, split_visible

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig
    from agentcompress.protocols import Segmenter

_log = logging.getLogger("agentcompress")

_HUNK = re.compile(r"@@+ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")
_DIFF_LINE = re.compile(r"[-+ @\\]|diff |index |commit |Author:|Date:|new file|deleted |rename |similarity |Binary ")
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)
_MATCH = re.compile(
    r"[^\s:][^:\n]*?(?:(?<=\w)(?P<mark>[:-])\d+(?P=mark)(?!\d)|[./][^\s:]*:\d+:)|\d{1,6}:(?=[^\d\s]|\s{2,}|$)"
)
_STAMP = re.compile(
    r"\W{0,3}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d\d/\w{3}/\d{4}|[A-Z][a-z]{2}\s+\d{1,2} \d\d:\d\d"
    r"|\[\s*\d+\.\d+\]|\w+\.go:\d+: (?:\d{4}[-/]|\[\w+\])"
    r"|\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|TRACE|FATAL|NOTICE)\b)"
)
_REPORT = re.compile(
    r"^(?:Traceback \(most recent call last\)|=+ .*(?:test session starts|FAILURES|short test summary).*=+"
    r"|Ran \d+ tests? in |make(?:\[\d+\])?: \*\*\* |npm ERR!|--- FAIL: |test result: )"
    r"|^\S+::\S+ (?:PASSED|FAILED|SKIPPED)|^test_\w+ \(.*\) \.\.\. ",
    re.MULTILINE,
)
_JOB_STAMP = re.compile(r"(?:[^\t]*\t){1,3}\d{4}-\d\d-\d\dT\d\d:")
_CERTAIN_REPORT = re.compile(
    r"^=+ (?:test session starts|FAILURES|ERRORS|short test summary info|warnings summary) =+$|^=+ .*\bin [\d.]+s.*=+$"
    r"|^(?:TASK|PLAY|RUNNING HANDLER) \[.*\] \*+|^PLAY RECAP \*+|^running \d+ tests?$|^test result: |^##\[group\]"
    r"|^\*\* \w+ (?:FAILED|SUCCEEDED) \*\*$|^The following build commands failed:"
    r"|^(?:CompileSwift|SwiftCompile|CodeSign|Ld) \S",
    re.MULTILINE,
)
_COMPLAINT = re.compile(
    r"\S*(?:ERROR|WARNING|FAIL|error|warning|fatal)\b:? |\S+:\d+:\d+: \S|\S+:\d+: (?:error|warning|note|info|fatal)\b"
    r"|make(?:\[\d+\])?: |gcc |cc |\S+\(\d+,\d+\): "
)
_PROGRESS = re.compile(
    r"\s*(?:copying|creating|adding|writing|running|building|byte-compiling|Building|Collecting|Compiling|Checking|Cloning"
    r"|Downloading|Fetching|Get:\d|Hit:\d|Installing|Linking|Preparing|Processing|Requirement already|Running|Selecting"
    r"|Setting up|Step \d|Unpacking|Using cached|> Task|npm |\[\s*\d+(?:/\d+|%)\]|#\d+ |==> |--> )"
)
_PATH = re.compile(r"[\s│├└─]*[\w.@~+-]*(?:/[\w.@~+ -]+)+/?$|\s*[\w.@+-]+/?$")
_TREE = re.compile(
    r"\s*\[\d+\] \w+|\s*(?:StaticText|RootWebArea) '|\s*(?:[│├└](?!.*[│┤┘])|[|`](?:--|   ))"
    r"|\s*- \w+( \".*\")?( \[\w+=|:|$)"
)
_LS = re.compile(r"[-dlbcps][rwxsStT-]{9}[.+@]?\s+\d+\s")
LISTED = (_PATH, _LS)
"""Patterns of lines in a folder's listing: paths, and what `ls -l` says."""

_SETTING = re.compile(r"\s*[\w.\"'-]+\s*[=:]|\s*[\[{}\]]")
_INI_TITLE = re.compile(r"\s*\[\[?[\w .:\"/@-]{1,80}\]?\]\s*$")
_INI_SETTING = re.compile(r"\s*[#;]|\s*[\w.\"*-][\w .\"*/-]{0,60}\s*=|\s*[\"'][^\"']*[\"'],?\s*$|\s*[\[\]{}],?\s*$")
_OPENED = re.compile(r"\s*(?:[\w\"'$.-]+\s*[:=]\s*)?(?:\w+\s*\(?)?[\[{(]\s*$")
_MEMBER = re.compile(r"\s*(?:[\w\"'$.-]+\s*[:=]\s.*[,\[{(]?|[\[\]{}()]{1,3}[,;]?|\{.*\},?)\s*$")
_LEAST_OPENED, _MEMBER_SHARE = 4, 0.9
_SECTIONED = ("yaml", "toml")
_DIGITS = re.compile(r"\d+")
_ENCODED_CHARS = 60
_RUN_SHARE, _LEAST_CERTAIN, _MOST_OTHER = 0.6, 2, 0.5
_ENDING_CHARS, _ENDING_LINES = 3000, 10
_OFTEN = 5  # lines that differ in numbers alone are a machine's
_LONG_LINE, _LEAST_BROKEN_LINES, _LEAST_BROKEN_CHARS = 2000, 20, 500


@dataclass(frozen=True)
class Kind:
    """The name of a built-in segmenter, and the options it is made with."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def make_segmenter(kind: Kind) -> Segmenter:
    """Make the segmenter of a kind, with its options."""
    return _load_class(kind.name)(**kind.options)


def choose_segmenter(text: str, hint: str, config: CompressConfig) -> Segmenter:
    """What cuts this text: the first plugin that claims it, else the built-in one of its kind.

    A plugin claims by a static method `claims(text, hint) -> bool` of its class.
    """
    for name, claims in _load_claims():
        try:
            if claims(text, hint):
                return plugins.build("segmenters", name, {}, config)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            _log.warning("segmenter %r is passed over: %s: %s", name, type(error).__name__, error)
    return make_segmenter(detect_kind(text, hint))


@cache
def _load_class(name: str) -> type:
    return plugins.load("segmenters", name)


@cache
def _load_claims() -> tuple[tuple[str, Callable[[str, str], bool]], ...]:
    """Segmenters that claim texts; one that can't be loaded is left aside, with a warning."""
    found = []
    for name in plugins.names("segmenters"):
        try:
            claims = getattr(_load_class(name), "claims", None)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            _log.warning("segmenter %r is left aside: %s: %s", name, type(error).__name__, error)
            continue
        if claims is not None:
            found.append((name, claims))
    return tuple(found)


def detect_kind(text: str, hint: str = "", *, fences: bool = True, envelopes: bool = True) -> Kind:
    """Say what cuts a text best: what the first of `_RULES` says that holds.

    hint: a file's name, or a tool's call: whatever names where the text comes from. fences: whether it may be mixed,
    that is, hold fenced blocks or JSON, to be cut apart. envelopes: whether it may be in one.
    """
    look = _Look(text, hint, fences=fences, envelopes=envelopes)
    rule = next(rule for rule in _RULES if rule.holds(look))
    name = rule.numbered if rule.numbered and look.view else rule.kind
    if name == "source" and look.language in _SECTIONED:
        return Kind("sections", {"language": look.language})
    if name == "source":
        return Kind(name, {"language": look.language})
    if name == "sections":
        return Kind(name, {"language": "ini"})
    if name == "objects":
        return Kind("sections")
    options: dict[str, Any] = {"hint": hint} if hint else {}
    return Kind(name, options if envelopes else {**options, "envelopes": False}) if name == "mixed" else Kind(name)


class _Look:
    """What is seen of a text; each property is worked out when a rule first asks for it."""

    def __init__(self, text: str, hint: str, *, fences: bool, envelopes: bool) -> None:
        self.text, self.hint, self.fences, self.envelopes = text, hint, fences, envelopes

    @cached_property
    def sample(self) -> str:
        """Beginning, middle and end of the text, line numbers included."""
        return sample_text(self.text)

    @cached_property
    def raw_lines(self) -> list[str]:
        """The sample's lines that are not blank, without their far ends."""
        return _shorten_lines(self.sample)

    @cached_property
    def view(self) -> View | None:
        """What stands behind the numbers of lines; None where lines have none."""
        return find_view(Rows(self.sample))

    @cached_property
    def part(self) -> str:
        """The sample without line numbers."""
        return self.view.bare if self.view else self.sample

    @cached_property
    def lines(self) -> list[str]:
        """Lines of `part`, as of `raw_lines`."""
        return _shorten_lines(self.part) if self.view else self.raw_lines

    @cached_property
    def is_table(self) -> bool:
        """Whether it is a table; not where its first line is one of a log, or it lists a folder."""
        lines = self.raw_lines
        is_other = (
            _STAMP.match(lines[0])
            or measure_share(_JOB_STAMP, lines) > _MOST_OTHER
            or measure_share(_LS, lines) > _MOST_OTHER
            or measure_share(_MATCH, lines) > _MOST_OTHER
        )
        return not is_other and is_table(self.text, lines)

    @cached_property
    def is_fenced(self) -> bool:
        """Whether it holds a fenced block, where those are to be cut apart."""
        return self.fences and len(_FENCE.findall(self.part)) >= 2

    @cached_property
    def is_prose(self) -> bool:
        """Whether most of its characters stand in lines that read like sentences."""
        return tell_prose_from_lines(self.part) == "prose"

    @cached_property
    def is_report(self) -> bool:
        """Whether it is a log, or what a build or a test run said."""
        return _is_report(self.part, self.lines, prose=self.is_prose)

    @cached_property
    def is_run(self) -> bool:
        """Whether most of its lines are alike but for what they name, as those of a run of tests or a build are."""
        return Shapes(make_templates(self.lines)).usual_share > _RUN_SHARE and measure_share(_SETTING, self.lines) < 0.3

    @cached_property
    def language(self) -> str | None:
        """The programming language it is written in; None where it is no code."""
        sure = not (self.is_report or self.is_fenced or self.is_prose)
        beginning = _take_beginning(self.text, seen_through=self.view is not None)
        return detect_language(beginning, self.lines, self.hint, sure=sure)


class _Rule(NamedTuple):
    """A kind, and when a text is of it. numbered: the kind where numbers stand before its lines, if another one."""

    holds: Callable[[_Look], bool]
    kind: str
    numbered: str | None = None


_RULES = (
    _Rule(lambda look: bool(find_documents(look.text)), "json"),
    _Rule(lambda look: look.fences and look.envelopes and find_envelope(look.text) is not None, "mixed"),
    _Rule(lambda look: look.fences and find_json_within(look.text) is not None, "mixed"),
    _Rule(lambda look: not look.raw_lines, "lines"),
    _Rule(lambda look: _is_diff(look.lines), "diff", numbered="lines"),
    _Rule(lambda look: _is_unbroken(look.sample) and tell_prose_from_lines(look.sample) == "prose", "prose"),
    _Rule(lambda look: _is_unbroken(look.sample), "lines"),
    _Rule(lambda look: look.is_table, "table"),
    _Rule(lambda look: look.language is not None and not (look.is_report and look.language in _SECTIONED), "source"),
    _Rule(lambda look: look.is_fenced and not (look.is_prose and look.view), "mixed", numbered="lines"),
    _Rule(lambda look: _is_ini(look.lines), "sections"),
    _Rule(lambda look: _is_objects(look.lines), "objects"),
    _Rule(lambda look: look.is_report, "log"),
    _Rule(lambda look: look.is_prose, "prose"),
    _Rule(lambda look: _is_outline(look.lines), "outline", numbered="lines"),
    _Rule(lambda look: _is_listing(look.lines), "matches", numbered="lines"),
    _Rule(lambda look: _is_repetitive(look.lines) or look.is_run, "log"),
    _Rule(lambda look: looks_like_code(look.part) and not _ends_as_run(look.text), "lines"),
    _Rule(lambda look: True, "log", numbered="lines"),
)
"""The first that holds says the kind. Only code, prose and logs are seen through line numbers."""


def _shorten_lines(part: str) -> list[str]:
    return [line[:LOOKED_AT_CHARS] for line in split_visible(part) if line.strip()]


def _is_unbroken(part: str) -> bool:
    """Whether a text stands in lines so long that their number and shape say nothing, with little beside them."""
    lines = split_visible(part)
    total = sum(map(len, lines))
    broken = [len(line) for line in lines if 0 < len(line) <= _LONG_LINE]
    return sum(broken) < 0.7 * total and (len(broken) < _LEAST_BROKEN_LINES or sum(broken) < _LEAST_BROKEN_CHARS)


def _is_report(part: str, lines: list[str], *, prose: bool) -> bool:
    """Whether lines have time stamps, or say what test runners and builds do.

    prose: whether they read like prose, which quotes a traceback or an error, too, and must say more of it.
    """
    if len(set(_CERTAIN_REPORT.findall(part))) >= _LEAST_CERTAIN + prose:
        return True
    said = len(_REPORT.findall(part)) / len(lines)
    complaints, progress = measure_share(_COMPLAINT, lines), measure_share(_PROGRESS, lines)
    if prose:
        complaints, progress = complaints / 6, progress / 2
    return (
        max(30 * said, measure_share(_STAMP, lines), measure_share(_JOB_STAMP, lines), 6 * complaints, progress) > 0.3
    )


def _is_diff(lines: list[str]) -> bool:
    """Whether there are hunks, and hardly a line that can't be in a diff."""
    hunks = sum(1 for line in lines if _HUNK.match(line))
    return hunks > 0 and sum(1 for line in lines if _DIFF_LINE.match(line)) > 0.8 * len(lines)


def _take_beginning(text: str, *, seen_through: bool) -> str:
    """Whole lines from the beginning of a text, which parse better than a sample does."""
    cut = len(text) if len(text) <= PARSED_CHARS else text.rfind("\n", 0, PARSED_CHARS) + 1 or PARSED_CHARS
    view = find_view(Rows(text[:cut])) if seen_through else None
    return view.bare if view else text[:cut]


def _is_ini(lines: list[str]) -> bool:
    """Whether titles in brackets stand above settings."""
    titles = measure_share(_INI_TITLE, lines)
    return titles > 0 and measure_share(_INI_SETTING, lines) + titles > 0.85


def _is_objects(lines: list[str]) -> bool:
    """Whether it is objects as a shell or a debugger prints them: keys with values, in brackets of their own lines."""
    opened = sum(1 for line in lines if _OPENED.match(line))
    return opened >= _LEAST_OPENED and measure_share(_MEMBER, lines) > _MEMBER_SHARE


def _is_outline(lines: list[str]) -> bool:
    """Whether most lines are branches of a tree that is drawn by indentation."""
    return measure_share(_TREE, lines) > 0.7


def _is_listing(lines: list[str]) -> bool:
    """Whether most lines are a search's matches, or entries of a folder."""
    if measure_share(_MATCH, lines) > 0.6 or measure_share(_LS, lines) > 0.5:
        return True
    usual, often = Counter(map(len, lines)).most_common(1)[0]
    is_encoded = usual >= _ENCODED_CHARS and often > 0.3 * len(lines)  # base64 holds slashes, too
    return measure_share(_PATH, lines) > 0.9 and not is_encoded


def _ends_as_run(text: str) -> bool:
    """Whether the last lines say how many there were, or how it exited, as no code does."""
    lines = [line.strip() for line in split_visible(text[-_ENDING_CHARS:]) if line.strip()]
    return any(tells_count(line) for line in lines[-_ENDING_LINES:])


def _is_repetitive(lines: list[str]) -> bool:
    """Whether most lines differ in numbers alone, as a machine's do, and are no settings."""
    templates = Counter(_DIGITS.sub("0", line) for line in lines)
    alike = sum(often for often in templates.values() if often >= _OFTEN) / len(lines)
    return alike > 0.8 and measure_share(_SETTING, lines) < 0.3
