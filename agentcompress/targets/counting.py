"""Which tokenizer counts a target's tokens, by the target's LiteLLM name. Works offline.

Reads LiteLLM's bundled tables without importing LiteLLM, which takes seconds and may ask the network.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path

from cachetools import LRUCache

from agentcompress.errors import UnknownNameError
from agentcompress.protocols import TokenCounter

_log = logging.getLogger("agentcompress")

EMBEDDED = "embedded/"
"""Prefix of targets that run on this machine: "embedded/" and a draft's name (see `embedded.py`)."""

_ALLOWED = (
    'a model LiteLLM knows ("gpt-4o", "claude-sonnet-4-5"), "provider/model" with a provider LiteLLM knows, '
    'or "embedded/" and a draft'
)
_FALLBACK = "cl100k_base"  # what LiteLLM counts with where it knows no tokenizer of a model's own
_BUNDLED = ("o200k_base", "o200k_harmony", "cl100k_base", "p50k_base")
_SLICE_CHARS = 50_000
_LONG_BLANK = re.compile(r"(?<!\s)\s{50000,}")
_tiktoken_lock = threading.Lock()


class TokenizerCounter:
    """Counts with a function; `exact` is False where the target's own tokenizer is not public."""

    def __init__(self, name: str, count: Callable[[str], int], *, exact: bool) -> None:
        self.name = name
        self.exact = exact
        self._count = count

    def count(self, text: str) -> int:
        """Tokens of `text`; special-token spellings count as plain text, lone surrogates as U+FFFD."""
        if len(text) < _SLICE_CHARS or not _LONG_BLANK.search(text):
            return self._count(text)
        # tiktoken's pattern overflows the stack on a million blanks in a row: count such a run in slices.
        cuts = {0, len(text)}
        for run in _LONG_BLANK.finditer(text):
            cuts.update(range(run.start(), run.end(), _SLICE_CHARS))
        return sum(self._count(text[a:b]) for a, b in itertools.pairwise(sorted(cuts)))


class CachedCounts:
    """A counter that knows the texts it has counted: a conversation comes with all its texts again in every call."""

    def __init__(self, counter: TokenCounter, max_texts: int = 20_000) -> None:
        self.name, self.exact = counter.name, counter.exact
        self._counter = counter
        self._known: LRUCache[tuple[int, int], int] = LRUCache(max_texts)
        self._lock = threading.Lock()

    def count(self, text: str) -> int:
        """Return the tokens of `text`, from memory where it was counted before."""
        key = hash(text), len(text)  # a hash that two texts share would cost a wrong number in a receipt
        try:
            with self._lock:
                return self._known[key]
        except KeyError:
            tokens = self._counter.count(text)
        with self._lock:
            self._known[key] = tokens
        return tokens


def check_target(target: object) -> str:
    """Return the name of a target that tokens can be counted for; `UnknownNameError` for another."""
    name = str(target)
    if isinstance(target, str) and (name.startswith(EMBEDDED) or is_mapped(name) or _find_tiktoken_name(name)):
        return name
    if not isinstance(target, str) or not _is_known(name):
        raise UnknownNameError("target", target, _ALLOWED)
    return name


def choose_countable_target(model: object, usual: str) -> str:
    """A request's model where tokens can be counted for it, else the usual target."""
    try:
        return check_target(model)
    except UnknownNameError as error:
        _log.debug("tokens are counted for %s: %s", usual, error)
        return usual


@lru_cache(maxsize=64)
def get_token_counter(target: str) -> TokenCounter:
    """Return the counter of a target. Raises `UnknownNameError` for a name that LiteLLM could not route.

    OpenAI models: tiktoken's encoding. Claude: the tokenizer that LiteLLM bundles (approximate: Anthropic publishes
    none for its newer models). `embedded/NAME`: that model's own. Everything else: LiteLLM's default, cl100k_base.
    """
    if target.startswith(EMBEDDED):
        from agentcompress.drafts.tokens import get_draft_tokenizer

        tokenizer = get_draft_tokenizer(target.removeprefix(EMBEDDED))
        return TokenizerCounter(target, lambda text: len(tokenizer.tokenize(text).ids), exact=True)
    encoding = _find_tiktoken_name(target)
    if encoding:
        return _make_tiktoken_counter(encoding, exact=True)
    if not _is_known(target):
        raise UnknownNameError("target", target, _ALLOWED)
    if "claude" in target and "claude-3" not in target:
        return _get_claude_counter()
    return _make_tiktoken_counter(_FALLBACK, exact=False)


def _find_tiktoken_name(target: str) -> str | None:
    """The name of tiktoken's encoding for a target, or None where tiktoken has none."""
    import tiktoken

    _, slash, model = target.rpartition("/")
    if slash and not _is_known(target):
        return None
    try:
        return tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None


def _make_tiktoken_counter(name: str, *, exact: bool) -> TokenizerCounter:
    """Make a counter with an encoding of tiktoken's, or with the default one where its table can't be had."""
    import tiktoken

    try:
        with _use_bundled_files(name):
            encoding = tiktoken.get_encoding(name)
    except Exception:
        if name in _BUNDLED:
            raise
        return _make_tiktoken_counter(_FALLBACK, exact=False)  # a table that would have to be downloaded, and can't be
    return TokenizerCounter(name, lambda text: len(encoding.encode_ordinary(text)), exact=exact)


@contextmanager
def _use_bundled_files(name: str) -> Iterator[None]:
    """Let tiktoken find LiteLLM's copies of its tables, unless the user named a folder of their own."""
    folder = _find_litellm_folder() / "litellm_core_utils" / "tokenizers"
    with _tiktoken_lock:
        if name not in _BUNDLED or "TIKTOKEN_CACHE_DIR" in os.environ or not folder.is_dir():
            yield
            return
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
        try:
            yield
        finally:
            os.environ.pop("TIKTOKEN_CACHE_DIR", None)


@cache
def _get_claude_counter() -> TokenizerCounter:
    """The counter with LiteLLM's copy of Anthropic's older tokenizer."""
    from tokenizers import Tokenizer

    from agentcompress.drafts.tokens import replace_surrogates

    file = _find_litellm_folder() / "litellm_core_utils" / "tokenizers" / "anthropic_tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True

    def count_tokens(text: str) -> int:
        return len(tokenizer.encode(replace_surrogates(text), add_special_tokens=False).ids)

    return TokenizerCounter("anthropic", count_tokens, exact=False)


def is_mapped(target: str) -> bool:
    """Whether LiteLLM's bundled map holds a model, or its provider; never imports LiteLLM."""
    provider, slash, model = target.partition("/")
    return target in read_cost_map() or (bool(slash and model) and provider in _list_mapped_providers())


@cache
def _list_mapped_providers() -> frozenset[object]:
    """The names of all providers in LiteLLM's bundled map."""
    return frozenset(entry.get("litellm_provider") for entry in read_cost_map().values())


def _is_known(target: str) -> bool:
    """Whether LiteLLM could route a target: its map holds it, or it knows the provider. May import LiteLLM."""
    if is_mapped(target):
        return True
    provider, slash, model = target.partition("/")
    if not (slash and model):
        return False
    import litellm

    custom = {entry["provider"] for entry in litellm.custom_provider_map}
    return provider in custom or provider in {str(getattr(name, "value", name)) for name in litellm.provider_list}


@cache
def read_cost_map() -> dict[str, dict[str, object]]:
    """Return LiteLLM's bundled map, from names of models to their facts; empty without LiteLLM."""
    file = _find_litellm_folder() / "model_prices_and_context_window_backup.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


@cache
def _find_litellm_folder() -> Path:
    """The folder of the installed LiteLLM, found without importing it."""
    spec = importlib.util.find_spec("litellm")
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
