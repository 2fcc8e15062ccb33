"""`MemoryStore`: procedures in this process's memory, for tests and for caches that need not outlive it."""

from __future__ import annotations

import json
import math
import operator
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from seglam_agents.records.entry import Entry
from seglam_agents.records.errors import Outage
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.stores.base import Changes, Match
from seglam_agents.stores.layout import (
    Payload,
    checked_vector,
    closed,
    dump_entry,
    entry_from,
    note_payload,
    readable_entries,
    require_length,
    require_revision,
)


class MemoryStore:
    """A store that lives and dies with the process.

    Entries are kept as JSON text, so that a caller who changes what it put or got changes nothing in the store.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._length: int | None = None
        self._closed = False
        self._outage = Outage()

    def put(self, entry: Entry, *, expected_revision: int, vector: Sequence[float] | None = None) -> Entry:
        """Write a new state of a procedure and return it with its new revision."""
        procedure = entry.procedure
        unit = None if vector is None else _unit(checked_vector(vector))
        with self._lock:
            shelf = self._shelf(procedure.scope)
            head = shelf.heads.get(procedure.id)
            require_revision(entry, stored=head.revision if head else 0, expected=expected_revision)
            if unit is not None:
                require_length(self._length, len(unit))
            written = entry.model_copy(update={"revision": shelf.revision + 1})
            text = dump_entry(written)
            # Nothing below can fail: a refused write leaves no trace.
            self._length = len(unit) if unit is not None else self._length
            shelf.revision = written.revision
            shelf.heads[procedure.id] = _Head(text, written.revision, unit or (head.vector if head else None))
            shelf.versions.setdefault(procedure.id, {})[procedure.version] = text
        return written

    def get(self, scope: Scope, procedure_id: str, version: int | None = None) -> Entry | None:
        """Return the current entry, or that of one version; None where there is none."""
        with self._lock:
            shelf = self._shelf(scope)
            head = shelf.heads.get(procedure_id)
            text = shelf.versions.get(procedure_id, {}).get(version) if version is not None else head and head.text
        return entry_from(_payload(procedure_id, text), scope) if text is not None else None

    def changes(self, scope: Scope, since: int = 0) -> Changes:
        """Return what was written in a scope after a revision."""
        with self._lock:
            shelf = self._shelf(scope)
            after = since if since <= shelf.revision else 0
            heads = sorted((head.revision, name, head.text) for name, head in shelf.heads.items())
            revision = shelf.revision
        payloads = [_payload(name, text) for written, name, text in heads if written > after]
        return Changes(revision, tuple(readable_entries(payloads, scope)))

    def versions(self, scope: Scope, procedure_id: str) -> Sequence[Entry]:
        """Return the latest state of every version, oldest first."""
        with self._lock:
            texts = sorted(self._shelf(scope).versions.get(procedure_id, {}).items())
        return readable_entries([_payload(procedure_id, text) for _, text in texts], scope)

    def search(self, scope: Scope, vector: Sequence[float], *, limit: int = 8) -> Sequence[Match]:
        """Return the current entries nearest to a vector, nearest first."""
        unit = _unit(checked_vector(vector))
        with self._lock:
            shelf = self._shelf(scope)
            require_length(self._length, len(unit))
            heads = [(name, head.text, head.vector) for name, head in shelf.heads.items() if head.vector]
        scored = sorted(((_dot(unit, vector), _payload(name, text)) for name, text, vector in heads), key=_descending)
        nearest = [(readable_entries([payload], scope), score) for score, payload in scored[:limit]]
        return [Match(entry, score) for entries, score in nearest for entry in entries]

    def put_note(self, scope: Scope, kind: str, key: str, document: dict[str, Json]) -> None:
        """Write a note; the last writer wins."""
        text = str(note_payload(scope, kind, key, document)["document"])
        with self._lock:
            self._shelf(scope).notes.setdefault(kind, {})[key] = text

    def notes(self, scope: Scope, kind: str) -> dict[str, dict[str, Json]]:
        """Return all notes of one kind by key."""
        with self._lock:
            texts = dict(self._shelf(scope).notes.get(kind, {}))
        return {key: json.loads(text) for key, text in texts.items()}

    def close(self) -> None:
        """Forget everything. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._shelves.clear()

    def _shelf(self, scope: Scope) -> _Shelf:
        if self._closed:
            closed(self._outage)
        return self._shelves.setdefault((scope.tenant, scope.agent), _Shelf())


@dataclass(slots=True)
class _Head:
    text: str
    revision: int
    vector: list[float] | None


@dataclass(slots=True)
class _Shelf:
    """Everything of one scope."""

    revision: int = 0
    heads: dict[str, _Head] = field(default_factory=dict[str, _Head])
    versions: dict[str, dict[int, str]] = field(default_factory=dict[str, dict[int, str]])
    notes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])


def _payload(procedure_id: str, text: str) -> Payload:
    return {"procedure_id": procedure_id, "entry": text}


def _descending(scored: tuple[float, Payload]) -> float:
    return -scored[0]


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else vector


def _dot(left: list[float], right: list[float]) -> float:
    return sum(map(operator.mul, left, right))
