"""The plan of a body: calls, loops, branches and an answer, as a tree of terms; and what it does on a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from seglam_agents.compilers.traces.terms import Family, Term, Unknown, View
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode
from seglam_agents.records.values import same as same_answer


@dataclass(frozen=True, slots=True)
class Invocation:
    """A tool call whose arguments are terms; its result gets a name."""

    name: str
    tool: str
    arguments: Mapping[str, Term]


@dataclass(frozen=True, slots=True)
class Scene:
    """What all traces that came to a node could see there."""

    views: tuple[View, ...]
    families: Mapping[str, Family]


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call a tool, then go on."""

    scene: Scene
    call: Invocation
    then: Node


@dataclass(frozen=True, slots=True)
class Loop:
    """Do some calls for each element of a list, then go on."""

    scene: Scene
    variable: str
    over: Term
    calls: tuple[Invocation, ...]
    inside: Scene
    """What could be seen in each turn of each trace."""
    may_be_empty: bool
    at_most: int | None
    """Turns that a body may take; None where traces took several."""
    then: Node


@dataclass(frozen=True, slots=True)
class Test:
    """A condition that is true, false, or not known: where the traces say nothing, neither holds."""

    yes: Term
    no: Term


@dataclass(frozen=True, slots=True)
class Branch:
    """Go one way where all tests say yes, the other where all say no, and give up where they differ."""

    scene: Scene
    tests: tuple[Test, ...]
    if_yes: Node
    if_no: Node


@dataclass(frozen=True, slots=True)
class Answer:
    """The end."""

    scene: Scene
    term: Term


@dataclass(frozen=True, slots=True)
class Stop:
    """A way that too few traces went: the model takes over here."""

    scene: Scene
    reason: str


Node: TypeAlias = Invoke | Loop | Branch | Answer | Stop


def terms_of(node: Node) -> list[Term]:
    """Return every term of a plan."""
    match node:
        case Invoke(call=call, then=then):
            return [*call.arguments.values(), *terms_of(then)]
        case Loop(over=over, calls=calls, then=then):
            return [over, *(term for call in calls for term in call.arguments.values()), *terms_of(then)]
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            return [*(test.yes for test in tests), *terms_of(if_yes), *terms_of(if_no)]
        case Answer(term=term):
            return [term]
        case Stop():
            return []


def calls_of(node: Node) -> list[Invocation]:
    """Return every call of a plan."""
    match node:
        case Invoke(call=call, then=then):
            return [call, *calls_of(then)]
        case Loop(calls=calls, then=then):
            return [*calls, *calls_of(then)]
        case Branch(if_yes=if_yes, if_no=if_no):
            return [*calls_of(if_yes), *calls_of(if_no)]
        case Answer() | Stop():
            return []


def answers_of(node: Node) -> list[Term]:
    """Return the terms of all answers."""
    match node:
        case Invoke(then=then) | Loop(then=then):
            return answers_of(then)
        case Branch(if_yes=if_yes, if_no=if_no):
            return [*answers_of(if_yes), *answers_of(if_no)]
        case Answer(term=term):
            return [term]
        case Stop():
            return []


def stops_of(node: Node) -> list[Stop]:
    """Return the ways of a plan that end in giving up."""
    match node:
        case Invoke(then=then) | Loop(then=then):
            return stops_of(then)
        case Branch(if_yes=if_yes, if_no=if_no):
            return [*stops_of(if_yes), *stops_of(if_no)]
        case Stop():
            return [node]
        case Answer():
            return []


class Diverged(SeglamError):
    """A plan gives up on a trace, or does something else than the trace."""


@dataclass(slots=True)
class _Run:
    """A trace that is followed: the steps that are left, and those that the plan took, in the plan's order."""

    left: list[ToolStep]
    taken: list[ToolStep]
    reads: frozenset[str]

    def take(self, tool: str, arguments: Mapping[str, Value]) -> ToolStep | None:
        """Return the step that makes a call, if it may be the next one."""
        at = matching(self.left, tool, arguments, self.reads)
        if at is None:
            return None
        self.taken.append(self.left.pop(at))
        return self.taken[-1]


def matching(steps: Sequence[ToolStep], tool: str, arguments: Mapping[str, Value], reads: frozenset[str]) -> int | None:
    """Return where the step is that makes a call: reads between two writes commute, a write is the next step or none.

    Args:
        steps: what is left of a run.
        tool: the tool that is called.
        arguments: its arguments, as JSON.
        reads: the tools that change nothing.
    """
    for index, step in enumerate(steps):
        if step.tool == tool and dict(step.arguments) == arguments:
            return index
        if tool not in reads or step.tool not in reads:
            return None
    return None


def follow(
    node: Node, view: View, steps: Sequence[ToolStep], answer: Value, reads: frozenset[str] = frozenset()
) -> tuple[ToolStep, ...] | None:
    """Return the steps of a trace in the order of a plan that does what the trace did; None where it does not.

    Args:
        node: the plan.
        view: what it can see at its beginning.
        steps: the calls of the trace.
        answer: what the trace answered.
        reads: the tools that change nothing: in which order they are called between two writes says nothing.

    Raises:
        Diverged: the plan gives up on it (its calls so far were those of the trace).
    """
    run = _Run(list(steps), [], reads)
    try:
        return tuple(run.taken) if _follow(node, dict(view), run, answer) else None
    except Unknown as error:
        raise Diverged("a value is missing") from error


def _follow(node: Node, view: dict[str, Value], run: _Run, answer: Value) -> bool:
    match node:
        case Invoke(call=call, then=then):
            return _called(call, view, run) and _follow(then, view, run, answer)
        case Loop():
            return _looped(node, view, run) and _follow(node.then, view, run, answer)
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            if all(test.yes(view) for test in tests):
                return _follow(if_yes, view, run, answer)
            if all(test.no(view) for test in tests):
                return _follow(if_no, view, run, answer)
            raise Diverged("not seen in any trace")
        case Answer(term=term):
            return not run.left and same_answer(encode(term(view)), encode(answer))
        case Stop(reason=reason):
            raise Diverged(reason)


def _called(call: Invocation, view: dict[str, Value], run: _Run) -> bool:
    arguments = {name: encode(term(view)) for name, term in call.arguments.items()}
    step = run.take(call.tool, arguments)
    if step is None:
        return False
    view[call.name] = decode(step.result)
    return True


def _looped(loop: Loop, view: dict[str, Value], run: _Run) -> bool:
    elements = cast("Sequence[Value]", loop.over(view))
    if not elements and not loop.may_be_empty:
        raise Diverged("no trace was without one here")
    if loop.at_most is not None and len(elements) > loop.at_most:
        raise Diverged("no trace had as many here")
    for element in elements:
        inner = {**view, loop.variable: element}
        if not all(_called(call, inner, run) for call in loop.calls):
            return False
    return True
