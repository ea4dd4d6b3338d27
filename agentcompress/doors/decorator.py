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
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from agentcompress.config import DoorOptions, check_names
from agentcompress.doors.background import in_background
from agentcompress.doors.guard import Config, Guarded, OnReceipt
from agentcompress.doors.tool_calls import QueryFrom, make_call, read_query
from agentcompress.errors import InvalidInputError

P = ParamSpec("P")
R = TypeVar("R")
_NAMES = ("messages", "history", "chat_history", "conversation", "state", "request", "input", "prompt")
_ANNOTATIONS = ("Message", "PromptValue")
ShortenArguments = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _Settings(DoorOptions, total=False):
    """What both decorators take beside their own settings: all that `Guarded` does."""

    config: Config
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
        **settings: Unpack[_Settings],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def __call__(
        self, function: Callable[..., Any] | None = None, /, *, arg: str | None = None, **settings: Any
    ) -> Any:
        """Compress what a function is given: sync, async, a generator or an async one, also a method.

        arg: which of its arguments; by default the one named messages, history, chat_history, conversation, state,
        request, input or prompt, the first there is in this order, else one whose annotation names messages. Its value
        may be all that `Guarded.shorten` takes. Other settings are those of `Guarded`; whatever fails, the function
        gets what it was called with.

        Raises `InvalidInputError`, when it decorates, for bad settings and where no argument is found.
        """
        guarded = _make_guarded(settings)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            signature = _read_signature(function)
            name = _find_argument(function, signature, arg)

            def shorten(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
                return _shorten_argument(signature, name, args, kwargs, guarded.shorten)

            return _wrap(function, shorten)

        return partial(_decorate_method, decorate) if function is None else _decorate_method(decorate, function)

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
        guarded = _make_guarded({**settings, "fit": False})

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            signature = _read_signature(function)
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise InvalidInputError("function", function, "one that returns a text, not a generator")
            query = read_query(signature, query_from)

            def shorten(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                if not isinstance(result, str) or not result:
                    return result
                messages = guarded.run_or_keep([], lambda: make_call(function, signature, args, kwargs, query, result))
                return guarded.compress_messages(messages)[-1]["content"] if messages else result

            return _wrap_tool(function, shorten)

        return partial(_decorate_method, decorate) if function is None else _decorate_method(decorate, function)


compressed = _Compressed()
"""See `_Compressed.__call__`, and for tools `_Compressed.tool`."""


def _make_guarded(settings: dict[str, Any]) -> Guarded:
    check_names(settings, ("config", *DoorOptions.__annotations__, "on_receipt"), "settings")
    return Guarded(**settings)


def _decorate_method(decorate: Callable[[Callable[..., Any]], Callable[..., Any]], function: Any) -> Any:
    """Decorate what may be a class's or a static method."""
    if isinstance(function, classmethod | staticmethod):
        return type(function)(decorate(function.__func__))
    return decorate(function)


def _read_signature(function: Any) -> inspect.Signature:
    if not callable(function) or inspect.isclass(function):
        raise InvalidInputError("function", function, "a function or method")
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise InvalidInputError("function", function, "one whose signature can be read") from error


def _find_argument(function: Callable[..., Any], signature: inspect.Signature, arg: str | None) -> str:
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


def _shorten_argument(
    signature: inspect.Signature,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    shorten: Callable[[Any], Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with one of them shortened; as they are where it is not among them."""
    parameter = signature.parameters.get(name)
    if name in kwargs and (parameter is None or parameter.kind is not parameter.POSITIONAL_ONLY):
        return args, {**kwargs, name: shorten(kwargs[name])}
    at = list(signature.parameters).index(name) if parameter is not None else len(args)
    if at >= len(args) or parameter is None or parameter.kind is parameter.KEYWORD_ONLY:
        return args, kwargs
    return (*args[:at], shorten(args[at]), *args[at + 1 :]), kwargs


def _wrap(function: Callable[..., Any], shorten: ShortenArguments) -> Any:
    """The function with shorter arguments, of the same kind as it is."""
    if inspect.isasyncgenfunction(function):
        return _wrap_async_generator(function, shorten)
    if inspect.isgeneratorfunction(function):
        return _wrap_generator(function, shorten)
    return _wrap_coroutine(function, shorten) if _is_async(function) else _wrap_function(function, shorten)


def _wrap_async_generator(function: Callable[..., Any], shorten: ShortenArguments) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        args, kwargs = await in_background(lambda: shorten(args, kwargs))
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

    return wrapper


def _wrap_generator(function: Callable[..., Any], shorten: ShortenArguments) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
        args, kwargs = shorten(args, kwargs)
        return (yield from function(*args, **kwargs))

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], shorten: ShortenArguments) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = await in_background(lambda: shorten(args, kwargs))
        return await function(*args, **kwargs)

    return wrapper


def _wrap_function(function: Callable[..., Any], shorten: ShortenArguments) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = shorten(args, kwargs)
        return function(*args, **kwargs)

    return wrapper


def _wrap_tool(function: Callable[..., Any], shorten: Callable[..., Any]) -> Any:
    """The tool with a shorter result."""

    async def await_result(pending: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await pending
        return await in_background(lambda: shorten(result, args, kwargs))

    if _is_async(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await await_result(function(*args, **kwargs), args, kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return await_result(result, args, kwargs) if inspect.isawaitable(result) else shorten(result, args, kwargs)

    return wrapper


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
