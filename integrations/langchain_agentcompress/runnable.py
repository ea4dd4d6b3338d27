"""A step of a chain: `prompt | CompressPrompt() | llm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import Field

from agentcompress.config import CompressConfig
from agentcompress.doors.background import in_background
from agentcompress.doors.guard import OnReceipt
from agentcompress.errors import InvalidInputError
from langchain_agentcompress.settings import GuardedSettings

Prompt = str | PromptValue | Sequence[Any]


class CompressPrompt(GuardedSettings, RunnableSerializable[Prompt, Any]):
    """Compresses a prompt: a string, a prompt value, or a list of messages. What comes out is what came in, shorter.

    Tool results and context blocks are compressed (`agentcompress.conversation.blocks`). Settings are those of
    `Guarded`; `config` is a mapping of `CompressConfig`'s, or one of those, so that `dumps` and `loads` bring the step
    back. `target` names the model behind it: a step does not see what it is piped to.

    Raises `InvalidInputError` for bad settings, and for an input that is none of these.
    """

    namespace: str | None = None
    fit: bool = True
    on_receipt: OnReceipt | None = Field(default=None, exclude=True)

    settings: ClassVar[tuple[str, ...]] = (*GuardedSettings.settings, "namespace", "fit", "on_receipt")

    def __init__(self, config: CompressConfig | Mapping[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(config, **settings)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Its settings are JSON; `on_receipt` is left out."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The module that LangChain's `loads` looks for the class in."""
        return ["langchain_agentcompress"]

    def invoke(self, input: Prompt, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """The prompt, compressed. kwargs: what the chain was called with, and none of this step's."""
        return self._call_with_config(self._compress, input, config)

    async def ainvoke(self, input: Prompt, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """The prompt, compressed in a thread."""

        async def compress(prompt: Prompt) -> Any:
            return await in_background(lambda: self._compress(prompt))

        return await self._acall_with_config(compress, input, config)

    def _compress(self, prompt: Prompt) -> Any:
        if isinstance(prompt, str | PromptValue):
            return self.guarded.shorten(prompt)
        if not isinstance(prompt, Sequence) or isinstance(prompt, bytes | bytearray):
            raise InvalidInputError("input", prompt, "a string, a prompt value or a list of messages")
        named = all(isinstance(message, BaseMessage | Mapping) for message in prompt)
        return self.guarded.shorten(prompt if named else convert_to_messages(prompt))
