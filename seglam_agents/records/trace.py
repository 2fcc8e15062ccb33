"""`Trace`: what an agent did for one request, as executed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from seglam_agents.records.record import Json, Record, VersionedRecord, digest
from seglam_agents.records.request import Request
from seglam_agents.records.usage import Usage


class ToolStep(Record):
    """One tool call with its result, or with the error it raised."""

    kind: Literal["tool"] = "tool"
    tool: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])
    result: Json = None
    error: str | None = None


class ModelStep(Record):
    """One model call: what it said and what it cost."""

    kind: Literal["model"] = "model"
    text: str = ""
    usage: Usage = Usage()


Step: TypeAlias = Annotated[ToolStep | ModelStep, Field(discriminator="kind")]


class Trace(VersionedRecord):
    """A whole run: the request, the steps in order of execution, and the final answer."""

    request: Request
    steps: tuple[Step, ...] = ()
    answer: Json = None
    recorded_at: datetime | None = None

    @property
    def id(self) -> str:
        """A stable key of the content of the trace."""
        return digest(self.request.key, [step.model_dump(mode="json") for step in self.steps], self.answer)

    @property
    def calls(self) -> tuple[ToolStep, ...]:
        """The tool steps alone."""
        return tuple(step for step in self.steps if isinstance(step, ToolStep))

    @property
    def usage(self) -> Usage:
        """The cost of all model steps."""
        total = Usage()
        for step in self.steps:
            if isinstance(step, ModelStep):
                total += step.usage
        return total
