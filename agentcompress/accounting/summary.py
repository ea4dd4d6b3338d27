"""Sums up a log of receipts: savings, what was missed, the slowest calls, and advice by kind of block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentcompress.errors import InvalidInputError
from agentcompress.receipt import DRIFT, compute_billed_more

_NEEDED = ("id", "target", "tokens_before", "tokens_after", "blocks", "ms")
_LEAST_CALLS = 20
"""With fewer calls than this, the report says that it says little, and judges no recall."""

_GOOD_RECALL = 0.95
_SLOW_MS = 2_000.0
_LITTLE = 0.1
"""A share of a kind's tokens; where less than this is cut, compressing that kind is hardly worth its time."""


@dataclass
class Kind:
    """Blocks of one kind, each counted once, when it was compressed."""

    blocks: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    ms: float = 0.0

    @property
    def saved(self) -> float:
        """The share of the blocks' tokens that was cut, in [0, 1]."""
        return 1 - self.tokens_after / self.tokens_before if self.tokens_before else 0.0


@dataclass
class Report:
    """The sums over all calls of one mode.

    list_before, list_after, before, after: dollars at list price and as billed; draft: dollars of the draft's time.
    used, used_kept: as in `Receipt`. unpaid: calls that cost more than they saved. skipped: lines that are no records.
    slowest: (milliseconds, id, target). raw: why blocks were left as they are, and how often. drifts: by target, how
    far bills were from our counts of tokens.
    """

    calls: int = 0
    conversations: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    priced_calls: int = 0
    list_before: float = 0.0
    list_after: float = 0.0
    before: float = 0.0
    after: float = 0.0
    draft: float = 0.0
    used: int = 0
    used_kept: int = 0
    rewrites: int = 0
    skipped: int = 0
    unpaid: int = 0
    ms: list[float] = field(default_factory=list)
    slowest: list[tuple[float, str, str]] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    raw: Counter[str] = field(default_factory=Counter)
    drifts: dict[str, list[float]] = field(default_factory=dict)

    @property
    def saved(self) -> float:
        """Dollars that all calls saved, less what the draft's time cost."""
        return self.before - self.after - self.draft

    @property
    def recall(self) -> float | None:
        """Of the strings that replies took from blocks that are cut, the share that had been sent."""
        return self.used_kept / self.used if self.used else None

    def give_advice(self) -> list[str]:
        """Say what to change in the configuration; empty where nothing is."""
        return list(_give_advice(self))

    def as_json(self) -> dict[str, Any]:
        """Return every figure by name, ready for `json.dumps`."""
        kinds = {name: {**vars(kind), "saved": kind.saved} for name, kind in self.kinds.items()}
        own = {name: value for name, value in vars(self).items() if name not in ("kinds", "ms", "raw", "drifts")}
        more = {"saved": self.saved, "recall": self.recall, "ms_median": _take_quantile(self.ms, 0.5)}
        drifts = {target: sum(values) / len(values) for target, values in self.drifts.items()}
        worst = {"ms_95": _take_quantile(self.ms, 0.95), "drift": drifts, "advice": self.give_advice()}
        return {**own, **more, **worst, "kinds": kinds, "raw": dict(self.raw)}


def read_reports(files: Sequence[Path]) -> dict[str, Report]:
    """Read logs of receipts: a report for each mode there is, "live" and "shadow", an empty live one where none is.

    Lines that are no records, as a full disk leaves them, are counted and skipped. Raises `InvalidInputError` for a
    file that holds lines, and no record.
    """
    log = _Log()
    for file in files:
        log.add_file(file)
    return log.finish()


class _Log:
    """Sums up records as they come. Conversations are counted once all of them are known, drifts stand last."""

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        self._conversations: dict[str, set[str]] = {}
        self._drifts: list[tuple[str, float]] = []

    def add_file(self, file: Path) -> None:
        """Add a file's records; lines that are none count as skipped ones of the live report."""
        lines = [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        records = [record for line in lines if (record := _parse_record(line)) is not None]
        if lines and not records:
            raise InvalidInputError(file.name, lines[0], "a log of receipts")
        if len(records) < len(lines):
            self._get_report("live").skipped += len(lines) - len(records)
        for record in records:
            if record["type"] == "usage":
                self._add_usage(record)
            else:
                self._add_receipt(record)

    def finish(self) -> dict[str, Report]:
        """Return the reports by mode, with what only the whole log tells."""
        for mode, names in self._conversations.items():
            self._reports[mode].conversations = len(names)
        for target, drift in self._drifts:
            self._get_report("live").drifts.setdefault(target, []).append(drift)
        for report in self._reports.values():
            report.slowest = sorted(report.slowest, reverse=True)[:5]
        return self._reports or {"live": Report()}

    def _add_usage(self, record: dict[str, Any]) -> None:
        if isinstance(record.get("drift"), int | float):
            self._drifts.append((str(record.get("target")), float(record["drift"])))

    def _add_receipt(self, record: dict[str, Any]) -> None:
        mode = str(record.get("mode"))
        _add_call(self._get_report(mode), record)
        if not record.get("continues"):  # else its beginning is another's
            self._conversations.setdefault(mode, set()).add(str(record.get("conversation")))

    def _get_report(self, mode: str) -> Report:
        return self._reports.setdefault(mode, Report())


def _parse_record(line: str) -> dict[str, Any] | None:
    """Parse a line of a log; None where it holds no record of ours, or not all of one."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("type") not in ("receipt", "usage"):
        return None
    whole = record["type"] == "usage" or all(name in record for name in _NEEDED)
    return record if whole else None


def _add_call(report: Report, record: dict[str, Any]) -> None:
    """Add a receipt's tokens, money, time and blocks to a report."""
    report.calls += 1
    report.tokens_before += record["tokens_before"]
    report.tokens_after += record["tokens_after"]
    money = record.get("money")
    if money:
        report.priced_calls += 1
        for name in ("list_before", "list_after", "before", "after", "draft"):
            setattr(report, name, getattr(report, name) + money[name])
        report.unpaid += money["saved"] < 0
    report.used += record.get("used") or 0
    report.used_kept += record.get("used_kept") or 0
    report.rewrites += record.get("rewritten_from") is not None
    report.ms.append(record["ms"])
    report.slowest.append((record["ms"], record["id"], record["target"]))
    for block in record["blocks"]:
        kind = report.kinds.setdefault(block["tool"] or block["kind"], Kind())
        kind.blocks += 1
        kind.tokens_before += block["tokens_before"]
        kind.tokens_after += block["tokens_after"]
        kind.ms += block["ms"]
    report.raw.update(record.get("raw") or {})


def _give_advice(report: Report) -> Iterator[str]:
    """Yield a sentence for everything that the figures say should be changed."""
    if report.calls < _LEAST_CALLS:
        yield f"{report.calls} calls say little yet: go on for some hundred."
    recall = report.recall
    if recall is not None and report.used >= _LEAST_CALLS and recall < _GOOD_RECALL:
        yield f"{1 - recall:.0%} of what replies used had been cut: raise keep_rate, or use a larger draft."
    if report.priced_calls and report.saved <= 0:
        yield "It costs more than it saves here: switch it off, or raise min_tokens."
    for name, kind in sorted(report.kinds.items()):
        if kind.tokens_before and kind.saved < _LITTLE:
            yield f"{name}: only {kind.saved:.0%} is cut: leave it alone (a higher min_tokens, or fewer tools)."
        elif kind.blocks and kind.ms / kind.blocks > _SLOW_MS:
            yield f'{name}: {kind.ms / kind.blocks / 1000:.1f} s a block: more cores, or scorer="lexical".'
    for target, values in sorted(report.drifts.items()):
        drift = sum(values) / len(values)
        if abs(drift) > DRIFT:
            more = compute_billed_more(drift)
            yield f"{target} bills {more:+.0%} on what is counted here: leave that margin in target_tokens."


def render_report(report: Report) -> str:
    """Render a report as a page of text."""
    skipped = f", {report.skipped:,} lines that are no records" if report.skipped else ""
    calls = f"{report.calls:,} calls of {report.conversations:,} conversations{skipped}"
    lines = [calls, "", f"tokens      {report.tokens_before:>14,} -> {report.tokens_after:,}"]
    if report.priced_calls:
        lines += [
            f"list price  {_format_dollars(report.list_before):>14} -> {_format_dollars(report.list_after)}",
            f"as billed   {_format_dollars(report.before):>14} -> {_format_dollars(report.after)}",
            f"saved       {_format_dollars(report.saved):>14}    (the draft's time: {_format_dollars(report.draft)})",
        ]
    if report.recall is not None:
        lines.append(
            f"recall      {report.recall:>14.3f}    (of {report.used:,} strings that replies took from what was cut)"
        )
    if report.ms:
        lines.append(
            f"ms a call   {_take_quantile(report.ms, 0.5):>14.1f}    (95 %: {_take_quantile(report.ms, 0.95):.0f})"
        )
    lines.append(f"rewrites    {report.rewrites:>14,}")
    if report.kinds:
        lines += ["", f"{'kind':24} {'blocks':>8} {'tokens':>12} {'cut':>6} {'ms a block':>11}"]
        for name, kind in sorted(report.kinds.items(), key=lambda item: -item[1].tokens_before):
            each = kind.ms / max(1, kind.blocks)
            lines.append(f"{name[:24]:24} {kind.blocks:>8,} {kind.tokens_before:>12,} {kind.saved:>6.0%} {each:>11.0f}")
    if report.raw:
        lines += ["", "left as they are, call by call:"]
        lines += [f"{count:>8,}  {reason}" for reason, count in report.raw.most_common(6)]
    if report.slowest:
        lines += ["", "slowest calls:"]
        lines += [f"{ms:>8.0f} ms  {name}  {target}" for ms, name, target in report.slowest]
    advice = report.give_advice()
    return "\n".join([*lines, *(["", "advice:", *(f"- {each}" for each in advice)] if advice else [])])


def _format_dollars(amount: float) -> str:
    return f"${amount:,.2f}" if abs(amount) >= 1 else f"${amount:,.5f}"


def _take_quantile(values: Sequence[float], at: float) -> float:
    """Return the value that the share `at` of all values lies below; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(at * len(ordered)))] if ordered else 0.0
