"""What tool results were like in the traces: a body goes on to write, or to answer, only where they are like that.

A branch that no trace took cannot be seen in the traces. What can be seen is which results they had: where a result
is of another class (another status, nothing found, a number out of the range seen), the body gives up, and the model
decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from seglam_agents.compilers.traces.atoms import Atoms, Found, is_map
from seglam_agents.compilers.traces.plan import Answer, Branch, Invoke, Loop, Node, Scene, Stop, terms_of
from seglam_agents.compilers.traces.terms import Term, literal, principal, variable
from seglam_agents.trace import Trace
from seglam_agents.values import Value

NAMES = 8
MOSTLY = 0.6
"""Share of different texts among so many rows from which on a key is taken to hold names."""
FREE_TEXTS = 4
"""Different texts of a key with one behaviour, from which on the key is taken to be no reason."""
FREE_IN_WIDE = 3
"""The same in a record of many keys: that describes something, where a record of few answers a question."""
WIDE = 6
_FREE = re.compile(r".*(\d|@).*", re.DOTALL)


class Unused(Exception):
    """A result was read, differs from trace to trace, and nothing says what for."""


def checks(node: Node, writes: frozenset[str], names: frozenset[str]) -> dict[int, tuple[str, ...]]:
    """Return for each node (by `id`) the lines that come before it.

    Args:
        node: the plan.
        writes: the tools that change something.
        names: keys of results whose texts are names, not reasons (`naming`).

    Raises:
        Unused: a result was read and nothing says what for.
    """
    found: dict[int, tuple[str, ...]] = {}
    used = Used([principal(term.code) for term in terms_of(node)], names)
    _place(node, writes, frozenset(), used, found)
    return found


@dataclass(frozen=True, slots=True)
class Used:
    """What a plan looks at, and what it need not look at."""

    codes: Sequence[str]
    names: frozenset[str]


def naming(traces: Iterable[Trace]) -> frozenset[str]:
    """Return the keys of rows whose texts are names: nearly every row that any tool returned has another one."""
    rows: dict[str, Mapping[str, Value]] = {}
    for trace in traces:
        for step in trace.calls:
            for row in step.result if isinstance(step.result, list) else [step.result]:
                if isinstance(row, dict):
                    rows[repr(row)] = row
    columns: dict[str, list[str]] = {}
    for row in rows.values():
        for key, value in row.items():
            if isinstance(value, str) and value:
                columns.setdefault(key, []).append(value)
    return frozenset(
        key for key, texts in columns.items() if len(texts) >= NAMES and len(set(texts)) > MOSTLY * len(texts)
    )


def _place(
    node: Node, writes: frozenset[str], done: frozenset[str], used: Used, found: dict[int, tuple[str, ...]]
) -> None:
    match node:
        case Invoke(call=call, then=then):
            if call.tool in writes:
                done = _before(node, node.scene, done, used, found)
            _place(then, writes, done, used, found)
        case Loop(calls=calls, then=then):
            if any(call.tool in writes for call in calls):
                done = _before(node, node.scene, done, used, found)
            _place(then, writes, done, used, found)
        case Branch(if_yes=if_yes, if_no=if_no):
            _place(if_yes, writes, done, used, found)
            _place(if_no, writes, done, used, found)
        case Answer():
            _before(node, node.scene, done, used, found)
        case Stop():
            pass


def inside(loop: Loop, writes: frozenset[str], used: Used) -> tuple[str, ...]:
    """Return the lines at the beginning of each turn of a loop that writes."""
    if not any(call.tool in writes for call in loop.calls):
        return ()
    atom = _of(loop.inside, loop.variable)
    return tuple(_like(atom, Atoms(loop.inside.views, loop.inside.families), used))


def _before(
    node: Node, scene: Scene, done: frozenset[str], used: Used, found: dict[int, tuple[str, ...]]
) -> frozenset[str]:
    names = [name for name, family in scene.families.items() if family == "result" and name not in done]
    atoms = Atoms(scene.views, scene.families)
    found[id(node)] = tuple(line for name in names for line in _classes(_of(scene, name), atoms, used))
    return done | set(names)


def _of(scene: Scene, name: str) -> Found:
    return variable(name, scene.families[name]), tuple(view[name] for view in scene.views)


def _classes(atom: Found, atoms: Atoms, used: Used) -> Iterator[str]:
    seen = atom[1]
    if all(isinstance(value, list) for value in seen):
        yield from _list(atom, atoms, used)
    elif all(isinstance(value, dict) for value in seen):
        yield from _like(atom, atoms, used)
    else:
        yield from _scalar(atom, used)


def _list(atom: Found, atoms: Atoms, used: Used) -> Iterator[str]:
    term, seen = atom
    lists = [cast("Sequence[Value]", value) for value in seen]
    if not any(lists):
        yield f"expect(len({term.code}) == 0, {literal(f'{term.code} with something in it')})"
        return
    if not _mentioned(term.code, used.codes):
        raise Unused(term.code)
    if all(lists):
        yield f"expect(len({term.code}) > 0, {literal(f'{term.code} with nothing in it')})"
    for row in atoms.rows:
        if term.code in row[0].code and any(row[0].code in code for code in used.codes):
            yield from _like(row, atoms, used)


def _like(atom: Found, atoms: Atoms, used: Used) -> Iterator[str]:
    """Hold a record to the values and ranges that its keys had."""
    term, seen = atom
    records = [cast("Mapping[str, Value]", value) for value in seen if isinstance(value, dict)]
    if len(records) != len(seen) or not records:
        yield from _scalar(atom, used)
        return
    keys = list(records[0])
    if is_map(records) or any(set(record) != set(keys) for record in records):
        if not _mentioned(term.code, used.codes):
            raise Unused(term.code)
        return
    values: dict[str, Value] = {}
    ranges: dict[str, Value] = {}
    for key in keys:
        column = [record[key] for record in records]
        code = f"{term.code}[{key!r}]"
        if all(_is_number(value) for value in column):
            if not any(code in each for each in used.codes):
                ranges[key] = [min(cast("list[float]", column)), max(cast("list[float]", column))]
        elif asked := _asked(column, atoms):
            yield f"expect({code}.lower() == {asked.code}.lower(), {literal(f'another {key}')})"
        elif (
            key not in used.names
            and (allowed := _allowed(column, code, used, FREE_IN_WIDE if len(keys) >= WIDE else FREE_TEXTS)) is not None
        ):
            values[key] = allowed
        if all(_is_number(value) for value in column):
            yield from _relations(code, cast("list[float]", column), atoms)
    if values or ranges:
        parts = [
            term.code,
            *([f"values={literal(values)}"] if values else []),
            *([f"ranges={literal(ranges)}"] if ranges else []),
        ]
        yield f"like_seen({', '.join(parts)})"


def _relations(code: str, column: Sequence[float], atoms: Atoms) -> Iterator[str]:
    """Hold a number to the side of the request's numbers on which it always was: 5 in stock, 2 wanted."""
    for term, seen in atoms.numbers:
        if term.family == "request":
            above = [value > cast(float, other) for value, other in zip(column, seen, strict=True)]
            below = [value < cast(float, other) for value, other in zip(column, seen, strict=True)]
            if not any(below):
                yield _related(code, ">" if all(above) else ">=", term)
            elif not any(above):
                yield _related(code, "<" if all(below) else "<=", term)


def _related(code: str, operator: str, term: Term) -> str:
    condition = f"{code} {operator} {term.code}"
    return f"expect({condition}, {literal(f'other than {condition}')})"


def _asked(column: Sequence[Value], atoms: Atoms) -> Term | None:
    """Return the argument that a text repeats in every trace: the row is about what was asked for."""
    for term, seen in atoms.strings:
        if term.family == "request" and term.size == 1 and all(map(_alike, column, seen)):
            return term
    return None


def _alike(left: Value, right: Value) -> bool:
    return isinstance(left, str) and isinstance(right, str) and left.lower() == right.lower()


def _allowed(column: Sequence[Value], code: str, used: Used, free: int) -> list[Value] | None:
    """Return the values that a key may have; None where any will do."""
    if any(isinstance(value, (dict, list)) and not isinstance(value, tuple) for value in column):
        return None
    texts = [value for value in column if isinstance(value, str) and value]
    if texts and len(texts) == len(column) and (_free(texts, free) or any(code in each for each in used.codes)):
        return None
    if texts and _free(texts, free):
        return None  # Present or absent: both were seen.
    return sorted({repr(value): value for value in column}.values(), key=repr)


def _free(texts: Sequence[str], free: int = FREE_TEXTS) -> bool:
    return all(_FREE.match(text) for text in texts) or len(set(texts)) >= free


def _scalar(atom: Found, used: Used) -> Iterator[str]:
    term, seen = atom
    mentioned = _mentioned(term.code, used.codes)
    if all(_is_number(value) for value in seen):
        numbers = cast("tuple[float, ...]", seen)
        if not mentioned:
            low, high = min(numbers), max(numbers)
            otherwise = literal(f"{term.code} out of the range seen")
            yield f"expect({literal(low)} <= {term.code} <= {literal(high)}, {otherwise})"
        elif all(number > 0 for number in numbers):
            yield f"expect({term.code} > 0, {literal(f'{term.code} that is not positive')})"
    elif all(isinstance(value, str) and value for value in seen):
        if not mentioned and not _free(cast("tuple[str, ...]", seen)):
            yield _one_of(atom)
        elif mentioned:
            yield f"expect({term.code} != '', {literal(f'{term.code} that is empty')})"
    else:
        yield _one_of(atom)


def _one_of(atom: Found) -> str:
    term, seen = atom
    allowed = sorted({repr(value): value for value in seen}.values(), key=repr)
    return f"expect({term.code} in {literal(allowed)}, {literal(f'{term.code} that no trace had')})"


def _mentioned(code: str, used: Sequence[str]) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(code)}(?!\w)", each) for each in used)


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
