"""Results of megabytes under a deadline: time is reserved for BM25, and what fits no window keeps both ends."""

from __future__ import annotations

import time

import pytest

from agentcompress import CompressConfig, Compressor
from agentcompress.common import deadlines
from agentcompress.common.deadlines import Deadline
from agentcompress.common.threads import run_within
from agentcompress.conversation.ladder import ENDS_ONLY
from agentcompress.conversation.pacing import Pace, can_draft_finish, share_time
from agentcompress.errors import DeadlineError
from agentcompress.text.delimiters import make_line_style
from agentcompress.text.ends import keep_ends
from tests.fakes import conversation

LINES = "".join(f"2026-03-01 10:00:{i % 60:02d} INFO request {i} served by shard {i % 7}\n" for i in range(12_000))


def test_time_is_reserved_for_what_needs_no_draft() -> None:
    assert share_time(10.0, 3.0, 0.8) == 7.0
    assert share_time(10.0, 1.0, 0.8) == 8.0
    assert share_time(10.0, 30.0, 0.8) == 0.0
    assert can_draft_finish(1_000, 1.0)
    assert not can_draft_finish(8_000_000, 60.0)


def test_a_pace_is_learned_from_long_texts() -> None:
    pace = Pace()
    before = pace.estimate_s(1_000_000)
    pace.note(1_000, 50.0)
    assert pace.estimate_s(1_000_000) == before
    for _ in range(20):
        pace.note(1_000_000, 10.0)
    assert pace.estimate_s(1_000_000) == pytest.approx(15.0, rel=0.02)


def test_both_ends_are_whole_lines_and_say_how_many_went() -> None:
    kept = keep_ends(LINES, 2_000, make_line_style(LINES))
    head, said, tail = kept.text.partition("[... ")
    assert LINES.startswith(head)
    assert head.endswith("\n")
    number, _, rest = tail.partition(" lines omitted]\n")
    assert said
    assert LINES.endswith(rest)
    assert head.count("\n") + rest.count("\n") + int(number) == LINES.count("\n")
    assert [LINES[a:b] for a, b in kept.spans] == [head, rest]


@pytest.mark.parametrize("text", ["x" * 5_000, "one\n", "\n" * 3_000, "a\n" + "b" * 9_000])
@pytest.mark.parametrize("chars", [1, 10, 1_000, 20_000])
def test_any_text_has_ends(text: str, chars: int) -> None:
    kept = keep_ends(text, chars, make_line_style(text))
    assert all(0 <= a < b <= len(text) for a, b in kept.spans)


class SlowScorer:
    """A scorer that is done long after any deadline."""

    uses_draft = True

    def score(self, segment, reading):
        time.sleep(5)


@pytest.fixture(autouse=True)
def nothing_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """BM25 is thought to take a second for ten thousand characters."""
    monkeypatch.setattr("agentcompress.conversation.pacing._SECONDS_A_CHAR", 1e-4)


def make(slow_bm25: bool) -> Compressor:
    mine = Compressor(CompressConfig(scorer="tests.unit.test_large_results:SlowScorer", ledger="memory", keep_rate=0.1))
    mine._pace.seconds_a_char = 1.0 if slow_bm25 else 1e-7
    return mine


def test_a_draft_that_can_not_be_done_is_not_begun() -> None:
    started = time.monotonic()
    receipt = make(slow_bm25=False).compress(conversation(LINES), deadline_ms=8_000, on_error="ignore").receipt
    (block,) = receipt.blocks
    assert block.scorer == "features"
    assert "too large for a deadline of 8,000 ms" in str(block.reason)
    assert time.monotonic() - started < 5


def test_where_there_is_no_time_for_anything_both_ends_are_kept_for_good() -> None:
    mine = make(slow_bm25=True)
    first = mine.compress(conversation(LINES), deadline_ms=2_000, on_error="ignore", target="gpt-4o")
    (block,) = first.receipt.blocks
    assert (block.scorer, block.decision) == (ENDS_ONLY, "new")
    assert 0 < block.tokens_after < 0.25 * 128_000
    again = mine.compress(conversation(LINES), on_error="ignore", target="gpt-4o")
    assert again.messages == first.messages


def test_a_block_that_fits_stays_as_it_is() -> None:
    text = LINES[:20_000]
    receipt = make(slow_bm25=True).compress(conversation(text), deadline_ms=300, on_error="ignore").receipt
    (block,) = receipt.blocks
    assert block.decision == "raw"


def test_an_error_names_the_deadline_and_what_was_left_of_it() -> None:
    with pytest.raises(DeadlineError, match=r"no result in the 0\.1 s it was given of a deadline of 3,000 ms"):
        run_within(0.1, lambda: time.sleep(0.4), of=Deadline(3_000).describe())
    with deadlines.within(Deadline(1)):
        time.sleep(0.01)
        with pytest.raises(DeadlineError, match="the deadline of 1 ms passed before the work was done"):
            deadlines.check()
    deadlines.check()
