"""`LlamaIndexModel`: any LLM of LlamaIndex as the model that compiles; and what replies say they cost."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.llms.llm import LLM
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.dispatcher import instrument_tags
from llama_index_instrumentation.event_handlers import BaseEventHandler
from seglam_agents.hosting import (
    Completion,
    Message,
    ModelError,
    Usage,
    counted,
    ended_by_length,
    mapping,
    reported_counts,
    several,
)

TAG = "seglam"
"""The tag of the events of a call that compiles: `compile`. Dashboards can tell them from those of the agent."""
NAMES = ("input_tokens", "output_tokens")


class LlamaIndexModel:
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

    def __repr__(self) -> str:
        # The LLM's own repr may show a key.
        return f"LlamaIndexModel({self.name!r})"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat.

        Raises:
            ModelError: the LLM raised, or gave no text.
        """
        with self._asking() as seen:
            reply = self._llm.chat(_converted(messages))
        return self._completion(messages, reply, seen)

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat without blocking the event loop.

        Raises:
            ModelError: the LLM raised, or gave no text.
        """
        with self._asking() as seen:
            reply = await self._llm.achat(_converted(messages))
        return self._completion(messages, reply, seen)

    @contextmanager
    def _asking(self) -> Generator[_Counts]:
        """Tag a call of the LLM, count what its events report, and raise what it raises as an error of the model."""
        seen = _Counts()
        token = _COUNTS.set(seen)
        _listen()
        try:
            with instrument_tags({TAG: "compile"}):
                yield seen
        except Exception as error:
            raise ModelError(f"model {self.name!r} failed with {type(error).__name__}: {str(error)[:500]}") from error
        finally:
            _COUNTS.reset(token)
            seen.seconds = time.perf_counter() - seen.started

    def _completion(self, messages: Sequence[Message], reply: ChatResponse, seen: _Counts) -> Completion:
        text = reply.message.content
        if not text:
            raise ModelError(f"model {self.name!r} gave no text; pass a chat model")
        reported = seen.total or counts_of(reply.raw) or counts_of(_additional(reply))
        usage = counted(messages, text, reported=reported, names=NAMES, seconds=seen.seconds)
        return Completion(text, usage, _truncated(reply))


def usage_of(raw: object) -> Usage:
    """Return the usage that a raw reply reports; one call without tokens where it reports none."""
    found = counts_of(raw)
    return Usage(input_tokens=found.get(NAMES[0], 0), output_tokens=found.get(NAMES[1], 0), calls=1)


def counts_of(raw: object) -> dict[str, int]:
    """Return the token counts of a raw reply, whatever the provider calls them; empty where it has none."""
    document = _mapping(raw)
    return reported_counts(_mapping(document.get("usage") or document.get("usage_metadata")) or document)


@dataclass(slots=True)
class _Counts:
    """What the events of one call report."""

    total: dict[str, int] = field(default_factory=dict[str, int])
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    def add(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            self.total[name] = self.total.get(name, 0) + count


_COUNTS: contextvars.ContextVar[_Counts | None] = contextvars.ContextVar("seglam_counts", default=None)


class _Listener(BaseEventHandler):
    """Adds up the tokens of the chats of the running call, and no others."""

    @classmethod
    def class_name(cls) -> str:
        return "SeglamTokenListener"

    def handle(self, event: BaseEvent, **kwargs: object) -> None:
        counts = _COUNTS.get()
        if counts is not None and isinstance(event, LLMChatEndEvent) and event.response is not None:
            counts.add(counts_of(event.response.raw))


def _listen() -> None:
    root = get_dispatcher()
    if not any(isinstance(handler, _Listener) for handler in root.event_handlers):
        root.add_event_handler(_Listener())


def _converted(messages: Sequence[Message]) -> list[ChatMessage]:
    return [ChatMessage(role=message.role, content=message.content) for message in messages]


def _additional(reply: ChatResponse) -> object:
    return reply.additional_kwargs  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _truncated(reply: ChatResponse) -> bool:
    raw = _mapping(reply.raw)
    choices = several(raw.get("choices"))
    return ended_by_length(raw, _mapping(choices[0] if choices else None))


def _mapping(value: object) -> Mapping[str, object]:
    dump = getattr(value, "model_dump", None)
    return mapping(dump()) if callable(dump) else mapping(value)
