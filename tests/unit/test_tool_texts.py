"""What must be kept of reports, tables, files and pages is kept at a tenth; more budget is used, and keeps more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.segmenters.columns import cut_cells, find_columns
from agentcompress.segmenters.odd_ones import find_odd_fields, find_odd_paths, find_odd_records
from tests.tool_texts import EVERYTHING

LEXICAL = Compressor(CompressConfig(scorer="lexical"))
RATES = (0.05, 0.1, 0.15, 0.25, 0.4, 0.6)
UNITS_MUST_STAY_WHOLE = {"manifests", "test_report_in_xml", "page_with_a_script", "here_document", "long_constant"}
"""Texts whose units can't be cut: what is kept to use up a budget need not be kept at a higher rate."""


@pytest.mark.parametrize("keep_rate", [0.1, 0.25, "auto"])
@pytest.mark.parametrize("name", EVERYTHING)
def test_what_anyone_would_keep_is_kept(name: str, keep_rate: float) -> None:
    made = EVERYTHING[name]()
    result = LEXICAL.compress_text(made.text, query=made.query, keep_rate=keep_rate)
    assert [part for part in made.must if part not in result.text] == []


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_budget_is_used_and_a_larger_one_keeps_more(name: str) -> None:
    made = EVERYTHING[name]()
    kept: set[int] = set()
    for rate in RATES:
        result = LEXICAL.compress_text(made.text, query=made.query, keep_rate=rate)
        assert 0.8 * rate * result.tokens_before <= result.tokens_after <= -(-rate * result.tokens_before // 1)
        characters = {i for span in result.spans for i in range(*span)}
        assert name in UNITS_MUST_STAY_WHOLE or kept <= characters
        kept = characters


@given(
    header=st.integers(1, 4000),
    rows=st.integers(20, 200),
    width=st.integers(1, 400),
    separator=st.sampled_from([",", "\t", ";", " | "]),
    rate=st.sampled_from([0.1, 0.25, 0.4]),
)
def test_a_long_header_does_not_stand_in_the_way_of_its_rows(
    header: int, rows: int, width: int, separator: str, rate: float
) -> None:
    made = "\n".join(
        [
            separator.join(["h" * header, "b", "c"]),
            *(separator.join([f"row {i}", "word " * (width // 5), str(i * 7)]) for i in range(rows)),
        ]
    )
    if len(made) < 3000:
        return
    result = LEXICAL.compress_text(made, query="row 7", keep_rate=rate)
    assert result.tokens_after >= 0.8 * rate * result.tokens_before
    assert any(made[start:end].strip() for start, end in result.spans)


def test_one_value_unlike_all_others_is_odd_and_ids_are_not() -> None:
    records = [[f"pod-{i}-{i * 7919 % 100}", "Running", "1/1", str(i)] for i in range(40)]
    assert find_odd_records(records) == []
    records[7][1] = "Pending"
    records[21][1:3] = ["CrashLoopBackOff", "0/1"]
    assert find_odd_fields(records) == {21: [1, 2], 7: [1]}


def test_where_many_are_odd_only_what_is_bad_is_told() -> None:
    records = [["x", "ok"] for _ in range(300)] + [["x", f"state {chr(97 + i)}"] for i in range(12)] + [["x", "failed"]]
    assert find_odd_records(records) == [312]


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        ([*(f"{i % 60}%" for i in range(40)), "100%"], [40]),
        ([*(f"{91 + i % 9}%" for i in range(40)), "100%"], []),
        ([*("0.3" for _ in range(30)), "99.7"], [30]),
        ([str(i) for i in range(50)], []),
        (["a", "b"] * 3, []),
    ],
)
def test_numbers_far_from_the_others(values: list[str], odd: list[int]) -> None:
    assert find_odd_records([[value] for value in values]) == odd


def test_a_path_of_a_rare_kind() -> None:
    paths = [f"src/__snapshots__/{i}.snap" for i in range(30)]
    assert find_odd_paths(paths) == []
    assert find_odd_paths([*paths, "src/customers.sql.dump"]) == [30]


@pytest.mark.parametrize(
    "rows",
    [
        [
            "It rained a lot that day, and the sea",
            "lay still for many days and nobody",
            "went out at all to see the boats",
            "come home again in the evening when",
            "the light had gone out over there",
        ],
        ["def f(a):", "    b  = a + 1", "    c  = b + 2", "    return  c", "f(1)"],
        ["a b c"] * 3,
        [
            "2026-03-01 10:00:00 INFO  served request",
            "2026-03-01 10:00:01 INFO  served request two",
            *["2026-03-01 10:00:02 WARN  x"] * 5,
        ],
    ],
)
def test_what_is_no_table_has_no_columns(rows: list[str]) -> None:
    assert find_columns(rows) == []


def test_cells_hold_blanks_of_their_own() -> None:
    ages = [f"{i * i * 7}d{' (2h ago)' * (i % 5 == 0)}" for i in range(1, 41)]
    states = ["Up 3 days", "Exited (1) 2 weeks ago", "Restarting", "Up About an hour"]
    made = ["NAME      STATUS                    AGE"]
    made += [f"pod-{i:<5} {states[i % 4]:<25} {age}" for i, age in enumerate(ages)]
    assert cut_cells(made[5], find_columns(made)) == ["pod-4", "Up 3 days", "175d (2h ago)"]
