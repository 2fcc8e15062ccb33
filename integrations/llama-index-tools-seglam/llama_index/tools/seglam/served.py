"""What a procedure's run over a source of data comes to, whatever the source is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llama_index.core.schema import NodeWithScore
from seglam_agents import Call, ToolResult
from seglam_agents.records.record import Json

from llama_index.tools.seglam.sql import Unfit


@dataclass(frozen=True, slots=True)
class Served:
    """A procedure's answer in the form of the engine that it stands in for."""

    text: str
    metadata: dict[str, object]
    nodes: list[NodeWithScore] = field(default_factory=list[NodeWithScore])


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine did for one question, as the call of a tool."""

    tool: str
    arguments: Mapping[str, Json]
    result: Json


class Session(Protocol):
    """One run of a procedure: carries its calls out, and remembers what came of them."""

    def call(self, action: Call) -> ToolResult:
        """Carry out a call."""
        ...

    async def acall(self, action: Call) -> ToolResult:
        """Carry out a call without blocking the event loop."""
        ...

    def served(self, answer: Json) -> Served | Unfit:
        """Return the answer in the form of the engine, or why it is not to be trusted."""
        ...
