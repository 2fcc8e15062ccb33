"""The grammar of terms: where a value may come from, one row each. `docs/traces.md` shows the same table.

The rows are applied in their order, each to what the rows before it made. What is computed on demand for a number or a
text (arithmetic, texts with places) is in `holes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from seglam_agents.compilers.traces.sight import (
    AMOUNTS,
    CLOCKS,
    DAYS,
    IDS,
    MAX_POOL,
    SPANS,
    Found,
    Maker,
    Row,
    Sight,
    all_are,
    column_values,
    derive,
    fields,
    has_rows,
    is_number,
    numeric,
    shared_keys,
    signature,
    unique,
    walk,
)
from seglam_agents.compilers.traces.terms import Family, View, agreeing, attribute, named
from seglam_agents.compilers.traces.wish import Wish, compares, keys_asked, plausible
from seglam_agents.records.values import Value

MAX_FILTERS = 24
"""Filters of one list."""
MAX_ALIKE = 6
"""Filters that kept the same rows in every view; where there are more, nothing tells them apart yet."""
MAX_MEMBERS = 8
"""Different values of a key from which on it is no status that rows are filtered by."""
MAX_COUNTS = 4
"""The same for small numbers: no stop, one or two."""
MAX_COMPARED = 4
"""Numbers of a row that are compared with each other."""
SEEN = 2
"""Runs in which a filter must have kept some row, where there are more of them: once is chance."""
ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_FILTERED = re.compile(r"(?:agree\()?having(?:_same)?\(\w+, ('\w+'), \w")
"""Rows whose key is a value that can be seen: the key says nothing new."""
_WORD = re.compile(r"[^\W\d_]+([ _-][^\W\d_]+){0,3}")
_TOKEN = re.compile(r"[A-Za-z]+[-_#]?\d+|#\d+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the grammar."""

    name: str
    says: str
    example: str
    make: Maker


def sight(
    views: Sequence[View], families: Mapping[str, Family], *, timed: bool = False, wish: Wish | None = None
) -> Sight:
    """Return what can be seen in some views, with every term of the grammar."""
    found = Sight(views, families, timed, wish)
    total = 0
    for rule in GRAMMAR:
        made = unique(rule.make(found))[: max(0, MAX_POOL - total)]
        found.pools[rule.name] = made
        total += len(made)
    return found


def _places(sight: Sight) -> Iterator[Found]:
    for name in sight.names("request"):
        atom = sight.of(name)
        yield from walk(atom)
        for kind, part in AMOUNTS.items():
            if all_are(atom, kind):
                yield attribute(atom[0], part), tuple(getattr(value, part) for value in atom[1])


def _paths(sight: Sight) -> Iterator[Found]:
    for name in sight.names("result"):
        yield from walk(sight.of(name))


def _spans(sight: Sight) -> Iterator[Found]:
    for atom in [*sight.pools["place"], *sight.pools["path"]]:
        if all_are(atom, SPANS):
            for unit in ("minutes", "hours", "days", "weeks"):
                yield from derive(unit, atom)


def _clocks(sight: Sight) -> Iterator[Found]:
    for name in sight.names("clock"):
        now = sight.of(name)
        yield now
        yield from (each for steps in _STEPS for each in _stepped(now, steps))


def _stepped(now: Found, steps: Sequence[tuple[str, tuple[Value, ...]]]) -> list[Found]:
    moved = [now]
    for function, options in steps:
        moved = [each for atom in moved for each in derive(function, atom, options=options)]
    return moved


def _days(sight: Sight) -> Iterator[Found]:
    nows = [sight.of(name) for name in sight.names("clock")]
    for atom in sight.pools["place"]:
        if all_are(atom, DAYS):
            yield atom
        for reader in _READERS.get(_shape(atom), ()):
            yield from (day for now in nows for day in derive(reader, atom, now))
    yield from (day for atom in sight.pools["path"] if _dated(atom) for day in derive("moment_of", atom))


def _dated(atom: Found) -> bool:
    return all_are(atom, str) and all(ISO.fullmatch(str(value)) for value in atom[1])


def _moved(sight: Sight) -> Iterator[Found]:
    spans = [atom for atom in sight.pools["place"] if all_are(atom, SPANS)]
    clocks = [atom for atom in sight.pools["place"] if all_are(atom, CLOCKS)]
    found = [day for row in sight.pools["row"] if _dated(row) for day in derive("moment_of", row)]
    days = [*sight.pools["day"], *found, *sight.pools["clock"][:4]]
    for day in days if spans or clocks else ():
        yield from (each for span in spans for name in ("later", "earlier") for each in derive(name, day, span))
        yield from (each for clock in clocks for each in derive("at", day, clock))


def _filters(sight: Sight) -> Iterator[Found]:
    wanted = [a for a in [*sight.pools["place"], *sight.pools["path"]] if all_are(a, (str, int)) and a[0].size <= 3]
    days = [atom for atom in [*sight.pools["day"], *sight.pools["clock"][:1]] if all_are(atom, DAYS)]
    for rows in [atom for atom in sight.pools["path"] if has_rows(atom)]:
        whole = signature(rows[1])
        groups: dict[tuple[object, ...], list[Found]] = {}
        for each in unique(_filtered(rows, wanted, days, sight)):
            # What kept no row in any run, or in one alone, was never seen to choose one.
            kept = sum(map(bool, each[1]))
            if (key := signature(each[1])) != whole and kept >= min(SEEN, len(each[1]) - 1):
                groups.setdefault(key, []).append(each)
        # Filters that kept the same rows in every view are rivals: they have to agree.
        for group in list(groups.values())[:MAX_FILTERS]:
            meant = plausible((term for term, _ in group), sight.wish, len(sight.views))
            terms = sorted(meant, key=lambda term: (term.size, term.code))
            if len(terms) <= MAX_ALIKE:
                yield agreeing(terms), group[0][1]


def _filtered(rows: Found, wanted: Sequence[Found], days: Sequence[Found], sight: Sight) -> Iterator[Found]:
    for key in shared_keys(rows):
        column = column_values(rows, key)
        texts = all(isinstance(value, str) for value in column)
        dated = texts and bool(column) and all(ISO.fullmatch(str(value)) for value in column)
        for atom in wanted if not dated else ():
            if atom[0].family == "request" or not atom[0].sources & rows[0].sources:
                yield from derive("having", rows, (named(key), (key,) * len(rows[1])), atom)
                if texts and all_are(atom, str):
                    yield from derive("having_same", rows, (named(key), (key,) * len(rows[1])), atom)
        alike = _one_each(rows, key) and len(column) > len(rows[1])
        if not (dated or alike) and (members := _members(column)):
            yield from (e for value in members for e in derive("having", rows, options=(key, value)))
            yield from (e for value in members for e in _without(rows, key, members, value))
        for day in days if dated else ():
            names = ("before", "from", "after", "until", "on", "in_month")
            yield from (e for name in names for e in derive(f"having_{name}", rows, _key(rows, key), day))
            if day[0].family == "clock":
                yield from _within(rows, key, day, sight)
        if not texts and all(is_number(value) for value in column):
            for atom in wanted:
                if numeric(atom) and atom[0].family == "request":
                    yield from (e for name in _SIDES for e in derive(name, rows, _key(rows, key), atom))
            if sight.wish and sight.wish.strange:
                yield from (e for value in _counts(key, column) for e in derive("having", rows, options=(key, value)))
    yield from _compared(rows, sight.wish)


def _within(rows: Found, key: str, day: Found, sight: Sight) -> Iterator[Found]:
    """Yield rows of the days ahead, or behind, as many as the request says."""
    words: frozenset[str] = sight.wish.words if sight.wish else frozenset()
    for number in (amount for word, amount in _LENGTHS.items() if word in words):
        yield from (
            e
            for days in (number, -number)
            for e in derive("having_within", rows, _key(rows, key), day, options=(days,))
        )
    spans = [atom for atom in sight.pools["span"] if atom[0].code.startswith("days(")]
    for atom in [*spans, *(a for a in sight.pools["place"] if "days" in words and all_are(a, int))]:
        yield from derive("having_within", rows, _key(rows, key), day, atom)


def _counts(key: str, column: Sequence[Value]) -> list[Value]:
    """Return the numbers of a key that counts few things, each of which a word may stand for: "direct" has no stop."""
    numbers = list(dict.fromkeys(column))
    few = len(numbers) <= MAX_COUNTS and len(numbers) < len(column) and all(isinstance(n, int) for n in numbers)
    return sorted(numbers, key=repr) if few and len(numbers) > 1 and not IDS.search(key) else []


def _compared(rows: Found, wish: Wish | None) -> Iterator[Found]:
    """Yield rows that have less under one key than under another."""
    keys = [key for key in shared_keys(rows) if not IDS.search(key) and all(map(is_number, column_values(rows, key)))]
    if 1 < len(keys) <= MAX_COMPARED and wish and (wish.strange or any(map(compares, wish.words))):
        pairs = [(one, other) for one in keys for other in keys if one != other]
        yield from (
            e for name in ("having_fewer", "having_no_more") for pair in pairs for e in derive(name, rows, options=pair)
        )


def _one_each(rows: Found, key: str) -> bool:
    """Tell whether the rows of each view say the same under a key: it names what was asked for."""
    return all(len({repr(row[key]) for row in found}) <= 1 for found in cast("Sequence[Sequence[Row]]", rows[1]))


def _key(rows: Found, key: str) -> Found:
    return named(key), (key,) * len(rows[1])


def _without(rows: Found, key: str, members: Sequence[Value], value: Value) -> Iterator[Found]:
    """Yield rows that are not so, and those that are one of the others: what no run had is neither of them."""
    if len(members) > 2:
        others = (member for member in members if member != value)
        yield from derive("having_any", rows, options=(key, *others))
    if len(members) > 1:
        yield from derive("having_other", rows, options=(key, value))


def _members(column: Sequence[Value]) -> list[Value]:
    """Return the values of a key that is a status: few, short, and some of them seen twice."""
    if not column or not all(
        isinstance(value, bool) or (isinstance(value, str) and _WORD.fullmatch(value)) for value in column
    ):
        return []
    members = list(dict.fromkeys(column))
    short = all(isinstance(value, bool) or 0 < len(cast(str, value)) <= 30 for value in members)
    return members if short and len(members) <= MAX_MEMBERS and len(members) < len(column) else []


def _rows(sight: Sight) -> Iterator[Found]:
    for rows in [*sight.pools["path"], *sight.pools["filter"]]:
        if has_rows(rows):
            common = _common(rows)
            yield from common.values()
            echoed = _FILTERED.match(rows[0].code)
            told = (*common, *((f"[{echoed[1]}]",) if echoed else ()))
            for row in _selected(rows, sight.wish):
                yield row
                yield from (field for field in fields(row) if not field[0].code.endswith(told))


def _common(rows: Found) -> dict[str, Found]:
    """Return the keys under which all rows of a view say the same, whichever row is looked at."""
    if all(len(cast("list[Value]", value)) < 2 for value in rows[1]):
        return {}
    found: dict[str, Found] = {}
    for key in shared_keys(rows):
        found |= {f"[{key!r}]": each for each in derive("common", rows, options=(key,))}
    return found


def _selected(rows: Found, wish: Wish | None) -> Iterator[Found]:
    if all(len(cast("list[Value]", value)) == 1 for value in rows[1]):
        yield from derive("only", rows)
        return
    for name in ("first", "last"):
        yield from derive(name, rows)
    columns = {key: column_values(rows, key) for key in shared_keys(rows)}
    dated = [key for key, column in columns.items() if _orders(column) and isinstance(column[0], str)]
    numbers = [key for key, column in columns.items() if _orders(column) and not isinstance(column[0], str)]
    for key in keys_asked(wish, dated, numbers):
        yield from (row for name in ("lowest", "highest") for row in _extreme(name, rows, key, [*dated, *numbers]))


def _extreme(name: str, rows: Found, key: str, others: Sequence[str]) -> list[Found]:
    """Return the row with the smallest or largest value; which one of equal ones is known only where runs had some.

    It may be the first or the last, or have less or more of something else: one run with equal ones does not say.
    """
    if alone := derive(name, rows, options=(key,)):
        return alone
    ties = ("first", "last", *(f"{which} {other}" for other in others if other != key for which in ("less", "more")))
    return [row for which in ties for row in derive(name, rows, options=(key, which))]


def _orders(column: Sequence[Value]) -> bool:
    dated = all(isinstance(value, str) and ISO.fullmatch(value) for value in column)
    return (dated or all(is_number(value) for value in column)) and len(set(column)) > 1


def _ages(sight: Sight) -> Iterator[Found]:
    rows = [day for row in sight.pools["row"] if _dated(row) for day in derive("moment_of", row)]
    for day in [*sight.pools["day"], *rows]:
        for now in [sight.of(name) for name in sight.names("clock")] if all_are(day, DAYS) else ():
            ages = derive("days_since", day, now)
            ahead = bool(ages) and all(cast(int, value) <= 0 for value in ages[0][1])
            yield from derive("days_until", day, now) if ahead else ages


def _elements(sight: Sight) -> Iterator[Found]:
    for atom in sight.pools["path"]:
        if all_are(atom, list) and not has_rows(atom) and all(atom[1]):
            single = all(len(cast("list[Value]", value)) == 1 for value in atom[1])
            for name in ("only",) if single else ("first", "last"):
                yield from derive(name, atom)


def _keyed(sight: Sight) -> Iterator[Found]:
    words = [atom for atom in sight.pools["place"] if all_are(atom, str)]
    for record in sight.pools["path"]:
        if all_are(record, dict):
            for word in words:
                yield from derive("under", record, word)


def _columns(sight: Sight) -> Iterator[Found]:
    for rows in [*sight.pools["path"], *sight.pools["filter"]]:
        if has_rows(rows):
            for key in shared_keys(rows):
                yield from derive("column", rows, options=(key,))
    for atom in sight.pools["path"]:
        if is_map(atom):
            yield from derive("entries", atom)


def is_map(atom: Found) -> bool:
    """Tell whether records are maps from something to numbers, rather than records with a fixed set of keys."""
    if not all_are(atom, dict):
        return False
    records = cast("Sequence[Mapping[str, Value]]", atom[1])
    if not all(record and all(is_number(number) for number in record.values()) for record in records):
        return False
    differ = any(record.keys() != records[0].keys() for record in records)
    return differ or all(any(character.isdigit() for character in key) for key in records[0])


def _aggregates(sight: Sight) -> Iterator[Found]:
    for atom in [*sight.pools["path"], *sight.pools["filter"]]:
        if all_are(atom, list):
            yield from derive("len", atom)
    for atom in [*sight.pools["column"], *sight.pools["path"]]:
        if all_are(atom, list) and any(atom[1]) and all(is_number(n) for v in atom[1] for n in cast("list[Value]", v)):
            yield from (each for name in ("sum", "max", "min") for each in derive(name, atom))
            for mean in derive("mean", atom):
                yield mean
                yield from (rounded for digits in (2, 1, 0) for rounded in derive("rounded", mean, options=(digits,)))
            if atom[0].code.startswith("entries("):
                yield from (each for name in ("first", "last") for each in derive(name, atom))


def _parts(sight: Sight) -> Iterator[Found]:
    pools = ("place", "path", "row", "element", "key")
    for atom in [atom for pool in pools for atom in sight.pools[pool] if all_are(atom, str)]:
        # What left every text seen as it was is no rival of the text itself.
        yield from (found for name in CONVERSIONS for found in derive(name, atom, changing=True))
        if all(_TOKEN.fullmatch(str(value)) for value in atom[1]):
            for found in derive("digits", atom):
                yield found
                yield from derive("int", found)
        elif all(str(value).isdigit() for value in atom[1]) and atom[0].size <= 4:
            yield from derive("int", atom)


def _granules(sight: Sight) -> Iterator[Found]:
    for name in sight.names("clock"):
        now = sight.of(name)
        for granule, steps in _GRANULES:
            yield from (each for step in steps for atom in _stepped(now, step) for each in derive(granule, atom))
    days = [a for pool in ("day", "moved") for a in sight.pools[pool] if all_are(a, DAYS)]
    for atom in days:
        yield from (each for granule in _OF_DAYS for each in derive(granule, atom))
    for atom in [*days, *sight.pools["clock"]]:
        yield from derive("iso_day", atom)
        if all_are(atom, datetime):
            spellings = ((name, between) for name in ("iso_moment", "iso_minute") for between in (" ", "T"))
            yield from (each for name, between in spellings for each in derive(name, atom, options=(between,)))
    for atom in [*sight.pools["place"], *sight.pools["moved"]]:
        if all_are(atom, (CLOCKS, datetime)):
            yield from derive("hour_minute", atom)


def _spelt(sight: Sight) -> Iterator[Found]:
    pools = ("place", "path", "span", "row", "age", "element", "key", "aggregate", "part", "granule")
    for atom in [atom for pool in pools for atom in sight.pools[pool] if numeric(atom)]:
        yield from derive("str", atom)
        if any(isinstance(value, float) for value in atom[1]) or atom[0].family == "request":
            yield from derive("decimals", atom, options=(2,))
        if any(cast(float, value) >= 1000 for value in atom[1]):
            yield from derive("grouped", atom)
            yield from derive("grouped_cents", atom)
        if any(isinstance(value, float) for value in atom[1]):
            yield from (each for exact in derive("exact", atom) for each in derive("str", exact))


def _joined(sight: Sight) -> Iterator[Found]:
    for atom in [*sight.pools["path"], *sight.pools["column"]]:
        texts = all_are(atom, list) and all(
            value and all(isinstance(each, str) for each in value) for value in cast("tuple[list[Value], ...]", atom[1])
        )
        if texts and any(len(cast("list[Value]", value)) > 1 for value in atom[1]):
            yield from (each for name in ("comma_joined", "and_joined", "line_joined") for each in derive(name, atom))


def _shape(atom: Found) -> str:
    if all(isinstance(value, str) and re.fullmatch(r"\d\d-\d\d", value) for value in atom[1]):
        return "monthday"
    return "weekday" if all(isinstance(value, str) and value in _WEEKDAYS for value in atom[1]) else ""


CONVERSIONS = (
    "lower",
    "upper",
    "title",
    "sentence",
    "snake",
    "dashed",
    "first_word",
    "last_word",
    "before_at",
)
_READERS: Mapping[str, tuple[str, ...]] = {
    "monthday": ("this_year", "coming", "past"),
    "weekday": ("next_weekday", "last_weekday"),
}
_WEEKDAYS = frozenset(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))
_LENGTHS: Mapping[str, int] = {"week": 7, "fortnight": 14, "month": 30}
_SIDES = ("having_at_least", "having_at_most", "having_more", "having_less")
_OF_DAYS = ("weekday_name", "month_name", "year_of", "month_of", "day_number")
_Step = tuple[tuple[str, tuple[Value, ...]], ...]
_AS_IT_IS: _Step = ()


def _by_months(*amounts: int) -> tuple[_Step, ...]:
    return tuple((("months_later", (amount,)),) for amount in amounts)


def _by_days(*amounts: int) -> tuple[_Step, ...]:
    return tuple((("shifted", (amount,)),) for amount in amounts)


_MONTH_ENDS: tuple[_Step, ...] = tuple((("months_later", (amount,)), ("shifted", (-1,))) for amount in (1, 0))
_STEPS: tuple[_Step, ...] = (
    *_by_days(-7, -1, 1, 7),
    *_by_months(-12, -3, -1, 0, 1),
    *_MONTH_ENDS,
    *((("week_start", ()),), (("quarter_start", ()),), (("year_start", ()),)),
)
"""How the clock may be moved."""
_GRANULES: tuple[tuple[str, tuple[_Step, ...]], ...] = (
    ("weekday_name", (_AS_IT_IS, *_by_days(-1, 1))),
    ("day_number", (_AS_IT_IS, *_by_days(-1, 1))),
    ("week", (_AS_IT_IS, *_by_days(-7, 7))),
    ("month_of", (_AS_IT_IS, *_by_months(-1, 1))),
    ("month_name", (_AS_IT_IS, *_by_months(-1, 1))),
    ("iso_month", (_AS_IT_IS, *_by_months(-1, 1))),
    ("quarter", (_AS_IT_IS, *_by_months(-3, 3))),
    ("iso_quarter", (_AS_IT_IS, *_by_months(-3, 3))),
    ("quarter_name", (_AS_IT_IS, *_by_months(-3, 3))),
    ("year_of", (_AS_IT_IS, *_by_months(-12, 12))),
)
"""The clock at each granularity, with the steps that make sense there: last month, but no month a day ago."""
GRAMMAR: tuple[Rule, ...] = (
    Rule(
        "place",
        "a place of the request or a key of its context, its amount or value",
        "`city`, `total.amount`",
        _places,
    ),
    Rule(
        "path",
        "what stands in a result, up to three keys deep",
        "`order['payment']['id']`",
        _paths,
    ),
    Rule(
        "span",
        "a length of time in minutes, hours, days, weeks",
        "`minutes(span)`",
        _spans,
    ),
    Rule(
        "clock",
        "now, and a day, week, month, quarter or year before or after, with their first and last days",
        "`shifted(now, 1)`",
        _clocks,
    ),
    Rule(
        "day",
        "a day of the request, in the year that the clock says, or of a result",
        "`coming(day, now)`",
        _days,
    ),
    Rule(
        "filter",
        "rows by a key: equal to a place or a value seen, or not to it, on one side of a day, within so many days of "
        "it, above or below a number, or less under one key than under another",
        "`having(rows, 'status', 'open')`",
        _filters,
    ),
    Rule(
        "row",
        "the only row, the first, the last, that with the smallest or largest value of a key (of equal ones, "
        "what runs took: the first, the last, that with less or more of something else)",
        "`lowest(rows, 'due')['id']`",
        _rows,
    ),
    Rule(
        "age",
        "how many days ago a day was, or how many are left until it",
        "`days_since(moment_of(order['date']), now)`",
        _ages,
    ),
    Rule(
        "moved",
        "a day moved by a length of time, or at a time of day",
        "`later(moment_of(start), span)`",
        _moved,
    ),
    Rule(
        "element",
        "the only, first or last element of a list of values",
        "`only(addresses)`",
        _elements,
    ),
    Rule(
        "key",
        "what a record holds under a word of the request",
        "`under(prices, item)`",
        _keyed,
    ),
    Rule(
        "column",
        "what all rows hold under a key",
        "`column(rows, 'total')`",
        _columns,
    ),
    Rule(
        "aggregate",
        "how many rows, their sum, mean (as it is and rounded), smallest and largest",
        "`sum(column(rows, 'total'))`",
        _aggregates,
    ),
    Rule(
        "part",
        "another case, the first or last word, what stands before an @, the digits of a token",
        "`digits(ticket)`",
        _parts,
    ),
    Rule(
        "granule",
        'a day as text or number of its granularity: day, month, quarter, week, year; an hour as "21:00"',
        "`quarter_name(now)`",
        _granules,
    ),
    Rule(
        "spelt",
        "a number as text: plain, with two decimals, grouped",
        "`decimals(total, 2)`",
        _spelt,
    ),
    Rule(
        "joined",
        "texts of a list as one text",
        "`and_joined(names)`",
        _joined,
    ),
)
"""Every row, in the order in which they are applied."""
