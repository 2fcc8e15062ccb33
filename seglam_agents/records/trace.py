"""`Trace`: what an agent did for one request, as executed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from seglam_agents.records.record import Json, Migration, Record, VersionedRecord, digest
from seglam_agents.records.request import Request
from seglam_agents.records.usage import Usage

Decision: TypeAlias = Literal["none", "approved", "edited", "rejected"]
"""What a person said of a call: nothing, yes, yes with other arguments, no."""


class ToolStep(Record):
    """One tool call with its result, or with the error it raised."""

    kind: Literal["tool"] = "tool"
    tool: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])
    """As executed; where a person edited them, as edited."""
    result: Json = None
    error: str | None = None
    decision: Decision = "none"
    proposed: dict[str, Json] | None = None
    """The arguments before a person edited them."""
    missing: bool = False
    """True where the call was made and its result is not on record: `result` then says nothing."""
    batch: int | None = None
    """Calls with the same number were asked for together; None where that is not on record."""


class ModelStep(Record):
    """One model call: what it said and what it cost."""

    kind: Literal["model"] = "model"
    text: str = ""
    usage: Usage = Usage()


Step: TypeAlias = Annotated[ToolStep | ModelStep, Field(discriminator="kind")]


class Utterance(Record):
    """What was said in an earlier turn of the conversation."""

    role: Literal["user", "assistant", "tool"]
    text: str


class Trace(VersionedRecord):
    """A whole run: the request, the steps in order of execution, and the final answer."""

    SCHEMA: ClassVar[int] = 2
    MIGRATIONS: ClassVar[tuple[Migration, ...]] = (dict,)  # Version 2 only has further fields.

    request: Request
    """With the typed context that the run had."""
    steps: tuple[Step, ...] = ()
    answer: Json = None
    recorded_at: datetime | None = None
    earlier: tuple[Utterance, ...] = ()
    """Earlier turns of the conversation, oldest first; empty for a request that opened it."""
    instructions: str = ""
    """Digest of the agent's instructions in this run; empty where it had none, or they are not on record."""
    schemas: dict[str, str] = Field(default_factory=dict[str, str])
    """Schema hashes of the tools as they were in this run, by name; what is not here is not on record. Not part of the
    run's id: it says what the run happened under, not what it was."""

    @property
    def id(self) -> str:
        """A stable key of the content of the trace."""
        told = self.instructions.partition("/")[0]  # As it was before more of it was kept.
        later = [part for part in ([item.model_dump() for item in self.earlier], told) if part]
        return digest(self.request.key, [_content(step) for step in self.steps], self.answer, *later)

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


def _content(step: ToolStep | ModelStep) -> dict[str, Json]:
    """Return what identifies a step; what version 1 did not have counts only where it is used."""
    document = step.model_dump(mode="json")
    for name, default in _LATER.items():
        if name in document and document[name] == default:
            del document[name]
    return document


_LATER: dict[str, Json] = {"decision": "none", "proposed": None, "missing": False, "batch": None}
