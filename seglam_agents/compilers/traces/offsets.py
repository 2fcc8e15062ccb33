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
    begins = [_date(value) for value in cast("Sequence[date]", base[1])]
    ahead = {(day - begin).days for day, begin in zip(days, begins, strict=True)}
    if len(ahead) == 1 and 0 < abs(amount := ahead.pop()) <= FAR:
        yield from derive("shifted", base, options=(amount,))
    months = {12 * (day.year - begin.year) + day.month - begin.month for day, begin in zip(days, begins, strict=True)}
    same = all(day.day == begin.day for day, begin in zip(days, begins, strict=True))
    if same and len(months) == 1 and 0 < abs(count := months.pop()) <= MONTHS:
        yield from derive("months_later", base, options=(count,))


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
