"""A chat model of LlamaIndex that says what was written beforehand; for tests, examples and benchmarks."""

# The decorators of the host have no types.
# pyright: reportUnknownVariableType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import PrivateAttr

Reply: TypeAlias = "str | ToolCallBlock | ChatMessage"
Script: TypeAlias = Callable[[Sequence[ChatMessage]], Reply]


class ScriptedLLM(MockFunctionCallingLLM):
    """A function calling model without a model.

    Args:
        replies: what it says, in order (a text, a call of a tool, a message), or a function of the messages.
        usage: token counts that every reply reports, in the words of OpenAI.
    """

    _replies: list[Reply] | Script = PrivateAttr()
    _usage: dict[str, int] = PrivateAttr()
    _asked: list[list[ChatMessage]] = PrivateAttr(default_factory=list[list[ChatMessage]])
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def __init__(self, replies: Sequence[Reply] | Script, *, usage: dict[str, int] | None = None) -> None:
        super().__init__()
        self._replies = replies if callable(replies) else list(replies)
        self._usage = usage or {}

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the model."""
        return "scripted"

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self._asked)

    @property
    def asked(self) -> list[list[ChatMessage]]:
        """What it was asked."""
        return self._asked

    @property
    def metadata(self) -> LLMMetadata:
        """Say that it calls tools."""
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True, model_name="scripted")

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: object) -> ChatResponse:
        """Give the next reply."""
        return self._next(messages)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: object) -> ChatResponse:
        """Give the next reply."""
        return self._next(messages)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: object) -> ChatResponseGen:
        """Give the next reply, in one piece."""
        response = self._next(messages)
        return (piece for piece in (response,))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: object) -> ChatResponseAsyncGen:
        """Give the next reply, in one piece."""
        response = self._next(messages)

        async def pieces() -> ChatResponseAsyncGen:
            yield response

        return pieces()

    def _next(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        with self._lock:
            self._asked.append(list(messages))
            number = len(self._asked)
        if callable(self._replies):
            reply = self._replies(messages)
        elif number <= len(self._replies):
            reply = self._replies[number - 1]
        else:
            raise RuntimeError(f"the script has {len(self._replies)} replies and was asked for one more")
        message = _message(reply)
        return ChatResponse(
            message=message, delta=message.content, raw={"usage": dict(self._usage)} if self._usage else None
        )


def call(tool: str, call_id: str = "call", /, **arguments: object) -> ToolCallBlock:
    """Return a reply that calls a tool."""
    return ToolCallBlock(tool_call_id=call_id, tool_name=tool, tool_kwargs=arguments)


def _message(reply: Reply) -> ChatMessage:
    if isinstance(reply, str):
        return ChatMessage(role="assistant", content=reply)
    if isinstance(reply, ToolCallBlock):
        return ChatMessage(role="assistant", blocks=[reply])
    return reply
