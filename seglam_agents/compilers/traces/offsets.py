"""Days that always lie as far from another one: an invoice is due two weeks from now, whenever that is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import cast

from seglam_agents.compilers.traces.sight import DAYS, Found, Sight, all_are, derive

MAX_DAYS = 4
"""Days of a text that are looked at."""
FAR = 400
"""Days from which on nobody counts them."""
WORKDAYS = 60
"""The same for working days."""
SATURDAY = 5
MONTHS = 24
"""Months up to which a day may lie ahead."""
_DAY = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")


def offsets(targets: Sequence[str], sight: Sight) -> list[Found]:
    """Return the days that stand in all targets as far from now, or from a day of the request, in each of them.

    Args:
        targets: what was said in each view.
        sight: what could be seen there.
    """
    said = [_days(target) for target in targets]
    bases = [sight.of(name) for name in sight.names("clock")] + [a for a in sight.pools["day"] if all_are(a, DAYS)]
    found: list[Found] = []
    for at in range(min(MAX_DAYS, *map(len, said)) if said else 0):
        column = [days[at] for days in said]
        if len(set(column)) > 1:
            found += [moved for base in bases for moved in _moved(column, base)]
    return [text for day in found for text in derive("iso_day", day)]


def _moved(days: Sequence[date], base: Found) -> Iterator[Found]:
    """Yield the steps that all days are away: by days, working days, months; which was meant, other days may tell."""
    begins = [_date(value) for value in cast("Sequence[date]", base[1])]
    ahead = (days[0] - begins[0]).days
    months = 12 * (days[0].year - begins[0].year) + days[0].month - begins[0].month
    workdays = sum(date.fromordinal(begins[0].toordinal() + step).weekday() < SATURDAY for step in range(1, ahead + 1))
    steps = (("shifted", ahead, FAR), ("months_on", months, MONTHS), ("workdays_later", workdays, WORKDAYS))
    for name, amount, far in steps:
        for found in derive(name, base, options=(amount,)) if 0 < abs(amount) <= far else ():
            if list(map(_date, cast("Sequence[date]", found[1]))) == list(days):
                yield found


def _date(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _days(text: str) -> list[date]:
    found: list[date] = []
    for match in _DAY.findall(text):
        try:
            found.append(date.fromisoformat(match))
        except ValueError:
            continue
    return found
