"""What we rely on in LiteLLM, so that an upgrade that breaks us fails here and not in production."""

from __future__ import annotations

import inspect
import subprocess
import sys

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm.types.utils import CallTypes
from litellm_agentcompress.hooks import AgentCompressHandler

from agentcompress.doors import litellm_calls, litellm_router
from agentcompress.doors.litellm_sender import FORMATS

HOOKS = ["async_pre_call_hook", "async_pre_call_deployment_hook", "async_post_call_response_headers_hook"]


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("ours", [AgentCompressHandler, litellm_router._DeploymentHook])
def test_hooks_take_what_litellm_gives(name: str, ours: type) -> None:
    if name not in vars(ours):
        assert ours is litellm_router._DeploymentHook
        return
    base, mine = (inspect.signature(vars(where)[name]) for where in (CustomLogger, ours))
    assert list(mine.parameters) == list(base.parameters)
    assert inspect.iscoroutinefunction(vars(ours)[name])


def test_the_proxy_looks_for_hooks_on_the_class_itself() -> None:
    assert set(HOOKS) <= set(vars(AgentCompressHandler))


def test_call_types_are_litellms() -> None:
    assert set(FORMATS) <= {each.value for each in CallTypes}


def test_the_step_of_the_router_that_we_follow() -> None:
    step = inspect.signature(litellm.Router._update_kwargs_with_deployment)
    assert list(step.parameters)[:4] == ["self", "deployment", "kwargs", "function_name"]
    source = inspect.getsource(litellm.Router._completion)
    assert source.index("_update_kwargs_with_deployment") < source.index("litellm.completion(")
    for name in (*litellm_router._SYNC, *litellm_router._ASYNC):
        assert name in ("responses", "aresponses", "anthropic_messages", "aanthropic_messages") or hasattr(
            litellm.Router, name
        )


@pytest.mark.parametrize("name", ["completion", "acompletion", "responses", "aresponses"])
def test_leading_arguments_are_litellms(name: str) -> None:
    leading = list(inspect.signature(getattr(litellm, name)).parameters)[:2]
    assert leading == (["input", "model"] if "responses" in name else ["model", "messages"])
    assert list(inspect.signature(getattr(litellm_calls, name)).parameters)[:2] == leading
    assert inspect.iscoroutinefunction(getattr(litellm_calls, name)) == name.startswith("a")


def test_the_package_is_cheap_to_import() -> None:
    heavy = ("litellm", "torch", "agentcompress")
    code = f"import sys, litellm_agentcompress; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
