"""`ProcedureStore`: where procedures live. Compare-and-set writes, a change feed by revision, versions kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from seglam_agents.records.entry import Entry
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after a revision: the current entries of each procedure that was written since."""

    revision: int
    """Pass this as `since` next time. The feed may repeat an entry; it never skips one."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """An entry found by similarity. It only finds candidates: similarity never authorises a hit."""

    entry: Entry
    score: float
    """Cosine similarity, or a fused rank score; larger is nearer."""


@runtime_checkable
class ProcedureStore(Protocol):
    """A durable map from (scope, procedure id) to its versions; safe to share between threads.

    `put` returns only after the entry is durable (for stores that are durable at all). Nothing of one scope is ever
    visible in another.
    """

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision.

        Args:
            entry: the state to write; entries of other versions of the same id stay readable by version.
            expected_revision: the revision that the caller read; 0 means that the id must not exist yet.
            vector: the embedding of the kind of request; None keeps the stored one.

        Raises:
            ConflictError: somebody wrote this id since.
            StoreError: the store is broken, or the vector has another length than the stored ones.
        """
        ...

    def get(self, scope: Scope, procedure_id: str, version: int | None = None) -> Entry | None:
        """Return the current entry, or that of one version; None where there is none."""
        ...

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Return what was written in a scope after a revision; `since=0` gives everything."""
        ...

    def versions(self, scope: Scope, procedure_id: str) -> Sequence[Entry]:
        """Return the latest state of every version, oldest first."""
        ...

    def close(self) -> None:
        """Write what is pending and release the store. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Put:
    """What `put` takes, as one of many. See `ProcedureStore.put`."""

    entry: Entry
    expected_revision: int
    vector: Sequence[float] | None = None


@runtime_checkable
class BatchStore(Protocol):
    """A store that also writes many entries at the price of one."""

    def put_many(self, puts: Sequence[Put]) -> Sequence[Entry]:
        """Write all of these states, in this order, or none, and return them with their new revisions.

        Raises:
            ConflictError: somebody wrote one of these ids since; nothing is written.
            StoreError: the store is broken, or a vector has another length than the stored ones; nothing is written.
        """
        ...


@runtime_checkable
class SearchableStore(Protocol):
    """A store that also finds procedures by similarity."""

    def search(self, scope: Scope, vector: Sequence[float], *, limit: int = 8) -> Sequence[Match]:
        """Return the current entries nearest to a vector, nearest first."""
        ...


@runtime_checkable
class NoteStore(Protocol):
    """A store that also keeps small JSON documents per scope: what was refused, what was spent."""

    def put_note(self, scope: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
        """Write a note; the last writer wins."""
        ...

    def notes(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        """Return all notes of one kind by key."""
        ...


AGENT_NOTE = "agent"


def note_agent(store: ProcedureStore, scope: Scope) -> None:
    """Note that a tenant has an agent, so that people find the procedures of all of its agents."""
    if scope.agent and isinstance(store, NoteStore):
        store.put_note(scope.of_tenant, AGENT_NOTE, scope.agent, {"agent": scope.agent})


def scopes_of(store: ProcedureStore, tenant: str) -> list[Scope]:
    """Return the scopes of a tenant: requests without an agent, and each agent that has procedures."""
    own = Scope(tenant=tenant)
    notes = store.notes(own, AGENT_NOTE) if isinstance(store, NoteStore) else {}
    return [own, *(Scope(tenant=tenant, agent=agent) for agent in sorted(notes))]
