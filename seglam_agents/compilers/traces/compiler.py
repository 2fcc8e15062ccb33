"""`TraceCompiler`: runs of a kind become a procedure, and no model is called.

Each run is predicted by what the earlier ones of its kind made, before it is learnt from. What was predicted rightly
often enough asks for admission: once for what reads, twice for what writes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seglam_agents.compilers.base import Admit, Candidate, Compiled, CompileTask, Known, Rejected
from seglam_agents.compilers.traces.echoes import Echoes
from seglam_agents.compilers.traces.guards import Unguarded, is_open, slots_of, template_of
from seglam_agents.compilers.traces.holds import Unused
from seglam_agents.compilers.traces.kinds import RESERVED, Case, Kind, Wording, case_of
from seglam_agents.compilers.traces.plan import Node, calls_of, left_to_the_model, narrowed, ways_of, without
from seglam_agents.compilers.traces.source import callables, write
from seglam_agents.compilers.traces.spans import WORDS, Reading, readings
from seglam_agents.compilers.traces.words import heads, unaccounted, unsettled
from seglam_agents.flow import Flow, work
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.narrow import WRITE_RANGE, WriteRange
from seglam_agents.guards.normal import normalise
from seglam_agents.records.errors import PredicateError, SeglamError, TemplateError
from seglam_agents.records.procedure import (
    Closing,
    ClosingChoice,
    Example,
    GuardSource,
    Parameter,
    Procedure,
    Provenance,
    ToolUse,
)
from seglam_agents.records.record import Json, digest
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage

READS, WRITES = 1, 2
"""Right predictions before a way is gone that only reads, and one that writes."""


@dataclass(slots=True)
class Skeletons:
    """The kinds of a scope by the hash of their skeletons."""

    kinds: dict[str, Kind] = field(default_factory=dict[str, Kind])
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    """The kinds of each run, by the run's id."""
    echoes: Echoes = field(default_factory=Echoes)
    plans: dict[tuple[object, ...], tuple[Node | None, str]] = field(
        default_factory=dict[tuple[object, ...], "tuple[Node | None, str]"]
    )
    """The plans that its kinds looked for."""

    def learn(self, trace: Trace, tools: Mapping[str, Tool], *, clock: bool) -> list[Kind]:
        """Predict and learn a run in each kind that it belongs to; what is known already is only looked up."""
        if trace.id not in self.keys:
            self._learn(trace, tools, clock=clock)
        known = [self.kinds[key] for key in self.keys[trace.id]]
        return [*known, *self.echoes.learn(trace, known, tools, clock=clock)]

    def _learn(self, trace: Trace, tools: Mapping[str, Tool], *, clock: bool) -> None:
        found: list[Kind] = []
        for read in readings(trace):
            kind = self._kind(trace, read, tools, clock=clock)
            if kind in found:
                continue
            case = Case(trace, read, kind.wordings[read.key].names)
            kind.learn(case, tools, clock=clock)
            found.append(self._merged(kind, tools, clock=clock))
        self.keys[trace.id] = tuple(kind.key for kind in found)

    def _merged(self, kind: Kind, tools: Mapping[str, Tool], *, clock: bool) -> Kind:
        """Let a kind take in others whose runs its plan foretells, or be taken in itself."""
        for other in list(self.kinds.values()):
            if kind.absorb(other, tools, clock=clock):
                self._forget(other, kind)
            elif other.absorb(kind, tools, clock=clock):
                self._forget(kind, other)
                return other
        return kind

    def _forget(self, gone: Kind, kept: Kind) -> None:
        del self.kinds[gone.key]
        self.keys = {
            run: tuple(dict.fromkeys(kept.key if key == gone.key else key for key in keys))
            for run, keys in self.keys.items()
        }

    def _kind(self, trace: Trace, read: Reading, tools: Mapping[str, Tool], *, clock: bool) -> Kind:
        known = next((kind for kind in self.kinds.values() if read.key in kind.wordings), None)
        if known is not None:
            return known
        for kind in self.kinds.values():
            if wording := kind.joins([trace], [read], tools, clock=clock):
                kind.wordings[read.key] = wording
                return kind
        case = case_of(trace, read, tools)
        key = digest(sorted(read.content), sorted(place.kind for place in read.places), sorted(trace.request.context))
        kind = self.kinds.setdefault(key, Kind(key, plans=self.plans))
        while not kind.takes(case):
            key = digest(key, read.key)
            kind = self.kinds.setdefault(key, Kind(key, plans=self.plans))
        kind.wordings[read.key] = Wording(case.names, needs=0 if not kind.wordings else 1)
        return kind


@dataclass(frozen=True, slots=True)
class TraceCompiler:
    """Writes procedures from runs alone; it keeps what it knows of each scope.

    Args:
        reads: right predictions before a way is gone that only reads.
        writes: the same for one that writes.
        write_range: how far beyond the numbers seen others may lie where something is written.
        closing: who says the last message, where calls were made (`ReasoningCache`).
    """

    reads: int = READS
    writes: int = WRITES
    write_range: WriteRange = WRITE_RANGE
    closing: ClosingChoice = "auto"
    scopes: dict[str, Skeletons] = field(default_factory=dict[str, Skeletons])
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def name(self) -> str:
        """The name in provenance."""
        return "traces"

    def knows(self, scope: Scope) -> bool:
        """Tell whether the runs of a scope were read already."""
        return scope.key in self.scopes

    def fellows(self, trace: Trace) -> set[str]:
        """Return the ids of the runs that are of one kind with a run."""
        with self.lock:
            known = self.scopes.get(trace.request.scope.key, Skeletons())
            keys = known.keys.get(trace.id, ())
            return {case.trace.id for key in keys for case in known.kinds[key].cases}

    def compile(self, task: CompileTask, admit: Admit) -> Flow[Compiled | Rejected]:
        """Learn from the run of a task, after the runs related to it where its scope is new, and ask for admission."""
        drafted = yield from work(lambda: self._draft(task))
        if isinstance(drafted, Rejected):
            return drafted
        candidate = drafted
        report = yield from work(lambda: admit(candidate))
        if not report.admitted:
            reason = "; ".join(f"{check.name}: {check.evidence}" for check in report.failures)[:1000]
            return Rejected(reason, Usage(), 1, candidate, report)
        return Compiled(candidate, report, Usage(), 1)

    def _draft(self, task: CompileTask) -> Candidate | Rejected:
        trace = task.requests[0].trace
        if trace is None:
            return _rejected("there is no run to learn from")
        tools = {tool.name: tool for tool in task.tools}
        with self.lock:
            known = self.scopes.setdefault(trace.request.scope.key, Skeletons())
            for earlier in _in_time(item.trace for item in task.related if item.trace):
                if _clean(earlier):
                    known.learn(earlier, tools, clock=task.clock)
            if not _clean(trace):
                return _rejected("the run is not whole: a call of it has no result")
            reasons, unsupported = list[str](), list[Procedure]()
            for kind in known.learn(trace, tools, clock=task.clock):
                # What this run says of the kind may be all that a body in other words was waiting for.
                waiting = [each for each in kind.others(trace) if _id(kind, each) not in kind.drafted]
                for each in (trace, *waiting):
                    drafted = _drafted(kind, each, task, tools, self)
                    if isinstance(drafted, Candidate):
                        kind.drafted.add(drafted.procedure.id)
                        return drafted
                    reasons.append(str(drafted))
                    if not isinstance(drafted, _Served):
                        unsupported += _made_from(kind, each, task)
        return _rejected(reasons[0] if reasons else "the request has no words", unsupported)


def _rejected(reason: str, unsupported: Iterable[Procedure] = ()) -> Rejected:
    return Rejected(reason, Usage(), 0, unsupported=tuple(unsupported))


def _made_from(kind: Kind, trace: Trace, task: CompileTask) -> list[Procedure]:
    """Return the procedure that serves runs like this one, if the kind knows all the runs that it was made from.

    A worker that has seen fewer of them knows less than whoever made it, and has no say in it.
    """
    runs, name = {case.trace.id for case in kind.cases}, _id(kind, trace)
    made = [each.procedure for each in task.neighbours if _is(each.procedure, name)]
    return [each for each in made if runs.issuperset(each.provenance.trace_ids)]


def _is(procedure: Procedure, name: str) -> bool:
    """Tell whether a procedure is that of a kind; where others of it were learnt under other conditions, one beside."""
    return procedure.id == name or procedure.id.startswith(f"{name}-")


def _in_time(traces: Iterable[Trace]) -> list[Trace]:
    return sorted(traces, key=lambda trace: str(trace.recorded_at or ""))


def _clean(trace: Trace) -> bool:
    return not any(step.error for step in trace.calls)


def _drafted(
    kind: Kind,
    trace: Trace,
    task: CompileTask,
    tools: Mapping[str, Tool],
    by: TraceCompiler,
) -> Candidate | SeglamError:
    if kind.plan is None or (kind.given_up and (kind.strayed or by.closing == "code")):
        return _Unproven(kind.refusal or "predictions of this kind were wrong too often")
    try:
        return _candidate(kind, kind.plan, trace, task, tools, by)
    except (Unguarded, _Unproven, _Served) as refusal:
        return refusal
    except Unused as refusal:
        return _Unproven(f"the result {refusal} was read, and nothing says what for")
    except (TemplateError, PredicateError) as error:
        return _Unproven(f"guard: {error}")


class _Unproven(SeglamError):
    """No way of a plan was predicted often enough; says what is missing."""


class _Served(SeglamError):
    """What was predicted is served by other procedures already."""


def _candidate(
    kind: Kind,
    plan: Node,
    trace: Trace,
    task: CompileTask,
    tools: Mapping[str, Tool],
    by: TraceCompiler,
) -> Candidate:
    reads, needed = reading(tools.values()), (by.reads, by.writes)
    alike = kind.alike(trace)
    seen = kind.seen_by(plan, alike, tools, clock=task.clock)
    proven, closing = _proven(kind, seen, reads, needed, by.closing, _gone(kind, alike))
    writes = frozenset(step.tool for case in kind.cases for step in case.trace.calls) - reads
    if (
        writes
        and len(dict(ways_of(plan))) < 2
        and any(_CONDITIONAL.search(" ".join(c.reading.literals)) for c in alike)
    ):
        raise _Unproven("the request says when something is to be done, and no run shows when it is not")
    slots = slots_of(kind.asked(), plan, tools, writes)
    name = _id(kind, trace)
    parent = next((n.procedure for n in task.neighbours if _is(n.procedure, name)), None)
    others = [n.procedure for n in task.neighbours if not _is(n.procedure, name)]
    serving = _Serving(kind, alike, proven, slots, tools, task.clock)
    cases = serving.cases(others, needed[1] if writes else needed[0])
    templates = tuple(dict.fromkeys(template_of(case.reading, case.names, slots) for case in cases))
    if not templates:
        raise _Served("what was predicted is served by other procedures already")
    context = tuple(_context(name, value) for name, value in trace.request.context.items())
    names = [*slots, *(parameter.name for parameter in context)]
    said = frozenset(word for case in alike for word in case.reading.content)
    spelled = callables(tools, {*RESERVED, *names, *(call.name for call in calls_of(proven))})
    traces = [case.trace for case in alike]
    named = {word for case in alike for word in heads(case.reading.literals)}
    left, loose = unaccounted(said, proven, traces) - named, unsettled(said, proven, traces) - named
    plan = narrowed(proven, names)
    words = [place.name for place in kind.asked() if place.kind == WORDS and is_open(slots.get(place.name, ""))]
    bound = _bound(proven, tools)
    body = write(
        plan,
        names,
        _summary(alike[0]),
        writes,
        said,
        spelled,
        accounted=not left,
        settled=not loose,
        within=by.write_range,
        words=[name for name in words if name not in bound],
        context=[parameter.name for parameter in context],
    )
    guard = GuardSource(templates=templates)
    known = tuple(Known(case.trace.request, case.trace.answer, case.trace) for case in cases)
    called = dict.fromkeys(call.tool for call in calls_of(proven))
    procedure = Procedure(
        id=parent.id if parent else name,
        version=parent.version + 1 if parent else 1,
        name=_name(alike[0]),
        description=_summary(alike[0]),
        scope=trace.request.scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard, context=context).parameters(),
        closing=closing,
        tools=tuple(ToolUse.of(tools[name], spelled[name]) for name in tools if name in called),
        examples=tuple(_example(case) for case in cases),
        counterexamples=parent.counterexamples if parent else (),
        provenance=Provenance(
            compiler="traces",
            trace_ids=tuple(dict.fromkeys(case.trace.id for case in alike)),
            parent=parent.key if parent else None,
            created_at=datetime.now(UTC),
        ),
    )
    return Candidate(procedure, known, (), parent)


def _bound(plan: Node, tools: Mapping[str, Tool]) -> set[str]:
    """Return the places that a statement is given as its parameters: these it looks for as they are, or gives up."""
    statements = (call for call in calls_of(plan) if call.tool in tools and tools[call.tool].constants)
    return {name for call in statements for term in call.arguments.values() for name in term.sources}


def _gone(kind: Kind, cases: Iterable[Case]) -> set[str] | None:
    """Return the ways that runs in these words went; None where all words went all of them."""
    return set[str]().union(*(kind.gone.get(case.reading.key, ()) for case in cases)) if kind.gone else None


def _proven(
    kind: Kind,
    plan: Node,
    reads: frozenset[str],
    needed: tuple[int, int],
    choice: ClosingChoice,
    gone: set[str] | None = None,
) -> tuple[Node, Closing]:
    """Return what was predicted often enough, with what makes its last message.

    One body says all of its answers, or none: a caller knows before it runs who has the last word.

    Raises:
        _Unproven: nothing was.
    """
    told, calls = dict.fromkeys(way for way, end in ways_of(plan) if not end.spoken), any(calls_of(plan))

    def open_to(way: str) -> bool:
        return gone is None or way in gone

    right = [way for way in told if not kind.given_up and kind.rights[way] >= _wanted(way, reads, needed)]
    ways = frozenset(filter(open_to, right))
    if ways and (choice != "model" or not calls):
        return without(plan, ways), Closing()
    if choice == "code" and not told:
        raise _Unproven("the calls are explained, and the last message is free in its words; closing='code' wants both")
    open_ = left_to_the_model(plan)
    made = [way for way, _ in ways_of(open_) if kind.calls[way] >= _wanted(way, reads, needed)]
    spoken = frozenset(filter(open_to, made))
    if choice == "code" or not calls or not spoken:
        raise _Unproven(_missing(kind, told or dict(ways_of(open_)), reads, needed))
    return without(open_, spoken), Closing(mode="report" if choice == "report" else "model")


def _wanted(way: str, reads: frozenset[str], needed: tuple[int, int]) -> int:
    return needed[0] if _only_reads(way, reads) else needed[1]


def _missing(kind: Kind, ways: Iterable[str], reads: frozenset[str], needed: tuple[int, int]) -> str:
    rights = kind.rights + kind.calls
    counts = ", ".join(f"{rights[way]} of {_wanted(way, reads, needed)}" for way in ways) or "none"
    silent = f"; the last one said nothing: {kind.silence}" if kind.silence else ""
    return f"{len(kind.cases)} runs agree; right predictions of later ones: {counts}{silent}"[:600]


def _id(kind: Kind, trace: Trace) -> str:
    own = sorted({case.reading.key for case in kind.alike(trace) if kind.apart(case.reading.key)})
    return digest("traces", trace.request.scope.key, kind.key, *own)


def _example(case: Case) -> Example:
    request = case.trace.request
    return Example(
        text=request.text, context=request.context, answer=case.trace.answer, origin="trace", trace_id=case.trace.id
    )


def _context(name: str, value: Json) -> Parameter:
    return Parameter(name=name, slot=next(slot for slot, kind in _JSON if isinstance(value, kind)), source="context")


_JSON: tuple[tuple[str, type], ...] = (
    ("boolean", bool),
    ("number", float),
    ("number", int),
    ("string", str),
    ("array", list),
    ("object", object),
)


_CONDITIONAL = re.compile(
    r"\b(if|unless|when|whenever|once|until|till|provided|providing|otherwise|in case|as long as|so long as)\b"
    r"|\b(wenn|falls|sofern|quand|lorsque|cuando|si)\b",
    re.IGNORECASE,
)
"""Words that say when something is to be done."""


def _only_reads(way: str, reads: frozenset[str]) -> bool:
    return all(tool in reads for tool in way.partition(" -> ")[0].split())


@dataclass(frozen=True, slots=True)
class _Serving:
    """Which runs of a kind a procedure would serve."""

    kind: Kind
    alike: Sequence[Case]
    plan: Node
    slots: Mapping[str, str]
    tools: Mapping[str, Tool]
    clock: bool

    def cases(self, others: Sequence[Procedure], needed: int) -> list[Case]:
        """Return the runs that it does rightly and no other procedure accepts, in wordings that are proven."""
        guards = [TemplateGuard(other.guard) for other in others if other.guard.templates]
        found: list[Case] = []
        trial = Kind(self.kind.key, plan=self.plan)
        for case in self.alike:
            wording = self.kind.wordings[case.reading.key]
            said = trial.foretell(case, self.tools, clock=self.clock)
            proven = wording.rights >= (max(wording.needs, needed) if wording.needs else 0)
            if proven and said and said.verdict == "right" and not _accepted(case, guards):
                found.append(case)
        return found


def _accepted(case: Case, guards: Sequence[TemplateGuard]) -> bool:
    text = normalise(case.trace.request.text)
    return any(isinstance(guard.match(text), Accepted) for guard in guards)


def _name(case: Case) -> str:
    words = [word for literal in case.reading.literals for word in re.findall(r"[a-z]+", literal.lower())]
    return "_".join(words[:6]) or "procedure"


def _summary(case: Case) -> str:
    parts = [case.reading.literals[0]]
    for name, literal in zip(case.names, case.reading.literals[1:], strict=True):
        parts += [f"<{name}>", literal]
    return " ".join("".join(parts).replace("\\", " ").replace('"', "'").split())[:160]
