"""Next actions: a small agent at work, what its tool gave back, and what the call after that will need from it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

from agentcompress.calibration import words
from agentcompress.calibration.functions import add_code
from agentcompress.calibration.items import Item, Writer
from agentcompress.corpora.source_files import Function, Source, pick_source


def open_what_failed(rng: random.Random) -> Item:
    """Make a test run with a failure; the next call opens the project's own file that the traceback ends in."""
    source, writer = pick_source(rng), Writer()
    function = rng.choice(source.functions)
    name, message = rng.choice(words.ERRORS)
    stem = source.path.rsplit("/", 1)[-1].removesuffix(".py")
    tests = [f"tests/test_{rng.choice([stem, *words.THINGS]).replace(' ', '_')}.py" for _ in range(rng.randint(10, 30))]
    count = sum(len(t) for t in tests)
    writer.add("=" * 30 + " test session starts " + "=" * 30 + "\n")
    writer.add(
        f"platform linux -- Python 3.11.9, pytest-8.3.4, pluggy-1.5.0\nrootdir: /repo\ncollected {count} items\n\n"
    )
    for i, test in enumerate(tests):
        writer.add(f"{test} {'.' * rng.randint(3, 40)}{'F' if i == 0 else ''}   [{100 * (i + 1) // len(tests):3d}%]\n")
    writer.add("\n" + "=" * 36 + " FAILURES " + "=" * 36 + f"\n____ test_{function.name.strip('_')} ____\n\n")
    writer.add(f"    def test_{function.name.strip('_')}(client):\n        made = build({rng.randrange(100)})\n")
    writer.add(f">       found = made.{function.name}(limit={rng.randint(2, 90)})\n\n")
    writer.add(f"{tests[0]}:{rng.randint(10, 300)}: \n" + "_ " * 30 + "\n")
    for _ in range(rng.randint(2, 5)):
        _write_library_frame(rng, writer)
    line = rng.randrange(function.docstring[1], function.lines[1])
    for number in range(max(function.docstring[1], line - 6), line):
        writer.add(f"    {source.lines[number]}\n")
    writer.add(f">   {source.lines[line]}\n", evidence=bool(source.lines[line].strip()))
    writer.add(f"E   {name}: {message}\n\n", evidence=True)
    writer.add(f"src/{source.path}:{line + 1}: {name}\n", evidence=True)
    _write_after_failures(rng, writer)
    writer.add(f"FAILED {tests[0]}::test_{function.name.strip('_')} - {name}: {message}\n")
    writer.add(f"==== 1 failed, {count} passed in {rng.randint(2, 90)}.{rng.randint(10, 99)}s ====\n")
    task = rng.choice(
        ["Make the test suite pass.", "CI is red since yesterday. Find out why and repair it.", "Fix the bug."]
    )
    return writer.finish(
        "traceback", _word_query(rng, task, "I'll run the tests.", "bash", {"command": "python -m pytest"})
    )


def _write_after_failures(rng: random.Random, writer: Writer) -> None:
    for stream in rng.sample(["stdout call", "log setup", "log call", "stderr call"], k=2):
        writer.add(f"{'-' * 28} Captured {stream} {'-' * 28}\n")
        for _ in range(rng.randint(5, 30)):
            writer.add(
                f"INFO     app.{rng.choice(words.THINGS).replace(' ', '_')}:run.py:{rng.randint(9, 400)} ready\n"
            )
    writer.add("=" * 30 + " warnings summary " + "=" * 30 + "\n")
    for _ in range(rng.randint(2, 12)):
        _write_warning(rng, writer)


def _write_library_frame(rng: random.Random, writer: Writer) -> None:
    path, line = rng.choice(words.LIBRARIES), rng.randint(20, 900)
    for _ in range(rng.randint(3, 9)):
        writer.add(
            f"        self.{rng.choice(['state', 'pool', 'spec', 'hook'])} = {rng.choice(['args', 'kwargs', 'conn'])}\n"
        )
    writer.add(f">       return self._{rng.choice(['call', 'dispatch', 'invoke', 'handle'])}(request, *args)\n\n")
    writer.add(f"/usr/lib/python3/site-packages/{path}:{line}: \n" + "_ " * 30 + "\n")


def _write_warning(rng: random.Random, writer: Writer) -> None:
    writer.add(
        f"/usr/lib/python3/site-packages/{rng.choice(words.LIBRARIES)}:{rng.randint(9, 900)}: DeprecationWarning:\n"
    )
    writer.add(f"    {rng.choice(['datetime.utcnow', 'pkg_resources', 'imp', 'asyncore'])} is deprecated\n\n")


def click_element(rng: random.Random) -> Item:
    """Make a page's accessibility tree; the next call clicks the element that the task is about."""
    site = rng.choice(list(words.SITES))
    task, role, label = rng.choice(words.SITES[site])
    things = rng.sample(words.THINGS, k=len(words.THINGS))
    thing, others = things[0], things[1:]
    count, bid = rng.randint(70, 220), rng.randint(2, 300)
    gold, writer = rng.randint(8, count - 1), Writer()
    writer.add(f"RootWebArea '{site.capitalize()}', focused, url='http://{site}.example/'\n")
    for i in range(count):
        bid += rng.randint(1, 4)
        depth = "\t" * rng.randint(1, 4)
        if i == gold:
            said = label.format(thing=thing, Thing=thing.capitalize())
            writer.add(f"{depth}[{bid}] {role} '{said}', clickable\n", evidence=True)
        elif rng.random() < 0.35:
            other = rng.choice(others)
            _, other_role, said = rng.choice(words.SITES[site])
            writer.add(
                f"{depth}[{bid}] {other_role} '{said.format(thing=other, Thing=other.capitalize())}', clickable\n"
            )
        else:
            more = rng.choice(
                ["", ", visible", f", url='http://{site}.example/{rng.randrange(999)}'", ", expanded=False"]
            )
            writer.add(f"{depth}[{bid}] {rng.choice(words.ROLES)} '{rng.choice(words.LABELS)}'{more}\n")
    before = {"bid": str(rng.randint(1, 90))}
    return writer.finish(
        "element", _word_query(rng, task.format(thing=thing) + ".", "Let me open the overview.", "click", before)
    )


def edit_function(rng: random.Random) -> Item:
    """Make a file as a viewer shows it; the next call replaces lines in the function that the task is about."""
    source, writer = pick_source(rng), Writer()
    function = rng.choice(source.functions)
    writer.add(f"Here's the result of running `cat -n` on /repo/src/{source.path}:\n")
    add_code(writer, source, function, numbered=True)
    error = rng.choice(words.ERRORS)
    task = rng.choice(
        [
            f"`{function.name}` is wrong. It should: {function.summary} Instead it raises {error[0]}: {error[1]}.",
            f'The issue says: expected behaviour is "{function.summary}", but this fails on empty input. Please fix.',
            f"test_{function.name.strip('_')} fails with {error[0]}. Find the cause and repair it.",
        ]
    )
    call = {"command": "view", "path": f"/repo/src/{source.path}"}
    return writer.finish(
        "edit", _word_query(rng, task, "The test exercises this module, so I'll read it.", "editor", call)
    )


def open_listed(rng: random.Random) -> Item:
    """Make a list of a project's files; the next call opens the one that the task is about."""
    sources = {source.path: source for source in (pick_source(rng) for _ in range(120))}
    gold = rng.choice(list(sources.values()))
    names = sorted(
        {*sources, *(f"{p.rsplit('/', 1)[0]}/{t.replace(' ', '_')}.json" for t in words.THINGS for p in [gold.path])}
    )
    names += ["README.md", "pyproject.toml", "LICENSE", "docs/index.md", "docs/changelog.md", "Makefile", ".gitignore"]
    function, writer = rng.choice(gold.functions), Writer()
    long_form = rng.random() < 0.4
    for name in sorted(names):
        meta = (
            f"-rw-r--r-- 1 dev dev {rng.randint(200, 90_000):6d} Mar {rng.randint(1, 28):2d} 10:{rng.randint(10, 59)} "
        )
        writer.add(f"{meta if long_form else ''}/repo/src/{name}\n", evidence=name == gold.path)
    module = gold.path.removesuffix(".py").replace("_", " ").replace("/", " ")
    task = rng.choice(
        [
            f"There is a bug in {module}: {function.summary} This no longer works.",
            f"In {module}, `{function.name}` must log what it does.",
            f"Explain how {module.split(' ', 1)[-1]} works: {function.summary}",
        ]
    )
    action = "Let me look at the structure of the project first."
    return writer.finish("listing", _word_query(rng, task, action, "bash", {"command": "find /repo/src -type f"}))


def open_match(rng: random.Random) -> Item:
    """Make what a search for a word found; the next call opens the place where it is defined, or set."""
    function, found = _search_word(rng)
    writer = Writer()
    for path, number, line, is_gold in found:
        writer.add(f"src/{path}:{number + 1}:{line[:160]}\n", evidence=is_gold)
    task = rng.choice(
        [
            f"Change `{function.name}` so that it no longer ignores errors.",
            f"Find where this is implemented and add a timeout: {function.summary}",
            f"`{function.name}` returns the wrong value. Repair it.",
        ]
    )
    word = function.name.strip("_").split("_")[0]
    return writer.finish(
        "matches", _word_query(rng, task, "I'll search for it.", "bash", {"command": f"grep -rn {word} src"})
    )


def _search_word(rng: random.Random) -> tuple[Function, list[tuple[str, int, str, bool]]]:
    while True:
        gold = pick_source(rng)
        function = rng.choice(gold.functions)
        word = function.name.strip("_").split("_")[0]
        sources: dict[str, Source] = {source.path: source for source in (gold, *(pick_source(rng) for _ in range(60)))}
        found = [
            (source.path, number, line, source is gold and f"def {function.name}(" in line)
            for source in sources.values()
            for number, line in enumerate(source.lines)
            if word in line
        ]
        if len(found) >= 20 and len(word) > 2 and any(is_gold for *_, is_gold in found):
            return function, found[:400] if any(is_gold for *_, is_gold in found[:400]) else found[-400:]


def use_record(rng: random.Random) -> Item:
    """Make the search results of an API; the next call takes the id and the price of the record the task asks for."""
    start, end = rng.sample(words.TOWNS, k=2)
    count = rng.randint(15, 45)
    records = [_draw_offer(rng) for _ in range(count)]
    gold = rng.randrange(count)
    records[gold].update({"from": start, "to": end})
    shift = rng.choice(["in the morning", "in the evening"])
    hour = rng.randint(6, 10) if shift == "in the morning" else rng.randint(17, 22)
    records[gold]["departs"] = f"2026-05-{rng.randint(1, 28):02d}T{hour:02d}:{rng.randint(0, 5)}0"
    indent, writer = rng.choice([None, 1, 2]), Writer()
    writer.add('{"status": "ok", "results": [\n')
    for i, record in enumerate(records):
        for line in json.dumps(record, indent=indent).splitlines():
            taken = indent is None or any(f'"{field}"' in line for field in ("offer_id", "price"))
            writer.add(line, evidence=i == gold and taken)
            writer.add("\n")
        writer.add(",\n" if i + 1 < count else "]}\n")
    person = rng.choice(["Mrs Haddad", "a student", "two adults", "my parents"])
    task = f"Book a seat from {start} to {end} {shift} for {person}, and tell me what it costs."
    return writer.finish("record", _word_query(rng, task, "", "search_offers", {"max_results": count}))


def _draw_offer(rng: random.Random) -> dict[str, object]:
    start, end = rng.sample(words.TOWNS, k=2)
    return {
        "offer_id": f"{rng.choice('ABCDEFGH')}{rng.randrange(10**6):06d}",
        "from": start,
        "to": end,
        "departs": f"2026-05-{rng.randint(1, 28):02d}T{rng.randint(5, 23):02d}:{rng.randint(0, 5)}0",
        "operator": rng.choice(["Nordlink", "CityHop", "BlueRail", "Transalp"]),
        "seats_left": rng.randint(0, 80),
        "price": round(rng.uniform(9, 240), 2),
        "currency": rng.choice(["EUR", "CHF", "DKK"]),
        "refundable": rng.random() < 0.5,
    }


def _word_query(rng: random.Random, task: str, said: str, tool: str, arguments: Mapping[str, object]) -> str:
    """Word the query as it is made from a conversation, or with the two parts named."""
    call = f"{tool} {json.dumps(arguments)}"
    if rng.random() < 0.5:
        return f"{task}\n{call}"
    return f"Task: {task}\nLast action: {said}\n{call}"
