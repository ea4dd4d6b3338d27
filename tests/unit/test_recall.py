"""Recall: what delimiters name comes back byte for byte, to those it belongs to, and dead ids say so."""

from __future__ import annotations

import itertools
import json
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor, recall_schema
from agentcompress.conversation import recall
from agentcompress.conversation.recall import PAGE_CHARS, RAW_RECALLED, Originals, is_recalled
from agentcompress.errors import InvalidInputError
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_lasting_store
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.results import CompressedText
from agentcompress.schema import Decision, Span
from agentcompress.targets.counting import get_token_counter
from agentcompress.text.delimiters import make_comment_style
from agentcompress.text.lines import Rows
from agentcompress.text.recall_style import make_recall_style
from tests import fakes
from tests.fakes import FlakyStore, conversation
from tests.texts_of_agents import PROSE, TEXTS

ID = re.compile(r"recall ([0-9a-z]{6}[:@]\d+-\d+)")
LOG = TEXTS["log"]
compressor = partial(fakes.compressor, keep_rate=0.3, recall=True)


def compressed(shared: Compressor, text: str, **options: Any) -> str:
    return shared.compress(conversation(text), **options).messages[3]["content"]


def pages(shared: Compressor, id: str, **options: Any) -> str:
    """All pages of an id, without their first lines."""
    texts, page = [], 1
    while True:
        head, _, text = shared.recall(id, page, **options).partition("\n")
        assert head.startswith("[recalled "), head
        assert text
        texts.append(text)
        if "the next with page=" not in head:
            return "".join(texts)
        page += 1


def named(shared: Compressor, text: str, keep_rate: float) -> CompressedText:
    """A text compressed under a name by which it is kept."""
    shared.store.put(Originals(shared.store, "")._key("abc123"), Decision(text, None, 0, 0, None))
    return shared.compress_text(text, query="keeper", keep_rate=keep_rate, recall_name="abc123")


def gaps(text: str, result: CompressedText) -> list[str]:
    ends = [(0, 0), *result.spans, (len(text), len(text))]
    return [text[a:b] for (_, a), (b, _) in itertools.pairwise(ends) if b > a]


@pytest.mark.parametrize("kind", TEXTS)
def test_kept_and_recalled_are_the_original(kind: str) -> None:
    shared = compressor()
    result = named(shared, TEXTS[kind], 0.3)
    assert [pages(shared, id) for id in ID.findall(result.text)] == gaps(TEXTS[kind], result)


@pytest.mark.parametrize("kind", TEXTS)
def test_all_ids_of_a_block_have_one_name(kind: str) -> None:
    shared = compressor()
    ids = ID.findall(compressed(shared, TEXTS[kind]))
    assert len({id[:6] for id in ids}) == 1
    assert all(pages(shared, id) in TEXTS[kind] for id in ids)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=3, max_size=40), st.floats(0.05, 0.9))
def test_every_gap_comes_back_exactly(lines: list[str], keep_rate: float) -> None:
    shared, text = compressor(segmenter="lines"), "\n".join(lines)
    result = named(shared, text, keep_rate)
    found = [pages(shared, id) for id in ID.findall(result.text)]
    assert found in (gaps(text, result), [])  # a budget too small for any delimiter has none
    assert found or len(result.spans) <= 1


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("keep_rate", [0.1, 0.5])
def test_the_budget_holds_with_ids(kind: str, keep_rate: float) -> None:
    result = compressor().compress_text(TEXTS[kind], query="keeper", keep_rate=keep_rate, recall_name="abc123")
    assert result.tokens_after <= -(-keep_rate * result.tokens_before // 1)
    assert result.tokens_after == get_token_counter("gpt-4o").count(result.text)
    if kind == "json":
        json.loads(result.text)


STYLED = "".join(f"    .rule-{i} {{ color: red; }}\n" for i in range(100))


@pytest.mark.parametrize(("opening", "closing"), [("#", ""), ("//", ""), ("/*", "*/"), ("<!--", "-->")])
def test_an_id_stands_in_the_comment(opening: str, closing: str) -> None:
    starts = Rows(STYLED).starts
    style = make_recall_style(make_comment_style(STYLED, (opening, closing), starts), "abc123", STYLED)
    for last in (5, 50):  # brief, and counted
        said = style.gap(STYLED, Span(starts[3], starts[last]))
        assert said.startswith(f"    {opening} ...")
        assert said.endswith(f" {closing}\n" if closing else "\n")
        assert said.count(closing or "\n") == 1
        assert ID.findall(said) == [f"abc123:4-{last}"]


@pytest.mark.parametrize(("path", "ascii_only"), [("a.py", True), ("a.py", False), ("a.txt", True)])
def test_an_id_in_a_string_stands_in_its_delimiter(path: str, ascii_only: bool) -> None:
    """Not at the beginning of the line behind it, which is kept as it was."""
    lines = [f"x{i} = call('é', {i})" if path == "a.py" else f"row {i}: é and more" for i in range(200)]
    lines[7] = lines[7].replace("é", "[... # ...")  # the marks are others then
    text = json.dumps({"path": path, "content": "\n".join(lines)}, ensure_ascii=ascii_only)
    shared = compressor(scorer="random")
    result = named(shared, text, 0.3)
    shown = json.loads(result.text)["content"].split("\n")
    said = [line for line in shown if line not in lines]
    assert len(said) > 10
    assert all(ID.search(line) and re.match(r"(?:# ?|\[)(?:…|\.\.\.)", line) for line in said), said
    assert [pages(shared, id) for id in ID.findall(result.text)] == gaps(text, result)


def test_without_recall_no_delimiter_names_anything() -> None:
    shared = compressor(recall=False)
    sent = compressed(shared, LOG)
    assert "omitted]" in sent
    assert "recall" not in sent
    assert "kept under" in shared.recall("abc123:1-2")


def test_another_process_finds_it_in_the_ledger(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    id = ID.findall(compressed(compressor(ledger=ledger), LOG))[0]
    code = fakes.compressor(ledger=ledger)
    assert pages(code, id) in LOG


def test_other_tenants_get_what_dead_ids_get() -> None:
    shared = compressor()
    id = ID.findall(compressed(shared, LOG, namespace="a"))[0]
    assert pages(shared, id, namespace="a") in LOG
    others = [shared.recall(id, namespace="b"), shared.recall(id)]
    dead = compressor().recall(id)
    assert others == [dead, dead]
    assert "can't be brought back" in dead
    assert "Don't ask for it again" in dead


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("", "That is no id"),
        ("the first gap", "That is no id"),
        ("{name}:0-3", "has lines 1 to 300; 0-3 is outside of it"),
        ("{name}:5-3", "has lines 1 to 300; 5-3 is outside of it"),
        ("{name}:301-302", "has lines 1 to 300; 301-302 is outside of it"),
        ("{name}@99999-100000", "has characters 0 to"),
        ("zzzzzz:1-2", "Nothing is kept under zzzzzz"),
    ],
)
def test_bad_ids_say_what_to_do(asked: str, answer: str) -> None:
    shared = compressor()
    name = ID.findall(compressed(shared, LOG))[0][:6]
    assert answer in shared.recall(asked.format(name=name))


@pytest.mark.parametrize("page", [0, -1, 99, "two", None, float("inf"), float("nan")])
def test_bad_pages_say_which_there_are(page: Any) -> None:
    shared = compressor()
    name = ID.findall(compressed(shared, LOG))[0][:6]
    assert shared.recall(f"{name}:1-300", page).endswith("has pages 1 to 2.")


def test_ids_are_found_in_what_models_make_of_them() -> None:
    shared = compressor()
    name = ID.findall(compressed(shared, LOG))[0][:6]
    line = LOG.splitlines(keepends=True)[1]
    for asked in (f"{name}:2", f"{name}:2-2", f"recall {name}:2-2", f"[... 1 line omitted, recall {name}:2-2]"):
        assert pages(shared, asked) == line
    assert pages(shared, f"{name}@3-9") == LOG[3:9]
    assert pages(shared, f"{name}:299-999") == "".join(LOG.splitlines(keepends=True)[298:])


def test_pages_end_at_lines_and_long_lines_are_cut() -> None:
    shared = compressor(min_tokens=1)
    text = f"{LOG}{'x' * 3 * PAGE_CHARS}\n{LOG}"
    name = ID.findall(compressed(shared, text))[0][:6]
    first = shared.recall(f"{name}@0-{len(text)}")
    head, _, page = first.partition("\n")
    assert head.startswith(f"[recalled {name}@0-{len(text)}, page 1 of ")
    assert head.endswith("; the next with page=2]")
    assert page.endswith("jobs\n")
    assert len(page) <= PAGE_CHARS
    assert pages(shared, f"{name}@0-{len(text)}") == text


def test_what_was_recalled_is_not_compressed_again() -> None:
    shared = compressor(keep_rate=0.1)
    name = ID.findall(compressed(shared, LOG))[0][:6]
    answer = shared.recall(f"{name}:1-200")
    assert is_recalled(answer)
    result = shared.compress(conversation(answer))
    assert result.messages[3]["content"] == answer
    assert result.receipt.blocks[-1].reason == RAW_RECALLED
    assert not is_recalled("[recalled by hand]")


def test_two_blocks_never_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_make_name", lambda key, attempt: f"aaaaa{attempt}")
    shared = compressor()
    ids = [ID.findall(compressed(shared, text))[0] for text in (LOG, PROSE)]
    assert [id[:6] for id in ids] == ["aaaaa0", "aaaaa1"]
    assert pages(shared, ids[0]) in LOG
    assert pages(shared, ids[1]) in PROSE


def test_a_ledger_that_is_down_is_an_answer_too() -> None:
    assert "can't be looked up right now" in compressor(FlakyStore(is_down=True)).recall("abc123:1-2")


def test_a_block_in_use_keeps_its_original(tmp_path: Path) -> None:
    """Pruning goes by when something was last seen: delimiters are seen whenever their block is."""
    ledger = str(tmp_path / "ledger.db")
    id = ID.findall(compressed(compressor(ledger=ledger), LOG))[0]
    store = SQLiteStore(ledger, clock=lambda: time.time() + 40 * 86400)
    fresh = compressor(store=store)
    compressed(fresh, LOG)
    assert store.prune(older_than_s=30 * 86400, max_bytes=None, keep_s=60) == 1  # the note that its text was sent
    assert pages(fresh, id) in LOG


def test_schemas() -> None:
    openai, responses, anthropic = (recall_schema(form) for form in ("openai", "responses", "anthropic"))
    assert openai["function"]["name"] == responses["name"] == anthropic["name"] == "recall"
    assert openai["function"]["parameters"] == responses["parameters"] == anthropic["input_schema"]
    with pytest.raises(InvalidInputError, match="format must be one of openai, responses, anthropic"):
        recall_schema("gemini")  # pyrefly: ignore


def test_recall_is_a_setting() -> None:
    with pytest.raises(InvalidInputError, match="recall must be true or false"):
        CompressConfig(recall="yes")  # pyrefly: ignore
    assert isinstance(compressor().store, MemoryStore)


def test_originals_in_memory_are_forgotten_with_their_blocks() -> None:
    shared = compressor(MemoryStore(20))
    id = ID.findall(compressed(shared, LOG))[0]
    for i in range(30):
        compressed(shared, f"{i}{LOG}")
        assert ID.findall(compressed(shared, LOG))[0] == id
    assert pages(shared, id) in LOG


def test_what_is_kept_beside_decisions_is_not_counted_as_one(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    result = compressor(ledger=ledger).compress(conversation(LOG))
    store = open_lasting_store(ledger)
    assert store is not None
    stats = store.stats()
    assert (stats.decisions, stats.compressed) == (1, 1)
    assert (stats.tokens_before, stats.tokens_after) == tuple(
        sum(getattr(block, name) for block in result.receipt.blocks) for name in ("tokens_before", "tokens_after")
    )
    assert len(list(store.entries(10))) == 1
