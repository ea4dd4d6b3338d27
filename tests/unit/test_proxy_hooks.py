"""The callback without a proxy: who may say what, what is noted where, and that nothing escapes."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from litellm.types.utils import CallTypes
from litellm_agentcompress import hooks
from litellm_agentcompress.hooks import AgentCompressHandler
from litellm_agentcompress.settings import ProxySettings, merge_overrides, read_header

from agentcompress.errors import ConfigError, InvalidInputError
from agentcompress.evaluation.replay.replay import to_wire
from tests.fakes import conversation
from tests.texts_of_agents import LOG, RECORDED


def handler(**section: Any) -> AgentCompressHandler:
    section = {"scorer": "lexical", "min_tokens": 100, "keep_rate": 0.2, "ledger": "memory", **section}
    return AgentCompressHandler(ProxySettings.from_section(section))


def user(**fields: Any) -> Any:
    return SimpleNamespace(**{"metadata": {}, "team_metadata": {}, "team_id": None, "api_key": "hash", **fields})


def resolved(mine: AgentCompressHandler, whose: Any, data: dict[str, Any]) -> dict[str, Any]:
    out = asyncio.run(mine.async_pre_call_hook(whose, None, data, "completion"))  # type: ignore[arg-type]
    return out["metadata"]["agentcompress_resolved"]


def sent(mine: AgentCompressHandler, **kwargs: Any) -> dict[str, Any] | None:
    call = {"model": "openai/gpt-4o", "messages": conversation(LOG), **kwargs}
    return asyncio.run(mine.async_pre_call_deployment_hook(call, CallTypes.acompletion))


def test_the_later_word_wins() -> None:
    team, key = {"agentcompress": {"keep_rate": 0.1, "deadline_ms": 9.0}}, {"agentcompress": {"keep_rate": 0.2}}
    whose = user(team_metadata=team, metadata=key)
    assert resolved(handler(), whose, {})["keep_rate"] == 0.2
    data: dict[str, Any] = {"proxy_server_request": {"headers": {"X-AgentCompress": "keep_rate=0.3"}}}
    assert resolved(handler(), whose, dict(data))["keep_rate"] == 0.3
    data["metadata"] = {"agentcompress": {"keep_rate": 0.4}, "user": "kept"}
    found = handler()
    out = asyncio.run(found.async_pre_call_hook(whose, None, data, "completion"))  # type: ignore[arg-type]
    assert out["metadata"]["agentcompress_resolved"] == {
        "keep_rate": 0.4,
        "deadline_ms": 9.0,
        "fit": True,
        "namespace": out["metadata"]["agentcompress_resolved"]["namespace"],
    }
    assert out["metadata"]["user"] == "kept"
    assert resolved(handler(allow_overrides=False), whose, dict(data))["keep_rate"] == 0.2


def test_nobody_can_forge_what_was_resolved() -> None:
    forged = {"metadata": {"agentcompress_resolved": {"namespace": "another's"}}}
    assert resolved(handler(), user(), forged)["namespace"] not in ("another's", "hash", None)


def test_teams_are_kept_apart_and_keys_of_a_team_are_not() -> None:
    def namespace(**fields: Any) -> str:
        return resolved(handler(), user(**fields), {})["namespace"]

    assert namespace(team_id="a") == namespace(team_id="a", api_key="other")
    assert len({namespace(team_id="a"), namespace(team_id="b"), namespace(), namespace(api_key="other")}) == 4


@pytest.mark.parametrize("says", [{"keep": 1}, {"keep_rate": "x"}, 3, {"enabled": 1}, {"namespace": 1}])
def test_what_can_not_be_read_is_not_compressed(says: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert resolved(handler(), user(metadata={"agentcompress": says}), {}) == {"enabled": False}
    assert "can't be read" in caplog.text
    assert sent(handler(), metadata={"agentcompress_resolved": {"enabled": False}}) is None


def test_a_call_is_compressed_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    metadata: dict[str, Any] = {"user": "kept"}
    with caplog.at_level(logging.INFO, "agentcompress"):
        out = sent(handler(), metadata=metadata)
    assert out is not None
    assert len(out["messages"][3]["content"]) < 0.4 * len(LOG)
    assert out["metadata"] is metadata
    savings = metadata["compression_savings"]
    assert savings["tokens_before"] - savings["tokens_after"] == savings["tokens_saved"] > 1000
    record = next(record for record in caplog.records if record.message == "compressed")
    assert record.agentcompress["receipt"] == metadata["agentcompress_receipt"]
    assert LOG[:30] not in str(vars(record))
    headers = asyncio.run(handler().async_post_call_response_headers_hook(out, user(), None))
    assert headers == {
        "x-agentcompress-receipt": metadata["agentcompress_receipt"],
        "x-agentcompress-tokens-saved": str(savings["tokens_saved"]),
    }


def test_a_providers_own_metadata_is_left_alone() -> None:
    call = {"model": "anthropic/claude-sonnet-4-5", "messages": to_wire(RECORDED[:4], "anthropic")}
    call["metadata"] = {"user_id": "u"}
    out = asyncio.run(handler().async_pre_call_deployment_hook(call, CallTypes.anthropic_messages))
    assert out is not None
    assert out["metadata"] == {"user_id": "u"}
    assert out["litellm_metadata"]["compression_savings"]["tokens_saved"] > 0


def test_outside_of_a_proxy_a_calls_metadata_speaks() -> None:
    assert sent(handler(), metadata={"agentcompress": False}) is None
    tight, loose = (sent(handler(), metadata={"agentcompress": {"keep_rate": rate}}) for rate in (0.1, 0.8))
    assert len(str(tight)) < 0.5 * len(str(loose))
    assert sent(handler(enabled=False)) is None
    assert sent(handler(enabled=False), metadata={"agentcompress": True}) is not None


@pytest.mark.parametrize("call_type", [CallTypes.aembedding, None])
def test_what_holds_no_conversation_is_left_alone(call_type: Any) -> None:
    kwargs = {"model": "openai/gpt-4o", "input": ["x"]}
    assert asyncio.run(handler().async_pre_call_deployment_hook(kwargs, call_type)) is None


@pytest.mark.parametrize("kwargs", [{"messages": None}, {"messages": "x"}, {"model": None}, {"metadata": 3}])
def test_nothing_escapes(kwargs: dict[str, Any]) -> None:
    out = sent(handler(), **kwargs)
    assert out is None or out["messages"]


def test_models_may_be_left_out() -> None:
    assert sent(handler(skip_models=["openai/*"])) is None
    assert sent(handler(skip_models=["small*"]), metadata={"model_group": "small-one"}) is None
    assert sent(handler(skip_models=["small*"])) is not None


def test_what_is_not_compressed_waits_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is noted of a request is noted on the event loop: nothing of a handler is written by two threads."""
    threads: list[int] = []

    async def busy(work: Any) -> Any:
        threads.append(1)
        return work()

    monkeypatch.setattr(hooks, "in_background", busy)
    assert sent(handler(enabled=False)) is None
    assert sent(handler(skip_models=["openai/*"])) is None
    assert not threads
    mine = handler()
    written: list[bool] = []

    async def elsewhere(work: Any) -> Any:
        found = await asyncio.to_thread(work)
        written.append(bool(mine._receipts))
        return found

    monkeypatch.setattr(hooks, "in_background", elsewhere)
    assert sent(mine) is not None
    assert written == [False]
    assert len(mine._receipts) == 1


def test_a_window_of_ones_own() -> None:
    out = sent(handler(keep_rate=1.0, targets={"openai/gpt-4o": {"window_tokens": 2500}}))
    assert out is not None
    assert len(str(out["messages"])) < 0.8 * len(str(conversation(LOG)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, None),
        (" ", None),
        ("off", False),
        ("On", True),
        ("keep_rate=0.3; target_tokens=800", {"keep_rate": 0.3, "target_tokens": 800}),
        ("keep_rate=auto, fit=false", {"keep_rate": "auto", "fit": False}),
    ],
)
def test_headers(text: str | None, says: Any) -> None:
    assert read_header(text) == says
    merge_overrides(read_header(text))


def test_a_header_that_is_none_says_so() -> None:
    with pytest.raises(InvalidInputError, match="x-agentcompress must be off, on, or NAME=VALUE"):
        read_header("rather less")


@pytest.mark.parametrize(
    ("section", "error"),
    [
        (3, "agentcompress_settings must be a mapping"),
        (["x"], "agentcompress_settings must be a mapping"),
        ({"keep_rat": 0.2}, "agentcompress_settings.keep_rat must be absent"),
        ({"keep_rate": 7}, r"agentcompress_settings.keep_rate must be a number in \(0, 1\]"),
        ({"warmup": "yes"}, "agentcompress_settings.warmup must be"),
        ({"targets": {"m": {"window": 3}}}, "agentcompress_settings.target must be one of window_tokens"),
        ({"scorer": ""}, "agentcompress_settings.scorer must be"),
        (
            {"fit": "yes"},
            "agentcompress_settings.fit must be a valid boolean|agentcompress_settings.fit must be boolean",
        ),
        (
            {"targets": {"m": {"window_tokens": -1}}},
            "agentcompress_settings.target.window_tokens must be a number >= 0",
        ),
    ],
)
def test_settings_that_there_are_not(section: Any, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        ProxySettings.from_section(section)


def test_what_only_we_may_say_is_not_taken_from_a_client() -> None:
    forged = {"agentcompress_receipt": "a\r\nSet-Cookie: x=1", "compression_savings": {"tokens_saved": 9}, "user": "u"}
    data: dict[str, Any] = {"metadata": dict(forged), "litellm_metadata": dict(forged)}
    out = asyncio.run(handler().async_pre_call_hook(user(), None, data, "aresponses"))  # type: ignore[arg-type]
    assert out["metadata"] == {"user": "u"}
    assert set(out["litellm_metadata"]) == {"user", "agentcompress_resolved"}


def test_a_request_on_responses_says_it_in_its_own_metadata() -> None:
    data: dict[str, Any] = {"metadata": {"agentcompress": False, "a": "b"}, "litellm_metadata": {}}
    out = asyncio.run(handler().async_pre_call_hook(user(), None, data, "aresponses"))  # type: ignore[arg-type]
    assert out["litellm_metadata"]["agentcompress_resolved"]["enabled"] is False
    assert out["metadata"] == {"a": "b"}


def test_a_namespace_that_a_request_names_is_within_its_tenant() -> None:
    def namespace(**fields: Any) -> str:
        header = {"proxy_server_request": {"headers": {"x-agentcompress": "namespace=42"}}}
        return resolved(handler(), user(**fields), header)["namespace"]

    assert namespace(api_key="a").endswith(":42")
    assert namespace(api_key="a") != namespace(api_key="b")
    named = {"metadata": {"agentcompress": {"namespace": "shared"}}}
    assert resolved(handler(), user(api_key="a", **named), {}) == resolved(handler(), user(api_key="b", **named), {})


def test_a_fallback_that_is_not_compressed_for_takes_its_note_back() -> None:
    mine, metadata = handler(skip_models=["small"]), {"user": "kept"}
    assert sent(mine, metadata=metadata) is not None
    assert "compression_savings" in metadata
    assert sent(mine, metadata=metadata, model="small") is None
    assert metadata == {"user": "kept"}


def test_a_call_with_fallbacks_of_its_own_comes_by_once_an_attempt() -> None:
    assert sent(handler(), fallbacks=["gpt-4"]) is None
    assert sent(handler(), fallbacks=["gpt-4"], metadata={"model_group": "large"}) is not None


def test_a_second_pass_is_not_counted_again() -> None:
    mine, metadata = handler(), {}
    first = sent(mine, metadata=metadata)
    assert first is not None
    noted = dict(metadata)
    translated = [*first["messages"][1:], {"role": "user", "content": "translated"}]
    sent(mine, metadata=metadata, messages=translated)
    assert metadata == noted


def test_a_long_tool_name_changes_nothing() -> None:
    messages = conversation(LOG)
    messages[2]["tool_calls"][0]["function"]["name"] = "mcp__" + "x" * 80
    out = sent(handler(), messages=messages)
    assert out is not None
    assert out["messages"][:3] == messages[:3]
    shorter = [*messages]
    shorter[2] = conversation(LOG)[2]
    assert out["messages"][3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"]
