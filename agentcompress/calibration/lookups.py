"""Look something up in a log, or in JSON that an API gave back."""

from __future__ import annotations

import json
import random
from typing import Any

from agentcompress.calibration.items import Item, Writer

_SERVICES = ("billing", "gateway", "search", "mailer", "auth", "catalog", "scheduler", "media")
_PEOPLE = ("amir", "beth", "chen", "dora", "emil", "fatima", "gus", "hana", "ivan", "jo", "kofi", "lena")
_CITIES = ("Bergen", "Cusco", "Dakar", "Graz", "Hobart", "Izmir", "Kyoto", "Lagos", "Malmo", "Nantes", "Porto", "Quito")
_NOISE = (
    "INFO  {service} request {id} finished in {ms} ms",
    "DEBUG {service} cache hit for key {id}",
    "INFO  {service} connection from 10.0.{a}.{b} accepted",
    "DEBUG {service} heartbeat ok, lag {ms} ms",
    "INFO  {service} job {id} queued, {a} ahead of it",
    "WARN  {service} slow query took {ms} ms",
    "INFO  {service} user {person} signed in from {city}",
    "DEBUG {service} flushed {b} entries to disk",
)
_EVENTS = (
    ("ERROR {service} worker-{a} killed: out of memory at {ms} MiB", "Why did worker-{a} of {service} go down?"),
    ("ERROR {service} certificate for {city}.example expired {b} days ago", "What is wrong with TLS in {city}?"),
    ("WARN  {service} user {person} locked after {b} bad passwords", "Why can't {person} log in any more?"),
    ("INFO  {service} rolled back to build {id} by {person}", "Who undid the {service} deployment?"),
    ("ERROR {service} disk /dev/sd{b} is full, writes refused", "Why does {service} no longer store anything?"),
    ("INFO  {service} failover: replica {city}-{a} promoted to primary", "Which database took over for {service}?"),
    ("ERROR {service} payment {id} declined: card reported stolen", "What happened to payment {id}?"),
    ("WARN  {service} rate limit of {ms} per minute reached by {person}", "Who sends too many requests to {service}?"),
)


def find_log_line(rng: random.Random) -> Item:
    """Make a few hundred lines of a log, one of which answers a question."""
    count, writer = rng.randint(120, 320), Writer()
    gold = rng.randrange(count)
    (event, ask), *others = rng.sample(_EVENTS, k=3)
    clock, asked = rng.randrange(80_000), ""
    for i in range(count):
        clock += rng.randint(0, 9)
        known = _draw_facts(rng)
        line = rng.choice(others)[0] if rng.random() < 0.01 else rng.choice(_NOISE)
        if i == gold:
            line, asked = event, ask.format(**known)
        stamp = f"2026-03-{1 + clock // 86_400:02d}T{clock // 3600 % 24:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}Z"
        writer.add(f"{stamp} {line.format(**known)}\n", evidence=i == gold)
    return writer.finish("log", asked)


def _draw_facts(rng: random.Random) -> dict[str, object]:
    return {
        "service": rng.choice(_SERVICES),
        "person": rng.choice(_PEOPLE),
        "city": rng.choice(_CITIES),
        "id": f"{rng.randrange(16**8):08x}",
        "ms": rng.randint(2, 9000),
        "a": rng.randint(1, 40),
        "b": rng.randint(1, 200),
    }


_NESTED = {
    "address": ("city", "street", "postcode"),
    "account": ("plan", "limit", "renewed"),
    "device": ("os", "serial"),
}
_FLAT = ("email", "phone", "role", "last_seen", "manager")
_SAID = {
    "city": "town does {name} live in",
    "street": "street does {name} live in",
    "postcode": "postal code belongs to {name}",
    "plan": "subscription does {name} have",
    "limit": "quota was granted to {name}",
    "renewed": "day was the contract of {name} extended",
    "os": "operating system does {name}'s machine run",
    "serial": "serial number has {name}'s machine",
    "email": "mail address can {name} be reached at",
    "phone": "telephone number belongs to {name}",
    "role": "position does {name} hold",
    "last_seen": "day was {name} active for the last time",
    "manager": "boss does {name} report to",
}


def find_json_value(rng: random.Random) -> Item:
    """Make records of people, one value of which is asked for, in words or by its path."""
    count = rng.randint(20, 60)
    gold, field = rng.randrange(count), rng.choice(list(_SAID))
    names = rng.sample([f"{a}_{b}_{n}" for a in _PEOPLE for b in _CITIES for n in (3, 7)], k=count)
    records = [_draw_record(rng, name) for name in names]
    parent = next((name for name, fields in _NESTED.items() if field in fields), None)
    indent, writer = rng.choice([2, 2, 4]), Writer()
    in_list = rng.random() < 0.5
    writer.add("[\n" if in_list else "{\n")
    for i, record in enumerate(records):
        key = "" if in_list else f"{json.dumps(names[i])}: "
        text = key + json.dumps(record, indent=indent)
        lines = text.splitlines()
        found = _find_line(lines, parent, field) if i == gold else -1
        for j, line in enumerate(lines):
            writer.add(f"{' ' * indent}{line}", evidence=j == found)
            writer.add("\n" if j + 1 < len(lines) else ",\n" if i + 1 < count else "\n")
    writer.add("]\n" if in_list else "}\n")
    root = [str(gold)] if in_list else [names[gold]]
    path = ".".join(root + ([parent] if parent else []) + [field])
    spoken = names[gold].split("_")[0] + " " + names[gold].split("_", 1)[1].replace("_", " ")
    if rng.random() < 0.5:
        return writer.finish("json", f"What is the value at {path}?")
    return writer.finish("json", f"Which {_SAID[field].format(name=spoken)}?")


def _find_line(lines: list[str], parent: str | None, field: str) -> int:
    inside = parent is None
    for i, line in enumerate(lines):
        inside = inside or line.strip().startswith(f'"{parent}"')
        if inside and line.strip().startswith(f'"{field}"'):
            return i
    return -1


def _draw_record(rng: random.Random, name: str) -> dict[str, Any]:
    first, city, _ = name.split("_")
    return {
        "name": {"first": first.capitalize(), "last": city},
        "email": f"{first}.{city.lower()}{rng.randint(10, 999)}@example.org",
        "phone": f"+{rng.randint(10**9, 10**10)}",
        "role": rng.choice(["analyst", "engineer", "nurse", "driver", "lawyer", "buyer"]),
        "last_seen": f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        "manager": rng.choice(_PEOPLE).capitalize(),
        "address": {
            "city": rng.choice(_CITIES),
            "street": f"{rng.randint(1, 300)} {rng.choice(['Mill', 'Park', 'Oak', 'Station'])} Street",
            "postcode": str(rng.randint(10_000, 99_999)),
        },
        "account": {
            "plan": rng.choice(["free", "team", "enterprise"]),
            "limit": rng.randint(1, 500) * 10,
            "renewed": f"2025-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        },
        "device": {"os": rng.choice(["linux", "macos", "windows"]), "serial": f"{rng.randrange(16**10):010X}"},
        "tags": rng.sample(["beta", "vip", "trial", "eu", "us", "legacy"], k=2),
    }
