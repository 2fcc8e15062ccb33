"""Passages that a host's retriever finds: procedures retrieve and compute on them; reading them is the model's work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from seglam_agents.hosting.answering import Seen, Unfit
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json
from seglam_agents.records.tools import HostTool, Tool
from seglam_agents.records.values import Value, decode
from seglam_agents.sandboxes.base import ToolResult

N = TypeVar("N")

RETRIEVE = "retrieve"


class Passages(ABC, Generic[N]):
    """A retriever that procedures call: `retrieve(query)` returns texts with scores, and code computes on them.

    Nothing is learnt from what a host says on its own: reading is the model's work. A procedure comes from
    `cache.learn` or `cache.observe` with a trace whose answer code can compute.
    """

    tool = Tool(
        name=RETRIEVE,
        description="Return the passages nearest to a query, as objects with id, text, score and metadata.",
        parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        effect="read",
    )

    @property
    def tools(self) -> Sequence[HostTool]:
        """What to declare to the cache."""
        return (HostTool(self.tool, self.direct),)

    @abstractmethod
    def retrieve(self, query: str) -> Sequence[N]:
        """Return the passages nearest to a query."""

    @abstractmethod
    async def aretrieve(self, query: str) -> Sequence[N]:
        """Return the passages nearest to a query without blocking the event loop."""

    @abstractmethod
    def json(self, found: N) -> dict[str, Json]:
        """Return a passage as procedures get it: with its id, text, score and metadata."""

    def seen(self, question: str, metadata: Mapping[str, object]) -> Seen | Unfit:
        """Return that there is nothing to learn: what was retrieved had to be read."""
        return Unfit("what a retriever finds has to be read; code cannot")

    def direct(self, query: Value) -> Value:
        """Retrieve for a procedure that runs outside of a host."""
        return decode([self.json(one) for one in self.retrieve(str(query))])


@dataclass(slots=True)
class Retrieving(Generic[N]):
    """One run of a procedure over a retriever.

    Args:
        source: the retriever.
    """

    source: Passages[N]
    found: list[N] = field(default_factory=list[N])

    def call(self, action: Call) -> ToolResult:
        """Retrieve for a call."""
        return self._result(self.source.retrieve(_query(action)))

    async def acall(self, action: Call) -> ToolResult:
        """Retrieve for a call without blocking the event loop."""
        return self._result(await self.source.aretrieve(_query(action)))

    def _result(self, found: Sequence[N]) -> ToolResult:
        self.found += found
        return ToolResult(value=decode([self.source.json(one) for one in found]))


def _query(action: Call) -> str:
    if action.tool != RETRIEVE:
        raise ValueError(f"{action.tool} is no tool of this engine")
    return str(action.arguments.get("query"))
