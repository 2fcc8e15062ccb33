"""`ScriptedModel`: a chat model that says what a test wrote down, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from seglam_agents.models.base import Completion, Message
from seglam_agents.records.errors import ModelError
from seglam_agents.records.usage import Usage

Script: TypeAlias = Callable[[Sequence[Message]], str]

COMPILE_PROMPT = "You write a stored procedure"
"""How the system prompt of the compiler begins; every other prompt asks for an answer."""


class ScriptedModel:
    """A model without a model; safe to share between threads.

    Args:
        replies: what it says, in order, or a function from the messages to the reply. The function may block.
        name: goes into provenance.
        usage: what each call costs; without it, the words of the messages and of the reply.
    """

    def __init__(self, replies: Sequence[str] | Script, name: str = "scripted", *, usage: Usage | None = None) -> None:
        self.name = name
        self.asked: list[tuple[Message, ...]] = []
        self._replies = replies
        self._usage = usage
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.asked)

    @property
    def compilations(self) -> list[tuple[Message, ...]]:
        """The chats that asked for a procedure, repairs included."""
        return [messages for messages in self.asked if asks_for_code(messages)]

    @property
    def interpretations(self) -> list[tuple[Message, ...]]:
        """The chats that asked for an answer."""
        return [messages for messages in self.asked if not asks_for_code(messages)]

    def complete(self, messages: Sequence[Message]) -> Completion:
        """Give the next reply.

        Raises:
            ModelError: every reply has been given.
        """
        with self._lock:
            self.asked.append(tuple(messages))
            number = len(self.asked)
        if callable(self._replies):
            text = self._replies(messages)
        elif number <= len(self._replies):
            text = self._replies[number - 1]
        else:
            raise ModelError(f"the script has {len(self._replies)} replies and was asked for one more")
        return Completion(text, self._usage or _words(messages, text))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        """Give the next reply without blocking the event loop."""
        return await asyncio.to_thread(self.complete, messages)


def asks_for_code(messages: Sequence[Message]) -> bool:
    """Tell whether a chat asks for a procedure rather than for an answer."""
    return messages[0].content.startswith(COMPILE_PROMPT)


def writes(*modules: str, answer: str = "ANSWER: 0") -> Script:
    """Return a script that writes these modules, the last one again and again, and answers every request alike."""
    lock = threading.Lock()
    waiting = list(modules)

    def script(messages: Sequence[Message]) -> str:
        if not asks_for_code(messages):
            return answer
        with lock:
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return script


def _words(messages: Sequence[Message], reply: str) -> Usage:
    asked = sum(len(message.content.split()) for message in messages)
    return Usage(input_tokens=asked, output_tokens=len(reply.split()), calls=1)
