from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentcompress
from agentcompress import Compressor, plugins
from agentcompress.config import CompressConfig
from agentcompress.errors import AgentCompressError
from agentcompress.schema import Segment, Unit
from agentcompress.scorers.called_by_name import score_called
from agentcompress.segmenters import signs
from agentcompress.segmenters.diff import DiffSegmenter
from agentcompress.segmenters.grammars import GRAMMARS, find_language_of_fence, find_language_of_file
from agentcompress.segmenters.kinds import Kind, detect_kind, make_segmenter
from agentcompress.segmenters.logs import LogSegmenter
from agentcompress.segmenters.matches import MatchSegmenter
from agentcompress.segmenters.source import SourceSegmenter
from agentcompress.segmenters.structured import JsonSegmenter
from agentcompress.segmenters.tables import TableSegmenter
from agentcompress.selection.order import find_missing, order_units
from agentcompress.selection.select import select_units
from agentcompress.text.delimiters import choose_style
from agentcompress.text.lines import Rows, find_view
from tests.kept import Quarters, assert_sound, assert_whole_lines, kept
from tests.texts import any_text


@given(text=any_text, hint=any_text)
def test_telling_kinds_apart_never_fails(text: str, hint: str) -> None:
    assert_sound(make_segmenter(detect_kind(text, hint)).segment(text), text)


PYTHON = Path(agentcompress.__file__).parent


def errors_in(text: str, language: str) -> int:
    waiting, found = [GRAMMARS[language].parse(text.encode()).root_node], 0
    while waiting:
        node = waiting.pop()
        found += node.is_error or node.is_missing
        waiting.extend(node.children if node.has_error else ())
    return found


@pytest.mark.parametrize("file", sorted(PYTHON.rglob("*.py")), ids=lambda file: file.stem)
def test_kept_python_parses_in_whole_lines(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    segment = SourceSegmenter("python").segment(text)
    assert_sound(segment, text)
    for rate in (0.1, 0.2, 0.4):
        selection = kept(segment, int(rate * len(text) / 4))
        shown = selection.rendered.text
        assert errors_in(shown, "python") == 0
        assert_whole_lines(text, selection.rendered)


OTHERS = {
    "javascript": """
import { a } from "./a.js";
// Adds things up.
export class Sum extends Base {
  constructor(parts) {
    super();
    this.parts = parts;
    this.total = 0;
  }

  run() {
    for (const part of this.parts) {
      if (part.good) {
        this.total += part.value;
        this.seen = true;
        this.count += 1;
      } else {
        this.failed(part);
      }
    }
    return this.total;
  }
}
const table = {
  one: 1,
  two: 2,
  three: () => {
    return 3;
  },
  four: 4,
  five: 5,
  six: 6
};
describe("sum", () => {
  it("adds", () => {
    const sum = new Sum([1, 2]);
    sum.run();
    expect(sum.total).toBe(3);
  });
});
switch (kind) {
  case "a":
    first();
    second();
    break;
  default:
    third();
}
""",
    "java": """
package org.example;

import java.util.List;

/**
 * Adds things up,
 * one after the other,
 * for as long
 * as there are any.
 * Really.
 */
public class Sum {
    private static final int[] TABLE = {
        1,
        2,
        3,
        4,
        5,
        6,
        7
    };

    @Override
    public int run(List<Integer> parts) {
        int total = 0;
        try {
            for (int part : parts) {
                total += part;
                seen++;
            }
            log(total);
        } catch (ArithmeticException e) {
            total = -1;
            log(e);
        } finally {
            close();
            done();
        }
        return total;
    }
}
""",
    "go": """
package sum

import (
	"fmt"
	"os"
)

type Sum struct {
	total int
	seen  bool
	name  string
	parts []int
}

// Run adds up.
func (s *Sum) Run(parts []int) (int, error) {
	for _, part := range parts {
		switch {
		case part > 0:
			s.total += part
			s.seen = true
		case part < 0:
			return 0, fmt.Errorf("negative: %d", part)
		default:
			fmt.Fprintln(os.Stderr, "zero")
		}
	}
	values := map[string]int{
		"a": 1,
		"b": 2,
		"c": 3,
		"d": 4,
		"e": 5,
		"f": 6,
		"g": 7,
	}
	return s.total + values["a"], nil
}
""",
    "rust": """
use std::fmt;

#[derive(Debug, Clone)]
pub struct Sum {
    total: i64,
    seen: bool,
    name: String,
    parts: Vec<i64>,
    other: Option<i64>,
    last: u8,
}

impl Sum {
    /// Adds up.
    pub fn run(&mut self, parts: &[i64]) -> Result<i64, String> {
        for part in parts {
            match part {
                0 => {
                    self.seen = true;
                    self.total += 1;
                }
                n if *n < 0 => return Err(format!("negative: {n}")),
                n => self.total += n,
            }
        }
        let text = r#"
            one
            two
            three
            four
            five
        "#;
        println!("{text}");
        Ok(self.total)
    }
}
""",
}


@pytest.mark.parametrize("language", sorted(OTHERS))
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.1, 0.2, 0.4, 0.6, 0.8]))
def test_kept_code_of_other_languages_parses(language: str, seed: int, rate: float) -> None:
    text = OTHERS[language]
    assert errors_in(text, language) == 0
    selection = kept(SourceSegmenter(language).segment(text), int(rate * len(text) / 4), seed)
    assert errors_in(selection.rendered.text, language) == 0
    assert_whole_lines(text, selection.rendered)


def best(segment: Segment, wanted: str, budget: int) -> str:
    """What is kept when the unit that holds `wanted` is the best one, and the others are none the better."""
    scores = np.array([float(wanted in segment.text[unit.start : unit.end]) for unit in segment.units])
    assert scores.sum() == 1
    return select_units(segment, scores, budget, Quarters(), choose_style(segment)).rendered.text


CLASSES = '''import os
from pathlib import Path

LIMIT = 3


class Store:
    """Keeps files."""

    def __init__(self, folder: str) -> None:
        """Make one."""
        self.folder = Path(folder)
        self.count = 0
        self.names = []

    def read(self, name: str) -> str:
        """Read a file."""
        path = self.folder / name
        if not path.exists():
            raise FileNotFoundError(name)
        self.count += 1
        return path.read_text()


def unrelated(first: int, second: int) -> int:
    """Something else."""
    total = first + second
    total += os.getpid()
    total += LIMIT
    return total
'''


def test_a_body_keeps_its_signature_and_its_class() -> None:
    shown = best(SourceSegmenter("python").segment(CLASSES), "raise FileNotFoundError", 100)
    assert "class Store:\n" in shown
    assert "    def read(self, name: str) -> str:\n" in shown
    assert "        # ... " in shown


def test_a_kept_body_pulls_in_what_defines_its_names() -> None:
    segment = SourceSegmenter("python").segment(CLASSES)
    text = {i: CLASSES[unit.start : unit.end] for i, unit in enumerate(segment.units)}
    wants = {text[i].strip(): [text[j].strip() for j in unit.wants] for i, unit in enumerate(segment.units)}
    assert wants["total += LIMIT"] == ["LIMIT = 3"]
    assert wants["total += os.getpid()"] == []  # two letters are no name to look for
    assert wants["self.folder = Path(folder)"] == ["from pathlib import Path"]


def test_a_view_of_part_of_a_file_is_seen_through() -> None:
    body = CLASSES.splitlines()[9:24]
    view = "[File: store.py (29 lines total)]\n" + "".join(f"{n:6d}\t{line}\n" for n, line in enumerate(body, 10))
    rows = Rows(view)
    found = find_view(rows)
    assert found
    assert found.bare.splitlines()[1:] == body
    assert found.foreign == {0}
    segment = SourceSegmenter("python").segment(view)
    assert_sound(segment, view)
    shown = best(segment, "raise FileNotFoundError", 85)
    assert "    16\t    def read(self, name: str) -> str:\n" in shown
    assert re.search(r"# \.\.\. \d+ lines omitted$", shown, re.MULTILINE)


def test_order_takes_floors_up_to_their_share() -> None:
    units = tuple(Unit(i, i + 1, 0, floor=int(i >= 5), wants=(9,) if i == 0 else ()) for i in range(10))
    segment = Segment("x" * 10, "lines", units, floor_share=0.4)
    order = order_units(segment, -np.arange(10.0), np.ones(10))
    assert sorted(order) == list(range(10))
    assert order[:6] == [0, 1, 9, 2, 5, 3]
    for n in range(1, 11):
        assert sum(units[i].floor for i in order[:n]) <= max(0.4 * n, n - 5)


def test_order_without_floors_is_that_of_the_scores() -> None:
    segment = Segment("abc", "lines", tuple(Unit(i, i + 1, 0) for i in range(3)))
    assert order_units(segment, np.array([1.0, 3.0, 2.0]), np.ones(3)) == [1, 2, 0]


def test_repeats_come_later_unless_they_stand_out() -> None:
    units = tuple(Unit(i, i + 1, 0, prior=-1.0 if i in (1, 3) else 0.0) for i in range(4))
    segment = Segment("abcd", "lines", units)
    assert order_units(segment, np.array([0.0, 0.1, 0.2, 9.0]), np.ones(4)) == [3, 2, 0, 1]


def test_requirements_are_followed_to_the_end() -> None:
    units = (Unit(0, 1, 0), Unit(1, 2, 0, (0,)), Unit(2, 3, 0, (1, 3)), Unit(3, 4, 0, (2,)))
    assert sorted(find_missing(Segment("abcd", "x", units), 3, ())) == [0, 1, 2, 3]
    assert sorted(find_missing(Segment("abcd", "x", units), 3, {1})) == [2, 3]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=9), inner, max_size=8),
    max_leaves=40,
)


@given(value=values, indent=st.sampled_from([None, 1, 4]), seed=st.integers(0, 99), ascii_only=st.booleans())
def test_kept_json_parses(value: object, indent: int | None, seed: int, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    segment = JsonSegmenter(small_chars=20, record_chars=100, string_chars=60).segment(text)
    assert_sound(segment, text)
    if segment.kind == "json":
        for budget in (10, 10 + len(text) // 16, 10 + len(text) // 8):
            json.loads(kept(segment, budget, seed).rendered.text)


def test_json_says_what_is_gone_and_leaves_numbers_alone() -> None:
    text = json.dumps({"users": [{"id": i, "score": 1.50} for i in range(40)], "done": True}).replace("1.5", "1.50")
    shown = best(JsonSegmenter(small_chars=10).segment(text), '"id": 17', 60)
    users = json.loads(shown)["users"]
    at = next(i for i, user in enumerate(users) if isinstance(user, dict) and user.get("id") == 17)
    assert users[at - 1] == f"[... {17 - at + 1} elements omitted]"
    assert '"id": 17, "score": 1.50' in shown


def test_a_long_string_loses_its_middle() -> None:
    text = json.dumps({"log": "\n".join(f'line {i} with a \\ and a " in it' for i in range(100))})
    segment = JsonSegmenter().segment(text)
    shown = best(segment, "line 50 ", 120)
    assert "line 50 " in json.loads(shown)["log"]
    assert re.search(r"\[\.\.\. \d+ (?:lines|more like this) omitted\]\\n", shown)


def test_json_lines_stay_lines_of_json() -> None:
    text = "".join(json.dumps({"id": i, "text": f"message {i}"}) + "\n" for i in range(50))
    shown = best(JsonSegmenter().segment(text), "message 17", 34)
    rows = [json.loads(line) for line in shown.splitlines()]
    assert {"id": 17, "text": "message 17"} in rows
    gone = sum(int(row.split()[1]) for row in rows if isinstance(row, str))
    assert gone + sum(isinstance(row, dict) for row in rows) == 50
    assert gone > 40


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a": [1, 2', "nonsense {", "[]", "3", ""])
def test_what_is_no_json_or_too_deep_is_cut_at_lines(text: str) -> None:
    assert_sound(JsonSegmenter().segment(text), text)


FAILING = (
    "============ test session starts ============\ncollected 320 items\n\n"
    + "".join(f"tests/test_price.py::test_price[{i}] PASSED   [{i // 4:3d}%]\n" for i in range(300))
    + "\n=========== FAILURES ==========\n_______ test_price[7] _______\n\n"
    + "Traceback (most recent call last):\n"
    + '  File "shop.py", line 3, in price\n    raise KeyError(n)\n'
    + "KeyError: 7\n\n"
    + "2024-01-01 10:00:00 WARNING pool is low\n" * 20
    + "\x1b[31mFAILED\x1b[0m tests/test_price.py::test_price[7] - KeyError: 7\n"
    + "FAILED tests/test_price.py::test_price[9] - KeyError: 9\n"
    + "========= 2 failed, 318 passed in 1.20s =========\n"
)


@given(seed=st.integers(0, 1000))
def test_failures_and_how_it_ended_survive(seed: int) -> None:
    segment = LogSegmenter().segment(FAILING)
    shown = kept(segment, len(FAILING) // 40, seed).rendered.text
    assert "\x1b[31mFAILED\x1b[0m tests/test_price.py::test_price[7] - KeyError: 7\n" in shown
    assert "FAILED tests/test_price.py::test_price[9] - KeyError: 9\n" in shown
    assert "2 failed, 318 passed" in shown
    assert "    raise KeyError(n)\nKeyError: 7\n" in shown


@pytest.mark.parametrize(
    ("line", "floor"),
    [
        *(
            (line, signs.TOLD)
            for line in (
                "OK",
                "OK (skipped=1)",
                "== 3 passed in 1s ==",
                "3 errors generated.",
                "12 examples, 3 failures",
            )
        ),
        *(
            (line, signs.TOLD)
            for line in (
                "Process exited with code 3",
                "Process exited with code 0",
                "make: *** [all] Error 1",
                "0 errors",
            )
        ),
        *(
            (line, signs.TOLD)
            for line in ("Tests  1 failed | 2911 passed (2912)", "# fail 1", "(240 rows)", "3 failed, 0 errors")
        ),
        *(
            (line, signs.TOLD)
            for line in ("Found 1 error in 1 file", "Plan: 0 to add, 1 to change", "180 rows in set (0.02 sec)")
        ),
        *(
            (line, signs.TOLD)
            for line in (
                "[output truncated: 12000 of 41822 characters; full log at /tmp/x.log]",
                "(214 more lines below)",
            )
        ),
        *(
            (line, signs.ENDS)
            for line in (
                "FAILED a.py::b - c",
                "ERROR tests/test_a.py",
                "FAIL: a (b.C)",
                "not ok 3 - x",
                "--- FAIL: TestX (0.0s)",
            )
        ),
        *(
            (line, signs.ENDS)
            for line in (" FAIL  src/a.test.ts > b", "[  FAILED  ] A.b (0 ms)", "  2) Store reads", "  ✗ x")
        ),
        *((line, signs.ENDS) for line in ("  Failed Shop.Tests.Adds [3 ms]", "a > b FAILED", "00:05 +12 -1: adds [E]")),
        *(
            (line, signs.ERROR)
            for line in ("ERR x", "E       assert 1", "foo ERR bar", ">   x = 1", "npm ERR! x", "KeyError: 3")
        ),
        *((line, signs.ERROR) for line in ("segmentation fault", "lease.c:71:10: fatal error: no such file")),
        *(
            (line, signs.ERROR)
            for line in (
                "openat(3) = -1 EDQUOT (Disk quota exceeded)",
                "step 2100 | loss nan",
                "22:07:52 FEHLER 32 (0x20)",
                "Erreur : fichier introuvable",
                "操作失败",
                "EXCEPTION CAUGHT BY RENDERING LIBRARY",
                "lastError: { code: 'NO_READ' }",
            )
        ),
        *(
            (line, signs.TOLD)
            for line in ("Tests: succeeded 150, failed 1, canceled 0", "    ~ 37 updated", "Duration: 3s")
        ),
        *((line, signs.ENDS) for line in ("! Undefined control sequence.",)),
        *(
            (line, 0)
            for line in ("lastError: null,", '  "error": ""', "->  Sort  (cost=3.1..8.2 rows=9) (rows=9 loops=1)")
        ),
        *((line, signs.WARNING) for line in ("DeprecationWarning: x", "connection refused", "it timed out")),
        *((line, signs.WARNING) for line in ("41 of 64 SKIP relation marts.rates", "the index is corrupt")),
        *((line, 0) for line in ("token 3 of 4", "terraform plan", "test a::b_3 ... ok", "  ✓ adds (3 ms)", "")),
    ],
)
def test_what_lines_are_worth_for_their_own_sake(line: str, floor: int) -> None:
    assert signs.rate_line(line) == floor


def test_lines_like_the_one_before_are_counted() -> None:
    segment = LogSegmenter().segment(FAILING)
    assert sum(unit.prior < 0 for unit in segment.units) == 298 + 19
    shown = best(segment, "test_price[0] PASSED", 200)
    assert re.search(r"\n\[\.\.\. \d+ more like this omitted\]\n", shown)


def test_a_traceback_stays_whole() -> None:
    segment = LogSegmenter().segment(FAILING)
    texts = [FAILING[unit.start : unit.end] for unit in segment.units]
    assert [text for text in texts if "Traceback" in text] == [
        'Traceback (most recent call last):\n  File "shop.py", line 3, in price\n    raise KeyError(n)\nKeyError: 7\n'
    ]


DIFF = """diff --git a/one.py b/one.py
index 1..2 100644
--- a/one.py
+++ b/one.py
@@ -1,3 +1,4 @@
 a
+b
 c
@@ -30,2 +31,2 @@ def f():
-x
+y
diff --git a/two.py b/two.py
--- a/two.py
+++ b/two.py
@@ -1 +1 @@
-old
+new
"""


def test_a_hunk_keeps_the_header_of_its_file() -> None:
    segment = DiffSegmenter().segment(DIFF)
    assert_sound(segment, DIFF)
    assert len(segment.units) == 5
    shown = best(segment, "+y", 40)
    assert "+++ b/one.py" in shown
    assert "@@ -30,2 +31,2 @@ def f():\n-x\n+y\n" in shown
    assert "+new" not in shown


def test_matches_stand_under_their_file() -> None:
    text = "src/a.py\n12:def f():\n40:    f()\n\nsrc/b.py\n3:import f\n"
    segment = MatchSegmenter().segment(text)
    assert [unit.requires for unit in segment.units] == [(), (0,), (0,), (), (), (4,)]
    inline = MatchSegmenter().segment("src/a.py:12:def f():\nsrc/a.py:40:    f()\nsrc/b.py:3:import f\n")
    assert [unit.parent for unit in inline.units] == [0, 0, 1]
    assert not any(unit.requires for unit in inline.units)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('id,name\n1,"a\nb"\n2,c\n', 3),
        ("| id | name |\n|---|---|\n| 1 | a |\n| 2 | b |\n", 3),
        ('id,name\n1,a "quote that never ends\n2,b\n', 3),
    ],
)
def test_a_row_keeps_the_header(text: str, rows: int) -> None:
    segment = TableSegmenter().segment(text)
    assert_sound(segment, text)
    assert [unit.requires for unit in segment.units] == [(), *[(0,)] * (rows - 1)]


_PROSE = Kind("prose")


@pytest.mark.parametrize(
    ("text", "hint", "kind"),
    [
        (CLASSES, "", Kind("source", {"language": "python"})),
        (OTHERS["go"], "", Kind("source", {"language": "go"})),
        (OTHERS["rust"], "", Kind("source", {"language": "rust"})),
        (OTHERS["java"], "", Kind("source", {"language": "java"})),
        (OTHERS["javascript"], "", Kind("source", {"language": "javascript"})),
        (OTHERS["javascript"], "cat src/sum.ts", Kind("source", {"language": "typescript"})),
        ("#!/usr/bin/env bash\nset -e\nif [ -f x ]; then\n  echo y\nfi\n", "", Kind("source", {"language": "bash"})),
        (FAILING, "python -m pytest test_price.py", Kind("log")),
        ("2024-01-01 10:00:00 INFO up\n2024-01-01 10:00:01 INFO down\n", "", Kind("log")),
        (DIFF, "", Kind("diff")),
        ('{"a": [1, 2, 3]}', "", Kind("json")),
        ('{"a": 1}\n{"a": 2}\n', "", Kind("json")),
        ("src/a.py:12:def f():\nsrc/a.py:40:    f()\nsrc/b.py:3:import f\n", "", Kind("matches")),
        ("./src\n./src/a.py\n./src/b/c.py\n./README.md\n", "", Kind("matches")),
        ("id,name,age\n" + "1,bob,17\n" * 9, "", Kind("table")),
        ("<!DOCTYPE html>\n<html><body><p>Hi</p></body></html>\n", "", Kind("source", {"language": "html"})),
        ("Look:\n\n```python\nx = 1\n```\n\nand so on.\n", "", Kind("mixed")),
        ("Normandy is a region in the north of France. Its name comes from the Normans.", "", Kind("prose")),
        ("", "", Kind("lines")),
        ("id,customer,created_at,total\n" + "1,bob,2024-01-05,17.5\n" * 9, "", Kind("table")),
        ("at,what,who,n\n" + "2024-01-05 10:00:00,login,bob,1\n" * 9, "", Kind("table")),
        ("| id | name |\n|----|------|\n" + "| 1 | a name of three words |\n" * 9, "", Kind("table")),
        ("2024-01-05 10:00:00 | INFO | app:run:12 | started\n" * 9, "", Kind("log")),
        (
            "On 2024-01-05, alice told us all that the house by the river was blue, and that it had been sold.\n" * 3,
            "",
            _PROSE,
        ),
        (DIFF.replace(".py", ".sh"), "git diff deploy.sh", Kind("diff")),
        ("src/a.py\n12:def f():\n40:    f()\n\nsrc/b.py\n3:import f\n7:f()\n", "", Kind("matches")),
        ("src/a.py:12:5:def f():\nsrc/a.py:40:9:    f()\nsrc/b.py:3:1:import f\n", "", Kind("matches")),
        ("".join(f"{n:08x}: 7f45 4c46 0201 0100  .ELF....\n" for n in range(0, 320, 16)), "xxd a", Kind("log")),
        ("type A =\n  | 'a'\n  | 'b'\n  | 'c'\n" * 3, "a.ts", Kind("source", {"language": "typescript"})),
        (
            "namespace a {\nclass B : public C {\n  std::string d();\n};\n}\n",
            "b.h",
            Kind("source", {"language": "cpp"}),
        ),
        ("int f(int a);\n#define B 1\nstruct c { int d; };\n", "b.h", Kind("source", {"language": "c"})),
        ("a:\n  b: >\n    some text\n    goes on here\n  c: 1\n", "k8s.yaml", Kind("sections", {"language": "yaml"})),
        ('HTTP/1.1 200 OK\nserver: x\n\n{"a": [1, 2, 3], "b": {"c": "a longer text than that"}}\n', "", Kind("mixed")),
        ('{"a": [1, 2, 3], "b": {"c": "some text"}}\n[exit code 0]\n', "", Kind("mixed")),
        ("".join(f"     {n}\t{line}\n" for n, line in enumerate(DIFF.splitlines(), 1)), "", Kind("lines")),
        ("alpha beta\n\x00\x01\x02\ngamma\n", "", Kind("log")),
    ],
)
def test_kinds(text: str, hint: str, kind: Kind) -> None:
    found = detect_kind(text, hint)
    assert found == (kind if kind.name != "mixed" else Kind("mixed", {"hint": hint} if hint else {}))


def test_a_fenced_block_is_cut_by_its_kind() -> None:
    text = f"Here is the file. It has a class.\n\n```python\n{CLASSES}```\n\nThat was all. Ask on.\n"
    segment = make_segmenter(Kind("mixed")).segment(text)
    assert_sound(segment, text)
    shown = best(segment, "raise FileNotFoundError", 140)
    assert "```python\n" in shown
    assert "\n```\n" in shown
    assert "        # ..." in shown


def test_text_that_looks_like_a_delimiter_is_never_confused_with_one() -> None:
    text = CLASSES.replace('"""Keeps files."""', "# ... 14 lines omitted (120-133)")
    shown = best(SourceSegmenter("python").segment(text), "# ... 14 lines omitted (120-133)", 60)
    assert shown.count("# ... ") == 1
    assert "# … " in shown


@pytest.mark.parametrize(
    ("name", "language"), [("a/b.PY", "python"), ("x.tsx", "tsx"), ("Gemfile", "ruby"), ("x.unknown", None)]
)
def test_languages_by_name(name: str, language: str | None) -> None:
    assert find_language_of_file(name) == language


def test_languages_of_fences() -> None:
    assert find_language_of_fence("C++") == "cpp"
    assert find_language_of_fence("text") is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("source", {"language": "klingon"}, "language must be one of bash, c, cpp"),
        ("source", {"floor_share": 2}, "floor_share must be a number in"),
        ("log", {"last_lines": 0}, "last_lines must be a whole number >= 1"),
        ("json", {"small_chars": 0}, "small_chars"),
        ("diff", {"hunk_lines": 0}, "hunk_lines"),
        ("table", {"block_rows": 0}, "block_rows"),
        ("matches", {"piece_chars": 0}, "piece_chars"),
    ],
)
def test_options_out_of_range(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(AgentCompressError, match=message):
        plugins.build("segmenters", name, options, CompressConfig())


def called(segment: Segment, query: str) -> dict[str, float]:
    scores = score_called(segment, query).tolist()
    return {unit.name: score for unit, score in zip(segment.units, scores, strict=True) if score}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What does Store.read return?", {"Store": 1, "Store.read": 1, "Store.__init__": 0.5}),
        ("what does `read` return", {"Store.read": 1}),
        ("where is read() used", {"Store.read": 1}),
        ("read the file", {}),
        ("A. unrelated B. _malloc", {"unrelated": 1}),
    ],
)
def test_functions_are_called_by_their_names(query: str, expected: dict[str, float]) -> None:
    assert called(SourceSegmenter("python").segment(CLASSES), query) == expected


@pytest.mark.parametrize("query", ["users.3.tags.1", "$.users[3].tags[1]", "users[3]['tags'][1]", "/users/3/tags/1"])
def test_values_are_called_by_their_paths(query: str) -> None:
    text = json.dumps({"users": [{"id": i, "tags": ["a", "b", f"{i}"]} for i in range(5)], "tags": [1, 2, 3, 4]})
    segment = JsonSegmenter(small_chars=5).segment(text)
    assert called(segment, f"What is the value at {query}?") == {"$.users.3.tags.1": 1}
    assert called(segment, "What is a tag?") == {}
    records = JsonSegmenter(small_chars=60).segment(text)
    assert called(records, f"What is the value at {query}?") == {"$.users.3": 1}


def test_what_is_called_by_its_name_is_kept_first(tiny_draft: str) -> None:
    text = json.dumps({"users": [{"id": i, "email": f"{i * 37}@example.com"} for i in range(200)]})
    config = CompressConfig(draft=tiny_draft, segmenter="json", segmenter_options={"small_chars": 20})
    result = Compressor(config).compress_text(text, query="users.117.email", target_tokens=80)
    assert "4329@example.com" in result.text
    json.loads(result.text)


STACKS = {
    "java": """Exception in thread "main" java.lang.IllegalStateException: no price for 17
\tat shop.Price.of(Price.java:41)
\tat shop.Main.main(Main.java:9)
Caused by: java.util.NoSuchElementException: 17
\tat shop.Table.get(Table.java:12)
\t... 2 more""",
    "javascript": """TypeError: Cannot read properties of undefined (reading 'price')
    at total (/srv/shop/cart.js:17:22)
    at Object.<anonymous> (/srv/shop/main.js:4:1)
    at node:internal/main/run_main_module:23:47""",
    "dotnet": """System.InvalidOperationException: no price for 17
   at Shop.Price.Of(Int32 id) in /srv/Price.cs:line 41
   at Shop.Program.Main(String[] args)""",
    "ruby": """cart.rb:12:in `total': undefined method `price' for nil (NoMethodError)
\tfrom main.rb:4:in `run'
\tfrom main.rb:9:in `<main>'""",
}


@pytest.mark.parametrize("language", STACKS)
def test_a_stack_of_frames_stays_together(language: str) -> None:
    around = "".join(f"12:00:{i % 60:02d} INFO request {i} served\n" for i in range(60))
    text = f"{around}{STACKS[language]}\n{around}"
    segment = LogSegmenter().segment(text)
    assert_sound(segment, text)
    (unit,) = (unit for unit in segment.units if STACKS[language][:20] in text[unit.start : unit.end])
    assert text[unit.start : unit.end].rstrip("\n") == STACKS[language]
    assert unit.floor >= signs.ERROR
    assert STACKS[language] in kept(segment, 200).rendered.text


def test_of_a_long_stack_the_errors_are_floors() -> None:
    frames = "".join(f"\tat shop.Deep.call{i}(Deep.java:{i})\n" for i in range(60))
    text = f"java.lang.Error: outer\n{frames}Caused by: java.io.IOException: disk\n{frames}"
    segment = LogSegmenter().segment(text)
    floors = [text[unit.start : unit.end] for unit in segment.units if unit.floor >= signs.ERROR]
    assert [line for line in floors if "at shop" not in line] == [
        "java.lang.Error: outer\n",
        "Caused by: java.io.IOException: disk\n",
    ]


def test_a_long_string_without_words_loses_its_middle() -> None:
    text = json.dumps({"name": "logo.png", "data": "iVBORw0KGgo" * 400, "odd": "\u20ac\U0001f600" * 300})
    assert "\\ud83d\\ude00" in text
    segment = JsonSegmenter().segment(text)
    assert_sound(segment, text)
    for seed in range(6):
        shown = kept(segment, 400, seed).rendered.text
        read = json.loads(shown)
        assert len(shown) < 0.5 * len(text)
        assert read.get("data", "iVBOR").startswith("iVBOR")
        assert read.get("odd", "\u20ac\U0001f600").startswith("\u20ac\U0001f600")
        shown.encode("utf-8")
        json.dumps(read, ensure_ascii=False).encode("utf-8")  # no half of a character is left
    assert "chars omitted]" in shown


def _clauses(count: int) -> dict[str, tuple[str, str]]:
    """One large statement a language, of which no clause needs another."""
    numbers = range(count)
    return {
        "elif": (
            "python",
            "def f(x):\n    if x == 0:\n        a = 0\n        return 0\n"
            + "".join(f"    elif x == {i}:\n        a = {i}\n        b = a + x\n        return {i}\n" for i in numbers),
        ),
        "except": (
            "python",
            "try:\n    f()\n    g()\n"
            + "".join(f"except E{i} as e:\n    log(e)\n    a = {i}\n    raise\n" for i in numbers),
        ),
        "call": ("python", "setup(\n" + "".join(f"    arg_{i}='value of {i}',\n" for i in numbers) + ")\n"),
        "case": (
            "bash",
            'case "$1" in\n' + "".join(f"  o{i})\n    echo {i}\n    run {i}\n    ;;\n" for i in numbers) + "esac\n",
        ),
        "if": ("bash", "if [ -f x ]; then\n" + "".join(f"  run {i} || exit {i}\n" for i in numbers) + "fi\n"),
        "else": (
            "javascript",
            "function f(x) {\n  if (x === 0) {\n    a = 0;\n    return 0;\n"
            + "".join(f"  }} else if (x === {i}) {{\n    a = {i};\n    b(a);\n    return {i};\n" for i in numbers)
            + "  } else {\n    return null;\n  }\n}\n",
        ),
        "ternary": (
            "javascript",
            "const f = (a ? (function (x) {\n  b();\n  c();\n  d();\n  e();\n  g();\n}) : (function (x) {\n"
            + "".join(f"  h({i});\n" for i in numbers)
            + "}));\n",
        ),
        "when": (
            "kotlin",
            "fun f(x: Int): Int {\n  return when (x) {\n"
            + "".join(f"    {i} -> {{\n      a()\n      b({i})\n      {i}\n    }}\n" for i in numbers)
            + "    else -> 1\n  }\n}\n",
        ),
    }


@pytest.mark.parametrize("name", _clauses(1))
@pytest.mark.parametrize("rate", [0.1, 0.2, 0.4])
def test_of_a_large_statement_clauses_go_one_by_one(name: str, rate: float) -> None:
    language, text = _clauses(60)[name]
    assert errors_in(text, language) == 0
    segment = SourceSegmenter(language).segment(text)
    assert_sound(segment, text)
    budget = max(60, int(rate * len(text) / 4))
    selection = kept(segment, budget)
    assert errors_in(selection.rendered.text, language) == 0
    assert selection.tokens > 0.6 * budget


def test_an_alias_keeps_its_anchor() -> None:
    text = "base: &base\n  image: a\n  ports: [1, 2]\n" + "".join(f"s{i}:\n  <<: *base\n  n: {i}\n" for i in range(30))
    segment = SourceSegmenter("yaml").segment(text)
    for seed in range(9):
        shown = kept(segment, 60, seed).rendered.text
        assert "*base" not in shown or "&base" in shown


def test_a_fence_is_believed_when_its_text_agrees() -> None:
    units = make_segmenter(Kind("mixed")).segment(f"Log:\n\n```python\n{FAILING}```\n").units
    assert sum(unit.floor >= signs.ENDS for unit in units) > 3


def test_json_with_words_around_it_still_parses() -> None:
    inner = json.dumps({"items": [{"id": i, "name": f"user {i}"} for i in range(90)], "total": 90}, indent=1)
    text = f"HTTP/1.1 200 OK\n\n{inner}\n[exit code 0]\n"
    segment = make_segmenter(detect_kind(text)).segment(text)
    assert_sound(segment, text)
    shown = kept(segment, 300).rendered.text
    assert json.JSONDecoder().raw_decode(shown, shown.index("{"))[0]


def test_two_gaps_never_have_one_key() -> None:
    text = json.dumps({f"{'k' * 50}{i}": "v" * 150 for i in range(40)})
    for seed in range(9):
        pairs = json.loads(kept(JsonSegmenter().segment(text), 300, seed).rendered.text, object_pairs_hook=list)
        assert len({key for key, _ in pairs}) == len(pairs)
