"""What tools are wrapped with: a record of each call, and writes of procedures that are not repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from seglam_agents import hosting
from seglam_agents.hosting import Flow, Write

from langchain_seglam.kinds import WAITS, Loose, ToolOutput, mapping_of
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


def carry_out(
    request: ToolCallRequest, execute: Execute | AsyncExecute, write: Write | None, driver: hosting.Driver | None
) -> Flow[ToolOutput]:
    """Carry a call out and record it; a write of a procedure is noted before and after, and done once."""
    run: Callable[[ToolCallRequest], Loose] = execute

    def call() -> Flow[ToolOutput]:
        return recorded(request, (yield from hosting.host(lambda: run(request), lambda: run(request))))

    def instead(told: hosting.Known | hosting.InDoubt) -> ToolOutput:
        name, call_id = request.tool_call["name"], request.tool_call["id"]
        if isinstance(told, hosting.InDoubt):
            return ToolMessage(content=told.text, name=name, tool_call_id=call_id, status="error")
        # A message takes a content that is not there for "None", where another host noted a value in its own form.
        content = told.document["content"]
        return ToolMessage.model_validate({**told.document, "content": content, "name": name, "tool_call_id": call_id})

    write = hosting.as_made(write, request.tool_call["name"], request.tool_call["args"])
    journal, attempt = (driver.journal, attempt_of(request)) if driver is not None else (None, "")
    return (yield from hosting.once(journal, write, attempt, call, instead=instead, document=_kept, waits=WAITS))


@dataclass(frozen=True, slots=True)
class WriteOnce:
    """Keeps a graph's tools from repeating a write of a procedure after a crash, and records calls.

    `once = WriteOnce(cache)`, then `ToolNode(tools, wrap_tool_call=once.wrap, awrap_tool_call=once.awrap)`.

    Args:
        caches: a cache, or one a tenant, as for the node that is stood in for.
    """

    caches: Caches
    _drivers: hosting.Drivers = field(default_factory=hosting.Drivers)

    def wrap(self, request: ToolCallRequest, execute: Execute) -> ToolOutput:
        """Carry a call out, unless it is a write that was begun before."""
        return hosting.drive(self._once(request, execute))

    async def awrap(self, request: ToolCallRequest, execute: AsyncExecute) -> ToolOutput:
        """Carry a call out, unless it is a write that was begun before. See `wrap`."""
        return await hosting.adrive(self._once(request, execute))

    def _once(self, request: ToolCallRequest, execute: Execute | AsyncExecute) -> Flow[ToolOutput]:
        cache = yield from hosting.work(lambda: cache_of(self.caches, runtime_of(request)))
        return (yield from carry_out(request, execute, written(request), self._drivers.known(cache)))


def _kept(result: ToolOutput) -> tuple[dict[str, hosting.Json] | None, bool]:
    """Return what the journal keeps of what a call came to, and whether the tool says that it failed."""
    if not isinstance(result, ToolMessage):
        return None, False
    kept = result.model_dump(include={"content", "artifact", "status", "response_metadata"})
    if not hosting.is_json(kept.get("artifact")):
        kept.pop("artifact")
    return kept if hosting.is_object(kept) else None, result.status == "error"


def written(request: ToolCallRequest) -> Write | None:
    """Return what names the write that a procedure asked for; None for other calls.

    The node of the tools sees the messages, and not always our channels.
    """
    state: Loose = request.state
    messages: list[BaseMessage] = mapping_of(state).get("messages") or []
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            known = any(call["id"] == request.tool_call.get("id") for call in message.tool_calls)
            document = about(message).get(hosting.WRITE) if known else None
            return Write.model_validate(document) if document is not None else None
    return None
