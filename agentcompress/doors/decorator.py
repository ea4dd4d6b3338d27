"""`@compressed`: an agent function gets shorter messages, a tool returns a shorter text. The function is not changed.

@compressed
def agent(messages): ...

@compressed.tool(query_from="pattern")
def grep(pattern: str, path: str) -> str: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack, overload

from agentcompress.common.checks import KeepRate
from agentcompress.conversation.ladder import OnError
from agentcompress.doors.guard import Config, Guarded, OnReceipt
from agentcompress.doors.litellm_sender import in_background
from agentcompress.doors.tool_calls import QueryFrom, as_call, query_of
from agentcompress.errors import InvalidInputError

P = ParamSpec("P")
R = TypeVar("R")
_NAMES = ("messages", "history", "chat_history", "conversation", "state", "request", "input", "prompt")
_ANNOTATIONS = ("Message", "PromptValue")
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _Settings(TypedDict, total=False):
    """Those of `Guarded` that both decorators take."""

    config: Config
    target: str | None
    keep_rate: KeepRate | None
    target_tokens: int | None
    deadline_ms: float | None
    namespace: str | None
    on_error: OnError
    on_receipt: OnReceipt | None


class _Compressed:
    """The decorator, and `tool`, the one for tools."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def __call__(
        self,
        *,
        arg: str | None = None,
        fit: bool = True,
        **settings: Unpack[_Settings],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def __call__(
        self, function: Callable[..., Any] | None = None, /, *, arg: str | None = None, **settings: Any
    ) -> Any:
        """Compress what a function is given: sync, async, a generator or an async one, also a method.

        arg: which of its arguments; by default the one named messages, history, chat_history, conversation, state,
        request, input or prompt, the first there is in this order, else one whose annotation names messages. Its value
        may be all that `Guarded.shortened` takes. Other settings are those of `Guarded`; whatever fails, the function
        gets what it was called with.

        Raises `InvalidInputError`, when it decorates, for bad settings and where no argument is found.
        """
        guarded = _guarded(settings)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            signature = _signature(function)
            name = _argument(function, signature, arg)

            def shortened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
                return _with_argument(signature, name, args, kwargs, guarded.shortened)

            return _wrapped(function, shortened)

        return partial(_on, decorate) if function is None else _on(decorate, function)

    @overload
    def tool(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def tool(
        self,
        *,
        query_from: QueryFrom = None,
        **settings: Unpack[_Settings],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def tool(
        self, function: Callable[..., Any] | None = None, /, *, query_from: QueryFrom = None, **settings: Any
    ) -> Any:
        """Compress the text that a tool returns, sync or async; what is no text, or a short one, is returned as it is.

        query_from: the argument, or arguments, that say what the result is read for, or a function of all arguments by
        name that says so; by default all of them do. The same result of the same call is cut the same way, always.
        Other settings are those of `Guarded`.

        Put it below a framework's own decorator. Raises `InvalidInputError`, when it decorates, for bad settings.
        """
        guarded = _guarded({**settings, "fit": False})

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            signature = _signature(function)
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise InvalidInputError("function", function, "one that returns a text, not a generator")
            query = query_of(signature, query_from)

            def shortened(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                if not isinstance(result, str) or not result:
                    return result
                messages = guarded.guarded([], lambda: as_call(function, signature, args, kwargs, query, result))
                return guarded.messages(messages)[-1]["content"] if messages else result

            return _wrapped_tool(function, shortened)

        return partial(_on, decorate) if function is None else _on(decorate, function)


compressed = _Compressed()
"""See `_Compressed.__call__`, and for tools `_Compressed.tool`."""


def _guarded(settings: dict[str, Any]) -> Guarded:
    allowed = inspect.signature(Guarded.__init__).parameters
    for name, value in settings.items():
        if name not in allowed:
            raise InvalidInputError(name, value, f"absent (settings are: {', '.join([*allowed][1:])})")
    return Guarded(**settings)


def _on(decorate: Callable[[Callable[..., Any]], Callable[..., Any]], function: Any) -> Any:
    """Decorate what may be a class's or a static method."""
    if isinstance(function, classmethod | staticmethod):
        return type(function)(decorate(function.__func__))
    return decorate(function)


def _signature(function: Any) -> inspect.Signature:
    if not callable(function) or inspect.isclass(function):
        raise InvalidInputError("function", function, "a function or method")
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise InvalidInputError("function", function, "one whose signature can be read") from error


def _argument(function: Callable[..., Any], signature: inspect.Signature, arg: str | None) -> str:
    """The name of the argument to compress."""
    parameters = {name: each for name, each in signature.parameters.items() if each.kind not in _VARIABLE}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())
    if arg is not None:
        if not isinstance(arg, str) or (arg not in parameters and not (takes_any and arg not in signature.parameters)):
            raise InvalidInputError("arg", arg, f"one of {', '.join(parameters) or 'none, it has no arguments'}")
        return arg
    named = next((name for name in _NAMES if name in parameters), None)
    annotated = (n for n, each in parameters.items() if any(word in str(each.annotation) for word in _ANNOTATIONS))
    found = named or next(annotated, _NAMES[0] if takes_any else None)
    if found is None:
        allowed = f"given: {function!r} has no argument named {', '.join(_NAMES)}, nor one annotated as messages"
        raise InvalidInputError("arg", arg, allowed)
    return found


def _with_argument(
    signature: inspect.Signature,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    shortened: Callable[[Any], Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with one of them shortened; as they are where it is not among them."""
    parameter = signature.parameters.get(name)
    if name in kwargs and (parameter is None or parameter.kind is not parameter.POSITIONAL_ONLY):
        return args, {**kwargs, name: shortened(kwargs[name])}
    at = list(signature.parameters).index(name) if parameter is not None else len(args)
    if at >= len(args) or parameter is None or parameter.kind is parameter.KEYWORD_ONLY:
        return args, kwargs
    return (*args[:at], shortened(args[at]), *args[at + 1 :]), kwargs


def _wrapped(function: Callable[..., Any], shortened: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> Any:
    """The function with shorter arguments, of the same kind as it is."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            args, kwargs = await in_background(lambda: shortened(args, kwargs))
            inner = function(*args, **kwargs)
            try:
                value = await anext(inner)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 - thrown in by the caller, for the function
                        value = await inner.athrow(error)
                    else:
                        value = await inner.asend(sent)
            except StopAsyncIteration:
                return

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
            args, kwargs = shortened(args, kwargs)
            return (yield from function(*args, **kwargs))

    elif _is_async(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = await in_background(lambda: shortened(args, kwargs))
            return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = shortened(args, kwargs)
            return function(*args, **kwargs)

    return wrapper


def _wrapped_tool(function: Callable[..., Any], shortened: Callable[..., Any]) -> Any:
    """The tool with a shorter result."""

    async def awaited(pending: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await pending
        return await in_background(lambda: shortened(result, args, kwargs))

    if _is_async(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await awaited(function(*args, **kwargs), args, kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return awaited(result, args, kwargs) if inspect.isawaitable(result) else shortened(result, args, kwargs)

    return wrapper


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
