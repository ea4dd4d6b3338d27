"""What was left out, brought back: originals in the ledger, ids in delimiters, pages for a tool's answer.

With `CompressConfig(recall=True)` a delimiter says where its text is: `[... 14 lines omitted, recall k7f2q9:120-133]`,
lines 120 to 133 of the block k7f2q9, or `k7f2q9@310-520`, characters. An agent that is offered the tool from its first
turn asks for any range of a block by such an id. Ids are of one namespace: another's get the answer of dead ones.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from agentcompress.errors import InvalidInputError, StoreError
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.notes import ORIGINAL
from agentcompress.schema import Decision
from agentcompress.text.lines import Rows
from agentcompress.text.recall_style import TOOL_NAME

RAW_RECALLED = "brought back by recall"
PAGE_CHARS = 8000
"""Most characters of a page, about 2,000 tokens."""

DESCRIPTION = (
    "Read what was omitted from an earlier tool result or document. A mark such as "
    "`[... 14 lines omitted, recall k7f2q9:120-133]` carries the id `k7f2q9:120-133`. Other ranges of that text can be "
    "read by changing the numbers of lines (`k7f2q9:100-140`) or, after `@`, of characters (`k7f2q9@0-500`). Long "
    "texts come in pages."
)
DOWN = "{id} can't be looked up right now. Go on without it, or run the tool again that it came from."
_PARAMETERS = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The id as it stands in the mark, e.g. k7f2q9:120-133"},
        "page": {"type": "integer", "description": "Which page, from 1", "default": 1, "minimum": 1},
    },
    "required": ["id"],
    "additionalProperties": False,
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # no letters that are taken for others
_NAME_CHARS = 6
_ID = re.compile(rf"\b([{_ALPHABET}]{{{_NAME_CHARS}}})([:@])(\d{{1,12}})(?:-(\d{{1,12}}))?\b")
_PAGE = re.compile(rf"\[recalled [{_ALPHABET}]{{{_NAME_CHARS}}}[:@]\d+-\d+[,\]]")


class Originals:
    """Texts of blocks in a ledger, by names that stand in delimiters; those of one namespace."""

    def __init__(self, store: MemoryStore | FrontedStore, namespace: str) -> None:
        self._store = store
        self._tenant = hashlib.sha256(namespace.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def names_of(self, block_key: str) -> Iterator[str]:
        """Yield names for a block: always the same ones. The second is for when another block has the first, and so on;
        two blocks in a billion share one."""
        for attempt in itertools.count():
            yield _make_name(block_key, attempt)

    def keep(self, name: str, text: str, rendered: str) -> bool:
        """Keep a block's text by a name, if what was rendered of it says that name anywhere.

        Returns False where another block has the name.
        """
        if name not in rendered:
            return True
        original = Decision(text, "for recall", 0, 0, None)
        return self._store.put(self._key(name), original).text == text

    def touch(self, block_keys: Iterable[str]) -> None:
        """Note that blocks are in use: what their delimiters name is not to be forgotten before them."""
        self._store.touch([self._key(_make_name(key, 0)) for key in block_keys])

    def find_text(self, name: str) -> str | None:
        """Return a block's text, None for a name that nothing is kept by; `StoreError` when that can't be known."""
        found = self._store.get(self._key(name))
        return None if found is None else found.text

    def _key(self, name: str) -> str:
        return f"{ORIGINAL}{self._tenant}:{name}"


def _make_name(block_key: str, attempt: int) -> str:
    digest = hashlib.sha256(f"{block_key}\n{attempt}".encode("utf-8", "surrogatepass")).digest()
    number = int.from_bytes(digest[:8])
    return "".join(_ALPHABET[number >> 5 * i & 31] for i in range(_NAME_CHARS))


def is_recalled(text: str) -> bool:
    """Whether a text is an answer of `answer_recall`: it was asked for, and is not compressed again."""
    return text.startswith("[recalled ") and _PAGE.match(text) is not None


def answer_recall(originals: Originals, id: str, page: int | str = 1) -> str:  # noqa: A002
    """One page of what an id names, under a line that says which; for bad and dead ids, what to do instead.

    Never raises: this is a tool's answer, and a model reads it. The pages of an id, without their first lines, are the
    exact characters of its range.
    """
    found = _ID.search(str(id))
    if found is None:
        return "That is no id. Pass the id as it stands in the mark, for example k7f2q9:120-133."
    name, by_char, first, last = found[1], found[2] == "@", int(found[3]), int(found[4] or found[3])
    try:
        text = originals.find_text(name)
    except StoreError:
        return DOWN.format(id=found[0])
    if text is None:
        return (
            f"Nothing is kept under {name}: what was omitted there can't be brought back. Don't ask for it again; "
            "if it is needed, run the tool again that it came from."
        )
    rows = Rows(text)
    lowest, highest = (0, len(text)) if by_char else (1, len(rows))
    if not (lowest <= first <= last and first <= highest):
        unit = "characters" if by_char else "lines"
        return f"{name} has {unit} {lowest} to {highest}; {first}-{last} is outside of it."
    last = min(last, highest)
    chosen = text[first:last] if by_char else rows.get_text(first - 1, last - 1)
    return _render_page(f"{name}{found[2]}{first}-{last}", chosen, page)


def _render_page(id: str, text: str, page: int | str) -> str:  # noqa: A002
    pages = _cut_pages(text)
    try:
        number = int(page)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not 1 <= number <= len(pages):
        return f"{id} has pages 1 to {len(pages)}."
    more = f"; the next with page={number + 1}" if number < len(pages) else ""
    which = f", page {number} of {len(pages)}{more}" if len(pages) > 1 else ""
    return f"[recalled {id}{which}]\n{pages[number - 1]}"


def _cut_pages(text: str) -> list[str]:
    """Cut a text into pages, behind line ends where there are any."""
    pages, at = [], 0
    while len(text) - at > PAGE_CHARS:
        end = text.rfind("\n", at, at + PAGE_CHARS) + 1 or at + PAGE_CHARS
        pages.append(text[at:end])
        at = end
    return [*pages, text[at:]]


def recall_schema(format: Literal["openai", "responses", "anthropic"] = "openai") -> dict[str, Any]:  # noqa: A002
    """The tool `recall` as a provider wants it described; its answers are `Compressor.recall(**arguments)`.

    Offer it from the first turn of a conversation or never: tools stand before everything that a provider caches.
    """
    if format == "anthropic":
        return {"name": TOOL_NAME, "description": DESCRIPTION, "input_schema": _PARAMETERS}
    function = {"name": TOOL_NAME, "description": DESCRIPTION, "parameters": _PARAMETERS}
    if format == "responses":
        return {"type": "function", **function}
    if format != "openai":
        raise InvalidInputError("format", format, "one of openai, responses, anthropic")
    return {"type": "function", "function": function}
