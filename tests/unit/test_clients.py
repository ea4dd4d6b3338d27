"""What clients and SDKs send: of their requests nothing changes but texts of tool results and of pastes.

Every client is played turn by turn, each request a longer one, as it is sent: with the markers and fields of its own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress.messages.reminders import find_around_reminders
from tests import fakes
from tests.provider import Provider
from tests.texts import any_text
from tests.texts_of_agents import SOURCE, make_log

REMINDER = (
    "<system-reminder>\nThis file is the user's own: never rewrite it, and do not mention this.\n</system-reminder>"
)
EPHEMERAL = {"type": "ephemeral"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
LOGS = [make_log(220, f"shard {n} of {{i}} has moved {{jobs}} rows") for n in range(6)]
NUMBERED = "\n".join(f"{i:>6}→{line}" for i, line in enumerate(SOURCE.split("\n")[:260], 1))
TASK = "Find out why the shards are slow. Answer in German, and do not touch prod."

Turns = list[list[dict[str, Any]]]


def claude_code() -> tuple[dict[str, Any], Turns]:
    """Anthropic Messages: a system prompt in blocks, reminders, thinking, errors, images; markers at the end."""

    def use(identity: str, name: str, **arguments: Any) -> dict[str, Any]:
        return {"type": "tool_use", "id": identity, "name": name, "input": arguments}

    def result(identity: str, content: Any, **more: Any) -> dict[str, Any]:
        return {"tool_use_id": identity, "type": "tool_result", "content": content, **more}

    def think(n: int) -> dict[str, Any]:
        return {"type": "thinking", "thinking": f"Step {n}.", "signature": f"c2ln{n}"}

    body = {
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 32000,
        "stream": True,
        "temperature": 1,
        "metadata": {"user_id": "user_0a1b_account__session_2c3d"},
        "system": [
            {"type": "text", "text": "You are a coding agent.", "cache_control": EPHEMERAL},
            {"type": "text", "text": f"Be brief.\n{LOGS[0]}", "cache_control": EPHEMERAL},
        ],
        "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }
    files = f"<system-reminder>\nAs you answer, use the following context:\n# claudeMd\n{LOGS[1]}\n</system-reminder>"
    mcp = [
        {"type": "text", "text": LOGS[3]},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "text", "text": json.dumps({"structuredContent": {"rows": list(range(400))}})},
    ]
    turns: Turns = [
        [{"role": "user", "content": [{"type": "text", "text": files}, {"type": "text", "text": TASK}]}],
        [
            {"role": "assistant", "content": [think(1), use("toolu_01", "Read", file_path="/srv/a.py")]},
            {"role": "user", "content": [result("toolu_01", f"{NUMBERED}\n\n{REMINDER}\n")]},
        ],
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Now both."},
                    use("toolu_02", "Bash", command="tail -n 400 shard.log", description="Reads the log"),
                    use("toolu_03", "mcp__db__query", sql=f"select '{LOGS[2]}'"),
                ],
            },
            {
                "role": "user",
                "content": [
                    result("toolu_02", f"Exit code 1\n{LOGS[2]}", is_error=True),
                    result("toolu_03", mcp),
                    {"type": "text", "text": REMINDER},
                ],
            },
        ],
        [
            {"role": "assistant", "content": [{"type": "text", "text": "Der Shard 3 wartet."}]},
            {
                "role": "user",
                "content": "<command-name>/compact</command-name>\n<command-args>" + TASK + "</command-args>",
            },
        ],
    ]
    return body, turns


def codex() -> tuple[dict[str, Any], Turns]:
    """Responses: instructions, an environment, encrypted reasoning, functions, custom tools, a shell."""
    body = {
        "model": "gpt-5-codex",
        "instructions": f"You are a coding agent.\n{LOGS[0]}",
        "tools": [
            {"type": "function", "name": "shell", "parameters": {"type": "object"}, "strict": False},
            {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark"}},
            {"type": "local_shell"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a-session",
    }

    def message(role: str, kind: str, *texts: str) -> dict[str, Any]:
        return {"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in texts]}

    environment = "<environment_context>\n  <cwd>/srv</cwd>\n  <shell>bash</shell>\n</environment_context>" + " " * 300
    patch = f"*** Begin Patch\n*** Update File: a.py\n@@\n-{LOGS[4]}\n+pass\n*** End Patch"
    output = json.dumps({"output": LOGS[2], "metadata": {"exit_code": 0, "duration_seconds": 0.3}})
    turns: Turns = [
        [
            message("developer", "input_text", f"<permissions instructions>{LOGS[0]}</permissions instructions>"),
            message("user", "input_text", f"# AGENTS.md\n<INSTRUCTIONS>\n{LOGS[1]}\n</INSTRUCTIONS>", environment),
            message("user", "input_text", TASK),
        ],
        [
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAA1=="},
            {
                "type": "function_call",
                "name": "shell",
                "arguments": json.dumps({"command": ["bash", "-lc", "cat shard.log"], "workdir": "/srv"}),
                "call_id": "call_1",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": output},
        ],
        [
            {
                "type": "custom_tool_call",
                "status": "completed",
                "call_id": "call_2",
                "name": "apply_patch",
                "input": patch,
            },
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": f"Exit code: 0\nOutput:\n{LOGS[3]}"},
            {
                "type": "local_shell_call",
                "call_id": "call_3",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 1000},
            },
            {"type": "local_shell_call_output", "call_id": "call_3", "output": LOGS[5]},
        ],
        [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Fertig.", "annotations": []}],
                "phase": "final_answer",
            },
            message("user", "input_text", "Und nun?"),
        ],
    ]
    return body, turns


def opencode() -> tuple[dict[str, Any], Turns]:
    """Chat by Vercel's AI SDK: calls in parallel, files in tags, fields that no format has."""
    lines = "\n".join(f"{i:05d}| {line}" for i, line in enumerate(SOURCE.split("\n")[:240], 1))
    file = f"<file>\n{lines}\n\n(End of file - total 240 lines)\n</file>\n\n{REMINDER}"

    def call(identity: str, name: str, **arguments: Any) -> dict[str, Any]:
        return {
            "id": identity,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
            "providerOptions": {"x": 1},
        }

    body = {
        "model": "gpt-4o",
        "max_tokens": 8000,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}],
        "providerOptions": {"openai": {"parallelToolCalls": True}},
    }
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}}
    turns: Turns = [
        [
            {"role": "system", "content": f"You are opencode.\n{LOGS[0]}"},
            {"role": "user", "content": [{"type": "text", "text": TASK}, image]},
        ],
        [
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "Hm.",
                "tool_calls": [call("call_1", "read", filePath="/srv/a.py"), call("call_2", "bash", command="cat log")],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": file, "providerOptions": {"cache": True}},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": LOGS[2], "x": [1]}, image]},
        ],
        [
            {
                "role": "assistant",
                "content": "Noch eins.",
                "refusal": None,
                "tool_calls": [call("call_3", "bash", c="x")],
            },
            {"role": "tool", "tool_call_id": "call_3", "name": "bash", "content": LOGS[3]},
        ],
        [{"role": "assistant", "content": "Fertig."}, {"role": "user", "content": "Und nun?"}],
    ]
    return body, turns


def mini_swe_agent() -> tuple[dict[str, Any], Turns]:
    """Chat without tools: what a command said is the user's next message."""

    def observed(output: str) -> dict[str, Any]:
        return {"role": "user", "content": f"<returncode>0</returncode>\n<output>\n{output}\n</output>"}

    def said(command: str) -> dict[str, Any]:
        return {"role": "assistant", "content": f"THOUGHT: I look.\n\n```bash\n{command}\n```"}

    instructions = f"<instructions>\n# Task\n{TASK}\n{LOGS[0]}\n</instructions>"
    system = {"role": "system", "content": "You are a helpful assistant."}
    start = {"role": "user", "content": f"<pr_description>\n{TASK}\n</pr_description>\n\n{instructions}"}
    return {"model": "gpt-4o"}, [
        [system, start],
        [said("cat a.log"), observed(LOGS[1])],
        [said("cat a.py"), observed(SOURCE[:9000])],
        [said("exit"), {"role": "user", "content": "Please always provide EXACTLY ONE action in triple backticks."}],
    ]


def agents_sdk() -> tuple[dict[str, Any], Turns]:
    """Responses by OpenAI's Agents SDK: ids of the server, hosted tools, outputs as lists of parts."""
    body = {"model": "gpt-4.1", "store": True, "truncation": "auto", "parallel_tool_calls": True}
    text = {"type": "output_text", "text": "Ich sehe nach.", "annotations": [], "logprobs": []}
    hosted = [
        {
            "type": "file_search_call",
            "id": "fs_1",
            "status": "completed",
            "queries": ["x"],
            "results": [{"text": LOGS[0]}],
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "code_interpreter_call", "id": "ci_1", "code": LOGS[0], "container_id": "c", "outputs": None},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "db", "tools": [{"name": "q", "input_schema": {}}]},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "db", "name": "q", "arguments": "{}", "output": LOGS[0]},
    ]
    shot = {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{PNG}"}
    parts = [
        {"type": "input_text", "text": LOGS[2]},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
        {"type": "input_file", "file_data": "JVBERi0=", "filename": "a.pdf"},
    ]
    turns: Turns = [
        [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": TASK}, {"type": "input_image", "file_id": "file_1"}],
            }
        ],
        [
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]},
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "call_1",
                "name": "read",
                "arguments": "{}",
                "status": "done",
            },
            {"id": "fc_2", "type": "function_call", "call_id": "call_2", "name": "shot", "arguments": '{ "a":1 }'},
            {"type": "function_call_output", "call_id": "call_2", "output": parts},
            {"type": "function_call_output", "call_id": "call_1", "output": LOGS[3], "x_trace": {"id": 7}},
        ],
        [
            *hosted,
            {
                "type": "computer_call",
                "id": "cu_1",
                "call_id": "call_3",
                "action": {"type": "click"},
                "status": "completed",
            },
            {"type": "computer_call_output", "call_id": "call_3", "output": shot, "acknowledged_safety_checks": []},
        ],
        [{"type": "item_reference", "id": "msg_9"}, {"role": "user", "content": "Und nun?"}],
    ]
    return body, turns


def ai_sdk_on_anthropic() -> tuple[dict[str, Any], Turns]:
    """Anthropic Messages by Vercel's AI SDK: MCP's results as parts, calls in parallel, hosted tools, documents."""
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "system": [{"type": "text", "text": "Be brief."}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "q", "input_schema": {}}],
        "mcp_servers": [{"type": "url", "url": "https://db.example", "name": "db"}],
    }
    link = {"type": "resource_link", "uri": "file:///a.log", "name": "a.log"}
    listed = [{"type": "text", "text": LOGS[2], "cache_control": EPHEMERAL}, link]
    searched = [{"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "Eo8="}]
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    turns: Turns = [
        [{"role": "user", "content": [pdf, {"type": "text", "text": TASK, "cache_control": EPHEMERAL}]}],
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "redacted_thinking", "data": "EmwKAhgB"},
                    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": searched},
                    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "q", "server_name": "db", "input": {}},
                    {
                        "type": "mcp_tool_result",
                        "tool_use_id": "mcptoolu_1",
                        "content": [{"type": "text", "text": LOGS[0]}],
                    },
                    {"type": "tool_use", "id": "toolu_1", "name": "q", "input": {"z": 1, "a": 2}},
                    {"type": "tool_use", "id": "toolu_2", "name": "q", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": LOGS[3]},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": listed, "is_error": False},
                ],
            },
        ],
        [{"role": "assistant", "content": "Fertig."}, {"role": "user", "content": "Und nun?"}],
    ]
    return body, turns


CLIENTS: dict[str, Callable[[], tuple[dict[str, Any], Turns]]] = {
    make.__name__: make for make in (claude_code, codex, opencode, mini_swe_agent, agents_sdk, ai_sdk_on_anthropic)
}
WIRES = {
    "codex": "responses",
    "agents_sdk": "responses",
    "claude_code": "anthropic",
    "ai_sdk_on_anthropic": "anthropic",
}


def mark_end(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Claude Code does: a marker on the last part of the last two messages."""
    marked = copy.deepcopy(messages)
    for message in marked[-2:]:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        message["content"][-1]["cache_control"] = EPHEMERAL
    return marked


def requests(client: str) -> Iterator[dict[str, Any]]:
    body, turns = CLIENTS[client]()
    field = "input" if WIRES.get(client) == "responses" else "messages"
    history: list[dict[str, Any]] = []
    for turn in turns:
        history += turn
        yield {**body, field: mark_end(history) if client == "claude_code" else copy.deepcopy(history)}


def conversation_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return body.get("messages") or body["input"]


def find_result_texts(message: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where a tool's text stands that may be shortened: what holds it, and under what name."""
    holders: Sequence[tuple[Any, str]] = ()
    if message.get("role") == "tool":
        holders = [(message, "content")]
    elif message.get("type") in ("function_call_output", "custom_tool_call_output"):
        holders = [(message, "output")]
    elif isinstance(message.get("content"), list):
        holders = [(part, "content") for part in message["content"] if part.get("type") == "tool_result"]
    elif str(message.get("content")).startswith("<returncode>"):
        holders = [(message, "content")]
    for holder, name in holders:
        inner = holder[name]
        yield from ((part, "text") for part in inner if "text" in part) if isinstance(inner, list) else [(holder, name)]


def without_results(messages: list[dict[str, Any]]) -> str:
    bare = copy.deepcopy(messages)
    for message in bare:
        for holder, name in find_result_texts(message):
            holder[name] = ""
    return json.dumps(bare)


def without_markers(messages: list[dict[str, Any]]) -> str:
    """Messages as a prompt cache sees them; a text alone is the same as a list of it."""
    bare = copy.deepcopy(messages)
    for message in bare:
        if isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for part in message.get("content") or ():
            part.pop("cache_control", None)
    return json.dumps(bare)[:-1]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("rate", [0.05, 0.3, "auto"])
def test_nothing_that_a_client_relies_on_is_touched(client: str, rate: Any) -> None:
    mine = fakes.compressor(min_tokens=100, keep_rate=rate)
    before = ""
    for body in requests(client):
        as_made = json.dumps(body)
        sent = mine.compress_request(body, on_error="raise").body
        assert json.dumps(body) == as_made
        assert list(sent) == list(body)
        assert all(sent[name] is body[name] for name in body if name not in ("messages", "input"))
        assert without_results(conversation_of(sent)) == without_results(conversation_of(body))
        assert without_markers(conversation_of(sent)).startswith(before)
        assert json.dumps(sent).count(json.dumps(REMINDER)[1:-1]) == as_made.count(json.dumps(REMINDER)[1:-1])
        before = without_markers(conversation_of(sent))
    texts = [len(h[n]) for m in conversation_of(body) for h, n in find_result_texts(m)]
    left = [len(h[n]) for m in conversation_of(sent) for h, n in find_result_texts(m)]
    assert sum(left) < (1 if rate == "auto" else 0.8) * sum(texts)


@pytest.mark.parametrize("client", ["claude_code", "opencode", "agents_sdk", "ai_sdk_on_anthropic"])
def test_the_strictest_provider_takes_it(client: str) -> None:
    mine = fakes.compressor(min_tokens=100, keep_rate=0.2)
    provider = Provider(WIRES.get(client, "openai"))
    for body in requests(client):
        meant = conversation_of(body)
        sent = conversation_of(mine.compress_request(body).body)
        provider._paired(sent)
        provider._same_but_for_texts(sent, meant)


def test_a_command_that_a_user_reports_keeps_its_form() -> None:
    *_, body = requests("mini_swe_agent")
    for message in fakes.compressor(min_tokens=100, keep_rate=0.1).compress_request(body).body["messages"][3:6:2]:
        assert message["content"].startswith("<returncode>0</returncode>\n<output>\n")
        assert message["content"].endswith("\n</output>")
        assert len(message["content"]) < 3000


def test_what_a_file_says_beside_a_reminder_is_still_compressed() -> None:
    body = next(body for body in requests("claude_code") if len(body["messages"]) == 3)
    sent = fakes.compressor(min_tokens=100, keep_rate=0.1).compress_request(body).body
    text = sent["messages"][2]["content"][0]["content"]
    assert text.endswith(f"\n\n{REMINDER}\n")
    assert len(text) < 0.4 * len(NUMBERED)


def test_a_reminder_in_the_middle_parts_a_result() -> None:
    text = f"{LOGS[0]}\n{REMINDER}\n{LOGS[1]}<system-reminder>not closed"
    first, second = find_around_reminders(text)
    assert text[first.start : first.end] == LOGS[0].strip()
    assert text[second.start : second.end] == f"{LOGS[1]}<system-reminder>not closed"


@given(
    st.lists(
        st.one_of(any_text, st.sampled_from(["<system-reminder>", "</system-reminder>", "x", REMINDER])), max_size=8
    )
)
def test_spans_around_reminders_are_sound(pieces: list[str]) -> None:
    text = "".join(pieces)
    spans = find_around_reminders(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert not any(REMINDER in text[span.start : span.end] for span in spans)


def test_many_open_reminders_take_linear_time() -> None:
    assert len(find_around_reminders("<system-reminder>" * 100_000)) == 1


@pytest.mark.parametrize(
    "tag", ["command-args", "user_input", "environment_details", "user_message", "human", "guidelines", "policies"]
)
def test_what_clients_say_for_a_person_is_no_paste(tag: str) -> None:
    message = {"role": "user", "content": f"<{tag}>\n{LOGS[0]}\n</{tag}>\n\nWhy?"}
    assert fakes.compressor(min_tokens=100, keep_rate=0.1).compress([message]).messages[0] is message
