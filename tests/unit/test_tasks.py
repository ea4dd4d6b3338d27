from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality import ruler
from agentcompress.evaluation.quality.benchmark_prompts import INFINITEBENCH, LONGBENCH
from agentcompress.evaluation.quality.catalogue import open_task
from agentcompress.evaluation.quality.code_debug import CodeDebugTask
from agentcompress.evaluation.quality.ruler import RulerTask
from agentcompress.evaluation.quality.sets import JsonLinesTask, find_json_value
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence
from agentcompress.schema import Span


def written(folder: Path, name: str, *rows: Any) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def only(task: Any) -> EvalItem:
    (item,) = task.items()
    return item


@pytest.mark.parametrize("name", ruler.list_names())
def test_rulers_evidence_is_its_answers(name: str) -> None:
    task = RulerTask(name, words=700, count=3)
    items = list(task.items())
    assert items == list(RulerTask(name, words=700, count=3).items())
    assert len({item.id for item in items}) == len({item.text for item in items}) == 3
    for item in items:
        assert 500 < len(item.text.split()) < 1700
        held = [item.text[span.start : span.end] for span in item.evidence.spans]
        if name == "vt":
            assert [said.split()[1] for said in held] == list(item.answers)
        elif name != "cwe":
            assert held == list(item.answers)
        assert item.build_prompt("X").count("X") >= 1
        assert item.evidence.measure_kept(item.text, (Span(0, len(item.text)),)) == (1.0 if item.evidence else 0.0)
    assert list(task.items(2)) == items[:2]


def test_common_words_are_the_most_common() -> None:
    item = next(RulerTask("cwe", words=900).items())
    words = [word for word in item.text.split() if not word.endswith(".")]
    often = sorted(set(words), key=words.count)[-10:]
    assert set(often) == set(item.answers)


def test_needles_hide_among_others_like_them() -> None:
    item = next(RulerTask("niah_multikey_2", words=600).items())
    assert item.text.count("One of the special magic numbers for") > 40
    assert item.text.count(item.answers[0]) == 1


def test_code_debug_breaks_one_line_of_the_function_asked_for() -> None:
    for item in CodeDebugTask(chars=20_000).items(3):
        letter, name = item.answers
        assert f"{letter}. {name}" in item.query
        (span,) = item.evidence.spans
        line = item.text[span.start : span.end]
        files = [part.partition("\n")[2] for part in item.text.split("# ==== file: ")[1:]]
        (broken,) = [file for file in files if line in file and f"def {name}" in file]
        assert any(
            node.name == name and line in (ast.get_source_segment(broken, node) or "")
            for node in ast.walk(ast.parse(broken))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )


def test_sets_know_their_evidence(tmp_path: Path) -> None:
    documents = [{"title": "A_b", "text": "Cats sleep. Dogs bark."}, {"text": "It rains."}]
    base = {"id": 1, "context": documents, "question": "Who barks?", "answers": ["dogs", "nobody"]}
    rows = [
        {**base, "meta": {}},
        {**base, "meta": {"gold_sentences": ["Dogs bark.", "not there"]}},
        {**base, "context": "def f():\n    return 1\n", "meta": {"gold_source": "def f():\n    return 1\n"}},
        {**base, "context": '{"a": [1, {"b": 1}]}', "meta": {"path": ["a", 1, "b"]}},
        {
            **base,
            "context": "x = 1\ny = 2",
            "meta": {"buggy_line": "y = 2", "options": {"A": "f"}},
            "answers": ["A", "f"],
        },
        {
            **base,
            "context": [{"speaker": "P", "content": "Long enough to be counted."}, {"speaker": "Q", "content": "No."}],
            "meta": {"gold_turn_spans": [[0, 1]]},
        },
    ]
    items = list(JsonLinesTask(written(tmp_path, "set.jsonl", *rows)).items())
    assert items[0].text == "A b: Cats sleep. Dogs bark.\n\nIt rains."
    assert items[0].evidence == Evidence(strings=("dogs",), rule="any")
    assert items[1].evidence.strings == ("Dogs bark.",)
    assert items[2].evidence.strings == ("def f():", "return 1")
    assert [items[3].text[a:b] for a, b in items[3].evidence.spans] == ["1"]
    assert items[3].evidence.spans[0].start == items[3].text.rindex("1")
    assert (items[4].metric, items[4].answers, items[4].evidence.strings) == ("choice", ("A",), ("y = 2",))
    assert items[5].evidence.strings == ("Long enough to be counted.",)


def test_reference_cases_ask_with_the_task_and_the_last_action(tmp_path: Path) -> None:
    row = {
        "id": "a",
        "step": 3,
        "text": "see x_1 and y_2",
        "query": {"task": "t" * 900, "action": "open"},
        "references": ["x_1", "z_9", "y_2"],
    }
    item = only(JsonLinesTask(written(tmp_path, "refs.jsonl", row)))
    assert item.id == "a:3"
    assert item.query == f"Task: {'t' * 400} {'t' * 200}\nLast action: open"
    assert item.evidence.measure_kept(item.text, (Span(0, 8),)) == pytest.approx(1 / 3)


def test_odd_files_are_read_or_named(tmp_path: Path) -> None:
    row = {"id": 1, "context": "It was Paris, 13 of them.", "question": "?", "answers": "Paris"}
    file = written(tmp_path, "set.jsonl", row, {**row, "answers": [13]}, {**row, "answers": []})
    file.write_text(file.read_text().replace("\n", "\n\n  \n"))
    items = list(JsonLinesTask(file).items())
    assert [item.answers for item in items] == [("Paris",), ("13",)]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match=r"set.jsonl line 1 must be UTF-8"):
        list(JsonLinesTask(file).items())
    file.write_text("{")
    with pytest.raises(InvalidInputError, match=r"set.jsonl line 1 must be JSON"):
        list(JsonLinesTask(file).items())


def test_a_recorded_agent_is_asked_what_it_went_on_to_use(tmp_path: Path) -> None:
    listing = "".join(f"src/module_{i}.py: def helper_{i}(value_{i}): return {1000 + i}\n" for i in range(60))
    messages = [
        {"role": "user", "content": "Fix helper_7 please."},
        {
            "role": "assistant",
            "content": "I'll look.",
            "tool_calls": [{"name": "grep", "arguments": {"word": "helper"}}],
        },
        {"role": "tool", "content": listing},
        {"role": "assistant", "content": "helper_9 is fine, but see `value_8` and 1007."},
        {"role": "tool", "content": "short"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"name": "edit", "arguments": {"path": "src/module_7.py", "old": ["a\nreturn 1012\nb", 1003]}}
            ],
        },
    ]
    row = {"id": "x", "context": messages, "question": "", "answers": [], "meta": {"path": "a/b.traj"}}
    item = only(JsonLinesTask(written(tmp_path, "agent.jsonl", row, {**row, "context": messages[:2]})))
    assert item.id == "x:2"
    assert item.text == listing
    assert set(item.evidence.strings) == {"value_8", "src/module_7.py", "1003", "1012"}
    assert item.query == 'Task: Fix helper_7 please.\nLast action: I\'ll look.\ngrep {"word": "helper"}'


@pytest.mark.parametrize(
    "row", ["no json", "[1]", '{"id": 1}', '{"id": 1, "context": 5, "question": "", "answers": []}']
)
def test_a_line_that_is_no_item_is_named(tmp_path: Path, row: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(f"{row}\n")
    with pytest.raises(InvalidInputError, match=r"bad.jsonl line 1 must be (an item|JSON)"):
        list(JsonLinesTask(file).items())


def test_evidence_counts_what_is_kept_only() -> None:
    text = "Alpha beta gamma"
    assert Evidence(strings=("BETA",), rule="any").measure_kept(text, (Span(6, 10),)) == 1
    assert Evidence(strings=("BETA",)).measure_kept(text, (Span(6, 10),)) == 0
    assert Evidence(strings=("pha be",)).measure_kept(text, (Span(0, 5), Span(5, 10))) == 0
    assert Evidence(spans=(Span(0, 5), Span(6, 10))).measure_kept(text, (Span(0, 7),)) == 0.5
    assert not Evidence()


def test_values_by_path() -> None:
    text = '{"a": {"b": [10, {"c": "x"}]}, "d": null}'
    for path, value in ((["a", "b", 0], "10"), (["a", "b", 1, "c"], '"x"'), (["d"], "null"), ([], text)):
        span = find_json_value(text, path)
        assert span
        assert text[span.start : span.end] == value
    for odd, path in ((text, ["e"]), (text, ["d", "x"]), ("[1,2", [5]), ("no", ["a"]), ("", ["a"])):
        assert find_json_value(odd, path) is None


@pytest.mark.parametrize("dataset", sorted(LONGBENCH))
def test_longbench_files(tmp_path: Path, dataset: str) -> None:
    row = {"input": "QUESTION", "context": "CONTEXT holds Paris", "answers": ["Paris"], "all_classes": None, "_id": "7"}
    written(tmp_path, f"{dataset}.jsonl", row)
    item = only(open_task(f"longbench:{tmp_path}:{dataset}"))
    assert (item.id, item.text, item.dataset) == ("7", "CONTEXT holds Paris", dataset)
    assert item.build_prompt(item.text).index("CONTEXT") > 0
    assert "{" not in item.build_prompt("")


def test_longbench_2_files(tmp_path: Path) -> None:
    row = {
        "_id": "x",
        "question": " Why? ",
        "answer": "B",
        "context": " text ",
        "difficulty": "easy",
        "length": "short",
    }
    row |= {f"choice_{letter}": f" {letter.lower()} " for letter in "ABCD"}
    file = tmp_path / "data.json"
    file.write_text(json.dumps([row]))
    item = only(open_task(f"longbench2:{file}"))
    assert "(B) b\n" in item.build_prompt(item.text)
    assert (item.text, item.answers, item.metric) == ("text", ("B",), "choice")


def test_ruler_files(tmp_path: Path) -> None:
    made = next(RulerTask("niah_multikey_1", words=300).items())
    prompt = made.build_prompt(made.text)
    cut = prompt.rindex(" The special magic")
    rows = [
        {"index": 3, "input": prompt, "outputs": list(made.answers), "length": 500},
        {"index": 4, "input": prompt[:cut], "answer_prefix": prompt[cut:], "outputs": list(made.answers)},
    ]
    written(tmp_path, "niah/validation.jsonl", *rows)
    for item in open_task(f"ruler-files:{tmp_path}:niah").items():
        assert item.build_prompt(item.text) == prompt
        assert item.text == made.text
        assert item.query.startswith("What is the special magic number")
        assert item.evidence


@pytest.mark.parametrize("task", sorted(INFINITEBENCH))
def test_infinitebench_files(tmp_path: Path, task: str) -> None:
    choice = INFINITEBENCH[task][2] == "choice"
    row = {
        "id": 1,
        "context": "CONTEXT with the answer",
        "input": "QUESTION",
        "answer": ["two"] if choice else "the answer",
        "options": ["one", "two", "three", "four"] if choice else [],
    }
    written(tmp_path, f"{task}.jsonl", row)
    item = only(open_task(f"infinitebench:{tmp_path}:{task}"))
    assert item.answers == (("two", "B") if choice else ("the answer",))
    assert "{" not in item.build_prompt("")


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "ruler:niah_single_9",
        "ruler:vt:many",
        "ruler:vt:10",
        "code-debug:10",
        "longbench:/nowhere:hotpotqa",
        "longbench:/nowhere:unknown",
        "longbench2:/nowhere/data.json",
        "ruler-files:/nowhere:vt",
        "infinitebench:/nowhere:code_debug",
        "missing.jsonl",
    ],
)
def test_tasks_that_are_not_there_are_named(name: str) -> None:
    with pytest.raises(InvalidInputError, match="must be"):
        open_task(name)


def test_a_row_of_another_layout_is_named(tmp_path: Path) -> None:
    written(tmp_path, "hotpotqa.jsonl", {"question": "?"})
    with pytest.raises(InvalidInputError, match=r"hotpotqa.jsonl row 1 must be longbench-hotpotqa's layout"):
        only(open_task(f"longbench:{tmp_path}:hotpotqa"))
