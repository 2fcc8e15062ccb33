"""`Sight`: what a body can see at one point of all runs, as terms with their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TypeAlias, cast

from seglam_agents.compilers.traces.terms import (
    FUNCTIONS,
    Family,
    Term,
    Values,
    View,
    agreeing,
    applied,
    item,
    variable,
)
from seglam_agents.compilers.traces.wish import Wish
from seglam_agents.records.values import Money, Quantity, Value

Found: TypeAlias = tuple[Term, Values]
Row: TypeAlias = Mapping[str, Value]

_DAY = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?")
IDS = re.compile(r"(^|_|-)(id|ids|no|nr|number|code|key|uuid|phone|zip|year)$|[a-z]Id$", re.IGNORECASE)
"""Keys whose numbers name something."""
MAX_DEPTH = 3
"""Keys within keys of a result that are looked into."""
MAX_ALIKE = 12
"""Terms of the same values that are held to agreement."""
MAX_POOL = 6_000
"""Terms of one sight."""


@dataclass(frozen=True)
class Sight:
    """What can be seen in all of some views.

    Args:
        views: one for each run, or for each turn of a loop in each run.
        families: the names in the views that are the request's, a result's or the clock.
        timed: whether the request speaks of a time.
        wish: what its words ask for; None where every term counts.
    """

    views: Sequence[View]
    families: Mapping[str, Family]
    timed: bool = False
    wish: Wish | None = None
    pools: dict[str, list[Found]] = field(default_factory=dict[str, "list[Found]"], compare=False, repr=False)
    """Terms by the row of the grammar that made them; filled by `grammar.sight`."""
    memo: dict[str, object] = field(default_factory=dict[str, object], compare=False, repr=False)
    """What was computed from it once and is looked up afterwards, by the module that computes it."""

    @cached_property
    def scalars(self) -> list[Found]:
        """Every term whose values are no lists or records."""
        return [atom for pool in self.pools.values() for atom in pool if not _is_compound(atom[1])]

    @cached_property
    def lists(self) -> list[Found]:
        """Every list, as it stands and filtered."""
        return [atom for pool in self.pools.values() for atom in pool if all_are(atom, list)]

    @cached_property
    def numbers(self) -> list[Found]:
        """Every number."""
        return [atom for atom in self.scalars if numeric(atom)]

    @cached_property
    def texts(self) -> list[Found]:
        """Every text that is not empty, and every number as text."""
        atoms = [atom for atom in self.scalars if all(isinstance(value, str) and value for value in atom[1])]
        return unique([*atoms, *(each for atom in self.numbers for each in derive("str", atom))])

    @cached_property
    def steady(self) -> Mapping[str, list[Term]]:
        """The texts that were the same in every view, with the terms that say them."""
        found: dict[str, list[Term]] = {}
        for term, values in self.texts:
            if all(value == values[0] for value in values):
                found.setdefault(str(values[0]), []).append(term)
        return found

    @cached_property
    def index(self) -> Mapping[tuple[object, ...], list[Found]]:
        """All terms by their values."""
        found: dict[tuple[object, ...], list[Found]] = {}
        for pool in self.pools.values():
            for atom in pool:
                found.setdefault(signature(atom[1]), []).append(atom)
        return found

    def names(self, family: Family) -> list[str]:
        """Return the names of a family."""
        return [name for name, own in self.families.items() if own == family]

    def of(self, name: str) -> Found:
        """Return a name with its values."""
        return variable(name, self.families[name]), tuple(view[name] for view in self.views)


def signature(values: Sequence[Value]) -> tuple[object, ...]:
    """Return a key that is equal for equal values: 1 and 1.0 are, 1 and True are not."""
    return tuple(_key(value) for value in values)


def _key(value: Value) -> object:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, (int, float)):
        return ("number", round(float(value), 9))
    return repr(value)


def derive(
    name: str,
    *atoms: Found,
    options: Sequence[Value] = (),
    family: Family | None = None,
    changing: bool = False,
) -> list[Found]:
    """Return a function of the prelude applied to terms, or nothing where it has no value in some view.

    Args:
        name: the function.
        atoms: what it is applied to.
        options: literals that come behind these.
        family: where the result is from, if not from where the terms are.
        changing: whether nothing is returned, too, where every value stayed as it was or one became empty.
    """
    function = FUNCTIONS[name]
    try:
        values = tuple(function(*arguments, *options) for arguments in zip(*(atom[1] for atom in atoms), strict=True))
    except Exception:  # whatever the data does: a term that fails here explains nothing here
        return []
    if changing and (values == atoms[0][1] or not all(values)):
        return []
    own = family or ("clock" if any(atom[0].family == "clock" for atom in atoms) else atoms[0][0].family)
    return [(applied(name, *(atom[0] for atom in atoms), family=own, options=options), values)]


def rivals(atoms: Iterable[Found]) -> list[Found]:
    """Return terms without those of the same values: such terms are one, which has a value only where they agree."""
    groups: dict[tuple[object, ...], list[Found]] = {}
    for atom in sorted(atoms, key=lambda atom: (atom[0].size, len(atom[0].code))):
        groups.setdefault(signature(atom[1]), []).append(atom)
    return [(agreeing([term for term, _ in group[:MAX_ALIKE]]), group[0][1]) for group in groups.values()]


def fields(atom: Found) -> list[Found]:
    """Return the keys that all records of a term have."""
    if not all_are(atom, dict):
        return []
    records = cast("Sequence[Row]", atom[1])
    # A day that is a key by chance in all of them is none tomorrow.
    keys = [key for key in records[0] if all(key in record for record in records) and not _DAY.fullmatch(key)]
    return [(item(atom[0], key), tuple(record[key] for record in records)) for key in keys]


def walk(atom: Found, depth: int = 0) -> Iterator[Found]:
    """Yield a term and all that is reached from it by keys."""
    yield atom
    if depth < MAX_DEPTH:
        for inner in fields(atom):
            yield from walk(inner, depth + 1)


def all_are(atom: Found, kind: type | tuple[type, ...]) -> bool:
    """Tell whether all values are of a type."""
    return bool(atom[1]) and all(isinstance(value, kind) for value in atom[1])


def numeric(atom: Found) -> bool:
    """Tell whether all values are numbers."""
    return bool(atom[1]) and all(is_number(value) for value in atom[1])


def is_number(value: Value) -> bool:
    """Tell whether a value is a number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def has_rows(atom: Found) -> bool:
    """Tell whether all values are lists of records, at least one of them with something in it."""
    return all(isinstance(value, list) and all(isinstance(row, dict) for row in value) for value in atom[1]) and any(
        atom[1]
    )


def rows_of(atom: Found) -> list[Row]:
    """Return all rows of all views."""
    return [cast(Row, row) for value in atom[1] for row in cast("Sequence[Value]", value)]


def shared_keys(atom: Found) -> list[str]:
    """Return the keys that all rows have."""
    rows = rows_of(atom)
    return [key for key in rows[0] if all(key in row for row in rows)] if rows else []


def column_values(atom: Found, key: str) -> list[Value]:
    """Return what all rows of all views have under a key."""
    return [row[key] for row in rows_of(atom)]


def _is_compound(values: Values) -> bool:
    return any(isinstance(value, (dict, list)) for value in values)


def unique(atoms: Iterable[Found]) -> list[Found]:
    """Return terms without those whose code came before."""
    return list({atom[0].code: atom for atom in reversed(list(atoms))}.values())[::-1]


DAYS = (date, datetime)
AMOUNTS: Mapping[type, str] = {Money: "amount", Quantity: "value"}
SPANS = timedelta
CLOCKS = time
Maker: TypeAlias = Callable[[Sight], Iterable[Found]]
