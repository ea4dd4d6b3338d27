"""What commands share: bars on standard error, options, and checks of what they write."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from agentcompress.common import progress

if TYPE_CHECKING:
    from agentcompress.config import CompressConfig


class RateOption(click.ParamType):
    """The type of an option that takes a keep rate: a number, or "auto"."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Turn what was typed into a number, or leave "auto" as it is; ranges are checked where it is used."""
        return value if value == "auto" else click.FLOAT.convert(value, param, ctx)


def add_compressor_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a command compresses: keep_rate, scorer, draft, target (`CompressorOptions`)."""
    options = (
        click.option("-k", "--keep-rate", type=RateOption(), default="auto", show_default=True, help="Share to keep."),
        click.option("-s", "--scorer", default="reader", show_default=True, help="Scorer."),
        click.option("-d", "--draft", default="smollm2-135m", show_default=True, help="Model that scores."),
        click.option("--target", default="gpt-4o", show_default=True, help="Model whose tokens are counted."),
    )
    for option in reversed(options):  # the last one that is put on stands first
        command = option(command)
    return command


@dataclass(frozen=True)
class CompressorOptions:
    """Values of the options that `add_compressor_options` adds."""

    keep_rate: Any
    scorer: str
    draft: str
    target: str

    def build_config(self, ledger: str) -> CompressConfig:
        """Build the configuration that they and a ledger's name stand for; compression may take as long as it takes."""
        from agentcompress.config import CompressConfig

        return CompressConfig(
            scorer=self.scorer,
            draft=self.draft,
            target=self.target,
            keep_rate=self.keep_rate,
            ledger=ledger,
            deadline_ms=None,
        )


def check_folder(file: Path, option: str) -> None:
    """Raise, before anything is done, where an option names a file in a folder that is not there."""
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"no such folder: {file.parent}", param_hint=option)


def check_plot(file: Path) -> None:
    """Raise, before anything is measured, where a picture could not be written: no matplotlib, or no such format."""
    from agentcompress.evaluation.plots import FORMATS, load_figure_class

    load_figure_class()
    if file.suffix.lower() not in FORMATS:
        raise click.BadParameter(f"one of {', '.join(FORMATS)}", param_hint="--plot")


@contextmanager
def show_progress() -> Iterator[None]:
    """Show what is reported in this context as bars on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        with redirect_stderr(_WithoutBars(sys.stderr)):
            yield
        return

    class Amount(MofNCompleteColumn):
        def render(self, task: Any) -> Any:
            return DownloadColumn().render(task) if task.description == "download" else super().render(task)

    columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        with progress.listening(show), redirect_stderr(_WithoutBars(sys.stderr)):
            yield


class _WithoutBars(io.TextIOBase):
    """Standard error without the bars that libraries below draw there; ours stands for them all."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if "\r" not in text and text != "\n":
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
