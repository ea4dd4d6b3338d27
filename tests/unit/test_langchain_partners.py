"""LangChain's packages for providers: prompt caching beside us, and what their models are called."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain_agentcompress import AgentCompressMiddleware
from langchain_agentcompress.models import answer_tokens, find_target
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_openai import AzureChatOpenAI, ChatOpenAI

from tests.unit.test_langchain import CONFIG, TOOLS, assert_append_only, run, scripted


@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_prompt_caching(ours_first: bool) -> None:
    model = scripted()
    caching = AnthropicPromptCachingMiddleware(unsupported_model_behavior="ignore")
    ours = AgentCompressMiddleware(CONFIG)
    run(create_agent(model, TOOLS, middleware=[ours, caching] if ours_first else [caching, ours]), "invoke")
    assert_append_only(model)
    assert len(str(model.sent[-1][2].content)) < 4000


def test_targets_of_models() -> None:
    openai = ChatOpenAI(model="gpt-4o-mini", api_key="x", max_tokens=99)  # pyrefly: ignore
    anthropic = ChatAnthropic(model="claude-sonnet-4-5", api_key="x")  # pyrefly: ignore
    azure = AzureChatOpenAI(model="gpt-4o", azure_endpoint="http://x", api_key="x", api_version="1")  # pyrefly: ignore
    assert find_target(openai) == "openai/gpt-4o-mini"
    assert find_target(anthropic) == "anthropic/claude-sonnet-4-5"
    assert find_target(azure) == "azure/gpt-4o"
    assert find_target(scripted(model_name="groq/llama")) == "groq/llama"
    assert find_target(scripted(model_name="gpt-4o")) == "gpt-4o"
    assert find_target(scripted(model_name="nobody-knows-it")) is None
    assert find_target(object()) is None
    assert answer_tokens(openai) == 99
    assert answer_tokens(object()) is None
