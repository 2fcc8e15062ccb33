"""`EdgeStore`: the embedded default on disk, for any number of processes, without a server.

What was acknowledged is in one SQLite database (`store.sqlite`, with a write-ahead log that is synced at each commit).
Every procedure is besides a point in a Qdrant Edge shard (`shard`), as it would be on a server; the shard is rebuilt
from the database whenever it is needed and not in order. One process at a time owns it; the others compare the stored
vectors themselves. Nothing is read from the shard but ids, so that a shard which lags can cost a neighbour, and never
gives a wrong procedure.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import StoreError
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.stores import tables
from seglam_agents.stores.base import Changes, Match, Put
from seglam_agents.stores.layout import (
    checked_vector,
    dump_entry,
    entry_from,
    readable_entries,
    readable_notes,
    require_length,
    storable,
)
from seglam_agents.stores.migration import open_database
from seglam_agents.stores.repair import repair
from seglam_agents.stores.shard import BATCH, ROOM, Shard
from seglam_agents.stores.sqlite import Sqlite

if TYPE_CHECKING:
    from seglam_agents.stores.exact import ExactSearch


class EdgeStore:
    """A store in a folder of its own, which threads and processes share.

    Args:
        path: the folder; it is created where it does not exist, and a store of an earlier version is taken over.
        busy_seconds: how long a write waits for those of other processes.
        room: bytes that must be free on the disk for the Qdrant shard to be written; without them it is let alone.

    Raises:
        StoreError: the folder cannot be used, or what is in it is damaged.
    """

    def __init__(self, path: str | Path, *, busy_seconds: float = 10.0, room: int = ROOM) -> None:
        self._path = Path(path)
        self._database = open_database(self._path, busy_seconds=busy_seconds)
        if self._database.small:
            repair(self._database)
        self._shard = Shard(self._path, room=room)
        self._exact: ExactSearch | None = None
        # A store that is dropped without `close` must leave its shard to others.
        self._release = weakref.finalize(self, _release, self._shard, self._database)
        _stores.add(self)

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision, once it is on the disk."""
        return self.put_many([Put(entry, expected_revision, vector)])[0]

    def put_many(self, puts: Sequence[Put]) -> Sequence[Entry]:
        """Write all of these states or none, and return them with their new revisions, once they are on the disk."""
        vectors = [None if put.vector is None else checked_vector(put.vector) for put in puts]
        for put in puts:
            _require_storable(put.entry)
        with self._database.writing() as connection:
            written = [
                tables.put(connection, put.entry, put.expected_revision, vector)
                for put, vector in zip(puts, vectors, strict=True)
            ]
        with suppress(StoreError):  # It is written, whatever becomes of the shard.
            self._follow(budget=BATCH + len(puts))
        return written

    def get(self, scope: Scope, procedure_id: str, version: int | None = None) -> Entry | None:
        """Return the current entry, or that of one version; None where there is none."""
        if not _storable(scope, procedure_id) or (version is not None and abs(version) > _LARGEST):
            return None
        with self._database.reading() as connection:
            if version is None:
                payload = tables.current(connection, scope, procedure_id)
            else:
                payload = tables.version(connection, scope, procedure_id, version)
        return entry_from(payload, scope) if payload else None

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Return what was written in a scope after a revision."""
        if not _storable(scope):
            return Changes(0, ())
        with self._database.reading() as connection:
            revision, payloads = tables.changes(connection, scope, since)
        return Changes(revision, tuple(readable_entries(payloads, scope)))

    def versions(self, scope: Scope, procedure_id: str) -> Sequence[Entry]:
        """Return the latest state of every version, oldest first."""
        if not _storable(scope, procedure_id):
            return []
        with self._database.reading() as connection:
            payloads = tables.versions(connection, scope, procedure_id)
        return readable_entries(payloads, scope)

    def search(self, scope: Scope, vector: Sequence[float], *, limit: int = 8) -> Sequence[Match]:
        """Return the current entries nearest to a vector, nearest first."""
        numbers = checked_vector(vector)
        with self._database.reading() as connection:
            length = tables.meta(connection, "length")
        if length is None or not _storable(scope):
            return []
        require_length(int(length), len(numbers))
        found = self._shard.nearest(scope, numbers, limit) if self._follow(budget=2 * BATCH) else None
        if found is None:
            found = self._compared(scope, numbers, limit)
        with self._database.reading() as connection:
            payloads = [(tables.current(connection, scope, name), score) for name, score in found]
        hits = [(readable_entries([payload], scope), score) for payload, score in payloads if payload]
        return [Match(entry, score) for entries, score in hits for entry in entries]

    def put_note(self, scope: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
        """Write a note, once it is on the disk; the last writer wins."""
        with self._database.writing() as connection:
            tables.put_note(connection, scope, kind, key, document)

    def notes(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        """Return all notes of one kind by key, the one that was written last at the end."""
        if not _storable(scope, kind):
            return {}
        with self._database.reading() as connection:
            payloads = tables.notes(connection, scope, kind)
        return readable_notes(payloads, scope)

    def close(self) -> None:
        """Write what is pending and release the folder. Safe to call twice."""
        self._release()

    def suspend(self) -> None:
        """Let go of the folder until `resume`, and let nobody in meanwhile: a fork comes."""
        self._shard.suspend()
        self._database.suspend()

    def resume(self) -> None:
        """Let others in again."""
        self._database.resume()
        self._shard.resume()

    def _follow(self, budget: int) -> bool:
        """Bring the shard up to date where it is ours; True when it is."""
        with self._database.reading() as connection:
            length, written = tables.meta(connection, "length"), tables.last_written(connection)
            store = f"{tables.meta(connection, 'store')}-{self._database.file}"
        return length is not None and self._shard.follow(store, int(length), written, self._newer, budget)

    def _newer(self, written: int) -> Sequence[tables.Row]:
        with self._database.reading() as connection:
            return tables.written_since(connection, written, BATCH)

    def _compared(self, scope: Scope, vector: list[float], limit: int) -> list[tuple[str, float]]:
        search = self._exact_search()
        with self._database.reading() as connection:
            revision, newer = tables.revision(connection, scope), partial(tables.vectors, connection, scope)
            return search.nearest(scope, vector, limit, revision=revision, newer=newer)

    def _exact_search(self) -> ExactSearch:
        if self._exact is None:
            # Imported when needed: it takes half a second, and most stores are searched by Qdrant.
            from seglam_agents.stores.exact import ExactSearch

            self._exact = ExactSearch()
        return self._exact


_LARGEST = 2**63 - 1


def _release(shard: Shard, database: Sqlite) -> None:
    try:
        shard.close()
    finally:
        database.close()


def _storable(scope: Scope, *names: str) -> bool:
    return all(map(storable, (scope.tenant, scope.agent, *names)))


def _require_storable(entry: Entry) -> None:
    procedure = entry.procedure
    if not _storable(procedure.scope, procedure.id):
        dump_entry(entry)  # Says what is wrong with it.
    if abs(procedure.version) > _LARGEST:
        raise StoreError(f"procedure {procedure.id!r} has version {procedure.version}, which no database holds")


# A child that is forked must inherit neither a connection (it would believe that it holds the locks of its parent) nor
# a shard (its threads are gone). So every store lets go before a fork, and both sides open anew when they are asked.
_stores: weakref.WeakSet[EdgeStore] = weakref.WeakSet()
_forking = threading.RLock()
_suspended: list[EdgeStore] = []


def _before_fork() -> None:
    _forking.acquire()
    for store in list(_stores):
        store.suspend()
        _suspended.append(store)


def _after_fork() -> None:
    while _suspended:
        _suspended.pop().resume()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
