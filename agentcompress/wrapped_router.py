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
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from agentcompress.overrides import Overrides
from agentcompress.routing import Choice, chosen
from agentcompress.sending import Sender, in_background

_SYNC = {"completion": "completion", "responses": "responses"}
_ASYNC = frozenset(("acompletion", "aresponses", "anthropic_messages", "aanthropic_messages"))

_active: ContextVar[tuple[Sender, Overrides] | None] = ContextVar("agentcompress_router", default=None)
_sync_call: ContextVar[str | None] = ContextVar("agentcompress_router_sync", default=None)


class CompressingRouter:
    """Stands before a `litellm.Router`: what holds conversations is compressed, all else is the router's.

    Its methods take `agentcompress=` beside their own arguments, as `agentcompress.completion` does.
    """

    def __init__(self, router: Any, choice: Choice = None) -> None:
        chosen(choice)  # or raise now
        self.router, self._choice = router, choice
        _register()
        _follow(router)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.router, name)
        if name in _SYNC:
            return self._compressing(method, _SYNC[name])
        return self._compressing_async(method) if name in _ASYNC else method

    def _compressing(self, method: Any, call_type: str) -> Any:
        @functools.wraps(method)
        def call(*args: Any, agentcompress: Choice = None, **kwargs: Any) -> Any:
            with self._activated(agentcompress, call_type):
                return method(*args, **kwargs)

        return call

    def _compressing_async(self, method: Any) -> Any:
        @functools.wraps(method)
        async def call(*args: Any, agentcompress: Choice = None, **kwargs: Any) -> Any:
            with self._activated(agentcompress, None):
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

        return call

    @contextmanager
    def _activated(self, choice: Choice, sync_call: str | None) -> Iterator[None]:
        sender, overrides = chosen(self._choice if choice is None else choice)
        tokens = _active.set(None if sender is None else (sender, overrides)), _sync_call.set(sync_call)
        try:
            yield
        finally:
            _active.reset(tokens[0])
            _sync_call.reset(tokens[1])


class _DeploymentHook(CustomLogger):
    """Acts on calls through a `CompressingRouter` alone."""

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        active = _active.get()
        if active is None or call_type is None or _sync_call.get() is not None:
            return None
        sender, overrides = active
        return (await in_background(lambda: sender.sent(kwargs, call_type.value, overrides))).kwargs


_hook = _DeploymentHook()


def _register() -> None:
    if _hook not in litellm.callbacks:
        litellm.logging_callback_manager.add_litellm_callback(_hook)


def _follow(router: Any) -> None:
    """Have a router compress what it sends synchronously, once it knows to whom."""
    if hasattr(router._update_kwargs_with_deployment, "__wrapped__"):
        return
    chosen_deployment = router._update_kwargs_with_deployment

    @functools.wraps(chosen_deployment)
    def follow(deployment: Any, kwargs: dict[str, Any], *args: Any, **more: Any) -> None:
        chosen_deployment(deployment, kwargs, *args, **more)
        active, call_type = _active.get(), _sync_call.get()
        if active is not None and call_type is not None:
            sender, overrides = active
            model = deployment["litellm_params"]["model"]
            sent = sender.sent({**kwargs, "model": model}, call_type, overrides).kwargs
            kwargs.update({name: sent[name] for name in ("messages", "input", "thinking") if name in sent})

    router._update_kwargs_with_deployment = follow
