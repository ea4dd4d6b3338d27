"""One made-up conversation, as every coding agent would have kept it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASK, LOOK, TEST, END = "Mend the parser.", "I look at both.", "Now I test.", "All is well."
READ_A, READ_B, PYTEST = {"path": "a.py"}, {"path": "b.py"}, {"command": "pytest"}
A, B, PASSED = "A = 1", "B = 2\nC = 3", "2 passed"

CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": TASK},
    {
        "role": "assistant",
        "content": LOOK,
        "tool_calls": [{"name": "read", "arguments": READ_A}, {"name": "read", "arguments": READ_B}],
    },
    {"role": "tool", "content": A},
    {"role": "tool", "content": B},
    {"role": "assistant", "content": TEST, "tool_calls": [{"name": "bash", "arguments": PYTEST}]},
    {"role": "tool", "content": PASSED},
    {"role": "assistant", "content": END},
]


def parse_arguments(context: Any) -> list[dict[str, Any]]:
    """The messages, arguments that are JSON texts parsed."""
    parsed = json.loads(json.dumps(context))
    for message in parsed:
        for call in message.get("tool_calls", ()):
            if isinstance(call["arguments"], str):
                call["arguments"] = json.loads(call["arguments"])
    return parsed


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def document(path: Path, value: Any, indent: int | None = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    return path


def write_own(folder: Path) -> Path:
    return lines(folder / "own.jsonl", [{"id": "s", "context": CONVERSATION}])


def claude_line(uuid: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": content, **({"id": more.pop("message")} if "message" in more else {})}
    return {"parentUuid": parent, "uuid": uuid, "isSidechain": False, "type": role, "message": message, **more}


def tool_use(identity: str, name: str, given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": name, "input": given}


def tool_result(identity: str, content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identity, "content": content}


CLAUDE_CODE = [
    {"type": "summary", "summary": "Another session", "leafUuid": "x"},
    {"type": "file-history-snapshot", "messageId": "1", "snapshot": {}},
    claude_line("1", None, "user", TASK),
    claude_line("2", "1", "assistant", [{"type": "thinking", "thinking": "Hm."}], message="m1"),
    claude_line("3", "2", "assistant", [{"type": "text", "text": LOOK}], message="m1"),
    claude_line("4", "3", "assistant", [tool_use("t1", "read", READ_A)], message="m1"),
    claude_line("5", "4", "assistant", [tool_use("t2", "read", READ_B)], message="m1"),
    # parallel calls: the second is done first, and the first's result hangs beside the branch that goes on
    claude_line("6", "5", "user", [tool_result("t2", [{"type": "text", "text": B}, {"type": "image", "source": {}}])]),
    claude_line("7", "4", "user", [tool_result("t1", A)], toolUseResult={"stdout": A}),
    {"type": "progress", "uuid": "8", "parentUuid": "6", "isSidechain": False, "data": {}},
    claude_line("9", "8", "assistant", [{"type": "text", "text": TEST}, tool_use("t3", "bash", PYTEST)], message="m2"),
    claude_line("10", "9", "user", [tool_result("t3", PASSED)]),
    claude_line("11", "10", "assistant", [{"type": "text", "text": END}], message="m3"),
    {"type": "system", "subtype": "turn_duration", "uuid": "12", "parentUuid": "11", "isSidechain": False},
]


def write_claude_code(folder: Path) -> Path:
    return lines(folder / "s.jsonl", CLAUDE_CODE)


def said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def function_call(identity: str, name: str, given: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": json.dumps(given), "call_id": identity}


RESPONSES = [
    said("user", TASK),
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "x"},
    said("assistant", LOOK),
    function_call("c1", "read", READ_A),
    function_call("c2", "read", READ_B),
    {"type": "function_call_output", "call_id": "c2", "output": B},
    {"type": "function_call_output", "call_id": "c1", "output": {"content": A, "success": True}},
    said("assistant", TEST),
    {"type": "custom_tool_call", "name": "bash", "input": json.dumps(PYTEST), "call_id": "c3"},
    {"type": "custom_tool_call_output", "call_id": "c3", "output": [{"type": "input_text", "text": PASSED}]},
    said("assistant", END),
]


def codex_line(kind: str, payload: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "type": kind, "payload": payload}


def write_codex(folder: Path) -> Path:
    around = [codex_line("session_meta", {"id": "s", "cwd": "/"}), codex_line("turn_context", {"model": "m"})]
    event = codex_line("event_msg", {"type": "agent_message", "message": "not again"})
    return lines(folder / "rollout-1.jsonl", [*around, *(codex_line("response_item", i) for i in RESPONSES), event])


def write_bare_codex(folder: Path) -> Path:
    head = {"id": "s", "timestamp": "2025-01-01T00:00:00Z", "instructions": None}
    return lines(folder / "rollout-0.jsonl", [head, {"record_type": "state"}, *RESPONSES])


def part(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def tool_part(identity: str, name: str, given: Any, output: str) -> dict[str, Any]:
    return part("tool", callID=identity, tool=name, state={"status": "completed", "input": given, "output": output})


OPENCODE = [
    ({"id": "m1", "role": "user", "time": {"created": 1}}, [part("text", text=TASK), part("file", url="data:")]),
    (
        {"id": "m2", "role": "assistant", "time": {"created": 2}},
        [
            *(part("step-start"), part("reasoning", text="Hm."), part("text", text=LOOK)),
            *(tool_part("c1", "read", READ_A, A), tool_part("c2", "read", READ_B, B), part("step-finish")),
            *(part("step-start"), part("text", text=TEST), tool_part("c3", "bash", PYTEST, PASSED)),
        ],
    ),
    ({"id": "m0", "role": "assistant", "time": {"created": 3}}, [part("text", text=END)]),
]


def write_opencode(folder: Path) -> Path:
    messages = [{"info": info, "parts": parts} for info, parts in OPENCODE]
    return document(folder / "export.json", {"info": {"id": "s"}, "messages": messages})


def write_opencode_2(folder: Path) -> Path:
    def call(identity: str, name: str, given: Any, output: str) -> dict[str, Any]:
        state = {"status": "completed", "input": given, "content": [{"type": "text", "text": output}]}
        return part("tool", id=identity, name=name, state=state)

    both = [part("text", text=LOOK), call("c1", "read", READ_A, A), call("c2", "read", READ_B, B)]
    messages = [
        {"id": "m1", "type": "user", "text": TASK, "files": []},
        {"id": "m2", "type": "assistant", "content": [part("reasoning", text="Hm."), *both]},
        {"id": "m3", "type": "assistant", "content": [part("text", text=TEST), call("c3", "bash", PYTEST, PASSED)]},
        {"id": "m4", "type": "model-switched"},
        {"id": "m5", "type": "assistant", "content": [part("text", text=END)]},
    ]
    return document(folder / "export.json", {"info": {"id": "s"}, "messages": messages}, None)


def write_opencode_store(folder: Path) -> Path:
    for info, parts in OPENCODE:
        document(folder / "message/s" / f"{info['id']}.json", info)
        for number, each in enumerate(parts):
            document(folder / "part" / info["id"] / f"p{number}.json", each)
    document(folder / "session/project/s.json", {"id": "s"})
    return folder


def openai_call(identity: str, name: str, given: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}


def answered(key: str) -> list[dict[str, Any]]:
    """Messages in OpenAI's shape; key: where a result names its call."""

    def result(identity: str, text: str) -> dict[str, Any]:
        return {"role": "tool", "content": text, key: [identity] if key.endswith("s") else identity}

    calls = [openai_call("c1", "read", READ_A), openai_call("c2", "read", READ_B)]
    return [
        {"role": "user", "content": [{"type": "text", "text": TASK}], "message_type": "observation"},
        {"role": "assistant", "content": LOOK, "thought": LOOK, "action": "read", "tool_calls": calls},
        *(result("c2", B), result("c1", A)),
        {"role": "assistant", "content": TEST, "action": "x", "tool_calls": [openai_call("c1", "bash", PYTEST)]},
        result("c1", PASSED),  # an id may come again
        {"role": "assistant", "content": END, "thought": "", "action": ""},
    ]


def write_swe_agent(folder: Path) -> Path:
    return document(folder / "s.traj", {"history": answered("tool_call_ids"), "trajectory": [], "info": {}})


def write_mini_swe_agent(folder: Path) -> Path:
    messages = [*answered("tool_call_id"), {"role": "exit", "content": "done"}]
    return document(folder / "s.traj.json", {"info": {"mini_version": "2"}, "messages": messages})


def write_mini_responses(folder: Path) -> Path:
    answers: list[dict[str, Any]] = []
    for item in RESPONSES:
        is_answer = (
            item["type"] in ("reasoning", "function_call", "custom_tool_call") or item.get("role") == "assistant"
        )
        answers.append({"object": "response", "output": [item]} if is_answer else item)
    made = {"info": {}, "trajectory_format": "mini-swe-agent-1.1", "messages": answers}
    return document(folder / "s.traj.json", made, None)


def openhands_events() -> list[dict[str, Any]]:
    calls = [openai_call("c1", "read", READ_A), openai_call("c2", "read", READ_B)]
    both = {"id": "r1", "choices": [{"message": {"content": LOOK, "tool_calls": calls}}]}
    last = {"id": "r2", "choices": [{"message": {"content": TEST, "tool_calls": [openai_call("c3", "bash", PYTEST)]}}]}

    def act(number: int, name: str, response: Any, identity: str) -> dict[str, Any]:
        metadata = {"tool_call_id": identity, "function_name": name, "model_response": response}
        return {"id": number, "source": "agent", "action": name, "args": {}, "tool_call_metadata": metadata}

    def observe(number: int, cause: int, text: str, identity: str | None = None) -> dict[str, Any]:
        metadata = {"tool_call_metadata": {"tool_call_id": identity}} if identity else {}
        return {"id": number, "source": "agent", "cause": cause, "observation": "run", "content": text, **metadata}

    return [
        {"id": 0, "source": "user", "action": "message", "args": {"content": TASK}, "message": TASK},
        {"id": 1, "source": "environment", "observation": "agent_state_changed", "content": "", "extras": {}},
        *(act(2, "read", both, "c1"), act(3, "read", both, "c2"), observe(4, 3, B, "c2"), observe(5, 2, A, "c1")),
        *(act(6, "run", last, "c3"), observe(7, 6, PASSED, "c3")),
        {"id": 8, "source": "agent", "action": "message", "args": {"content": END}},
    ]


def write_openhands(folder: Path) -> Path:
    return document(folder / "s.json", openhands_events())


def write_openhands_folder(folder: Path) -> Path:
    for event in openhands_events():
        document(folder / "events" / f"{event['id']}.json", event, None)
    return folder


def write_openhands_evaluation(folder: Path) -> Path:
    first, state, *rest = openhands_events()
    return lines(folder / "output.jsonl", [{"instance_id": "s", "history": [[first, state], *rest]}])


def sdk_call(identity: str, name: str, given: Any, thought: str, response: str) -> dict[str, Any]:
    call = {"id": identity, "name": name, "arguments": json.dumps(given), "origin": "completion"}
    thoughts = [{"type": "text", "text": thought}] if thought else []
    more = {"tool_name": name, "tool_call_id": identity, "tool_call": call, "llm_response_id": response}
    return {"kind": "ActionEvent", "source": "agent", "thought": thoughts, "reasoning_content": "Hm.", **more}


def sdk_result(identity: str, text: str) -> dict[str, Any]:
    observation = {"kind": "X", "content": [{"type": "text", "text": text}]}
    return {"kind": "ObservationEvent", "tool_call_id": identity, "observation": observation, "extended_content": []}


def sdk_message(source: str, role: str, text: str) -> dict[str, Any]:
    message = {"role": role, "content": [{"type": "text", "text": text}]}
    return {"kind": "MessageEvent", "source": source, "llm_message": message}


SDK = [
    sdk_message("user", "user", TASK),
    *(sdk_call("c1", "read", READ_A, LOOK, "r1"), sdk_call("c2", "read", READ_B, "", "r1")),
    *(sdk_result("c2", B), sdk_result("c1", A)),
    *(sdk_call("c3", "bash", PYTEST, TEST, "r2"), sdk_result("c3", PASSED)),
    {"kind": "ConversationStateUpdateEvent", "source": "environment"},
    sdk_message("agent", "assistant", END),
]


def write_openhands_sdk(folder: Path) -> Path:
    for number, event in enumerate(SDK):
        document(folder / "s/events" / f"event-{number:05d}-{number}abc-0d.json", event)
    return folder


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "agentcompress": write_own,
    "claude-code": write_claude_code,
    "codex": write_codex,
    "codex, bare": write_bare_codex,
    "opencode": write_opencode,
    "opencode, 2": write_opencode_2,
    "opencode, store": write_opencode_store,
    "swe-agent": write_swe_agent,
    "mini-swe-agent": write_mini_swe_agent,
    "mini-swe-agent, responses": write_mini_responses,
    "openhands": write_openhands,
    "openhands, folder": write_openhands_folder,
    "openhands, evaluation": write_openhands_evaluation,
    "openhands, sdk": write_openhands_sdk,
}
