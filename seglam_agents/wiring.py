"""Wires the rooms of the house together, once, for one cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from seglam_agents.admission.admission import Admission
from seglam_agents.books import Books
from seglam_agents.compilers.base import Compiler
from seglam_agents.compilers.traces.compiler import TraceCompiler
from seglam_agents.embedders.base import Embedder
from seglam_agents.engine import Engine
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange
from seglam_agents.learning.compiling import Compiling
from seglam_agents.learning.flights import Flights
from seglam_agents.learning.kinds import Kinds
from seglam_agents.learning.learning import Learning
from seglam_agents.learning.policy import Policy
from seglam_agents.learning.shadows import Shadows
from seglam_agents.learning.tasks import Tasks
from seglam_agents.learning.tracebook import TraceBook
from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.outcome import Outcome
from seglam_agents.records.procedure import ClosingChoice
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.base import Limits, Sandbox, ToolCall, ToolResult
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.lookup import Lookup
from seglam_agents.serving.retriever import Retriever
from seglam_agents.stores.base import ProcedureStore


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a cache was opened with."""

    store: ProcedureStore
    sandbox: Sandbox
    tools: Mapping[str, Tool]
    instructions: str
    """Digest of what the agent is told."""
    compilers: Sequence[Compiler]
    policy: Policy
    embedder: Embedder
    near: float
    second: Sandbox | None
    second_reason: str
    second_opinion: bool
    attacker: bool
    learning: bool
    limits: Limits
    seed: int
    now: Callable[[], datetime] | None
    locale: str = ""
    predictions: tuple[int, int] = (1, 2)
    write_range: WriteRange = WRITE_RANGE
    closing: ClosingChoice = "auto"


def wired(
    wiring: Wiring,
    call: Callable[[ToolCall], ToolResult],
    resumed: Callable[[Outcome], Outcome],
    books: Books | None = None,
) -> Engine:
    """Return the engine of a cache.

    Args:
        wiring: what the cache was opened with.
        call: runs a tool of the host; it must not raise.
        resumed: adds to an outcome what earlier attempts at the same request did.
        books: of another engine, where both count together.
    """
    store, tools, told = wiring.store, wiring.tools, wiring.instructions
    now, clock = wiring.now, wiring.now is not None
    executor = Executor(wiring.sandbox, wiring.limits)
    retriever = Retriever(
        store,
        wiring.sandbox,
        tools=tools,
        limits=wiring.limits,
        instructions=told,
        locale=wiring.locale,
        write_range=wiring.write_range,
    )
    entries, book, kinds = Entries(store), TraceBook(store), Kinds(store, wiring.near)
    books = books or Books()
    admission = Admission(
        executor,
        wiring.second,
        wiring.second_reason,
        seed=wiring.seed,
        now=now,
        locale=wiring.locale,
        write_range=wiring.write_range,
    )
    lookup = Lookup(retriever, executor, call, now)
    compiling = Compiling(
        wiring.compilers,
        admission,
        entries,
        retriever,
        kinds,
        books,
        tools,
        told,
        wiring.second_opinion,
        wiring.attacker,
    )
    learning = Learning(
        lookup=lookup,
        tasks=Tasks(store, retriever, wiring.embedder, wiring.near, book, tools, clock, told),
        compiling=compiling,
        kinds=kinds,
        book=book,
        policy=wiring.policy,
        books=books,
        flights=Flights(),
        shadows=Shadows(retriever, executor, entries, tools, told, clock),
        traces=TraceCompiler(*wiring.predictions, wiring.write_range, wiring.closing),
        on=wiring.learning,
    )
    return Engine(lookup, learning, entries, books, resumed)
