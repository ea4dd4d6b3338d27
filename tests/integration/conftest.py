"""The real draft. Missing weights are a failure here, never a skip: `make draft` fetches them."""

from __future__ import annotations

import pytest

from agentcompress.drafts import load
from agentcompress.drafts.runtime import DraftRuntime, get_shared_runtime

NAME = "smollm2-135m"


@pytest.fixture(scope="session")
def runtime() -> DraftRuntime:
    if load.find_draft(NAME) is None:
        pytest.fail(f"the draft is not on this machine: run `agentcompress draft pull {NAME}` (make draft)")
    return get_shared_runtime(NAME)
