"""`ScriptedChat`: a chat model that says what a test wrote down. For tests of agents, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import Field


class ScriptedChat(BaseChatModel):
    """Says the messages of its script in order, the first again after the last, and counts."""

    script: list[AIMessage] = Field(default_factory=list[AIMessage])
    calls: int = 0
    seen: list[list[BaseMessage]] = Field(default_factory=list[list[BaseMessage]])
    bound: list[list[str]] = Field(default_factory=list[list[str]])
    """Names of the tools that were bound, call by call."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Remember the tools' names."""
        self.bound.append([str(getattr(tool, "name", tool)) for tool in tools])
        return self.bind(**kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = self.script[self.calls % len(self.script)].model_copy(deep=True)
        self.calls += 1
        self.seen.append(list(messages))
        asked = sum(len(str(item.content)) for item in messages) // 4  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        message.usage_metadata = {"input_tokens": asked, "output_tokens": 7, "total_tokens": asked + 7}
        message.response_metadata = {"model_name": "scripted-1"}
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def _llm_type(self) -> str:
        return "scripted"
