"""`Kinds`: which misses are of one kind, what each kind has cost, and what was refused of it.

Two requests are of one kind when their vectors are near. This decides only what is booked together and when to try
compiling again; whether a request is answered from the cache is decided by guards alone.
"""

from __future__ import annotations

import operator
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from seglam_agents.compilers.base import Known
from seglam_agents.learning.notes import read_notes
from seglam_agents.records.record import Json, Record
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.usage import Usage
from seglam_agents.stores.base import NoteStore, ProcedureStore

MAX_KINDS = 2_000
"""Kinds that are remembered; the one that was seen longest ago is forgotten first."""
MAX_KNOWN = 3
"""Answered requests of a kind that a compiler is shown."""
_NOTE = "kind"


class KnownAnswer(Record):
    """A request of a kind that the model answered itself."""

    request: Request
    answer: Json


class Kind(Record):
    """What is remembered of a kind of request that misses."""

    id: str
    vector: tuple[float, ...]
    spent: Usage = Usage()
    requests: int = 0
    refusals: int = 0
    refused_because: str = ""
    since_refusal: int = 0
    known: tuple[KnownAnswer, ...] = Field(default=())

    @property
    def backing_off(self) -> bool:
        """True while a refused kind waits: 2, 4, 8, ... requests until the next try."""
        return self.refusals > 0 and self.since_refusal < 2**self.refusals

    def examples(self) -> tuple[Known, ...]:
        """Return the answered requests as a compiler takes them."""
        return tuple(Known(item.request, item.answer) for item in self.known)


@dataclass(slots=True)
class Kinds:
    """The kinds of one store; safe to share between threads."""

    store: ProcedureStore
    near: float
    """Cosine above which two requests are of one kind."""
    _kinds: dict[str, dict[str, Kind]] = field(default_factory=dict[str, dict[str, Kind]])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, scope: Scope, vector: Sequence[float]) -> Kind:
        """Return the kind that a missed request belongs to, and count it; a new one where none is near."""
        with self._lock:
            kinds = self._of_scope(scope)
            found = max(kinds.values(), key=lambda kind: _cosine(kind.vector, vector), default=None)
            if found is None or _cosine(found.vector, vector) < self.near:
                found = Kind(id=uuid.uuid4().hex[:12], vector=tuple(vector))
            return self._write(
                scope,
                found.model_copy(update={"requests": found.requests + 1, "since_refusal": found.since_refusal + 1}),
            )

    def book(self, scope: Scope, kind: Kind, usage: Usage, request: Request, answer: Json) -> None:
        """Book that the model answered a request of a kind itself."""
        with self._lock:
            current = self._of_scope(scope).get(kind.id, kind)
            known = (*current.known, KnownAnswer(request=request, answer=answer))[-MAX_KNOWN:]
            self._write(scope, current.model_copy(update={"spent": current.spent + usage, "known": known}))

    def current(self, scope: Scope, kind: Kind) -> Kind:
        """Return what is known of a kind by now."""
        with self._lock:
            return self._of_scope(scope).get(kind.id, kind)

    def refuse(self, scope: Scope, kind: Kind, reason: str) -> None:
        """Remember that a kind could not be compiled: the next try is twice as far away."""
        with self._lock:
            current = self._of_scope(scope).get(kind.id, kind)
            update = {"refusals": current.refusals + 1, "refused_because": reason[:500], "since_refusal": 0}
            self._write(scope, current.model_copy(update=update))

    def learned(self, scope: Scope, kind: Kind) -> None:
        """Forget the refusals and the spending of a kind that has been compiled."""
        with self._lock:
            current = self._of_scope(scope).get(kind.id, kind)
            self._write(scope, current.model_copy(update={"refusals": 0, "refused_because": "", "spent": Usage()}))

    def refused(self, scope: Scope) -> list[Kind]:
        """Return the kinds that were refused."""
        with self._lock:
            return [kind for kind in self._of_scope(scope).values() if kind.refusals]

    def _of_scope(self, scope: Scope) -> dict[str, Kind]:
        if scope.key not in self._kinds:
            notes = self.store.notes(scope, _NOTE) if isinstance(self.store, NoteStore) else {}
            kinds = read_notes(notes, "kind", Kind.model_validate_json)
            self._kinds[scope.key] = {kind.id: kind for kind in kinds}
        return self._kinds[scope.key]

    def _write(self, scope: Scope, kind: Kind) -> Kind:
        kinds = self._of_scope(scope)
        kinds.pop(kind.id, None)
        kinds[kind.id] = kind
        while len(kinds) > MAX_KINDS:
            self._forget(scope, kinds.pop(next(iter(kinds))))
        if isinstance(self.store, NoteStore):
            self.store.put_note(scope, _NOTE, kind.id, {"kind": kind.model_dump_json()})
        return kind

    def _forget(self, scope: Scope, kind: Kind) -> None:
        # An empty note: what is forgotten must not come back when the store is opened again.
        if isinstance(self.store, NoteStore):
            self.store.put_note(scope, _NOTE, kind.id, {})


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    # Vectors of embedders are of length one; where they are not, the order is still right.
    return sum(map(operator.mul, left, right)) if len(left) == len(right) else -1.0
