"""`Atoms`: every simple value that a body can see at one point of all traces, by type: what origins are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import TypeAlias, cast

from seglam_agents.compilers.traces.terms import (
    Family,
    Term,
    Values,
    View,
    applied,
    attribute,
    item,
    named,
    values,
    variable,
)
from seglam_agents.records.values import Money, Quantity, Value

Found: TypeAlias = tuple[Term, Values]
Row: TypeAlias = Mapping[str, Value]

MAX_DEPTH = 3
"""Keys within keys of a result that are looked into."""
MAX_FILTERS = 40
"""Filters of one list that are tried."""
CONVERSIONS = ("lower", "upper", "title", "sentence", "snake", "dashed", "first_word", "last_word", "before_at")
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True)
class Atoms:
    """What can be seen in all of some views.

    Args:
        views: one for each trace (or for each turn of a loop in each trace).
        families: the names in the views that are the request's, a result's or the clock.
    """

    views: Sequence[View]
    families: Mapping[str, Family]
    _filters: dict[str, list[Found]] = field(default_factory=dict[str, list[Found]], compare=False, repr=False)

    @cached_property
    def plain(self) -> list[Found]:
        """Every value that is no list of rows: arguments, fields of results, fields of selected rows."""
        found = [atom for name in self.families for atom in self._walk(self._of(name), 0)]
        found += [atom for row in self.rows for atom in self._fields(row)]
        found += [each for listed in self.lists if _has_scalars(listed) for each in self._selected(listed)]
        return found + self._keyed

    @cached_property
    def lists(self) -> list[Found]:
        """Every list that is somewhere in a result or an argument, as it stands."""
        found = [atom for name in self.families for atom in self._lists_in(self._of(name), 0)]
        return found

    @cached_property
    def filtered(self) -> list[Found]:
        """Lists of rows without those rows whose key has another value than something in the request."""
        wanted = [atom for atom in self.strings if atom[0].family == "request" and atom[0].size <= 2]
        return [each for rows in self.lists if _has_rows(rows) for each in self._filter(rows, wanted)]

    @cached_property
    def rows(self) -> list[Found]:
        """Single rows: the only one, the first, the last, or that with the smallest or largest value of a key."""
        return [row for rows in [*self.lists, *self.filtered] if _has_rows(rows) for row in self._selected(rows)]

    @cached_property
    def strings(self) -> list[Found]:
        """Texts, and what simple conversions make of them."""
        base = [atom for name in self.families for atom in self._walk(self._of(name), 0) if _all(atom, str)]
        return base + [each for atom in base for each in self._converted(atom)]

    @cached_property
    def texts(self) -> list[Found]:
        """The same with texts of selected rows, numbers as texts, and days in ISO form."""
        rows = [atom for atom in self.plain if _all(atom, str)]
        known = {atom[0].code for atom in self.strings}
        more = [atom for atom in rows if atom[0].code not in known]
        numbers = [each for atom in self.numbers for each in self._apply("str", [atom])]
        cents = [each for atom in self.numbers if _fractions(atom) for each in self._apply("decimals", [atom], 2)]
        converted = [each for atom in more for each in self._converted(atom)]
        return [*self.strings, *more, *converted, *numbers, *cents, *self._joined, *self._spelt]

    @property
    def _joined(self) -> list[Found]:
        """Lists of texts as one text."""
        lists = [atom for atom in self.lists if _has_scalars(atom)]
        rows = [atom for atom in self.lists if _has_rows(atom)]
        columns = [each for atom in rows for key in _shared_keys(atom) for each in self._apply("column", [atom], key)]
        texts = [atom for atom in [*lists, *columns] if all(_are_texts(value) for value in atom[1]) and _longer(atom)]
        return [each for atom in texts for name in _JOINING for each in self._apply(name, [atom])]

    @cached_property
    def numbers(self) -> list[Found]:
        """Numbers, amounts, lengths of time in minutes, hours and days, counts, sums and extremes."""
        found = [atom for atom in self.plain if _numeric(atom)]
        for atom in self.plain:
            if _all(atom, Money):
                found += self._try(attribute(atom[0], "amount"))
            elif _all(atom, Quantity):
                found += self._try(attribute(atom[0], "value"))
            elif _all(atom, timedelta):
                found += [each for unit in ("minutes", "hours", "days", "weeks") for each in self._apply(unit, [atom])]
            elif _all(atom, str) and all(str(v).isdigit() for v in atom[1]) and atom[0].size <= 4:
                found += self._apply("int", [atom])
        return found + self.aggregates

    @cached_property
    def aggregates(self) -> list[Found]:
        """Lengths of lists, and sums and extremes of their numbers."""
        found: list[Found] = []
        for atom in [*self.lists, *self.filtered, *self._dicts_of_numbers]:
            found += self._apply("len", [atom])
            for numbers in self._columns(atom):
                found += [each for name in ("sum", "max", "min", "mean") for each in self._apply(name, [numbers])]
            if atom[0].code.startswith("entries("):
                found += [each for name in ("first", "last") for each in self._apply(name, [atom])]
        return found

    @cached_property
    def days(self) -> list[Found]:
        """Days and moments: of the request, of results, of the clock, and these shifted by a length of time."""
        bare = [*self._request_days, *self._clock, *self._result_days]
        spans = [atom for atom in self.plain if _all(atom, timedelta)]
        moved = [
            each
            for day in bare
            for span in spans
            for name in ("later", "earlier")
            for each in self._apply(name, [day, span])
        ]
        clocks = [atom for atom in self.plain if _all(atom, time)]
        timed = [each for day in self._request_days for clock in clocks for each in self._apply("at", [day, clock])]
        return [*bare, *moved, *timed]

    def _of(self, name: str) -> Found:
        term = variable(name, self.families[name])
        return term, tuple(view[name] for view in self.views)

    def _walk(self, atom: Found, depth: int) -> Iterator[Found]:
        term, seen = atom
        if all(isinstance(value, dict) for value in seen) and depth < MAX_DEPTH:
            yield from (each for inner in self._fields(atom) for each in self._walk(inner, depth + 1))
        elif not any(isinstance(value, (dict, list)) and not isinstance(value, tuple) for value in seen):
            yield term, seen

    def _fields(self, atom: Found) -> list[Found]:
        records = [value for value in atom[1] if isinstance(value, dict)]
        if len(records) != len(atom[1]) or not records:
            return []
        # A day that is a key by chance in all of them is none tomorrow.
        keys = [key for key in records[0] if all(key in record for record in records) and not _ISO.fullmatch(key)]
        return [(item(atom[0], key), tuple(record[key] for record in records)) for key in keys]

    def _lists_in(self, atom: Found, depth: int) -> Iterator[Found]:
        if all(isinstance(value, list) for value in atom[1]):
            yield atom
        elif depth < MAX_DEPTH:
            yield from (each for inner in self._fields(atom) for each in self._lists_in(inner, depth + 1))

    @property
    def _keyed(self) -> list[Found]:
        """What a map of a result holds under a word of the request."""
        maps = [atom for name in self.families for atom in self._records_in(self._of(name), 0)]
        words = [atom for name in self.families if self.families[name] == "request" for atom in [self._of(name)]]
        return [
            each
            for record in maps
            for word in words
            if _all(word, str) and len(set(word[1])) > 1
            for each in self._apply("under", [record, word])
            if not any(isinstance(value, (dict, list)) for value in each[1])
        ]

    @property
    def _dicts_of_numbers(self) -> list[Found]:
        records = [atom for name in self.families for atom in self._records_in(self._of(name), 0)]
        maps = [atom for atom in records if is_map(cast("list[Row]", atom[1]))]
        return [each for atom in maps for each in self._apply("entries", [atom])]

    def _records_in(self, atom: Found, depth: int) -> Iterator[Found]:
        if all(isinstance(value, dict) for value in atom[1]):
            yield atom
            if depth < MAX_DEPTH:
                yield from (each for inner in self._fields(atom) for each in self._records_in(inner, depth + 1))

    def _columns(self, atom: Found) -> list[Found]:
        if all(_are_numbers(value) for value in atom[1]):
            return [atom] if any(atom[1]) else []
        return [each for key in _shared_keys(atom) for each in self._apply("column", [atom], key) if _columned(each)]

    def _filter(self, rows: Found, wanted: Sequence[Found]) -> Iterator[Found]:
        known: set[str] = set()
        for key in _shared_keys(rows):
            for atom in wanted:
                if len(known) >= MAX_FILTERS:
                    return
                for found in self._try(applied("having", rows[0], named(key), atom[0])):
                    if found[1] != rows[1] and all(found[1]) and repr(found[1]) not in known:
                        known.add(repr(found[1]))
                        yield found

    def _selected(self, rows: Found) -> Iterator[Found]:
        if all(len(cast("list[Value]", value)) == 1 for value in rows[1]):
            yield from self._apply("only", [rows])
            return
        for name in ("first", "last"):
            yield from self._apply(name, [rows])
        for key in _shared_keys(rows):
            if _orders(rows, key):
                yield from (row for name in ("lowest", "highest") for row in self._apply(name, [rows], key))

    def _converted(self, atom: Found) -> Iterator[Found]:
        for name in CONVERSIONS:
            for found in self._apply(name, [atom]):
                if found[1] != atom[1] and all(found[1]):
                    yield found

    @cached_property
    def _spelt(self) -> list[Found]:
        found: list[Found] = []
        for atom in self.days:
            found += self._apply("iso_day", [atom])
            if all(isinstance(value, datetime) for value in atom[1]):
                found += [each for between in (" ", "T") for each in self._apply("iso_moment", [atom], between)]
        return found

    @cached_property
    def _clock(self) -> list[Found]:
        return [self._of(name) for name, family in self.families.items() if family == "clock"]

    @cached_property
    def _request_days(self) -> list[Found]:
        found: list[Found] = []
        for name, family in self.families.items():
            atom = self._of(name)
            if family != "request":
                continue
            if _all(atom, date):
                found.append(atom)
            readers = _READERS.get(_shape(atom), ())
            found += [each for reader in readers for now in self._clock for each in self._apply(reader, [atom, now])]
        return found

    @cached_property
    def _result_days(self) -> list[Found]:
        texts = [
            a
            for a in self.plain
            if a[0].family == "result" and _all(a, str) and all(_ISO.fullmatch(str(v)) for v in a[1])
        ]
        return [each for atom in texts for each in self._apply("moment_of", [atom])]

    def _apply(self, name: str, atoms: Sequence[Found], *options: Value) -> list[Found]:
        family = "clock" if any(atom[0].family == "clock" for atom in atoms) else None
        return self._try(applied(name, *(atom[0] for atom in atoms), family=family, options=options))

    def _try(self, term: Term) -> list[Found]:
        seen = values(term, self.views)
        return [] if seen is None else [(term, seen)]


_READERS: Mapping[str, tuple[str, ...]] = {
    "monthday": ("this_year", "coming", "past"),
    "weekday": ("next_weekday", "last_weekday"),
}
_WEEKDAYS = frozenset(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))


def _shape(atom: Found) -> str:
    if all(isinstance(value, str) and re.fullmatch(r"\d\d-\d\d", value) for value in atom[1]):
        return "monthday"
    return "weekday" if all(value in _WEEKDAYS for value in atom[1]) else ""


def _all(atom: Found, kind: type) -> bool:
    return bool(atom[1]) and all(isinstance(value, kind) for value in atom[1])


def _numeric(atom: Found) -> bool:
    return bool(atom[1]) and all(is_number(value) for value in atom[1])


def _has_rows(atom: Found) -> bool:
    return all(isinstance(value, list) and value and all(isinstance(row, dict) for row in value) for value in atom[1])


_JOINING = ("comma_joined", "and_joined", "line_joined")


def _longer(atom: Found) -> bool:
    """Tell whether some list has several elements: one alone is joined to itself."""
    return any(isinstance(value, list) and len(value) > 1 for value in atom[1])


def _are_texts(value: Value) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(each, str) for each in value)


def _fractions(atom: Found) -> bool:
    return _numeric(atom) and any(isinstance(value, float) for value in atom[1])


def _has_scalars(atom: Found) -> bool:
    return all(
        isinstance(value, list) and value and not any(isinstance(each, (dict, list)) for each in value)
        for value in atom[1]
    )


def _shared_keys(atom: Found) -> list[str]:
    rows = [cast(Row, row) for value in atom[1] if isinstance(value, list) for row in value if isinstance(row, dict)]
    total = sum(len(value) for value in atom[1] if isinstance(value, list))
    return [key for key in rows[0] if all(key in row for row in rows)] if rows and len(rows) == total else []


def _orders(rows: Found, key: str) -> bool:
    """Tell whether a key puts rows in an order: numbers or days that are not all the same."""
    columns = [[cast(Row, row)[key] for row in cast("Sequence[Value]", value)] for value in rows[1]]
    flat = [value for column in columns for value in column]
    sortable = all(is_number(v) for v in flat) or all(isinstance(v, str) and _ISO.fullmatch(v) for v in flat)
    return sortable and any(value != column[0] for column in columns for value in column)


def is_number(value: Value) -> bool:
    """Tell whether a value is a number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_numbers(value: Value) -> bool:
    return isinstance(value, list) and all(is_number(number) for number in value)


def _columned(atom: Found) -> bool:
    return all(_are_numbers(value) and value for value in atom[1])


def is_map(records: Sequence[Row]) -> bool:
    """Tell whether records are maps from something to numbers, rather than records with a fixed set of keys."""
    if not all(record and all(is_number(number) for number in record.values()) for record in records):
        return False
    return any(record.keys() != records[0].keys() for record in records) or all(
        any(character.isdigit() for character in key) for key in records[0]
    )
