from __future__ import annotations

import pytest
import tiktoken
from hypothesis import given

from agentcompress.errors import UnknownNameError
from agentcompress.targets.counting import get_token_counter
from tests.texts import any_text

O200K = get_token_counter("gpt-4o")


@pytest.mark.parametrize(
    ("target", "tokenizer", "exact"),
    [
        ("gpt-4o", "o200k_base", True),
        ("openai/gpt-4o-mini", "o200k_base", True),
        ("azure/gpt-4", "cl100k_base", True),
        ("gpt-5.1", "o200k_base", True),
        ("claude-sonnet-4-5", "anthropic", False),
        ("anthropic/claude-opus-4-1", "anthropic", False),
        ("gemini/gemini-2.5-pro", "cl100k_base", False),
        ("deepseek/deepseek-chat", "cl100k_base", False),
        ("hosted_vllm/my-own-model", "cl100k_base", False),
        ("openrouter/someone/some-model", "cl100k_base", False),
    ],
)
def test_tokenizers_of_targets(target: str, tokenizer: str, exact: bool) -> None:
    counter = get_token_counter(target)
    assert (counter.name, counter.exact) == (tokenizer, exact)
    assert counter.count("") == 0
    assert 2 <= counter.count("hello world") <= 3


@given(any_text)
def test_counts_are_tiktokens_own(text: str) -> None:
    assert O200K.count(text) == len(tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=()))


def test_special_token_spellings_are_text() -> None:
    for target in ("gpt-4o", "claude-sonnet-4-5"):
        assert get_token_counter(target).count("<|endoftext|><EOT>") > 2


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000"])
def test_a_million_blanks_are_counted(blank: str) -> None:
    assert 0 < O200K.count(blank * 1_000_000) < 100_000


def test_embedded_targets_count_with_their_own_tokenizer(tiny_draft: str) -> None:
    counter = get_token_counter(f"embedded/{tiny_draft}")
    assert counter.exact
    assert counter.count("The cat sat on the mat.") < 23


@pytest.mark.parametrize("target", ["text-davinci-001", "huggingface/gpt2"])
def test_tables_that_would_have_to_be_downloaded_are_approximated(target: str) -> None:
    assert (get_token_counter(target).name, get_token_counter(target).exact) == ("cl100k_base", False)


@pytest.mark.parametrize("target", ["", "gpt-40", "claude", "nowhere/model", "openai/", "/gpt-4o", "embedded/"])
def test_unknown_targets(target: str) -> None:
    with pytest.raises(UnknownNameError, match=r"(target|draft) must be"):
        get_token_counter(target)
