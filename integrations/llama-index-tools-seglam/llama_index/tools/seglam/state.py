"""What the cache knows of a run of agents: plain data in the store of the run, so that it is saved with it."""

from __future__ import annotations

from llama_index.core.agent.workflow.workflow_events import ToolCallResult
from pydantic import TypeAdapter
from seglam_agents.hosting import AgentRun, Done, RunStore

from llama_index.tools.seglam.values import done_of

_CALLS: TypeAdapter[list[ToolCallResult]] = TypeAdapter(list[ToolCallResult])


async def results(store: RunStore) -> list[ToolCallResult]:
    """Return the calls of the run, in the order in which they ended."""
    return _CALLS.validate_python(await store.get("current_tool_calls", default=[]))


async def done(store: RunStore) -> list[Done]:
    """Return the calls of the run as plain data."""
    return [done_of(result) for result in await results(store)]


async def raised(store: RunStore, ran: AgentRun) -> AgentRun:
    """Raise the limit of iterations by a step that cost nothing."""
    limit = await store.get("max_iterations", default=None)
    if not isinstance(limit, int):
        return ran
    await store.set("max_iterations", limit + 1)
    return ran.model_copy(update={"free": ran.free + 1})


async def lowered(store: RunStore, ran: AgentRun) -> AgentRun:
    """Put the limit of iterations back."""
    limit = await store.get("max_iterations", default=None)
    if ran.free and isinstance(limit, int):
        await store.set("max_iterations", limit - ran.free)
    return ran.model_copy(update={"free": 0})
