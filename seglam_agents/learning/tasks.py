"""What a compiler is given: the request or run, what is near to it, and the agent's tools."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seglam_agents.compilers.base import CompileTask, Known, Neighbour
from seglam_agents.compilers.traces.compiler import TraceCompiler
from seglam_agents.embedders.base import Embedder
from seglam_agents.guards.guard import Declined
from seglam_agents.guards.normal import normalise
from seglam_agents.learning.kinds import Kind
from seglam_agents.learning.tracebook import TraceBook
from seglam_agents.records.entry import Entry
from seglam_agents.records.request import Request, same_instructions
from seglam_agents.records.telling import tell
from seglam_agents.records.tools import Tool, same_condition
from seglam_agents.records.trace import Trace
from seglam_agents.serving.retriever import Retriever
from seglam_agents.stores.base import ProcedureStore, SearchableStore

logger = logging.getLogger(__name__)

MAX_NEIGHBOURS = 2
"""Stored procedures that a compiler is shown."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Makes tasks for compilers.

    Args:
        store: where near procedures are searched.
        retriever: what serves.
        embedder: finds what is near. It decides nothing.
        near: cosine above which a procedure is shown.
        book: the runs that are remembered.
        tools: what bodies may call.
        clock: whether bodies may read the clock.
    """

    store: ProcedureStore
    retriever: Retriever
    embedder: Embedder
    near: float
    book: TraceBook
    tools: Mapping[str, Tool]
    clock: bool = False
    instructions: str = ""
    """Digest of what the agent is told."""

    def holds_for(self, trace: Trace) -> bool:
        """Tell whether a run happened under the conditions of today: what others taught is no evidence now."""
        same = all(
            same_condition(trace.schemas.get(name, tool.condition), tool.condition) for name, tool in self.tools.items()
        )
        return same and same_instructions(trace.instructions, self.instructions)

    def undeclared(self, trace: Trace) -> str | None:
        """Return why no code can do what a run did: a tool was called as its declaration does not have it."""
        for step in trace.calls:
            tool = self.tools.get(step.tool)
            names = tool.undeclared(step.arguments) if tool is not None else ()
            if names:
                return (
                    f"{step.tool} was called with {', '.join(map(repr, names))}, which it does not declare, so that no "
                    "code may pass it: declare its parameters, as in Tool(parameters={'type': 'object', 'properties': "
                    "{…}}), or allow others with 'additionalProperties': true"
                )
        return None

    def of_request(self, known: Known, kind: Kind, vector: Sequence[float], finding: str = "") -> CompileTask:
        """Return the task of a compiler that asks a model."""
        return CompileTask(
            requests=(known,),
            related=tuple(item for item in kind.examples() if item.request.text != known.request.text),
            tools=tuple(self.tools.values()),
            neighbours=self._neighbours(known.request, vector),
            finding=finding,
        )

    def of_trace(self, trace: Trace, traces: TraceCompiler) -> CompileTask:
        """Return the task of the compiler that compares runs; where a scope is new to it, with all runs of that."""
        scope = trace.request.scope
        near = () if traces.knows(scope) else [other for other in self.book.all(scope) if self.holds_for(other)]
        # What came back under other conditions is no reason not to learn under these.
        serving = (loaded.procedure for loaded in self.retriever.serving(trace.request.scope) if loaded.held is None)
        made = (procedure for procedure in serving if procedure.provenance.compiler == traces.name)
        return CompileTask(
            requests=(Known(trace.request, trace.answer, trace),),
            related=tuple(Known(other.request, other.answer, other) for other in near),
            tools=tuple(self.tools.values()),
            neighbours=tuple(Neighbour(procedure, "") for procedure in made),
            clock=self.clock,
        )

    def vector(self, request: Request) -> list[float]:
        """Return the embedding of a request, of length one."""
        vector = [float(number) for number in self.embedder.embed_query(request.text)]
        length = math.hypot(*vector)
        return [number / length for number in vector] if length else vector

    def nearest(self, request: Request, limit: int) -> list[Entry]:
        """Return the entries nearest to a request; none where the store does not search, or is gone."""
        if not isinstance(self.store, SearchableStore):
            return []
        try:
            if not request.text.strip():
                return []
            found = self.store.search(request.scope, self.vector(request), limit=limit)
        except Exception as error:
            tell(logger, "near procedures cannot be found", error)
            return []
        return [match.entry for match in found]

    def _neighbours(self, request: Request, vector: Sequence[float]) -> tuple[Neighbour, ...]:
        if not isinstance(self.store, SearchableStore):
            return ()
        text = normalise(request.text)
        found: list[Neighbour] = []
        for match in self.store.search(request.scope, vector, limit=4 * MAX_NEIGHBOURS):
            served = self.retriever.served(request.scope, match.entry.procedure.id)
            if served is None or match.score < self.near or len(found) >= MAX_NEIGHBOURS:
                continue
            judgement = served.loaded.guard.explain(text, request.context)
            stopped = f"{judgement.stage}: {judgement.reason}" if isinstance(judgement, Declined) else "it accepts"
            found.append(Neighbour(served.loaded.procedure, stopped))
        return tuple(found)
