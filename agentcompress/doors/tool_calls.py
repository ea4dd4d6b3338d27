"""A function's call as the conversation that it would be part of: a request, a tool's call, and its result."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentcompress.errors import InvalidInputError

QueryFrom = str | Sequence[str] | Callable[[Mapping[str, Any]], str] | None
"""What says what a result is read for: an argument, several, a function of all of them by name; None: all of them."""

_BOUND = ("self", "cls")


def read_query(signature: inspect.Signature, query_from: QueryFrom) -> Callable[[Mapping[str, Any]], str]:
    """What a tool's result is read for, from the arguments of its call."""
    if callable(query_from):
        return query_from
    if query_from is None:
        return lambda arguments: ""
    names = [query_from] if isinstance(query_from, str) else list(query_from)
    parameters = signature.parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    for name in names:
        if name not in signature.parameters and not takes_any:
            raise InvalidInputError("query_from", name, f"one of {', '.join(signature.parameters)}")
    return lambda arguments: " ".join(str(arguments[name]) for name in names if name in arguments)


def _bind_arguments(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, those of `**kwargs` by their own."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    said = {name: value for name, value in bound.arguments.items() if name not in _BOUND}
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            said.update(said.pop(name))
    return said


def make_call(
    function: Callable[..., Any],
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    query: Callable[[Mapping[str, Any]], str],
    result: str,
) -> list[dict[str, Any]]:
    """A tool's call as the conversation that it would be part of."""
    said = _bind_arguments(signature, args, kwargs)
    plain = {name: value for name, value in said.items() if isinstance(value, str | int | float | list | tuple | dict)}
    name = getattr(function, "__name__", type(function).__name__)
    try:
        arguments = json.dumps(plain, ensure_ascii=False, default=str)
    except (TypeError, ValueError):  # keys that are no strings, or what holds itself
        arguments = json.dumps({name: str(value) for name, value in plain.items()}, ensure_ascii=False)
    return [
        {"role": "user", "content": query(said)},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call", "type": "function", "function": {"name": name, "arguments": arguments}}],
        },
        {"role": "tool", "tool_call_id": "call", "content": result},
    ]
