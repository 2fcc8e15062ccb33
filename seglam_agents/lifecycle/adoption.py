"""Procedures of an agent that version 1 of the records knew by a fingerprint move to the scope of its name."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from seglam_agents.records.entry import Entry, Transition
from seglam_agents.records.errors import ConflictError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.records.trace import Trace
from seglam_agents.stores.base import NoteStore, ProcedureStore, note_agent

logger = logging.getLogger(__name__)

TRACE_NOTE = "trace"
KIND_NOTE = "kind"


@dataclass(frozen=True, slots=True)
class Adoption:
    """Copies what an agent had learnt into its scope of today. Nothing is deleted; doing it twice changes nothing.

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
        """Copy, and return how many procedures are new in the scope of today."""
        if self.old == self.new:
            return 0
        entries = self.store.changes(self.old).entries
        renamed = self._traces() if entries else {}
        copied = sum(self._copy(entry, renamed) for entry in entries)
        if copied:
            note_agent(self.store, self.new)
            self._notes(KIND_NOTE)
            logger.info("%d procedures of record version 1 were taken over", copied)
        return copied

    def _copy(self, entry: Entry, renamed: dict[str, str]) -> bool:
        """Copy all versions of a procedure, oldest first; False where it is there already."""
        if self.store.get(self.new, entry.procedure.id) is not None:
            return False
        revision = 0
        with suppress(ConflictError):  # Another worker was faster.
            for version in self.store.versions(self.old, entry.procedure.id):
                revision = self.store.put(self._moved(version, renamed), expected_revision=revision).revision
            return True
        return False

    def _moved(self, entry: Entry, renamed: dict[str, str]) -> Entry:
        origin = entry.procedure.provenance
        traces = tuple(renamed.get(trace_id, trace_id) for trace_id in origin.trace_ids)
        procedure = entry.procedure.model_copy(
            update={
                "scope": self.new,
                "instructions": self.instructions,
                "provenance": origin.model_copy(update={"trace_ids": traces}),
            }
        )
        line = Transition(
            status=entry.status,
            version=procedure.version,
            why="taken over from a scope of record version 1",
        )
        update = {"procedure": procedure, "history": (*entry.history, line), "revision": 0}
        return entry.model_copy(update=update)

    def _traces(self) -> dict[str, str]:
        """Copy the remembered runs, and return their new ids: a run's id names its scope, too."""
        renamed: dict[str, str] = {}
        for note in self._read(TRACE_NOTE).values():
            try:
                trace = Trace.model_validate_json(str(note["trace"]))
            except (ValueError, KeyError):
                continue  # One note that cannot be read must not hold up the others.
            request = trace.request.model_copy(update={"scope": self.new})
            moved = trace.model_copy(update={"request": request, "instructions": self.instructions})
            renamed[trace.id] = moved.id
            if isinstance(self.store, NoteStore):
                self.store.put_note(self.new, TRACE_NOTE, moved.id, {"trace": moved.model_dump_json()})
        return renamed

    def _notes(self, kind: str) -> None:
        for key, note in self._read(kind).items():
            if isinstance(self.store, NoteStore):
                self.store.put_note(self.new, kind, key, note)

    def _read(self, kind: str) -> dict[str, dict[str, Json]]:
        return self.store.notes(self.old, kind) if isinstance(self.store, NoteStore) else {}
