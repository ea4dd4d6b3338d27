"""What was pasted into a text without a mark around it: stretches of lines that only a machine writes.

A line is data where its shape says so (`line_shapes.py`): it begins with a time stamp, has a table's separators, is
JSON, a diff's hunk, or a statement of code; or it says what many other lines say, too, with other numbers and names.
All else may be a person's words, in any language, and is left alone, wherever it stands: precision comes before recall.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile

from agentcompress.messages.line_shapes import IN_LISTS, Kind, Line, is_item, mark_alike, read_line, split_lines
from agentcompress.schema import Span

_LEAST_LINES = 5
"""A stretch with fewer lines of data is an example that somebody has picked, unless they are long."""

_JSON_BEGINS = re.compile(r"^[ \t]*(?=[\[{][ \t]*(?:$|[\"\[{\]}\d-]))", re.MULTILINE)
_MOST_TRIES = 20
_LEAST_JSON_CHARS = 60
_LEAST_LONG_CHARS = 2000
_MOST_EXAMPLE_CHARS, _MOST_OTHER_CHARS = 600, 2000
_HUNK = re.compile(r"@@+ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_DIFF_HEAD = re.compile(r"diff --git \S|index [0-9a-f]{6,}\.\.[0-9a-f]{6,}|--- [ab]/\S|\+\+\+ [ab]/\S")
_CLOSES = re.compile(r"\s*(?:[\])}]+[;,]*|---|\.\.\.)$")
_MESSAGE_INDENT = 4
_QUOTES = ('"""', "'''", "```")
_OPENS = re.compile(r"[:{(\[,]\s*$")
_STATEMENT = (
    r"(?!(?:return|del|assert|raise|yield|import|from|if|elif|else|for|while|try|with|in|not|let|const|var|end|then|fi|done|do"
    r"|case|break|continue|pass|echo|select|insert|update|where|and|or|print|goto|throw|new|await|async|export|using"
    r"|package|type|struct|enum|class|def|fn|func|function|val|local|static|public|private|final|void|int|char|float|double"
    r"|bool|long|auto|unsigned|extern|use|mod|pub|impl|match|loop|defer|go|chan|map|range|switch|default|global|nonlocal"
    r"|except|finally|pass)\b)"
)
_COMMANDS = re.compile(_STATEMENT + r"[A-Za-z]{2,} \S")
_SPOKEN = re.compile(rf"\s*{_STATEMENT}[^\W\d_][^(){{}}=;\[\]<>|]*[^\s:,({{\[]\s*$")
"""Lines that begin like a sentence, with a word that begins no statement; the second holds none of code's marks."""

_REMARK = re.compile(r"^\s*(?:\^+|<[-=]+|[-=]+>(?! \S+:\d)|[←→↑↓⬅⬆])\s*\w|(?:<[-=]{1,3}|←|⬅)\s*\w[^<>=]*$")


def find_pasted(text: str, stretch: Span) -> list[Span]:
    """Ranges of whole lines of a stretch that are data, in order, disjoint, without blank lines at their ends."""
    lines = split_lines(text, stretch)
    for line in lines:
        read_line(line)
    mark_alike(lines)
    mark_enclosed(lines)
    mark_hunks(lines)
    mark_remarks(lines)
    mark_json(text, stretch, lines)
    _settle(lines)
    _spare_paragraphs(lines)
    return list(_join(lines))


def mark_remarks(lines: Sequence[Line]) -> None:
    """Mark as words what points at data: `<-- this one`."""
    for line in lines:
        if line.kind != Kind.BLANK and _REMARK.search(line.text):
            line.kind = Kind.WORDS


def mark_enclosed(lines: Sequence[Line]) -> None:
    """Mark what stands inside of blocks: deeper than a line that opens one, and before one that can end it."""
    ends = _find_ends(lines)
    alone = _find_paragraphs_of_words(lines) | _find_remarks_of_words(lines)
    marked = 0
    for i, line in enumerate(lines):
        end = ends[i]
        if i < marked or end is None or not _is_block(line, lines[end]):
            continue
        marked = end
        for at in range(i + 1, end):
            is_inside = lines[at].indent == _MESSAGE_INDENT if line.family == "history" else at not in alone
            if lines[at].kind != Kind.BLANK and is_inside:
                lines[at].mark(line.family)


def _is_block(first: Line, end: Line) -> bool:
    """Whether a line opens a block, and another, indented as little, can end it."""
    if first.family == "history":
        return end.family == "history"
    return first.family == "code" and _OPENS.search(first.text) is not None and _can_end(end)


def _can_end(line: Line) -> bool:
    return line.family == "code" or _CLOSES.match(line.text) is not None


def _find_ends(lines: Sequence[Line]) -> list[int | None]:
    """For every line the number of the next one that is indented as little."""
    found: list[int | None] = [None] * len(lines)
    waiting: list[int] = []
    for i, line in enumerate(lines):
        if line.kind == Kind.BLANK:
            continue
        while waiting and lines[waiting[-1]].indent >= line.indent:
            found[waiting.pop()] = i
        waiting.append(i)
    return found


def _find_paragraphs_of_words(lines: Sequence[Line]) -> set[int]:
    """Numbers of the lines of paragraphs of words alone, which may be a person's between blocks; not in strings."""
    found: set[int] = set()
    quoted = 0
    for blank, group in groupby(enumerate(lines), lambda each: each[1].kind == Kind.BLANK):
        paragraph = [] if blank else list(group)
        quotes = sum(line.text.count(mark) for _, line in paragraph for mark in ('"""', "'''"))
        if not quotes and quoted % 2 == 0 and all(line.kind == Kind.WORDS for _, line in paragraph):
            found.update(i for i, _ in paragraph)
        quoted += quotes
    return found


def _find_remarks_of_words(lines: Sequence[Line]) -> set[int]:
    """Numbers of lines of plain words, which are no comment and stand in no string of several lines."""
    found: set[int] = set()
    quoted = 0
    for i, line in enumerate(lines):
        quotes = sum(line.text.count(mark) for mark in _QUOTES)
        says = line.kind == Kind.WORDS and not line.machine and (line.longest >= 3 or not line.text.isascii())
        if says and not quotes and quoted % 2 == 0 and _SPOKEN.match(line.text):
            found.add(i)
        quoted += quotes
    return found


def mark_hunks(lines: Sequence[Line]) -> None:
    """Mark a diff's hunks, as many lines as they say they have."""
    old = new = 0
    hunk: list[Line] = []
    for line in lines:
        sign = line.text[:1] or " "
        if (old > 0 or new > 0) and sign in " +-\\":
            old -= sign in " -"
            new -= sign in " +"
            hunk.append(line)
            continue
        match = _HUNK.match(line.text)
        goes_on = match is not None or _DIFF_HEAD.match(line.text) is not None
        _mark_hunk(hunk, whole=goes_on and old == new == 0)
        old, new, hunk = 0, 0, []
        if match:
            old, new = (int(count) if count else 1 for count in match.groups())
        if goes_on:
            line.mark("diff")
    _mark_hunk(hunk, whole=False)


def _mark_hunk(hunk: Sequence[Line], *, whole: bool) -> None:
    """Mark a hunk's lines; of one that nothing says is whole none behind an empty line, and no words at the end."""
    if not whole:
        hunk = list(takewhile(lambda line: line.end > line.start, hunk))
        last = next((i for i in range(len(hunk) - 1, -1, -1) if hunk[i].kind > Kind.BLANK), -1)
        hunk = hunk[: last + 1]
    for line in hunk:
        if line.kind != Kind.BLANK:
            line.mark("diff")


def mark_json(text: str, stretch: Span, lines: Sequence[Line]) -> None:
    """Mark the lines of JSON values that begin and end with a line."""
    starts = [line.start for line in lines]
    for span in _find_json(text, stretch):
        for line in lines[bisect_left(starts, span.start) : bisect_left(starts, span.end)]:
            if line.kind != Kind.BLANK:
                line.mark("json")


def _find_json(text: str, stretch: Span) -> Iterator[Span]:
    decoder = json.JSONDecoder()
    tries, end = 0, stretch.start
    for match in _JSON_BEGINS.finditer(text, stretch.start, stretch.end):
        if match.start() < end or tries == _MOST_TRIES:
            continue
        try:
            _, end = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            tries += 1
            continue
        line_end = text.find("\n", end)
        rest = text[end : line_end if line_end >= 0 else len(text)].strip(" \t\r,")
        if end <= stretch.end and not rest and end - match.start() >= _LEAST_JSON_CHARS:
            yield Span(match.start(), end)


def _settle(lines: Sequence[Line]) -> None:
    """Decide about lines that may be data by what they stand together with, without a blank line between."""
    for is_group, group in groupby(lines, lambda line: line.kind > Kind.BLANK):
        if is_group:
            _settle_group(list(group))


def _settle_group(group: Sequence[Line]) -> None:
    """Between lines of data they are data, and where there are very many; at the edges they may be a person's."""
    sure = [i for i, line in enumerate(group) if line.kind == Kind.DATA]
    for line in group if not sure else ():  # items of a list beside nothing sure are a person's
        line.kind = Kind.WORDS if line.kind == Kind.MAYBE and is_item(line) else line.kind
    maybe = [i for i, line in enumerate(group) if line.kind == Kind.MAYBE]
    inner = range(sure[0], sure[-1]) if sure else range(1, len(group) - 1 if len(maybe) >= IN_LISTS else 0)
    often = Counter(line.template for line in group)
    for i in maybe:
        alone = often[group[i].template] == 1 and _COMMANDS.match(group[i].text) is not None
        group[i].kind = Kind.DATA if i in inner and not alone else Kind.WORDS


def _spare_paragraphs(lines: Sequence[Line]) -> None:
    """Mark as words a small paragraph of a family of its own between two paragraphs of another one."""
    paragraphs = [list(group) for blank, group in groupby(lines, lambda line: line.kind == Kind.BLANK) if not blank]
    families = [_find_family(paragraph) for paragraph in paragraphs]
    for i in range(1, len(paragraphs) - 1):
        beside = {families[i - 1], families[i + 1]}
        small = _measure_chars(paragraphs[i]) <= _MOST_EXAMPLE_CHARS
        if small and families[i] and len(beside) == 1 and families[i] not in beside and "" not in beside:
            for line in paragraphs[i]:
                line.kind = Kind.WORDS


def _find_family(paragraph: Sequence[Line]) -> str:
    """The family of most of a paragraph's data; empty where it has none."""
    often = Counter(line.family for line in paragraph if line.kind == Kind.DATA)
    return often.most_common(1)[0][0] if often else ""


def _join(lines: Sequence[Line]) -> Iterator[Span]:
    """Runs of data with the blank lines in them, and the punctuation that touches them."""
    at = 0
    for is_run, group in groupby(lines, lambda line: line.kind != Kind.WORDS):
        run = list(group)
        follows_words, precedes_words = at > 0, at + len(run) < len(lines)
        at += len(run)
        if not is_run:
            continue
        if follows_words:
            run = run[_measure_example(run) :]
        run = run[_measure_other_kind(run, touching=follows_words) :]
        run = run[: len(run) - _measure_other_kind(run[::-1], touching=precedes_words)]
        if span := _trim(run):
            yield span


def _measure_example(run: Sequence[Line]) -> int:
    """How many lines a small paragraph behind words has: `Answer in this form:` is said of what comes next."""
    first = next((i for i, line in enumerate(run) if line.kind != Kind.BLANK), len(run))
    end = next((i for i in range(first, len(run)) if run[i].kind == Kind.BLANK), len(run))
    return end if _measure_chars(run[:end]) <= _MOST_EXAMPLE_CHARS else 0


def _measure_other_kind(run: Sequence[Line], *, touching: bool) -> int:
    """How many lines at the beginning are of another kind than most of a run, where those are few: a person's table.

    touching: whether words stand beside it; where a text begins or ends, as requests do, they are a paragraph.
    """
    chars: Counter[str] = Counter()
    for line in run:
        chars[line.family] += line.end - line.start if line.family else 0
    usual = chars.most_common(1)[0][0] if chars else ""
    first = next((i for i, line in enumerate(run) if line.family == usual), 0)
    while first and not touching and run[first - 1].kind != Kind.BLANK:
        first -= 1
    return first if _measure_chars(run[:first]) <= _MOST_OTHER_CHARS else 0


def _measure_chars(lines: Sequence[Line]) -> int:
    return sum(line.end - line.start for line in lines)


def _trim(run: Sequence[Line]) -> Span | None:
    data = [i for i, line in enumerate(run) if line.kind == Kind.DATA]
    if len(data) < _LEAST_LINES and _measure_chars([run[i] for i in data]) < _LEAST_LONG_CHARS:
        return None
    first, last = data[0], data[-1]
    while first > 0 and run[first - 1].kind == Kind.NEUTRAL:
        first -= 1
    while last + 1 < len(run) and run[last + 1].kind == Kind.NEUTRAL:
        last += 1
    return Span(run[first].start, run[last].end)
