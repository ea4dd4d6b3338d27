"""Ledgers that were made before are read for ever: their keys, their bytes, and what is sent from them.

`tests/golden/make.py` says what the files hold.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agentcompress import CompressConfig, Compressor
from agentcompress.ledger.notes import make_sent_key
from agentcompress.ledger.sqlite import SQLiteStore
from agentcompress.messages.formats import WIRES
from agentcompress.messages.hashing import canonical, chain, make_block_key, make_seed

GOLDEN = Path(__file__).parents[1] / "golden"
KEYS = json.loads((GOLDEN / "canonical.json").read_text(encoding="utf-8"))
REQUESTS = json.loads(gzip.decompress((GOLDEN / "requests.json.gz").read_bytes()))
OTHERWISE = {"scorer": "random", "min_tokens": 1, "keep_rate": 0.9}
"""A decision is in the ledger: what is configured now does not matter."""


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    shutil.copy(GOLDEN / "ledger.db", tmp_path)
    return SQLiteStore(tmp_path / "ledger.db")


def test_messages_are_written_down_as_ever() -> None:
    assert len(KEYS["canonical"]) > 60
    for format, message, expected in KEYS["canonical"]:
        assert canonical(message, WIRES[format]) == expected


@pytest.mark.parametrize("format", WIRES)
def test_histories_are_hashed_as_ever(format: str) -> None:
    messages = [message for wire, message, _ in KEYS["canonical"] if wire == format]
    assert list(chain(messages, WIRES[format], seed=make_seed("x"))) == KEYS["chains"][format]


def test_keys_are_as_ever() -> None:
    assert [make_seed(*args) for args, _ in KEYS["seeds"]] == [key for _, key in KEYS["seeds"]]
    assert [make_block_key(*args) for args, _ in KEYS["blocks"]] == [key for _, key in KEYS["blocks"]]
    assert [make_sent_key(text) for text, _ in KEYS["sent"]] == [key for _, key in KEYS["sent"]]


@pytest.mark.parametrize("format", WIRES)
def test_a_ledger_made_before_replays_byte_for_byte(format: str, store: SQLiteStore) -> None:
    replayed = 0
    for settings, call, body, sent, recalled, sizes in REQUESTS:
        if call["format"] != format:
            continue
        mine = Compressor(CompressConfig(**{**settings, **OTHERWISE}), store=store)
        result = mine.compress_request(body, **call)
        assert _bytes(result.body) == _bytes(sent)
        assert [result.receipt.tokens_before, result.receipt.tokens_after] == sizes
        assert {block.decision for block in result.receipt.blocks} <= {"replayed", "raw"}
        replayed += sum(block.decision == "replayed" for block in result.receipt.blocks)
        for identity, page in recalled.items():
            assert mine.recall(identity, namespace=call.get("namespace")) == page
    assert replayed > 100


def test_nothing_is_written_for_what_was_decided(store: SQLiteStore) -> None:
    before = store.stats()
    for settings, call, body, *_ in REQUESTS:
        Compressor(CompressConfig(**{**settings, **OTHERWISE}), store=store).compress_request(body, **call)
    after = store.stats()
    assert (after.decisions, after.bytes) == (before.decisions, before.bytes)


def _bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
