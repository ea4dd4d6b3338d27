"""A LiteLLM provider that answers on this machine: `embedded/NAME` runs the causal LM that NAME finds.

NAME is anything a draft can be: a folder, a .gguf file, a Hugging Face id, or `smollm2-135m`. Made for demos and
tests that must not need a key: greedy decoding, one request at a time, no tools, no streaming.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import Any

import litellm
from litellm import CustomLLM
from litellm.types.utils import Choices, Message, ModelResponse, Usage

from agentcompress.drafts import load
from agentcompress.targets.counting import EMBEDDED as PREFIX

_PROVIDER = PREFIX.rstrip("/")
FIRST_TOKEN_MS = "agentcompress_first_token_ms"
"""Attribute of a response: milliseconds until the first token of the answer was there."""

_DEFAULT_MAX_TOKENS = 256
_loading = threading.Lock()


class EmbeddedLLM(CustomLLM):
    """The provider `embedded` of LiteLLM: a Hugging Face causal LM in this process."""

    # pyrefly: ignore[bad-override]
    def completion(
        self, model: str, messages: list[Any], model_response: ModelResponse, **options: Any
    ) -> ModelResponse:
        """Answer greedily. Options: `max_tokens` (256) and `stop`; a prompt over the window is an error."""
        settings = options.get("optional_params") or {}
        max_tokens = settings.get("max_tokens") or settings.get("max_completion_tokens") or _DEFAULT_MAX_TOKENS
        stop = settings.get("stop") or []
        stop = [stop] if isinstance(stop, str) else list(stop)
        name = model.removeprefix(PREFIX)
        text, prompt_tokens, answer_tokens, first_token_ms = _get_model(name).answer(messages, int(max_tokens), stop)
        model_response.model = f"{PREFIX}{name}"
        model_response.created = int(time.time())
        finish = "stop" if answer_tokens < max_tokens else "length"
        model_response.choices = [
            Choices(finish_reason=finish, index=0, message=Message(role="assistant", content=text))
        ]
        usage = Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=answer_tokens,
            total_tokens=prompt_tokens + answer_tokens,
        )
        setattr(model_response, "usage", usage)  # noqa: B010 - declared only at run time
        setattr(model_response, FIRST_TOKEN_MS, first_token_ms)
        return model_response


def register_embedded() -> None:
    """Make `embedded/...` known to LiteLLM; calling it again changes nothing."""
    if all(entry["provider"] != _PROVIDER for entry in litellm.custom_provider_map):
        litellm.custom_provider_map = [
            *litellm.custom_provider_map,
            {"provider": _PROVIDER, "custom_handler": EmbeddedLLM()},
        ]


def join_plain_turns(messages: list[Any]) -> list[dict[str, str]]:
    """Turns that every chat template can render: tool results are told by the user, turns of one role are joined.

    A tool call is named above its result and nowhere else: small models repeat calls that they see themselves make.
    """
    turns: list[dict[str, str]] = []
    calls: dict[str, str] = {}
    for message in messages:
        content = message.get("content") or ""
        if not isinstance(content, str):
            content = "\n".join(part.get("text", "") for part in content)
        for call in message.get("tool_calls") or ():
            calls[call["id"]] = f"{call['function']['name']} {call['function']['arguments']}"
        if message["role"] == "tool":
            content = f"Output of {calls.get(message.get('tool_call_id'), 'a tool')}:\n{content}"
        role = {"tool": "user", "function": "user", "developer": "system"}.get(message["role"], message["role"])
        if not content.strip():
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{content.strip()}"
        else:
            turns.append({"role": role, "content": content.strip()})
    return turns


class _CausalLM:
    def __init__(self, name: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from agentcompress.drafts.runtime import choose_device, choose_dtype

        files = load.pull_draft(name)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(files.folder))
        self._model: Any = AutoModelForCausalLM.from_pretrained(str(files.folder), dtype=choose_dtype())
        self._model = self._model.eval().to(choose_device())
        self._lock = threading.Lock()

    def answer(self, messages: list[Any], max_tokens: int, stop: list[str]) -> tuple[str, int, int, float]:
        """Return the answer up to the first of `stop`, the tokens of prompt and answer, and ms to the first one."""
        import torch

        prompt = self._tokenizer.apply_chat_template(
            join_plain_turns(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self._model.device)
        length = prompt["input_ids"].shape[1]
        window = self._model.config.max_position_embeddings
        if length + max_tokens > window:
            raise litellm.ContextWindowExceededError(
                f"prompt of {length} tokens and {max_tokens} for the answer exceed the window of {window}",
                model=self._model.config.name_or_path,
                llm_provider=_PROVIDER,
            )
        first: list[float] = []

        def note_first_token(ids: Any, scores: Any) -> Any:
            first.append(time.perf_counter())
            return scores

        with self._lock, torch.inference_mode():
            started = time.perf_counter()
            out = self._model.generate(
                **prompt,
                max_new_tokens=max_tokens,
                do_sample=False,
                repetition_penalty=1.0,  # greedy, whatever the model's own settings say
                logits_processor=[note_first_token],
                pad_token_id=self._tokenizer.pad_token_id,
                **({"stop_strings": stop, "tokenizer": self._tokenizer} if stop else {}),
            )
        answer = out[0, length:]
        text = self._tokenizer.decode(answer, skip_special_tokens=True)
        for mark in stop:
            text = text.partition(mark)[0]
        return text.strip(), length, len(answer), (first[0] - started) * 1000


def _get_model(name: str) -> _CausalLM:
    """The process's one model of that name; the last one is kept."""
    with _loading:
        return _load_model(name)


@lru_cache(maxsize=1)
def _load_model(name: str) -> _CausalLM:
    return _CausalLM(name)
