"""Makes what `tests/unit/test_golden.py` holds the code against. Run only for a format of the ledger that is new:

    python -m tests.golden.make

`ledger.db` is what agents of all three wire formats have had decided, `requests.json.gz` what they asked, step by step,
and what was sent for them; `canonical.json` is how messages are written down to be hashed. A ledger that was made
before must be read for ever, so that these files are added to, and never made anew.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentcompress import CompressConfig, Compressor
from agentcompress.evaluation.replay.replay import to_wire
from agentcompress.ledger.notes import make_sent_key
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.messages.formats import WIRES
from agentcompress.messages.hashing import canonical, chain, make_block_key, make_seed
from tests.provider import with_reasoning

HERE = Path(__file__).parent
BLOCKS = (["ab", ["content"], 0], ["ab", ["content", 0, "text"], 7])
_ID = re.compile(r"recall ([0-9a-z]{6}[:@]\d+-\d+)")


def log(number: int, lines: int) -> str:
    rows = [
        f"12:{n // 60:02d}:{n % 60:02d} worker {n} of run {number} did {n * 7919 % 1000} jobs" for n in range(lines)
    ]
    rows[lines * 2 // 3] = f"12:59:59 ERROR worker {number} failed: disk quota exceeded on /srv/run-{number}"
    return "\n".join(rows) + "\n"


def code(number: int) -> str:
    functions = [
        f'def load_{n}(path: str) -> int:\n    """Load part {n} of run {number}."""\n    total = {n}\n'
        f"    for line in open(path):\n        total += len(line) * {n + number}\n    return total\n"
        for n in range(14)
    ]
    return "import json\nimport sys\n\n\n" + "\n\n".join(functions)


def rows(number: int) -> str:
    found = [
        {"id": n, "name": f"disk-{number}-{n}", "free": n * 37 % 101, "tags": ["a", "ü", "\u2028"]} for n in range(40)
    ]
    return json.dumps({"run": number, "items": found}, ensure_ascii=False)


def recorded(steps: int) -> list[dict[str, Any]]:
    """A request with a pasted log, and steps that read logs, code, JSON, and something short."""
    asked = f"Here is the log:\n\n```\n{log(99, 90)}```\n\nWhich worker failed, and on which disk? 🙂"
    found: list[dict[str, Any]] = [
        {"role": "system", "content": "You are careful."},
        {"role": "user", "content": asked},
    ]
    results = (lambda i: log(i, 120), code, rows, lambda i: "ok")
    for i in range(steps):
        call = {"name": ("Read", "grep", "query", "Write")[i % 4], "arguments": {"path": f"src/run_{i}.py", "n": i}}
        found.append({"role": "assistant", "content": f"I look at run {i}.", "tool_calls": [call]})
        found.append({"role": "tool", "content": results[i % 4](i)})
    return found


def turns(format: str, *, thinking: bool) -> Iterator[list[dict[str, Any]]]:
    """What a client posts, step by step. thinking: the third reply has reasoned."""
    whole = to_wire(recorded(9), format)
    ends = [i for i, message in enumerate(whole) if _is_result(message)]
    reply = ends[1] + 1
    if thinking:
        behind = whole[reply:]
        many = next(n for n, message in enumerate(behind) if _is_result(message))
        reasoned = with_reasoning(behind[:many], f"sig_{format}", format)
        whole = [*whole[:reply], *reasoned, *behind[many:]]
    for i, message in enumerate(whole):
        if _is_result(message):
            yield whole[: i + 1]


def _is_result(message: dict[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return (
        message.get("role") == "tool"
        or message.get("type") == "function_call_output"
        or any(part.get("type") == "tool_result" for part in parts)
    )


def scenes() -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Settings of a compressor, of a call, and the request's body."""
    usual = {"scorer": "lexical", "min_tokens": 100, "keep_rate": 0.3}
    tools = [{"name": "Read", "input_schema": {"type": "object"}}]
    for format in WIRES:
        field = "input" if format == "responses" else "messages"
        for name, settings, call in (
            ("plain", {}, {}),
            ("auto, recall", {"keep_rate": "auto", "recall": True}, {"namespace": "tenant"}),
            ("cut", {}, {"target_tokens": 2600, "namespace": "small"}),
            ("shadow", {"mode": "shadow"}, {}),
        ):
            for messages in turns(format, thinking=name in ("plain", "cut")):
                body: dict[str, Any] = {"model": "gpt-4o", field: messages}
                if format == "anthropic":
                    body = {**body, "system": "You are careful.", "tools": tools, "model": "claude-sonnet-4-5"}
                yield {**usual, **settings}, {**call, "format": format}, body


def samples() -> Iterator[tuple[str, Any]]:
    """Messages with all that may stand in one."""
    for format in WIRES:
        for messages in list(turns(format, thinking=True))[-1:]:
            yield from ((format, message) for message in messages)
    mark = {"cache_control": {"type": "ephemeral"}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    odd = {"b": True, "n": None, "i": -3, "f": 0.1, "big": 10**30, "e": 1e-9, "l": [], "d": {}, "s": "", "t": "é\ud800"}
    yield "anthropic", {"role": "user", "content": [{"type": "text", "text": "hi", **mark}, image]}
    yield "anthropic", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [image]}]}
    yield "openai", {"role": "user", "content": "hi", "name": "ann", **mark}
    yield "openai", {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    yield "openai", {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}
    yield "openai", {"role": "assistant", "content": None, "tool_calls": [], "refusal": "no", "odd": odd}
    yield "responses", {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA==", "status": "x"}
    yield "responses", {"type": "function_call_output", "call_id": "c", "output": "done", "odd": odd}
    yield "responses", {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}


def main() -> None:
    database = HERE / "ledger.db"
    store = SQLiteStore(database)
    cases = []
    for settings, call, body in scenes():
        result = Compressor(CompressConfig(**settings), store=store).compress_request(body, **call)
        texts = json.dumps(result.body, ensure_ascii=False)
        mine = Compressor(CompressConfig(**settings), store=store)
        ids = dict.fromkeys(_ID.findall(texts))
        recalled = {identity: mine.recall(identity, namespace=call.get("namespace")) for identity in ids}
        sizes = [result.receipt.tokens_before, result.receipt.tokens_after]
        cases.append([settings, call, body, result.body, recalled, sizes])
    store.close()
    connection = sqlite3.connect(database)
    connection.execute("UPDATE decisions SET made = 1790000000, seen = 1790000000")
    connection.commit()
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()
    with gzip.GzipFile(HERE / "requests.json.gz", "wb", mtime=0) as file:
        file.write(json.dumps(cases).encode())
    keys = {
        "seeds": [[args, make_seed(*args)] for args in ([""], ["team"], ["team", "resp_1"], ["", "", "shadow"])],
        "blocks": [
            [args, make_block_key(*args)] for args in (["ab", ["content"], 0], ["ab", ["content", 0, "text"], 7])
        ],
        "sent": [[text, make_sent_key(text)] for text in ("", "a", "é\ud800")],
        "chains": {f: list(chain([m for w, m in samples() if w == f], WIRES[f], seed=make_seed("x"))) for f in WIRES},
        "canonical": [[format, message, canonical(message, WIRES[format])] for format, message in samples()],
    }
    (HERE / "canonical.json").write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
