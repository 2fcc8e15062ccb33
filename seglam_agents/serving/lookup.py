"""`Lookup`: the path of a request without a model: index, guards, exactly one answer, body."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from seglam_agents.flow import cancelled
from seglam_agents.guards.guard import Accepted, Declined, TemplateGuard
from seglam_agents.guards.normal import NormalText, normalise
from seglam_agents.records.errors import said
from seglam_agents.records.outcome import (
    Action,
    Call,
    Citation,
    Deopt,
    Explanation,
    Final,
    GiveUp,
    Hit,
    Miss,
    Plan,
    PlannedBeside,
    Refused,
    Stop,
    Timing,
)
from seglam_agents.records.procedure import Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.request import MAX_CHARACTERS, Request, Scope
from seglam_agents.records.telling import tell
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode
from seglam_agents.sandboxes.base import ToolCall, ToolResult
from seglam_agents.serving.ending import ended_by
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import CHANGED, Loaded, bind_arguments
from seglam_agents.serving.reports import reported
from seglam_agents.serving.retriever import Candidates, Retriever, Served
from seglam_agents.serving.threads import Standing, Taken, standing_of
from seglam_agents.serving.together import Disagreement, Part, next_together

logger = logging.getLogger(__name__)

MAX_CALLS = 64
"""Tool calls of procedures that run side by side."""
CODE_SECONDS = 0.3
"""What all guards that are code may take of one request together; each has a limit of its own besides."""
_NOT_ASKED = f"not asked: the guards before it took more than {CODE_SECONDS} s"
_BEYOND = f"{CHANGED}, and what this writes lies beyond the runs that agreed since then"
MAX_EXPLAINED = 5
"""Guards that an explanation goes into, nearest first."""


@dataclass(frozen=True, slots=True)
class _Accepting:
    served: Served
    arguments: Mapping[str, Value]
    template: int = 0

    @property
    def procedure(self) -> Procedure:
        return self.served.loaded.procedure

    @property
    def part(self) -> Part:
        return Part(self.served.loaded, self.arguments)

    @property
    def wording(self) -> str:
        templates = self.procedure.guard.templates
        return templates[self.template] if self.template < len(templates) else ""


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

    def __call__(self, request: Request) -> Hit | Miss | Deopt | Refused:
        """Return `Hit | Miss | Deopt | Refused`. Never calls a model."""
        found = self._accepting(request)
        return self._serve(found.accepting, found.timing) if isinstance(found, _Found) else found

    def look(self, request: Request) -> Hit | Miss | Deopt | Refused:
        """Do the same, and turn whatever breaks on the way into a miss: the agent runs on."""
        try:
            return self(request)
        except Exception as error:
            tell(logger, "lookup failed, and the request goes on as a miss", error)
            return _broken(error)

    def revision(self, scope: Scope) -> int:
        """Return how far the store has been read: while it stays, requests are judged the same. 0 if it is broken."""
        try:
            return self.retriever.revision(scope)
        except Exception:
            return 0  # The look that follows tells what is broken.

    def dry(self, request: Request) -> Hit | Miss | Deopt | Refused:
        """Answer where that takes no tool; nothing is carried out."""
        found = self._accepting(request)
        if not isinstance(found, _Found):
            return found
        if not all(item.procedure.pure for item in found.accepting):
            return Miss(kind="not tried", reason="not tried: a procedure with tools could act", timing=found.timing)
        return self._serve(found.accepting, found.timing)

    def plan_or_miss(self, request: Request) -> Plan | Miss | Refused:
        """Plan, and turn whatever breaks on the way into a miss."""
        try:
            return self.plan(request)
        except Exception as error:
            tell(logger, "planning failed, and the request goes on as a miss", error)
            return _broken(error)

    def plan(self, request: Request) -> Plan | Miss | Refused:
        """Return what will answer, for a host that runs the tools itself. Nothing is carried out.

        Where several guards accept, their bodies are run up to their first call, and must want the same.
        """
        found = self._accepting(request)
        if not isinstance(found, _Found):
            return found
        now = self.now() if self.now else None
        plan = _plan(found.accepting, request, now)
        if len(found.accepting) == 1:
            return plan
        wanted = next_together([item.part for item in found.accepting], self.executor, now=now)
        if isinstance(wanted, Disagreement):
            return _conflict(found.accepting, wanted.reason, found.timing)
        # The answer is kept: a body that ran to be compared need not run again.
        return plan.model_copy(update={"answered": True, "answer": wanted.answer} if isinstance(wanted, Final) else {})

    def standing(self, request: Request, earlier: Sequence[str]) -> Standing:
        """Tell whether a request stands for itself after what persons said before it. Never raises."""
        try:
            return standing_of(request.text, earlier, lambda text: self._taken(request, text))
        except Exception as error:
            tell(logger, "what was said before cannot be judged, and the request goes on as a miss", error)
            return Standing("open", f"what was said before cannot be judged: {said(error)}")

    def bind(self, scope: Scope, name: str, arguments: Mapping[str, Json]) -> Plan | Refused:
        """Return a plan for a procedure that is called by its id or name, with arguments instead of a text."""
        serving = self.retriever.serving(scope)
        loaded = next((x for x in serving if name in (x.procedure.id, x.procedure.name, x.procedure.key)), None)
        if loaded is None:
            return Refused(kind="no such procedure", reason=f"no procedure {name!r} serves here")
        bound = bind_arguments(loaded, arguments)
        if isinstance(bound, str):
            return Refused(kind="arguments", reason=f"{loaded.procedure.key}: {bound}")
        return Plan(
            procedure=loaded.procedure.key,
            content_hash=loaded.content_hash,
            arguments=_encoded(bound),
            tools=loaded.procedure.tools,
            now=self.now() if self.now else None,
        )

    def next_action(self, scope: Scope, plan: Plan, recorded: Sequence[ToolResult]) -> Action:
        """Run a plan over the recorded results, up to the first call that has none."""
        if plan.answered:
            return Final(plan.answer)
        parts: list[Part] = []
        for item in (plan, *plan.beside):
            served = self._planned(scope, item)
            if served is None:
                reason = f"{item.procedure} does not serve any more: it was replaced, or a tool of it has changed"
                return GiveUp(reason, kind="stale")
            parts.append(Part(served.loaded, {name: decode(value) for name, value in item.arguments.items()}))
        wanted = next_together(parts, self.executor, recorded, now=plan.now)
        return GiveUp(wanted.reason, kind="conflict") if isinstance(wanted, Disagreement) else wanted

    def finish(self, scope: Scope, plan: Plan, action: Action, steps: tuple[ToolStep, ...] = ()) -> Hit | Deopt:
        """Return what a plan came to; one that still wants a call was stopped by its host."""
        if isinstance(action, Call):
            action = GiveUp(f"stopped before its call of {action.tool}", kind="host")
        try:
            served = self._planned(scope, plan)
        except Exception as error:
            tell(logger, "the store cannot be read; the outcome is told without it", error)
            served = None
        citation = cite(served, plan.wording) if served else _cited(plan)
        timing = Timing(body=action.seconds)
        if isinstance(action, GiveUp):
            return Deopt(reason=action.reason, kind=action.kind, citation=citation, steps=steps, timing=timing)
        return Hit(
            answer=action.answer,
            citation=citation,
            arguments=plan.arguments,
            steps=steps,
            timing=timing,
            kind="guard" if plan.request else "called",
            closing=plan.closing,
        )

    def _planned(self, scope: Scope, plan: Plan | PlannedBeside) -> Served | None:
        served = self.retriever.served(scope, plan.procedure.rpartition("@")[0])
        same = served is not None and (served.loaded.procedure.key, served.loaded.content_hash) == (
            plan.procedure,
            plan.content_hash,
        )
        return served if same else None

    def _accepting(self, request: Request) -> _Found | Miss | Refused:
        if problem := problem_of(request):
            return problem
        started = time.perf_counter()
        text = normalise(request.text)
        normalised = time.perf_counter()
        candidates = self.retriever.candidates(request.scope, text)
        indexed = time.perf_counter()
        accepting, stops = self._ask(request, text, candidates)
        asked = time.perf_counter()
        timing = Timing(normalise=normalised - started, index=indexed - normalised, guards=asked - indexed)
        if not accepting:
            if absent := self._absent(request, text):
                stops = (*absent, *stops)
                reason = f"{absent[0].procedure} would answer, but {absent[0].reason}"
                return Miss(kind="sandbox", reason=reason, stops=stops, timing=timing)
            if shadows := self._shadows(request, text):
                stops = (*shadows, *stops)
                reason = f"{shadows[0].procedure} would accept, but serves nothing: {shadows[0].reason}"
                return Miss(kind="shadow", reason=reason, stops=stops, timing=timing)
            if stops:
                return Miss(kind="declined", reason="no guard accepts the request", stops=stops, timing=timing)
            return Miss(kind="unknown", reason="no stored procedure is like the request", timing=timing)
        # The most proven first: it is the one that is cited.
        return _Found(sorted(_at_home(accepting), key=lambda item: -item.served.proven), timing)

    def _taken(self, request: Request, text: str) -> Taken | None:
        """Return what accepts another text in the place of a request, whether or not it serves today."""
        asked = request.model_copy(update={"text": text})
        found = self._accepting(asked)
        if isinstance(found, _Found):
            first = found.accepting[0]
            return Taken(first.served.loaded, Accepted(first.arguments, first.template))
        read = normalise(text)
        shadows = [] if problem_of(asked) else self.retriever.shadows_of(request.scope, read)
        judged = ((served.loaded, served.loaded.guard.match(read, request.context)) for served in shadows)
        return next((Taken(loaded, j) for loaded, j in judged if isinstance(j, Accepted)), None)

    def explain(self, request: Request) -> Explanation:
        """Tell which guards were asked, and where each stopped."""
        if problem := problem_of(request):
            return Explanation(request=str(request.text), normalised="", verdict=f"refused: {problem.reason}")
        text = normalise(request.text)
        found = self.retriever.candidates(request.scope, text)
        nearest = self.retriever.overlap(request.scope, text, MAX_EXPLAINED)
        candidates = [served.loaded for served in (*(x for x, _ in found.indexed), *found.coded)]
        asked = {loaded.procedure.id: loaded for loaded in (*candidates, *nearest)}
        judgements = [(loaded, loaded.guard.explain(text, request.context)) for loaded in asked.values()]
        accepted = {x.procedure.key: _encoded(j.arguments) for x, j in judgements if isinstance(j, Accepted)}
        stops = tuple(
            Stop(procedure=loaded.procedure.key, stage=judgement.stage, reason=judgement.reason)
            for loaded, judgement in judgements
            if isinstance(judgement, Declined)
        )
        stops = (*self._absent(request, text), *self._shadows(request, text), *stops)
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
        self, request: Request, text: NormalText, candidates: Candidates
    ) -> tuple[list[_Accepting], tuple[Stop, ...]]:
        accepting: list[_Accepting] = []
        stops: list[Stop] = []
        began: float | None = None
        # Guards that are code cost a sandbox run each: they are asked only where no template accepts.
        for served, which in (*candidates.indexed, *((served, None) for served in candidates.coded)):
            if which is None and accepting and began is None:
                break
            if which is None:
                began = began if began is not None else time.perf_counter()
                if time.perf_counter() - began > CODE_SECONDS:
                    # Whoever was not asked might accept as well: nothing is served on the word of the others.
                    return [], (*stops, Stop(procedure=served.loaded.procedure.key, stage="code", reason=_NOT_ASKED))
            judgement = _judge(served.loaded, which, text, request)
            if isinstance(judgement, Accepted):
                accepting.append(_Accepting(served, judgement.arguments, judgement.template))
            else:
                key = served.loaded.procedure.key
                stops.append(Stop(procedure=key, stage=judgement.stage, reason=judgement.reason))
        return accepting, tuple(stops)

    def _absent(self, request: Request, text: NormalText) -> tuple[Stop, ...]:
        """Return the procedures that would accept, but whose sandbox is not here."""
        return tuple(
            Stop(procedure=served.loaded.procedure.key, stage="sandbox", reason=served.loaded.missing)
            for served in self.retriever.absent(request.scope)
            # A guard that is code would have to run there too.
            if isinstance(served.loaded.guard, TemplateGuard)
            and isinstance(served.loaded.guard.match(text, request.context), Accepted)
        )

    def _shadows(self, request: Request, text: NormalText) -> tuple[Stop, ...]:
        """Return the procedures that would accept, but run in shadow."""
        return tuple(
            Stop(
                procedure=served.loaded.procedure.key,
                stage="shadow",
                reason=self.retriever.hindrance(served.entry) or _BEYOND,
            )
            for served in self.retriever.shadows_of(request.scope, text)
            if isinstance(served.loaded.guard.match(text, request.context), Accepted)
        )

    def _serve(self, accepting: list[_Accepting], timing: Timing) -> Hit | Miss | Deopt:
        spoken = next((item for item in accepting if item.procedure.closing.mode == "model"), None)
        if spoken is not None:
            reason = f"{spoken.procedure.key} makes the calls, and its last message is the model's: a host serves it"
            return Miss(kind="not tried", reason=reason, timing=timing)
        started = time.perf_counter()
        now = self.now() if self.now else None
        if len(accepting) == 1:
            (item,) = accepting
            action, steps = self.executor.execute(item.served.loaded, item.arguments, self.call, now=now)
            return _outcome(_Ran(item, action, steps), _with_body(timing, started))
        ran = self._run_together(accepting, now)
        if isinstance(ran, Disagreement):
            return _conflict(accepting, ran.reason, timing)
        return _outcome(ran, _with_body(timing, started))

    def _run_together(self, accepting: list[_Accepting], now: datetime | None) -> _Ran | Disagreement:
        """Run all that accept side by side. Once something was carried out, a disagreement is a give-up."""
        parts, steps, results = [item.part for item in accepting], list[ToolStep](), list[ToolResult]()
        while True:
            wanted = self._next_of(parts, results, now)
            if isinstance(wanted, Disagreement) and not steps:
                return wanted
            if isinstance(wanted, Disagreement):
                wanted = GiveUp(wanted.reason, kind="conflict")
            if isinstance(wanted, Call) and cancelled():
                wanted = GiveUp("the request was cancelled", kind="host")
            if not isinstance(wanted, Call) or self.call is None or len(steps) >= MAX_CALLS:
                return _Ran(accepting[0], wanted, tuple(steps))
            step, result = self.executor.carry_out(wanted, self.call)
            steps.append(step)
            results.append(result)
            uses = [use for item in accepting for use in item.procedure.tools]
            if ended := ended_by(wanted.tool, result, uses):
                return _Ran(accepting[0], ended, (*steps,))

    def _next_of(
        self, parts: Sequence[Part], results: Sequence[ToolResult], now: datetime | None
    ) -> Action | Disagreement:
        try:
            return next_together(parts, self.executor, results, now=now)
        except Exception as error:
            if not results:
                raise
            # From the first call on, nothing may hide from the model what was done.
            tell(logger, "a body broke after tools were called; the model takes over", error)
            return GiveUp(f"the cache is broken: {said(error)}", kind="broken")


@dataclass(frozen=True, slots=True)
class _Ran:
    item: _Accepting
    action: Action
    steps: tuple[ToolStep, ...] = ()


def _at_home(accepting: list[_Accepting]) -> list[_Accepting]:
    """Return those that know the conditions of today best.

    What was learnt under them knows them; what only came back under them has no say beside it, except where the former
    does not answer yet and leaves its last message to the model.
    """
    own = [item for item in accepting if item.served.loaded.held is None]
    back = [item for item in accepting if item.served.loaded.held is not None]
    spoken = any(item.procedure.closing.mode == "model" for item in own)
    return back if back and (spoken or not own) else own


def cite(served: Served, wording: str = "") -> Citation:
    """Return where an answer of a procedure comes from, and by which of its templates it was asked."""
    procedure, clean = served.loaded.procedure, served.entry.report.clean_replays
    return Citation(
        procedure_id=procedure.id,
        version=procedure.version,
        name=procedure.name,
        content_hash=served.loaded.content_hash,
        wording=wording,
        trace_ids=procedure.provenance.trace_ids,
        clean_replays=clean,
        error_bound=min(1.0, 3 / clean) if clean else None,
    )


def problem_of(request: Request) -> Refused | None:
    """Return why a request is not looked at, or None."""
    if not isinstance(request.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # see `ReasoningCache._request`
        return Refused(kind="not text", reason=f"a request is a text or a Request, not a {type(request.text).__name__}")
    if problem := _context_problem(request):
        return Refused(kind="not text", reason=problem)
    if not request.text.strip():
        return Refused(kind="empty", reason="the request is empty")
    if len(request.text) > MAX_CHARACTERS:
        length = f"the request has {len(request.text)} characters; at most {MAX_CHARACTERS} are looked at"
        return Refused(kind="too long", reason=length)
    if "\x00" in request.text:
        return Refused(kind="not text", reason="the request contains NUL characters: it is no text")
    if any("\ud800" <= character <= "\udfff" for character in request.text):
        return Refused(kind="not text", reason="the request contains half a surrogate pair: it is no Unicode text")
    return None


def _context_problem(request: Request) -> str | None:
    """Return why a context is none: one that did not pass as a record is looked at once more."""
    try:
        Request.model_validate({"text": "", "context": request.context})
        json.dumps(request.context)  # An integer of thousands of digits is one of JSON, and cannot be written down.
    except (ValueError, RecursionError) as error:
        return f"the context has no JSON form: {error}"
    return None


def _outcome(ran: _Ran, timing: Timing) -> Hit | Deopt:
    citation, closing = cite(ran.item.served, ran.item.wording), ran.item.procedure.closing.mode
    match reported(ran.action, closing, ran.steps):
        case Final(answer=answer):
            arguments = _encoded(ran.item.arguments)
            return Hit(
                answer=answer,
                citation=citation,
                arguments=arguments,
                steps=ran.steps,
                timing=timing,
                closing=closing,
            )
        case GiveUp(reason=reason, kind=kind):
            return Deopt(reason=reason, kind=kind, citation=citation, steps=ran.steps, timing=timing)
        case Call(tool=tool):
            reason = f"wants {tool}, which nobody can carry out here"
            return Deopt(reason=reason, kind="host", citation=citation, steps=ran.steps, timing=timing)


def _broken(error: Exception) -> Miss:
    return Miss(kind="broken", reason=f"the cache is broken: {said(error)}")


def _conflict(accepting: list[_Accepting], reason: str, timing: Timing) -> Miss:
    names = " and ".join(item.procedure.key for item in accepting)
    stops = tuple(Stop(procedure=item.procedure.key, stage="conflict", reason=reason) for item in accepting)
    return Miss(kind="conflict", reason=f"guards disagree: {names} all accept, {reason}", stops=stops, timing=timing)


def _plan(accepting: Sequence[_Accepting], request: Request, now: datetime | None) -> Plan:
    first, *others = accepting
    return Plan(
        procedure=first.procedure.key,
        content_hash=first.served.loaded.content_hash,
        arguments=_encoded(first.arguments),
        tools=tuple({use.name: use for item in accepting for use in item.procedure.tools}.values()),
        now=now,
        request=request.text,
        wording=first.wording,
        closing=first.procedure.closing.mode,
        beside=tuple(
            PlannedBeside(
                procedure=item.procedure.key,
                content_hash=item.served.loaded.content_hash,
                arguments=_encoded(item.arguments),
            )
            for item in others
        ),
    )


def _cited(plan: Plan) -> Citation:
    """Return what a plan itself says of its procedure."""
    procedure_id, _, version = plan.procedure.rpartition("@")
    name = procedure_id or plan.procedure
    number = int(version) if procedure_id and version.isdecimal() else 0
    return Citation(procedure_id=name, version=number, name=name, content_hash=plan.content_hash, wording=plan.wording)


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
