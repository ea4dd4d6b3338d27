"""A LiteLLM router whose every attempt is compressed for the model that it goes to.

Asynchronous attempts pass LiteLLM's deployment hook; synchronous ones have no hook, so the router's own step between
choosing a deployment and calling it is followed by ours, on this one router and for calls through the wrapper alone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from agentcompress.config import CallSettings
from agentcompress.doors.background import in_background
from agentcompress.doors.choice import Choice, choose
from agentcompress.doors.litellm_sender import compress_call
from agentcompress.doors.requests import RequestCompressor

_SYNC = frozenset(("completion", "responses"))
_ASYNC = frozenset(
    (
        *("acompletion", "aresponses", "anthropic_messages", "aanthropic_messages", "schedule_acompletion"),
        *("abatch_completion", "abatch_completion_one_model_multiple_requests", "abatch_completion_fastest_response"),
    )
)
_MARK = "_agentcompress_follows"


@dataclass
class _Call:
    """A call through a wrapper, while it lasts. sync_as: LiteLLM's name of it, where it is synchronous."""

    requests: RequestCompressor
    settings: CallSettings
    sync_as: str | None
    is_over: bool = False


_calls: ContextVar[_Call | None] = ContextVar("agentcompress_router", default=None)


def _find_call() -> _Call | None:
    """The call that this is part of; tasks that outlive it are not."""
    call = _calls.get()
    return None if call is None or call.is_over else call


class CompressingRouter:
    """Stands before a `litellm.Router`: what holds conversations is compressed, all else is the router's.

    Its methods take `agentcompress=` beside their own arguments, as `agentcompress.completion` does.
    """

    def __init__(self, router: Any, choice: Choice = None) -> None:
        choose(choice)  # or raise now
        self.router = router.router if isinstance(router, CompressingRouter) else router
        self._choice = choice
        _register()
        _follow_router(self.router)

    def __getattr__(self, name: str) -> Any:
        if name in ("router", "_choice") or name.startswith("__"):  # of a copy that is being made
            raise AttributeError(name)
        method = getattr(self.router, name)
        if name in _SYNC:
            return self._wrap_sync(method, name)
        return self._wrap_async(method) if name in _ASYNC else method

    def _wrap_sync(self, method: Any, call_type: str) -> Any:
        @functools.wraps(method)
        def call(*args: Any, agentcompress: Choice = None, **kwargs: Any) -> Any:
            with self._open_call(agentcompress, call_type):
                return method(*args, **kwargs)

        return call

    def _wrap_async(self, method: Any) -> Any:
        @functools.wraps(method)
        async def call(*args: Any, agentcompress: Choice = None, **kwargs: Any) -> Any:
            with self._open_call(agentcompress, None):
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

        return call

    @contextmanager
    def _open_call(self, choice: Choice, sync_as: str | None) -> Iterator[None]:
        requests, settings = choose(choice, self._choice)
        _register()  # whoever sets LiteLLM's callbacks anew has dropped it
        call = None if requests is None else _Call(requests, settings, sync_as)
        token = _calls.set(call)
        try:
            yield
        finally:
            if call is not None:
                call.is_over = True
            _calls.reset(token)


class _DeploymentHook(CustomLogger):
    """Acts on calls through a `CompressingRouter` alone."""

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        call = _find_call()
        if call is None or call_type is None or call.sync_as is not None:
            return None
        work = partial(compress_call, call.requests, kwargs, call_type.value, call.settings)
        return (await in_background(work)).kwargs


_hook = _DeploymentHook()


def _register() -> None:
    if _hook not in litellm.callbacks:
        litellm.logging_callback_manager.add_litellm_callback(_hook)


def _follow_router(router: Any) -> None:
    """Have a router compress what it sends synchronously, once it knows to whom."""
    if hasattr(router._update_kwargs_with_deployment, _MARK):
        return
    choose_deployment = router._update_kwargs_with_deployment

    @functools.wraps(choose_deployment)
    def follow(deployment: Any, kwargs: dict[str, Any], *args: Any, **more: Any) -> None:
        choose_deployment(deployment, kwargs, *args, **more)
        call = _find_call()
        if call is not None and call.sync_as is not None:
            model = deployment["litellm_params"]["model"]
            sent = compress_call(call.requests, {**kwargs, "model": model}, call.sync_as, call.settings).kwargs
            kwargs.update({name: sent[name] for name in ("messages", "input", "thinking") if name in sent})

    setattr(follow, _MARK, True)
    router._update_kwargs_with_deployment = follow
