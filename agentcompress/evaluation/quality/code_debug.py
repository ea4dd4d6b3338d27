"""Find the function with the error, A to D: in the manner of InfiniteBench's Code.Debug, from installed packages.

One comparison, operator or constant of a function is turned into another; three other functions stand beside it.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator

from agentcompress.corpora.source_files import HELD_OUT_PACKAGES, Function, Source, pick_source
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence
from agentcompress.schema import Span

_TURNED = (
    (r" == ", " != "),
    (r" != ", " == "),
    (r" is not None", " is None"),
    (r" is None", " is not None"),
    (r" not in ", " in "),
    (r"\bif not ", "if "),
    (r" and ", " or "),
    (r" < ", " >= "),
    (r" > ", " <= "),
    (r" \+ 1\b", " - 1"),
    (r"\bTrue\b", "False"),
    (r"\[0\]", "[1]"),
)


class CodeDebugTask:
    """Items of at least `chars` characters of code each, from a seed; `count` of them where nobody says how many."""

    def __init__(self, chars: int = 60_000, count: int = 20, seed: int = 7) -> None:
        if chars < 5_000:
            raise InvalidInputError("chars", chars, "a whole number >= 5000")
        self.name = f"code-debug-{chars}"
        self.chars, self.count, self.seed = chars, count, seed

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        """Yield the first `limit` items, or all."""
        for number in range(self.count if limit is None else limit):
            yield self._make_item(number, random.Random(f"{self.seed}:code-debug:{number}"))

    def _make_item(self, number: int, rng: random.Random) -> EvalItem:
        sources: dict[str, Source] = {}
        while sum(len(line) + 1 for source in sources.values() for line in source.lines) < self.chars:
            source = pick_source(rng, HELD_OUT_PACKAGES)
            sources[source.path] = source
        broken, function, line, text = _break_function(list(sources.values()), rng)
        parts, at = [], 0
        for source in sources.values():
            lines = list(source.lines)
            head = f"# ==== file: {source.path} ====\n"
            if source is broken:
                lines[line] = text
                before = sum(map(len, parts)) + len(head) + sum(len(other) + 1 for other in lines[:line])
                at = before + len(text) - len(text.lstrip())
            parts.append(head + "\n".join(lines) + "\n\n")
        names = {f.name for source in sources.values() for f in source.functions} - {function.name}
        options = [function.name, *rng.sample(sorted(names), k=3)]
        rng.shuffle(options)
        letters = dict(zip("ABCD", options, strict=True))
        right = next(letter for letter, name in letters.items() if name == function.name)
        listed = " ".join(f"{letter}. {name}" for letter, name in letters.items())
        question = f"Exactly one function in these files was changed so that it is wrong. Which one? {listed}"
        return EvalItem(
            id=f"{self.name}-{number}",
            text="".join(parts),
            query=question,
            evidence=Evidence(spans=(Span(at, at + len(text.strip())),)),
            answers=(right, function.name),
            metric="choice",
            behind=f"\n{question}\nAnswer with one letter.\nThe correct option is:",
            before="One of the functions in the following Python files contains an error.\n\n",
            max_tokens=16,
        )


def _break_function(sources: list[Source], rng: random.Random) -> tuple[Source, Function, int, str]:
    """Pick a function and change one of its lines: (file, function, number of the line, what now stands there)."""
    while True:
        source = rng.choice(sources)
        function = rng.choice(source.functions)
        lines = [n for n in range(function.docstring[1], function.lines[1]) if not _is_comment(source.lines[n])]
        rng.shuffle(lines)
        for number in lines:
            for pattern, other in rng.sample(_TURNED, k=len(_TURNED)):
                changed = re.sub(pattern, other, source.lines[number], count=1)
                if (
                    changed != source.lines[number]
                    and changed not in source.lines
                    and _is_other_program(source, number, changed)
                ):
                    return source, function, number, changed


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(("#", '"', "'"))


def _is_other_program(source: Source, number: int, line: str) -> bool:
    """Tell whether a file with this line changed is still Python, and another program.

    A change within a string or comment makes no other one.
    """
    lines = list(source.lines)
    lines[number] = line
    try:
        changed = ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return _dump_shape(changed) != _dump_shape(ast.parse("\n".join(source.lines)))


def _dump_shape(tree: ast.AST) -> str:
    """Dump a program's tree without the text of its strings."""
    return re.sub(r"value='(?:[^'\\]|\\.)*'|value=\"(?:[^\"\\]|\\.)*\"", "value=''", ast.dump(tree))
