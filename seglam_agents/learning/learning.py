"""`Learning`: what is learnt from a miss, from a known answer, and from a run of the host's agent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from seglam_agents.books import Books
from seglam_agents.compilers.base import Compiled, Known
from seglam_agents.compilers.traces.compiler import TraceCompiler
from seglam_agents.flow import Flow, Wait, work
from seglam_agents.learning.compiling import Compiling
from seglam_agents.learning.flights import Flights
from seglam_agents.learning.growth import Grown, Growth
from seglam_agents.learning.kinds import Kind, Kinds
from seglam_agents.learning.policy import Policy, Spending
from seglam_agents.learning.shadows import Shadows
from seglam_agents.learning.tasks import Tasks
from seglam_agents.learning.tracebook import TraceBook
from seglam_agents.records.errors import ConflictError, ModelError, RecordingError, said
from seglam_agents.records.outcome import Deopt, Hit, Learned, LearnedKind, Miss
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.telling import tell
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage
from seglam_agents.serving.lookup import Lookup, problem_of

logger = logging.getLogger(__name__)

FLIGHT_SECONDS = 300.0
"""How long a request waits for another of its kind that is being compiled."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What learning made of a miss: an answer where there is one by now, else what to book the model's answer on."""

    outcome: Hit | Miss | Deopt
    learned: Learned | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Learning:
    """Learns, and remembers what may be learnt later. Fails open: what breaks here is told, and stops nothing."""

    lookup: Lookup
    tasks: Tasks
    compiling: Compiling
    kinds: Kinds
    book: TraceBook
    policy: Policy
    books: Books
    flights: Flights
    shadows: Shadows
    traces: TraceCompiler
    on: bool = True

    def from_miss(self, request: Request, miss: Miss, revision: int) -> Flow[Missed]:
        """Learn a missed request where the policy says so. Another request of its kind may be at it: wait for that.

        Args:
            request: what missed.
            miss: how.
            revision: how far the store had been read when it was looked up.
        """
        if not self.on:
            return Missed(miss)
        kind: Kind | None = None
        try:
            vector = yield from work(lambda: self.tasks.vector(request))
            kind = yield from work(lambda: self.kinds.of(request.scope, vector))
            return (yield from self._in_turn(request, miss, kind, vector, revision))
        except RecordingError:
            raise
        except Exception as error:
            return Missed(miss, _stopped("learning failed; the model answers", error), kind)

    def from_answer(self, known: Known) -> Flow[Learned]:
        """Learn from a request whose answer or trace is known, whatever the policy says."""
        if problem := problem_of(known.request):
            return Learned(status="failed", reason=problem.reason)
        if known.trace is not None and (undeclared := self.tasks.undeclared(known.trace)):
            return Learned(status="rejected", reason=undeclared)
        try:
            outcome = yield from work(lambda: self.lookup.dry(known.request))
            if isinstance(outcome, Hit):
                reason = f"{outcome.citation.key} already answers it with {outcome.answer!r}"
                return Learned(status="deferred", reason=reason)
            vector = yield from work(lambda: self.tasks.vector(known.request))
            kind = yield from work(lambda: self.kinds.of(known.request.scope, vector))
            if isinstance(outcome, Miss) and known.answer is not None:
                grown = yield from Growth(self.compiling).from_answer(known, outcome, kind, vector)
                if grown is not None:
                    return grown
            task = yield from work(lambda: self.tasks.of_request(known, kind, vector))
            return (yield from self.compiling.compile(task, kind, vector))
        except ModelError:
            raise
        except Exception as error:
            return _stopped("learning failed", error)

    def from_run(self, trace: Trace) -> Flow[Learned]:
        """Learn from a run of the host's agent: from traces alone first, by the model where the policy says so."""
        try:
            if problem := _unclean(trace):
                return Learned(status="deferred", reason=problem)
            if not self.on:
                return Learned(status="deferred", reason="learning is off")
            yield from work(lambda: self.shadows.compare(trace))
            foretold = yield from work(lambda: self.shadows.judge(trace, self.traces.name))
            _ = yield from work(lambda: self.book.add(trace))
            if foretold:
                return Learned(status="deferred", reason=f"{foretold} foretold it")
            return (yield from self._from_trace(trace))
        except Exception as error:
            return _stopped("learning from a trace failed", error)

    def from_remembered(
        self, scope: Scope, progress: Callable[[int, int], None] | None = None
    ) -> Flow[list[LearnedKind]]:
        """Compile every kind of run that is remembered and that no procedure was made from yet."""
        remembered = yield from work(lambda: self.book.all(scope))
        traces = [trace for trace in remembered if self.tasks.holds_for(trace)]
        serving = yield from work(lambda: self.lookup.retriever.serving(scope))
        done = {key for loaded in serving for key in loaded.procedure.provenance.trace_ids}
        found: list[tuple[set[str], LearnedKind]] = []
        for trace in traces:
            if trace.id not in done:
                learned = yield from self._from_one_of_many(trace)
                members = self._members(trace, learned, [other for other in traces if other.id not in done])
                done |= members
                # A verdict on more runs of a kind takes the place of one on fewer.
                found = [each for each in found if not each[0] <= members]
                found.append((members, LearnedKind(example=trace.request.text, traces=len(members), learned=learned)))
            if progress:
                progress(sum(other.id in done for other in traces), len(traces))
        return [kind for _, kind in found]

    def book_answer(self, request: Request, kind: Kind, usage: Usage, answer: Json) -> None:
        """Book that the model answered a request of a kind itself. Never raises."""
        try:
            self.kinds.book(request.scope, kind, usage, request, answer)
        except Exception as error:
            tell(logger, "an answer could not be booked on its kind", error)

    def _in_turn(
        self, request: Request, miss: Miss, kind: Kind, vector: Sequence[float], revision: int
    ) -> Flow[Missed]:
        while True:
            with self.flights.board(kind.id) as flight:
                # Another flight may have landed between this request's lookup and its turn.
                read = yield from work(lambda: self.lookup.revision(request.scope))
                if flight.leads and revision == read:
                    return (yield from self._lead(request, miss, kind, vector))
                if not flight.leads:
                    yield Wait(flight.done, FLIGHT_SECONDS)
            revision = yield from work(lambda: self.lookup.revision(request.scope))
            outcome = yield from work(lambda: self.lookup.look(request))
            if isinstance(outcome, (Hit, Deopt)):
                return Missed(
                    outcome
                )  # What a body has done by now must not be lost, whether it came to its end or not.
            if not flight.leads and not flight.done.done():
                return Missed(miss, kind=kind)  # The other flight is stuck: the model answers this one.

    def _lead(self, request: Request, miss: Miss, kind: Kind, vector: Sequence[float]) -> Flow[Missed]:
        """Compile if it is worth it, and answer with what came of it."""
        grown = yield from Growth(self.compiling).from_miss(request, miss, kind, vector)
        if grown is not None:
            return (yield from self._after_growth(request, miss, grown, kind, vector))
        if reason := self._not_now(kind):
            return Missed(miss, Learned(status="deferred", reason=reason), kind)
        task = yield from work(lambda: self.tasks.of_request(Known(request), kind, vector))
        learned = yield from self.compiling.compile(task, kind, vector)
        if learned.procedure is None:
            if learned.answer is None:
                return Missed(miss, learned, kind)
            answered = replace(miss, answer=learned.answer, answered_by="model", learned=learned, usage=learned.usage)
            return Missed(answered, learned, kind)
        outcome = yield from work(lambda: self.lookup.look(request))
        if isinstance(outcome, Deopt):
            return Missed(outcome, learned, kind)
        if not isinstance(outcome, Hit):
            unanswered = replace(miss, reason=f"{miss.reason}; the new procedure: {outcome.reason}")
            return Missed(unanswered, learned, kind)
        by = {"answered_by": "new procedure", "learned": learned, "usage": learned.usage}
        return Missed(replace(miss, answer=outcome.answer, **by), learned, kind)

    def _after_growth(
        self, request: Request, miss: Miss, grown: Grown, kind: Kind, vector: Sequence[float]
    ) -> Flow[Missed]:
        """Answer as the model did; where the code would have said something else, this may be a kind of its own."""
        said, learned = grown.said, grown.learned
        yield from work(lambda: self.book_answer(request, kind, said.usage, said.answer))
        if learned is None:
            if reason := self._not_now(kind):
                learned = Learned(status="deferred", reason=reason)
            else:
                task = yield from work(lambda: self.tasks.of_request(Known(request, said.answer), kind, vector))
                learned = yield from self.compiling.compile(task, kind, vector)
        told = {"answer": said.answer, "answered_by": "model", "usage": said.usage + learned.usage}
        return Missed(replace(miss, learned=learned, **told), learned, kind)

    def _not_now(self, kind: Kind) -> str | None:
        if kind.backing_off:
            return f"refused {kind.refusals} times, waits {2**kind.refusals} requests: {kind.refused_because}"
        if self.policy.compile_now(Spending(kind.spent, kind.requests, self.books.compile_cost())):
            return None
        return f"{kind.spent.tokens} tokens spent on this kind so far"

    def _from_one_of_many(self, trace: Trace) -> Flow[Learned]:
        try:
            return (yield from self._from_trace(trace))
        except ConflictError as error:
            return _stopped("learning from a trace failed", error)  # The other kinds are still to be learnt.

    def _from_trace(self, trace: Trace) -> Flow[Learned]:
        scope = trace.request.scope
        vector = yield from work(lambda: self.tasks.vector(trace.request))
        kind = yield from work(lambda: self.kinds.of(scope, vector))
        yield from work(lambda: self.kinds.book(scope, kind, trace.usage, trace.request, trace.answer))
        kind = yield from work(lambda: self.kinds.current(scope, kind))
        task = yield from work(lambda: self.tasks.of_trace(trace, self.traces))
        result = yield from self.traces.compile(task, self.compiling.admit)
        if isinstance(result, Compiled):
            compiled = result
            return (yield from work(lambda: self.compiling.conclude(compiled, Usage(), scope, kind, vector)))
        refused = result
        yield from work(lambda: self.compiling.suspend(refused.unsupported, refused.reason))
        if undeclared := self.tasks.undeclared(trace):
            return Learned(status="rejected", reason=undeclared)
        if not self.compiling.compilers or self._not_now(kind):
            return Learned(status="rejected", reason=result.reason, report=result.report)
        known = Known(trace.request, trace.answer, trace)
        task = yield from work(lambda: self.tasks.of_request(known, kind, vector, finding=result.reason))
        return (yield from self.compiling.compile(task, kind, vector))

    def _members(self, trace: Trace, learned: Learned, open_: Sequence[Trace]) -> set[str]:
        """Return the traces that a verdict on one of them is about."""
        entry = self.lookup.retriever.find(learned.procedure.rpartition("@")[0]) if learned.procedure else None
        if entry:
            return {trace.id, *entry.procedure.provenance.trace_ids}
        return {trace.id, *(self.traces.fellows(trace) & {other.id for other in open_})}


def _unclean(trace: Trace) -> str | None:
    """Return why a run teaches nothing."""
    if problem := problem_of(trace.request):
        return problem.reason
    failed = next((step for step in trace.calls if step.error), None)
    if failed:
        return f"only clean runs are learnt from: {failed.tool} failed with {failed.error}"
    missing = next((step for step in trace.calls if step.missing), None)
    if missing:
        return f"the recording is incomplete: the result of {missing.tool} is missing"
    touched = next((step for step in trace.calls if step.decision in ("edited", "rejected")), None)
    return f"a person {touched.decision} the call of {touched.tool}: that is no rule" if touched else None


def _stopped(what: str, error: Exception) -> Learned:
    """Return what learning came to that did not come to its end. A race that another worker won breaks nothing."""
    if isinstance(error, ConflictError):
        logger.info("another worker was faster: %s", error)
        return Learned(status="deferred", reason=f"another worker was faster: {error}")
    tell(logger, what, error)
    return Learned(status="failed", reason=said(error))
