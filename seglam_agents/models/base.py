"""`Model`: any chat model, as messages in, text and usage out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from seglam_agents.records.usage import Usage


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, and what it cost."""

    text: str
    usage: Usage
    truncated: bool = False
    """True when the model stopped at its length limit."""


@runtime_checkable
class Model(Protocol):
    """A chat model. Both colours must say the same; `name` goes into provenance."""

    @property
    def name(self) -> str:
        """How reports and provenance name the model."""
        ...

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat.

        Raises:
            ModelError: the model cannot be reached or gave no usable reply.
        """
        ...

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Answer a chat without blocking the event loop."""
        ...
