"""The path of a request as one flow: lookup, then learn or ask the model. `cache` drives it in two colours."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from seglam_agents.admission.admission import Admission
from seglam_agents.compilers.base import (
    Candidate,
    Compilation,
    Compiled,
    Compiler,
    CompileTask,
    Known,
    Neighbour,
    NotCrystallizable,
    Rejected,
)
from seglam_agents.compilers.traces.compiler import MAX_TRACES, TraceCompiler, same_wording
from seglam_agents.embedders.base import Embedder
from seglam_agents.flow import Flow, Wait, ask, work
from seglam_agents.guards.guard import Declined
from seglam_agents.guards.normal import normalise
from seglam_agents.learning.interpreter import agree, interpret_messages, read_answer
from seglam_agents.learning.kinds import Kind, Kinds
from seglam_agents.learning.policy import Policy, Spending
from seglam_agents.learning.tracebook import TraceBook
from seglam_agents.records.errors import ConflictError, ModelError, RecordingError
from seglam_agents.records.outcome import Deopt, Hit, Learned, LearnedKind, Miss, Outcome, Plan, Refused
from seglam_agents.records.procedure import AdmissionReport, Check, Entry, Procedure, Statistics
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request, Scope
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.usage import Ledger, Usage
from seglam_agents.serving.lookup import Lookup, problem_of
from seglam_agents.serving.retriever import Retriever
from seglam_agents.stores.base import ProcedureStore, SearchableStore, note_agent

__all__ = ["Engine", "Tally", "interpret_messages"]

logger = logging.getLogger(__name__)

MAX_NEIGHBOURS = 2
"""Stored procedures that a compiler is shown."""
STATISTICS_TRIES = 5
"""Races against other writers that a statistic may lose before it waits for the next time."""
FLIGHT_SECONDS = 300.0
"""How long a request waits for another of its kind that is being compiled."""


@dataclass(slots=True)
class Tally:
    """How many requests ended how."""

    requests: int = 0
    hits: int = 0
    misses: int = 0
    deopts: int = 0
    refused: int = 0
    conflicts: int = 0
    admitted: int = 0
    rejected: int = 0
    not_crystallizable: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str) -> None:
        """Count one more."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)


@dataclass(slots=True)
class Flights:
    """Single flight: of several requests of one kind, one compiles and the others wait."""

    _flights: dict[str, Future[None]] = field(default_factory=dict[str, "Future[None]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, key: str) -> Future[None] | None:
        """Return the flight to wait for, or None where the caller now leads it and must call `land`."""
        with self._lock:
            if key in self._flights:
                return self._flights[key]
            self._flights[key] = Future()
            return None

    def land(self, key: str) -> None:
        """End a flight, and let those who wait go on."""
        with self._lock:
            future = self._flights.pop(key, None)
        if future:
            future.set_result(None)


@dataclass(frozen=True, slots=True)
class Engine:
    """Lookup, learning and fallback, wired together."""

    store: ProcedureStore
    retriever: Retriever
    lookup: Lookup
    compilers: Sequence[Compiler]
    admission: Admission
    policy: Policy
    kinds: Kinds
    embedder: Embedder
    tools: Mapping[str, Tool]
    near: float
    book: TraceBook
    traces: TraceCompiler = field(default_factory=TraceCompiler)
    second_opinion: bool = True
    learning: Literal["inline", "off"] = "inline"
    ledger: Ledger = field(default_factory=Ledger)
    tally: Tally = field(default_factory=Tally)
    flights: Flights = field(default_factory=Flights)

    def answer(self, request: Request, *, can_ask: bool) -> Flow[Outcome]:
        """Answer from the cache; at a miss learn, or let the model answer."""
        outcome = yield from work(lambda: self.safe_lookup(request))
        if isinstance(outcome, Miss) and can_ask:
            outcome = yield from self._miss(request, outcome)
        elif isinstance(outcome, Deopt) and can_ask:
            deopt = outcome
            answer, usage = yield from self._interpret(request, deopt.steps)
            outcome = replace(deopt, answer=answer, answered_by="model", usage=usage)
        elif isinstance(outcome, Miss):
            outcome = replace(outcome, reason=f"{outcome.reason}; no model was given that could answer")
        self.count(outcome)
        return outcome

    def learn(self, known: Known) -> Flow[Learned]:
        """Learn from a request whose answer or trace is known, whatever the policy says."""
        if problem := problem_of(known.request):
            return Learned(status="failed", reason=problem)
        outcome = yield from work(lambda: self.safe_lookup(known.request, dry=True, counted=False))
        if isinstance(outcome, Hit):
            return Learned(
                status="deferred", reason=f"{outcome.citation.key} already answers it with {outcome.answer!r}"
            )
        try:
            vector = yield from work(lambda: self._vector(known.request))
            kind = yield from work(lambda: self.kinds.of(known.request.scope, vector))
            return (yield from self._compile(known, kind, vector))
        except (RecordingError, ModelError):
            raise
        except Exception as error:
            logger.exception("learning failed")
            return Learned(status="failed", reason=f"{type(error).__name__}: {error}")

    def observe(self, trace: Trace) -> Flow[Learned]:
        """Learn from a run of the host's agent: from traces alone first, by the model where the policy says so."""
        try:
            if problem := problem_of(trace.request) or _unclean(trace):
                return Learned(status="deferred", reason=problem)
            if self.learning == "off":
                return Learned(status="deferred", reason="learning is off")
            _ = yield from work(lambda: self.book.add(trace))
            return (yield from self._learn_from(trace))
        except Exception as error:
            logger.exception("learning from a trace failed")
            return Learned(status="failed", reason=f"{type(error).__name__}: {error}")

    def learn_remembered(
        self, scope: Scope, progress: Callable[[int, int], None] | None = None
    ) -> Flow[list[LearnedKind]]:
        """Compile every kind of run that is remembered and that no procedure was made from yet."""
        traces = yield from work(lambda: self.book.all(scope))
        done = {key for loaded in self.retriever.serving(scope) for key in loaded.procedure.provenance.trace_ids}
        found: list[LearnedKind] = []
        for trace in traces:
            if trace.id not in done:
                learned = yield from self._learn_from(trace)
                members = self._members(trace, learned, [other for other in traces if other.id not in done])
                done |= members
                found.append(LearnedKind(example=trace.request.text, traces=len(members), learned=learned))
            if progress:
                progress(sum(other.id in done for other in traces), len(traces))
        return found

    def _members(self, trace: Trace, learned: Learned, open_: Sequence[Trace]) -> set[str]:
        """Return the traces that a verdict on one of them is about."""
        entry = self.retriever.find(learned.procedure.rpartition("@")[0]) if learned.procedure else None
        if entry:
            return {trace.id, *entry.procedure.provenance.trace_ids}
        tools = [step.tool for step in trace.calls]
        alike = (o for o in open_ if {s.tool for s in o.calls} == set(tools) and same_wording(trace, o))
        return {trace.id, *(other.id for other in alike)}

    def _learn_from(self, trace: Trace) -> Flow[Learned]:
        known, scope = Known(trace.request, trace.answer, trace), trace.request.scope
        vector = yield from work(lambda: self._vector(trace.request))
        kind = yield from work(lambda: self.kinds.of(scope, vector))
        yield from work(lambda: self.kinds.book(scope, kind, trace.usage, trace.request, trace.answer))
        kind = yield from work(lambda: self.kinds.current(scope, kind))
        task = yield from work(lambda: self._trace_task(known, vector))
        result = yield from self.traces.compile(task, self._admit)
        if isinstance(result, Compiled):
            compiled = result
            return (yield from work(lambda: self._conclude(compiled, Usage(), scope, kind, vector)))
        reason = result.reason
        if (
            not self.compilers
            or kind.backing_off
            or not self.policy.compile_now(Spending(kind.spent, kind.requests, self._compile_cost()))
        ):
            return Learned(status="rejected", reason=reason, report=getattr(result, "report", None))
        return (yield from self._compile(known, kind, vector, finding=reason))

    def _trace_task(self, known: Known, vector: Sequence[float]) -> CompileTask:
        assert known.trace is not None  # noqa: S101  # for the type checker; callers have one
        near = self.book.near(known.trace, MAX_TRACES)
        serving = (loaded.procedure for loaded in self.retriever.serving(known.request.scope))
        made = (procedure for procedure in serving if procedure.provenance.compiler == self.traces.name)
        return CompileTask(
            requests=(known,),
            related=tuple(Known(trace.request, trace.answer, trace) for trace in near),
            tools=tuple(self.tools.values()),
            neighbours=tuple(Neighbour(procedure, "") for procedure in made),
            clock=self.lookup.now is not None,
        )

    def safe_lookup(self, request: Request, *, dry: bool = False, counted: bool = True) -> Outcome:
        """Look up, and turn whatever breaks on the way into a miss: the agent runs on."""
        try:
            if dry and any(not loaded.procedure.pure for loaded in self.retriever.serving(request.scope)):
                return Miss(reason="not tried: a procedure with tools could act")
            return self.lookup(request) if counted else self.lookup.peek(request)
        except Exception as error:
            logger.exception("lookup failed; the request goes on as a miss")
            return Miss(reason=f"the cache is broken: {type(error).__name__}: {error}")

    def safe_plan(self, request: Request) -> Plan | Miss | Refused:
        """Plan, and turn whatever breaks on the way into a miss."""
        try:
            return self.lookup.plan(request)
        except Exception as error:
            logger.exception("planning failed; the request goes on as a miss")
            return Miss(reason=f"the cache is broken: {type(error).__name__}: {error}")

    def count(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.tally.add("requests")
        match outcome:
            case Hit():
                self.tally.add("hits")
            case Miss(reason=reason):
                self.tally.add("misses")
                if reason.startswith("guards disagree"):
                    self.tally.add("conflicts")
            case Deopt():
                self.tally.add("deopts")
            case Refused():
                self.tally.add("refused")

    def write_statistics(self) -> None:
        """Write what procedures did since the last time; what cannot be written is kept for the next time."""
        counters = self.lookup.counters
        with counters.lock:
            touched = {*counters.hits, *counters.deopts, *counters.conflicts}
        for procedure_id in touched:
            with counters.lock:
                hits, deopts, conflicts = counters.take(procedure_id)
            if not self._add_statistics(procedure_id, hits, deopts, conflicts):
                with counters.lock:
                    counters.give_back(procedure_id, hits, deopts, conflicts)

    def _add_statistics(self, procedure_id: str, hits: int, deopts: int, conflicts: int) -> bool:
        known = self.retriever.find(procedure_id)
        if known is None:
            return True
        for _ in range(STATISTICS_TRIES):
            entry = self.store.get(known.procedure.scope, procedure_id)
            if entry is None:
                return True
            old = entry.statistics
            statistics = Statistics(
                hits=old.hits + hits,
                deopts=old.deopts + deopts,
                conflicts=old.conflicts + conflicts,
                saved_tokens=old.saved_tokens + round(hits * self._interpret_cost()),
            )
            with suppress(ConflictError):
                self.store.put(entry.model_copy(update={"statistics": statistics}), expected_revision=entry.revision)
                return True
        return False

    def _miss(self, request: Request, miss: Miss) -> Flow[Outcome]:
        learned: Learned | None = None
        kind: Kind | None = None
        if self.learning == "inline":
            try:
                vector = yield from work(lambda: self._vector(request))
                kind = yield from work(lambda: self.kinds.of(request.scope, vector))
                waited = yield from self._wait_for_flight(request, kind)
                if isinstance(waited, Hit):
                    return waited
                if waited is None:
                    learned, miss = yield from self._try_learning(request, miss, kind, vector)
            except (RecordingError, ModelError):
                raise
            except Exception as error:
                logger.exception("learning failed; the model answers")
                learned = Learned(status="failed", reason=f"{type(error).__name__}: {error}")
        if miss.answered_by != "nobody":
            return miss
        answer, usage = yield from self._interpret(request)
        if kind is not None:
            booked = kind
            with suppress(Exception):
                yield from work(lambda: self.kinds.book(request.scope, booked, usage, request, answer))
        spent = usage + learned.usage if learned else usage
        return replace(miss, answer=answer, answered_by="model", learned=learned, usage=spent)

    def _wait_for_flight(self, request: Request, kind: Kind) -> Flow[Outcome | None]:
        """Wait while another request of the kind is being compiled; its procedure may answer this one too."""
        while (future := self.flights.join(kind.id)) is not None:
            yield Wait(future, FLIGHT_SECONDS)
            outcome = yield from work(lambda: self.safe_lookup(request))
            if isinstance(outcome, Hit) or not future.done():
                return outcome  # Where the other flight is stuck, the model answers this one.
        # Another flight may have landed between this request's lookup and its turn to lead.
        outcome = yield from work(lambda: self.safe_lookup(request))
        if not isinstance(outcome, Hit):
            return None
        self.flights.land(kind.id)
        return outcome

    def _try_learning(
        self, request: Request, miss: Miss, kind: Kind, vector: Sequence[float]
    ) -> Flow[tuple[Learned | None, Miss]]:
        """Lead the flight of a kind: compile if it is worth it, and answer with what came of it."""
        try:
            spending = Spending(kind.spent, kind.requests, self._compile_cost())
            if kind.backing_off:
                reason = f"refused {kind.refusals} times, waits {2**kind.refusals} requests: {kind.refused_because}"
                return Learned(status="deferred", reason=reason), miss
            if not self.policy.compile_now(spending):
                return Learned(
                    status="deferred", reason=f"{spending.spent.tokens} tokens spent on this kind so far"
                ), miss
            learned = yield from self._compile(Known(request), kind, vector)
        finally:
            self.flights.land(kind.id)
        if learned.procedure is None and learned.answer is not None:
            return learned, replace(
                miss, answer=learned.answer, answered_by="model", learned=learned, usage=learned.usage
            )
        if learned.procedure is None:
            return learned, miss
        outcome = yield from work(lambda: self.safe_lookup(request, counted=False))
        if not isinstance(outcome, Hit):
            return learned, replace(miss, reason=f"{miss.reason}; the new procedure: {outcome.reason}")
        return learned, replace(
            miss, answer=outcome.answer, answered_by="new procedure", learned=learned, usage=learned.usage
        )

    def _interpret(self, request: Request, steps: Sequence[ToolStep] = ()) -> Flow[tuple[Json, Usage]]:
        completion = yield from ask(interpret_messages(request, steps), "interpret")
        return read_answer(completion.text), completion.usage

    def _compile(self, known: Known, kind: Kind, vector: Sequence[float], finding: str = "") -> Flow[Learned]:
        scope = known.request.scope
        task = yield from work(lambda: replace(self._task(known, kind, vector), finding=finding))
        result: Compilation = Rejected("no compiler was given", Usage(), 0)
        usage = Usage()
        answer: Json = None
        for compiler in self.compilers:
            result = yield from compiler.compile(task, self._admit)
            usage += result.usage
            if isinstance(result, Compiled) and self.second_opinion and _unproven(known, result.candidate):
                result, answer, extra = yield from self._confirm(compiler, task, known, result)
                usage += extra
            if isinstance(result, Compiled):
                break
        compiled = result
        learned = yield from work(lambda: self._conclude(compiled, usage, scope, kind, vector))
        return replace(learned, answer=answer) if learned.answer is None else learned

    def _confirm(
        self, compiler: Compiler, task: CompileTask, known: Known, compiled: Compiled
    ) -> Flow[tuple[Compilation, Json, Usage]]:
        """Ask the model for the answer itself; where the code disagrees, compile once more with that answer."""
        theirs, usage = yield from self._interpret(known.request)
        ours = compiled.candidate.known[-1].answer
        if agree(ours, theirs):
            return _opinion(compiled, f"the model itself answers {theirs!r}"), theirs, usage
        corrected = replace(task, requests=(replace(known, answer=theirs),))
        result = yield from compiler.compile(corrected, self._admit)
        if isinstance(result, Compiled):
            evidence = f"the model itself answers {theirs!r}; a first version that answered {ours!r} was refused"
            return _opinion(result, evidence), theirs, usage + result.usage
        reason = f"second opinion: the code answers {ours!r}, the model itself {theirs!r}"
        return Rejected(reason, result.usage, compiled.attempts + 1), theirs, usage + result.usage

    def _conclude(
        self, result: Compilation, usage: Usage, scope: Scope, kind: Kind, vector: Sequence[float]
    ) -> Learned:
        match result:
            case Compiled(candidate=candidate, report=report, attempts=attempts):
                if candidate.parent and candidate.parent.content_hash == candidate.procedure.content_hash:
                    return Learned(status="deferred", reason=f"{candidate.parent.key} says it already", usage=usage)
                entry = self._put(candidate, report, vector)
                self.kinds.learned(scope, kind)
                self.tally.add("admitted")
                status = "widened" if candidate.parent else "admitted"
                return Learned(
                    status=status, procedure=entry.procedure.key, report=report, attempts=attempts, usage=usage
                )
            case Rejected(reason=reason, report=report, attempts=attempts):
                self.kinds.refuse(scope, kind, reason)
                self.tally.add("rejected")
                return Learned(status="rejected", reason=reason, report=report, attempts=attempts, usage=usage)
            case NotCrystallizable(reason=reason, answer=answer):
                self.kinds.refuse(scope, kind, reason)
                self.tally.add("not_crystallizable")
                said = read_answer(f"ANSWER: {answer}") if answer else None
                return Learned(status="not crystallizable", reason=reason, answer=said, usage=usage)

    def _put(self, candidate: Candidate, report: AdmissionReport, vector: Sequence[float]) -> Entry:
        parent = candidate.parent
        # Without a parent there may still be one of this id that has retired: the new one is its next version.
        current = self.store.get(candidate.procedure.scope, parent.id if parent else candidate.procedure.id)
        if parent and (current is None or current.procedure.key != parent.key):
            raise ConflictError(f"{parent.key} was changed by somebody else while it was being widened")
        version = candidate.procedure.version if parent or current is None else current.procedure.version + 1
        procedure = candidate.procedure.model_copy(update={"status": "active", "version": version})
        statistics = current.statistics if current else Statistics()
        entry = self.store.put(
            Entry(procedure=procedure, report=report, statistics=statistics),
            expected_revision=current.revision if current else 0,
            vector=None if current else vector,
        )
        for replaced in candidate.replaces:
            self._retire(replaced)
        if current is None:
            note_agent(self.store, procedure.scope)
        self.retriever.refresh(procedure.scope)
        return entry

    def _retire(self, procedure: Procedure) -> None:
        current = self.store.get(procedure.scope, procedure.id)
        if current and current.procedure.key == procedure.key:
            retired = current.procedure.model_copy(update={"status": "retired"})
            entry = current.model_copy(update={"procedure": retired})
            self.store.put(entry, expected_revision=current.revision)

    def _admit(self, candidate: Candidate) -> AdmissionReport:
        replaced = {procedure.id for procedure in candidate.replaces}
        serving = self.retriever.serving(candidate.procedure.scope)
        others = [loaded for loaded in serving if loaded.procedure.id not in replaced]
        return self.admission.examine(candidate, tools=self.tools, others=others)

    def _task(self, known: Known, kind: Kind, vector: Sequence[float]) -> CompileTask:
        return CompileTask(
            requests=(known,),
            related=tuple(item for item in kind.examples() if item.request.text != known.request.text),
            tools=tuple(self.tools.values()),
            neighbours=self._neighbours(known.request, vector),
        )

    def _neighbours(self, request: Request, vector: Sequence[float]) -> tuple[Neighbour, ...]:
        if not isinstance(self.store, SearchableStore):
            return ()
        text = normalise(request.text)
        loaded = {item.procedure.id: item for item in self.retriever.serving(request.scope)}
        found: list[Neighbour] = []
        for match in self.store.search(request.scope, vector, limit=4 * MAX_NEIGHBOURS):
            item = loaded.get(match.entry.procedure.id)
            if item is None or match.score < self.near or len(found) >= MAX_NEIGHBOURS:
                continue
            judgement = item.guard.explain(text, request.context)
            stopped = f"{judgement.stage}: {judgement.reason}" if isinstance(judgement, Declined) else "it accepts"
            found.append(Neighbour(item.procedure, stopped))
        return tuple(found)

    def near_entries(self, scope: Scope, text: str, limit: int) -> list[Entry]:
        """Return the entries nearest to a text; none where the store does not search, or is gone."""
        if not isinstance(self.store, SearchableStore) or not text.strip():
            return []
        try:
            vector = self._vector(Request(text=text, scope=scope))
            return [match.entry for match in self.store.search(scope, vector, limit=limit)]
        except Exception:
            logger.exception("near procedures cannot be found")
            return []

    def _vector(self, request: Request) -> list[float]:
        vector = [float(number) for number in self.embedder.embed_query(request.text)]
        length = math.hypot(*vector)
        return [number / length for number in vector] if length else vector

    def _interpret_cost(self) -> float:
        """Return the mean tokens of a request that the model answered itself; 0 before there was one."""
        spent = self.ledger.of("interpret")
        return spent.tokens / spent.calls if spent.calls else 0.0

    def _compile_cost(self) -> float | None:
        spent = self.ledger.of("compile").tokens + self.ledger.of("repair").tokens
        return spent / self.tally.admitted if self.tally.admitted else None


def _unproven(known: Known, candidate: Candidate) -> bool:
    """Tell whether nothing but the compiler's own word stands behind the answers of a candidate."""
    same_body = candidate.parent is not None and candidate.parent.body == candidate.procedure.body
    return known.answer is None and known.trace is None and not same_body


def _unclean(trace: Trace) -> str | None:
    """Return why a run teaches nothing."""
    failed = next((step for step in trace.calls if step.error), None)
    return f"only clean runs are learnt from: {failed.tool} failed with {failed.error}" if failed else None


def _opinion(compiled: Compiled, evidence: str) -> Compiled:
    check = Check(name="second opinion", verdict="passed", evidence=evidence, cases=1)
    return replace(compiled, report=AdmissionReport(checks=(*compiled.report.checks, check)))
