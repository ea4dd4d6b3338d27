"""The middleware of `create_agent`: what goes to the model is compressed, the agent's state keeps the originals."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Unpack

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.tools import BaseTool

from agentcompress.compressor import Compressor
from agentcompress.config import SharedOptions
from agentcompress.doors.background import in_background
from agentcompress.doors.guard import Config, Guarded, OnReceipt, add_recall
from agentcompress.errors import InvalidInputError
from agentcompress.receipt import Receipt
from langchain_agentcompress.models import answer_tokens, describe_tools, find_target
from langchain_agentcompress.recall import Namespace, find_namespace, recall_tool

_log = logging.getLogger("agentcompress")


class AgentCompressMiddleware(AgentMiddleware):
    """Compresses tool results and long context blocks in every model call of an agent.

    A block is decided once and repeated byte for byte, whatever retries, resumes and replicas do. Of messages only the
    content is replaced: ids, names, artifacts, status, metadata and everything that is no text stay what they were.
    Put it first: what stands behind it in the list, `ContextEditingMiddleware` say, sees what is sent.

    config: a `CompressConfig`, its settings as a mapping, or a `Compressor`. namespace: whose conversation it is, or a
    function of the run's context that says so. fit: whether requests are made to fit their model's window. on_receipt:
    called with the receipt of every call. recall: whether the agent gets a tool that reads what was omitted: offered in
    every call, or in none. options: keep_rate, target_tokens and deadline_ms of every call; target, whose tokens are
    counted, by default those of the request's model; on_error, "warn" by default, which like "ignore" goes on with the
    original messages, while "raise" raises an `AgentCompressError`.

    Raises `InvalidInputError` for bad settings.
    """

    tools: Sequence[BaseTool]

    def __init__(
        self,
        config: Config = None,
        *,
        namespace: Namespace = None,
        fit: bool = True,
        on_receipt: OnReceipt | None = None,
        recall: bool = False,
        **options: Unpack[SharedOptions],
    ) -> None:
        super().__init__()
        if not isinstance(recall, bool):
            raise InvalidInputError("recall", recall, "true or false")
        self._guarded = Guarded(
            add_recall(config) if recall else config,
            namespace=None if callable(namespace) else namespace,
            fit=fit,
            on_receipt=on_receipt,
            **options,
        )
        self._namespace = namespace
        self.tools = [recall_tool(self.compressor, namespace)] if recall else []

    @property
    def compressor(self) -> Compressor:
        """The compressor that requests are handed to."""
        return self._guarded.compressor

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
        """Hand on the request with compressed messages."""
        shorter, receipt = self._compress(request)
        return self._note_billed(handler(shorter), receipt)

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        """Hand on the request with compressed messages, which a thread has made."""
        shorter, receipt = await in_background(lambda: self._compress(request))
        return self._note_billed(await handler(shorter), receipt)

    def _compress(self, request: ModelRequest) -> tuple[ModelRequest, Receipt | None]:
        return self._guarded.run_or_keep((request, None), lambda: self._shorten(request))

    def _note_billed(self, response: ModelResponse, receipt: Receipt | None) -> ModelResponse:
        """The response, after its usage was looked at."""
        for message in getattr(response, "result", None) or ():
            usage = getattr(message, "usage_metadata", None)
            if usage:
                cached = (usage.get("input_token_details") or {}).get("cache_read")
                whole = usage.get("input_tokens")
                named = {"prompt_tokens": whole, "prompt_tokens_details": {"cached_tokens": cached}}
                self._guarded.note_billed(receipt, named)
        return response

    def _shorten(self, request: ModelRequest) -> tuple[ModelRequest, Receipt | None]:
        body = {
            "messages": request.messages,
            "model": _find_or_none(lambda: find_target(request.model)),
            "max_tokens": _find_or_none(lambda: answer_tokens(request.model)),
            "system": request.system_prompt,
            "tools": _find_or_none(lambda: describe_tools(request.tools or ())),
        }
        namespace = find_namespace(self._namespace, request.runtime)
        shorter, receipt = self._guarded.compress_request(body, namespace)
        messages = shorter["messages"]
        return request if messages is request.messages else request.override(messages=messages), receipt


def _find_or_none(find: Callable[[], Any]) -> Any:
    """What is found out of a model or its tools; None where that fails, which must not change what is sent."""
    try:
        return find()
    except Exception as error:  # noqa: BLE001
        _log.debug("a request is compressed without knowing all of it", exc_info=error)
        return None
