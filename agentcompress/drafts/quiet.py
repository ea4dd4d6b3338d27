"""transformers without its progress bars, for as long as something of ours runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence_progress_bars() -> Iterator[None]:
    """Switch transformers' progress bars off, and on again if they were on."""
    from transformers.utils import logging

    were_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_on:
            logging.enable_progress_bar()
