"""`Entries`: the only writer of entries. Compare-and-set, with the history and the wordings kept in step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from seglam_agents.lifecycle.transitions import FOLLOWING, moved, replaced
from seglam_agents.records.entry import (
    MAX_CONFIRMING,
    AdmissionReport,
    Confirmation,
    Entry,
    Statistics,
    Status,
    Transition,
    Wording,
    Written,
    wordings_of,
)
from seglam_agents.records.errors import ConflictError
from seglam_agents.records.procedure import Example, Procedure
from seglam_agents.records.request import Scope
from seglam_agents.records.trace import Trace
from seglam_agents.records.ways import Way, added
from seglam_agents.stores.base import ProcedureStore, note_agent

MAX_IDS = 100
"""Runs that are named as evidence for a wording."""
TRIES = 8
"""Races against other writers that a change may lose before it is given up."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Writes what a store holds. Safe to share between threads and processes: every write is compare-and-set.

    Args:
        store: where the entries are.
        clock: dates the lines of histories.
    """

    store: ProcedureStore
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def admit(
        self,
        procedure: Procedure,
        report: AdmissionReport,
        *,
        status: Status = "active",
        parent: Procedure | None = None,
        replaces: Iterable[Procedure] = (),
        made_from: Iterable[str] = (),
        vector: Sequence[float] | None = None,
    ) -> Entry:
        """Store an admitted procedure: as the next version of its parent, or as a new one.

        Args:
            procedure: the admitted one.
            report: what it was admitted on.
            status: what it begins as.
            parent: the version that it widens.
            replaces: further procedures that it takes the place of; they retire.
            made_from: ids of the runs or requests that it was made from.
            vector: the embedding of its kind of request.

        Raises:
            ConflictError: the parent was changed by somebody else.
        """
        # Without a parent there may still be one of this id that has retired: the new one is its next version.
        current = self.store.get(procedure.scope, parent.id if parent else procedure.id)
        if parent and (current is None or current.procedure.key != parent.key):
            raise ConflictError(f"{parent.key} was changed by somebody else while it was being widened")
        if current and not parent:
            procedure = procedure.model_copy(update={"version": current.procedure.version + 1})
        entry = self._put(self._new(procedure, report, status, parent, made_from, current), current, vector)
        for old in replaces:
            self.retire(old, f"{procedure.key} takes its place")
        if current is None:
            note_agent(self.store, procedure.scope)
        return entry

    def move(self, scope: Scope, procedure_id: str, status: Status, why: str, *, who: str = "seglam") -> Entry | None:
        """Give a procedure another status; None where there is no such procedure, or others always were faster.

        Raises:
            TransitionError: the status may not follow the present one.
        """
        return self.change(scope, procedure_id, lambda entry: moved(entry, status, why, who=who, at=self.clock()))

    def retire(self, procedure: Procedure, why: str) -> None:
        """Retire a version, unless another one has taken its place or it is retired already."""
        self._take_out(procedure, "retired", why)

    def suspend(self, procedure: Procedure, why: str) -> None:
        """Suspend a version that serves, unless another one has taken its place."""
        self._take_out(procedure, "suspended", why)

    def _take_out(self, procedure: Procedure, status: Status, why: str) -> None:
        def change(entry: Entry) -> Entry | None:
            if entry.procedure.key != procedure.key or status not in FOLLOWING[entry.status]:
                return None
            return moved(entry, status, why, at=self.clock())

        self.change(procedure.scope, procedure.id, change)

    def confirm(
        self,
        trace: Trace,
        procedure_id: str,
        conditions: str,
        *,
        agreed: bool,
        writing: Collection[str] = (),
        way: Way | None = None,
    ) -> Entry | None:
        """Note that a run under other conditions did what the procedure said, or did not.

        Args:
            trace: the run.
            procedure_id: which one.
            conditions: the key of the conditions.
            agreed: whether it did.
            writing: the tools of the procedure that write.
            way: how it went through the body, and what it met there.
        """

        def change(entry: Entry) -> Entry | None:
            known = entry.confirmation(conditions)
            if trace.id in (*known.agreed, *known.differed):
                return None
            noted = _agreeing(known, trace, writing, way) if agreed else _differing(known, trace)
            if noted is known:
                return None
            others = (item for item in entry.confirmations if item.conditions != conditions)
            return entry.model_copy(update={"confirmations": (*others, noted)})

        return self.change(trace.request.scope, procedure_id, change)

    def foretold(
        self, scope: Scope, procedure_id: str, template: str, trace_id: str, *, wrong: str = ""
    ) -> Entry | None:
        """Note on a wording that a serving procedure foretold a run; a wrong prediction suspends the procedure.

        Args:
            scope: where the procedure is.
            procedure_id: which one.
            template: the wording that accepted the request.
            trace_id: the run.
            wrong: what the run did instead; empty where the prediction was right.
        """

        def change(entry: Entry) -> Entry | None:
            found = next((wording for wording in entry.wordings if wording.template == template), None)
            if found is None or trace_id in (*found.evidence.predicted, *found.evidence.contradicted):
                return None
            field = "contradicted" if wrong else "predicted"
            ids = (*getattr(found.evidence, field), trace_id)[-MAX_IDS:]
            noted = found.model_copy(update={"evidence": found.evidence.model_copy(update={field: ids})})
            wordings = tuple(noted if wording is found else wording for wording in entry.wordings)
            counted = entry.model_copy(update={"wordings": wordings})
            if not wrong or entry.status not in ("active", "shadow"):
                return counted
            return moved(counted, "suspended", f"a run did something else: {wrong}"[:500], at=self.clock())

        return self.change(scope, procedure_id, change)

    def count(self, scope: Scope, procedure_id: str, more: Statistics, uses: Mapping[str, int]) -> bool:
        """Add to the statistics of a procedure; False where others always were faster.

        Args:
            scope: of the procedure.
            procedure_id: which one.
            more: what it did.
            uses: hits by its wordings, by template.
        """
        gone = self.store.get(scope, procedure_id) is None
        return gone or self.change(scope, procedure_id, lambda entry: _counted(entry, more, uses)) is not None

    def change(self, scope: Scope, procedure_id: str, change: Callable[[Entry], Entry | None]) -> Entry | None:
        """Change an entry by a pure function, as often as it takes; None where it is gone, stays, or races are lost."""
        for _ in range(TRIES):
            entry = self.store.get(scope, procedure_id)
            changed = change(entry) if entry else None
            if entry is None or changed is None:
                return None
            with suppress(ConflictError):
                return self.store.put(changed, expected_revision=entry.revision)
        return None

    def _new(
        self,
        procedure: Procedure,
        report: AdmissionReport,
        status: Status,
        parent: Procedure | None,
        made_from: Iterable[str],
        current: Entry | None,
    ) -> Entry:
        why = f"widens {parent.key}" if parent else f"admitted, compiled by {procedure.provenance.compiler}"
        line = Transition(status=status, version=procedure.version, why=why, at=self.clock())
        entry = Entry(
            procedure=procedure,
            status=status,
            history=(line,),
            wordings=_inherited(wordings_of(procedure, made_from), current),
            report=report,
            statistics=current.statistics if current else Statistics(),
            confirmations=_kept(current, procedure),
        )
        return replaced(current, entry) if current else entry

    def _put(self, entry: Entry, current: Entry | None, vector: Sequence[float] | None) -> Entry:
        return self.store.put(
            entry,
            expected_revision=current.revision if current else 0,
            vector=None if current else vector,
        )


def _counted(entry: Entry, more: Statistics, uses: Mapping[str, int]) -> Entry:
    old = entry.statistics
    used = (item.model_copy(update={"uses": item.uses + uses.get(item.template, 0)}) for item in entry.wordings)
    return entry.model_copy(
        update={
            "wordings": tuple(used),
            "statistics": Statistics(
                hits=old.hits + more.hits,
                deopts=old.deopts + more.deopts,
                conflicts=old.conflicts + more.conflicts,
                saved_tokens=old.saved_tokens + more.saved_tokens,
            ),
        }
    )


def _agreeing(known: Confirmation, trace: Trace, writing: Collection[str], way: Way | None) -> Confirmation:
    ways = added(known.ways, way) if way is not None else known.ways
    shown = known if ways == known.ways else known.model_copy(update={"ways": ways})
    request = Example(text=trace.request.text, context=trace.request.context, origin="trace", trace_id=trace.id)
    again = any((other.text, other.context) == (request.text, request.context) for other in known.requests)
    if again or len(known.requests) >= MAX_CONFIRMING:
        return shown
    made = (Written(tool=step.tool, arguments=step.arguments) for step in trace.calls if step.tool in writing)
    return shown.model_copy(
        update={
            "agreed": (*known.agreed, trace.id),
            "requests": (*known.requests, request),
            "writes": (*known.writes, *made),
        }
    )


def _differing(known: Confirmation, trace: Trace) -> Confirmation:
    return known.model_copy(update={"differed": (*known.differed, trace.id)[:MAX_CONFIRMING]})


def _inherited(wordings: tuple[Wording, ...], current: Entry | None) -> tuple[Wording, ...]:
    """A wording that the version before had keeps its evidence."""
    known = {wording.template: wording for wording in current.wordings} if current else {}
    return tuple(known.get(wording.template, wording) for wording in wordings)


def _kept(current: Entry | None, procedure: Procedure) -> tuple[Confirmation, ...]:
    """What runs said of a body holds for the next version only where body and tools are the same."""
    same = current is not None and (current.procedure.body, current.procedure.tools) == (
        procedure.body,
        procedure.tools,
    )
    return current.confirmations if current is not None and same else ()
