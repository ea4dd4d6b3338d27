"""What `explain` says of texts and conversations, and what `report` makes of receipts."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.accounting.summary import read_reports, render_report
from agentcompress.cli.main import main
from agentcompress.conversation.fit import CUT as CUT_TO_FIT
from agentcompress.errors import InvalidInputError
from agentcompress.explain.explain import (
    CUT,
    PROTECTED,
    UNALIGNED,
    WHY,
    explain_messages,
    explain_text,
    find_kept_spans,
)
from agentcompress.explain.page import render_page
from agentcompress.ledger.memory import MemoryStore
from agentcompress.targets.counting import get_token_counter
from tests import fakes
from tests.fakes import conversation
from tests.texts_of_agents import TEXTS

LOG = TEXTS["log"]
compressor = partial(fakes.compressor, keep_rate=0.3)


@pytest.mark.parametrize("kind", TEXTS)
def test_pieces_tile_a_text_and_add_up_to_what_is_sent(kind: str) -> None:
    text = TEXTS[kind]
    page = explain_text(compressor(), text, "keeper", title=kind)
    [only] = page.texts
    assert "".join(piece.text for piece in only.pieces) == text
    sent = compressor().compress_text(text, query="keeper").text
    assert "".join("".join(piece.sent.split()) for piece in only.pieces) == "".join(sent.split())
    assert {piece.why for piece in only.pieces} > {CUT}
    assert PROTECTED not in {piece.why for piece in only.pieces}
    assert all(0 <= piece.score <= 1 for piece in only.pieces)
    assert (page.about["tokens_before"], page.about["tokens_after"]) == (only.tokens_before, only.tokens_after)


def test_every_text_of_a_conversation_is_there() -> None:
    messages = [*conversation(LOG), {"role": "user", "content": f"And here?\n<log>\n{LOG}</log>\nThank you."}]
    page = explain_messages(compressor(), messages, title="x")
    assert [(text.message, text.role, text.decision) for text in page.texts] == [
        (0, "system", "protected"),
        (1, "user", "protected"),
        (3, "tool", "new"),
        (4, "user", "protected"),
        (4, "user", "new"),
        (4, "user", "protected"),
    ]
    for message in (0, 1, 3, 4):
        whole = "".join(piece.text for text in page.texts for piece in text.pieces if text.message == message)
        assert whole == messages[message]["content"]
    sent = compressor().compress(messages).messages
    for message in (3, 4):
        said = "".join(piece.sent for text in page.texts for piece in text.pieces if text.message == message)
        assert "".join(said.split()) == "".join(str(sent[message]["content"]).split())
    assert page.about["money"]["after"] < page.about["money"]["before"]


def test_what_was_cut_to_fit_is_shown_as_it_is_sent() -> None:
    shared = compressor(keep_rate=0.8)
    messages = conversation(LOG)
    for i in range(3):
        shared.compress(messages)
        call = {"id": f"c{i}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{i}", "content": f"{i}\n{LOG}"},
        ]
    sent = shared.compress(messages, target_tokens=9000).messages
    page = explain_messages(shared, messages, title="x")
    for message in (3, 5, 7, 9):
        said = "".join(piece.sent for text in page.texts for piece in text.pieces if text.message == message)
        assert "".join(said.split()) == "".join(str(sent[message]["content"]).split())


@pytest.mark.parametrize("kind", ["json", "source", "repeated"])
def test_what_can_not_be_told_apart_is_shown_as_it_is(kind: str, tmp_path: Path) -> None:
    text = "same line\n" * 300 if kind == "repeated" else TEXTS[kind]
    ledger = str(tmp_path / "ledger.db")
    sent = compressor(ledger=ledger, keep_rate=0.17).compress(conversation(text)).messages[3]["content"]
    page = explain_messages(compressor(ledger=ledger, keep_rate=0.9), conversation(text), title="x")
    tool = next(each for each in page.texts if each.role == "tool")
    assert "".join(piece.text for piece in tool.pieces) == text
    assert "".join("".join(piece.sent.split()) for piece in tool.pieces) == "".join(sent.split())


def test_looking_decides_nothing(tmp_path: Path) -> None:
    ledger, file = str(tmp_path / "ledger.db"), tmp_path / "m.json"
    file.write_text(json.dumps(conversation(LOG)))
    done = invoke("explain", file, "-o", tmp_path / "x.html", "-s", "lexical", "-k", "0.05", "--ledger", ledger)
    assert done.exit_code == 0, done.output
    receipt = compressor(ledger=ledger).compress(conversation(LOG)).receipt
    assert receipt.blocks[0].decision == "new"
    done = invoke("explain", file, "-o", tmp_path / "x.html", "-s", "lexical", "-k", "0.05", "--ledger", ledger)
    assert '"replayed"' in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_what_stands_in_the_ledger_is_shown(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    sent = compressor(ledger=ledger, keep_rate=0.1).compress(conversation(LOG)).messages[3]["content"]
    page = explain_messages(compressor(ledger=ledger, keep_rate=0.9), conversation(LOG), title="x")
    tool = next(text for text in page.texts if text.role == "tool")
    assert tool.decision == "replayed"
    assert "".join("".join(piece.sent.split()) for piece in tool.pieces) == "".join(sent.split())


def test_nothing_is_compressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, asked = compressor(), []
    compress_text = mine.compress_text
    monkeypatch.setattr(
        mine, "compress_text", lambda *args, **named: asked.append(named) or compress_text(*args, **named)
    )
    page = explain_messages(mine, conversation(LOG), title="x", target="claude-sonnet-4-5")
    assert [named["target"] for named in asked] == ["claude-sonnet-4-5"]
    count = get_token_counter("claude-sonnet-4-5").count
    tool = next(text for text in page.texts if text.role == "tool")
    assert (tool.tokens_before, tool.decision) == (count(LOG), "new")
    assert {piece.why for piece in tool.pieces} > {CUT}


def test_a_cut_is_shown_by_what_it_has_kept(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    messages = [*conversation(LOG), {"role": "assistant", "content": "Well."}, {"role": "tool", "content": f"{LOG}!"}]
    cut = compressor(ledger=ledger, keep_rate=1.0).compress(messages, target_tokens=2500)
    assert cut.receipt.blocks[0].reason == CUT_TO_FIT
    assert all(spans for spans in cut.spans)
    for text, sent, spans in zip((LOG, f"{LOG}!"), cut.sent, cut.spans, strict=True):
        assert all(text[a:b] in (sent or "") for a, b in spans or ())
    page = explain_messages(compressor(ledger=ledger), messages, title="x")
    tools = [text for text in page.texts if text.role == "tool"]
    assert ["".join("".join(piece.sent.split()) for piece in tool.pieces) for tool in tools] == [
        "".join((sent or "").split()) for sent in cut.sent
    ]
    assert all(UNALIGNED not in {piece.why for piece in tool.pieces} for tool in tools)


def test_a_decision_of_an_older_ledger_is_shown_too() -> None:
    store = MemoryStore()
    sent = compressor(store).compress(conversation(LOG)).messages[3]["content"]
    older = MemoryStore()
    for key, decision in list(store._decisions.items()):
        older.put(key, replace(decision, spans=None))
    page = explain_messages(compressor(older), conversation(LOG), title="x")
    tool = next(text for text in page.texts if text.role == "tool")
    assert tool.decision == "replayed"
    assert "".join("".join(piece.sent.split()) for piece in tool.pieces) == "".join(sent.split())


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=20), st.data())
def test_kept_ranges_are_found_again(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    kept = [line for line in text.splitlines(keepends=True) if data.draw(st.booleans())]
    spans = find_kept_spans(text, "".join(kept))
    assert "".join(text[a:b] for a, b in spans) == "".join(kept)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_the_page_holds_its_data_and_nothing_of_others() -> None:
    text = "</script><script>alert(1)</script> & <!-- \ud800 \u2028"
    page = explain_text(compressor(), text, "x", title="<b>title</b>")
    html = render_page(page)
    assert "<script>alert" not in html
    assert "<b>title" not in html
    assert not re.search(r'(?:src|href)="', html)
    assert not re.search(r"https?://", html)
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    assert data["texts"][0][8][0][0] == text.replace("\ud800", "?")
    assert json.loads(re.search(r"const WHY = (\[.*?\]);", html)[1]) == list(WHY)  # pyrefly: ignore


def invoke(*options: str) -> Any:
    return CliRunner().invoke(main, [str(option) for option in options])


def test_the_command_takes_texts_conversations_and_replays(tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    text, messages, body, replay = (tmp_path / name for name in ("a.log", "m.json", "b.json", "r.jsonl"))
    text.write_text(LOG)
    messages.write_text(json.dumps(conversation(LOG)))
    body.write_text(json.dumps({"model": "gpt-4o", "messages": conversation(LOG)}))
    line = {
        "id": "t",
        "context": [
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "", "tool_calls": [{"name": "read", "arguments": {}}]},
            {"role": "tool", "content": LOG},
        ],
    }
    replay.write_text(f"{json.dumps(line)}\n" * 2)
    for file, more, texts in ((text, ["-q", "worker 7"], 1), (messages, [], 3), (body, [], 3), (replay, [], 4)):
        done = invoke("explain", file, "-o", output, "-s", "lexical", "-k", "0.3", *more)
        assert done.exit_code == 0, done.output
        assert f"{texts} texts: {output}" in done.stderr
        assert "worker 7" in output.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("plain text", [], "query must be said for a text"),
        ("[]", [], "query must be said for a text"),
        ('{"id": 1}\n', [], "must be a trajectory"),
        ("x", ["-o", "/no/such/folder/x.html"], "no such folder"),
    ],
)
def test_bad_input_of_the_command(content: str, options: list[str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_text(content)
    done = invoke("explain", file, *(options or ["-o", tmp_path / "x.html"]), "-s", "lexical")
    assert done.exit_code == 2
    assert message in done.output


def receipts(tmp_path: Path, calls: int = 3, **settings: Any) -> Path:
    file = tmp_path / "receipts.jsonl"
    shared = compressor(receipts=str(file), target="claude-sonnet-4-6", **settings)
    for i in range(calls):
        receipt = shared.compress(conversation(f"{i}\n{LOG}", f"Question {i}?"), target_tokens=50_000).receipt
        shared.reconciled(receipt, {"input_tokens": int((receipt.request_tokens or 0) * 1.25)})
    return file


def test_a_report_sums_up(tmp_path: Path) -> None:
    file = receipts(tmp_path)
    receipts(tmp_path, mode="shadow")
    both = read_reports([file, file])
    assert list(both) == ["live", "shadow"]
    report = both["live"]
    assert (report.calls, report.conversations) == (6, 3)
    assert both["shadow"].saved == pytest.approx(report.saved, rel=0.1)
    records = [json.loads(line) for line in file.read_text().splitlines()]
    records = [record for record in records if record["type"] == "receipt" and record["mode"] == "live"]
    assert report.tokens_after == 2 * sum(record["tokens_after"] for record in records)
    assert report.saved == pytest.approx(2 * sum(record["money"]["saved"] for record in records))
    assert report.kinds["read_log"].blocks == 6
    assert report.drifts["claude-sonnet-4-6"] == pytest.approx([-0.2] * 6, abs=0.01)
    page = render_report(report)
    for word in ("6 calls of 3 conversations", "as billed", "saved", "read_log", "slowest calls", "advice"):
        assert word in page
    assert "claude-sonnet-4-6 bills +25% on what is counted here" in page
    assert "6 calls say little yet" in page


def test_advice() -> None:
    from agentcompress.accounting.summary import Kind, Report

    report = Report(calls=100, used=100, used_kept=80, priced_calls=100, before=1.0, after=1.1)
    report.kinds = {"slow": Kind(2, 100, 50, 9000.0), "whole": Kind(2, 100, 99, 1.0), "good": Kind(2, 100, 50, 1.0)}
    said = "\n".join(report.give_advice())
    assert "20% of what replies used had been cut: raise keep_rate" in said
    assert "It costs more than it saves here" in said
    assert "slow: 4.5 s a block" in said
    assert "whole: only 1% is cut" in said
    assert "good" not in said
    assert Report(calls=100).give_advice() == []


def test_the_report_command(tmp_path: Path) -> None:
    file = receipts(tmp_path, mode="shadow")
    done = invoke("report", file)
    assert done.exit_code == 0
    assert done.stdout.startswith("shadow\n\n3 calls of 3 conversations")
    found = json.loads(invoke("report", file, "--json").stdout)
    assert found["shadow"]["calls"] == 3
    assert found["shadow"]["saved"] > 0
    whole = file.read_text()
    file.write_text(f'{whole}\n{{"type": "receipt"}}\n{{"type": "usage", "drift": "x"}}\n{whole[:50]}')
    assert "2 lines that are no records" in invoke("report", file).stdout
    file.write_text("{}\n")
    assert "must be a log of receipts" in invoke("report", file).output
    with pytest.raises(InvalidInputError):
        read_reports([file])
    file.write_text("")
    assert "0 calls" in invoke("report", file).stdout
