"""A step of a chain: `prompt | CompressPrompt() | llm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field, PrivateAttr

from agentcompress.config import CompressConfig
from agentcompress.deciding import OnError
from agentcompress.errors import InvalidInputError
from agentcompress.guarded import Guarded, OnReceipt, settings_of
from agentcompress.sending import in_background

Prompt = str | PromptValue | Sequence[Any]


class CompressPrompt(RunnableSerializable[Prompt, Any]):
    """Compresses a prompt: a string, a prompt value, or a list of messages. What comes out is what came in, shorter.

    Tool results and context blocks are compressed (`agentcompress.planning`). Settings are those of `Guarded`; `config`
    is a mapping of `CompressConfig`'s, or one of those, so that `dumps` and `loads` bring the step back. `target` names
    the model behind it: a step does not see what it is piped to.

    Raises `InvalidInputError` for bad settings, and for an input that is none of these.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    config: dict[str, Any] = Field(default_factory=dict)
    target: str | None = None
    keep_rate: float | Literal["auto"] | None = None
    target_tokens: int | None = None
    deadline_ms: float | None = None
    namespace: str | None = None
    fit: bool = True
    on_error: OnError = "warn"
    on_receipt: OnReceipt | None = Field(default=None, exclude=True)
    _guarded: Guarded = PrivateAttr()

    def __init__(self, config: CompressConfig | Mapping[str, Any] | None = None, **settings: Any) -> None:
        for name, value in settings.items():
            if name not in type(self).model_fields:
                raise InvalidInputError(name, value, f"absent ({', '.join(type(self).model_fields)})")
        named = settings_of(config)
        guarded = Guarded(named, **{key: value for key, value in settings.items() if key != "name"})  # LangChain's own
        super().__init__(config=named, **settings)
        self._guarded = guarded

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Its settings are JSON; `on_receipt` is left out."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `loads` finds it."""
        return ["langchain_agentcompress"]

    def invoke(self, input: Prompt, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """The prompt, compressed."""
        return self._call_with_config(self._compressed, input, config, **kwargs)

    async def ainvoke(self, input: Prompt, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """The prompt, compressed in a thread."""

        async def compressed(prompt: Prompt) -> Any:
            return await in_background(lambda: self._compressed(prompt))

        return await self._acall_with_config(compressed, input, config, **kwargs)

    def _compressed(self, prompt: Prompt) -> Any:
        if isinstance(prompt, str | PromptValue):
            return self._guarded.shortened(prompt)
        if not isinstance(prompt, Sequence) or isinstance(prompt, bytes | bytearray):
            raise InvalidInputError("input", prompt, "a string, a prompt value or a list of messages")
        named = all(isinstance(message, BaseMessage | Mapping) for message in prompt)
        return self._guarded.shortened(prompt if named else convert_to_messages(prompt))
