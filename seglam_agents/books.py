"""`Books`: every outcome counted once, every token booked by purpose, what procedures did written back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from seglam_agents.lifecycle.entries import Entries
from seglam_agents.records.entry import Entry, Statistics
from seglam_agents.records.outcome import Citation, Deopt, Hit, Miss, Outcome, Recognised, Refused
from seglam_agents.records.usage import Ledger


@dataclass(frozen=True, slots=True)
class Books:
    """The sums of one cache since it was opened; safe to share between threads."""

    ledger: Ledger = field(default_factory=Ledger)
    _sums: Counter[str] = field(default_factory=Counter[str])
    _procedures: dict[str, Counter[str]] = field(default_factory=dict[str, "Counter[str]"])
    """What procedures did since it was last written, by their id; hits by a wording also under its template."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: Outcome) -> None:
        """Count an outcome: for the cache, and for the procedures that had a part in it."""
        match outcome:
            case Hit(citation=citation):
                self._note("hits", citation.procedure_id)
                self._used(citation)
            case Recognised(citation=citation):
                self._note("recognised", citation.procedure_id)
            case Deopt(citation=citation):
                self._note("deopts", citation.procedure_id)
            case Miss(kind="conflict", stops=stops):
                both = [stop.procedure.rpartition("@")[0] for stop in stops if stop.stage == "conflict"]
                self._note("misses")
                self._note("conflicts", *both)
            case Miss():
                self._note("misses")
            case Refused():
                self._note("refused")
        self.add("requests")

    def add(self, name: str) -> None:
        """Count one more of something that is no outcome."""
        with self._lock:
            self._sums[name] += 1

    def of(self, name: str) -> int:
        """Return how many were counted."""
        return self._sums[name]

    def interpret_cost(self) -> float:
        """Return the mean tokens of a request that the model answered itself; 0 before there was one."""
        spent = self.ledger.of("interpret")
        return spent.tokens / spent.calls if spent.calls else 0.0

    def compile_cost(self) -> float | None:
        """Return the mean tokens of an admitted compilation, refused attempts included; None before the first."""
        spent = sum(self.ledger.of(purpose).tokens for purpose in ("compile", "repair", "attack"))
        return spent / self.of("admitted") if self.of("admitted") else None

    def write(self, entries: Entries, find: Callable[[str], Entry | None]) -> None:
        """Write what procedures did since the last time; what cannot be written is kept for the next time."""
        with self._lock:
            touched = list(self._procedures)
        for procedure_id in touched:
            with self._lock:
                done = self._procedures.pop(procedure_id, Counter[str]())
            try:
                written = self._written(entries, find(procedure_id), done)
            except Exception:
                self._give_back(procedure_id, done)
                raise
            if not written:
                self._give_back(procedure_id, done)

    def _written(self, entries: Entries, known: Entry | None, done: Counter[str]) -> bool:
        if known is None:
            return True
        more = Statistics(
            hits=done["hits"],
            deopts=done["deopts"],
            conflicts=done["conflicts"],
            saved_tokens=round(done["hits"] * self.interpret_cost()),
        )
        uses = {wording.template: done[_use(wording.template)] for wording in known.wordings}
        return entries.count(known.procedure.scope, known.procedure.id, more, uses)

    def _give_back(self, procedure_id: str, done: Counter[str]) -> None:
        with self._lock:
            self._procedures.setdefault(procedure_id, Counter[str]()).update(done)

    def _used(self, citation: Citation) -> None:
        if citation.wording:
            with self._lock:
                self._procedures.setdefault(citation.procedure_id, Counter[str]())[_use(citation.wording)] += 1

    def _note(self, name: str, *procedure_ids: str) -> None:
        with self._lock:
            self._sums[name] += 1
            for procedure_id in procedure_ids:
                self._procedures.setdefault(procedure_id, Counter[str]())[name] += 1


def _use(template: str) -> str:
    return f"use {template}"
