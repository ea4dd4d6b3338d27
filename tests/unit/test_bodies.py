"""Whole requests: all but the conversation comes out as it went in."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from agentcompress.errors import MessageFormatError
from agentcompress.evaluation.replay.replay import to_wire
from tests import fakes

LOG = "\n".join(f"line {n} of the log" for n in range(300))
TALK = [
    {"role": "user", "content": "What went wrong?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [{"name": "read", "arguments": {"path": "a.log"}}]},
    {"role": "tool", "content": LOG},
]
TOOLS = [{"name": "read", "input_schema": {"type": "object", "properties": {}}}]
compressor = partial(fakes.compressor, min_tokens=50, keep_rate=0.3)


def body_of(name: str) -> dict[str, Any]:
    common = {"temperature": 0.5, "model": "gpt-4o", "stream": True, "metadata": {"user": "a"}}
    if name == "responses":
        return {**common, "instructions": "Be brief.", "input": to_wire(TALK, name), "store": False}
    if name == "anthropic":
        return {**common, "system": [{"type": "text", "text": "Be brief."}], "messages": to_wire(TALK, name)}
    return {**common, "messages": [{"role": "system", "content": "Be brief."}, *to_wire(TALK, name)], "n": 1}


@pytest.mark.parametrize("name", ["openai", "responses", "anthropic"])
def test_only_the_conversation_changes(name: str) -> None:
    body = body_of(name)
    before = json.dumps(body)
    result = compressor().compress_request(body)
    field = "input" if name == "responses" else "messages"
    assert list(result.body) == list(body)
    assert {**result.body, field: body[field]} == body
    assert len(json.dumps(result.body)) < 0.6 * len(before)
    assert json.dumps(body) == before
    assert result.receipt.target == "gpt-4o"
    assert result.receipt.blocks[0].decision == "new"


def test_a_text_alone_is_an_input() -> None:
    text = f"Which line says 17?\n\n```\n{LOG}\n```"
    body = {"model": "gpt-4o", "input": text}
    result = compressor().compress_request(body)
    assert isinstance(result.body["input"], str)
    assert len(result.body["input"]) < 0.6 * len(text)
    assert result.body["input"].startswith("Which line says 17?")
    assert compressor().compress_request({"model": "gpt-4o", "input": "Hello."}).body["input"] == "Hello."


@pytest.mark.parametrize(
    "more", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}]
)
def test_what_it_goes_on_from_is_part_of_the_history(more: dict[str, Any]) -> None:
    mine = compressor()
    body = body_of("responses")
    assert mine.compress_request(body).receipt.blocks[0].decision == "new"
    assert mine.compress_request(body).receipt.blocks[0].decision == "replayed"
    assert mine.compress_request({**body, **more}).receipt.blocks[0].decision == "new"


@pytest.mark.parametrize(
    "sign", [{"system": "Be brief."}, {"anthropic_version": "bedrock-2023-05-31"}, {"tools": TOOLS}]
)
def test_a_request_to_anthropic_is_told_by_what_is_beside(sign: dict[str, Any]) -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": LOG}}
    messages = [{"role": "user", "content": [document, {"type": "text", "text": "What went wrong?"}]}]
    result = compressor().compress_request({"model": "claude-sonnet-4-5", "messages": messages, **sign})
    assert len(result.receipt.blocks) == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (None, "body must be a request"),
        ([], "body must be a request"),
        ({}, "body.input must be a request with `messages`"),
        ({"messages": "hello"}, "body.messages must be a list"),
        ({"input": {"role": "user"}}, "body.input must be a list"),
    ],
)
def test_what_is_no_request_says_so(body: Any, error: str) -> None:
    with pytest.raises(MessageFormatError, match=error):
        compressor().compress_request(body)


def test_a_model_of_ones_own_is_counted_like_the_configs() -> None:
    result = compressor().compress_request({**body_of("openai"), "model": "qwen3:8b"})
    assert result.receipt.target == "gpt-4o"
    assert result.body["model"] == "qwen3:8b"
    assert compressor().compress_request({"messages": body_of("openai")["messages"]}).receipt.target == "gpt-4o"
