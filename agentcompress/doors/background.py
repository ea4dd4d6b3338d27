"""Threads for callers that must not wait: compressing blocks an event loop as little as it can."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from agentcompress.conversation.own_texts import own_texts

_T = TypeVar("_T")
_THREADS = 32


async def in_background(work: Callable[[], _T]) -> _T:
    """Do something in one of our threads: a slow draft must not take all of an event loop's own.

    Here, where no thread is to be had: there are too many, or the program ends.
    """
    try:
        done = asyncio.get_running_loop().run_in_executor(_pool(), contextvars.copy_context().run, work)
    except RuntimeError:
        return work()
    return await done


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "agentcompress")


def _begin_anew() -> None:
    """In a forked child: threads did not come along, and a lock may have been held by one of them."""
    own_texts.replace_lock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
