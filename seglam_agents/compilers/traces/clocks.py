"""Times of day without am or pm: the traces show which half of the day is meant, for hours between those seen.

"at 3:30" became 15:30 and "at 11" became 11:00. There is one hour at which an afternoon is taken to end and a morning
to begin; it lies between the largest hour that was taken as afternoon and the smallest that stood as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import cast

from seglam_agents.compilers.traces.atoms import Atoms, Found
from seglam_agents.compilers.traces.terms import Term, Values, applied
from seglam_agents.records.values import Value

CLOCK = re.compile(r"(1[0-2]|[1-9])(?::([0-5]\d))?")
"""An hour of a clock with twelve, with or without minutes."""
_NONE = [0, 0]
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)([ T])(\d\d):(\d\d):00")


def clocked(targets: Values, atoms: Atoms) -> Iterator[Term]:
    """Yield the terms that put a day of the request and a time of day of it together to the targets."""
    moments = [_MOMENT.fullmatch(str(target)) for target in targets]
    found = [moment for moment in moments if moment]
    if not found or len(found) != len(moments) or len({moment[2] for moment in found}) > 1:
        return
    days = [atom for atom in atoms.days if _are([moment[1] for moment in found], atom)]
    for term, seen in atoms.plain if days else ():
        if term.family != "request" or term.size > 1:
            continue
        hulls = _hulls(seen, [(int(moment[3]), int(moment[4])) for moment in found])
        for day, _ in days if hulls else ():
            at = applied("on_clock", day, term, family=day.family, options=hulls or ())
            yield applied("iso_moment", at, options=(found[0][2],))


def spellings(morning: Sequence[int], afternoon: Sequence[int]) -> list[str]:
    """Return how times of day are written whose half of the day is known."""
    hours = [hour for hour in range(1, 13) if any(low <= hour <= high for low, high in (morning, afternoon))]
    return [f"{hour}{minute}" for hour in hours for minute in ("", ":00", ":15", ":30", ":45")]


def hulls_of(term: Term, name: str) -> tuple[list[int], list[int]] | None:
    """Return the hours that a term takes at a place as they stand, and those that it takes to be after noon."""
    match = re.search(rf"on_clock\(.*?, {name}, \[(\d+), (\d+)\], \[(\d+), (\d+)\]\)", term.code)
    return ([int(match[1]), int(match[2])], [int(match[3]), int(match[4])]) if match else None


def _are(days: Sequence[str], atom: Found) -> bool:
    term, seen = atom
    if term.size > 3 or not all(isinstance(day, date) and not isinstance(day, datetime) for day in seen):
        return False
    return [cast(date, day).isoformat() for day in seen] == list(days)


def _hulls(seen: Values, wanted: Sequence[tuple[int, int]]) -> tuple[Value, Value] | None:
    """Return the first and last hour that stood as they are, and those that were twelve later."""
    hours: Mapping[int, set[int]] = {0: set(), 12: set()}
    for value, (hour, minute) in zip(seen, wanted, strict=True):
        match = CLOCK.fullmatch(str(value)) if isinstance(value, (str, int)) else None
        later = hour - int(match[1]) if match else -1
        if match is None or int(match[2] or 0) != minute or later not in hours:
            return None
        hours[later].add(int(match[1]))
    morning, afternoon = hours[0], hours[12]
    if morning and afternoon and max(afternoon) >= min(morning):
        return None
    return tuple([min(each), max(each)] if each else list(_NONE) for each in (morning, afternoon))  # pyright: ignore[reportReturnType]  # two of them
