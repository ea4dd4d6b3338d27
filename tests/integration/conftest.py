"""The real draft, and a provider on this machine. Missing weights are a failure, never a skip: see `make draft`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentcompress.drafts import load
from agentcompress.drafts.runtime import DraftRuntime, get_shared_runtime
from tests.upstream import Upstream, upstream

NAME = "smollm2-135m"


@pytest.fixture(scope="session")
def runtime() -> DraftRuntime:
    if load.find_draft(NAME) is None:
        pytest.fail(f"the draft is not on this machine: run `agentcompress draft pull {NAME}` (make draft)")
    return get_shared_runtime(NAME)


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def clean_server(server: Upstream) -> Upstream:
    """The same, with nothing noted of the tests before."""
    server.bodies.clear()
    server.failures.clear()
    return server
