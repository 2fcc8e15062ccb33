"""`LangChainModel`: any LangChain chat model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from seglam_agents.models.base import Completion, Message
from seglam_agents.models.tokens import counted, ended_by_length
from seglam_agents.records.errors import ModelError

try:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
    from langchain_core.runnables import Runnable
except ImportError as error:
    raise ImportError("LangChainModel needs LangChain: pip install 'seglam-agents[langchain]'") from error

TOKEN_NAMES = ("input_tokens", "output_tokens")
_DETAILS: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


class LangChainModel:
    """A LangChain chat model as a `Model`.

    Args:
        chat_model: a `BaseChatModel`, or one that was wrapped, as by `with_retry` or `with_fallbacks`.
    """

    def __init__(self, chat_model: Runnable[LanguageModelInput, AIMessage]) -> None:
        self._chat_model = chat_model

    @property
    def name(self) -> str:
        """The name that the chat model gives to its model, or its class."""
        for attribute in ("model_name", "model", "model_id"):
            if isinstance(name := getattr(self._chat_model, attribute, None), str) and name:
                return name
        return self._chat_model.get_name()

    def __repr__(self) -> str:
        # The wrapped model's own repr may show a key.
        return f"LangChainModel({self.name!r})"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat.

        Raises:
            ModelError: the chat model raised, or gave no message.
        """
        started = time.perf_counter()
        try:
            reply: object = self._chat_model.invoke(_converted(messages))
        except Exception as error:
            raise self._failure(error) from error
        return self._completion(messages, reply, time.perf_counter() - started)

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat without blocking the event loop.

        Raises:
            ModelError: the chat model raised, or gave no message.
        """
        started = time.perf_counter()
        try:
            reply: object = await self._chat_model.ainvoke(_converted(messages))
        except Exception as error:
            raise self._failure(error) from error
        return self._completion(messages, reply, time.perf_counter() - started)

    def _completion(self, messages: Sequence[Message], reply: object, seconds: float) -> Completion:
        if not isinstance(reply, AIMessage):
            raise ModelError(
                f"model {self.name!r} gave no chat message but a {type(reply).__name__}; pass a chat model"
            )
        text = str(reply.text)
        reported: Mapping[str, object] = dict(reply.usage_metadata or {})
        usage = counted(messages, text, reported=reported, names=TOKEN_NAMES, seconds=seconds)
        return Completion(text, usage, _truncated(reply))

    def _failure(self, error: Exception) -> ModelError:
        return ModelError(f"model {self.name!r} failed with {type(error).__name__}: {str(error)[:500]}")


def _converted(messages: Sequence[Message]) -> list[BaseMessage]:
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[message.role](content=message.content) for message in messages]


def _truncated(reply: AIMessage) -> bool:
    about: Mapping[str, object] = reply.response_metadata
    details = about.get("incomplete_details")
    return ended_by_length(about, _DETAILS.validate_python(details) if isinstance(details, Mapping) else {})
