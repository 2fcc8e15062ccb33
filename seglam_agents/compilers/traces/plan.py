"""The plan of a body: calls, loops, branches and an answer, as a tree of terms; and what it does on a trace."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from seglam_agents.compilers.traces.closings import Told, claim, likeness
from seglam_agents.compilers.traces.terms import Family, Term, Unknown, View, constant
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode, encode


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
    spoken: bool = False
    """Whether the last message is the model's: it is free in its words, and no explanation makes it."""


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


def lists_of(node: Node) -> list[Term]:
    """Return what the loops of a plan run over."""
    match node:
        case Loop(over=over, then=then):
            return [over, *lists_of(then)]
        case Invoke(then=then):
            return lists_of(then)
        case Branch(if_yes=if_yes, if_no=if_no):
            return [*lists_of(if_yes), *lists_of(if_no)]
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


def scenes_before(node: Node, writes: frozenset[str] = frozenset()) -> list[Scene]:
    """Return what could be seen before each first write, and before each answer without one."""
    match node:
        case Invoke(scene=scene, call=call, then=then):
            return [scene] if call.tool in writes else scenes_before(then, writes)
        case Loop(scene=scene, calls=calls, then=then):
            return [scene] if any(call.tool in writes for call in calls) else scenes_before(then, writes)
        case Branch(if_yes=if_yes, if_no=if_no):
            return [*scenes_before(if_yes, writes), *scenes_before(if_no, writes)]
        case Answer(scene=scene):
            return [scene]
        case Stop():
            return []


class Diverged(SeglamError):
    """A plan gives up on a run."""


class _Differs(SeglamError):
    """A plan does something else than a run."""


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


def grown(node: Node, view: View, steps: Sequence[ToolStep], reads: frozenset[str] = frozenset()) -> Node:
    """Return a plan that has seen one more run, which it foretold rightly: no term changes."""
    return _grown(node, dict(view), _Run(list(steps), [], reads))


def _grown(node: Node, view: dict[str, Value], run: _Run) -> Node:
    scene = Scene((*node.scene.views, {name: view[name] for name in node.scene.families}), node.scene.families)
    match node:
        case Invoke(call=call, then=then):
            _called(call, view, run)
            return replace(node, scene=scene, then=_grown(then, view, run))
        case Loop(over=over, variable=variable, inside=inside, then=then):
            elements = cast("Sequence[Value]", over(view))
            turns = tuple({**{n: view[n] for n in scene.families}, variable: element} for element in elements)
            _looped(node, view, run)
            more = Scene((*inside.views, *turns), inside.families)
            return replace(node, scene=scene, inside=more, then=_grown(then, view, run))
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            yes = all(test.yes(view) for test in tests)
            return replace(
                node,
                scene=scene,
                if_yes=_grown(if_yes, view, run) if yes else if_yes,
                if_no=if_no if yes else _grown(if_no, view, run),
            )
        case Answer() | Stop():
            return replace(node, scene=scene)


def unseen(node: Node) -> Node:
    """Return a plan that has seen no run."""
    scene = Scene((), node.scene.families)
    match node:
        case Invoke(then=then):
            return replace(node, scene=scene, then=unseen(then))
        case Loop(inside=inside, then=then):
            return replace(node, scene=scene, inside=Scene((), inside.families), then=unseen(then))
        case Branch(if_yes=if_yes, if_no=if_no):
            return replace(node, scene=scene, if_yes=unseen(if_yes), if_no=unseen(if_no))
        case Answer() | Stop():
            return replace(node, scene=scene)


Verdict: TypeAlias = Literal["right", "wrong", "silent"]


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a plan said about a run: the same as it did, something else, or nothing."""

    verdict: Verdict
    differs: str = ""
    way: str = ""
    """The way that it took: its calls and the words of its answer."""
    spoken: bool = False
    """Whether only the calls were foretold, because the last message is the model's."""
    made: str = ""
    """The way without its answer, where the calls are those of the run, whatever it said."""


def foretell(
    node: Node,
    view: View,
    steps: Sequence[ToolStep],
    answer: Value,
    reads: frozenset[str] = frozenset(),
    *,
    asked: str = "",
) -> Foretold:
    """Return what a plan says about a run, over the results that the run recorded.

    Args:
        node: the plan.
        view: what it can see at its beginning.
        steps: the calls of the run.
        answer: what the run answered.
        reads: the tools that change nothing: in which order they are called between two writes says nothing.
        asked: the request.
    """
    run = _Run(list(steps), [], reads)
    try:
        end = _follow(node, dict(view), run)
    except Unknown as error:
        return Foretold("silent", str(error) or "a value is missing")
    except Diverged as error:
        return Foretold("silent", str(error))
    except _Differs as error:
        return Foretold("wrong", str(error))
    if run.left:
        return Foretold("wrong", f"never calls {run.left[0].tool}")
    made = _spoken([step.tool for step in run.taken])
    if end[2]:
        return Foretold("right", "", made, spoken=True, made=made)
    way = _way([step.tool for step in run.taken], end[1], end[0])
    told = Told(asked, tuple(steps), reads) if asked else None
    alike = likeness(encode(end[1]), encode(answer), told)
    if alike == "same":
        return Foretold("right", "", way, made=made)
    said = f"answers {end[1]!r}, the run {answer!r}"
    return Foretold("wrong" if alike == "differs" else "silent", said, way, made=made)


def ways_of(node: Node, called: tuple[str, ...] = ()) -> Iterator[tuple[str, Answer]]:
    """Yield every way of a plan with its end."""
    match node:
        case Invoke(call=call, then=then):
            yield from ways_of(then, (*called, call.tool))
        case Loop(calls=calls, then=then):
            yield from ways_of(then, (*called, *(call.tool for call in calls)))
        case Branch(if_yes=if_yes, if_no=if_no):
            yield from ways_of(if_yes, called)
            yield from ways_of(if_no, called)
        case Answer():
            yield _way_to(called, node), node
        case Stop():
            pass


def without(node: Node, proven: frozenset[str], called: tuple[str, ...] = ()) -> Node:
    """Return a plan that gives up on every way that is not proven, before it calls what only that way calls."""
    match node:
        case Invoke(call=call, then=then):
            rest = without(then, proven, (*called, call.tool))
            return replace(rest, scene=node.scene) if isinstance(rest, Stop) else replace(node, then=rest)
        case Loop(calls=calls, then=then):
            rest = without(then, proven, (*called, *(call.tool for call in calls)))
            return replace(rest, scene=node.scene) if isinstance(rest, Stop) else replace(node, then=rest)
        case Branch(if_yes=if_yes, if_no=if_no):
            yes, no = without(if_yes, proven, called), without(if_no, proven, called)
            if isinstance(yes, Stop) and isinstance(no, Stop):
                return replace(yes, scene=node.scene)
            return replace(node, if_yes=yes, if_no=no)
        case Answer(scene=scene):
            return node if _way_to(called, node) in proven else Stop(scene, "no run of this way was predicted yet")
        case Stop():
            return node


def left_to_the_model(node: Node) -> Node:
    """Return a plan that leaves every last message to the model."""
    match node:
        case Invoke(then=then) | Loop(then=then):
            return replace(node, then=left_to_the_model(then))
        case Branch(scene=scene, if_yes=if_yes, if_no=if_no):
            ways = left_to_the_model(if_yes), left_to_the_model(if_no)
            if all(isinstance(way, Answer) for way in ways):
                # What is said is all that it decided.
                return Answer(scene, constant(None), spoken=True)
            return replace(node, if_yes=ways[0], if_no=ways[1])
        case Answer():
            return replace(node, term=constant(None), spoken=True)
        case Stop():
            return node


def narrowed(node: Node, names: Collection[str]) -> Node:
    """Return a plan that sees only those places of the request: what never varied is no argument of a body."""

    def seen(scene: Scene) -> Scene:
        kept: dict[str, Family] = {}
        for name, own in scene.families.items():
            if own != "request" or name in names:
                kept[name] = own
        return Scene(scene.views, kept)

    scene = seen(node.scene)
    match node:
        case Invoke(then=then):
            return replace(node, scene=scene, then=narrowed(then, names))
        case Loop(inside=inside, then=then):
            return replace(node, scene=scene, inside=seen(inside), then=narrowed(then, names))
        case Branch(if_yes=if_yes, if_no=if_no):
            return replace(node, scene=scene, if_yes=narrowed(if_yes, names), if_no=narrowed(if_no, names))
        case Answer() | Stop():
            return replace(node, scene=scene)


def _spoken(called: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(called)) + " -> what the model says"


def _way_to(called: Sequence[str], end: Answer) -> str:
    if end.spoken:
        return _spoken(called)
    for view in end.scene.views:
        try:
            return _way(called, end.term(view), view)
        except Unknown:
            continue  # A run in another phrasing, of which the term says nothing.
    return _way(called, "", {})


def _way(called: Sequence[str], answer: Value, view: View) -> str:
    """Return a name for a way that stays the same while terms change: its calls, and what its answer claims."""
    known = [encode(value) for value in view.values()]
    words = sorted(claim(answer, known).words) if isinstance(answer, str) else [type(answer).__name__]
    # A loop may turn any number of times on the same way.
    return " ".join(dict.fromkeys(called)) + " -> " + " ".join(words)


def _follow(node: Node, view: dict[str, Value], run: _Run) -> tuple[View, Value, bool]:
    match node:
        case Invoke(call=call, then=then):
            _called(call, view, run)
            return _follow(then, view, run)
        case Loop():
            _looped(node, view, run)
            return _follow(node.then, view, run)
        case Branch(tests=tests, if_yes=if_yes, if_no=if_no):
            if all(test.yes(view) for test in tests):
                return _follow(if_yes, view, run)
            if all(test.no(view) for test in tests):
                return _follow(if_no, view, run)
            raise Diverged("not seen in any run")
        case Answer(term=term):
            return view, term(view), node.spoken
        case Stop(reason=reason):
            raise Diverged(reason)


def _called(call: Invocation, view: dict[str, Value], run: _Run) -> None:
    arguments = {name: encode(term(view)) for name, term in call.arguments.items()}
    step = run.take(call.tool, arguments)
    if step is None:
        left = f"{run.left[0].tool}({dict(run.left[0].arguments)})" if run.left else "nothing"
        raise _Differs(f"calls {call.tool}({arguments}), the run {left}"[:400])
    view[call.name] = decode(step.result)


def _looped(loop: Loop, view: dict[str, Value], run: _Run) -> None:
    elements = cast("Sequence[Value]", loop.over(view))
    if not elements and not loop.may_be_empty:
        raise Diverged("no run was without one here")
    if loop.at_most is not None and len(elements) > loop.at_most:
        raise Diverged("no run had as many here")
    for element in elements:
        inner = {**view, loop.variable: element}
        for call in loop.calls:
            _called(call, inner, run)
