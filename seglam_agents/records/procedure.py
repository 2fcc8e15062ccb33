"""`Procedure`: guard + body + everything needed to trust, review and repeat them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from seglam_agents.records.record import Json, Record, VersionedRecord, digest
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Effect, Tool

Status: TypeAlias = Literal["candidate", "shadow", "active", "quarantined", "retired"]


class Parameter(Record):
    """One argument of the body, bound by a slot of the guard or by a key of the request's context."""

    name: str
    slot: str
    """The slot as templates spell it, such as `money` or `choice(red|blue)`; a JSON type name for a context value."""
    optional: bool = False
    """True where some template lacks the slot: the body then gets None."""
    source: Literal["text", "context"] = "text"


class GuardSource(Record):
    """A guard as data: templates with an optional predicate, or code where no template fits."""

    templates: tuple[str, ...] = ()
    where: str | None = None
    """An expression over the arguments that must be true, e.g. `count > 0`."""
    code: str | None = None
    """Python that defines `match(request) -> dict | None`, run in the sandbox."""

    @model_validator(mode="after")
    def _templates_or_code(self) -> Self:
        if bool(self.templates) == bool(self.code):
            raise ValueError("a guard has either templates or code")
        return self


class ToolUse(Record):
    """A tool that the body declares, as it was when the procedure was admitted."""

    name: str
    effect: Effect
    idempotent: bool = False
    schema_hash: str = ""
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, tool: Tool) -> Self:
        """Return a tool as it is now."""
        return cls(
            name=tool.name,
            effect=tool.effect,
            idempotent=tool.idempotent,
            schema_hash=tool.schema_hash,
            arguments=tool.argument_names,
        )


class Example(Record):
    """A request with its right answer, or (as counterexample) a request that the guard must decline."""

    text: str
    context: dict[str, Json] = Field(default_factory=dict[str, Json])
    answer: Json = None
    origin: Literal["request", "trace", "model", "mutation", "correction", "neighbour"] = "request"
    trace_id: str | None = None


class Provenance(Record):
    """Where a procedure came from."""

    compiler: str
    model: str = ""
    prompt_hash: str = ""
    trace_ids: tuple[str, ...] = ()
    parent: str | None = None
    """`id@version` of the procedure that this one widens or corrects."""
    repairs: int = 0
    created_at: datetime | None = None


class Check(Record):
    """One admission check: what was tried and what came of it."""

    name: str
    verdict: Literal["passed", "failed", "skipped"]
    evidence: str = ""
    cases: int = 0
    """How many cases were tried."""


class AdmissionReport(Record):
    """Every check of one candidate, with its evidence."""

    checks: tuple[Check, ...] = ()

    @property
    def admitted(self) -> bool:
        """True when no check failed, and at least one passed."""
        return any(c.verdict == "passed" for c in self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "failed")

    @property
    def clean_replays(self) -> int:
        """Cases with a known right answer that were replayed exactly, and that the code was not made from if any."""
        passed = {check.name: check.cases for check in self.checks if check.verdict == "passed"}
        return passed.get("held out", passed.get("replay", 0))


class Statistics(Record):
    """What a procedure did since it was admitted."""

    hits: int = 0
    deopts: int = 0
    conflicts: int = 0
    """How often another procedure accepted the same request and answered differently."""
    saved_tokens: int = 0


class Procedure(VersionedRecord):
    """An immutable version of a stored answer to a kind of request."""

    id: str
    version: int = 1
    name: str
    description: str = ""
    scope: Scope = Scope()
    guard: GuardSource
    body: str
    """Python source that defines `run(...)`."""
    parameters: tuple[Parameter, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    examples: tuple[Example, ...] = ()
    counterexamples: tuple[Example, ...] = ()
    provenance: Provenance
    status: Status = "candidate"

    @property
    def content_hash(self) -> str:
        """SHA-256 over everything that decides an answer: guard, body, parameters and tools."""
        return digest(
            self.guard.model_dump(mode="json"),
            self.body,
            [parameter.model_dump(mode="json") for parameter in self.parameters],
            [tool.model_dump(mode="json") for tool in self.tools],
            length=64,
        )

    @property
    def key(self) -> str:
        """`id@version`, the name by which answers cite a procedure."""
        return f"{self.id}@{self.version}"

    @property
    def pure(self) -> bool:
        """True when the body calls no tool."""
        return not self.tools


class Entry(VersionedRecord):
    """A procedure as a store holds it, with its report, its statistics and the revision that wrote it."""

    procedure: Procedure
    report: AdmissionReport = AdmissionReport()
    statistics: Statistics = Statistics()
    revision: int = 0
    """Assigned by the store; 0 before the first write."""
