"""`WrappedModel`: what the chat models of all frameworks have in common as models of the cache."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from seglam_agents.models.base import Completion, Message
from seglam_agents.models.tokens import COUNTS, counted
from seglam_agents.records.errors import ModelError

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply of a framework says."""

    text: str
    reported: Mapping[str, object] = field(default_factory=dict[str, object])
    """The counts that it reports, under our names for them; empty where it reports none."""
    truncated: bool = False


class WrappedModel(ABC, Generic[R]):
    """A chat model of a framework as a `Model`: asked in both colours, timed, counted, its errors told as ours."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that the framework gives to the model."""

    @abstractmethod
    def ask(self, messages: Sequence[Message]) -> R:
        """Ask the model."""

    @abstractmethod
    async def aask(self, messages: Sequence[Message]) -> R:
        """Ask the model without blocking the event loop."""

    @abstractmethod
    def read(self, reply: R) -> Reply:
        """Return what a reply says.

        Raises:
            ModelError: it is none.
        """

    def __repr__(self) -> str:
        # The wrapped model's own repr may show a key.
        return f"{type(self).__name__}({self.name!r})"

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat.

        Raises:
            ModelError: the chat model raised, or gave no message.
        """
        started = time.perf_counter()
        try:
            reply = self.ask(messages)
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
            reply = await self.aask(messages)
        except Exception as error:
            raise self._failure(error) from error
        return self._completion(messages, reply, time.perf_counter() - started)

    def _completion(self, messages: Sequence[Message], reply: R, seconds: float) -> Completion:
        read = self.read(reply)
        usage = counted(messages, read.text, reported=read.reported, names=COUNTS, seconds=seconds)
        return Completion(read.text, usage, read.truncated)

    def _failure(self, error: Exception) -> ModelError:
        return ModelError(f"model {self.name!r} failed with {type(error).__name__}: {str(error)[:500]}")
