"""A request is never cut: what a person wrote stays, wherever it stands among what was pasted."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcompress import CompressConfig, Compressor
from agentcompress.conversation.blocks import find_blocks
from agentcompress.ledger.memory import MemoryStore
from agentcompress.messages.context import find_context
from agentcompress.schema import Decision, Span
from tests import fakes
from tests.texts import any_text
from tests.texts_of_agents import LOG, PROSE, SOURCE, make_log

compressor = partial(fakes.compressor, min_tokens=100)
NAMES = ("harbour", "lantern", "meadow", "orchard", "quarry", "saddle", "timber", "willow")


def name(i: int) -> str:
    return f"{NAMES[i % 8]}_{NAMES[i * 5 % 7]}"


PSQL = "\n".join(
    [
        "  id  | customer | state    | note",
        "------+----------+----------+----------------------",
        *(
            f" {1000 + i} | {NAMES[i % 8]:8} | {'refunded' if i == 57 else 'open':8} | sent by {name(i)}"
            for i in range(220)
        ),
        "(220 rows)",
    ]
)
BUILD = "\n".join(
    line
    for i in range(90)
    for line in (
        f"[{i}/90] Compiling {name(i)}.c",
        f"src/{name(i)}.c:{i * 7}:12: warning: unused variable '{name(i + 1)}' [-Wunused-variable]",
        "" if i % 9 == 0 else f"   {i * 7} |   int {name(i + 1)};",
    )
)
INI = "\n\n".join(
    "\n".join([f"[{name(i)}.{i}]", f"path = /srv/{name(i)}", f"workers = {i % 9}", "mode = shared", f"ttl = {i * 30}s"])
    for i in range(110)
)
PARAGRAPHS = "\n\n".join(make_log(6, f"INFO {name(i)} took {{jobs}} jobs from the queue") for i in range(40))
CSV = "\n".join(["id,customer,state,amount", *(f"{i},{NAMES[i % 8]},open,{i * 3}.50" for i in range(500))])
JSON = json.dumps([{"id": i, "owner": name(i), "note": "Do not restart it."} for i in range(150)], indent=2)
YAML = "\n---\n".join(
    f"kind: Service\nmetadata:\n  name: {name(i)}\n  labels:\n    app: {name(i)}\nspec:\n  ports:\n    - port: {i}"
    for i in range(120)
)
DIFF = "\n".join(
    f"diff --git a/{name(i)}.py b/{name(i)}.py\n--- a/{name(i)}.py\n+++ b/{name(i)}.py\n@@ -{i + 1},3 +{i + 1},3 @@\n"
    f" # the worker waits here\n-    wait({i})\n+    wait({i + 1})\n     return"
    for i in range(90)
)
HISTORY = "\n\n".join(
    f"commit {i * 7919:040x}\nAuthor: Dev {i} <dev{i}@example.com>\nDate:   Mon Mar 3 10:00:{i % 60:02d} 2025 +0000\n\n"
    f"    Move the {NAMES[i % 8]} to the {NAMES[i * 3 % 8]}"
    for i in range(90)
)
PASTES = {
    **{"psql": PSQL, "build": BUILD, "ini": INI, "paragraphs": PARAGRAPHS, "csv": CSV, "json": JSON, "yaml": YAML},
    **{"diff": DIFF, "history": HISTORY, "source": SOURCE.strip(), "log": LOG.strip()},
}
SAID = [
    "Which order was refunded? Answer in German, and do not touch anything in prod.",
    "in german please, and nothing in prod",
    "PS: bitte auf Deutsch",
    "thanks!",
    "no prod!!",
    "- answer in German\n- do not touch anything in prod\n- keep it short",
    "1. Find the order\n2. Do not touch prod",
    "WARNING: do not touch prod!",
    "Error: this one is what I mean",
    "# Task\nFind the refunded order",
    "// please answer in German",
    "Language: German",
    "build log:",
    "config.ini:",
    "here is what I get when I run it with -v:",
    "for the record:",
    "if you see this: stop",
    "import it into staging only",
    "export it as csv;",
    "use foo() instead, please",
    "only src/app.py matters",
    "2025-03-04 is when it started, please look there",
    "=== answer in German! ===",
    "commit 1a2b3c4d5 is the bad one",
    "[2/3] tell me in German",
    "ok foo.py is fine, but bar.py is not",
    "at least look at this (foo.py:12)",
    "[NOTICE] do not touch prod",
    "<-- this one",
    "^^^ this line is the one I mean",
    "ドイツ語で答えてください。",
    "请用德语回答，不要动生产环境",
    "الرجاء الإجابة باللغة الألمانية",
    "Ответь по-немецки и не трогай прод",
    "The worker `w-12` must not be restarted, and its queue\nshould be drained first. Say in German how\nyou do it.",
]
BETWEEN = {
    "paragraph": "{a}\n\n{said}\n\n{b}",
    "glued": "{a}\n{said}\n{b}",
    "below": "{a}\n{said}\n\n{b}",
    "above": "{a}\n\n{said}\n{b}",
    "first": "{said}\n{a}\n\n{b}",
    "last": "{a}\n\n{b}\n{said}",
}


def sent(content: Any, **options: Any) -> Any:
    return compressor().compress([{"role": "user", "content": content}], **options).messages[0]["content"]


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.4, 0.9, "auto"])
@pytest.mark.parametrize("said", [SAID[0], SAID[2], SAID[5], SAID[-5]])
def test_a_request_between_two_pastes_stays_at_every_rate(said: str, rate: Any) -> None:
    shorter = sent(f"{PSQL}\n\n{said}\n\n{BUILD}", keep_rate=rate)
    assert f"\n\n{said}\n\n" in shorter
    assert rate == "auto" or len(shorter) < (rate + 0.2) * len(PSQL + BUILD)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("place", BETWEEN)
def test_words_stay_wherever_they_stand(place: str, said: str) -> None:
    names = list(PASTES)
    for i in range(3):
        first, second = (names[(SAID.index(said) + step) % len(names)] for step in (3 * i, 3 * i + 4))
        text = BETWEEN[place].format(a=PASTES[first], b=PASTES[second], said=said)
        at = text.index(said)
        spans = find_context(text)
        assert not [text[a:b] for a, b in spans if a < at + len(said) and at < b], (first, second)


@pytest.mark.parametrize("kind", PASTES)
def test_a_paste_is_one_over_its_blank_lines(kind: str) -> None:
    paste = PASTES[kind]
    spans = find_context(f"Which of them is it?\n\n{paste}\n\nIn German, please.")
    assert sum(span.end - span.start for span in spans) > 0.8 * len(paste)
    assert len(spans) <= 3
    assert len(sent(f"Which of them is it?\n\n{paste}\n\nIn German, please.", keep_rate=0.1)) < 0.4 * len(paste)


@given(kind=st.sampled_from(sorted(set(PASTES) - {"json", "diff"})), said=st.sampled_from(SAID), at=st.floats(0, 1))
def test_a_paragraph_stays_wherever_it_parts_a_paste(kind: str, said: str, at: float) -> None:
    lines = PASTES[kind].split("\n")
    tops = [i for i, line in enumerate(lines) if line and not line[0].isspace() and '"""' not in line]
    lines.insert(tops[int(at * (len(tops) - 1))], f"\n{said}\n")
    text = "\n".join(lines)
    place = text.index(f"\n{said}\n") + 1
    assert not [text[a:b] for a, b in find_context(text) if a < place + len(said) and place < b]


@given(
    st.lists(st.one_of(any_text, st.sampled_from(sorted(PASTES.values()))), max_size=4), st.sampled_from(["\n", "\n\n"])
)
def test_spans_are_sound_whatever_is_pasted(texts: list[str], glue: str) -> None:
    text = glue.join(texts)
    spans = find_context(text, request_beside=True)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(text[a:b] == text[a:b].strip() for a, b in spans)


@given(st.lists(st.sampled_from([*SAID, *PROSE.split(". ")[:40]]), min_size=1, max_size=150))
def test_what_people_write_is_never_context(said: list[str]) -> None:
    assert not find_context("\n".join(said), request_beside=True)


EXAMPLES = [
    'Answer like this:\n\n{\n  "id": 1,\n  "reason": "x"\n}',
    "Name them so:\n\n| old | new |\n|-----|-----|\n| a_1 | b_1 |\n| a_2 | b_2 |\n| a_3 | b_3 |\n| a_4 | b_4 |",
    "Only these files:\n\n" + "\n".join(f"src/{name(i)}.py" for i in range(14)),
    "Do this:\n" + "\n".join(f"rename {name(i)} to {name(i + 1)}" for i in range(14)),
    "\n".join(f"- fix src/{name(i)}.py" for i in range(14)),
    "Write it as\n\ndef answer(order):\n    return order.id",
    "Set these:\n\nmode = strict\nlang = de\nprod = off\nretries = 3\nlevel = 2\nttl = 5",
    "Such lines matter:\n\n12:00:01 ERROR boom\n12:00:02 ERROR bang\n12:00:03 ERROR crash",
]


@pytest.mark.parametrize("said", EXAMPLES)
@pytest.mark.parametrize("place", ["paragraph", "below"])
def test_an_example_that_belongs_to_the_request_stays(place: str, said: str) -> None:
    for first, second in (("psql", "build"), ("log", "json"), ("csv", "ini"), ("diff", "log")):
        text = BETWEEN[place].format(a=PASTES[first], b=PASTES[second], said=said)
        at = text.index(said)
        assert not [text[a:b] for a, b in find_context(text) if a < at + len(said) and at < b], (first, second)


def test_words_between_two_halves_of_a_page_stay() -> None:
    rows = [f"  <row>\n    <owner>{name(i)}</owner>\n    <count>{i}</count>\n  </row>" for i in range(200)]
    page = "\n".join(["<report>", *rows, "</report>"])
    said = "This is the second half; answer in German, and do not touch prod."
    half = page.index("<count>99")
    text = f"Sum it up.\n\n{page[:half]}\n\n{said}\n\n{page[half:]}"
    shorter = sent(text, keep_rate=0.1)
    assert said in shorter
    assert len(shorter) < 0.3 * len(text)


def test_a_sentence_in_the_middle_of_a_log_leaves_both_halves_to_be_compressed() -> None:
    said = "From here on it was another machine; in German, please."
    first, second = make_log(400), make_log(400, "node {i} has lost {jobs} packets")
    shorter = sent(f"{first}{said}\n{second}", keep_rate=0.1)
    assert f"\n{said}\n" in shorter
    assert len(shorter.split(said)[0]) < 0.2 * len(first)
    assert len(shorter.split(said)[1]) < 0.2 * len(second)


def test_small_examples_and_messages_of_data_alone_stay() -> None:
    small = f"Why?\n\n{make_log(40)}\n\nAnd this?\n\n{make_log(60)}"
    assert len(small) > 3000
    assert not find_context(small)
    assert not find_context(CSV)
    assert find_context(CSV, request_beside=True)


def test_words_between_marked_pastes_stay() -> None:
    said = "Compare the two in German,\n\nand do not touch prod."
    for open_mark, close_mark in (("<log>", "</log>"), ("```", "```"), ("~~~text", "~~~")):
        text = f"{open_mark}\n{LOG}\n{close_mark}\n{said}\n{open_mark}\n{PSQL}\n{close_mark}\nThanks."
        shorter = sent(text, keep_rate=0.1)
        assert said in shorter
        assert shorter.endswith("Thanks.")
        assert len(shorter) < 0.3 * len(text)


def test_fences_of_which_one_is_left_open_mark_nothing() -> None:
    said = "Compare the two in German, and do not touch anything in prod. " * 5
    text = f"```\n{LOG}\n```\nstray\n```\n{said}\n```\n{PSQL}\n```"
    shorter = sent(text, keep_rate=0.1)
    assert said in shorter
    assert len(shorter) < 0.3 * len(text)


@pytest.mark.parametrize(
    "hostile",
    ["{\n" * 30_000, " a:\n" * 50_000, "@@ -1,9999999 +1,9999999 @@\n-a\n" * 20_000, "[" * 100_000, "a  b" * 50_000],
)
def test_hostile_pastes_take_linear_time(hostile: str) -> None:
    find_context(f"Why?\n\n{hostile}")


MATCHES = "\n".join(f"src/mod_{i % 40}.py:{i}:    value = compute(x, y={i})" for i in range(300))
RULES = " ".join(f"Punkt {i}: bitte baue die Seite so um, dass Zeile {i} einzeln gespeichert wird." for i in range(40))
ANSWER = '{"task": "fix the bug in the parser", "files": ["app.py"], "never": "db.py"}'
CHANGES = "| old | new |\n|---|---|\n| user_id | account_id |\n| tenantId | tenant_id |"
SETTINGS = "timeout = 30\nretries = 5\nmode = strict\nlang = de\nprod = off"
DATES = "\n\n".join(f"2024-05-{i + 1:02d} {RULES[:700]}" for i in range(14))


@pytest.mark.parametrize("said", [ANSWER, CHANGES, SETTINGS])
@pytest.mark.parametrize(
    "form", ["Matches:\n{m}\n\n{said}", "{said}\n\n{m}\n\nThanks.", "{m}\n\n{said}\n\n{m}\n\nThanks."]
)
def test_a_small_block_of_its_own_stays_at_the_edges_and_between(form: str, said: str) -> None:
    assert said in sent(form.format(m=MATCHES, said=said), keep_rate=0.1)


@pytest.mark.parametrize(
    "said", ["set max_workers = 8", "fix #12, #14!", "delete a.py, b.py", "Fu\u0308r Pru\u0308fung zuru\u0308ckstellen"]
)
def test_one_line_between_two_pastes_stays(said: str) -> None:
    text = f"Found:\n{MATCHES}\n{said}\n{MATCHES}\nThanks."
    at = text.index(said)
    assert not [span for span in find_context(text) if span.start < at + len(said) and at < span.end]


@pytest.mark.parametrize(
    "name", ["spec", "requirements", "steps", "answer", "plan", "objective", "ticket", "user", "message", "aufgabe"]
)
def test_words_in_tags_that_name_no_data_stay(name: str) -> None:
    assert sent(f"<{name}>\n{RULES}\n</{name}>", keep_rate=0.1) == f"<{name}>\n{RULES}\n</{name}>"


@pytest.mark.parametrize(
    "text",
    [
        f"Replace the opening `<div>` by a section. {RULES} Then drop the closing `</div>`.",
        f"Replace the opening `<table>` by a list. {RULES} Then drop the closing `</table>`.",
        f"export function App() {{\n  return (\n    <Layout>\n      <Header />\n\n{RULES}\n\n    </Layout>\n  );\n}}",
        f"```\n{RULES}\n```",
        f"```markdown\n{RULES}\n```\nThanks.",
        DATES,
        "Please do all of these:\n"
        + "\n".join(f"{i}. rename getItem{i} to fetch_item_{i} in src/m_{i}.py" for i in range(200)),
        "\n".join(f"Bitte benenne die Funktion getItem{i} in fetch_item_{i} um" for i in range(200)),
        "\n".join(f"请把 getItem{i} 改名为 fetch_item_{i}" for i in range(300)),
        "\n".join(f"- [ ] rename getItem{i} to fetch_item_{i}" for i in range(300)),
        "\n".join(f"Q{i}: how do I rename getItem{i} in version 2.{i}?" for i in range(200)),
    ],
)
def test_requests_that_look_like_data_stay(text: str) -> None:
    assert sent(text, keep_rate=0.1) == text


def test_words_between_fences_turned_inside_out_stay() -> None:
    log = make_log(150)
    text = f"Log 1:\n```\n{log}\n```\nend\n```\n{RULES}\nLog 2:\n```\n{log}\n```\nend\n```\n"
    assert RULES in sent(text, keep_rate=0.1)


def test_rules_beside_the_question_stay() -> None:
    story = "\n\n".join(PROSE[i * 300 :][:900].strip() for i in range(14))
    rule = "Schreib auf Deutsch, als JSON, und rate nie."
    for form in (f"You help our archive.\n\n{rule}\n\n{story}", f"{story}\n\n{rule}"):
        assert rule in sent(f"{form}\n\nQuestion: where is the silver bottle?", keep_rate=0.1)


@pytest.mark.parametrize("said", ["Bitte schreib das hier ohne Rekursion um!", "这里请改成循环"])
def test_a_remark_at_the_codes_own_indentation_stays(said: str) -> None:
    lines = SOURCE.strip().split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("        return ")) + 1
    lines.insert(at, f"        {said}")
    text = f"Look:\n\n{chr(10).join(lines)}\n\nThanks."
    place = text.index(said)
    assert not [span for span in find_context(text) if span.start < place + len(said) and place < span.end]


@pytest.mark.parametrize("tokens_before", ["its own", "another's"])
def test_what_was_decided_by_its_beginning_alone_is_replayed_for_its_own_range_alone(tokens_before: str) -> None:
    store = MemoryStore()
    made = Compressor(CompressConfig(scorer="lexical", min_tokens=100), store=store)
    messages = [{"role": "user", "content": f"Look:\n\n{LOG}\n\nThanks."}]
    [block] = find_blocks(made.read_conversation(messages, {}), 100)
    assert block.earlier_key is not None
    assert block.key != block.earlier_key
    tokens = block.tokens - (tokens_before != "its own")
    store.put(block.earlier_key, Decision("earlier", None, tokens, 1, "lexical", (Span(0, 7),)))
    content = made.compress(messages, keep_rate=0.1).messages[0]["content"]
    assert ("earlier" in content) == (tokens_before == "its own")
    assert content == made.compress(messages, keep_rate=0.5).messages[0]["content"]
