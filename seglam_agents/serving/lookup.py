"""`Lookup`: the path of a request without a model: index, guards, exactly one answer, body."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from seglam_agents.guards.guard import Accepted, Declined, TemplateGuard
from seglam_agents.guards.normal import NormalText, normalise
from seglam_agents.records.outcome import (
    Action,
    Citation,
    Deopt,
    Explanation,
    Final,
    GiveUp,
    Hit,
    Miss,
    Outcome,
    Plan,
    Refused,
    Stop,
    Timing,
)
from seglam_agents.records.procedure import Entry
from seglam_agents.records.record import Json
from seglam_agents.records.request import MAX_CHARACTERS, Request, Scope
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode, same
from seglam_agents.sandboxes.base import ToolCall, ToolResult
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded, bind_arguments
from seglam_agents.serving.retriever import Retriever

logger = logging.getLogger(__name__)

MAX_EXPLAINED = 5
"""Guards that an explanation goes into, nearest first."""


@dataclass(slots=True)
class Counters:
    """What procedures did since their statistics were last written."""

    hits: Counter[str] = field(default_factory=Counter[str])
    deopts: Counter[str] = field(default_factory=Counter[str])
    conflicts: Counter[str] = field(default_factory=Counter[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, procedure_id: str) -> tuple[int, int, int]:
        """Return and forget the hits, deopts and conflicts of a procedure. The caller holds the lock."""
        return tuple(counter.pop(procedure_id, 0) for counter in (self.hits, self.deopts, self.conflicts))  # pyright: ignore[reportReturnType]  # three counters

    def give_back(self, procedure_id: str, hits: int, deopts: int, conflicts: int) -> None:
        """Count again what could not be written. The caller holds the lock."""
        self.hits[procedure_id] += hits
        self.deopts[procedure_id] += deopts
        self.conflicts[procedure_id] += conflicts


@dataclass(frozen=True, slots=True)
class _Accepting:
    loaded: Loaded
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Found:
    accepting: list[_Accepting]
    timing: Timing


@dataclass(frozen=True, slots=True)
class Lookup:
    """Answers requests from stored procedures alone.

    Args:
        retriever: finds the candidates.
        executor: runs bodies.
        call: runs a tool of the host; it must not raise.
        now: the declared clock of bodies; None where reading it is an error.
    """

    retriever: Retriever
    executor: Executor
    call: Callable[[ToolCall], ToolResult] | None = None
    now: Callable[[], datetime] | None = None
    counters: Counters = field(default_factory=Counters)

    def __call__(self, request: Request) -> Outcome:
        """Return `Hit | Miss | Deopt | Refused`, and count it for the procedure. Never calls a model."""
        outcome = self.peek(request)
        self.count(outcome)
        return outcome

    def count(self, outcome: Outcome) -> None:
        """Count an outcome for the procedures that had a part in it."""
        with self.counters.lock:
            match outcome:
                case Hit(citation=citation):
                    self.counters.hits[citation.procedure_id] += 1
                case Deopt(citation=citation):
                    self.counters.deopts[citation.procedure_id] += 1
                case Miss(stops=stops):
                    conflicts = (stop.procedure for stop in stops if stop.stage == "conflict")
                    self.counters.conflicts.update(key.rpartition("@")[0] for key in conflicts)
                case Refused():
                    pass

    def peek(self, request: Request) -> Outcome:
        """Do the same without counting: for a procedure's own first request."""
        found = self._accepting(request)
        return self._serve(found.accepting, found.timing) if isinstance(found, _Found) else found

    def plan(self, request: Request) -> Plan | Miss | Refused:
        """Return what will answer, for a host that runs the tools itself. Only pure procedures are run, to compare."""
        found = self._accepting(request)
        if not isinstance(found, _Found):
            return found
        chosen, now = found.accepting[0], self.now() if self.now else None
        if len(found.accepting) > 1:
            served = self._serve(found.accepting, found.timing)
            if isinstance(served, Miss):
                return served
            if isinstance(served, (Hit, Deopt)):
                chosen = next(x for x in found.accepting if x.loaded.procedure.key == served.citation.key)
        loaded = chosen.loaded
        return Plan(
            procedure=loaded.procedure.key,
            content_hash=loaded.content_hash,
            arguments=_encoded(chosen.arguments),
            tools=loaded.procedure.tools,
            now=now,
            request=request.text,
        )

    def bind(self, scope: Scope, name: str, arguments: Mapping[str, Json]) -> Plan | Refused:
        """Return a plan for a procedure that is called by its id or name, with arguments instead of a text."""
        serving = self.retriever.serving(scope)
        loaded = next((x for x in serving if name in (x.procedure.id, x.procedure.name, x.procedure.key)), None)
        if loaded is None:
            return Refused(reason=f"no procedure {name!r} serves here")
        bound = bind_arguments(loaded, arguments)
        if isinstance(bound, str):
            return Refused(reason=f"{loaded.procedure.key}: {bound}")
        return Plan(
            procedure=loaded.procedure.key,
            content_hash=loaded.content_hash,
            arguments=_encoded(bound),
            tools=loaded.procedure.tools,
            now=self.now() if self.now else None,
        )

    def next_action(self, scope: Scope, plan: Plan, recorded: Sequence[ToolResult]) -> Action:
        """Run a plan over the recorded results, up to the first call that has none."""
        loaded = self._planned(scope, plan)
        if loaded is None:
            return GiveUp(f"{plan.procedure} does not serve any more: it was replaced, or a tool of it has changed")
        arguments = {name: decode(value) for name, value in plan.arguments.items()}
        return self.executor.next_action(loaded, arguments, recorded, now=plan.now)

    def finish(self, scope: Scope, plan: Plan, action: Final | GiveUp, steps: tuple[ToolStep, ...] = ()) -> Hit | Deopt:
        """Return and count what a plan came to."""
        try:
            loaded = self._planned(scope, plan)
        except Exception:
            logger.exception("the store cannot be read; the outcome is told without it")
            loaded = None
        citation = self._cite(loaded) if loaded else _cited(plan)
        timing = Timing(body=action.seconds)
        outcome = (
            Hit(answer=action.answer, citation=citation, arguments=plan.arguments, steps=steps, timing=timing)
            if isinstance(action, Final)
            else Deopt(reason=action.reason, citation=citation, steps=steps, timing=timing)
        )
        self.count(outcome)
        return outcome

    def _planned(self, scope: Scope, plan: Plan) -> Loaded | None:
        for loaded in self.retriever.serving(scope):
            if loaded.procedure.key == plan.procedure and loaded.content_hash == plan.content_hash:
                return loaded
        return None

    def _accepting(self, request: Request) -> _Found | Miss | Refused:
        if problem := problem_of(request):
            return Refused(reason=problem)
        started = time.perf_counter()
        text = normalise(request.text)
        normalised = time.perf_counter()
        candidates = self.retriever.candidates(request.scope, text)
        indexed = time.perf_counter()
        accepting, stops = self._ask(request, text, candidates.indexed, candidates.coded)
        asked = time.perf_counter()
        timing = Timing(normalise=normalised - started, index=indexed - normalised, guards=asked - indexed)
        if not accepting:
            reason = "no guard accepts the request" if stops else "no stored procedure is like the request"
            return Miss(reason=reason, stops=stops, timing=timing)
        return _Found(accepting, timing)

    def explain(self, request: Request) -> Explanation:
        """Tell which guards were asked, and where each stopped."""
        text = normalise(request.text)
        if problem := problem_of(request):
            return Explanation(request=request.text, normalised=text.text, verdict=f"refused: {problem}")
        found = self.retriever.candidates(request.scope, text)
        nearest = self.retriever.overlap(request.scope, text, MAX_EXPLAINED)
        asked = {loaded.procedure.id: loaded for loaded in (*(x for x, _ in found.indexed), *found.coded, *nearest)}
        judgements = [(loaded, loaded.guard.explain(text, request.context)) for loaded in asked.values()]
        accepted = {x.procedure.key: _encoded(j.arguments) for x, j in judgements if isinstance(j, Accepted)}
        stops = tuple(
            Stop(procedure=loaded.procedure.key, stage=judgement.stage, reason=judgement.reason)
            for loaded, judgement in judgements
            if isinstance(judgement, Declined)
        )
        verdict = {0: "miss: no guard accepts", 1: "one guard accepts"}.get(
            len(accepted), f"{len(accepted)} guards accept: a hit only if their answers agree"
        )
        return Explanation(
            request=request.text,
            normalised=text.text,
            verdict=verdict,
            accepted=tuple(accepted),
            arguments=accepted,
            stops=stops,
        )

    def _ask(
        self, request: Request, text: NormalText, indexed: Sequence[tuple[Loaded, list[int]]], coded: Sequence[Loaded]
    ) -> tuple[list[_Accepting], tuple[Stop, ...]]:
        accepting: list[_Accepting] = []
        stops: list[Stop] = []
        # Guards that are code cost a sandbox run each: they are asked only where no template accepts.
        for loaded, which in (*indexed, *((loaded, None) for loaded in coded)):
            if which is None and accepting:
                break
            judgement = _judge(loaded, which, text, request)
            if isinstance(judgement, Accepted):
                accepting.append(_Accepting(loaded, judgement.arguments))
            else:
                stops.append(Stop(procedure=loaded.procedure.key, stage=judgement.stage, reason=judgement.reason))
        return accepting, tuple(stops)

    def _serve(self, accepting: list[_Accepting], timing: Timing) -> Outcome:
        started = time.perf_counter()
        if len(accepting) > 1 and not all(item.loaded.procedure.pure for item in accepting):
            return self._conflict(accepting, "and at least one of them would call tools", timing)
        now = self.now() if self.now else None
        served: list[tuple[_Accepting, Final]] = []
        for item in sorted(accepting, key=lambda item: -self._proven(item.loaded)):
            action, steps = self.executor.execute(item.loaded, item.arguments, self.call, now=now)
            if not isinstance(action, Final):
                timing = _with_body(timing, started)
                return self._deopt(item, action if isinstance(action, GiveUp) else GiveUp("paused"), steps, timing)
            if served and not same(served[0][1].answer, action.answer):
                return self._conflict(accepting, f"answers {served[0][1].answer!r} and {action.answer!r}", timing)
            served.append((item, action))
            if len(accepting) == 1:
                return self._hit(item, action, steps, _with_body(timing, started))
        return self._hit(*served[0], (), _with_body(timing, started))

    def _hit(self, item: _Accepting, action: Final, steps: tuple[ToolStep, ...], timing: Timing) -> Hit:
        return Hit(
            answer=action.answer,
            citation=self._cite(item.loaded),
            arguments=_encoded(item.arguments),
            steps=steps,
            timing=timing,
        )

    def _deopt(self, item: _Accepting, action: GiveUp, steps: tuple[ToolStep, ...], timing: Timing) -> Deopt:
        return Deopt(reason=action.reason, citation=self._cite(item.loaded), steps=steps, timing=timing)

    def _conflict(self, accepting: list[_Accepting], reason: str, timing: Timing) -> Miss:
        names = " and ".join(item.loaded.procedure.key for item in accepting)
        stops = tuple(Stop(procedure=x.loaded.procedure.key, stage="conflict", reason=reason) for x in accepting)
        return Miss(reason=f"guards disagree: {names} all accept, {reason}", stops=stops, timing=timing)

    def _proven(self, loaded: Loaded) -> int:
        entry = self._entry(loaded)
        return entry.report.clean_replays + entry.statistics.hits if entry else 0

    def _entry(self, loaded: Loaded) -> Entry | None:
        return self.retriever.entry(loaded.procedure.scope, loaded.procedure.id)

    def _cite(self, loaded: Loaded) -> Citation:
        procedure, entry = loaded.procedure, self._entry(loaded)
        clean = entry.report.clean_replays if entry else 0
        return Citation(
            procedure_id=procedure.id,
            version=procedure.version,
            name=procedure.name,
            content_hash=loaded.content_hash,
            trace_ids=procedure.provenance.trace_ids,
            clean_replays=clean,
            error_bound=min(1.0, 3 / clean) if clean else None,
        )


def _cited(plan: Plan) -> Citation:
    """Return what a plan itself says of its procedure."""
    procedure_id, _, version = plan.procedure.rpartition("@")
    name = procedure_id or plan.procedure
    number = int(version) if procedure_id and version.isdecimal() else 0
    return Citation(procedure_id=name, version=number, name=name, content_hash=plan.content_hash)


def problem_of(request: Request) -> str | None:
    """Return why a request is not looked at, or None."""
    if not request.text.strip():
        return "the request is empty"
    if len(request.text) > MAX_CHARACTERS:
        return f"the request has {len(request.text)} characters; at most {MAX_CHARACTERS} are looked at"
    if "\x00" in request.text:
        return "the request contains NUL characters: it is no text"
    if any("\ud800" <= character <= "\udfff" for character in request.text):
        return "the request contains half a surrogate pair: it is no Unicode text"
    return None


def _judge(loaded: Loaded, which: list[int] | None, text: NormalText, request: Request) -> Accepted | Declined:
    if which is not None and isinstance(loaded.guard, TemplateGuard):
        return loaded.guard.match_some(which, text, request.context)
    return loaded.guard.match(text, request.context)


def _with_body(timing: Timing, started: float) -> Timing:
    return Timing(
        normalise=timing.normalise, index=timing.index, guards=timing.guards, body=time.perf_counter() - started
    )


def _encoded(arguments: Mapping[str, Value]) -> dict[str, Json]:
    return {name: encode(value) for name, value in arguments.items()}
