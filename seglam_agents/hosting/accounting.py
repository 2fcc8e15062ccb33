"""What the cache saves: tokens and money, per run and per procedure, from what the model's own runs had cost."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from seglam_agents.hosting.base import HostedCache
from seglam_agents.hosting.safety import safely, unharmed
from seglam_agents.records.outcome import Learned
from seglam_agents.records.record import Json
from seglam_agents.records.trace import ModelStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.stores.base import NoteStore

NOTE = "hosting.baseline"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, per million tokens."""

    input: float
    output: float
    currency: str = "USD"

    def of(self, usage: Usage) -> float:
        """Return what a usage costs."""
        return (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1_000_000


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved: the model's own run of the kind, which was not needed. Zero where none was seen."""

    usage: Usage = Usage()
    money: float | None = None
    currency: str = ""

    def as_json(self) -> dict[str, Json]:
        """Return it as plain data."""
        document = _counts(self.usage)
        return document if self.money is None else {**document, "money": self.money, "currency": self.currency}


@dataclass(frozen=True, slots=True)
class ProcedureSavings:
    """What one procedure did here, and saved."""

    hits: int
    deopts: int
    baseline: Usage | None
    """What one run of the model costs that the procedure stands for; None where none was seen."""
    saved: Saved


@dataclass(frozen=True, slots=True)
class SavingsReport:
    """Sums of this process since it began."""

    hits: int
    deopts: int
    saved: Saved
    spent: Saved
    """What learning cost."""
    procedures: Mapping[str, ProcedureSavings]


@dataclass(slots=True)
class Accounting:
    """Books hits against what the same kind of request had cost. Safe to share between threads.

    Args:
        cache: whose procedures; baselines are kept in its store, for every worker.
        price: for amounts of money.
    """

    cache: HostedCache
    price: Price | None = None
    _hits: dict[str, int] = field(default_factory=dict[str, int])
    _deopts: dict[str, int] = field(default_factory=dict[str, int])
    _spoken: dict[str, int] = field(default_factory=dict[str, int])
    _baselines: dict[str, Usage] = field(default_factory=dict[str, Usage])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hit(self, procedure_id: str, *, spoken: bool = False) -> Saved:
        """Book a hit, and return what it saved; one after which the model spoke once saved all its calls but that."""
        with self._lock:
            self._hits[procedure_id] = self._hits.get(procedure_id, 0) + 1
            self._spoken[procedure_id] = self._spoken.get(procedure_id, 0) + spoken
        return self.saved(procedure_id, spoken=spoken)

    def deopt(self, procedure_id: str) -> None:
        """Book a give-up: it saves nothing."""
        with self._lock:
            self._deopts[procedure_id] = self._deopts.get(procedure_id, 0) + 1

    def learned(self, trace: Trace, learned: Learned) -> None:
        """Keep what the run cost that a new procedure was learnt from."""
        if learned.procedure is None or not trace.usage.tokens or not _by_the_model(trace):
            return
        procedure_id = learned.procedure.rpartition("@")[0]
        with self._lock:
            self._baselines[procedure_id] = trace.usage
        with unharmed("what a run had cost could not be stored"):
            if isinstance(self.cache.store, NoteStore):
                self.cache.store.put_note(self.cache.scope, NOTE, procedure_id, _counts(trace.usage))

    def baseline(self, procedure_id: str) -> Usage | None:
        """Return what one run of the model costs that a procedure stands for; None where none was seen."""
        with self._lock:
            if procedure_id in self._baselines:
                return self._baselines[procedure_id]
        # Outside of the lock: a store that hangs holds up one request.
        stored = safely(self._stored, dict[str, Usage](), "what runs had cost cannot be read")
        with self._lock:
            self._baselines = {**stored, **self._baselines}
            return self._baselines.get(procedure_id)

    def saved(self, procedure_id: str, *, spoken: bool = False) -> Saved:
        """Return what one hit of a procedure saves."""
        return self._priced(self._sum(procedure_id, 1, int(spoken)))

    def _sum(self, procedure_id: str, hits: int, spoken: int) -> Usage:
        """Return what hits save, of which some left one call to the model, counted as one of equal ones."""
        one = self.baseline(procedure_id) or Usage()
        left = spoken / max(one.calls, 1)
        return Usage(
            input_tokens=round(one.input_tokens * (hits - left)),
            output_tokens=round(one.output_tokens * (hits - left)),
            calls=one.calls * hits - min(spoken, one.calls * hits),
        )

    def report(self) -> SavingsReport:
        """Return the sums."""
        with self._lock:
            hits, deopts, spoken = dict(self._hits), dict(self._deopts), dict(self._spoken)
        procedures = {
            key: ProcedureSavings(
                hits.get(key, 0),
                deopts.get(key, 0),
                self.baseline(key),
                self._priced(self._sum(key, hits.get(key, 0), spoken.get(key, 0))),
            )
            for key in sorted({*hits, *deopts})
        }
        total = Usage()
        for item in procedures.values():
            total += item.saved.usage
        spent = self.cache.stats().model_usage
        return SavingsReport(
            sum(hits.values()), sum(deopts.values()), self._priced(total), self._priced(spent), procedures
        )

    def _priced(self, usage: Usage) -> Saved:
        if self.price is None:
            return Saved(usage)
        return Saved(usage, self.price.of(usage), self.price.currency)

    def _stored(self) -> dict[str, Usage]:
        if not isinstance(self.cache.store, NoteStore):
            return {}
        notes = self.cache.store.notes(self.cache.scope, NOTE)
        return {key: Usage.model_validate(note) for key, note in notes.items()}


def _counts(usage: Usage) -> dict[str, Json]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "calls": usage.calls}


def _by_the_model(trace: Trace) -> bool:
    """Tell whether the model said every step: of a run that code began, its cost says too little."""
    return all(step.usage.calls for step in trace.steps if isinstance(step, ModelStep))
