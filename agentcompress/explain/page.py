"""The page of `agentcompress explain`: one file, no network."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from agentcompress.explain.explain import Explained, Page

_PLACE = "__DATA__"


def render_page(page: Page) -> str:
    """The page with its data. Lone surrogates become question marks: a file can't hold them."""
    template = resources.files("agentcompress.explain").joinpath("page.html").read_text(encoding="utf-8")
    data = {"title": page.title, "about": dict(page.about), "texts": [_list_text(text) for text in page.texts]}
    # `<` as JSON may have it: no text can end the script that holds it
    shown = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    before, after = template.split(_PLACE)
    return f"{before}{shown}{after}".encode("utf-8", "replace").decode("utf-8")


def _list_text(text: Explained) -> list[Any]:
    """In the order that the page's script reads them."""
    pieces = [[piece.text, piece.why, round(piece.score, 3), piece.sent] for piece in text.pieces]
    about = [text.message, text.role, text.tool, text.decision, text.reason, text.tokens_before, text.tokens_after]
    return [*about, text.query, pieces]
