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

from seglam_agents.compilers.traces.atoms import Atoms, Found, is_map, is_number
from seglam_agents.compilers.traces.plan import Answer, Branch, Invoke, Loop, Node, Scene, Stop, calls_of, terms_of
from seglam_agents.compilers.traces.terms import Term, attribute, item, literal, principal, variable
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Money, Quantity, Value

NAMES = 8
MOSTLY = 0.6
"""Share of different texts among so many rows from which on a key is taken to hold names."""
OPEN_TEXTS = 5
OPEN_SHARE = 0.8
"""The same for the texts that one plan saw: a set whose members hardly come again is an open one."""
PROSE = 40
"""Letters from which on a text is prose: no set of such texts is ever complete."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FREE = re.compile(r"\S*[\d@]\S*|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
"""Ids, dates and addresses: one token with a digit or an @."""


class Unused(SeglamError):
    """A result was read, differs from trace to trace, and nothing says what for."""


def checks(node: Node, writes: frozenset[str], used: Used) -> dict[int, tuple[str, ...]]:
    """Return for each node (by `id`) the lines that come before it.

    Args:
        node: the plan.
        writes: the tools that change something.
        used: what it looks at.

    Raises:
        Unused: a result was read and nothing says what for.
    """
    found: dict[int, tuple[str, ...]] = {}
    _place(node, writes, frozenset(), used, found)
    return found


@dataclass(frozen=True, slots=True)
class Used:
    """What a plan looks at, and what it need not look at."""

    codes: Sequence[str]
    names: frozenset[str]
    outcomes: frozenset[str] = frozenset()
    """Results of writes."""


def used_in(node: Node, writes: frozenset[str], names: frozenset[str]) -> Used:
    """Return what a plan looks at; `names` are keys of results whose texts are names, not reasons (`naming`)."""
    outcomes = frozenset(call.name for call in calls_of(node) if call.tool in writes)
    return Used([principal(term.code) for term in terms_of(node)], names, outcomes)


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
        yield from _scalar(atom, atoms, used)


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
    """Hold a record to the keys, values and ranges that were seen."""
    term, seen = atom
    records = [cast("Mapping[str, Value]", value) for value in seen if isinstance(value, dict)]
    if len(records) != len(seen) or not records:
        yield from _scalar(atom, atoms, used)
        return
    if is_map(records):
        if not _mentioned(term.code, used.codes):
            raise Unused(term.code)
        return
    known = {key: None for record in records for key in record}
    lines: list[str] = []
    values: dict[str, Value] = {}
    ranges: dict[str, Value] = {}
    texts: dict[str, Value] = {}
    for key in known:
        if all(key in record for record in records):
            column = (item(term, key), tuple(record[key] for record in records))
            lines += _key(column, key, atoms, used, values, ranges)
            if key not in values and (kind := _kind_of(column[1])):
                texts[key] = kind
    parts = [term.code, literal(list(known))]
    held = (("values", values), ("ranges", ranges), ("texts", texts))
    parts += [f"{name}={literal(kept)}" for name, kept in held if kept]
    yield f"like_seen({', '.join(parts)})"
    yield from lines


def _key(
    atom: Found, key: str, atoms: Atoms, used: Used, values: dict[str, Value], ranges: dict[str, Value]
) -> Iterator[str]:
    """Note what one key of a record may be; yield what takes a line of its own."""
    term, column = atom
    looked_at = any(term.code in each for each in used.codes)
    if all(is_number(value) for value in column):
        numbers = cast("tuple[float, ...]", column)
        if not looked_at:
            ranges[key] = [min(numbers), max(numbers)]
        yield from _signed(term, numbers) if looked_at else ()
        yield from _relations(term.code, numbers, atoms)
    elif all(isinstance(value, dict) for value in column):
        yield from _like(atom, atoms, used)
    elif all(isinstance(value, list) for value in column):
        yield from _nested(atom, atoms, used)
    elif asked := _asked(column, atoms):
        yield f"expect({term.code}.lower() == {asked.code}.lower(), {literal(f'another {key}')})"
    elif key not in used.names and (allowed := _allowed(column, looked_at)) is not None:
        values[key] = allowed


def _kind_of(column: Sequence[Value]) -> str | None:
    """Return what texts that are not held one by one have in common; None where one of them is no text, or empty."""
    if not all(isinstance(value, str) and value for value in column):
        return None
    texts = cast("Sequence[str]", column)
    if _is_prose(texts):
        return None  # Notes may be empty.
    if all(_DAY.match(text) for text in texts):
        return "day"
    return "id" if all(_FREE.fullmatch(text) for text in texts) else "text"


def _nested(atom: Found, atoms: Atoms, used: Used) -> Iterator[str]:
    """Hold a list within a record to being empty or not, and plain members that nothing looks at to those seen."""
    term, seen = atom
    members = [member for value in seen for member in cast("Sequence[Value]", value)]
    if not members or _mentioned(term.code, used.codes) or any(isinstance(member, (dict, list)) for member in members):
        yield from _list(atom, atoms, used)
        return
    if all(seen):
        yield f"expect(len({term.code}) > 0, {literal(f'{term.code} with nothing in it')})"
    allowed = sorted({repr(member): member for member in members}.values(), key=repr)
    otherwise = literal(f"{term.code} with something else in it")
    yield f"expect(all([member in {literal(allowed)} for member in {term.code}]), {otherwise})"


def _signed(term: Term, numbers: Sequence[float]) -> Iterator[str]:
    """Hold a number that is used to the sign that it had."""
    operator = ">" if min(numbers) > 0 else ">=" if min(numbers) == 0 else "<" if max(numbers) < 0 else ""
    if operator:
        yield f"expect({term.code} {operator} 0, {literal(f'{term.code} that is not {operator} 0')})"


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


def _allowed(column: Sequence[Value], looked_at: bool) -> list[Value] | None:
    """Return the values that a key may have; None where any will do."""
    texts = [value for value in column if isinstance(value, str) and value]
    if texts and (_open(texts) or (looked_at and len(texts) == len(column))):
        return None
    return sorted({repr(value): value for value in column}.values(), key=repr)


def _open(texts: Sequence[str]) -> bool:
    """Tell whether texts are ids, dates or names, of which there is always another one."""
    many = len(texts) >= OPEN_TEXTS and len(set(texts)) >= OPEN_SHARE * len(texts)
    return many or _is_prose(texts) or all(_FREE.fullmatch(text) for text in texts)


def _is_prose(texts: Sequence[str]) -> bool:
    return any(len(text) > PROSE for text in texts)


def _scalar(atom: Found, atoms: Atoms, used: Used) -> Iterator[str]:
    term, seen = atom
    mentioned = _mentioned(term.code, used.codes)
    if all(is_number(value) for value in seen):
        numbers = cast("tuple[float, ...]", seen)
        if mentioned:
            yield from _signed(term, numbers)
        else:
            otherwise = literal(f"{term.code} out of the range seen")
            yield f"expect({literal(min(numbers))} <= {term.code} <= {literal(max(numbers))}, {otherwise})"
        yield from _relations(term.code, numbers, atoms)
    elif term.code in used.outcomes and all(isinstance(value, str) for value in seen):
        yield from _report(atom)
    elif all(isinstance(value, str) and value for value in seen):
        if not mentioned and not _open(cast("tuple[str, ...]", seen)):
            yield _one_of(atom)
        else:
            kind = _kind_of(seen) or "text"
            yield f"expect(is_text({term.code}, {literal(kind)}), {literal(f'{term.code} of another kind')})"
    else:
        yield _one_of(atom)


def _report(atom: Found) -> Iterator[str]:
    """Hold what a write reports to the sentences that were seen, whatever numbers are in them."""
    term, seen = atom
    shapes = sorted({re.sub(r"\S*\d\S*", "#", str(value)) for value in seen})
    if len(shapes) <= 2:
        yield f"expect(sentence_of({term.code}) in {literal(shapes)}, {literal(f'{term.code} that no trace had')})"


def _one_of(atom: Found) -> str:
    term, seen = atom
    allowed = sorted({repr(value): value for value in seen}.values(), key=repr)
    return f"expect({term.code} in {literal(allowed)}, {literal(f'{term.code} that no trace had')})"


def _mentioned(code: str, used: Sequence[str]) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(code)}(?!\w)", each) for each in used)


def amounts(node: Node, used: Used) -> tuple[str, ...]:
    """Return lines that hold the request's numbers that are used to the signs, currencies and units seen."""
    found: list[str] = []
    scene = node.scene
    for name, family in scene.families.items():
        seen = [view[name] for view in scene.views]
        for kind, number, unit in ((Money, "amount", "currency"), (Quantity, "value", "unit")):
            looked_at = any(f"{name}.{number}" in code for code in used.codes)
            if family == "request" and looked_at and all(isinstance(value, kind) for value in seen):
                allowed = sorted({str(getattr(value, unit)) for value in seen})
                found.append(f"expect({name}.{unit} in {literal(allowed)}, {literal(f'another {unit} of {name}')})")
                found += _signed(
                    attribute(variable(name, family), number), [cast("tuple[float, str]", v)[0] for v in seen]
                )
        if family == "request" and all(is_number(value) for value in seen) and _mentioned(name, used.codes):
            found += _signed(variable(name, family), cast("list[float]", seen))
    return tuple(found)
