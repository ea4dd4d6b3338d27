"""The same work in several processes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any


def race(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What processes return that are started with one of these arguments each, the first to end first."""
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    racers = [spawn.Process(target=_answer, args=(answers, work, each)) for each in arguments]
    for racer in racers:
        racer.start()
    found = [answers.get(timeout=240) for _ in racers]
    for racer in racers:
        racer.join()
    return found


def _answer(answers: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    answers.put(work(*arguments))
