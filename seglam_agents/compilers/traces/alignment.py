"""All traces of a kind as one plan: shared calls, loops over lists, and branches where something seen tells why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from seglam_agents.compilers.traces import conditions
from seglam_agents.compilers.traces.atoms import Atoms, Found
from seglam_agents.compilers.traces.origins import Hints, Unexplained, explain, resolve, same
from seglam_agents.compilers.traces.plan import Answer, Branch, Invocation, Invoke, Loop, Node, Scene, Stop
from seglam_agents.compilers.traces.terms import Family, Term, Values, View, applied, constant, named, values
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import ToolStep
from seglam_agents.records.values import Value, decode

MAX_BLOCK = 3
"""Calls of one turn of a loop."""
MIN_TRACES = 2
"""Traces that must have gone a way before a body goes it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trace with what its request binds."""

    arguments: Mapping[str, Value]
    steps: tuple[ToolStep, ...]
    answer: Value
    now: Value = None


class Refused(SeglamError):
    """The traces do not make one plan; says why, and which trace would help."""


Words: TypeAlias = Mapping[tuple[str, str], Mapping[str, Value]]
"""Words that other kinds of request have shown for the values of an argument, by tool and argument."""


def align(
    observations: Sequence[Observation], tools: Mapping[str, Tool], taken: frozenset[str], words: Words | None = None
) -> Node:
    """Return the plan that does on every trace what the trace did.

    Args:
        observations: two or more traces of a kind.
        tools: the tools by name, for the closed sets of their arguments.
        taken: names that a result may not have.
        words: what other kinds have shown.

    Raises:
        Refused: there is no plan that all traces agree on.
    """
    families: dict[str, Family] = dict.fromkeys(observations[0].arguments, "request")
    if all(observation.now is not None for observation in observations):
        families["now"] = "clock"
    walks = [
        _Walk(o.steps, o.answer, {**o.arguments, **({"now": o.now} if "now" in families else {})}) for o in observations
    ]
    return _Aligner(tools, taken, words or {})(walks, families)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is left of a trace, and what can be seen at this point of it."""

    steps: tuple[ToolStep, ...]
    answer: Value
    view: View

    @property
    def next(self) -> str | None:
        return self.steps[0].tool if self.steps else None

    def after(self, count: int, results: Mapping[str, Value] | None = None) -> _Walk:
        return _Walk(self.steps[count:], self.answer, {**self.view, **(results or {})})


@dataclass(frozen=True, slots=True)
class _Aligner:
    tools: Mapping[str, Tool]
    taken: frozenset[str]
    words: Words

    def __call__(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        nexts = {walk.next for walk in walks}
        if nexts == {None}:
            return self._end(walks, families)
        counts = [_run(walk.steps, 1) for walk in walks]
        if len(nexts) == 1 and set(counts) == {1}:
            return self._single(walks, families)
        loop = self._loop(walks, families)
        if loop is not None:
            return loop
        return self._single(walks, families) if len(nexts) == 1 else self._branch(walks, families)

    def _end(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        scene = _scene(walks, families)
        origin = explain(tuple(walk.answer for walk in walks), Atoms(scene.views, families))
        if isinstance(origin, Unexplained):
            raise Refused(_told("the answer", origin))
        return Answer(scene, origin)

    def _single(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        tool = walks[0].steps[0].tool
        scene = _scene(walks, families)
        arguments = self._arguments(tool, [walk.steps[0].arguments for walk in walks], scene)
        name = self._name(tool, families)
        following = [walk.after(1, {name: decode(walk.steps[0].result)}) for walk in walks]
        return Invoke(scene, Invocation(name, tool, arguments), self(following, {**families, name: "result"}))

    def _arguments(self, tool: str, given: Sequence[Mapping[str, Value]], scene: Scene) -> dict[str, Term]:
        keys = list(given[0])
        if any(set(arguments) != set(keys) for arguments in given):
            raise Refused(f"{tool} is called with different arguments in different traces")
        atoms = Atoms(scene.views, scene.families)
        known = self.tools.get(tool)
        found: dict[str, Term] = {}
        for key in keys:
            targets = tuple(decode(arguments[key]) for arguments in given)  # pyright: ignore[reportArgumentType]  # JSON
            choices = tuple(decode(value) for value in known.choices(key)) if known else ()
            hints = Hints(choices, self.words.get((tool, key), {}))
            origin = explain(targets, atoms, hints)
            if isinstance(origin, Unexplained):
                raise Refused(_told(f"{key} of {tool}", origin))
            if known is not None and key in known.constants and origin.family != "constant":
                raise Refused(f"{key} of {tool} may not be put together, and differs from trace to trace")
            found[key] = origin
        return found

    def _loop(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node | None:
        for size in range(1, MAX_BLOCK + 1):
            counts = [_run(walk.steps, size, _block(walks, size)) for walk in walks]
            if sum(counts) < MIN_TRACES or (size > 1 and max(counts) < 2):
                continue
            for over in self._lists(walks, families, counts, size):
                try:
                    return self._looped(walks, families, counts, size, over)
                except Refused:
                    continue
        return None

    def _looped(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], counts: Sequence[int], size: int, over: Found
    ) -> Node:
        variable = self._free(_singular(over[0]), families)
        inner: dict[str, Family] = {**families, variable: "result"}
        turns = [
            _Walk(walk.steps[size * i : size * (i + 1)], None, {**walk.view, variable: element})
            for walk, elements, count in zip(walks, over[1], counts, strict=True)
            for i, element in zip(range(count), cast("Sequence[Value]", elements), strict=True)
        ]
        inside = _scene(turns, inner)
        calls: list[Invocation] = []
        for index in range(size):
            tool = turns[0].steps[index].tool
            arguments = self._arguments(tool, [turn.steps[index].arguments for turn in turns], _scene(turns, inner))
            name = self._name(tool, inner)
            calls.append(Invocation(name, tool, arguments))
            inner = {**inner, name: "result"}
            turns = [_Walk(t.steps, None, {**t.view, name: decode(t.steps[index].result)}) for t in turns]
        if not any(variable in term.sources for call in calls for term in call.arguments.values()):
            raise Refused("the turns of the loop do not look at its elements")
        following = [walk.after(size * count) for walk, count in zip(walks, counts, strict=True)]
        return Loop(
            _scene(walks, families),
            variable,
            over[0],
            tuple(calls),
            inside,
            0 in counts,
            1 if max(counts) == 1 else None,
            self(following, families),
        )

    def _lists(
        self, walks: Sequence[_Walk], families: Mapping[str, Family], counts: Sequence[int], size: int
    ) -> Iterator[Found]:
        scene = _scene(walks, families)
        atoms = Atoms(scene.views, families)
        whole = [atom for atom in atoms.lists if [len(cast("Sequence[Value]", v)) for v in atom[1]] == list(counts)]
        yield from whole
        if not whole:
            yield from _subsets(walks, atoms, counts, size)

    def _branch(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        scene = _scene(walks, families)
        ways = sorted({walk.next for walk in walks}, key=lambda way: (-sum(w.next == way for w in walks), str(way)))
        atoms = Atoms(scene.views, families)
        for way in ways:
            labels = [walk.next == way for walk in walks]
            found = conditions.tests(atoms, labels)
            if found:
                taken = [walk for walk, label in zip(walks, labels, strict=True) if label]
                others = [walk for walk, label in zip(walks, labels, strict=True) if not label]
                return Branch(scene, found, self._way(taken, families), self._way(others, families))
        shown = " or ".join(way or "the end" for way in ways)
        raise Refused(f"after the same steps the traces go on with {shown}, and nothing seen tells why")

    def _way(self, walks: Sequence[_Walk], families: Mapping[str, Family]) -> Node:
        if len(walks) < MIN_TRACES:
            return Stop(
                _scene(walks, families), f"only {len(walks)} trace went on with {walks[0].next or 'the end'} here"
            )
        try:
            return self(walks, families)
        except Refused as refusal:
            return Stop(_scene(walks, families), str(refusal))

    def _name(self, tool: str, families: Mapping[str, Family]) -> str:
        parts = [part for part in re.split(r"[_\W]+", tool) if part]
        known = self.tools.get(tool)
        if known is None or known.effect == "write":
            return self._free("outcome", families)
        kept = [part for part in parts if part.lower() not in _VERBS][-2:] or parts[-1:]
        return self._free("_".join(kept).lower(), families)

    def _free(self, name: str, families: Mapping[str, Family]) -> str:
        wanted = name if name.isidentifier() else f"result_{len(families)}"
        number = 2
        candidate = wanted
        while candidate in families or candidate in self.taken:
            candidate, number = f"{wanted}_{number}", number + 1
        return candidate


def _scene(walks: Sequence[_Walk], families: Mapping[str, Family]) -> Scene:
    return Scene(tuple(walk.view for walk in walks), dict(families))


def _block(walks: Sequence[_Walk], size: int) -> tuple[str, ...]:
    longest = max(walks, key=lambda walk: len(walk.steps))
    return tuple(step.tool for step in longest.steps[:size])


def _run(steps: Sequence[ToolStep], size: int, block: Sequence[str] | None = None) -> int:
    """Return how often a block of calls is repeated at the beginning."""
    wanted = list(block) if block is not None else [step.tool for step in steps[:size]]
    count = 0
    while wanted and [step.tool for step in steps[size * count : size * (count + 1)]] == wanted:
        count += 1
    return count


def _subsets(walks: Sequence[_Walk], atoms: Atoms, counts: Sequence[int], size: int) -> Iterator[Found]:
    """Return lists of some rows of a result: those whose ids the calls of the loop name, told by a filter."""
    for rows in atoms.lists:
        filters: list[Found] | None = None
        for wanted in _chosen(walks, rows, counts, size):
            filters = list(_filters(rows, atoms)) if filters is None else filters
            fitting = [term for term, seen in filters if _same(seen, wanted)]
            origin = resolve(fitting, atoms.views) if fitting else None
            if isinstance(origin, Term):
                yield origin, wanted
                return


def _chosen(walks: Sequence[_Walk], rows: Found, counts: Sequence[int], size: int) -> Iterator[Values]:
    """Return the rows that the calls name by a key, in the order of the calls."""
    keys = {key for value in rows[1] for row in cast("Sequence[Value]", value) if isinstance(row, dict) for key in row}
    for key in sorted(keys):
        for argument in sorted({name for walk in walks for name in (walk.steps[0].arguments if walk.steps else ())}):
            found: list[Value] = []
            for walk, value, count in zip(walks, rows[1], counts, strict=True):
                named = [walk.steps[size * i].arguments.get(argument) for i in range(count)]
                by_key = {repr(row.get(key)): row for row in cast("Sequence[dict[str, Value]]", value) if key in row}
                picked = [by_key.get(repr(name)) for name in named]
                if any(row is None for row in picked):
                    break
                found.append(picked)
            else:
                yield tuple(found)


def _filters(rows: Found, atoms: Atoms) -> Iterator[Found]:
    records = [cast("Mapping[str, Value]", row) for value in rows[1] for row in cast("Sequence[Value]", value)]
    for key in [key for key in (records[0] if records else ()) if all(key in record for record in records)]:
        column = {repr(record[key]): record[key] for record in records}
        ordered = _ordered(list(column.values()))
        texts = all(isinstance(value, str) for value in column.values())
        constants = [(constant(v), (v,) * len(rows[1])) for _, v in sorted(column.items())] if len(column) <= 12 else []
        for term, seen in [*(atoms.texts if texts else atoms.numbers if ordered else []), *constants]:
            equal = ("having",) if any(repr(value) in column for value in seen) else ()
            for name in (*equal, *(_COMPARING if ordered and _ordered(seen) else ())):
                built = applied(name, rows[0], named(key), term)
                if (result := values(built, atoms.views)) is not None:
                    yield built, result
        if 2 < len(constants) <= 8:
            yield from _pairs(rows, key, [term for term, _ in constants], atoms)


_COMPARING = ("having_at_least", "having_at_most", "having_more", "having_less")


def _ordered(column: Sequence[Value]) -> bool:
    """Tell whether values are days or numbers, which have an order that means something."""
    if all(isinstance(value, str) for value in column):
        return all(re.match(r"\d{4}-\d\d-\d\d", str(value)) for value in column)
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in column)


def _pairs(rows: Found, key: str, terms: Sequence[Term], atoms: Atoms) -> Iterator[Found]:
    for index, left in enumerate(terms):
        for right in terms[index + 1 :]:
            built = applied("having_any", rows[0], named(key), left, right)
            if (result := values(built, atoms.views)) is not None:
                yield built, result


def _same(left: Values, right: Values) -> bool:
    return all(
        len(cast("Sequence[Value]", a)) == len(cast("Sequence[Value]", b))
        and all(map(same, cast("Sequence[Value]", a), cast("Sequence[Value]", b)))
        for a, b in zip(left, right, strict=True)
    )


def _singular(term: Term) -> str:
    name = sorted(term.sources)[0] if term.sources else "item"
    return name[:-1] if name.endswith("s") and len(name) > 3 else "each"


def _told(what: str, origin: Unexplained) -> str:
    return f"{what}: {origin.reason}" + (f"; needed: {origin.separating}" if origin.separating else "")


_VERBS = frozenset(
    ("get", "find", "search", "list", "fetch", "lookup", "look", "up", "read", "check", "query")
) | frozenset(("retrieve", "load", "show", "by", "do", "run", "call"))
