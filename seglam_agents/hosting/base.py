"""`HostedCache`: what this room needs of a cache. `ReasoningCache` is one; it lives further up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

from seglam_agents.records.entry import Entry
from seglam_agents.records.outcome import (
    Action,
    CacheStatistics,
    Deopt,
    Final,
    GiveUp,
    Hit,
    Learned,
    Miss,
    Plan,
    Refused,
)
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.sandboxes.base import ToolResult
from seglam_agents.serving.threads import Standing
from seglam_agents.stores.base import ProcedureStore


def require_cache(cache: object) -> None:
    """Raise a `TypeError` where something is no cache: in silence it would be none, or break every run."""
    try:
        known = hasattr(cache, "plan") and hasattr(cache, "observe")
    except Exception:
        known = True  # One that is broken is a cache, and breaks nobody.
    if not known:
        raise TypeError(f"{cache!r} is no cache: pass a ReasoningCache that is open")


class HostedCache(Protocol):
    """A cache as a host uses it. Its methods do as those of `ReasoningCache`."""

    @property
    def scope(self) -> Scope:
        """Whose procedures."""
        ...

    @property
    def store(self) -> ProcedureStore:
        """Where procedures live, and the notes of this room."""
        ...

    @property
    def tools(self) -> Mapping[str, Tool]:
        """What bodies may call, by name."""
        ...

    def told(self, system_prompt: str) -> Self | None:
        """Return this cache for an agent that is told this; None where instructions are new at every run."""
        ...

    def under(self, instructions: str | None) -> Self | None:
        """Return this cache under instructions whose digest a host has kept. See `told`."""
        ...

    def later(self) -> Self:
        """Return this cache for the later turns of conversations, whose runs are conditions of their own."""
        ...

    def standing(self, request: str | Request, earlier: Sequence[str]) -> Standing:
        """Tell whether a request stands for itself after what persons said before it. Never raises."""
        ...

    def plan(self, request: str | Request, *, context: Mapping[str, Json] | None = None) -> Plan | Miss | Refused:
        """Say which procedure will answer. Never raises."""
        ...

    def bind(self, procedure: str, arguments: Mapping[str, Json]) -> Plan | Refused:
        """Plan a procedure that is called with arguments. Never raises."""
        ...

    def next_action(self, plan: Plan, recorded: Sequence[ToolResult] = ()) -> Action:
        """Return the next call of a plan, its answer, or that it gives up. Never raises."""
        ...

    def finish(self, plan: Plan, action: Final | GiveUp, steps: Sequence[ToolStep] = ()) -> Hit | Deopt:
        """Count what a plan came to."""
        ...

    def observe(self, trace: Trace) -> Learned:
        """Learn from a run. Never raises."""
        ...

    async def aobserve(self, trace: Trace) -> Learned:
        """Learn from a run without blocking the event loop. Never raises."""
        ...

    def procedures(self) -> list[Entry]:
        """Return the current entry of every procedure."""
        ...

    def near(self, text: str, *, limit: int = 8) -> list[Entry]:
        """Return the procedures nearest to a text. Never raises."""
        ...

    def before_closing(self, finish: Callable[[Self], None]) -> None:
        """Have this called with the cache before it is closed, to do what waits for it; once, if told twice."""
        ...

    def stats(self) -> CacheStatistics:
        """Return sums since the cache was opened."""
        ...
