"""What tools are wrapped with: a record of each call, and writes of procedures that are not repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.errors import GraphBubbleUp
from seglam_agents.hosting import WRITE, Driver, Drivers, InDoubt, Journal, Known, Write, is_json, is_object, offering

from langchain_seglam.kinds import Loose, ToolOutput, mapping_of
from langchain_seglam.messages import about
from langchain_seglam.recording import recorded
from langchain_seglam.state import attempt_of
from langchain_seglam.tenancy import Caches, cache_of, runtime_of

Execute = Callable[[ToolCallRequest], ToolOutput]
AsyncExecute = Callable[[ToolCallRequest], Awaitable[ToolOutput]]


def record_tool_call(request: ToolCallRequest, execute: Execute) -> ToolOutput:
    """Record a call as it is carried out: `ToolNode(tools, wrap_tool_call=record_tool_call)`.

    Without it the messages say what was carried out, which is wrong where somebody changes a call on its way.
    """
    return recorded(request, execute(request))


async def arecord_tool_call(request: ToolCallRequest, execute: AsyncExecute) -> ToolOutput:
    """Record a call as it is carried out: `ToolNode(tools, awrap_tool_call=arecord_tool_call)`."""
    return recorded(request, await execute(request))


def write_once(request: ToolCallRequest, execute: Execute, write: Write | None, driver: Driver | None) -> ToolOutput:
    """Carry a call out and record it; a write of a procedure is noted before and after, and done once."""
    if write is None or driver is None:
        return record_tool_call(request, execute)
    noted = _Noted(driver.journal, write, attempt_of(request))
    if (instead := noted.begin(request)) is not None:
        return instead
    try:
        with offering(write):
            result = record_tool_call(request, execute)
    except GraphBubbleUp:
        noted.journal.withdraw(write, noted.attempt)
        raise
    noted.end(result)
    return result


async def awrite_once(
    request: ToolCallRequest, execute: AsyncExecute, write: Write | None, driver: Driver | None
) -> ToolOutput:
    """Carry a call out and record it. See `write_once`."""
    if write is None or driver is None:
        return await arecord_tool_call(request, execute)
    noted = _Noted(driver.journal, write, attempt_of(request))
    if (instead := await asyncio.to_thread(noted.begin, request)) is not None:
        return instead
    try:
        with offering(write):
            result = await arecord_tool_call(request, execute)
    except GraphBubbleUp:
        await asyncio.to_thread(noted.journal.withdraw, write, noted.attempt)
        raise
    await asyncio.to_thread(noted.end, result)
    return result


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """Keeps a graph's tools from repeating a write of a procedure after a crash, and records calls.

    `once = WriteOnce(cache)`, then `ToolNode(tools, wrap_tool_call=once.wrap, awrap_tool_call=once.awrap)`.

    Args:
        caches: a cache, or one a tenant, as for the node that is stood in for.
    """

    caches: Caches
    _drivers: Drivers = field(default_factory=Drivers)

    def wrap(self, request: ToolCallRequest, execute: Execute) -> ToolOutput:
        """Carry a call out, unless it is a write that was begun before."""
        return write_once(request, execute, _written(request), self._driver(request))

    async def awrap(self, request: ToolCallRequest, execute: AsyncExecute) -> ToolOutput:
        """Carry a call out, unless it is a write that was begun before. See `wrap`."""
        driver = await asyncio.to_thread(self._driver, request)
        return await awrite_once(request, execute, _written(request), driver)

    def _driver(self, request: ToolCallRequest) -> Driver | None:
        cache = cache_of(self.caches, runtime_of(request))
        return self._drivers.of(cache) if cache is not None else None


@dataclass(frozen=True, slots=True)
class _Noted:
    """One call in the journal."""

    journal: Journal
    write: Write
    attempt: str

    def begin(self, request: ToolCallRequest) -> ToolMessage | None:
        """Note the call; return what to say instead where it must not be carried out."""
        name, call_id = request.tool_call["name"], request.tool_call["id"]
        match self.journal.begin(self.write, self.attempt):
            case InDoubt(text=text):
                return ToolMessage(content=text, name=name, tool_call_id=call_id, status="error")
            case Known(document=document):
                return ToolMessage.model_validate({**document, "name": name, "tool_call_id": call_id})
            case _:
                return None

    def end(self, result: ToolOutput) -> None:
        """Note what the call came to."""
        if not isinstance(result, ToolMessage):
            self.journal.end(self.write, self.attempt, None)
            return
        kept = result.model_dump(include={"content", "artifact", "status", "response_metadata"})
        if not is_json(kept.get("artifact")):
            kept.pop("artifact")
        document = kept if is_object(kept) else None
        self.journal.end(self.write, self.attempt, document, failed=result.status == "error")


def _written(request: ToolCallRequest) -> Write | None:
    """Return what names the write that a procedure asked for; None for other calls.

    The node of the tools sees the messages, and not always our channels.
    """
    state: Loose = request.state
    messages: list[BaseMessage] = mapping_of(state).get("messages") or []
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            known = any(call["id"] == request.tool_call.get("id") for call in message.tool_calls)
            document = about(message).get(WRITE) if known else None
            return Write.model_validate(document) if document is not None else None
    return None
