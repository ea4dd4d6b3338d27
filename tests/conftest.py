"""Shared by all tests: no network, a cache folder of their own, and a tiny draft made from a config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)  # speed is measured by benchmarks, not by tests
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["AGENTCOMPRESS_LEDGER"] = "memory"  # nothing of one test is known to another


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> None:
    """Every test runs without sockets, but for those that start a server of their own."""
    request.getfixturevalue("socket_enabled" if request.node.get_closest_marker("sockets") else "socket_disabled")


@pytest.fixture(scope="session")
def tiny_drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of random-weight drafts of three architectures, with a byte-level tokenizer."""
    from tests.tiny import write_tiny_drafts

    return write_tiny_drafts(tmp_path_factory.mktemp("drafts"))


@pytest.fixture(scope="session")
def tiny_draft(tiny_drafts: dict[str, Path]) -> str:
    return str(tiny_drafts["llama"])
