"""What a graph wraps its tools with: a record of each call, and writes that are not repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command
from seglam_agents import ReasoningCache

from langchain_seglam.graph_cache import (
    mapping_of,
)
from langchain_seglam.journal import Journal
from langchain_seglam.recording import recorded
from langchain_seglam.tenancy import Caches, cache_of, runtime_of
from langchain_seglam.turn import (
    WRITE,
)


def record_tool_call(
    request: ToolCallRequest, execute: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
) -> ToolMessage | Command[Any]:
    """Record a call as it is carried out: `ToolNode(tools, wrap_tool_call=record_tool_call)`.

    Without it the messages say what was carried out, which is wrong where somebody changes a call on its way.
    """
    return recorded(request, execute(request))


async def arecord_tool_call(
    request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
) -> ToolMessage | Command[Any]:
    """Record a call as it is carried out: `ToolNode(tools, awrap_tool_call=arecord_tool_call)`."""
    return recorded(request, await execute(request))


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """Keeps a graph's tools from repeating a write of a procedure after a crash, and records calls.

    `once = WriteOnce(cache)`, then `ToolNode(tools, wrap_tool_call=once.wrap, awrap_tool_call=once.awrap)`.

    Args:
        caches: a cache, or one a tenant, as for the node that is stood in for.
        journal: where begun writes are noted.
    """

    caches: Caches
    journal: Journal = field(default_factory=Journal)

    def wrap(
        self, request: ToolCallRequest, execute: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Carry a call out, unless it is a write that was begun before."""
        if (refused := self._begin(request)) is not None:
            return refused
        try:
            return record_tool_call(request, execute)
        except GraphBubbleUp:
            self._forget(request)
            raise

    async def awrap(
        self, request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Carry a call out, unless it is a write that was begun before. See `wrap`."""
        if (refused := await asyncio.to_thread(self._begin, request)) is not None:
            return refused
        try:
            return await arecord_tool_call(request, execute)
        except GraphBubbleUp:
            await asyncio.to_thread(self._forget, request)
            raise

    def _begin(self, request: ToolCallRequest) -> ToolMessage | None:
        cache, key = self._write(request)
        return self.journal.begin(cache, request, key) if cache is not None and key is not None else None

    def _forget(self, request: ToolCallRequest) -> None:
        cache, key = self._write(request)
        if cache is not None and key is not None:
            self.journal.forget(cache, request, key)

    def _write(self, request: ToolCallRequest) -> tuple[ReasoningCache | None, str | None]:
        cache = cache_of(self.caches, runtime_of(request))
        # The node of the tools sees the messages, and not always our channels.
        messages = cast("Sequence[BaseMessage]", mapping_of(cast(object, request.state)).get("messages") or ())
        for message in reversed(messages):
            if isinstance(message, AIMessage):
                asked = any(call["id"] == request.tool_call.get("id") for call in message.tool_calls)
                about = cast("Mapping[str, Mapping[str, Any]]", message.response_metadata).get("seglam", {})
                return cache, cast("str | None", about.get(WRITE)) if asked else None
        return cache, None
