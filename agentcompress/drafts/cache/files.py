"""Encoded windows on disk: one safetensors file each, shared by processes, capped in size.

Nothing here is needed for a right answer: a file that is damaged is dropped, a folder that can't be written to or has
gone is worked without, and a warning says so once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import torch
from torch import Tensor

from agentcompress.common.checks import checked_count
from agentcompress.drafts.pages import EXTENT_PAGES, Shape, Window, place_windows

_log = logging.getLogger("agentcompress")
_SUFFIX = ".kv.safetensors"
_FULL_QUEUE = 32  # windows waiting to be written, their memory held
_PATIENCE_S = 5.0
_RESCAN = 64  # files written before others' files are counted again
_LEFTOVER_S = 3600


class WindowFiles:
    """A folder of encoded windows. max_bytes: of all of them, >= 1; those not used for longest are deleted first."""

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int) -> None:
        self.folder = Path(os.path.expanduser(folder))  # noqa: PTH111 - Path.expanduser raises for "~nobody"
        self.max_bytes = checked_count("segment_cache_folder_bytes", max_bytes)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="agentcompress-segments")
        self._queued = threading.Semaphore(_FULL_QUEUE)
        self._written = 0
        self._bytes = 0
        self._warned = False

    def load(self, tokens: Mapping[str, int], shape: Shape) -> dict[str, Window]:
        """Return the windows that are on disk, by key.

        tokens: of each window that is wanted, by its key. A file that does not hold what it should is deleted, with a
        warning.
        """
        read: dict[str, Tensor] = {}
        for key, count in tokens.items():
            kv = self._read_file(self.folder / f"{key}{_SUFFIX}", shape, count)
            if kv is not None:
                read[key] = kv
        windows = place_windows(list(read), [tokens[key] for key in read], shape, EXTENT_PAGES)
        for window in windows:
            for layer, (keys, values) in enumerate(read.pop(window.key)):
                window.extent.write_window(layer, window.page, keys, values)
        return {window.key: window for window in windows}

    def store(self, windows: Iterable[Window]) -> None:
        """Write windows in the background. Waits a little where the disk does not keep up, then leaves the rest."""
        for window in windows:
            if not self._queued.acquire(timeout=_PATIENCE_S):
                self._warn_once("it is too slow")
                return
            self._writer.submit(self._store_window, window)

    def flush(self) -> None:
        """Return when everything stored so far is on disk, or was given up."""
        self._writer.submit(lambda: None).result()

    def _store_window(self, window: Window) -> None:
        """Write one window, in the writer's thread; whatever goes wrong is warned about, once."""
        try:
            self._write_file(self.folder / f"{window.key}{_SUFFIX}", window.copy_kv().cpu())
            if self._written % _RESCAN == 0 or self._bytes > self.max_bytes:
                self._bytes = self._shrink_folder()
            self._written += 1
        except Exception as error:  # noqa: BLE001 - a full or read-only disk in any of its ways
            self._warn_once(error)
        finally:
            self._queued.release()

    def _warn_once(self, reason: object) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("segment cache: %s can't be written to (%s); going on without", self.folder, reason)

    def _write_file(self, file: Path, kv: Tensor) -> None:
        from safetensors.torch import save

        if file.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        data = save({"kv": kv}, {"crc32": str(_compute_checksum(kv))})
        if len(data) > self.max_bytes:
            return
        part = file.with_name(f"{uuid4().hex}.part")
        try:
            with part.open("xb") as stream:
                stream.write(data)
            part.replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        self._bytes += len(data)

    def _read_file(self, file: Path, shape: Shape, tokens: int) -> Tensor | None:
        """Keys and values (L, 2, KV, T, D) of a file; None where there is none, or it is damaged and was deleted."""
        from safetensors import safe_open

        try:
            with safe_open(file, framework="pt") as opened:  # mapped into memory, not read into it
                kv = opened.get_tensor("kv")
                expected = (opened.metadata() or {}).get("crc32")
            if (
                tuple(kv.shape) == shape.get_kv_shape(tokens)
                and kv.dtype == shape.dtype
                and expected == str(_compute_checksum(kv))
            ):
                with contextlib.suppress(OSError):  # somebody else's file, or a read-only disk
                    os.utime(file)
                return kv
            reason = "not what was written"
        except OSError:  # not there, not ours to read, or a disk that fails: as good as not there
            return None
        except Exception as error:  # noqa: BLE001 - a damaged file makes its reader stumble in any way
            reason = str(error)
        _log.warning("segment cache: %s is damaged (%s) and is computed again", file, reason)
        with contextlib.suppress(OSError):
            file.unlink()
        return None

    def _shrink_folder(self) -> int:
        """Delete what is over nine tenths of the cap, least recently used first, and leavings of killed writers."""
        files, now = [], None
        for entry in os.scandir(self.folder):
            with contextlib.suppress(OSError):  # another process shrinks as well, or it is another user's
                stat = entry.stat()
                if entry.name.endswith(_SUFFIX):
                    files.append((stat.st_mtime, stat.st_size, entry.path))
                elif entry.name.endswith(".part"):
                    now = now or _read_disk_clock(self.folder)
                    if now - stat.st_mtime > _LEFTOVER_S:
                        Path(entry.path).unlink()
        total = sum(size for _, size, _ in files)
        if total > self.max_bytes:
            for _, size, path in sorted(files):
                if total <= 0.9 * self.max_bytes:
                    break
                with contextlib.suppress(OSError):
                    Path(path).unlink()
                    total -= size
        return total


def _read_disk_clock(folder: Path) -> float:
    """What time the file system says it is, in seconds since the epoch: it may be another machine's."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def _compute_checksum(kv: Tensor) -> int:
    return zlib.crc32(kv.contiguous().view(torch.uint8).numpy().data)
