"""A segmenter of your own: INI files, whose keys keep the section they stand in.

    [project.entry-points."agentcompress.segmenters"]
    ini = "examples.ini_segmenter:IniSegmenter"

puts it in the line: "auto" asks `claims` first. Without an entry point: CompressConfig(segmenter="pkg.mod:Class").
"""

from __future__ import annotations

import re

from agentcompress import CompressConfig, Compressor
from agentcompress.schema import Segment, Unit

_SECTION = re.compile(r"\s*\[[^\]]+\]\s*$")


class IniSegmenter:
    """Lines as units, sections as parents; a key requires its section's header."""

    @staticmethod
    def claims(text: str, hint: str) -> bool:
        return ".ini" in hint or ".cfg" in hint

    def segment(self, text: str) -> Segment:
        units: list[Unit] = []
        start, section, header = 0, 0, ()
        for line in text.splitlines(keepends=True):
            if _SECTION.match(line):
                section, header = section + 1, ()
            units.append(Unit(start, start + len(line), section, requires=header))
            if _SECTION.match(line):
                header = (len(units) - 1,)
            start += len(line)
        return Segment(text, "lines", tuple(units))


SETTINGS = "\n".join(
    f"[service-{n}]\nhost = 10.0.0.{n}\nport = {8000 + n}\ntimeout_seconds = {n % 7 + 1}\nretries = 3\n"
    for n in range(60)
)

if __name__ == "__main__":
    compressor = Compressor(CompressConfig(scorer="lexical", segmenter="examples.ini_segmenter:IniSegmenter"))
    print(compressor.compress_text(SETTINGS, query="Which port does service-41 use?", keep_rate=0.05).text)
