"""What anyone would keep of a run's output is kept at a tenth of its tokens, and at "auto"."""

from __future__ import annotations

import pytest

from agentcompress import CompressConfig, Compressor
from tests.reports import REPORTS

LEXICAL = Compressor(CompressConfig(scorer="lexical"))


@pytest.mark.parametrize("keep_rate", [0.1, 0.25, "auto"])
@pytest.mark.parametrize("name", REPORTS)
def test_what_failed_where_and_how_it_ended_is_kept(name: str, keep_rate: float) -> None:
    report = REPORTS[name]()
    result = LEXICAL.compress_text(report.text, query=report.query, keep_rate=keep_rate)
    assert [part for part in report.must if part not in result.text] == []
