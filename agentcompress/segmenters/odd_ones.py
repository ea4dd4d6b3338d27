"""The odd one out: records unlike all others in a field that hardly varies (one `Pending` among `Running`)."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_LEAST_RECORDS = 8
_MOST_FIELDS = 40
_FEW, _COVERED = 4, 0.8
"""A field hardly varies when so few values cover so large a share of the records."""

_COMMON, _LEAST_COMMON = 0.05, 3
"""A value is common that so large a share of the records holds, and so many of them."""

_SAMPLED, _VARIED = 200, 0.6
"""Fields are looked at in so many records first: where so large a share of them differ, nothing is odd."""

_RARE, _MOST_RARE = 0.04, 2
_OUTLYING, _TIMES = 8.0, 3.0
_FULL, _NEARLY_FULL = 95.0, 90.0
_DIGITS = re.compile(r"\d+")
_MEASURED, _NAME_CHARS = re.compile(r"[A-Za-z][\w.%-]*\s?$"), 30
_MEASURE = re.compile(
    r"(?<=[A-Za-z_%) ])[=:]\s?(\d[\d,]*(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?"
    r"(?:\s?(ns|us|µs|ms|s|sec|min|m|[kKMG]i?B|B)\b)?"
)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "min": 60.0, "m": 60.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_UNITS |= {"kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_LEAST_MEASURES, _LEAST_MEASURE, _MEASURED_CHARS = 12, 1e-9, 400
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?%?$")
_BAD = re.compile(
    r"(?i)crash|error|fail|exited|pending|evicted|unhealthy|unknown|oom|dead|down\b|lost|denied|critical|fatal|offline"
    r"|degraded|terminat|timed? ?out|refused|blocked|missing|backoff|not ?ready|^5\d\d$|disputed|rejected|expired"
    r"|exception|abort|overdue|corrupt"
)
_BAD_WEIGHT = 3.0


def find_odd_records(records: Sequence[Sequence[str]], most: int = 5) -> list[int]:
    """Indexes of the oddest records, at most so many, ascending. records: their fields; may be of unequal length."""
    return sorted(find_odd_fields(records, most))


def find_odd_fields(records: Sequence[Sequence[str]], most: int = 5) -> dict[int, list[int]]:
    """Indexes of the oddest records, at most so many, each with the numbers of the fields that make it odd."""
    if len(records) < _LEAST_RECORDS:
        return {}
    weights: defaultdict[int, float] = defaultdict(float)
    fields: defaultdict[int, list[int]] = defaultdict(list)
    for field in range(min(_MOST_FIELDS, max(map(len, records)))):
        held = {i: record[field].strip() for i, record in enumerate(records) if field < len(record)}
        if len(held) < _LEAST_RECORDS or _varies(held):
            continue
        for i, weight in (_weigh_numbers(held) or _weigh_words(held, most)).items():
            weights[i] += weight
            fields[i].append(field)
    oddest = sorted(weights, key=lambda i: (-weights[i], i))[:most]
    return {i: fields[i] for i in oddest}


def _varies(held: dict[int, str]) -> bool:
    """Whether nearly every record has a word of its own in a field, and no number that could be far from the others."""
    values = list(held.values())
    sample = values[:: max(1, len(values) // _SAMPLED)]
    words = [_DIGITS.sub("0", value) for value in sample]
    return len(set(words)) > _VARIED * len(words) and not any(_NUMBER.match(value) for value in sample[:_FEW])


def _weigh_words(held: dict[int, str], most: int) -> dict[int, float]:
    """Records with a rare value where most share a few; numbers in a value count as alike."""
    distinct = set(held.values())
    exact = len(distinct) <= max(_LEAST_COMMON, len(held) // 8)
    alike = {} if exact else {value: _DIGITS.sub("0", value) for value in distinct}
    values = held if exact else {i: alike[value] for i, value in held.items()}
    often = Counter(values.values())
    common = {value for value, n in often.items() if n >= max(_LEAST_COMMON, _COMMON * len(held))}
    if sum(n for _, n in often.most_common(_FEW)) < _COVERED * len(held):
        return {}
    rarely = max(_MOST_RARE, _RARE * len(held))
    rare = [i for i, value in values.items() if value not in common and often[value] <= rarely]
    bad = [i for i in rare if _BAD.search(held[i]) and not any(_BAD.search(value) for value in common)]
    chosen = rare if len(rare) <= 2 * most else bad
    return {
        i: math.log(len(held) / often[values[i]]) * (_BAD_WEIGHT if i in bad else 1.0)
        for i in sorted(chosen, key=lambda i: often[values[i]])[: 2 * most]
    }


def _weigh_numbers(held: dict[int, str]) -> dict[int, float]:
    """Records with a number far above all others, or a share that is nearly all where others are less."""
    numbers = {i: float(value.rstrip("%").replace(",", "")) for i, value in held.items() if _NUMBER.match(value)}
    if (
        len(numbers) < 0.9 * sum(1 for value in held.values() if value.lower() != "nan")
        or len(numbers) < _LEAST_RECORDS
    ):
        return {}
    ordered = sorted(numbers.values())
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    most = max(high + _OUTLYING * (high - low), _TIMES * high, high + 1.0)
    odd = {i: _BAD_WEIGHT for i, number in numbers.items() if number > most}
    if not odd and any(value.endswith("%") for value in held.values()):
        usual = ordered[int(0.9 * (len(ordered) - 1))]
        odd = {i: _BAD_WEIGHT for i, n in numbers.items() if n >= _FULL and usual < _NEARLY_FULL}
    return odd if len(odd) <= max(2, len(held) // 20) else {}


def find_odd_measures(lines: Sequence[str], most: int = 2) -> list[int]:
    """Indexes of lines with a measure (`time=38417.9`, `took: 31 s`) far above all others of its name, ascending.

    A line's own numbers of one name count as one, the largest. most: lines of each name.
    """
    held: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for i, line in enumerate(lines):
        for found in _MEASURE.finditer(line, 0, _MEASURED_CHARS):
            name = _MEASURED.search(line, max(0, found.start() - _NAME_CHARS), found.start())
            number, end, unit = found.groups(default="")
            value = float((end or number).replace(",", "")) * _UNITS.get(unit.lower(), 1.0)
            if name is not None:
                held[name.group()][i] = max(value, held[name.group()].get(i, 0.0))
    odd: set[int] = set()
    for values in list(held.values())[:_MOST_FIELDS]:
        ordered = sorted(values, key=lambda i: -values[i])
        if len(ordered) < _LEAST_MEASURES:
            continue
        for n in range(most, 0, -1):
            if values[ordered[n - 1]] > _OUTLYING * max(values[ordered[n]], _LEAST_MEASURE):
                odd.update(ordered[:n])
                break
    return sorted(odd)


def find_odd_paths(paths: Sequence[str], most: int = 3) -> list[int]:
    """Indexes of paths whose suffix hardly any other has, where most share one or two."""
    if len(paths) < _LEAST_RECORDS:
        return []
    suffixes = [path.rstrip("/").rsplit("/", 1)[-1].rpartition(".")[2] for path in paths]
    often = Counter(suffixes)
    if sum(n for _, n in often.most_common(3)) < _COVERED * len(paths):
        return []
    odd = [i for i, suffix in enumerate(suffixes) if often[suffix] <= 1]
    return odd if len(odd) <= most else []
