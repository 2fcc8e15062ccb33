"""`Entry`: a procedure as a store holds it: status, history, wordings, what it was admitted on and did since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from seglam_agents.records.procedure import Example, Procedure
from seglam_agents.records.record import Json, Migration, Record, VersionedRecord
from seglam_agents.records.ways import Way

Status: TypeAlias = Literal["candidate", "shadow", "active", "suspended", "quarantined", "retired"]
"""`candidate`: not yet admitted. `shadow`: runs beside the model, serves nothing. `active`: serves. `suspended`: was
found wrong and waits to be examined. `quarantined`: taken out by a person or by proof. `retired`: has had its time."""
WordingStatus: TypeAlias = Literal["candidate", "active", "suspended", "retired"]


class Evidence(Record):
    """What stands behind a wording, by sort."""

    made_from: tuple[str, ...] = ()
    """Ids of the runs or requests that it was made from. They prove nothing."""
    predicted: tuple[str, ...] = ()
    """Ids of runs that the procedure foretold before it was made from them."""
    contradicted: tuple[str, ...] = ()
    """Ids of runs that did something else than the procedure said."""
    recognised: int = 0
    """How often a model mapped a request of this wording to the procedure."""
    opinions: int = 0
    """How often a second opinion agreed."""
    persons: tuple[str, ...] = ()
    """Who confirmed it."""


class Wording(Record):
    """One template of a guard, with the evidence behind it."""

    template: str
    status: WordingStatus = "active"
    evidence: Evidence = Evidence()
    vector: tuple[float, ...] = ()
    """The embedding of a request in these words; empty where none was made."""
    uses: int = 0
    """Hits by this wording."""


class Transition(Record):
    """One line of the history of an entry. Lines are appended and never changed."""

    status: Status
    """The status from then on."""
    version: int
    why: str
    who: str = "seglam"
    evidence: str = ""
    at: datetime | None = None


MAX_CONFIRMING = 64
"""Requests that are kept of the runs that agree under other conditions."""


class Written(Record):
    """A write that a run made."""

    tool: str
    arguments: dict[str, Json] = Field(default_factory=dict[str, Json])


class Confirmation(Record):
    """What runs said of a procedure under other conditions than those it was learnt under."""

    conditions: str
    """The key of the conditions."""
    agreed: tuple[str, ...] = ()
    """Ids of runs that did what the procedure said."""
    requests: tuple[Example, ...] = ()
    """What was asked in those runs, each once: one request asked again says nothing new."""
    writes: tuple[Written, ...] = ()
    """What those runs wrote."""
    differed: tuple[str, ...] = ()
    """Ids of runs that did not."""
    ways: tuple[Way, ...] = ()
    """What the runs that did have shown, one way through the body each; older records have none."""


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
    sandbox: str = ""
    """The name of the sandbox in which it was tried; empty in older reports, and where it was not run."""

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


def wordings_of(procedure: Procedure, made_from: Iterable[str] = ()) -> tuple[Wording, ...]:
    """Return the wordings of a new procedure: one a template, with what it was made from."""
    evidence = Evidence(made_from=tuple(made_from) or procedure.provenance.trace_ids)
    return tuple(Wording(template=template, evidence=evidence) for template in procedure.guard.templates)


def _status_of_the_entry(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had the status on the procedure, and neither wordings nor a history."""
    procedure = dict(document["procedure"])
    status = procedure.pop("status", "candidate")
    made_from = list(procedure.get("provenance", {}).get("trace_ids", ()))
    templates = procedure["guard"].get("templates", ())
    history = {"status": status, "version": procedure.get("version", 1), "why": "stored by version 1 of the record"}
    return {
        **document,
        "procedure": procedure,
        "status": status,
        "history": [history],
        "wordings": [{"template": template, "evidence": {"made_from": made_from}} for template in templates],
    }


class Entry(VersionedRecord):
    """A procedure as a store holds it. Written by `seglam_agents.lifecycle.entries` alone."""

    SCHEMA: ClassVar[int] = 2
    MIGRATIONS: ClassVar[tuple[Migration, ...]] = (_status_of_the_entry,)

    procedure: Procedure
    status: Status = "candidate"
    history: tuple[Transition, ...] = ()
    """Oldest first."""
    wordings: tuple[Wording, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
    report: AdmissionReport = AdmissionReport()
    statistics: Statistics = Statistics()
    revision: int = 0
    """Assigned by the store; 0 before the first write."""

    def wording(self, template: str) -> Wording | None:
        """Return the wording of a template."""
        return next((wording for wording in self.wordings if wording.template == template), None)

    def confirmation(self, conditions: str) -> Confirmation:
        """Return what runs said under some conditions, by their key."""
        found = (item for item in self.confirmations if item.conditions == conditions)
        return next(found, Confirmation(conditions=conditions))
