"""Lines by their shapes: which of them only a machine writes, by themselves or because so many are alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from agentcompress.schema import Span

_LOOKED_AT_CHARS = 400

_REPEATED, _OFTEN, _VERY_OFTEN, IN_LISTS = 3, 5, 12, 30
"""How many lines must be alike, by how sure their shape is; the most in lists, which people write."""

_STAMP = re.compile(
    r"[ \t]*(?:[\w.-]{1,40}[ \t]*\| )?[\[(<\"]{0,2}(?:time=\"?)?"
    r"(?:\d{4}[-/.]\d\d?[-/.]\d\d?(?:[T ]\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?)?"
    r"|\d\d?[-/.]\d\d?[-/.]\d\d(?:\d\d)?[ T,]+\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?"
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d(?::\d\d)?(?:\.\d+)?(?: \d{4})?"
    r"|\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d"
    r"|[EFIWD]\d{4} \d\d:\d\d:\d\d\.\d+"
    r"|\[[ ]*\d+\.\d{3,}\]|\d{10}\.\d{3,}|\+?\d+\.\d+s )"
)
_ACCESS = re.compile(r"[\da-fA-F.:]{7,45} \S+ \S+ \[\d\d/")
_LEVEL = re.compile(
    r"[ \t]*\[[ ]?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|TRACE|FATAL|NOTICE|debug|info|warn(?:ing)?|error)[ ]?\]"
    r"|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]+:"
)
_MATCH = re.compile(r"[\w.@~+-]*[/\\.][\w.@~+/\\-]*(?::\d+(?::\d+)?:|-\d+-|\(\d+(?:,\d+)?\):)")
_REPORT = re.compile(
    r"\S+::\S+ (?:PASSED|FAILED|SKIPPED|ERROR|XFAIL)|=== (?:RUN|PAUSE|CONT)|\s*--- (?:PASS|FAIL|SKIP): "
    r"|(?:PASS|FAIL) \S*[/.]\S+(?: \(\d[\d.]* ?m?s\))?$|ok\s+\S+\s+(?:\(cached\)|\d[\d.]*s)|(?:not )?ok \d+ - "
    r"|={5,} .*(?:\d|session starts|FAILURES|ERRORS|summary).* ={5,}$|_{10,} \S+ _{10,}$"
    r"|\s*[✓✔✗✘√×●] .*\(\d+(?:\.\d+)? ?m?s\)$"
    r"|test \S+ \.\.\. \w+$|\(\d+ rows?\)$|#\d+ (?:\[|\d+\.\d+ |DONE |CACHED|sha256:)|Step \d+/\d+ : |(?:Get|Hit):\d+ "
    r"|\s+at (?:async |new )?\S+(?: \[as \S+\])? ?\(?\S*:\d+\)?$"
    r"|\s*File \"[^\"]+\", line \d+|\s*at [\w.$]+(?:\.<?\w+>?)\("
    r"|Traceback \(most recent call last\):$"
    r"|npm (?:ERR!|WARN) "
    r"|[-dlbcps][rwxsStT-]{9}[.+@]?\s+\d+\s|\s*(?:[│├└]|[|`]--) ?|\s*<[/!?]?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>.*>$"
    r"|make(?:\[\d+\])?: (?:\*\*\*|Entering|Leaving)|\s*\[ *\d+%\] "
)
_HISTORY = re.compile(
    r"commit [0-9a-f]{7,40}(?: \(.*\))?$|(?:Author|Commit): .*<\S+@\S+>$|(?:Author|Commit)?Date: +\w{3} \w{3} "
    r"|Merge: [0-9a-f]{7,}"
)
_CODE = re.compile(
    r"""
    \s*(?:async[ ]+)?def[ ]\w+\(
    |\s*class[ ]\w+(?:\([\w., =]*\))?:$
    |\s*from[ ][\w.]+[ ]import[ ][\w*(]
    |import[ ][\w.]+(?:[ ]as[ ]\w+)?;?$
    |\s*\#[ ]*(?:include[ ]*[<"]|ifdef[ ]\w+$|ifndef[ ]\w+$|endif\b|define[ ][A-Z_]+)
    |\s*(?:public|private|protected|internal|static|export|func|fn|pub|struct|impl|function|interface|enum)\b
     (?:[^.!?]*[({]|.*[(=\[<].*;)$
    |\s*(?:const|let|var|final)[ ]+[\w{\[][^=]*=[^=]
    |\s*@\w+(?:\.\w+)*(?:\(.*\))?$
    |\s*(?:if|for|while|switch|catch|elif)[ ]?\(.*\)[ ]*\{$
    |\s*(?:[\w.\[\]"'\])>]+)\(.*\)[;,{]$
    |[^.!?]*[)\]\w"'][ ]*(?:=|==|!=|\+=|-=|:=|=>|->)[ ]*[^.!?]*[;{(\[,]$
    |\s*[})\]]+(?:\.[\w.]+)?(?:[ ](?:else|catch|finally|while)\b[^.!?]*[{:;)])?[;,{(:]*$
    |\s*return[ ][^ ]*[(\[;=.'"\d][^.!?]*$
    |\s*"[^"]*"\s*:\s*(?:["\[{\d-]|true|false|null)
    |\s*\[[\w.:-]+(?:[ ]"[^"]*")?\]$
    """,
    re.VERBOSE,
)
_SETTING = re.compile(r"\s*(?:export )?[\w.$\[\]\"'/-]+\s*(?:[-+*/|&:?]?=)(?!=)\s*\S")
_KEY = re.compile(r"\s*(?:- )?[\w.\"'/-]+:(?:\s|$)")
_LABEL = re.compile(r"\S+:$")
_BULLET = re.compile(r"\s*(?:[-*+•–—>]|\d{1,4}[.)]|[a-z][.)]|\[[ xX]\])\s")
_ASKS = re.compile(r"[?？。]\s*$|[\u3040-\u30ff\u3400-\u9fff]")
"""What no machine writes again and again: questions, and sentences in CJK."""

_SAYS_MUCH = 4
"""Lines with so many words in a row are a person's, however many there are, unless their beginnings say otherwise."""

_CLOCK = re.compile(r"\d:\d|\.\d{3}|^[ \t]*[EFIWD]\d{4}")
_GAPS = re.compile(r"(?<=[^\s.!?:;,])([ ]{2,})(?=\S)")
_COLOURS = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
_QUOTED = re.compile(r'"(?:[^"]|"")*"|<[^<>]*>')
_TAG = re.compile(r"</?[A-Za-z][\w:.-]*/?>$")
_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*$")
_CAMEL = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]{2}")
_OPERATOR = re.compile(r"(?:[=|{}<>:+*/%]|[=!<>+*/:|&-]=|=>|->|\|\||&&|::|\.\.\.|[\])};,({\[]+)$")
_AROUND = "\"'`“”„«»‘’()[]{}<>,;:.!?…*"
_SEVERAL = re.compile(r"\b0(?: 0)+\b")
_LETTERS = re.compile(r"[^\W\d_]+")
_FEW_WORDS, _MOST_WORDS = 5, 4
_DIGITS = re.compile(r"\d+")


class Kind(IntEnum):
    """What a line is: `NEUTRAL` has no letters; `MAYBE` is what stands around it."""

    WORDS = 0
    BLANK = 1
    NEUTRAL = 2
    MAYBE = 3
    DATA = 4


@dataclass(slots=True)
class Line:
    """A line: its place, its text as far as it is looked at, its words and what is none, and what it is."""

    start: int
    end: int
    text: str
    kind: Kind = Kind.WORDS
    words: int = 0
    longest: int = 0
    machine: int = 0
    template: str = ""
    family: str = ""

    def mark(self, family: str) -> None:
        """Say that it is data, and of what family."""
        self.kind = Kind.DATA
        self.family = family

    @property
    def indent(self) -> int:
        """How far it is indented."""
        return len(self.text) - len(self.text.lstrip())


def is_item(line: Line) -> bool:
    """Whether a line is an item of a list, as people write them."""
    return _BULLET.match(line.text) is not None


def split_lines(text: str, stretch: Span) -> list[Line]:
    """Return the lines of a stretch, unread."""
    lines, at = [], stretch.start
    while at < stretch.end:
        end = text.find("\n", at, stretch.end)
        end = stretch.end if end < 0 else end
        seen = text[at : min(end, at + _LOOKED_AT_CHARS)].rstrip()
        lines.append(Line(at, end, _COLOURS.sub("", seen) if "\x1b" in seen else seen))
        at = end + 1
    return lines


def read_line(line: Line) -> None:
    """Count what a line holds, and say what it is by itself."""
    text = line.text
    if not text or text.isspace():
        line.kind = Kind.BLANK
        return
    symbols: list[str] = []
    run = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        symbol = _read_token(token)
        run = run + 1 if symbol == "w" else 0
        line.longest = max(line.longest, run)
        line.words += (1 + len(token) // 8) if symbol == "w" else 0
        line.machine += symbol in ("0", "=")
        symbols.append(token.lower() if symbol == "w" else symbol)
    line.template = _SEVERAL.sub("0", " ".join(symbols))
    if not any(map(str.isalpha, text)):
        line.kind = Kind.NEUTRAL
    elif line.machine > line.words and line.longest <= 2 and not _LABEL.match(text):
        line.kind = Kind.MAYBE


def _read_token(token: str) -> str:
    """A word "w", what only machines write "0", an operator "=", or other punctuation, as it is."""
    core = token.strip(_AROUND)
    if not core.isascii():
        core = unicodedata.normalize("NFC", core)  # as macOS writes umlauts, marks stand apart
    if token[:1] == "<" and token[-1] == ">" and _TAG.match(token):
        return "0"
    if not core:
        return "=" if _OPERATOR.match(token) else token[:1]
    if _WORD.match(core):
        return "0" if core.isascii() and _CAMEL.search(core) else "w"
    if any(ord(letter) > 0x24F and letter.isalpha() for letter in core):
        return "w"
    return "0" if any(map(str.isalnum, core)) else core[:1]


class _Family(NamedTuple):
    """Lines that are alike in one respect.

    often: how many there must be. find: what they share, None for a line that is none of them. touching: whether one
    that touches none of the others is none.
    """

    name: str
    often: int
    find: Callable[[Line], object]
    touching: bool = False

    def mark(self, lines: Sequence[Line]) -> None:
        """Mark lines as data whose like stands there often enough."""
        shared = [None if line.kind in (Kind.BLANK, Kind.NEUTRAL) else self.find(line) for line in lines]
        counts = Counter(shared)
        for i, (line, key) in enumerate(zip(lines, shared, strict=True)):
            enough = key is not None and counts[key] >= self.often
            if enough and not (self.touching and _stands_alone(i, shared, lines)):
                line.mark(self.name)


def _stands_alone(i: int, shared: Sequence[object], lines: Sequence[Line]) -> bool:
    """Whether neither line beside a line shares what it has; punctuation between them is passed over."""
    for step in (-1, 1):
        at = i + step
        while 0 <= at < len(lines) and lines[at].kind == Kind.NEUTRAL:
            at += step
        if 0 <= at < len(lines) and shared[at] == shared[i]:
            return False
    return True


def _find_stamp(line: Line) -> object:
    match = _STAMP.match(line.text)
    if match and line.longest >= _SAYS_MUCH and not _CLOCK.search(match.group()):
        return None  # a day, as paragraphs of a person's list begin
    return _DIGITS.sub("0", match.group().strip()) if match else None


def _find_lead(line: Line) -> object:
    """A level that begins a line, or an address."""
    level = _LEVEL.match(line.text)
    return level.group().strip() if level else _find_pattern(_ACCESS)(line)


def _find_pattern(*patterns: re.Pattern[str]) -> Callable[[Line], object]:
    return lambda line: next((pattern for pattern in patterns if pattern.match(line.text)), None)


def _find_cells(line: Line) -> object:
    """A table's row: how often its separator stands in it."""
    text = line.text
    for separator in "|\t":
        if (count := text.count(separator)) >= 2:
            return separator, count
    bare = _QUOTED.sub("", text)
    for separator in ",;":
        if (count := bare.count(separator)) >= 2 and f"{separator} " not in bare:
            return separator, count
    return None


def _find_setting(line: Line) -> object:
    return _SETTING if line.longest <= _MOST_WORDS and _SETTING.match(line.text) else None


def _find_pair(line: Line) -> object:
    """A row of two columns."""
    bare = line.text.strip()
    return next((separator for separator in (" | ", "\t") if bare.count(separator) == 1), None)


def _find_template(line: Line) -> object:
    """A line's words and the places of all else; None for items of lists, and for sentences of words alone."""
    if not line.words:
        return _LETTERS.sub("a", _DIGITS.sub("0", line.text.strip()))
    if _is_persons(line) or not (_varies(line) or line.words <= _FEW_WORDS):
        return None
    return line.template


def _is_persons(line: Line) -> bool:
    """Whether a line may be of a list that somebody has written: an item, a question, several words in a row."""
    if is_item(line) or _ASKS.search(line.text):
        return True
    return line.longest >= _SAYS_MUCH and not line.template.startswith(("0", "="))


def _find_frame(line: Line) -> object:
    """What a line begins and ends with, and how long it is, as in a build: `Compiling serde v1.0`."""
    if not _varies(line) or _is_persons(line):
        return None
    symbols = line.template.split()
    return (symbols[0], *("w" if symbol[0].isalpha() else symbol for symbol in symbols[1:]))


def _varies(line: Line) -> bool:
    """Whether words stand in a line, and something that is none."""
    return line.words > 0 and "0" in line.template.split()


_FAMILIES = (
    _Family("alike", _VERY_OFTEN, _find_template),
    _Family("alike", _VERY_OFTEN, _find_frame),
    _Family("table", _VERY_OFTEN, _find_pair, touching=True),
    _Family("table", _REPEATED, _find_cells, touching=True),
    _Family("matches", _OFTEN, _find_pattern(_MATCH)),
    _Family("report", _REPEATED, _find_pattern(_REPORT)),
    _Family("history", _REPEATED, _find_pattern(_HISTORY)),
    _Family("log", _REPEATED, _find_lead),
    _Family("log", _REPEATED, _find_stamp),
    _Family("code", _OFTEN, _find_setting, touching=True),
    _Family("code", _OFTEN, _find_pattern(_CODE)),
)


def mark_alike(lines: Sequence[Line]) -> None:
    """Mark lines as data that have enough others like them."""
    _mark_columns(lines)
    for family in _FAMILIES:
        family.mark(lines)
    _mark_keys(lines)


def _mark_columns(lines: Sequence[Line]) -> None:
    """Mark rows whose columns begin where those of others do."""
    columns = [[(match.end(), len(match.group())) for match in _GAPS.finditer(line.text)] for line in lines]
    often = Counter(at for row in columns for at, _ in row)
    for line, row in zip(lines, columns, strict=True):
        aligned = [(often[at], gap) for at, gap in row if often[at] >= _OFTEN]
        if len(aligned) >= 2 or any(count >= _VERY_OFTEN and gap > 2 for count, gap in aligned):
            line.mark("table")


def _mark_keys(lines: Sequence[Line]) -> None:
    """Mark YAML's keys, where there are many: such as open a block, and such as come again with the same value."""
    keyed = [bool(_KEY.match(line.text)) for line in lines]
    nested = sum(key and line.indent > 0 for key, line in zip(keyed, lines, strict=True))
    if sum(keyed) < _VERY_OFTEN or nested < _OFTEN:
        return
    texts = Counter(line.text for line in lines)
    for i, line in enumerate(lines[:-1]):
        opens = line.text.endswith(":") and lines[i + 1].indent > line.indent and lines[i + 1].kind != Kind.BLANK
        if keyed[i] and (opens or texts[line.text] >= _REPEATED):
            line.mark("code")
