"""Where receipts go: a file of JSON Lines, or OpenTelemetry. They hold figures and reasons, no text of anybody's."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from agentcompress.errors import ConfigError, PluginError

_log = logging.getLogger("agentcompress")
OTEL = "otel"


class Sink(Protocol):
    """Takes records. Never raises: what is lost is a record, not a request."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record: JSON-able, `type` says of what."""
        ...


class JsonlSink:
    """Appends a line a record; safe in many threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warned = False
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record as one line, in one write: lines of other processes stay whole."""
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            with self._lock:
                file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(file, line)
                finally:
                    os.close(file)
        except OSError as error:
            if not self._warned:
                _log.warning("receipts are lost: %s", error)
            self._warned = True


class OtelSink:
    """Counters, and an event on the span that is current."""

    def __init__(self) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            raise PluginError('receipts="otel" needs opentelemetry: pip install opentelemetry-api') from None
        meter = metrics.get_meter("agentcompress")
        self._current_span = trace.get_current_span
        self._tokens = meter.create_counter("agentcompress.tokens", "tokens", "Of texts, before and after")
        self._saved = meter.create_counter("agentcompress.saved", "USD", "Against the same without, caches counted in")
        self._ms = meter.create_histogram("agentcompress.duration", "ms", "Of compressing")

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record to the counters, and to the span that is current."""
        flat = {
            f"agentcompress.{name}": value for name, value in record.items() if isinstance(value, str | int | float)
        }
        self._current_span().add_event("agentcompress", flat)
        if record.get("type") != "receipt":
            return
        target = {"target": str(record.get("target"))}
        for when in ("before", "after"):
            self._tokens.add(int(record[f"tokens_{when}"]), {**target, "when": when})
        self._ms.record(float(record["ms"]), target)
        money = record.get("money")
        if money and money["saved"] > 0:  # a counter only grows; what was lost stands in the events
            self._saved.add(money["saved"], target)


@cache
def open_sink(name: str) -> Sink:
    """The sink of a name: "otel", or a file. Raises `PluginError` and `ConfigError` for what can't be one."""
    if name == OTEL:
        return OtelSink()
    path = Path(name).expanduser()
    if not path.absolute().parent.is_dir():
        raise ConfigError("receipts", name, '"otel", or a file in a folder that is there')
    return JsonlSink(path)
