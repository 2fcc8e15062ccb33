"""Why runs went different ways: the tests that fit all of them.

The tests that no run contradicts are a version space (Mitchell, Generalization as search, 1982). A body takes a way
only where all of them agree, so that it never goes where only one reading of the runs would go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import comb, prod
from typing import cast

from seglam_agents.compilers.traces.closings import is_form
from seglam_agents.compilers.traces.grammar import ISO
from seglam_agents.compilers.traces.hours import hour_tests
from seglam_agents.compilers.traces.plan import Test
from seglam_agents.compilers.traces.sight import IDS, Found, Sight, numeric, rivals
from seglam_agents.compilers.traces.terms import Term, literal
from seglam_agents.compilers.traces.wish import Wish, compares, plausible
from seglam_agents.records.values import Value

MAX_TESTS = 16
"""Tests that must agree; where more fit, another run has to come first."""
MAX_NUMBERS = 40
STATUSES = 4
"""Different words up to which they may be a status, however few runs there are."""
PROPER = 2
"""The same for words with capital letters or digits."""
OFTEN = 3
"""How often each word of a status came, in the mean, where there are more of them."""
CHANCE = 0.01
"""How likely chance may tell names apart as the runs did: a name is a reason only where it came again and again."""
SEVERAL = 2
"""Rows from which on there are several."""
PROSE = 40
CERTAIN = 100
"""Labels that so many views may have had, of which one fits: what tells them apart is then hardly there by chance."""


def tests(sight: Sight, labels: list[bool], *, certain: bool = False) -> tuple[Test, ...]:
    """Return the tests that are true in the views labelled True and false in the others; none where nothing fits.

    Args:
        sight: what can be seen there.
        labels: which way each view went.
        certain: nothing is returned where so few views went each way that some test or other fits any labels.
    """
    if certain and comb(len(labels), labels.count(True)) < CERTAIN:
        return ()
    found: dict[str, Test] = {}
    for test in _all(sight, labels):
        found.setdefault(test.yes.code, test)
    if not found:
        found = {test.yes.code: test for test in _remote(sight, labels)}
    if not found and comb(len(labels), labels.count(True)) >= CERTAIN:
        # Of so many numbers of the calendar, some tell any few runs apart.
        found = {test.yes.code: test for test in _clock(sight, labels)}
    if outright := asked_for(found.values(), sight.wish):
        found = {test.yes.code: test for test in outright}
    meant = {test.yes.code for test in found.values()}
    if found:
        terms = plausible(
            (test.yes for test in found.values()), sight.wish, min(labels.count(True), labels.count(False)) + 1
        )
        meant = {term.code for term in terms}
    found = {code: test for code, test in found.items() if code in meant}
    ranked = sorted(found.values(), key=lambda test: (test.yes.size, test.yes.code))
    # A test of what nothing else looks at comes before a second test of the same.
    firsts = list({test.yes.sources: test for test in reversed(ranked)}.values())[::-1]
    return tuple([*firsts, *(test for test in ranked if test not in firsts)][:MAX_TESTS])


def asked_for(found: Iterable[Test], wish: Wish | None) -> list[Test]:
    """Return the tests that the request asks for outright: it compares, and names what with a limit, or what of two."""
    if wish is None or not any(map(compares, wish.words)):
        return []
    return [test for test in found if (match := _ASKED.fullmatch(test.yes.code)) and _names(match, test, wish)]


def _names(match: re.Match[str], test: Test, wish: Wish) -> bool:
    sides = (match[1], match[2])
    alike = _of_two_alike(*sides)
    limits = [part for part in sides if _PLACE.fullmatch(part) and not alike]
    keys = [part for part in sides if part not in limits]
    given = len(limits) == 1 and limits[0].partition(".")[0] in test.yes.sources
    if not (given or alike):
        return False
    counted = keys[0].startswith("len(") and not any(re.search(rf"\b{limit}\b", keys[0]) for limit in limits)
    if not (_RESULT.fullmatch(keys[0]) or counted):
        return False  # "Cost over 100" is asked of each row, and not of their sum.
    if not given and "[" not in keys[0]:
        return any(map(_THAN.fullmatch, wish.words))  # The tool says what: "older than" asks for two ages.
    words = set(re.findall(r"[^\W\d_]+", " ".join(re.findall(r"'([^']*)'", keys[0])[-1:]).casefold()))
    return bool(words) and all(is_form(word, wish.words) for word in words)


_ASKED = re.compile(r"(.+) (?:[<>]=?|==|!=) (.+)")
_UNNAMED = re.compile(r"number(_\d)?")
_THAN = re.compile(r"than|\w{3,}er")
_PLACE = re.compile(r"[a-z_]\w*(\.\w+)?")


def _all(sight: Sight, labels: Sequence[bool]) -> Iterator[Test]:
    plain = _plain(sight)
    for atom in plain:
        yield from _member(atom, labels)
    yield from hour_tests(sight, plain, labels)
    for atom in sight.lists:
        if "column" not in atom[0].uses:
            yield from _emptiness(atom, labels)
    numbers = _distinct(
        [atom for atom in _plain(sight, "span", "age", "aggregate") if numeric(atom) and not _is_id(atom)]
    )
    for atom in numbers:
        yield from _threshold(atom, labels)
    for left, right in combinations(numbers, 2):
        of_request = "request" in (left[0].family, right[0].family)
        near = of_request or _of_one_record(left[0], right[0]) or _of_two_alike(left[0].code, right[0].code)
        if near and _comparable(left[0], right[0]):
            yield from _comparison(left, right, labels)


def _of_one_record(left: Term, right: Term) -> bool:
    """Tell whether two numbers stand side by side: the one may be the limit of the other."""
    return all(_FIELD.fullmatch(term.code) for term in (left, right)) and left.sources == right.sources


def _of_two_alike(left: str, right: str) -> bool:
    """Tell whether two numbers are the same one of two results of a tool: what one asks for who compares them."""
    return left != right and _unnumbered(left) == _unnumbered(right) and _RESULT.fullmatch(left) is not None


def _unnumbered(code: str) -> str:
    return re.sub(r"^(\w+?)_\d+(?=\[|$)", r"\1", code)


def _remote(sight: Sight, labels: Sequence[bool]) -> Iterator[Test]:
    """Yield comparisons of two numbers of results: looked at only where nothing nearer tells why."""
    for left, right in combinations(_distinct(atom for atom in sight.numbers if not _is_id(atom)), 2):
        if _comparable(left[0], right[0]):
            yield from _comparison(left, right, labels)


def _comparable(left: Term, right: Term) -> bool:
    """Tell whether two numbers are of one sort: a day of the month is neither more nor less than a month."""
    sorts = [_GRANULE.match(term.code) for term in (left, right)]
    return not any(sorts) or (all(sorts) and len({sort[0] for sort in sorts if sort}) == 1)


_GRANULE = re.compile(r"(weekday|day_number|month_of|week\w*|quarter\w*|year_of|hour\w*|minute\w*|month\w*)\(")
"""What a number of the calendar or the clock begins with: which sort it is."""
_FIELD = re.compile(r"\w+\['\w+'\]")
_RESULT = re.compile(r"\w+(\['\w+'\])*")


def _plain(sight: Sight, *more: str) -> list[Found]:
    pools = ("place", "path", "row", "element", "key", *more)
    return [atom for pool in pools for atom in sight.pools[pool]]


def _is_id(atom: Found) -> bool:
    """Tell whether a number names something, or is the least or the sum of such, so that it decides nothing."""
    named = re.findall(r"'([^']*)'", atom[0].code)
    if atom[0].family == "request" and _UNNAMED.fullmatch(atom[0].code):
        return False  # No argument gave this place its name.
    return IDS.search(named[-1] if named else atom[0].code) is not None


def _clock(sight: Sight, labels: Sequence[bool]) -> Iterator[Test]:
    """Yield tests of the clock: looked at only where the request speaks of a time, and nothing else tells why."""
    for atom in sight.pools["granule"] if sight.timed else ():
        yield from _member(atom, labels)
        if all(isinstance(value, int) for value in atom[1]):
            yield from _threshold(atom, labels)


def _distinct(numbers: Iterable[Found]) -> list[Found]:
    return rivals(numbers)[:MAX_NUMBERS]


def _member(atom: Found, labels: Sequence[bool]) -> Iterator[Test]:
    """A text, a truth value or None that is one of those seen on its way."""
    term, seen = atom
    if not all(isinstance(value, (str, bool)) or value is None for value in seen):
        return
    members = cast("tuple[str | bool | None, ...]", seen)
    yes = {value for value, label in zip(members, labels, strict=True) if label}
    no = {value for value, label in zip(members, labels, strict=True) if not label}
    dated = all(isinstance(value, str) and ISO.fullmatch(value) for value in seen)
    if yes & no or dated:
        return
    if _are_names(members):
        counts = Counter(members)
        if _chance(counts, yes, no) > CHANCE:
            return
        # A name that came once is known by nothing.
        yes, no = ({value for value in way if counts[value] > 1} for way in (yes, no))
    if yes and no:
        yield Test(_in(term, yes), _in(term, no))


def _are_names(members: Sequence[str | bool | None]) -> bool:
    """Tell whether texts are names, ids or sentences: too many for a status, and there is always another one."""
    if not all(isinstance(value, str) for value in members):
        return False
    proper = all(map(_is_proper, cast("Sequence[str]", members)))
    return len(set(members)) > max(PROPER if proper else STATUSES, len(members) / OFTEN)


def _chance(counts: Mapping[str | bool | None, int], *ways: set[str | bool | None]) -> float:
    """Return how likely it is that names which came again went the same way again by chance."""
    total = sum(counts.values())
    shares = [(way, sum(counts[value] for value in way) / total) for way in ways]
    return prod(share ** (counts[value] - 1) for way, share in shares for value in way)


def _is_proper(text: str) -> bool:
    """Tell whether a text is one of which there is always another: a name, an id, a sentence."""
    return text[:1].isupper() or any(character.isdigit() for character in text) or len(text) > PROSE


def _in(term: Term, members: set[str | bool | None]) -> Term:
    ordered = sorted(members, key=repr)
    if len(ordered) == 1:
        only = ordered[0]
        operator = "is" if only is None or isinstance(only, bool) else "=="
        return _derived(term, f"{term.code} {operator} {literal(only)}", lambda value: value == only)
    return _derived(term, f"{term.code} in {literal(tuple(ordered))}", lambda value: value in ordered)


def _emptiness(atom: Found, labels: Sequence[bool]) -> Iterator[Test]:
    term, seen = atom
    filled = [bool(value) for value in seen]
    some = _derived(term, f"len({term.code}) > 0", bool)
    none = _derived(term, f"len({term.code}) == 0", lambda value: not value)
    if filled == list(labels):
        yield Test(some, none)
    elif filled == [not label for label in labels]:
        yield Test(none, some)


def _threshold(atom: Found, labels: Sequence[bool]) -> Iterator[Test]:
    """A number that is above all (or below all) that were seen on the other way."""
    term, seen = atom
    yes = [cast(float, value) for value, label in zip(seen, labels, strict=True) if label]
    no = [cast(float, value) for value, label in zip(seen, labels, strict=True) if not label]
    if "len" in term.uses:
        # How many there are decides between none, one and several: five are not more several than two.
        yes, no = [min(count, SEVERAL) for count in yes], [min(count, SEVERAL) for count in no]
    if min(yes) > max(no):
        yield Test(_bound(term, ">=", min(yes)), _bound(term, "<=", max(no)))
    elif max(yes) < min(no):
        yield Test(_bound(term, "<=", max(yes)), _bound(term, ">=", min(no)))


def _bound(term: Term, operator: str, limit: float) -> Term:
    if operator == ">=":
        return _derived(term, f"{term.code} >= {literal(limit)}", lambda value: cast(float, value) >= limit)
    return _derived(term, f"{term.code} <= {literal(limit)}", lambda value: cast(float, value) <= limit)


def _comparison(left: Found, right: Found, labels: Sequence[bool]) -> Iterator[Test]:
    signs = [_sign(cast(float, a) - cast(float, b)) for a, b in zip(left[1], right[1], strict=True)]
    yes = {sign for sign, label in zip(signs, labels, strict=True) if label}
    no = {sign for sign, label in zip(signs, labels, strict=True) if not label}
    if not yes & no:
        yield Test(_compared(left[0], right[0], yes), _compared(left[0], right[0], no))


def _sign(difference: float) -> int:
    return (difference > 1e-9) - (difference < -1e-9)


_SIGNS: Mapping[frozenset[int], str] = {
    frozenset((1,)): ">",
    frozenset((0,)): "==",
    frozenset((-1,)): "<",
    frozenset((0, 1)): ">=",
    frozenset((-1, 0)): "<=",
    frozenset((-1, 1)): "!=",
}


def _compared(left: Term, right: Term, signs: set[int]) -> Term:
    operator = _SIGNS[frozenset(signs)]
    return Term(
        f"{left.code} {operator} {right.code}",
        lambda view: _sign(cast(float, left.function(view)) - cast(float, right.function(view))) in signs,
        "result",
        left.size + right.size,
        left.sources | right.sources,
        uses=left.uses | right.uses,
    )


def _derived(term: Term, code: str, function: Callable[[Value], bool]) -> Term:
    return Term(
        code,
        lambda view: function(term.function(view)),
        term.family,
        term.size + 1,
        term.sources,
        tuple(term.rivals),
        term.uses,
    )
