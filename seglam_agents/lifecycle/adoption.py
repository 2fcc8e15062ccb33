"""Procedures of an agent that version 1 of the records knew by a fingerprint move to the scope of its name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from seglam_agents.lifecycle.transitions import moved
from seglam_agents.records.entry import Entry, Statistics, Status, Transition
from seglam_agents.records.errors import ConflictError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.records.trace import Trace
from seglam_agents.stores.base import AGENT_NOTE, NoteStore, ProcedureStore, note_agent

logger = logging.getLogger(__name__)

TRACE_NOTE = "trace"
KIND_NOTE = "kind"
FINISHED_NOTE = "taken over"
"""By the fingerprint of the old scope, and the revision of it that was taken over whole. Written last."""
TAKEN_OVER = "taken over from a scope of record version 1"
TRIES = 8
"""Races against other writers of one procedure that may be lost before it is left for the next opening."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Copies what an agent had learnt into its scope of today. Nothing is deleted.

    Every step looks at what is there already. So it may be stopped anywhere, be done twice, or by two at once: done
    again, it does what was left, and what was learnt in the scope of today is never overwritten.

    Args:
        store: where both scopes are.
        old: the scope by the fingerprint of version 1: the agent's tools with their schemas, and its instructions.
        new: the scope by the agent's name.
        instructions: digest of the instructions, which are a condition now.
    """

    store: ProcedureStore
    old: Scope
    new: Scope
    instructions: str = ""

    def __call__(self) -> int:
        """Copy what is missing, and return how many procedures were copied or completed."""
        if self.old == self.new:
            return 0
        changes = self.store.changes(self.old)
        if changes.revision and changes.revision == self._finished():
            return 0
        renamed = self._traces()
        copied = sum(self._procedure(entry, renamed) for entry in changes.entries)
        self._add(KIND_NOTE, self._read(self.old, KIND_NOTE))
        if changes.entries:
            self._agent()
            self._finish(changes.revision)
        if copied:
            logger.info("%d procedures of record version 1 were taken over", copied)
        return copied

    def _procedure(self, entry: Entry, renamed: dict[str, str]) -> bool:
        """Copy the versions of a procedure that are missing, oldest first; False where none is."""
        versions = list(self.store.versions(self.old, entry.procedure.id))
        copied, lost = False, 0
        while lost < TRIES and (following := self._following(versions, renamed)) is not None:
            revision, state = following
            try:
                self.store.put(state, expected_revision=revision)
                copied = True
            except ConflictError:  # Another worker was faster, and may have done it.
                lost += 1
        return copied

    def _following(self, versions: Sequence[Entry], renamed: dict[str, str]) -> tuple[int, Entry] | None:
        """Return the next state to write, and over which revision; None where there is nothing left."""
        there = self.store.get(self.new, versions[0].procedure.id) if versions else None
        if there is None:
            return (0, self._moved(versions, 0, renamed, Statistics())) if versions else None
        place = next((n for n, version in enumerate(versions) if self._is_copy(there, version)), None)
        if place is None or place + 1 == len(versions):
            return None  # Learnt today, or whole.
        if there.history[-1].why.startswith(TAKEN_OVER):
            since = _sum(there.statistics, versions[place].statistics, -1)
            return there.revision, self._moved(versions, place + 1, renamed, since)
        # It has a life of its own by now, but nothing may serve that somebody had retired.
        ended = versions[-1].status == "retired" and there.status != "retired"
        if not ended or any(line.why == _RETIRED for line in there.history):
            return None
        return there.revision, moved(there, "retired", _RETIRED)

    def _is_copy(self, there: Entry, version: Entry) -> bool:
        """Tell whether an entry of today is a version of then, and no other that has its number."""
        now, then = there.procedure, version.procedure
        same = (now.version, now.body, now.guard, now.instructions)
        noted = any(line.why.startswith(TAKEN_OVER) and line.version == now.version for line in there.history)
        return noted and same == (then.version, then.body, then.guard, self.instructions)

    def _moved(self, versions: Sequence[Entry], place: int, renamed: dict[str, str], since: Statistics) -> Entry:
        entry = versions[place]
        origin = entry.procedure.provenance
        traces = tuple(renamed.get(trace_id, trace_id) for trace_id in origin.trace_ids)
        procedure = entry.procedure.model_copy(
            update={
                "scope": self.new,
                "instructions": self.instructions,
                "provenance": origin.model_copy(update={"trace_ids": traces}),
            }
        )
        # A version that another one has replaced must not serve until that one is written, too.
        last = place + 1 == len(versions)
        status: Status = entry.status if last else "retired"
        why = TAKEN_OVER if last else f"{TAKEN_OVER}, where a later version had replaced it"
        line = Transition(status=status, version=procedure.version, why=why)
        update = {
            "procedure": procedure,
            "status": status,
            "history": (*entry.history, line),
            "statistics": _sum(entry.statistics, since),
            "revision": 0,
        }
        return entry.model_copy(update=update)

    def _traces(self) -> dict[str, str]:
        """Copy the remembered runs, and return their new ids: a run's id names its scope, too."""
        renamed: dict[str, str] = {}
        runs: dict[str, dict[str, Json]] = {}
        for note in self._read(self.old, TRACE_NOTE).values():
            # One note that cannot be read must not hold up the others; an empty one stands for a forgotten run.
            with suppress(ValueError, KeyError):
                trace = Trace.model_validate_json(str(note["trace"]))
                request = trace.request.model_copy(update={"scope": self.new})
                today = trace.model_copy(update={"request": request, "instructions": self.instructions})
                renamed[trace.id] = today.id
                runs[today.id] = {"trace": today.model_dump_json()}
        self._add(TRACE_NOTE, runs)
        return renamed

    def _agent(self) -> None:
        if self.new.agent not in self._read(self.new.of_tenant, AGENT_NOTE):
            note_agent(self.store, self.new)

    def _add(self, kind: str, notes: dict[str, dict[str, Json]]) -> None:
        """Write the notes that are missing. One that is there was written, or emptied, by the agent of today."""
        there = self._read(self.new, kind) if notes else {}
        for key, note in notes.items():
            if key not in there and isinstance(self.store, NoteStore):
                self.store.put_note(self.new, kind, key, note)

    def _finished(self) -> int:
        revision = self._read(self.new, FINISHED_NOTE).get(self.old.agent, {}).get("revision")
        return revision if isinstance(revision, int) else 0

    def _finish(self, revision: int) -> None:
        if isinstance(self.store, NoteStore):
            self.store.put_note(self.new, FINISHED_NOTE, self.old.agent, {"revision": revision})

    def _read(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        return self.store.notes(scope, kind) if isinstance(self.store, NoteStore) else {}


_RETIRED = "retired in a scope of record version 1"


def _sum(first: Statistics, second: Statistics, sign: int = 1) -> Statistics:
    names = type(first).model_fields
    return Statistics(**{name: getattr(first, name) + sign * getattr(second, name) for name in names})
