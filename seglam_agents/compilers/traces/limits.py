"""Limits that rows were kept by: somewhere between the nearest two numbers seen, and nothing is known of the gap.

A limit that nobody names is a weak explanation: with few rows, some key has one that fits whatever was the reason. So
it is one only where the rows seen are so many that hardly any would fit by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from seglam_agents.compilers.traces.sight import Found, Row, Sight, derive, has_rows, is_number, rows_of, shared_keys
from seglam_agents.compilers.traces.terms import Term, Values
from seglam_agents.records.values import Value

CHANCE: Final = 0.01
"""How likely some limit may fit by chance, at most."""


def limits(rows: Found, wanted: Values) -> Iterator[Found]:
    """Yield the rows on one side of a limit, where these are the wanted ones in every view."""
    kept = [cast(Row, row) for value in wanted for row in cast("Sequence[Value]", value)]
    names = {id(row) for row in kept}
    left = [row for row in rows_of(rows) if id(row) not in names and row not in kept]
    if kept and left and _is_telling(rows, [2 ** len(each) for each in _each(rows)]):
        for key in _numbers(rows):
            inside, outside = _column(kept, key), _column(left, key)
            if min(inside) > max(outside):
                yield from derive("having_above", rows, options=(key, max(outside), min(inside)))
            elif max(inside) < min(outside):
                yield from derive("having_below", rows, options=(key, max(inside), min(outside)))


def counted(targets: tuple[float, ...], sight: Sight) -> list[Term]:
    """Return counts and sums of the rows on one side of a limit that fit in every view."""
    found: list[Term] = []
    for rows in [atom for atom in sight.pools["path"] if has_rows(atom)]:
        for key in _numbers(rows):
            for name in ("having_above", "having_below"):
                found += _fitting(targets, rows, key, name)
    return found


def _fitting(targets: tuple[float, ...], rows: Found, key: str, name: str) -> Iterator[Term]:
    for measure in (None, *_numbers(rows)):
        gap = _gap(targets, rows, key, measure, above=name == "having_above")
        if gap is None:
            continue
        # A sum to the cent says which rows there were, a number of rows how many.
        exact = measure is not None and any(target != int(target) for target in targets)
        choices = [2 ** len(each) if exact else len(each) + 1 for each in _each(rows)]
        if not _is_telling(rows, choices):
            continue
        for kept in derive(name, rows, options=(key, *gap)):
            if measure is None:
                yield from (term for term, _ in derive("len", kept))
            else:
                for column in derive("column", kept, options=(measure,)):
                    yield from (term for term, _ in derive("sum", column))


def _gap(
    targets: tuple[float, ...], rows: Found, key: str, measure: str | None, *, above: bool
) -> tuple[float, float] | None:
    """Return the nearest two numbers between which the limit lies; None where no limit fits, or none was needed."""
    low, high = float("-inf"), float("inf")
    for target, value in zip(targets, rows[1], strict=True):
        records = sorted(cast("Sequence[Mapping[str, float]]", value), key=lambda row: row[key], reverse=above)
        total, at = 0.0, 0
        while at < len(records) and abs(total - target) > 1e-6:
            total += 1 if measure is None else records[at][measure]
            at += 1
        if abs(total - target) > 1e-6:
            return None
        inside = records[at - 1][key] if at else None
        outside = records[at][key] if at < len(records) else None
        if above:
            high = min(high, inside) if inside is not None else high
            low = max(low, outside) if outside is not None else low
        else:
            low = max(low, inside) if inside is not None else low
            high = min(high, outside) if outside is not None else high
    return (low, high) if low < high and low > float("-inf") and high < float("inf") else None


def _is_telling(rows: Found, choices: Sequence[int]) -> bool:
    """Tell whether hardly any limit would fit by chance.

    Args:
        rows: in each view.
        choices: what might have been found in each view.
    """
    limits = sum(2 * (len(set(_column(rows_of(rows), key))) + 1) for key in _numbers(rows))
    return limits <= CHANCE * math.prod(choices)


def _each(rows: Found) -> Sequence[Sequence[Value]]:
    return cast("Sequence[Sequence[Value]]", rows[1])


def _numbers(rows: Found) -> list[str]:
    records = rows_of(rows)
    return [key for key in shared_keys(rows) if all(is_number(row[key]) for row in records)]


def _column(rows: Sequence[Row], key: str) -> list[float]:
    return [cast(float, row[key]) for row in rows]
