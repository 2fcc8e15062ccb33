"""Tests of the time of day: on which side of the hours of a record it is now, or between which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import cast

from seglam_agents.compilers.traces.plan import Test
from seglam_agents.compilers.traces.sight import Found, Sight, all_are, derive
from seglam_agents.compilers.traces.terms import Term, View

_HOUR = re.compile(r"[0-2]\d:[0-5]\d")


def hour_tests(sight: Sight, atoms: Sequence[Found], labels: Sequence[bool]) -> Iterator[Test]:
    """Yield tests of the time of day that are true in the views labelled True, and in no other one.

    Args:
        sight: what can be seen there.
        atoms: what may tell an hour, as "17:30".
        labels: which way each view went.
    """
    hours = [atom for atom in atoms if all_are(atom, str) and all(_HOUR.fullmatch(str(value)) for value in atom[1])]
    for name in sight.names("clock") if hours else ():
        for now in derive("hour_minute", sight.of(name)):
            for hour in hours:
                yield from _sided(now, hour, labels)
            for one, other in permutations(hours, 2):
                if one[0].sources == other[0].sources:
                    yield from _between(now, one, other, labels)


def _sided(now: Found, hour: Found, labels: Sequence[bool]) -> Iterator[Test]:
    before = [mine < other for mine, other in zip(_texts(now), _texts(hour), strict=True)]
    yield from _told(now, (hour,), before, labels, f"{now[0].code} < {hour[0].code}")


def _between(now: Found, one: Found, other: Found, labels: Sequence[bool]) -> Iterator[Test]:
    inside = [a <= mine < b for a, mine, b in zip(_texts(one), _texts(now), _texts(other), strict=True)]
    yield from _told(now, (one, other), inside, labels, f"{one[0].code} <= {now[0].code} < {other[0].code}")


def _told(
    now: Found, hours: Sequence[Found], true: Sequence[bool], labels: Sequence[bool], code: str
) -> Iterator[Test]:
    agrees = true == list(labels)
    if agrees or true == [not label for label in labels]:
        holds, fails = _term(now, hours, code, wanted=True), _term(now, hours, f"not {code}", wanted=False)
        yield Test(holds, fails) if agrees else Test(fails, holds)


def _term(now: Found, hours: Sequence[Found], code: str, *, wanted: bool) -> Term:
    first, last = hours[0][0], hours[-1][0]

    def function(view: View) -> bool:
        mine, low, high = (cast(str, term.function(view)) for term in (now[0], first, last))
        inside = low <= mine < high if len(hours) > 1 else mine < low
        return inside == wanted

    terms = (now[0], *(hour[0] for hour in hours))
    sources = frozenset[str]().union(*(term.sources for term in terms))
    uses = frozenset[str]().union(*(term.uses for term in terms))
    return Term(code, function, "result", sum(term.size for term in terms), sources, uses=uses)


def _texts(atom: Found) -> tuple[str, ...]:
    return cast("tuple[str, ...]", atom[1])
