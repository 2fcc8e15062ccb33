"""`LangChainModel`: any LangChain chat model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from seglam_agents.models.base import Message
from seglam_agents.models.tokens import ended_by_length
from seglam_agents.models.wrapped import Reply, WrappedModel
from seglam_agents.records.errors import ModelError

try:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
    from langchain_core.runnables import Runnable
except ImportError as error:
    raise ImportError("LangChainModel needs LangChain: pip install 'seglam-agents[langchain]'") from error

_DETAILS: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


class LangChainModel(WrappedModel[object]):
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

    def ask(self, messages: Sequence[Message]) -> object:
        """Ask the chat model."""
        return self._chat_model.invoke(_converted(messages))

    async def aask(self, messages: Sequence[Message]) -> object:
        """Ask the chat model without blocking the event loop."""
        return await self._chat_model.ainvoke(_converted(messages))

    def read(self, reply: object) -> Reply:
        """Return what a reply says.

        Raises:
            ModelError: it is no chat message.
        """
        if not isinstance(reply, AIMessage):
            raise ModelError(
                f"model {self.name!r} gave no chat message but a {type(reply).__name__}; pass a chat model"
            )
        return Reply(str(reply.text), dict(reply.usage_metadata or {}), _truncated(reply))


def _converted(messages: Sequence[Message]) -> list[BaseMessage]:
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[message.role](content=message.content) for message in messages]


def _truncated(reply: AIMessage) -> bool:
    about: Mapping[str, object] = reply.response_metadata
    details = about.get("incomplete_details")
    return ended_by_length(about, _DETAILS.validate_python(details) if isinstance(details, Mapping) else {})
