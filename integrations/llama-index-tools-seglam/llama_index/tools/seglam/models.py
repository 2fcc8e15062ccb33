"""`LlamaIndexModel`: any LLM of LlamaIndex as the model that compiles; and what replies say they cost."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.llms.llm import LLM
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.dispatcher import instrument_tags
from llama_index_instrumentation.event_handlers import BaseEventHandler
from seglam_agents import hosting
from seglam_agents.hosting import Message, counts_of

TAG = "seglam"
"""The tag of the events of a call that compiles: `compile`. Dashboards can tell them from those of the agent."""

Counts: TypeAlias = dict[str, int]


class LlamaIndexModel(hosting.WrappedModel[tuple[ChatResponse, Counts]]):
    """An LLM of LlamaIndex as a `Model`: `ReasoningCache(store, LlamaIndexModel(llm))`.

    Tokens are those that the events of the call report, retries within the LLM included; else those of the reply;
    else an estimate.
    """

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    @property
    def name(self) -> str:
        """The name that the LLM gives to its model, or its class."""
        named = self._llm.metadata.model_name
        return named if named and named != "unknown" else self._llm.class_name()

    def ask(self, messages: Sequence[Message]) -> tuple[ChatResponse, Counts]:
        """Ask the LLM."""
        with _counting() as seen:
            return self._llm.chat(_converted(messages)), seen

    async def aask(self, messages: Sequence[Message]) -> tuple[ChatResponse, Counts]:
        """Ask the LLM without blocking the event loop."""
        with _counting() as seen:
            return await self._llm.achat(_converted(messages)), seen

    def read(self, reply: tuple[ChatResponse, Counts]) -> hosting.Reply:
        """Return what a reply says.

        Raises:
            ModelError: it gave no text.
        """
        response, seen = reply
        text = response.message.content
        if not text:
            raise hosting.ModelError(f"model {self.name!r} gave no text; pass a chat model")
        counts = seen or counts_of(response.raw) or counts_of(hosting.fields_of(response).get("additional_kwargs"))
        return hosting.Reply(text, counts, hosting.cut_off(response.raw))


def usage_of(raw: object) -> hosting.Usage:
    """Return the usage that a raw reply reports; one call without tokens where it reports none."""
    return hosting.Usage(calls=1, **counts_of(raw))


_COUNTS: ContextVar[Counts | None] = ContextVar("seglam_counts", default=None)


class _Listener(BaseEventHandler):
    """Adds up the tokens of the chats of the running call, and no others."""

    @classmethod
    def class_name(cls) -> str:
        return "SeglamTokenListener"

    def handle(self, event: BaseEvent, **kwargs: object) -> None:
        seen = _COUNTS.get()
        if seen is not None and isinstance(event, LLMChatEndEvent) and event.response is not None:
            for name, count in counts_of(event.response.raw).items():
                seen[name] = seen.get(name, 0) + count


@contextmanager
def _counting() -> Generator[Counts]:
    """Tag the events of a call of the LLM, and count what they report."""
    root, seen = get_dispatcher(), Counts()
    if not any(isinstance(handler, _Listener) for handler in root.event_handlers):
        root.add_event_handler(_Listener())
    token = _COUNTS.set(seen)
    try:
        with instrument_tags({TAG: "compile"}):
            yield seen
    finally:
        _COUNTS.reset(token)


def _converted(messages: Sequence[Message]) -> list[ChatMessage]:
    return [ChatMessage(role=message.role, content=message.content) for message in messages]
