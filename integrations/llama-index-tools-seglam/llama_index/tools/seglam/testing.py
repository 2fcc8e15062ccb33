"""A chat model of LlamaIndex that says what was written beforehand; for tests, examples and benchmarks."""

# The decorators of the host have no types.
# pyright: reportUnknownVariableType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import TypeAlias

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
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
        """Give the next reply, word by word."""
        response = self._next(messages)

        def words() -> Generator[ChatResponse, None, None]:
            yield from _pieces(response)

        return words()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: object) -> ChatResponseAsyncGen:
        """Give the next reply, word by word."""
        response = self._next(messages)

        async def words() -> AsyncGenerator[ChatResponse, None]:
            for piece in _pieces(response):
                yield piece

        return words()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> CompletionResponse:
        """Give the next reply as text."""
        response = self._next([ChatMessage(role="user", content=prompt)])
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: object) -> CompletionResponse:
        """Give the next reply as text."""
        response = self._next([ChatMessage(role="user", content=prompt)])
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

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
        return ChatResponse(message=_message(reply), raw={"usage": dict(self._usage)} if self._usage else None)


def call(tool: str, call_id: str = "call", /, **arguments: object) -> ToolCallBlock:
    """Return a reply that calls a tool."""
    return ToolCallBlock(tool_call_id=call_id, tool_name=tool, tool_kwargs=arguments)


def _message(reply: Reply) -> ChatMessage:
    if isinstance(reply, str):
        return ChatMessage(role="assistant", content=reply)
    if isinstance(reply, ToolCallBlock):
        return ChatMessage(role="assistant", blocks=[reply])
    return reply


def _pieces(response: ChatResponse) -> Generator[ChatResponse, None, None]:
    text = response.message.content or ""
    if not text:
        yield response
        return
    said = ""
    for word in text.split(" "):
        delta = word if not said else f" {word}"
        said += delta
        whole = said == text
        message = response.message if whole else ChatMessage(role="assistant", content=said)
        yield ChatResponse(message=message, delta=delta, raw=response.raw if whole else None)
