"""What "auto" makes of a text: its kind, a plugin that claims it, and what to do when all of that is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import pytest

from agentcompress import CompressConfig, plugins
from agentcompress.segmenters import kinds
from agentcompress.segmenters.lines import LineSegmenter
from agentcompress.segmenters.listings import RAW_LISTING, RAW_SHORT, explain_left_whole
from examples import ini_segmenter
from tests import fakes
from tests.fakes import BrokenSegmenter, conversation
from tests.unit.test_structure import CLASSES

MANY = "".join(f"def step_{i}(value):\n    return value + {i}\n\n\n" for i in range(80))
LISTING = "".join(f"/workspace/project/module_{i}/a_rather_long_file_name_{i}.py\n" for i in range(60))
compressor = partial(fakes.compressor, min_tokens=100, keep_rate=0.3)


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, type | None]]:
    """Segmenters that a user's package brings along; None: one that can't be loaded."""
    found: dict[str, type | None] = {}
    load = plugins.load

    def loaded(kind: str, name: str) -> type:
        if name not in found:
            return load(kind, name)
        if (cls := found[name]) is None:
            raise OSError("a library is missing")
        return cls

    monkeypatch.setattr(plugins, "load", loaded)
    monkeypatch.setattr(plugins, "names", lambda kind: sorted(["lines", *found]))
    caches = (kinds._load_class, kinds._load_claims)
    for cache in caches:
        cache.cache_clear()
    yield found
    for cache in caches:
        cache.cache_clear()


def test_a_text_is_cut_by_its_kind() -> None:
    assert compressor().segment(MANY).kind == "source"
    assert "# ..." in compressor().compress_text(MANY, query="step_41").text


def test_a_hint_tells_languages_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "const total = 1;\nfunction run(a) {\n  return a;\n}\n" * 9
    asked = []
    monkeypatch.setattr(kinds, "make_segmenter", lambda kind: asked.append(kind.options["language"]) or LineSegmenter())
    compressor().compress_text(text, query="run", hint="cat main.ts")
    compressor().compress_text(text, query="what does main.ts run?")
    compressor().compress_text(text, query="run")
    assert asked == ["typescript", "typescript", "javascript"]


def test_a_guess_that_fails_falls_back_to_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kinds, "choose_segmenter", lambda *args: BrokenSegmenter())
    with caplog.at_level(logging.WARNING, "agentcompress"):
        assert compressor().segment(CLASSES).kind == "lines"
    assert "cut at lines instead" in caplog.text


def test_a_plugin_that_claims_a_text_cuts_it(entry_points: dict[str, type | None]) -> None:
    entry_points["ini"] = ini_segmenter.IniSegmenter
    query = "Which port does service-41 use?"
    result = compressor().compress_text(ini_segmenter.SETTINGS, query=query, keep_rate=0.05, hint="settings.ini")
    assert "[service-41]" in result.text
    assert "port = 8041" in result.text
    assert compressor().segment(CLASSES, "store.py").kind == "source"


def test_a_plugin_that_cannot_be_loaded_is_left_aside(
    entry_points: dict[str, type | None], caplog: pytest.LogCaptureFixture
) -> None:
    entry_points["gone"] = None
    with caplog.at_level(logging.WARNING, "agentcompress"):
        assert compressor().segment(CLASSES, "store.py").kind == "source"
    assert "'gone' is left aside: OSError" in caplog.text


def test_a_plugin_whose_claim_fails_is_passed_over(
    entry_points: dict[str, type | None], caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ini_segmenter.IniSegmenter):
        @staticmethod
        def claims(text: str, hint: str) -> bool:
            raise KeyError(hint)

    entry_points["failing"] = Failing
    with caplog.at_level(logging.WARNING, "agentcompress"):
        assert compressor().segment(CLASSES, "store.py").kind == "source"
    assert "'failing' is passed over: KeyError" in caplog.text


def test_the_call_that_a_result_answers_is_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    hints = []
    choose_segmenter = kinds.choose_segmenter

    def noted(text: str, hint: str, config: CompressConfig) -> object:
        hints.append(hint)
        return choose_segmenter(text, hint, config)

    monkeypatch.setattr(kinds, "choose_segmenter", noted)
    compressor().compress(conversation(MANY))
    assert len(hints) == 1
    assert "read_log" in hints[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LISTING, RAW_LISTING),
        ("total 48\n" + "-rw-r--r-- 1 root root 2344 Jan  1 10:00 a_file_with_some_name.txt\n" * 40, RAW_LISTING),
        ("src\n" + "│   ├── a_module_of_some_length.py\n" * 60, RAW_LISTING),
        ("the answer to this call is a sentence that does not say very much at all, and one more.\n" * 19, RAW_SHORT),
        (MANY, None),
        (LISTING * 3, None),
        ("word " * 2000, None),
    ],
)
def test_what_loses_everything_when_it_loses_anything_is_left_whole(text: str, reason: str | None) -> None:
    assert explain_left_whole(text) == reason
    (block,) = compressor().compress(conversation(text)).receipt.blocks
    assert block.reason == reason
    (block,) = compressor(segmenter="lines").compress(conversation(text)).receipt.blocks
    assert block.reason is None


def test_what_stands_before_a_pasted_block_is_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    hints = []
    monkeypatch.setattr(kinds, "choose_segmenter", lambda text, hint, config: hints.append(hint) or LineSegmenter())
    text = f'Why does it fail?\n\n<file path="app/main.ts">\n{MANY}</file>'
    compressor().compress([{"role": "user", "content": text}])
    assert len(hints) == 1
    assert hints[0].endswith('<file path="app/main.ts">\n')
