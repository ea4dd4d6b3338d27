"""Targets that answer: any model LiteLLM knows, and `embedded/NAME`, any local Hugging Face causal LM."""

from __future__ import annotations

from typing import Any

from agentcompress.errors import EvaluationError, TooLongError
from agentcompress.targets import embedded


class LiteLLMTarget:
    """Answers greedily, a prompt a turn. model: LiteLLM's name. Safe to make without a key: nothing is sent yet."""

    def __init__(self, model: str) -> None:
        self.model = model
        if model.startswith(embedded.PREFIX):
            embedded.register_embedded()

    def answer(self, prompt: str, max_tokens: int) -> tuple[str, float | None]:
        """Return the answer, and the milliseconds until its first token, which only embedded targets tell.

        Raises `TooLongError` for a prompt beyond its window, and `EvaluationError` when the target fails: a score of a
        failed call would be no measurement.
        """
        import litellm

        try:
            response: Any = litellm.completion(
                model=self.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=0,
                max_tokens=max_tokens,
            )
        except litellm.ContextWindowExceededError as error:
            raise TooLongError("prompt", f"{len(prompt)} characters", f"within the window of {self.model!r}") from error
        except Exception as error:  # LiteLLM raises any of its providers' errors
            raise EvaluationError(f"target {self.model!r} failed: {type(error).__name__}: {error}") from error
        return response.choices[0].message.content or "", getattr(response, embedded.FIRST_TOKEN_MS, None)
