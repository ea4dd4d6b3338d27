"""Texts inside JSON strings, envelopes, odd records, and JSON nested so deep that its brackets are most of it."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.segmenters.string_texts import decode_string
from agentcompress.segmenters.structured import JsonSegmenter
from tests.kept import is_delimiter
from tests.reports import REPORTS, WORDS

LEXICAL = Compressor(CompressConfig(scorer="lexical"))


@given(text=st.text(), ascii_only=st.booleans())
def test_a_decoded_string_knows_where_each_character_is_written(text: str, ascii_only: bool) -> None:
    source = json.dumps(text, ensure_ascii=ascii_only)
    decoded = decode_string(source, 1, len(source) - 1)
    assert decoded.text == text
    for at in range(len(text) + 1):
        place = decoded.find_source(at)
        assert json.loads(f'"{source[1:place]}"') == text[:at]
        assert decoded.find_decoded(place) == at


def report_in(wrap: str) -> tuple[str, tuple[str, ...]]:
    """A run's output in JSON as harnesses wrap it, and what must be kept."""
    report = REPORTS["go_test"]()
    if wrap == "codex":
        return json.dumps({"output": report.text, "metadata": {"exit_code": 1, "duration_seconds": 0.4}}), (
            *report.must,
            '"exit_code": 1',
        )
    if wrap == "mini":
        return json.dumps({"returncode": 1, "output": report.text, "exception_info": ""}), (
            *report.must,
            '"returncode": 1',
        )
    if wrap == "streams":
        return json.dumps({"stdout": report.text, "stderr": "", "exitCode": 2}, indent=2), (
            *report.must,
            '"exitCode": 2',
        )
    inner = json.dumps({"report": report.text, "ok": False})
    return json.dumps({"content": [{"type": "text", "text": inner}], "isError": True}), (
        *report.must,
        '"isError": true',
    )


def find_strings(text: str) -> str:
    """All strings in a JSON text, in those of JSON in it too."""
    found, waiting = [text], [json.loads(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.append(value)
            if value[:1] in "[{" and value:
                waiting.append(json.loads(value))
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return "\n".join(found)


@pytest.mark.parametrize("keep_rate", [0.1, 0.25, "auto"])
@pytest.mark.parametrize("wrap", ["codex", "mini", "streams", "mcp"])
def test_a_report_in_a_string_is_cut_as_the_report_is(wrap: str, keep_rate: float) -> None:
    text, must = report_in(wrap)
    result = LEXICAL.compress_text(text, query="Task: make it pass", keep_rate=keep_rate)
    shown = find_strings(result.text)
    assert [part for part in must if part not in shown] == []


def test_a_delimiter_in_a_string_counts_lines_and_is_escaped() -> None:
    lines = [f'    self.{WORDS[i % 11]}_{i} = "a \\ é {i}"' for i in range(200)]
    text = json.dumps({"path": "a.py", "content": "\n".join(["class A:", "  def f(self):", *lines])}, ensure_ascii=True)
    result = LEXICAL.compress_text(text, query="where is queue_77 set?", keep_rate=0.15)
    content = json.loads(result.text)["content"]
    assert "self.queue_77" in content or "self.buffer_77" in content or "_77 = " in content
    assert "lines omitted" in content, "of the largest gap at least"
    for line in content.split("\n"):
        assert is_delimiter(line) or line in ("class A:", "  def f(self):", *lines)


@pytest.mark.parametrize("as_lines", [True, False])
def test_a_record_unlike_its_neighbours_is_kept(as_lines: bool) -> None:
    records = [
        {
            "id": i,
            "host": f"web-{i % 7}",
            "route": f"/{WORDS[i % 11]}",
            "status": 500 if i == 91 else 200,
            "ms": 20 + i % 9,
        }
        for i in range(160)
    ]
    text = "\n".join(map(json.dumps, records)) if as_lines else json.dumps({"rows": records, "total": 160})
    result = LEXICAL.compress_text(text, query="what is wrong?", keep_rate=0.1)
    assert '"status": 500' in result.text
    assert '"id": 91' in result.text
    if not as_lines:
        assert '"total": 160' in result.text


def test_few_alarming_records_are_kept_and_many_are_none() -> None:
    records = [{"level": "error" if i in (20, 60) else "info", "message": f"{WORDS[i % 11]} {i}"} for i in range(90)]
    shown = LEXICAL.compress_text("\n".join(map(json.dumps, records)), query="why?", keep_rate=0.15).text
    assert shown.count('"error"') == 2
    segment = JsonSegmenter().segment("\n".join(json.dumps({"level": "error", "n": i}) for i in range(90)))
    assert not any(unit.floor for unit in segment.units)


def nest(depth: int, leaf: object) -> object:
    """A value in so many objects, each with something beside it."""
    for i in range(depth):
        leaf = {f"level_{i}": leaf, "note": f"{WORDS[i % 11]} {i}"} if i % 2 else {"note": f"{i}", f"level_{i}": leaf}
    return leaf


@pytest.mark.parametrize("keep_rate", [0.2, 0.25, 0.4])
def test_what_is_nested_deep_is_not_lost_for_its_brackets(keep_rate: float) -> None:
    text = json.dumps(nest(90, {"vault opens": "06:40"}))
    result = LEXICAL.compress_text(text, query="when does the vault open?", keep_rate=keep_rate)
    assert "06:40" in result.text
    assert result.tokens_after >= 0.8 * keep_rate * result.tokens_before


@given(seed=st.integers(0, 10**6), keep_rate=st.sampled_from([0.1, 0.25, 0.4]))
@settings(max_examples=40, deadline=None)
def test_a_budget_is_used_whatever_the_shape(seed: int, keep_rate: float) -> None:
    text = make_json(random.Random(seed))
    result = LEXICAL.compress_text(text, query="cache ledger", keep_rate=keep_rate)
    budget = keep_rate * result.tokens_before
    assert result.tokens_after >= (0.75 if budget > 250 else 0.6) * budget  # a member and its brackets are whole
    units = JsonSegmenter().segment(text).units
    assert np.all(np.diff([unit.start for unit in units]) > 0)


def make_json(r: random.Random) -> str:
    """JSON of 3,000 characters and more: wide, deep, of records, numbers, long strings."""

    def make(depth: int) -> object:
        kind = r.randrange(7)
        if depth <= 0 or kind == 0:
            return r.choice(
                [r.randrange(10**6), r.random(), None, True, " ".join(r.choices(WORDS, k=r.randrange(1, 9)))]
            )
        if kind == 1:
            return [r.randrange(1000) for _ in range(r.randrange(2, 120))]
        if kind == 2:
            return "\n".join(" ".join(r.choices(WORDS, k=6)) for _ in range(r.randrange(1, 60)))
        if kind == 3:
            return [
                {"id": i, "name": r.choice(WORDS), "tags": r.choices(WORDS, k=2)} for i in range(r.randrange(2, 40))
            ]
        if kind == 4:
            return {f"{r.choice(WORDS)}_{i}": make(depth - 1) for i in range(r.randrange(1, 6))}
        if kind == 5:
            return {"data": "QUJD" * r.randrange(10, 300)}
        return [make(depth - 1) for _ in range(r.randrange(1, 6))]

    held: dict[str, object] = {}
    while len(json.dumps(held)) < 3000:
        held[f"k{len(held)}"] = make(4)
    return json.dumps(held, indent=r.choice([None, 1, 2]))


def test_a_string_alone_is_json_and_a_number_may_be_of_any_length() -> None:
    text = json.dumps("".join(f"line {i} of the log, number {i * 7}\n" for i in range(300)))
    shown = LEXICAL.compress_text(text, query="line 30", keep_rate=0.15).text
    assert "line 30 of the log" in json.loads(shown)
    items = ",".join(f'{{"id":{i}}}' for i in range(500))
    shown = LEXICAL.compress_text(f'{{"k":{"9" * 5000},"items":[{items}]}}', query="id 7", keep_rate=0.8).text
    assert json.loads(shown, parse_int=str)["items"]


def test_a_kept_member_brings_the_name_of_its_record_and_what_all_say_comes_last() -> None:
    records = [
        {
            "url": f"https://x.example/{i}",
            "number": i,
            "title": f"Fix {WORDS[i % 11]} {i}",
            "state": "open",
            "milestone": None,
        }
        | {"body": f"The {WORDS[i % 7]} is lost when the {WORDS[i % 5]} {'expires' if i == 23 else 'ends'}. " * 3}
        for i in range(60)
    ]
    shown = json.loads(LEXICAL.compress_text(json.dumps(records, indent=1), query="what expires?", keep_rate=0.1).text)
    kept = [record for record in shown if isinstance(record, dict)]
    assert all({"number", "title"} <= set(record) for record in kept)
    assert any("expires" in record.get("body", "") for record in kept)
    assert sum("state" in record for record in kept) <= 6  # of the odd ones, and the first
