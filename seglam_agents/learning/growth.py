"""`Growth`: a place for words takes more of them once a request that has them is known to be answered right.

Another word before a noun may change the task ("single muffins", "free pens"), so that a guard takes no more words
than were ever seen. What it declines for that alone needs no code of its own: the model answers it, as it would
without a cache, and where the stored code says the same, the procedure is known for that request as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seglam_agents.compilers.answers import agree
from seglam_agents.compilers.base import Known
from seglam_agents.flow import Flow, work
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.learning.compiling import Compiling
from seglam_agents.learning.interpreter import Interpreted, interpret
from seglam_agents.learning.kinds import Kind
from seglam_agents.records.outcome import Final, Learned, Miss
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.serving.loading import Loaded


@dataclass(frozen=True, slots=True)
class Grown:
    """What came of a request that was declined for its words alone."""

    said: Interpreted
    learned: Learned | None
    """None where the model says something else than the code, which stays as narrow as it was."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Takes in requests that a procedure declines for their words alone, when its answer is right."""

    compiling: Compiling

    def from_miss(self, request: Request, miss: Miss, kind: Kind, vector: Sequence[float]) -> Flow[Grown | None]:
        """Let the model answer a request that some procedure would answer; None where none would."""
        would = yield from work(lambda: list(self._would_answer(request, miss)))
        if not would:
            return None
        said = yield from interpret(request)
        known = Known(request, said.answer)
        return Grown(said, (yield from work(lambda: self._grow(would, known, kind, vector))))

    def from_answer(self, known: Known, miss: Miss, kind: Kind, vector: Sequence[float]) -> Flow[Learned | None]:
        """Take in a request whose answer is known, where some procedure would give it; None where none would."""
        return (yield from work(lambda: self._grow(list(self._would_answer(known.request, miss)), known, kind, vector)))

    def _grow(
        self, would: Sequence[tuple[Loaded, Json]], known: Known, kind: Kind, vector: Sequence[float]
    ) -> Learned | None:
        if not would or not all(agree(answer, known.answer) for _, answer in would):
            return None
        return self.compiling.grow(would[0][0], known, kind, vector)

    def _would_answer(self, request: Request, miss: Miss) -> Iterator[tuple[Loaded, Json]]:
        """Yield the procedures that decline a request for its words alone, with what they would answer."""
        retriever, executor = self.compiling.retriever, self.compiling.admission.executor
        for stop in miss.stops:
            served = (
                retriever.served(request.scope, stop.procedure.rpartition("@")[0]) if stop.stage == "words" else None
            )
            if served is None or not served.loaded.procedure.pure:
                continue
            guard = served.loaded.guard
            if not isinstance(guard, TemplateGuard):
                continue
            judgement = guard.match(normalise(request.text), request.context, wordy=True)
            if not isinstance(judgement, Accepted):
                continue
            action = executor.next_action(served.loaded, judgement.arguments)
            if isinstance(action, Final):
                yield served.loaded, action.answer
