"""The docs' fences and commands, so that tests can run what a reader would copy."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^<!-- (agentcompress .*) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """What stands between ``` and ```. line: of the page, where the first line of `code` is."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def run(self, names: dict[str, Any]) -> None:
        """Execute the code with `names`, and leave what it binds there. Errors name the page and its line."""
        exec(compile("\n" * (self.line - 1) + self.code, str(self.page), "exec"), names)


def fences(page: Path, language: str) -> list[Fence]:
    text = page.read_text(encoding="utf-8")
    return [
        Fence(page, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Every call of `program` in the pages: where it stands, and its arguments, up to a pipe, `>` or comment."""
    found = []
    for page in PAGES:
        lines = [
            (fence.line + i, line) for fence in fences(page, "sh") for i, line in enumerate(fence.code.split("\n"))
        ]
        text = page.read_text(encoding="utf-8")
        lines += [(text.count("\n", 0, hit.start()) + 1, hit[1]) for hit in _COMMENT.finditer(text)]
        for number, line in lines:
            for part in _parts(line):
                if part and part[0].removeprefix(".venv/bin/") == program:
                    found.append((f"{page.name}:{number}", part[1:]))
    return found


def _parts(line: str) -> list[list[str]]:
    """The simple commands of a pipeline, in words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    parts: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|;>"):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
