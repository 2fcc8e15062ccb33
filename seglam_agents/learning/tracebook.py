"""`TraceBook`: the clean runs that were seen and may still teach something, kept in the store."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from seglam_agents.guards.normal import normalise, words
from seglam_agents.learning.notes import read_notes
from seglam_agents.records.errors import StoreError, said
from seglam_agents.records.record import Json
from seglam_agents.records.request import Scope
from seglam_agents.records.trace import Trace
from seglam_agents.stores.base import NoteStore, ProcedureStore

MAX_TRACES = 5_000
"""Runs of a scope that are remembered; the oldest is forgotten first."""
_NOTE = "trace"


@dataclass(slots=True)
class _Shelf:
    traces: dict[str, Trace] = field(default_factory=dict[str, Trace])
    words: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(slots=True)
class TraceBook:
    """The remembered runs of one store; safe to share between threads."""

    store: ProcedureStore
    _shelves: dict[str, _Shelf] = field(default_factory=dict[str, _Shelf])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, trace: Trace) -> bool:
        """Remember a run; False when it is known already.

        Raises:
            StoreError: it cannot be written down; then it is not remembered at all.
        """
        scope, (key, document) = trace.request.scope, _written(trace)
        with self._lock:
            shelf = self._of(scope)
            if key in shelf.traces:
                return False
            self._write(scope, key, document)
            self._place(shelf, trace)
            while len(shelf.traces) > MAX_TRACES:
                oldest = next(iter(shelf.traces))
                del shelf.traces[oldest], shelf.words[oldest]
                self._write(scope, oldest, {})
            return True

    def all(self, scope: Scope) -> list[Trace]:
        """Return every remembered run of a scope, oldest first."""
        with self._lock:
            return list(self._of(scope).traces.values())

    def near(self, trace: Trace, limit: int) -> list[Trace]:
        """Return other runs that began with the same tool, those with the most words in common first."""
        with self._lock:
            shelf = self._of(trace.request.scope)
            own = shelf.words.get(trace.id) or _words(trace)
            others = [
                other for other in shelf.traces.values() if other.id != trace.id and _start(other) == _start(trace)
            ]
            return sorted(others, key=lambda other: -_likeness(own, shelf.words[other.id]))[:limit]

    def _of(self, scope: Scope) -> _Shelf:
        if scope.key not in self._shelves:
            shelf = _Shelf()
            notes = self.store.notes(scope, _NOTE) if isinstance(self.store, NoteStore) else {}
            for trace in sorted(read_notes(notes, "trace", Trace.model_validate_json), key=_by_date):
                self._place(shelf, trace)
            self._shelves[scope.key] = shelf
        return self._shelves[scope.key]

    def _place(self, shelf: _Shelf, trace: Trace) -> None:
        shelf.traces[trace.id] = trace
        shelf.words[trace.id] = _words(trace)

    def _write(self, scope: Scope, key: str, document: dict[str, Json]) -> None:
        if isinstance(self.store, NoteStore):
            self.store.put_note(scope, _NOTE, key, document)


def _written(trace: Trace) -> tuple[str, dict[str, Json]]:
    try:
        return trace.id, {"trace": trace.model_dump_json()}
    except (ValueError, RecursionError) as error:
        raise StoreError(f"a run that has no JSON form cannot be remembered: {said(error)}") from error


def _by_date(trace: Trace) -> tuple[str, str]:
    return str(trace.recorded_at or ""), trace.id


def _words(trace: Trace) -> frozenset[str]:
    return words(normalise(trace.request.text).text)


def _start(trace: Trace) -> str | None:
    return trace.calls[0].tool if trace.calls else None


def _likeness(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / max(1, len(left | right))
