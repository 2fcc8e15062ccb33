"""`TraceCompiler`: two or more successful runs of a kind become a procedure, and no model is called."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count

from seglam_agents.compilers.base import (
    Admit,
    Candidate,
    Compilation,
    Compiled,
    CompileTask,
    Known,
    Rejected,
)
from seglam_agents.compilers.traces.alignment import Observation, Refused, Words, align
from seglam_agents.compilers.traces.classes import Unused, naming
from seglam_agents.compilers.traces.guards import Argument, Unguarded, slots_of, templates_of
from seglam_agents.compilers.traces.phrases import Binding, bind, literal_words, said_in, say_the_same
from seglam_agents.compilers.traces.plan import Diverged, Node, calls_of, follow, stops_of, terms_of
from seglam_agents.compilers.traces.source import write
from seglam_agents.compilers.traces.terms import PRELUDE, entries_of
from seglam_agents.compilers.traces.wording import Place, Wording, common, opened, tokens
from seglam_agents.flow import Flow, work
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.normal import normalise
from seglam_agents.records.errors import PredicateError, TemplateError
from seglam_agents.records.procedure import Example, GuardSource, Parameter, Procedure, Provenance, ToolUse
from seglam_agents.records.record import digest
from seglam_agents.records.tools import Tool, reading
from seglam_agents.records.trace import ToolStep, Trace
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import Value

MAX_TRACES = 60
"""Traces of one kind that are looked at; later ones say little that these do not."""
MAX_HELD_OUT = 8
KEPT_WORDS = (1.0, 0.75, 0.0)
"""Share of the literal words that a further request must leave standing: all, nearly all, as few as may be."""
MAX_GROUPS = 8
MIN_TRACES = 2
NEAREST = 8
"""Requests with most words in common that are looked at closely for the one that is worded most alike."""


@dataclass(frozen=True, slots=True)
class TraceCompiler:
    """Writes procedures from traces alone.

    Args:
        held_out: compile again without a trace, and look what that does on it, for this many traces.
    """

    held_out: int = MAX_HELD_OUT

    @property
    def name(self) -> str:
        """The name in provenance."""
        return "traces"

    def compile(self, task: CompileTask, admit: Admit) -> Flow[Compilation]:
        """Compile the kind of the first request of a task, from all traces that are given."""
        drafted = yield from work(lambda: self._draft(task))
        if isinstance(drafted, str):
            return Rejected(drafted, Usage(), 0)
        candidate = drafted
        report = yield from work(lambda: admit(candidate))
        if not report.admitted:
            reason = "; ".join(f"{check.name}: {check.evidence}" for check in report.failures)[:1000]
            return Rejected(reason, Usage(), 1, candidate, report)
        return Compiled(candidate, report, Usage(), 1)

    def _draft(self, task: CompileTask) -> Candidate | str:
        known = _traced(task)
        if len(known) < MIN_TRACES:
            return "one trace shows what was done, not what may vary: a second one of the kind is needed"
        try:
            traces = [item.trace for item in known if item.trace]
            kind, candidate = _first(kinds_of(traces, setting_of(task, traces)), task)
            return replace(candidate, held_out=_held_out(kind, task, self.held_out))
        except (Refused, Unguarded) as refusal:
            return str(refusal)
        except Unused as refusal:
            return f"the result {refusal} was read, and nothing says what for"
        except (TemplateError, PredicateError) as error:
            return f"guard: {error}"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known besides the traces of a kind."""

    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    words: Words = field(default_factory=dict[tuple[str, str], Mapping[str, Value]])
    names: frozenset[str] = frozenset()
    clock: bool = True
    made: tuple[Procedure, ...] = ()
    """The stored procedures that came from traces."""
    traces: tuple[Trace, ...] = ()
    """All traces that are known, of this kind and of others."""

    @property
    def reads(self) -> frozenset[str]:
        """The tools that change nothing."""
        return reading(self.tools.values())

    def now(self, trace: Trace) -> Value:
        """Return when a trace was recorded; None where bodies have no clock."""
        return trace.recorded_at.replace(tzinfo=None) if self.clock and trace.recorded_at else None


@dataclass(frozen=True, slots=True)
class Case:
    """A trace with where its arguments stand in its request."""

    trace: Trace
    binding: Binding
    steps: tuple[ToolStep, ...]
    """The calls, with the reads between two writes in the order of the plan."""


@dataclass(frozen=True, slots=True)
class TraceKind:
    """Traces that one plan explains, in one or more wordings."""

    cases: tuple[Case, ...]
    kinds: Mapping[str, str | None]
    plan: Node
    setting: Setting

    @property
    def writes(self) -> frozenset[str]:
        """The tools that change something."""
        return frozenset(step.tool for case in self.cases for step in case.steps) - self.setting.reads


def setting_of(task: CompileTask, traces: Sequence[Trace]) -> Setting:
    """Return what tools, other traces and stored procedures tell."""
    made = [n.procedure for n in task.neighbours if n.procedure.provenance.compiler == "traces"]
    return Setting(
        {tool.name: tool for tool in task.tools}, spoken(made), naming(traces), task.clock, tuple(made), tuple(traces)
    )


def kind_of(traces: Sequence[Trace], setting: Setting) -> TraceKind:
    """Return the kind that the first trace belongs to: the one that explains most traces.

    Raises:
        Refused: no plan fits two or more traces that say the same as the first one.
    """
    return kinds_of(traces, setting)[0]


def kinds_of(traces: Sequence[Trace], setting: Setting) -> list[TraceKind]:
    """Return the kinds that the first trace may belong to, those that explain most traces first.

    Raises:
        Refused: no plan fits two or more traces that say the same as the first one.
    """
    reasons: list[str] = []
    found: list[TraceKind] = []
    for group in _all_groups(traces, setting):
        try:
            kind = _explained(_widened(_settled(group, setting), [t for t in traces if t not in group]))
        except Refused as refusal:
            reasons.append(str(refusal))
            continue
        if not any(case.trace is traces[0] for case in kind.cases):
            reasons.append("its words are not those of a kind that is known")
        elif _readable(kind):
            found.append(kind)
    if not found:
        raise Refused(reasons[0] if reasons else "no second trace is worded like this one")
    return sorted(found, key=lambda kind: -len(kind.cases))


def _readable(kind: TraceKind) -> bool:
    """Tell whether the guard of a kind reads each of its requests in one way only."""
    try:
        slots = _slots(kind)
        guard = TemplateGuard(GuardSource(templates=tuple(templates_of([c.binding for c in kind.cases], slots))))
    except (Unguarded, TemplateError):
        return True  # What is wrong is told later.
    return all(isinstance(guard.match(normalise(case.trace.request.text)), Accepted) for case in kind.cases)


def _all_groups(traces: Sequence[Trace], setting: Setting) -> Iterator[list[Trace]]:
    """Yield groups to be tried, those whose wordings are closest first."""
    seen: set[str] = set()
    constants = {name: tool.constants for name, tool in setting.tools.items() if tool.constants}
    for kept in KEPT_WORDS:
        groups = _groups(traces, kept, constants)
        # Groups of other words only help where this request is another way to say the same.
        for group in groups[:MAX_GROUPS] if kept == KEPT_WORDS[0] else groups[:1]:
            key = " ".join(sorted(trace.id for trace in group))
            if len(group) >= MIN_TRACES and key not in seen:
                seen.add(key)
                yield group


def same_wording(one: Trace, other: Trace) -> bool:
    """Tell whether two requests differ only in places that may vary."""
    return common([one.request.text, other.request.text]) is not None


def _groups(traces: Sequence[Trace], kept: float, constants: Mapping[str, frozenset[str]]) -> list[list[Trace]]:
    """Return groups of one wording each, that of the first trace first."""
    left = list(traces)
    groups: list[list[Trace]] = []
    while left:
        group, left = _group(left, kept, constants)
        groups.append(group)
    return [groups[0], *sorted(groups[1:], key=len, reverse=True)]


def _group(
    traces: Sequence[Trace], kept: float, constants: Mapping[str, frozenset[str]]
) -> tuple[list[Trace], list[Trace]]:
    group, others = [traces[0]], list[Trace]()
    wording: Wording | None = None
    for trace in _nearest_first(traces[0], traces[1:]):
        merged = common([*(member.request.text for member in group), trace.request.text])
        enough = merged is not None and (wording is None or len(merged.words) >= kept * len(wording.words))
        if enough and _same_start(group[0], trace, constants):
            group, wording = [*group, trace], merged
        else:
            others.append(trace)
    return group, others


def _nearest_first(trace: Trace, others: Sequence[Trace]) -> list[Trace]:
    """Return others by the words that they share, and the nearest by what both of them spell alike."""
    ordered = sorted(others, key=lambda other: -_likeness(trace, other))
    nearest = sorted(ordered[:NEAREST], key=lambda other: -_literal_words(trace.request.text, other.request.text))
    return [*nearest, *ordered[NEAREST:]]


@lru_cache(maxsize=20_000)
def _literal_words(one: str, other: str) -> int:
    merged = common([one, other])
    return len(merged.words) if merged else 0


def _same_start(one: Trace, other: Trace, constants: Mapping[str, frozenset[str]]) -> bool:
    """Tell whether two traces both call something, or both nothing, and give what is constant the same values.

    Which tools they call may differ: what was found may tell why.
    """
    return bool(one.calls) == bool(other.calls) and _constants(one, constants) == _constants(other, constants)


def _constants(trace: Trace, constants: Mapping[str, frozenset[str]]) -> set[tuple[str, str, str]]:
    return {
        (step.tool, name, repr(value))
        for step in trace.calls
        for name, value in step.arguments.items()
        if name in constants.get(step.tool, ())
    }


def _likeness(one: Trace, other: Trace) -> float:
    left, right = ({token.key for token in tokens(trace.request.text)} for trace in (one, other))
    return len(left & right) / max(1, len(left | right))


def _settled(group: Sequence[Trace], setting: Setting) -> TraceKind:
    """Return the kind of a group, without those whose words at an idle place may mean something else."""
    wording = common([trace.request.text for trace in group])
    if wording is None or len(group) < MIN_TRACES:
        raise Refused("no second trace is worded like this one")
    wording = opened(wording, _spoken_for(group, setting))
    kind = _kind(group, wording, setting)
    used = {name for term in terms_of(kind.plan) for name in term.sources}
    idle = [index for index, name in enumerate(kind.kinds) if name not in used and kind.kinds[name] is None]
    said = said_in(group)
    same = [
        trace
        for number, trace in enumerate(group)
        if all(say_the_same(wording.places[i].texts[0], wording.places[i].texts[number], said) for i in idle)
    ]
    return kind if len(same) == len(group) else _settled(same, setting)


def _spoken_for(group: Sequence[Trace], setting: Setting) -> set[str]:
    """Return the words that are known for a value that every trace of a group gives to an argument.

    Known from procedures that call the same tools: there such a word was seen to change this argument, and nothing
    else of what is done.
    """
    called = {step.tool for trace in group for step in trace.calls}
    known = spoken([made for made in setting.made if {tool.name for tool in made.tools} == called])
    given = set[tuple[str, str, str]].intersection(*(_texts_given(trace) for trace in group))
    return {
        word for tool, name, value in given for word, meant in known.get((tool, name), {}).items() if meant == value
    }


def _texts_given(trace: Trace) -> set[tuple[str, str, str]]:
    return {
        (step.tool, name, value)
        for step in trace.calls
        for name, value in step.arguments.items()
        if isinstance(value, str)
    }


def _explained(kind: TraceKind) -> TraceKind:
    """Leave out the traces that the plan gives up on: they are no examples of what it does."""
    kept = tuple(case for case in kind.cases if _explains(kind, case))
    if len(kept) < MIN_TRACES:
        raise Refused("; ".join(dict.fromkeys(stop.reason for stop in stops_of(kind.plan))) or "the plan fits too few")
    return replace(kind, cases=kept)


def _explains(kind: TraceKind, case: Case) -> bool:
    view = {**case.binding.arguments, "now": kind.setting.now(case.trace)}
    try:
        return follow(kind.plan, view, case.steps, case.trace.answer) is not None  # pyright: ignore[reportArgumentType]  # JSON is a Value
    except Diverged:
        return False


def _kind(group: Sequence[Trace], wording: Wording, setting: Setting) -> TraceKind:
    names = _names(group, wording, setting.tools)
    cases: list[Case] = []
    for index, trace in enumerate(group):
        spans: list[tuple[str, int, int]] = []
        at = 0
        for name, place in zip(names, wording.places, strict=True):
            start = trace.request.text.index(place.texts[index], at)
            at = start + len(place.texts[index])
            spans.append((name, start, at))
        arguments = {name: place.values[index] for name, place in zip(names, wording.places, strict=True)}
        cases.append(Case(trace, Binding(trace.request.text, tuple(spans), arguments), trace.calls))
    kinds = {name: place.kind for name, place in zip(names, wording.places, strict=True)}
    return TraceKind(tuple(cases), kinds, _plan(cases, setting), setting)


def _pooled(plan: Node, known: Words) -> Words:
    """Add the words of a plan's own dictionaries to those known, where several are for the same argument."""
    found: dict[tuple[str, str], list[Mapping[str, Value]]] = {}
    for call in calls_of(plan):
        for argument, term in call.arguments.items():
            if entries := entries_of(term):
                found.setdefault((call.tool, argument), []).append(entries)
    pooled = dict(known)
    for key, tables in found.items():
        joined = {word: value for entries in (*tables, known.get(key, {})) for word, value in entries.items()}
        if len(tables) > 1 and all(joined[word] == value for entries in tables for word, value in entries.items()):
            pooled[key] = joined
    return pooled


def _plan(cases: Sequence[Case], setting: Setting) -> Node:
    observations = [
        Observation(case.binding.arguments, case.steps, case.trace.answer, setting.now(case.trace))  # pyright: ignore[reportArgumentType]  # JSON is a Value
        for case in cases
    ]
    taken = frozenset((*setting.tools, *PRELUDE, "run", "now", "date", "datetime", "timedelta"))
    plan = align(observations, setting.tools, taken, setting.words)
    if (words := _pooled(plan, setting.words)) != setting.words:
        # What a word means at one place of a kind it means at the others that are given to the same argument.
        return align(observations, setting.tools, taken, words)
    return plan


def _widened(kind: TraceKind, others: Sequence[Trace]) -> TraceKind:
    """Add the traces of other wordings that the plan explains, and plan again with what they add."""
    for trace in others:
        clock = kind.setting.now(trace)
        words = literal_words(kind.cases[0].binding)
        bound = bind(trace, kind.plan, kind.kinds, words, clock, kind.setting.reads)
        if bound is None:
            continue
        cases = (*kind.cases, Case(trace, *bound))
        try:
            kind = replace(kind, cases=cases, plan=_plan(cases, kind.setting))
        except Refused:
            continue
    return kind


def _names(group: Sequence[Trace], wording: Wording, tools: Mapping[str, Tool]) -> list[str]:
    taken = {*tools, *PRELUDE, "run", "now", "date", "datetime", "timedelta", "deopt"}
    names: list[str] = []
    for index, place in enumerate(wording.places):
        again = next((i for i in range(index) if _again(wording.places[i], place)), None)
        if again is not None:
            names.append(names[again])
            continue
        wanted = _role(group, place.texts) or _KIND_NAMES.get((place.kind or "").partition("(")[0], "word")
        candidates = (wanted if number == 1 else f"{wanted}_{number}" for number in count(1))
        name = next(name for name in candidates if name not in taken and not keyword.iskeyword(name))
        taken.add(name)
        names.append(name)
    return names


def _again(one: Place, other: Place) -> bool:
    """Tell whether two places name the same thing in every request."""
    pairs = zip(one.texts, other.texts, strict=True)
    return one.kind == other.kind and all(left.lower() == right.lower() for left, right in pairs)


def _role(group: Sequence[Trace], texts: Sequence[str]) -> str | None:
    """Return the name of the argument that the text of a place is given for."""
    named: set[str] | None = None
    for trace, text in zip(group, texts, strict=True):
        here = {
            name
            for step in trace.calls
            for name, value in step.arguments.items()
            if isinstance(value, str) and value.casefold() == text.casefold()
        }
        named = here if named is None else named & here
    found = sorted(name for name in named or () if name.isidentifier())
    return found[0] if found else None


_KIND_NAMES = {
    "date": "day",
    "monthday": "day",
    "weekday": "weekday",
    "time": "hour",
    "duration": "span",
    "money": "amount",
    "percent": "percent",
    "quantity": "quantity",
    "number": "number",
    "id": "identifier",
    "email": "address",
    "url": "link",
    "quoted": "quoted",
}


def _traced(task: CompileTask) -> list[Known]:
    items = [item for item in (*task.requests, *task.related) if item.trace is not None]
    unique = {item.trace.id: item for item in items if item.trace is not None}
    return [item for item in unique.values() if not item.request.context and _clean(item.trace)][:MAX_TRACES]


def _clean(trace: Trace | None) -> bool:
    return trace is not None and not any(step.error for step in trace.calls)


def _first(kinds: Sequence[TraceKind], task: CompileTask) -> tuple[TraceKind, Candidate]:
    """Return the first of some kinds that makes a procedure: a larger one may take in words that nothing explains.

    Raises:
        Refused, Unguarded, Unused: what is wrong with the first one, where none makes one.
    """
    wrong: Exception | None = None
    for kind in kinds:
        try:
            return kind, _candidate(kind, task)
        except (Refused, Unguarded, Unused, TemplateError, PredicateError) as refusal:
            wrong = wrong or refusal
    raise wrong or Refused("no second trace is worded like this one")


def _candidate(kind: TraceKind, task: CompileTask) -> Candidate:
    slots = _unopposed(kind)
    contained = _contained(kind)
    cases = _unserved(kind, contained)
    templates = templates_of([case.binding for case in cases], slots)
    if not templates:
        raise Refused("other procedures accept all of these requests already")
    names = [name for name in kind.kinds if name in slots]
    summary = _summary(kind)
    body = write(kind.plan, names, summary, kind.writes, kind.setting.names)
    parent = contained[0] if contained else None
    known = tuple(Known(case.trace.request, case.trace.answer, case.trace) for case in cases)
    procedure = _procedure(kind, task, known, body, templates, summary, parent)
    return Candidate(procedure, known, (), parent, replaces=tuple(contained[1:]))


def _unopposed(kind: TraceKind) -> dict[str, str]:
    """Return the slot types with which the guard takes in no request that was answered in another way.

    Raises:
        Refused: there are none.
        Unguarded: no slot type reads what was seen.
    """
    for closed in (False, True):
        slots = _slots(kind, closed=closed)
        opposed = _opposed(kind, slots)
        if opposed is None:
            return slots
    raise Refused(f"{opposed!r} is worded like these and was answered in another way")


def _opposed(kind: TraceKind, slots: Mapping[str, str]) -> str | None:
    """Return a request that the guard accepts, though its run was another than the plan's."""
    guard = TemplateGuard(GuardSource(templates=tuple(templates_of([c.binding for c in kind.cases], slots))))
    ours = {case.trace.id for case in kind.cases}
    for trace in kind.setting.traces:
        judgement = guard.match(normalise(trace.request.text)) if trace.id not in ours else None
        if isinstance(judgement, Accepted) and _otherwise(kind, judgement.arguments, trace):
            return trace.request.text
    return None


def _otherwise(kind: TraceKind, arguments: Mapping[str, Value], trace: Trace) -> bool:
    view = {**arguments, "now": kind.setting.now(trace)}
    try:
        return follow(kind.plan, view, trace.calls, trace.answer) is None  # pyright: ignore[reportArgumentType]  # JSON is a Value
    except Diverged:
        return False  # It gives up there, and the model goes on.


def _slots(kind: TraceKind, *, closed: bool = False) -> dict[str, str]:
    used = {name for term in terms_of(kind.plan) for name in term.sources}
    arguments = [Argument(name, kind.kinds[name], name in used) for name in kind.kinds]
    texts = [(case.binding, case.trace) for case in kind.cases]
    return slots_of(texts, arguments, kind.plan, kind.setting.tools, kind.writes, closed=closed)


def _procedure(
    kind: TraceKind,
    task: CompileTask,
    known: Sequence[Known],
    body: str,
    templates: Sequence[str],
    summary: str,
    parent: Procedure | None,
) -> Procedure:
    guard = GuardSource(templates=tuple(templates))
    parameters: tuple[Parameter, ...] = TemplateGuard(guard).parameters()
    called = list(dict.fromkeys(step.tool for case in kind.cases for step in case.trace.calls))
    traces = tuple(case.trace.id for case in kind.cases)
    examples = tuple(
        Example(text=item.request.text, answer=item.answer, origin="trace", trace_id=item.trace.id)
        for item in known
        if item.trace
    )
    return Procedure(
        id=parent.id if parent else digest("traces", task.requests[0].request.scope.key, sorted(traces)[0], body),
        version=parent.version + 1 if parent else 1,
        name=_name(kind),
        description=summary,
        scope=task.requests[0].request.scope,
        guard=guard,
        body=body,
        parameters=parameters,
        tools=tuple(
            ToolUse.of(kind.setting.tools[name]) for name in called if f"{name}(" in body and name in kind.setting.tools
        ),
        examples=examples,
        counterexamples=parent.counterexamples if parent else (),
        provenance=Provenance(
            compiler="traces",
            trace_ids=traces,
            parent=parent.key if parent else None,
            created_at=datetime.now(UTC),
        ),
    )


def spoken(procedures: Sequence[Procedure]) -> Words:
    """Return the words that stored bodies know for the values of an argument, but those read in two ways."""
    found: dict[tuple[str, str], dict[str, Value]] = {}
    doubtful: set[tuple[str, str, str]] = set()
    for procedure in procedures:
        for tool, argument, word, value in _dictionaries(procedure.body):
            known = found.setdefault((tool, argument), {})
            if known.setdefault(word, value) != value:
                doubtful.add((tool, argument, word))
    for tool, argument, word in doubtful:
        del found[tool, argument][word]
    return found


def _dictionaries(body: str) -> Iterator[tuple[str, str, str, Value]]:
    for node in ast.walk(ast.parse(body)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        for keyword_ in node.keywords:
            value = keyword_.value
            if keyword_.arg and isinstance(value, ast.Subscript) and isinstance(value.value, ast.Dict):
                for word, meaning in ast.literal_eval(value.value).items():
                    yield node.func.id, keyword_.arg, word, meaning


def _contained(kind: TraceKind) -> list[Procedure]:
    """Return the stored procedures whose traces are all among those of this kind: it takes their place."""
    ours = {case.trace.id for case in kind.cases}
    return [procedure for procedure in kind.setting.made if ours >= set(procedure.provenance.trace_ids)]


def _unserved(kind: TraceKind, contained: Sequence[Procedure]) -> list[Case]:
    """Return the cases that no other procedure serves: two that accept one request would both have to stand back."""
    replaced = {procedure.id for procedure in contained}
    guards = [TemplateGuard(p.guard) for p in kind.setting.made if p.id not in replaced and p.guard.templates]
    return [
        case
        for case in kind.cases
        if not any(isinstance(guard.match(normalise(case.trace.request.text)), Accepted) for guard in guards)
    ]


def _name(kind: TraceKind) -> str:
    words = [token.key for literal in kind.cases[0].binding.literals for token in tokens(literal)]
    kept = [word for word in words if word.isascii() and word.isalpha()][:6]
    return "_".join(kept) or "procedure"


def _summary(kind: TraceKind) -> str:
    binding = kind.cases[0].binding
    parts = [binding.literals[0]]
    for (name, _, _), literal in zip(binding.spans, binding.literals[1:], strict=True):
        parts += [f"<{name}>", literal]
    return " ".join("".join(parts).replace("\\", " ").replace('"', "'").split())[:160]


def _held_out(kind: TraceKind, task: CompileTask, limit: int) -> tuple[tuple[Procedure, Known], ...]:
    """Compile without one trace at a time; admission looks what that does on the trace that was left out."""
    if len(kind.cases) <= MIN_TRACES:
        return ()
    found: list[tuple[Procedure, Known]] = []
    for case in kind.cases[:limit]:
        rest = [other.trace for other in kind.cases if other is not case]
        try:
            _, candidate = _first(kinds_of(rest, kind.setting), task)
        except (Refused, Unguarded, Unused, TemplateError, PredicateError):
            continue  # It would have learnt nothing from the others, which is no mistake.
        found.append((candidate.procedure, Known(case.trace.request, case.trace.answer, case.trace)))
    return tuple(found)
