"""What the doors of an agent cost where nothing is to be decided: the decorator, and LangChain's runnable."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

from agentcompress.compressor import Compressor
from agentcompress.config import CompressConfig
from agentcompress.doors.decorator import compressed
from agentcompress.evaluation.bench.conversation import make_history
from agentcompress.evaluation.bench.timing import time_ms
from agentcompress.ledger.memory import MemoryStore

MESSAGES = 100
IDLE_ROUNDS, ROUNDS = 301, 61

_SHORT = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Why does the nightly job fail?"},
]


def measure_doors() -> dict[str, float]:
    """Measure the milliseconds that a door adds to a call.

    A call of two short messages, and one of a hundred, 100k tokens, all decided; the runnable's only where LangChain is
    installed.
    """
    compressor = Compressor(CompressConfig(scorer="random"), store=MemoryStore())
    whole = list(make_history("openai", MESSAGES))
    decorated = compressed(config=compressor)(_return_messages)
    found = {
        "decorator_idle_ms": _measure_added_ms(decorated, _SHORT, IDLE_ROUNDS),
        "decorator_100_ms": _measure_added_ms(decorated, whole, ROUNDS),
    }
    if importlib.util.find_spec("langchain_core") is not None:
        from langchain_agentcompress import CompressPrompt
        from langchain_core.messages import convert_to_messages
        from langchain_core.runnables import RunnableLambda

        plain = RunnableLambda(_return_messages)
        shorten = CompressPrompt(compressor.config)
        for name, messages, rounds in (("idle", _SHORT, IDLE_ROUNDS), ("100", whole, ROUNDS)):
            chain = (shorten | plain).invoke
            found[f"runnable_{name}_ms"] = _measure_added_ms(chain, convert_to_messages(messages), rounds, plain.invoke)
    return found


def _return_messages(messages: Any) -> Any:
    return messages


def _measure_added_ms(
    door: Callable[[Any], Any], messages: Any, rounds: int, without: Callable[[Any], Any] = _return_messages
) -> float:
    """Return the median time of calls through a door, less that of calls without it, both in turn."""
    door(messages)
    times = [(time_ms(door, messages), time_ms(without, messages)) for _ in range(rounds)]
    through, beside = zip(*times, strict=True)
    return statistics.median(through) - statistics.median(beside)
