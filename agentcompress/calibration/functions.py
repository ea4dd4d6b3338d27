"""Find the function that a description fits: real code without the docstring that the description is taken from."""

from __future__ import annotations

import random

from agentcompress.calibration.items import Item, Writer
from agentcompress.corpora.source_files import Function, Source, pick_source

_LEAST_CHARS = 16_000
_ASKS = (
    "Find the function that does this:\n\n{summary}",
    "Which function fits this description? {summary}",
    "Where in the code is this done: {summary}",
)


def find_described(rng: random.Random) -> Item:
    """Make an item: some files, one after the other, and the description of one of their functions."""
    sources = {}
    while sum(len(line) for source in sources.values() for line in source.lines) < _LEAST_CHARS:
        source = pick_source(rng)
        sources[source.path] = source
    gold = rng.choice(list(sources.values()))
    function = rng.choice(gold.functions)
    writer = Writer()
    for source in sources.values():
        writer.add(f"# ==== file: {source.path} ====\n")
        add_code(writer, source, function if source is gold else None)
        writer.add("\n")
    return writer.finish("function", rng.choice(_ASKS).format(summary=function.summary))


def add_code(writer: Writer, source: Source, function: Function | None, numbered: bool = False) -> None:
    """Write a file's lines; those of the function are evidence, and its docstring is left out."""
    for number, line in enumerate(source.lines):
        if function and function.docstring[0] <= number < function.docstring[1]:
            continue
        inside = function is not None and function.lines[0] <= number < function.lines[1]
        if numbered:
            writer.add(f"{number + 1:6d}\t")
        writer.add(f"{line}\n", evidence=inside and len(line.strip()) > 3)
