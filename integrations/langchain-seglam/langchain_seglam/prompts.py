"""What a chat model was told in fact, whoever changed it after the cache had looked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.tracers.context import register_configure_hook

from langchain_seglam.messages import instructions_in


class Prompts(BaseCallbackHandler):
    """Collects the system messages of the model calls within."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        """Take in what a model is asked."""
        self.told += [instructions_in(batch) for batch in messages]


@contextmanager
def prompts() -> Generator[Prompts]:
    """Collect what chat models are told while this runs, in the same thread or task."""
    collected = Prompts()
    token = _collecting.set(collected)
    try:
        yield collected
    finally:
        _collecting.reset(token)


_collecting: ContextVar[Prompts | None] = ContextVar("seglam_prompts", default=None)
register_configure_hook(_collecting, inheritable=True)
