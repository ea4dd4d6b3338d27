"""What stands in JSON for what was left out: markers that parse."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentcompress.schema import Span
from agentcompress.segmenters.string_texts import InnerText
from agentcompress.text.delimiters import is_counted

_NAMED_KEYS, _NAMED_CHARS = 4, 40


@dataclass(frozen=True)
class Region:
    """What may go from one place on: up to `stop`; its value ends at `end`."""

    stop: int
    end: int
    kind: str
    key: str


@dataclass(frozen=True)
class JsonStyle:
    """A marker that parses: an element, a member, a line, or a few words inside a string.

    regions: what may go, by its first character, the outermost first. lines: whether the documents are lines. mark: how
    a marker begins, which the text does not contain. inner: texts in strings, in order.
    """

    regions: dict[int, list[Region]]
    lines: bool = False
    mark: str = "[..."
    inner: Sequence[InnerText] = ()

    def gap(self, text: str, gap: Span) -> str:
        """`"[... 12 elements omitted]"`, or `"[... 2 keys omitted: id, name]": null`, with the comma that follows."""
        at = bisect_right(self.inner, gap.start, key=lambda inner: inner.decoded.start) - 1
        if at >= 0 and gap.end <= self.inner[at].decoded.end:
            return self.inner[at].gap(gap)
        gone = list(self._find_gone(gap))
        if not gone or gone[-1].stop != gap.end or (gone[0].kind == "line" and not self.lines):
            return f'"{self.mark} {gap.end - gap.start} chars omitted]"'
        kind = gone[0].kind
        if kind == "text":
            return f"{self.mark} {gap.end - gap.start} chars omitted]" if is_counted(text, gap) else f"{self.mark}]"
        said = f"{self.mark} {len(gone)} {kind}{'' if len(gone) == 1 else 's'} omitted"
        marker = f'"{said}: {_join_keys(gone) or f"at {gap.start}"}]": null' if kind == "key" else f'"{said}]"'
        return f"{marker}{text[gone[-1].end : gap.end]}"

    def longest(self, text: str) -> str:
        """About the longest there will be: texts are counted when they are rendered."""
        keys = ": key, key" if any(region.kind == "key" for held in self.regions.values() for region in held) else ""
        own = f'"{self.mark} {min(len(text), 9999)} elements omitted{keys}]": null,\n      '
        return max([own, *(inner.longest() for inner in self.inner)], key=len)

    def _find_gone(self, gap: Span) -> Iterator[Region]:
        """The outermost regions that a gap leaves out, one behind the other, as far as they fit."""
        at = gap.start
        while at < gap.end:
            fitting = [region for region in self.regions.get(at, ()) if region.stop <= gap.end]
            if not fitting:
                return
            yield fitting[0]
            at = fitting[0].stop


def _join_keys(gone: Sequence[Region]) -> str:
    """The first keys that are gone, as they were written: half an escape would be none; "" where the first is long."""
    names: list[str] = []
    for region in gone[:_NAMED_KEYS]:
        if sum(map(len, names)) + len(region.key) > _NAMED_CHARS:
            break
        names.append(region.key)
    return ", ".join([*names, "..."] if 0 < len(names) < len(gone) else names)
