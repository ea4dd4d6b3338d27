"""Real code to make items from: the Python files of packages that agentcompress needs, so that they are there."""

from __future__ import annotations

import ast
import importlib.util
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from agentcompress.errors import EvaluationError

PACKAGES = ("accelerate", "click", "filelock", "huggingface_hub", "jinja2", "numpy", "pydantic", "rich", "tiktoken")
"""Packages whose files drafts are calibrated on."""

HELD_OUT_PACKAGES = ("litellm", "transformers")
"""Packages whose files drafts are evaluated on, and never calibrated on."""

_FILE_CHARS = range(4_000, 50_000)
_FUNCTION_LINES = range(5, 60)
_MOST_TRIES = 1000


@dataclass(frozen=True)
class Function:
    """A function or method. lines: half-open range of line numbers, from 0, decorators included.

    docstring: half-open range of its docstring's lines. summary: the docstring's first paragraph.
    """

    name: str
    lines: tuple[int, int]
    docstring: tuple[int, int]
    summary: str


@dataclass(frozen=True)
class Source:
    """A Python file with at least two documented functions. path: as it is written in an import, with slashes."""

    path: str
    lines: tuple[str, ...]
    functions: tuple[Function, ...]


def pick_source(rng: random.Random, packages: tuple[str, ...] = PACKAGES) -> Source:
    """One file, drawn by its package first: large packages are not read more often.

    Raises `EvaluationError` where none of the packages has its source on this machine.
    """
    there = [package for package in packages if _list_files(package)]
    for _ in range(_MOST_TRIES if there else 0):
        package = rng.choice(there)
        found = _read_source(rng.choice(_list_files(package)), package)
        if found:
            return found
    raise EvaluationError(f"no Python files with documented functions in the packages {', '.join(packages)}")


@lru_cache(maxsize=16)
def _list_files(package: str) -> tuple[Path, ...]:
    """A package's Python files of a usual size, tests and vendored code left out; () where it is not here."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return ()
    folder = Path(spec.submodule_search_locations[0])
    files = (f for f in folder.rglob("*.py") if not {"tests", "test", "_vendor"} & set(f.relative_to(folder).parts))
    return tuple(sorted(file for file in files if file.stat().st_size in _FILE_CHARS))


@lru_cache(maxsize=256)
def _read_source(file: Path, package: str) -> Source | None:
    """A file with its documented functions; None where it has fewer than two, or is no Python."""
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    functions = [
        found
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _read_function(node))
    ]
    parts = file.parts[len(file.parts) - file.parts[::-1].index(package) - 1 :]
    if len(functions) < 2:
        return None
    return Source("/".join(parts), tuple(text.splitlines()), tuple(functions))


def _read_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function | None:
    """A function of a usual length with a docstring of one; None where it is not."""
    documented = ast.get_docstring(node)
    if not documented or len(node.body) < 2 or node.end_lineno is None:
        return None
    docstring = node.body[0]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    code_lines = node.end_lineno - first - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)
    summary = " ".join(documented.split("\n\n")[0].split())
    if code_lines not in _FUNCTION_LINES or not 40 <= len(summary) <= 400 or docstring.lineno == node.lineno:
        return None
    return Function(
        node.name, (first, node.end_lineno), (docstring.lineno - 1, docstring.end_lineno or docstring.lineno), summary
    )
