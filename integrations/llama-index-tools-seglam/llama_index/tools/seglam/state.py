"""What the cache knows of a run of agents: plain data in the store of the run, so that it is saved with it."""

from __future__ import annotations

from typing import Protocol

from llama_index.core.agent.workflow.workflow_events import ToolCallResult
from pydantic import TypeAdapter, ValidationError
from seglam_agents.hosting import Done, Ran

from llama_index.tools.seglam.values import done_of

KEY = "seglam"

_CALLS: TypeAdapter[list[ToolCallResult]] = TypeAdapter(list[ToolCallResult])


class Store(Protocol):
    """The store of a run."""

    async def get(self, path: str, default: object = ...) -> object:
        """Return a value."""
        ...

    async def set(self, path: str, value: object) -> None:
        """Keep a value."""
        ...


async def load(store: Store) -> Ran:
    """Return what is known of a run."""
    document = await store.get(KEY, default=None)
    try:
        return Ran.model_validate(document) if document is not None else Ran()
    except ValidationError:
        return Ran()  # Of another version: the run goes on without the cache.


async def save(store: Store, ran: Ran) -> None:
    """Keep what is known of a run."""
    await store.set(KEY, ran.model_dump(mode="json"))


async def results(store: Store) -> list[ToolCallResult]:
    """Return the calls of the run, in the order in which they ended."""
    return _CALLS.validate_python(await store.get("current_tool_calls", default=[]))


async def done(store: Store) -> list[Done]:
    """Return the calls of the run as plain data."""
    return [done_of(result) for result in await results(store)]


async def raised(store: Store, ran: Ran) -> Ran:
    """Raise the limit of iterations by a step that cost nothing."""
    limit = await store.get("max_iterations", default=None)
    if not isinstance(limit, int):
        return ran
    await store.set("max_iterations", limit + 1)
    return ran.model_copy(update={"free": ran.free + 1})


async def lowered(store: Store, ran: Ran) -> Ran:
    """Put the limit of iterations back."""
    limit = await store.get("max_iterations", default=None)
    if ran.free and isinstance(limit, int):
        await store.set("max_iterations", limit - ran.free)
    return ran.model_copy(update={"free": 0})
