"""People's own sessions: one conversation in every format, and what files may do to their readers."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcompress.cli.main import main
from agentcompress.corpora import rows as row_module
from agentcompress.corpora.rows import read_rows
from agentcompress.corpora.trajectories import Trajectory, find_format, read_trajectories
from agentcompress.corpora.trajectories.formats import FORMATS
from agentcompress.corpora.trajectories.trajectory import Format
from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.catalogue import open_task
from agentcompress.evaluation.quality.references import find_cases
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.messages.formats import WIRES
from tests import sessions
from tests.sessions import CONVERSATION, SAMPLES, claude_line, codex_line, document, lines, tool_result, tool_use

every_format = pytest.mark.parametrize("name", SAMPLES)


def read(path: Path) -> list[Trajectory]:
    return list(read_trajectories(path))


def only(path: Path) -> list[dict[str, Any]]:
    (found,) = read(path)
    return sessions.parse_arguments(found.context)


def briefly(path: Path) -> list[str]:
    """Every message as `role: content`, with what it calls."""
    (found,) = read(path)
    return brief(found)


def brief(found: Trajectory) -> list[str]:
    return [
        " ".join([f"{m['role']}: {m['content']}", *(call["name"] for call in m.get("tool_calls", ()))])
        for m in found.context
    ]


def test_every_format_has_a_sample() -> None:
    assert {name.split(",")[0] for name in SAMPLES} == {known.name for known in FORMATS}


@every_format
def test_the_same_conversation_in_every_format(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    (found,) = read(path)
    assert found.source == name.split(",")[0]
    assert found.id == ("s" if name != "openhands, folder" else tmp_path.name)
    assert sessions.parse_arguments(found.context) == CONVERSATION
    assert all(isinstance(message["content"], str) for message in found.context)


@every_format
def test_gzipped_with_no_last_line_end_and_in_a_folder(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deep").mkdir()
    path = SAMPLES[name](tmp_path / "deep")
    if path.is_file():
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes().rstrip(b"\n")))
        path.unlink()
        assert only(packed) == CONVERSATION
    (tmp_path / "notes.txt").write_text("no session")
    (tmp_path / "settings.json").write_text('{"theme": "dark"}')
    (tmp_path / "broken.jsonl").write_text('{"id":')
    (tmp_path / "empty.jsonl").write_text("")
    assert only(tmp_path) == CONVERSATION
    (record,) = caplog.records
    assert "4 files in" in record.getMessage()
    assert "the first is broken.jsonl: broken.jsonl line 1 must be JSON" in record.getMessage()


@every_format
@pytest.mark.parametrize("wire", WIRES)
def test_what_is_read_can_be_sent(name: str, wire: str, tmp_path: Path) -> None:
    (found,) = read(SAMPLES[name](tmp_path))
    parts = [part for part in WIRES[wire].find_texts(to_wire(found.context, wire)) if part.role == "tool"]
    expected = [("read", sessions.A), ("read", sessions.B), ("bash", sessions.PASSED)]
    assert [(part.tool, part.text) for part in parts] == expected


# What files may hold


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=6), inside, max_size=4),
    max_leaves=8,
)
KEYS = """
type role content message messages context id uuid parentUuid payload call_id info parts history trajectory action
observation source kind tool_calls tool_call_id state output name arguments isSidechain item text user assistant
tool tool_use tool_result function_call response_item compacted replacement_history session_meta
"""
keys = st.sampled_from(KEYS.split())
known_values = st.recursive(
    json_values | keys,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(keys, inside, max_size=6),
    max_leaves=20,
)
quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def read_whatever(path: Path) -> None:
    try:
        for found in read_trajectories(path):
            assert all(isinstance(m["role"], str) and isinstance(m["content"], str) for m in found.context)
            for wire in WIRES:
                to_wire(found.context, wire)
            list(find_cases(found))
    except InvalidInputError:
        pass


@quick
@given(st.lists(known_values, max_size=5))
def test_random_rows_raise_nothing_else(values: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_whatever(lines(Path(folder, "a.jsonl"), values))
        read_whatever(document(Path(folder, "b.json"), values))


@quick
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("a.jsonl", data), ("b.json", data), ("c.traj", b"\x1f\x8b" + data)):
            Path(folder, name).write_bytes(content)
            read_whatever(Path(folder, name))


def change(value: Any, data: st.DataObject) -> Any:
    """The value, with something in it replaced or left out."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 3)) == 0:
        return data.draw(known_values)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = data.draw(st.sampled_from(places))
    made = value.copy()
    if data.draw(st.integers(0, 5)) == 0:
        del made[place]
    else:
        made[place] = change(made[place], data)
    return made


@every_format
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_changed_session_raises_nothing_else(name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = SAMPLES[name](Path(folder))
        files = [path] if path.is_file() else sorted(path.rglob("*.json"))
        file = files[data.draw(st.integers(0, len(files) - 1))]
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            lines(file, change([json.loads(line) for line in text.splitlines()], data) or [])
        else:
            document(file, change(json.loads(text), data))
        read_whatever(path)


@every_format
@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_a_session_that_is_taken_for_another(name: str, known: Format, tmp_path: Path) -> None:
    path = SAMPLES[name](tmp_path)
    for file in [path] if path.is_file() else sorted(path.rglob("*.json")):
        with contextlib.suppress(InvalidInputError):
            list(known.read(read_rows(file), "x"))


# Bad files


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.jsonl", b"", "file must be a file that is not empty, got 'a.jsonl'"),
        ("a.jsonl", b" \n\n", "file must be a file that is not empty"),
        ("a.jsonl", b'{"no": 1}\n', "a.jsonl line 1 must be a trajectory: our .* or OpenHands"),
        ("a.json", b"[1, 2]", "a.json line 1 must be a trajectory"),
        ("a.json", b"5", "a.json must be a trajectory"),
        ("a.json", b'{"info":\n', "a.json must be JSON"),
        ("a.jsonl", b'{"id":', "a.jsonl line 1 must be JSON"),
        ("a.jsonl", b"\xff\xfe", "a.jsonl line 1 must be UTF-8"),
        ("a.traj", b"\xff\n", "a.traj must be UTF-8"),
        ("a.jsonl", b'{"context": []}\n{"context"\n', "a.jsonl line 2 must be JSON"),
        ("a.jsonl", b'{"context": []}\n\n[1]\n', "a.jsonl line 3 must be a trajectory: context"),
        ("a.jsonl", b'{"context": [{"role": "user", "content": 5}]}\n', "a.jsonl line 1 must be a trajectory: context"),
        ("a.jsonl", b'{"type": "session_meta", "payload": {"id": 1}}\n7\n', "a.jsonl line 2 must be a JSON object"),
        ("a.jsonl", b"[" * 100_000, "a.jsonl line 1 must be JSON"),
        ("a.json", b"[" * 100_000, "a.json must be JSON"),
        ("a.jsonl.gz", gzip.compress(b'{"context": []}\n' * 99)[:-9], "a.jsonl.gz must be a file that can be read"),
        ("a.jsonl.gz", b"\x1f\x8bnothing", "a.jsonl.gz must be a file that can be read"),
    ],
)
def test_what_is_no_session_is_named(file: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        read(tmp_path / file)


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="file must be a file or folder that exists"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInputError, match="folder must be one with session files"):
        read(tmp_path)


def test_a_last_line_that_is_being_written_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = sessions.write_claude_code(tmp_path)
    path.write_bytes(path.read_bytes() + '{"type": "user", "message": {"content": "Grüße'.encode()[:-2])
    assert only(path) == CONVERSATION
    assert caplog.messages == ["s.jsonl line 15 is left out: it has no end, as if it were still being written"]
    assert caplog.records[0].levelno == logging.WARNING
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InvalidInputError, match=r"s.jsonl line 15 must be UTF-8"):
        read(path)


def test_a_file_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_module, "_MOST_BYTES", 1000)
    for name in ("a.jsonl.gz", "a.json.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b" " * 50 + b"[" + b" " * 100_000))
        with pytest.raises(InvalidInputError, match="at most 1,000 bytes of JSON"):
            read(tmp_path / name)


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    row = {"context": [{"role": "user", "content": "x" * 200_000}]}
    path = tmp_path / "big.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(f"{json.dumps(row)}\n" for _ in range(100))
    tracemalloc.start()
    try:
        assert [found.id for found in read_trajectories(path)] == [str(number) for number in range(1, 101)]
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_byte_order_mark_and_other_ends_of_lines(tmp_path: Path) -> None:
    path = sessions.write_codex(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert only(path) == CONVERSATION


# Pairing


def test_results_that_are_missing_odd_or_doubled(tmp_path: Path) -> None:
    rows = [
        claude_line("1", None, "user", "Go."),
        claude_line("2", "1", "assistant", [tool_use(t, t, {}) for t in ("a", "b", "c")], message="m1"),
        claude_line("3", "2", "user", [tool_result("b", "B"), tool_result("b", "again"), tool_result("z", "nobody's")]),
        claude_line("4", "3", "assistant", "Done."),
    ]
    expected = ["user: Go.", "assistant:  a b c", "tool: ", "tool: B", "assistant: Done."]
    assert briefly(lines(tmp_path / "a.jsonl", rows)) == expected


def test_results_between_the_lines_of_one_message(tmp_path: Path) -> None:
    rows = [
        claude_line("1", None, "user", "Go."),
        claude_line("2", "1", "assistant", [tool_use("a", "a", {})], message="m1"),
        claude_line("3", "2", "user", [tool_result("a", "A")]),
        claude_line("4", "3", "assistant", [tool_use("b", "b", {})], message="m1"),
        claude_line("5", "4", "user", [{"type": "text", "text": "Stop."}, tool_result("b", "B")]),
    ]
    expected = ["user: Go.", "assistant:  a b", "tool: A", "tool: B", "user: Stop."]
    assert briefly(lines(tmp_path / "a.jsonl", rows)) == expected


# Claude Code


def test_subagents_are_sessions_of_their_own(tmp_path: Path) -> None:
    side = {"isSidechain": True}
    rows = [
        claude_line("1", None, "user", "Go."),
        claude_line("2", "1", "assistant", [tool_use("a", "Task", {})], message="m1"),
        claude_line("s1", None, "user", "Look.", **side),
        claude_line("x1", None, "user", "Search.", **side, agentId="x"),
        claude_line("s2", "s1", "assistant", "Looked.", **side),
        claude_line("x2", "x1", "assistant", "Found.", **side, agentId="x"),
        claude_line("3", "2", "user", [tool_result("a", "Looked.")]),
    ]
    assert {found.id: brief(found) for found in read(lines(tmp_path / "a.jsonl", rows))} == {
        "a": ["user: Go.", "assistant:  Task", "tool: Looked."],
        "a:s1": ["user: Look.", "assistant: Looked."],
        "a:x": ["user: Search.", "assistant: Found."],
    }
    alone = [row for row in rows if row.get("agentId")]
    assert [found.id for found in read(lines(tmp_path / "agent-x.jsonl", alone))] == ["agent-x"]


def test_what_was_rewound_is_left_out(tmp_path: Path) -> None:
    rows = [
        claude_line("1", None, "user", "Go."),
        claude_line("2", "1", "assistant", "Left?"),
        claude_line("3", "2", "user", "Left."),
        claude_line("4", "3", "assistant", [tool_use("a", "left", {})], message="m2"),
        claude_line("5", "4", "user", [tool_result("a", "A wall.")]),
        claude_line("6", "2", "user", "Right."),
        claude_line("7", "6", "assistant", "Right it is."),
    ]
    expected = ["user: Go.", "assistant: Left?", "user: Right.", "assistant: Right it is."]
    assert briefly(lines(tmp_path / "a.jsonl", rows)) == expected


def test_a_compaction_begins_another_session(tmp_path: Path) -> None:
    rows = [
        claude_line("1", None, "user", "Go."),
        claude_line("2", "1", "assistant", "Gone."),
        {"type": "system", "subtype": "compact_boundary", "uuid": "3", "parentUuid": None, "logicalParentUuid": "2"},
        claude_line("4", "3", "user", "All so far.", isCompactSummary=True, isVisibleInTranscriptOnly=True),
        claude_line("5", "4", "assistant", "On we go."),
    ]
    first, second = read(lines(tmp_path / "a.jsonl", rows))
    assert (first.id, brief(first)) == ("a", ["user: Go.", "assistant: Gone."])
    assert (second.id, brief(second)) == ("a.2", ["user: All so far.", "assistant: On we go."])


def test_what_no_model_was_sent_is_left_out(tmp_path: Path) -> None:
    rows = [
        claude_line("1", None, "user", "Caveat: commands were run.", isMeta=True),
        claude_line("2", "1", "user", [{"type": "image", "source": {}}]),
        claude_line("3", "2", "user", "For you alone.", isVisibleInTranscriptOnly=True),
        claude_line("4", "3", "assistant", "API Error", isApiErrorMessage=True),
        {**claude_line("5", "4", "assistant", "x"), "message": {"role": "assistant", "model": "<synthetic>"}},
        claude_line("6", "5", "assistant", [{"type": "redacted_thinking", "data": "x"}]),
        claude_line("7", "6", "assistant", "Done."),
    ]
    expected = ["user: Caveat: commands were run.", "assistant: Done."]
    assert briefly(lines(tmp_path / "a.jsonl", rows)) == expected
    assert read(lines(tmp_path / "b.jsonl", [{"type": "summary", "summary": "x", "leafUuid": "y"}])) == []


# The others


def test_codex_is_compacted_and_calls_a_shell(tmp_path: Path) -> None:
    shell = {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}
    output = '{"output": "a.py", "metadata": {"exit_code": 0}}'
    rows = [
        codex_line("session_meta", {"id": "s", "base_instructions": {"text": "Be brief."}}),
        codex_line("session_meta", {"id": "parent"}),
        codex_line("response_item", sessions.said("developer", "Sandboxed.")),
        codex_line("response_item", shell),
        codex_line("response_item", {"type": "function_call_output", "call_id": "c", "output": output}),
        codex_line("compacted", {"message": "So far."}),
        codex_line("response_item", sessions.said("assistant", "One.")),
        codex_line("compacted", {"message": "x", "replacement_history": [sessions.said("user", "Kept."), 5]}),
        codex_line("response_item", {"type": "web_search_call", "status": "completed"}),
        codex_line("response_item", sessions.said("assistant", "Two.")),
    ]
    found = read(lines(tmp_path / "a.jsonl", rows))
    assert {each.id: brief(each) for each in found} == {
        "s": ["system: Be brief.", "system: Sandboxed.", "assistant:  local_shell", f"tool: {output}"],
        "s.2": ["user: So far.", "assistant: One."],
        "s.3": ["user: Kept.", "assistant: Two."],
    }
    assert found[0].context[2]["tool_calls"][0]["arguments"] == {"type": "exec", "command": ["ls"]}


def test_opencode_is_compacted_and_fails(tmp_path: Path) -> None:
    failed = {"type": "tool", "tool": "bash", "callID": "c", "state": {"status": "error", "input": {}, "error": "No."}}
    running = {"type": "tool", "tool": "read", "callID": "d", "state": {"status": "running", "input": {}}}
    hidden = {"type": "text", "text": "for you", "ignored": True}
    messages = [
        {"info": {"role": "user"}, "parts": [{"type": "text", "text": "Go."}, hidden]},
        {"info": {"role": "assistant"}, "parts": [failed, running]},
        {"info": {"role": "user"}, "parts": [{"type": "compaction", "auto": True}]},
        {"info": {"role": "assistant", "summary": True}, "parts": [{"type": "text", "text": "So far."}]},
        {"info": {"role": "assistant"}, "parts": [{"type": "text", "text": "On."}]},
    ]
    first, second = read(document(tmp_path / "a.json", {"info": {"id": "s"}, "messages": messages}, None))
    assert brief(first) == ["user: Go.", "assistant:  bash read", "tool: No."]
    assert (second.id, brief(second)) == ("s.2", ["user: So far.", "assistant: On."])


def test_an_id_leads_out_of_no_store(tmp_path: Path) -> None:
    document(tmp_path / "secret" / "p.json", {"type": "text", "text": "secret"})
    document(tmp_path / "store/message/s/m.json", {"id": "../../secret", "role": "user"})
    document(tmp_path / "store/part/m/p.json", {"type": "text", "text": "x"})
    with pytest.raises(InvalidInputError, match="folder must be one with session files"):
        read(tmp_path / "store")


def test_actions_that_are_texts_are_calls(tmp_path: Path) -> None:
    expected = [
        "system: Rules.",
        "user: Go.",
        "assistant: I look. bash",
        "tool: a.py",
        "assistant: Two at once?",
        "user: One!",
    ]
    history = [
        {"role": "system", "content": "Rules.", "message_type": "system_prompt"},
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "I look.\n```\nls\n```", "thought": "I look.", "action": "ls\n"},
        {"role": "user", "content": "a.py"},
        {"role": "assistant", "content": "Two at once?", "thought": "Two at once?", "action": ""},
        {"role": "user", "content": "One!"},
    ]
    assert briefly(document(tmp_path / "a.traj", {"history": history})) == expected
    steps = [{"action": "ls", "observation": "a.py", "thought": "I look.", "response": "x"}]
    assert briefly(document(tmp_path / "b.traj", {"trajectory": steps, "history": []})) == expected[2:4]
    block = "```mswea_bash_command\nls\n```"
    mini = [
        *history[:2],
        {"role": "assistant", "content": f"I look.\n\n{block}\n"},
        {"role": "user", "content": "a.py"},
        {"role": "assistant", "content": f"{block}{block}"},
        {"role": "user", "content": "One!"},
    ]
    path = document(tmp_path / "c.traj.json", {"info": {"exit_status": "x"}, "messages": mini})
    assert briefly(path) == [*expected[:4], f"assistant: {block}{block}", "user: One!"]
    assert find_format(path) == "mini-swe-agent"
    assert briefly(document(tmp_path / "d.traj.json", mini)) == briefly(path)
    (found,) = read(path)
    assert found.context[2]["tool_calls"] == [{"name": "bash", "arguments": {"command": "ls"}}]


def test_openhands_without_tools_and_with_errors(tmp_path: Path) -> None:
    events = [
        {"id": 0, "source": "agent", "action": "system", "args": {"content": "Rules."}},
        {"id": 1, "source": "user", "action": "message", "args": {"content": ""}, "message": "Go."},
        {"id": 2, "source": "user", "action": "recall", "args": {"query": "Go."}},
        {"id": 3, "source": "agent", "action": "run", "args": {"command": "ls", "thought": "I look.", "hidden": False}},
        {"id": 4, "source": "agent", "observation": "run", "cause": 3, "content": "a.py", "extras": {}},
        {"id": 5, "source": "environment", "observation": "error", "content": "No such tool."},
        {"id": 6, "source": "user", "action": "run", "args": {"command": "pwd"}},
        {"id": 7, "source": "agent", "observation": "run", "cause": 6, "content": "/", "extras": {}},
    ]
    expected = ["system: Rules.", "user: Go.", "assistant: I look. run", "tool: a.py", "user: No such tool."]
    (found,) = read(document(tmp_path / "a.json", events))
    assert brief(found) == expected
    assert found.context[2]["tool_calls"] == [{"name": "run", "arguments": {"command": "ls"}}]


def test_openhands_sdk_refuses_and_errs(tmp_path: Path) -> None:
    act = {"kind": "ActionEvent", "source": "agent", "thought": [], "llm_response_id": "r"}
    events = [
        {"kind": "SystemPromptEvent", "system_prompt": {"text": "Rules."}, "dynamic_context": {"text": "Now."}},
        {**act, "tool_name": "run", "tool_call_id": "a", "action": {"command": "rm", "kind": "X"}},
        {**act, "tool_name": "run", "tool_call_id": "b", "tool_call": {"function": {"name": "go", "arguments": "{}"}}},
        {"kind": "UserRejectObservation", "tool_call_id": "a", "rejection_reason": "No!"},
        {"kind": "AgentErrorEvent", "tool_call_id": "b", "error": "Failed."},
        {"kind": "Condensation", "forgotten_event_ids": []},
    ]
    (found,) = read(document(tmp_path / "a.json", events))
    assert brief(found) == ["system: Rules.\nNow.", "assistant:  run go", "tool: Action rejected: No!", "tool: Failed."]
    assert found.context[1]["tool_calls"][0]["arguments"] == {"command": "rm"}


def test_numbers_that_are_no_events(tmp_path: Path) -> None:
    document(tmp_path / "1.json", {"theme": "dark"})
    (tmp_path / "2.json").write_text("{")
    sessions.write_own(tmp_path)
    assert only(tmp_path) == CONVERSATION


# Commands


def test_sessions_are_replayed_and_evaluated(tmp_path: Path) -> None:
    listing = "".join(f"src/module_{i}.py: def helper_{i}(value_{i}): return {1000 + i}\n" for i in range(60))
    rows = [
        claude_line("1", None, "user", "Mend it."),
        claude_line("2", "1", "assistant", [tool_use("a", "grep", {"word": "helper"})], message="m1"),
        claude_line("3", "2", "user", [tool_result("a", listing)]),
        claude_line("4", "3", "assistant", [tool_use("b", "read", {"path": "src/module_7.py"})], message="m2"),
    ]
    (tmp_path / "project").mkdir()
    file = lines(tmp_path / "project/s.jsonl", rows)
    for task in (file, tmp_path / "project"):
        (item,) = open_task(str(task)).items()
        assert (item.id, item.evidence.strings) == ("s:2", ("src/module_7.py",))
    assert open_task(str(tmp_path / "project")).name == "project"
    for more in (["--recall"], ["--costs", "--way", "everything", "--price", "gpt-5"]):
        done = CliRunner().invoke(main, ["replay", str(tmp_path), "-s", "lexical", "-k", "0.1", *more])
        assert done.exit_code == 0, done.output
    bad = CliRunner().invoke(main, ["replay", str(tmp_path / "project"), str(lines(tmp_path / "x.json", [{"no": 1}]))])
    assert bad.exit_code == 2
    assert "x.json line 1 must be a trajectory: our" in bad.output
