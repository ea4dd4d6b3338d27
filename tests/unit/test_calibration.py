from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from agentcompress import CompressConfig, Compressor
from agentcompress.calibration import families, fit, items
from agentcompress.cli.main import main
from agentcompress.corpora.source_files import HELD_OUT_PACKAGES, PACKAGES, pick_source
from agentcompress.drafts import load, profile
from agentcompress.drafts.profile import LINES, PROSE, Head, Profile, Weights
from agentcompress.drafts.runtime import get_shared_runtime
from agentcompress.errors import ConfigError, EvaluationError, InvalidInputError
from agentcompress.schema import Reading, Segment, Unit
from agentcompress.scorers.calibrated import CalibratedScorer
from agentcompress.scorers.features import UnitFeatures
from agentcompress.scorers.specific import find_specific_strings, score_specific_strings
from agentcompress.scorers.units import blur_scores, standardise
from agentcompress.segmenters.lines import LineSegmenter


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(load, "get_cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("family", sorted(families.list_makers()))
def test_items_are_seeded_and_hold_their_evidence(family: str) -> None:
    make = families.list_makers()[family]
    for seed in range(4):
        item = make(random.Random(seed))
        assert item == make(random.Random(seed))
        assert item.family == family
        assert item.query.strip()
        assert len(item.evidence) >= 1
        assert all(item.text[a:b] == item.text[a:b].strip() != "" for a, b in item.evidence)
        assert all(one.end <= other.start for one, other in zip(item.evidence, item.evidence[1:], strict=False))
        assert sum(b - a for a, b in item.evidence) < 0.5 * len(item.text)


def test_families_take_turns() -> None:
    made = list(families.make_items(20, seed=3))
    assert [item.family for item in made] == 2 * list(families.list_makers())
    assert made == list(families.make_items(20, seed=3))
    assert made[0].text != next(families.make_items(1, seed=4)).text


def reading(scores: list[float], evidence: list[tuple[int, int]], heads: list[list[float]]) -> fit.ReadItem:
    units = tuple(Unit(2 * i, 2 * i + 2, i) for i in range(len(scores)))
    segment = Segment("x\n" * len(scores), "lines", units)
    sizes = np.ones(len(scores))
    features = UnitFeatures(segment, sizes, np.array(scores), [np.array(head) for head in heads])
    return fit.ReadItem("f", "lines", features, np.zeros(len(scores)), tuple(evidence))


def test_reach_is_the_logarithm_of_the_budget_that_is_needed() -> None:
    found = reading([0.0] * 100, [(7, 7)], [])
    first = -np.arange(100.0)
    assert fit.measure_reach(found, np.roll(first, 7)) == 1.0
    assert fit.measure_reach(found, -first) == 0.0
    half_way = np.zeros(100)
    half_way[:12] = np.arange(12, 0, -1)  # unit 7 is the eighth
    assert fit.measure_reach(found, half_way) == pytest.approx(np.log(0.5 / 0.08) / np.log(0.5 / 0.03))
    both = reading([0.0] * 100, [(7, 8)], [])
    assert fit.measure_reach(both, half_way) == pytest.approx(np.log(0.5 / 0.09) / np.log(0.5 / 0.03))


def test_the_fit_finds_the_head_that_knows() -> None:
    rng = np.random.default_rng(1)
    fold = []
    for _ in range(12):
        gold = int(rng.integers(40))
        knows = rng.normal(size=40)
        knows[gold] += 6
        noise = [rng.normal(size=40).tolist() for _ in range(5)]
        fold.append(reading(rng.normal(size=40).tolist(), [(gold, gold)], [*noise[:3], knows.tolist(), *noise[3:]]))
    ranked = fit._rank_heads(fold, 6)
    assert ranked[0] == 3
    found = fit._climb_weights(fold, fit.Candidate(fit._choose_heads(ranked, 1)))
    assert found.heads.tolist() == [0, 0, 0, 1, 0, 0]
    assert (
        fit.average_by_family(fold, found)["all"] > fit.average_by_family(fold, fit.Candidate(np.zeros(6)))["all"] + 0.2
    )


@pytest.fixture
def short_items(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(rng: random.Random) -> items.Item:
        writer = items.Writer()
        gold = rng.randrange(20)
        for i in range(20):
            writer.add(f"[{i}] the cat {rng.randrange(10**6)} sat = {i}\n", evidence=i == gold)
        return writer.finish("short", f"What is at {gold}?")

    monkeypatch.setattr(families, "list_makers", lambda: {"short": short})
    monkeypatch.setattr(fit, "list_makers", lambda: {"short": short})


@pytest.mark.usefixtures("short_items")
def test_calibrating_writes_a_profile_that_is_then_used(tiny_draft: str, cache: Path) -> None:
    result = CliRunner().invoke(main, ["calibrate", "-d", tiny_draft, "-n", "128"])
    assert result.exit_code == 0, result.output
    assert "64 items held out" in result.output
    runtime = get_shared_runtime(tiny_draft)
    found = profile.choose_profile("auto", runtime.fingerprint)
    assert found.heads
    assert all(head.layer in runtime.band for head in found.heads)
    assert found.made["reach"].keys() == {"short", "all"}
    text = "The cat sat on the mat. The dog barked at it. Rain fell. " * 20
    with_it, without = (
        Compressor(CompressConfig(draft=tiny_draft, scorer_options={"profile": choice})).compress_text(
            text, query="Who barked?", keep_rate=0.3
        )
        for choice in ("auto", "none")
    )
    assert with_it.spans != without.spans


def test_too_few_items(tiny_draft: str) -> None:
    with pytest.raises(InvalidInputError, match="items must be >= 128, got 127"):
        fit.calibrate(get_shared_runtime(tiny_draft), "x", items=127)


def test_profiles_come_back_as_they_were(cache: Path) -> None:
    made = Profile(draft="d", fingerprint="f", heads=(Head(layer=3, head=1, weight=0.5),), made={"items": 200})
    assert profile.write_profile(made) == cache / "profiles" / "f.json"
    assert profile.choose_profile("auto", "f") == made
    assert profile.choose_profile("none", "f").heads == ()
    assert profile.choose_profile("auto", "other").heads == ()
    with pytest.raises(ConfigError, match=r"profile must be one of this draft \(g\), not of 'd'"):
        profile.choose_profile(str(cache / "profiles" / "f.json"), "g")


def test_a_damaged_profile_of_ones_own_is_left_aside(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = profile.write_profile(Profile(draft="d", fingerprint="f", heads=(Head(layer=3, head=1),)))
    before = profile.digest_own_profiles()
    own.write_text("{")
    assert profile.choose_profile("auto", "f").heads == ()
    assert "is left aside" in caplog.text
    assert profile.digest_own_profiles() != before


def test_packages_without_source_are_an_error() -> None:
    with pytest.raises(EvaluationError, match="no Python files with documented functions in the packages nothing_here"):
        pick_source(random.Random(0), ("nothing_here",))
    assert not set(HELD_OUT_PACKAGES) & set(PACKAGES)


@pytest.mark.parametrize(
    "content", ["", "{}", '{"draft": "d", "fingerprint": "f", "heads": [{"layer": -1, "head": 0}]}']
)
def test_files_that_are_no_profile(tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match="profile must be"):
        profile.choose_profile(str(file), "f")
    with pytest.raises(ConfigError, match="profile must be"):
        profile.choose_profile(str(tmp_path / "nowhere.json"), "f")


def test_a_profile_of_heads_the_draft_has_not(tiny_draft: str, tmp_path: Path) -> None:
    runtime = get_shared_runtime(tiny_draft)
    for head in (Head(layer=7, head=0), Head(layer=runtime.band.start, head=4)):
        file = profile.write_profile(
            Profile(draft="d", fingerprint=runtime.fingerprint, heads=(head,)), tmp_path / "p.json"
        )
        scorer = CalibratedScorer(lambda: runtime, profile=str(file))
        with pytest.raises(ConfigError, match="profile must be of a draft with layers 2 to 5 in its band and 4 heads"):
            scorer.score(LineSegmenter().segment("one\ntwo\nthree\n"), Reading("two?"))


def test_shipped_profiles_are_whole() -> None:
    shipped = profile._read_shipped_profiles()
    assert {found.draft for found in shipped.values()} == {"smollm2-135m", "qwen2.5-coder-0.5b"}
    for found in shipped.values():
        assert found.heads
        assert found.made["items"] >= fit.LEAST_ITEMS
        assert found.made["reach"]["all"] > found.made["reach_without_profile"]["all"]


def test_a_fingerprint_is_the_models_and_not_the_files(tiny_drafts: dict[str, Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from agentcompress.drafts.runtime import DraftRuntime

    folder = tiny_drafts["llama"]
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.add_(0.01 * torch.randn_like(weight))  # as quantising does
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(str(folder)).save_pretrained(tmp_path)
    files = load.find_draft(str(tmp_path))
    assert files
    assert DraftRuntime(files).fingerprint == get_shared_runtime(str(folder)).fingerprint
    assert DraftRuntime(files, torch.float32).fingerprint == DraftRuntime(files, torch.bfloat16).fingerprint
    with torch.no_grad():
        model.model.layers[3].input_layernorm.weight[5] += 0.1
    model.save_pretrained(tmp_path / "other")
    AutoTokenizer.from_pretrained(str(folder)).save_pretrained(tmp_path / "other")
    other = load.find_draft(str(tmp_path / "other"))
    assert other
    assert DraftRuntime(other).fingerprint != DraftRuntime(files).fingerprint
    others = {get_shared_runtime(str(path)).fingerprint for path in tiny_drafts.values()}
    assert len(others) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open src/app.py line 120", {"src/app.py", "120"}),
        ("The cat sat 12 times", set()),
        ("getUserName user_name v2x id:77", {"getUserName", "user_name", "id:77"}),
        ("über_maß", {"über_maß"}),
    ],
)
def test_specific_strings(text: str, expected: set[str]) -> None:
    assert find_specific_strings(text) == expected


def test_a_string_on_every_line_says_nothing_about_any() -> None:
    lines = ["request_id done\n"] * 9 + ["request_id took_long\n"]
    segment = LineSegmenter().segment("".join(lines))
    found = score_specific_strings(segment, np.full(10, 4.0))
    assert found.argmax() == 9
    assert found[0] == pytest.approx(0.1 / 4)


def test_blurring_spreads_and_keeps_what_is_level() -> None:
    sizes = np.array([1.0, 5, 2, 0, 7, 3, 1, 1])
    assert np.allclose(blur_scores(np.full(8, 3.0), sizes, 24), 3.0)
    spike = np.zeros(8)
    spike[3] = 1
    spread = blur_scores(spike, np.ones(8), 2.0)
    assert spread.argmax() == 3
    assert (np.diff(spread[:4]) > 0).all()
    assert (np.diff(spread[3:]) < 0).all()
    far = np.abs(np.arange(8)[:, None] - np.arange(8)[None])
    kernel = np.where(far <= 6, np.exp(-0.5 * (far / 2.0) ** 2), 0)  # out to three standard deviations
    assert np.allclose(spread, kernel[3] / kernel.sum(1))


def test_scores_are_the_weighted_parts() -> None:
    units = tuple(Unit(6 * i, 6 * i + 6, i // 2) for i in range(4))
    segment = Segment("ab_12\nab_34\ncat_1\nhello\n", "lines", units)
    band, head, words = np.array([1.0, 2, 0, 1]), np.array([0.0, 5, 1, 2]), np.array([0.0, 0, 3, 1])
    sizes = np.array([2.0, 2, 4, 1])
    features = UnitFeatures(segment, sizes, band, [head])
    nothing = {**dict.fromkeys(Weights.model_fields, 0.0), "near_width": 2.0}

    def score(**weights: float) -> np.ndarray:
        return features.score(Weights(**{**nothing, **weights}), [1.0], words)

    z = standardise
    means = np.array([2.5, 2.5, 6 / 5, 6 / 5])
    assert np.allclose(score(own=2), 2 * z(head))
    assert np.allclose(score(own=1, band=0.5), z(z(head) + 0.5 * z(band)))
    assert np.allclose(score(parent=1), z(means))
    assert np.allclose(score(lexical=0.5), 0.5 * z(words))
    assert np.allclose(score(specific=1), z(np.array([1, 1, 1, 0]) / np.array([3, 3, 4, 3])))
    assert np.allclose(score(brevity=1), -z(np.log1p(sizes)))
    assert np.allclose(features.score(Weights(**{**nothing, "lexical": 0.5}), [1.0], words, 0.0), 0)
    assert np.allclose(features.score(Weights(**{**nothing, "own": 1}), [0.0], words), z(band))
    assert (PROSE.wide, LINES.band) == (0, 0)
    narrow, broad = (score(near=1, near_width=width) for width in (0.1, 1.0))
    assert np.allclose(narrow, z(head))
    assert not np.allclose(broad, narrow)


def test_a_profile_is_json_that_a_person_can_read() -> None:
    dumped = json.loads(Profile(draft="d", fingerprint="f", heads=(Head(layer=1, head=2),)).model_dump_json())
    assert dumped["heads"] == [{"layer": 1, "head": 2, "weight": 1.0}]
    assert set(dumped) == {"draft", "fingerprint", "heads", "prose", "lines", "source", "made"}
