"""Formulas over the numbers that can be seen: one operation, a percentage, or two operations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import product
from typing import cast

from seglam_agents.compilers.traces.sight import Found, Sight, rivals, signature
from seglam_agents.compilers.traces.terms import Term, applied, constant, operation
from seglam_agents.records.values import Value

MAX_NUMBERS = 28
MAX_DEEP = 12
"""Numbers among which formulas of two operations are looked for."""
MIN_DEEP = 2
"""Different values that a formula of two operations must have given."""
MIN_OFFSET = 3
"""Different values that a formula with a constant of its own must have given."""
SMALL = (1, 2, 10, 12, 60, 100)
"""Constants of formulas."""

Numbers = tuple[float, ...]


def formulas(targets: Numbers, sight: Sight) -> list[Term]:
    """Return every formula of one operation that fits, else every one of two."""
    numbers = _distinct(sight, len(targets))
    found = [*_operations(targets, numbers), *_percentages(targets, numbers)]
    if not found:
        found = list(_with_constants(targets, numbers))
    found += _with_offset(targets, numbers, sight)
    if not found and len(set(targets)) >= MIN_DEEP:
        found = list(_deeper(targets, numbers[:MAX_DEEP], _combined(sight, numbers)))
    return _inequivalent(found, sight)


def steady(target: float, sight: Sight) -> list[Term]:
    """Return formulas of numbers that varied and gave the same in every view: no constant, unless by chance."""
    targets = (target,) * len(sight.views)
    varied = [atom for atom in _distinct(sight, len(targets)) if len(set(atom[1])) > 1]
    return _inequivalent(list(_operations(targets, varied)), sight)


def _distinct(sight: Sight, views: int) -> list[Found]:
    """Return numbers with different values, the plainest first, those of the clock left out."""
    found = rivals(a for a in sight.numbers if a[0].family != "clock" and len(a[1]) == views)[:MAX_NUMBERS]
    return [(term, tuple(_numbers(seen))) for term, seen in found]


def _combined(sight: Sight, numbers: Sequence[Found]) -> list[tuple[float, Term, Numbers]]:
    """Return the plainest numbers, two by one operation; they are the same for every value that is looked at."""
    if not sight.combined:
        sight.combined.extend(sorted(_inner(numbers[:MAX_DEEP]), key=lambda each: each[0]))
    return sight.combined


def _operations(targets: Numbers, numbers: Sequence[Found]) -> Iterator[Term]:
    for left, right in product(numbers, repeat=2):
        for operator in "+-*/":
            if left[0].code != right[0].code and not (operator in "+*" and left[0].code > right[0].code):
                yield from _fitting(targets, operator, left, right)


def _with_constants(targets: Numbers, numbers: Sequence[Found]) -> Iterator[Term]:
    for left, number in product(numbers, SMALL):
        for operator in "+-*/":
            yield from _fitting(targets, operator, left, (constant(number), (number,) * len(targets)))


def _with_offset(targets: Numbers, numbers: Sequence[Found], sight: Sight) -> list[Term]:
    """Return a number or a formula of two that is always off by the same: a fee, what a full shelf holds."""
    if len(set(targets)) < MIN_OFFSET:
        return []
    found: list[Term] = []
    atoms = [(_number(seen[0]), term, tuple(_numbers(seen))) for term, seen in numbers]
    for _, term, values in [*atoms, *_combined(sight, numbers)]:
        added = [target - value for target, value in zip(targets, values, strict=True)]
        taken = [target + value for target, value in zip(targets, values, strict=True)]
        if len(set(values)) >= MIN_OFFSET and _steady(added) and abs(added[0]) > 1e-9 and _plain(added[0]):
            less = added[0] < 0
            found.append(operation("-" if less else "+", term, constant(_tidy(abs(added[0])))))
        if len(set(values)) >= MIN_OFFSET and _steady(taken) and _plain(taken[0]):
            found.append(operation("-", constant(_tidy(taken[0])), term))
    return found


def _steady(values: Sequence[float]) -> bool:
    return all(abs(value - values[0]) <= 1e-9 * max(1.0, abs(values[0])) for value in values)


def _plain(value: float) -> bool:
    return abs(value - round(value, 2)) < 1e-9


def _tidy(value: float) -> float:
    return int(value) if value == int(value) else round(value, 2)


def _percentages(targets: Numbers, numbers: Sequence[Found]) -> Iterator[Term]:
    hundred = constant(100)
    for (base, a), (percent, b) in product(numbers, repeat=2):
        if base.code == percent.code:
            continue
        for sign in (0, -1, 1):
            pairs = zip(_numbers(a), _numbers(b), targets, strict=True)
            parts = ((x * (y if sign == 0 else 100 + sign * y) / 100, target) for x, y, target in pairs)
            if all(_close(part, target) for part, target in parts):
                factor = operation("+" if sign > 0 else "-", hundred, percent) if sign else percent
                pairs = zip(_numbers(a), _numbers(b), strict=True)
                results = [x * (y if sign == 0 else 100 + sign * y) / 100 for x, y in pairs]
                yield _rounded(operation("/", operation("*", base, factor), hundred), results, targets)


def _fitting(targets: Numbers, operator: str, left: Found, right: Found) -> Iterator[Term]:
    """Yield an operation where it gives the targets and changes something; it is written down for nothing less."""
    a, b = left[1], right[1]
    first = _result(operator, _number(a[0]), _number(b[0]))
    if first is None or not _close(first, targets[0]) or _idle(operator, a, b):
        return
    results = [_result(operator, x, y) for x, y in zip(_numbers(a), _numbers(b), strict=True)]
    if all(result is not None for result in results) and _alike(cast("list[float]", results), targets):
        yield _rounded(operation(operator, left[0], right[0]), cast("list[float]", results), targets)


def _deeper(targets: Numbers, numbers: Sequence[Found], inner: Sequence[tuple[float, Term, Numbers]]) -> Iterator[Term]:
    """Yield formulas of two operations: what the outer one needs is looked up among the inner ones."""
    keys = [each[0] for each in inner]
    for (term, values), operator in product(numbers, "+-*/"):
        for turned in (False, True):
            wanted = _needed(operator, targets[0], _number(values[0]), turned=turned)
            if wanted is None or (turned and operator in "+*"):
                continue
            slack = 0.006 * max(1.0, abs(wanted)) if operator in "*/" else 0.006
            for index in range(bisect_left(keys, wanted - slack), len(inner)):
                if keys[index] > wanted + slack:
                    break
                yield from _outer(targets, operator, (term, values), inner[index], turned=turned)


def _inner(numbers: Sequence[Found]) -> Iterator[tuple[float, Term, Numbers]]:
    seen: set[tuple[object, ...]] = set()
    for (left, a), (right, b) in product(numbers, repeat=2):
        for operator in "+-*/":
            if left.code == right.code or (operator in "+*" and left.code > right.code) or _idle(operator, a, b):
                continue
            results = [_result(operator, x, y) for x, y in zip(_numbers(a), _numbers(b), strict=True)]
            if any(result is None for result in results):
                continue
            values = tuple(cast("list[float]", results))
            if (key := signature(values)) not in seen:
                seen.add(key)
                yield values[0], operation(operator, left, right), values


def _outer(
    targets: Numbers, operator: str, atom: Found, inner: tuple[float, Term, Numbers], *, turned: bool
) -> Iterator[Term]:
    term, values = atom
    _, within, results = inner
    if term.sources <= within.sources and term.code in within.code:
        return
    left, right = ((term, values), (within, results)) if turned else ((within, results), (term, values))
    yield from _fitting(targets, operator, left, right)


def _needed(operator: str, target: float, value: float, *, turned: bool) -> float | None:
    """Return the x with `x operator value` (or `value operator x` where turned) equal to a target."""
    if operator == "+":
        return target - value
    if operator == "-":
        return value - target if turned else target + value
    if operator == "*":
        return target / value if value else None
    if turned:
        return value / target if target else None
    return target * value


def _numbers(values: Sequence[Value]) -> list[float]:
    return [_number(value) for value in values]


def _number(value: Value) -> float:
    return float(cast(float, value))


def _idle(operator: str, first: Sequence[Value], second: Sequence[Value]) -> bool:
    """Tell whether an operation changed nothing in any view: a sum with what was always 0, a product with 1."""
    neutral = 0 if operator in "+-" else 1
    return all(value == neutral for value in second) or (operator in "+*" and all(value == neutral for value in first))


def _result(operator: str, left: float, right: float) -> float | None:
    if operator == "/":
        return left / right if right else None
    return left + right if operator == "+" else left - right if operator == "-" else left * right


def _alike(results: Sequence[float], targets: Numbers) -> bool:
    return all(_close(result, target) for result, target in zip(results, targets, strict=True))


def _close(value: float, target: float) -> bool:
    return _near(value, target) or round(value + 1e-9, 2) == target


def _near(value: float, target: float) -> bool:
    return abs(value - target) <= 1e-9 * max(1.0, abs(target))


def _rounded(term: Term, results: Sequence[float], targets: Numbers) -> Term:
    """Give a formula the spelling that the runs had: as computed, without binary noise, or rounded to cents."""
    if all(result == target for result, target in zip(results, targets, strict=True)):
        return term
    near = all(_near(result, target) for result, target in zip(results, targets, strict=True))
    return applied("exact", term) if near else applied("rounded", term, options=(2,))


def _inequivalent(terms: Sequence[Term], sight: Sight) -> list[Term]:
    """Drop terms that compute the same as another one at other points too: a * b / 100 and a / 100 * b."""
    if len(terms) < 2:
        return list(terms)
    kept: dict[tuple[object, ...], Term] = {}
    for term in sorted(terms, key=lambda term: (term.size, len(term.code), term.code)):
        kept.setdefault(_elsewhere(term, sight), term)
    return list(kept.values())


def _elsewhere(term: Term, sight: Sight) -> tuple[object, ...]:
    """Return what a term gives where the names that it reads are taken from different views."""
    names = sorted(term.sources)
    mixed: list[object] = []
    for shift in range(1, 4):
        view = dict(sight.views[0])
        for index, name in enumerate(names):
            view[name] = sight.views[(shift * (index + 1)) % len(sight.views)][name]
        try:
            value = term(view)
        except Exception:  # a term may have no value where its names come from different runs
            value = "none"
        mixed.append(round(value, 6) if isinstance(value, float) else value)
    return (term.sources, *mixed)
