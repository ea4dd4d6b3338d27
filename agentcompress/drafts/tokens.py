"""The draft's tokenizer: text -> ids with character ranges. Loads no weights."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from agentcompress.drafts import load
from agentcompress.errors import DraftCorruptError, DraftUnsupportedError

_MARK = "\u2402agentcompress\u2402"
_SYSTEM = "You find the parts of the context that answer the question."
_OPENING = "Context:\n"
_loading = threading.Lock()


@dataclass(frozen=True)
class Tokens:
    """Draft tokens of a text: `ids`, and the characters `[starts[i], ends[i])` each stands for; int64, shape (n,)."""

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its arrays take."""
        return self.ids.nbytes + self.starts.nbytes + self.ends.nbytes


@dataclass(frozen=True)
class Template:
    """The words around the windows, as text: `sink` before, `closing` behind the query (chat suffix included)."""

    sink: str
    closing: str


class DraftTokenizer:
    """One draft's tokenizer. Safe in several threads: Hugging Face's keeps call options on the object."""

    def __init__(self, files: load.DraftFiles) -> None:
        from transformers import AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(str(files.folder))
        except Exception as error:  # a damaged file makes the readers stumble in any way
            raise DraftCorruptError(f"the tokenizer of draft {files.name!r} can't be loaded: {error}") from error
        if not tokenizer.is_fast:
            raise DraftUnsupportedError(f"draft {files.name!r} has no fast tokenizer, so no character offsets")
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.template = _read_template(tokenizer)

    def tokenize(self, text: str) -> Tokens:
        """Tokenize plain text: special-token spellings in it are text. Lone surrogates count as U+FFFD."""
        with self._lock:
            encoded = self._tokenizer(
                replace_surrogates(text),
                add_special_tokens=False,
                return_offsets_mapping=True,
                return_attention_mask=False,
                split_special_tokens=True,
                verbose=False,
            )
        offsets = np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
        return Tokens(np.asarray(encoded["input_ids"], dtype=np.int64), offsets[:, 0], offsets[:, 1])

    def get_prefix_ids(self) -> list[int]:
        """Ids that every prompt of this model begins with: its begin-of-sequence token, or none."""
        with self._lock:
            return list(self._tokenizer("", verbose=False)["input_ids"])

    def tokenize_template(self, text: str) -> list[int]:
        """Ids of template text, where special-token spellings are special tokens."""
        with self._lock:
            return self._tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)[
                "input_ids"
            ]


def tokenize_question(tokenizer: Any, query: str, most: int | None = None) -> list[int]:
    """Ids of what stands behind the text: the query and the template's end.

    most: tokens of the query; a longer one loses its middle, two thirds of what stays before it.
    """
    asked = tokenizer.tokenize(f"\n\nQuestion: {query}").ids.tolist()
    if most is not None and len(asked) > most:
        head = 2 * most // 3
        asked = asked[:head] + asked[head - most :]
    return asked + tokenizer.tokenize_template(tokenizer.template.closing)


def get_draft_tokenizer(name: str) -> DraftTokenizer:
    """Return the draft's tokenizer, fetching the draft where needed; one per name and process."""
    with _loading:
        return _load_tokenizer(name)


@lru_cache(maxsize=8)
def _load_tokenizer(name: str) -> DraftTokenizer:
    return DraftTokenizer(load.pull_draft(name))


def _read_template(tokenizer: Any) -> Template:
    """Take the draft's own chat template apart around the context; a base model gets plain words."""
    if not tokenizer.chat_template:
        return Template(f"{tokenizer.bos_token or ''}{_SYSTEM}\n\n{_OPENING}", "\nAnswer:")
    user = {"role": "user", "content": f"{_OPENING}{_MARK}"}
    merged = {"role": "user", "content": f"{_SYSTEM}\n\n{_OPENING}{_MARK}"}
    for messages in ([{"role": "system", "content": _SYSTEM}, user], [merged]):
        try:
            rendered = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except Exception:  # noqa: BLE001 - a template may raise anything for a role it does not know
            continue
        before, found, after = rendered.partition(_MARK)
        if found and _OPENING in before:
            return Template(before, after)
    return Template(f"{tokenizer.bos_token or ''}{_SYSTEM}\n\n{_OPENING}", "\nAnswer:")


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by U+FFFD: character by character, so offsets stay."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text
