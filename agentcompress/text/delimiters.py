"""The text that stands where something was left out, by kind of segment.

A style is a function of the gap alone. Every style but the papers' fixed one picks a mark that the segment does not
contain, so that a delimiter can't be confused with source text, and one that comes back in a later message is source
text there. What goes is counted where much went; else the mark stands alone, since many small gaps would pay for their
counts with lines that could have stayed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentcompress.schema import DelimiterStyle, Segment, Span

_COUNTED_SHARE, _COUNTED_CHARS = 0.125, 2000
"""A gap over this share of a text, or over so many characters, says how much it leaves out."""

_INDENT = re.compile(r"(?:[^\S\n]*\n)*([^\S\n]*)")
_MOST_INDENT = 40
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*\Z")
_WRAPPED_CHARS = 120
"""Lines of prose that are longer, on average, are paragraphs."""

_LONG_LINE = re.compile(r"[^\n]{1000}")
_LINE_END = re.compile(r"[^\S\n]*\n")
_NUMBERED = re.compile(r"\.\.\. #(\d{1,18})")


def is_counted(text: str, gap: Span) -> bool:
    """Whether a gap is so long that its delimiter says how much it leaves out."""
    return gap.end - gap.start >= min(_COUNTED_SHARE * len(text), _COUNTED_CHARS)


@dataclass(frozen=True)
class InlineStyle:
    """Prose: the mark between two sentences, on a line of its own behind a whole line.

    counts_lines: whether it says how many lines went. Where a line is a paragraph, that would say little, and cost as
    much as a short sentence.
    """

    mark: str
    counts_lines: bool = False

    def gap(self, text: str, gap: Span) -> str:
        """` [...] ` within a line, ` [...]` and a line feed from within one line into another, else `[... 3 lines]`.

        No blank before it at the start. The white space before what is left out belongs to the gap.
        """
        breaks = _find_line_break(text, gap)
        ends_line = gap.start > 0 and _LINE_END.match(text, gap.start) is not None
        before = "" if gap.start == 0 else breaks if ends_line else " "
        lines = _count_whole_lines(text, gap) if self.counts_lines and is_counted(text, gap) else 0
        after = "" if gap.end == len(text) else breaks or " "
        if ends_line and _BLANK_LINE.search(text, gap.start, gap.end):
            after *= 2  # the next paragraph stands apart, as it did
        return f"{before}{self._say_lines(lines) if lines else self.mark}{after}"

    def longest(self, text: str) -> str:
        """The mark with the number of all lines, line breaks around it: they cost more tokens than blanks."""
        breaks = "\r\n" if "\r\n" in text else "\n"
        lines = text.count("\n")
        said = self._say_lines(max(10, lines)) if lines and self.counts_lines else self.mark
        return f"{breaks}{said}{breaks * 2}" if lines else f" {self.mark}\n"

    def _say_lines(self, number: int) -> str:
        return f"{self.mark[:-1]} {number} line{'' if number == 1 else 's'}]"


@dataclass(frozen=True)
class LineStyle:
    """Whole lines: a line of its own, at the indentation of the first line left out, that says how many, if many.

    Inside a line (an oversized one that was cut) the characters are counted, beside the whole lines that went.
    """

    mark: str

    def gap(self, text: str, gap: Span) -> str:
        """`[...]`; of much `[... 14 lines omitted]`, or `[... 380 chars and 14 lines omitted]`."""
        if is_counted(text, gap):
            return self.count_gap(text, gap)
        breaks = _find_line_break(text, gap) if text[gap.end - 1] == "\n" else ""
        return f"{_find_indent(text, gap)}[{self.mark}]{breaks}"

    def count_gap(self, text: str, gap: Span) -> str:
        """A delimiter that says how much it stands for, however little that is."""
        breaks = _find_line_break(text, gap) if text[gap.end - 1] == "\n" else ""
        return f"{_find_indent(text, gap)}[{self.mark} {count_omitted(text, gap)} omitted]{breaks}"

    def longest(self, text: str) -> str:
        """The delimiter of a gap that leaves out as many lines as the text has characters: none is longer."""
        number = max(10, len(text))
        chars = f"{number} chars and " if _LONG_LINE.search(text) else ""
        return f"{' ' * _MOST_INDENT}[{self.mark} {chars}{number} lines omitted]\n"


@dataclass(frozen=True)
class CommentStyle:
    """Code: a comment line of the language, at the indentation of the first line left out; of many, it says which.

    opening, closing: around the words. numbered: the text shows the numbers of its lines, so that the neighbours say
    which are gone. within: what opens a delimiter inside a line.
    """

    opening: str
    closing: str
    line_starts: Sequence[int]
    numbered: bool = False
    within: str = "[..."

    def gap(self, text: str, gap: Span) -> str:
        """`# ...`; of many `# ... 14 lines omitted (120-133)`, from 1 on; inside a line `[... 380 chars omitted]`."""
        rows = find_whole_rows(text, gap, self.line_starts)
        breaks = _find_line_break(text, gap) if text[gap.end - 1] == "\n" else ""
        if not is_counted(text, gap):
            said = f"{self.within}]" if rows is None else f"{_find_indent(text, gap)}{self.opening}{self.closing}"
            return f"{said}{breaks}"
        if rows is None:
            return f"{self.within} {count_omitted(text, gap)} omitted]{breaks}"
        first, last = rows
        lines = last - first + 1
        which = f"{first + 1}-{last + 1}" if lines > 1 else f"{last + 1}"
        return f"{_find_indent(text, gap)}{self._say_omitted(lines, which)}{breaks}"

    def longest(self, text: str) -> str:
        """The delimiter of a gap over all lines, with their largest numbers: none is longer."""
        highest = max(10, len(self.line_starts))
        return f"{' ' * _MOST_INDENT}{self._say_omitted(highest, f'{highest}-{highest}')}\n"

    def _say_omitted(self, lines: int, which: str) -> str:
        place = "" if self.numbered else f" ({which})"
        return f"{self.opening} {lines} line{'' if lines == 1 else 's'} omitted{place}{self.closing}"


def make_comment_style(
    text: str, comment: tuple[str, str], line_starts: Sequence[int], *, numbered: bool = False
) -> CommentStyle:
    """A language's style, with a mark that the text does not contain. comment: what opens and closes one."""
    opening, closing = comment
    mark = choose_unused_mark(text, (f"{opening} ...", f"{opening} …"), f"{opening} ... #{{}}:")
    within = choose_unused_mark(text, ("[...", "[…"), "[... #{}:")
    return CommentStyle(mark, f" {closing}" if closing else "", line_starts, numbered, within)


class Part(NamedTuple):
    """A stretch of a text with a style of its own, which sees nothing but `text`, the stretch itself."""

    start: int
    end: int
    text: str
    style: DelimiterStyle


@dataclass(frozen=True)
class PartsStyle:
    """Several styles in one text: that of the part a gap lies in, else the outer one. parts: disjoint, ascending."""

    outer: DelimiterStyle
    parts: Sequence[Part]

    def gap(self, text: str, gap: Span) -> str:
        """The delimiter of the style that the gap's part has; of the outer one, across parts."""
        at = bisect_right(self.parts, gap.start, key=lambda part: part.start) - 1
        if at < 0 or gap.end > self.parts[at].end:
            return self.outer.gap(text, gap)
        part = self.parts[at]
        said = part.style.gap(part.text, Span(gap.start - part.start, gap.end - part.start))
        ends_line = gap.end < len(text) and text[gap.end - 1] == "\n"
        return said if said.endswith("\n") or not ends_line else f"{said}{_find_line_break(text, gap)}"

    def longest(self, text: str) -> str:
        """The longest delimiter of any of the styles."""
        said = [self.outer.longest(text), *(part.style.longest(part.text) for part in self.parts)]
        return max(said, key=len)


@dataclass(frozen=True)
class FixedStyle:
    """The same words between any two kept stretches, and none at the ends (arXiv 2603.02631, 3.2)."""

    words: str

    def gap(self, text: str, gap: Span) -> str:
        """The words, on a line of their own where the gap ends lines, else between blanks."""
        if gap.start == 0 or gap.end == len(text):
            return ""
        return f"\n{self.words}\n" if "\n" in text[gap.start : gap.end] else f" {self.words} "

    def longest(self, text: str) -> str:
        """The words on a line of their own: line breaks cost more tokens than blanks."""
        return f"\n{self.words}\n"


def choose_style(segment: Segment, words: str | None = None) -> DelimiterStyle:
    """Return the segment's own style, else that of its kind, with a mark its text does not contain.

    words: of the user's own, which stand in every gap then.
    """
    if words:
        return FixedStyle(words)
    if segment.style:
        return segment.style
    return make_inline_style(segment.text) if segment.kind in ("prose", "chunks") else make_line_style(segment.text)


def make_line_style(text: str) -> LineStyle:
    """Make the style of whole lines, with a mark that the text does not contain."""
    return LineStyle(choose_unused_mark(text, ("[...", "[…"), "[... #{}:")[1:])


def make_inline_style(text: str) -> InlineStyle:
    """Make the style of prose, with a mark that the text does not contain."""
    lines = [len(line) for line in text.split("\n") if line.strip()]
    is_wrapped = sum(lines) <= _WRAPPED_CHARS * len(lines)
    return InlineStyle(choose_unused_mark(text, ("[...", "[…"), "[... #{}") + "]", counts_lines=is_wrapped)


def choose_unused_mark(text: str, marks: tuple[str, ...], numbered: str) -> str:
    """Return the first of the marks that the text does not hold, else a numbered one above all it holds."""
    for mark in marks:
        if mark not in text:
            return mark
    used = (int(number) for number in _NUMBERED.findall(text))
    return numbered.format(max(used, default=1) + 1)


def find_whole_rows(text: str, gap: Span, line_starts: Sequence[int]) -> tuple[int, int] | None:
    """First and last row of a gap that leaves out whole lines; None where it begins or ends inside one."""
    first = bisect_right(line_starts, gap.start) - 1
    if line_starts[first] != gap.start or (gap.end < len(text) and text[gap.end - 1] != "\n"):
        return None
    return first, bisect_right(line_starts, gap.end - 1) - 1


def count_omitted(text: str, gap: Span) -> str:
    """How much a gap leaves out: `14 lines`, `380 chars` of lines of which a part stays, `380 chars and 14 lines`."""
    first, last = gap
    chars = 0
    if first > 0 and text[first - 1] != "\n":
        first = (text.find("\n", first, last) + 1) or last
        chars += first - gap.start - (text[first - 1] == "\n")
    if last < len(text) and text[last - 1] != "\n":
        last = max(first, text.rfind("\n", first, last) + 1)
        chars += gap.end - last
    lines = text.count("\n", first, last) + (last > first and text[last - 1] != "\n")
    said = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in ((chars, "char"), (lines, "line")) if n]
    return " and ".join(said) or "0 chars"


def _count_whole_lines(text: str, gap: Span) -> int:
    """How many lines that say something a gap leaves out from their beginning to their end."""
    if "\n" not in text[gap.start : gap.end]:
        return 0
    start, end = gap
    if start > 0 and text[start - 1] != "\n":
        start = text.find("\n", start, end) + 1
    if end < len(text) and text[end - 1] != "\n":
        end = text.rfind("\n", start, end) + 1
    return sum(1 for line in text[start:end].split("\n") if line.strip())


def _find_line_break(text: str, gap: Span) -> str:
    """The last line break in a gap as it is written, "\\n" or "\\r\\n"; "" where it has none."""
    last = text.rfind("\n", gap.start, gap.end)
    if last < 0:
        return ""
    return "\r\n" if last > 0 and text[last - 1] == "\r" else "\n"


def _find_indent(text: str, gap: Span) -> str:
    """White space before the first line left out that is not blank, up to 40 characters; none inside a line."""
    if gap.start > 0 and text[gap.start - 1] != "\n":
        return ""
    found = _INDENT.match(text, gap.start, gap.end)
    return found.group(1)[:_MOST_INDENT] if found else ""
