"""The strict provider behind HTTP: Chat Completions, Responses and Messages, streaming or not, on a port of its own.

It answers with a scripted turn, notes every body it got, and fails where it is told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Upstream:
    """A server in a thread.

    bodies: what it was asked, with the path, if `keep`. failures, delays_s: of the answers to come. calls: of tools, by
    name and arguments, that it makes before it says anything, on Chat Completions and, after thinking, on Messages.
    """

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[int] = []
        self.delays_s: list[float] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.keep = True
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        paths = {"/v1/chat/completions": self._chat, "/v1/responses": self._responses, "/v1/messages": self._messages}
        routes = [Route(path, self._answering(answer), methods=["POST"]) for path, answer in paths.items()]
        options = {"log_level": "error", "lifespan": "off", "timeout_keep_alive": 300}  # clients keep connections, too
        config = uvicorn.Config(Starlette(routes=routes), port=self.port, **options)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def sent(self, field: str = "messages") -> list[Any]:
        """The conversation of the last request."""
        return self.bodies[-1][1][field]

    def _answering(self, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            body = await request.json()
            if self.keep:
                self.bodies.append((request.url.path, body))
            if self.delays_s:
                await asyncio.sleep(self.delays_s.pop(0))
            if self.failures:
                status = self.failures.pop(0)
                return JSONResponse({"error": {"message": "told to fail", "type": "x", "code": str(status)}}, status)
            events, whole = answer(body)
            return (
                StreamingResponse(_sse(events), media_type="text/event-stream")
                if body.get("stream")
                else JSONResponse(whole)
            )

        return endpoint

    def _chat(self, body: dict[str, Any]) -> tuple[list[Any], Any]:
        base = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        message: dict[str, Any] = {"role": "assistant", "content": "All is well."}
        if self.calls:
            name, arguments = self.calls.pop(0)
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"id": f"call_{len(self.calls)}", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        whole = {**base, "object": "chat.completion", "usage": usage}
        whole["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
        deltas = [{"role": "assistant", "content": "All is"}, {"content": " well."}]
        chunks: list[Any] = [
            {
                **base,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            }
            for delta in deltas
        ]
        chunks.append({**chunks[0], "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        return [*((None, chunk) for chunk in chunks), (None, "[DONE]")], whole

    def _responses(self, body: dict[str, Any]) -> tuple[list[Any], Any]:
        text = {"type": "output_text", "text": "All is well.", "annotations": []}
        item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
        usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"]}
        whole |= {"output": [item], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        whole |= {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}}
        whole |= {"temperature": 1.0, "top_p": 1.0}
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        events = [
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**whole, "status": "in_progress", "output": []},
            },
            {
                "type": "response.output_text.delta",
                "sequence_number": 1,
                **where,
                "delta": "All is well.",
                "logprobs": [],
            },
            {"type": "response.completed", "sequence_number": 2, "response": whole},
        ]
        return [(event["type"], event) for event in events], whole

    def _messages(self, body: dict[str, Any]) -> tuple[list[Any], Any]:
        usage = {"input_tokens": 10, "output_tokens": 2}
        whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "usage": usage}
        whole |= {
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "content": [{"type": "text", "text": "All is well."}],
        }
        if self.calls:
            name, arguments = self.calls.pop(0)
            number = len(self.calls)
            thought = {"type": "thinking", "thinking": f"Next is {name}.", "signature": f"signed_{number}"}
            whole["content"] = [
                thought,
                {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments},
            ]
            whole["stop_reason"] = "tool_use"
        events = [
            {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "All is well."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        return [(event["type"], event) for event in events], whole


async def _sse(events: list[Any]) -> AsyncIterator[str]:
    for name, event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        yield f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    """A server for as long as this context lasts."""
    server = Upstream()
    server.start()
    try:
        yield server
    finally:
        server.stop()
