"""The evaluation with the real draft: its profile is found, needles survive, published scorers and the oracle run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agentcompress.drafts.profile import choose_profile
from agentcompress.drafts.runtime import get_shared_runtime
from agentcompress.evaluation.quality import grid, spearman
from agentcompress.evaluation.quality.ruler import RulerTask
from agentcompress.evaluation.quality.variants import build_variants

DRAFT = "smollm2-135m"


def test_the_shipped_profile_is_this_drafts() -> None:
    found = choose_profile("auto", get_shared_runtime(DRAFT).fingerprint)
    assert found.draft == DRAFT
    assert len(found.heads) == 3


def test_needles_survive_and_published_scorers_run(tmp_path: Path) -> None:
    ways = build_variants(
        ["calibrated", "speculative", "claa", "fastkv", "gemfilter", "paper", "random"], [DRAFT], "gpt-4o"
    )
    task = RulerTask("niah_multivalue", words=700)
    rows = grid.Grid(grid.Plan([task], ways, [0.12], "gpt-4o", limit=3), tmp_path).run()
    kept = {way.name: np.mean([row["evidence"] for row in rows if row["scorer"] == way.name]) for way in ways}
    assert kept["calibrated"] == 1
    assert all(row["tokens_after"] < 0.2 * row["tokens_before"] for row in rows)
    assert kept["calibrated"] > max(share for name, share in kept.items() if name != "calibrated")


def test_the_oracle_reads_the_drafts_own_answer(tmp_path: Path) -> None:
    ways = build_variants(["calibrated", "random", "oracle"], [DRAFT], "gpt-4o")
    rows = spearman.correlate_all([RulerTask("niah_single_1", words=400)], ways, DRAFT, 1, tmp_path)
    found = {way.name: np.mean([row["spearman"] for row in rows if row["scorer"] == way.name]) for way in ways}
    assert found["oracle"] > 0.95
    assert all(len(row["by_layer"]) == 30 for row in rows)
    assert abs(found["random"]) < 0.5
