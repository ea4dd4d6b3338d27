"""LiteLLM with compression: the same calls, shorter prompts.

    import agentcompress

    reply = agentcompress.completion(model="gpt-4o", messages=messages)

Every argument is LiteLLM's, and goes through as it is. `agentcompress=`, beside them: False sends the original; a
mapping of `keep_rate`, `target_tokens`, `deadline_ms`, `namespace`, `fit` is of this call alone; a `CompressConfig` or
`Compressor` (also as `compressor` in a mapping) is used instead of the default one. A request that would exceed the
target's window is made to fit, unless `fit` is False. A block that can't be compressed is sent as it is, now and later,
and a warning is logged; should anything else fail, the original is sent: the agent gets its answer. A setting that
there is not raises, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentcompress.doors.background import in_background
from agentcompress.doors.choice import Choice, choose
from agentcompress.doors.litellm_sender import compress_call
from agentcompress.receipt import Receipt
from agentcompress.targets.counting import EMBEDDED

if TYPE_CHECKING:
    from agentcompress.doors.litellm_router import CompressingRouter


def completion(model: str, messages: Sequence[Any] = (), *, agentcompress: Choice = None, **options: Any) -> Any:
    """Call `litellm.completion` with compressed messages, streaming or not."""
    import litellm

    kwargs = {"model": model, "messages": messages, **options}
    prepared = _Prepared(kwargs, "completion", agentcompress)
    return prepared.note_billed(litellm.completion(**prepared.kwargs))


async def acompletion(model: str, messages: Sequence[Any] = (), *, agentcompress: Choice = None, **options: Any) -> Any:
    """Await `litellm.acompletion` with compressed messages, streaming or not."""
    import litellm

    kwargs = {"model": model, "messages": messages, **options}
    prepared = await in_background(lambda: _Prepared(kwargs, "acompletion", agentcompress))
    return prepared.note_billed(await litellm.acompletion(**prepared.kwargs))


def responses(input: str | Sequence[Any], model: str, *, agentcompress: Choice = None, **options: Any) -> Any:  # noqa: A002
    """Call `litellm.responses` with a compressed input, streaming or not."""
    import litellm

    kwargs = {"input": input, "model": model, **options}
    prepared = _Prepared(kwargs, "responses", agentcompress)
    return prepared.note_billed(litellm.responses(**prepared.kwargs))


async def aresponses(
    input: str | Sequence[Any],  # noqa: A002
    model: str,
    *,
    agentcompress: Choice = None,
    **options: Any,
) -> Any:
    """Await `litellm.aresponses` with a compressed input, streaming or not."""
    import litellm

    kwargs = {"input": input, "model": model, **options}
    prepared = await in_background(lambda: _Prepared(kwargs, "aresponses", agentcompress))
    return prepared.note_billed(await litellm.aresponses(**prepared.kwargs))


def wrap_router(router: Any, agentcompress: Choice = None) -> CompressingRouter:
    """A `litellm.Router` that compresses: every attempt, retries and fallbacks included, for the model it goes to.

    agentcompress: what holds where a call says nothing else.
    """
    from agentcompress.doors.litellm_router import CompressingRouter

    return CompressingRouter(router, agentcompress)


class _Prepared:
    """The arguments of a call as they are to be sent, and who made them. Raises for a choice that is none."""

    def __init__(self, kwargs: Mapping[str, Any], call_type: str, choice: Choice) -> None:
        if str(kwargs.get("model", "")).startswith(EMBEDDED):
            from agentcompress.targets import embedded

            embedded.register_embedded()
        self._requests, settings = choose(choice)
        self._receipt: Receipt | None = None
        self.kwargs = dict(kwargs)
        if self._requests is not None:
            sent = compress_call(self._requests, kwargs, call_type, settings)
            self.kwargs, self._receipt = sent.kwargs, sent.receipt

    def note_billed(self, response: Any) -> Any:
        """Return the response, after its usage was looked at; a stream's comes too late."""
        if self._requests is not None:
            self._requests.note_billed(self._receipt, getattr(response, "usage", None))
        return response
