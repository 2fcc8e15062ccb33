"""Formulas over the numbers that can be seen: one operation, a percentage, or two operations."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import cast

from seglam_agents.compilers.traces.sight import Found, Sight, rivals, signature
from seglam_agents.compilers.traces.terms import Term, applied, constant, operation
from seglam_agents.compilers.traces.terms import values as values_of
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

YEARS = range(1900, 2101)
_CALENDAR = re.compile(r"\b(year_of|month_of|day_number|week\w*|quarter\w*)\(")

Numbers = tuple[float, ...]


def formulas(targets: Numbers, sight: Sight) -> list[Term]:
    """Return every formula of one operation that fits, else every one of two."""
    known = cast("dict[Numbers, list[Term]]", sight.memo.setdefault("formulas", {}))
    if targets not in known:
        known[targets] = _formulas(targets, sight)
    return known[targets]


def _formulas(targets: Numbers, sight: Sight) -> list[Term]:
    numbers = _distinct(sight)
    found = [*_looked_up(targets, _plain_ones(sight)), *_percentages(targets, sight)]
    if not found:
        found = list(_with_constants(targets, numbers))
    found += _with_offset(targets, sight)
    if not found and len(set(targets)) >= MIN_DEEP:
        found = list(_deeper(targets, sight))
    return _inequivalent(found, sight)


def steady(target: float, sight: Sight) -> list[Term]:
    """Return formulas of numbers that varied and gave the same in every view: no constant, unless by chance."""
    targets = (target,) * len(sight.views)
    varied = [each for each in _plain_ones(sight).each if all(len(set(atom[1])) > 1 for atom in each.parts)]
    return _inequivalent(list(_looked_up(targets, Table(varied))), sight)


def _distinct(sight: Sight) -> list[Found]:
    """Return numbers with different values, the plainest first, those of the clock left out."""
    known = cast("dict[str, list[Found]]", sight.memo.setdefault("numbers", {}))
    if "distinct" not in known:
        # What was rounded is said, and not reckoned with.
        plain = (a for a in sight.numbers if a[0].family != "clock" and "rounded" not in a[0].uses)
        known["distinct"] = rivals(plain)[:MAX_NUMBERS]
    return known["distinct"]


@dataclass(frozen=True, slots=True)
class _Pair:
    """One operation on two numbers, with what it gave in each view."""

    first: float
    operator: str
    left: Found
    right: Found
    results: Numbers

    @property
    def parts(self) -> tuple[Found, Found]:
        return self.left, self.right

    @property
    def term(self) -> Term:
        return operation(self.operator, self.left[0], self.right[0])


class Table:
    """Formulas in the order of what they gave in the first view: what fits a target is looked up, not tried."""

    __slots__ = ("each", "keys")

    def __init__(self, pairs: Sequence[_Pair]) -> None:
        self.each = sorted(pairs, key=lambda pair: pair.first)
        self.keys = [pair.first for pair in self.each]

    def near(self, target: float, slack: float) -> Iterator[_Pair]:
        """Yield what gave nearly this."""
        for index in range(bisect_left(self.keys, target - slack), len(self.each)):
            if self.keys[index] > target + slack:
                return
            yield self.each[index]


def _plain_ones(sight: Sight) -> Table:
    """Return every operation on two numbers, made once for a sight."""
    tables = cast("dict[str, Table]", sight.memo.setdefault("tables", {}))
    if "plain" not in tables:
        tables["plain"] = Table(list(_pairs(_distinct(sight))))
    return tables["plain"]


def _pairs(numbers: Sequence[Found]) -> Iterator[_Pair]:
    columns = [_numbers(seen) for _, seen in numbers]
    for (one, a), (other, b) in product(enumerate(columns), repeat=2):
        left, right = numbers[one], numbers[other]
        for operator in "+-*/":
            if one == other or (operator in "+*" and left[0].code > right[0].code) or _idle(operator, a, b):
                continue
            results = [_result(operator, x, y) for x, y in zip(a, b, strict=True)]
            if all(result is not None for result in results):
                values = tuple(cast("list[float]", results))
                yield _Pair(values[0], operator, left, right, values)


def _looked_up(targets: Numbers, table: Table) -> Iterator[Term]:
    for pair in table.near(targets[0], _slack(targets[0])):
        if _alike(pair.results, targets):
            yield _rounded(pair.term, pair.results, targets)


def _slack(target: float) -> float:
    """Return how far a result may be from a target that it is rounded to."""
    return 0.006 + 1e-9 * abs(target)


def _with_constants(targets: Numbers, numbers: Sequence[Found]) -> Iterator[Term]:
    timeless = [atom for atom in numbers if not _CALENDAR.search(atom[0].code)]
    for (left, a), number in product(timeless, SMALL):
        for operator in "+-*/":
            b: tuple[Value, ...] = (number,) * len(targets)
            if not _idle(operator, a, b):
                yield from _fitting(targets, operator, left, constant(number), a, b)


def _with_offset(targets: Numbers, sight: Sight) -> list[Term]:
    """Return numbers, or formulas of two, with a constant of their own: a fee, a full shelf, what each one costs."""
    if len(set(targets)) < MIN_OFFSET:
        return []
    found: list[Term] = []
    atoms = [(_number(seen[0]), term, tuple(_numbers(seen))) for term, seen in _distinct(sight)]
    for _, term, values in [*atoms, *_inner(sight)]:
        if len(set(values)) < MIN_OFFSET:
            continue
        added = [target - value for target, value in zip(targets, values, strict=True)]
        taken = [target + value for target, value in zip(targets, values, strict=True)]
        if _is_offset(added, term, sight) and abs(added[0]) > 1e-9:
            less = added[0] < 0
            found.append(operation("-" if less else "+", term, constant(_tidy(abs(added[0])))))
        if _is_offset(taken, term, sight):
            found.append(operation("-", constant(_tidy(taken[0])), term))
    return [*found, *_each(targets, atoms)]


def _each(targets: Numbers, atoms: Sequence[tuple[float, Term, Numbers]]) -> Iterator[Term]:
    """Yield a number times what each one of it comes to: a price, a rate."""
    for _, term, values in atoms:
        if len(set(values)) < MIN_OFFSET or not all(values):
            continue
        rates = [target / value for target, value in zip(targets, values, strict=True)]
        rate = round(rates[0], 2)
        if rate not in (0, 1, *SMALL) and _steady(rates) and _plain(rates[0]):
            times = operation("*", term, constant(_tidy(rate)))
            yield _rounded(times, [value * rate for value in values], targets)


def _is_offset(values: Sequence[float], term: Term, sight: Sight) -> bool:
    """Tell whether a formula is always off by the same, and this does not tell the time of the runs.

    "2025 less the year of birth" is an age in 2025 alone.
    """
    if not _steady(values) or not _plain(values[0]):
        return False
    years = {cast(datetime, value).year for name in sight.names("clock") for value in sight.of(name)[1]}
    return abs(values[0]) not in years and not _is_of_calendar(term, sight)


def _is_of_calendar(term: Term, sight: Sight) -> bool:
    """Tell whether a number is a year, or the month, week or day of a date: what is taken from it is a time."""
    seen = [_number(value) for value in values_of(term, sight.views) or ()]
    return _CALENDAR.search(term.code) is not None or all(int(n) == n and n in YEARS for n in seen)


def _steady(values: Sequence[float]) -> bool:
    return all(abs(value - values[0]) <= 1e-9 * max(1.0, abs(values[0])) for value in values)


def _plain(value: float) -> bool:
    return abs(value - round(value, 2)) < 1e-9


def _tidy(value: float) -> float:
    return int(value) if value == int(value) else round(value, 2)


def _percentages(targets: Numbers, sight: Sight) -> Iterator[Term]:
    hundred = constant(100)
    columns = [(term, _numbers(seen)) for term, seen in _distinct(sight)]
    for (base, a), (percent, b) in product(columns, repeat=2):
        if base is percent:
            continue
        for sign in (0, -1, 1):
            if not _close(_share(a[0], b[0], sign), targets[0]):
                continue
            results = [_share(x, y, sign) for x, y in zip(a, b, strict=True)]
            if _alike(results, targets):
                factor = operation("+" if sign > 0 else "-", hundred, percent) if sign else percent
                yield _rounded(operation("/", operation("*", base, factor), hundred), results, targets)


def _share(base: float, percent: float, sign: int) -> float:
    return base * (percent if sign == 0 else 100 + sign * percent) / 100


def _fitting(
    targets: Numbers, operator: str, left: Term, right: Term, a: Sequence[Value], b: Sequence[Value]
) -> Iterator[Term]:
    first = _result(operator, _number(a[0]), _number(b[0]))
    if first is None or not _close(first, targets[0]):
        return
    results = [_result(operator, x, y) for x, y in zip(_numbers(a), _numbers(b), strict=True)]
    if all(result is not None for result in results) and _alike(cast("list[float]", results), targets):
        yield _rounded(operation(operator, left, right), cast("list[float]", results), targets)


def _deeper(targets: Numbers, sight: Sight) -> Iterator[Term]:
    """Yield formulas of two operations: what the outer one needs is looked up among the inner ones."""
    inner = sorted(_inner(sight), key=lambda each: each[0])
    keys = [each[0] for each in inner]
    for (term, values), operator in product(_distinct(sight)[:MAX_DEEP], "+-*/"):
        for turned in (False, True):
            wanted = _needed(operator, targets[0], _number(values[0]), turned=turned)
            if wanted is None or (turned and operator in "+*"):
                continue
            slack = 0.006 * max(1.0, abs(wanted)) if operator in "*/" else 0.006
            for index in range(bisect_left(keys, wanted - slack), len(inner)):
                if keys[index] > wanted + slack:
                    break
                yield from _outer(targets, operator, (term, values), inner[index], turned=turned)


def _inner(sight: Sight) -> list[tuple[float, Term, Numbers]]:
    """Return the operations on the plainest numbers, one for what gave the same; made once for a sight."""
    known = cast("dict[str, list[tuple[float, Term, Numbers]]]", sight.memo.setdefault("inner", {}))
    if "inner" not in known:
        found: dict[tuple[object, ...], _Pair] = {}
        for pair in _pairs(_distinct(sight)[:MAX_DEEP]):
            found.setdefault(signature(pair.results), pair)
        known["inner"] = [(pair.first, pair.term, pair.results) for pair in found.values()]
    return known["inner"]


def _outer(
    targets: Numbers, operator: str, atom: Found, inner: tuple[float, Term, Numbers], *, turned: bool
) -> Iterator[Term]:
    term, values = atom
    _, within, results = inner
    if term.sources <= within.sources and term.code in within.code:
        return
    left, right = ((term, values), (within, results)) if turned else ((within, results), (term, values))
    if not _idle(operator, left[1], right[1]):
        yield from _fitting(targets, operator, left[0], right[0], left[1], right[1])


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
    # What is next to nothing is no 0 that somebody rounded to.
    return _near(value, target) or (target != 0 and round(value + 1e-9, 2) == target)


def _near(value: float, target: float) -> bool:
    return abs(value - target) <= 1e-9 * max(1.0, abs(target))


def _rounded(term: Term, results: Sequence[float], targets: Numbers) -> Term:
    """Give a formula the spelling that the runs had: as computed, without binary noise, or rounded to cents."""
    if all(result == target for result, target in zip(results, targets, strict=True)):
        # Who wrote cents in every run means cents, though these sums happened to come without binary noise.
        if not all(map(_plain, targets)) or all(target == int(target) for target in targets):
            return term
        fractions = all(isinstance(target, float) for target in targets)
        return applied("rounded", term, options=(2,)) if fractions else applied("exact", term)
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
