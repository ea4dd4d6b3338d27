"""GGUF -> a Hugging Face folder in bfloat16 safetensors: once, atomically, by one process at a time.

Reading a GGUF takes tens of seconds at every start, the converted folder about one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentcompress.common import progress
from agentcompress.drafts.quiet import silence_progress_bars
from agentcompress.errors import DraftCorruptError

_LOCK_TIMEOUT_S = 600


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, so that two processes never make or remove it at the same time."""
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock", timeout=_LOCK_TIMEOUT_S)
    try:
        with lock:
            yield
    except Timeout as error:
        raise DraftCorruptError(
            f"{folder} is being made by another process for over {_LOCK_TIMEOUT_S} s: end it, or delete {folder}.lock"
        ) from error


def convert_gguf(file: Path, folder: Path, extra: Mapping[str, str]) -> None:
    """Write the model and tokenizer of `file` to `folder`; `extra` maps file names to their text.

    All of it is written beside `folder` and renamed at the end: `folder` is whole or absent. Call under `lock_folder`.
    """
    for stale in folder.parent.glob(f"{folder.name}.half-*"):
        shutil.rmtree(stale, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{folder.name}.half-", dir=folder.parent))
    try:
        _write_model(file, staging)
        for name, text in extra.items():
            (staging / name).write_text(text, encoding="utf-8")
        for written in staging.iterdir():
            _flush_file(written)
        staging.chmod(0o755)
        if folder.exists():  # without its last file, or we would not be here
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_model(file: Path, staging: Path) -> None:
    """Read a GGUF and save its model and tokenizer to `staging`; `DraftCorruptError` where it can't be read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    progress.report("convert", 0, 3)
    try:
        with silence_progress_bars():
            tokenizer: Any = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
            progress.report("convert", 1, 3)
            model = AutoModelForCausalLM.from_pretrained(
                str(file.parent),
                gguf_file=file.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
            )
            progress.report("convert", 2, 3)
            model.save_pretrained(str(staging))
            tokenizer.save_pretrained(str(staging))
            progress.report("convert", 3, 3)
    except Exception as error:  # a damaged file makes the readers stumble in any way
        raise DraftCorruptError(f"{file.name} can't be read as GGUF: {error}") from error


def _flush_file(file: Path) -> None:
    """Return when a file's bytes are on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
