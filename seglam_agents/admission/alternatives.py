"""A look at the alternatives of a template: does which one was said change the answer, though no slot tells it?

`(he|she)` and `[please]` may differ freely. `(miles|km)`, `(more|fewer)` and `[not]` may not: the body never learns
which branch was said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple, cast

from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import find_all
from seglam_agents.guards.slots.money import read_currency
from seglam_agents.guards.slots.unit_table import UNITS
from seglam_agents.guards.slots.units import read_unit
from seglam_agents.guards.template import Choice, Element, Elements, Literal, SlotMention, Template, mentions, walk
from seglam_agents.guards.wordings import MONTHS, NEGATIONS, OPPOSITIONS, WEEKDAYS
from seglam_agents.records.values import Value


def meaning_changing(template: Template) -> list[str]:
    """Return one sentence for the author about each alternative or option that changes the meaning unnoticed."""
    said = Counter(mention.name for mention in mentions(template.elements))
    choices = [element for element in walk(template.elements) if isinstance(element, Choice)]
    return list(dict.fromkeys(finding for choice in choices if (finding := _finding(choice, said))))


class _Branch(NamedTuple):
    """One wording: its literal text, and the slots by which the body can tell it from the others."""

    text: str
    slots: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(word.strip(".,;:?!'\"()-") for word in self.text.casefold().split())


class _Feature(NamedTuple):
    """Something said in a branch, and how to name it."""

    meaning: str | float
    words: str


_Features = Sequence[_Feature]


def _finding(choice: Choice, said: Counter[str]) -> str | None:
    inside = Counter(mention.name for mention in mentions((choice,)))
    telling = frozenset(name for name, count in inside.items() if count == said[name])
    branches = [_branch(elements, telling) for elements in choice.branches]
    quoted = f"`{_quote(choice)}`"
    for left, right in combinations(branches, 2):
        if left.slots == right.slots and (difference := _difference(left, right, _seconds_are_time(branches))):
            return f"{quoted}: {difference}."
    if choice.optional:
        for branch in branches:
            if not branch.slots and (difference := _presence(branch)):
                return f"{quoted}: {difference}."
    return None


def _branch(elements: Elements, telling: frozenset[str]) -> _Branch:
    """Read a branch; only slots that are mentioned nowhere else tell the body that it was said."""
    parts = (element.text if isinstance(element, Literal) else " ; " for element in walk(elements))
    return _Branch("".join(parts), telling & {mention.name for mention in mentions(elements)})


def _difference(left: _Branch, right: _Branch, seconds_are_time: bool) -> str | None:
    """Return what the one branch says and the other does not."""
    if pair := _opposed(left.words - right.words, right.words - left.words):
        return (
            f"{pair[0]!r} and {pair[1]!r} are opposites and no slot captures which was said;"
            f" use {{which:choice({pair[0]}|{pair[1]})}}, or two templates of two procedures"
        )
    for name, read, advice in _READERS:
        ours, theirs = read(left.text), read(right.text)
        if pair := _conflict(ours, theirs):
            return f"{pair[0]!r} and {pair[1]!r} are different {name} and no slot captures which was said; {advice}"
    ours, theirs = _numbers(left.text, seconds_are_time), _numbers(right.text, seconds_are_time)
    return _uneven_numbers(ours, theirs, left, right) or _uneven_negations(left, right)


def _presence(branch: _Branch) -> str | None:
    """Return what an option says that must not go unnoticed."""
    if found := sorted(branch.words & NEGATIONS):
        return (
            f"a request with {found[0]!r} means something else than one without; write two templates of two procedures"
        )
    if found := _numbers(branch.text, _seconds_are_time([branch])):
        return f"{found[0].words!r} is a number that may be absent and no slot captures it; {_NUMBER_ADVICE}"
    if found := (*_weekdays(branch.text), *_months(branch.text)):
        return (
            f"{found[0].words!r} may be absent and no slot captures it; capture it with {{day:weekday}} or {{m:month}}"
        )
    return None


def _uneven_numbers(ours: _Features, theirs: _Features, left: _Branch, right: _Branch) -> str | None:
    for first, second, other in ((ours, theirs, right), (theirs, ours, left)):
        known = {feature.meaning for feature in second}
        for feature in first:
            one = feature.meaning == 1 and other.words & _LIKE_ONE
            if feature.meaning not in known and not one:
                return (
                    f"{feature.words!r} is a number that only one branch says and no slot captures it; {_NUMBER_ADVICE}"
                )
    return None


def _uneven_negations(left: _Branch, right: _Branch) -> str | None:
    ours, theirs = left.words & NEGATIONS, right.words & NEGATIONS
    if bool(ours) == bool(theirs):
        return None
    return f"{min(ours or theirs)!r} denies what the other branch says; write two templates of two procedures"


def _opposed(ours: frozenset[str], theirs: frozenset[str]) -> tuple[str, str] | None:
    for left, right in OPPOSITIONS:
        for one, other in ((left, right), (right, left)):
            if ours & one and theirs & other:
                return min(ours & one), min(theirs & other)
    return None


def _conflict(ours: _Features, theirs: _Features) -> tuple[str, str] | None:
    """Return the words of two meanings where both branches say one, and not the same."""
    if {feature.meaning for feature in ours} == {feature.meaning for feature in theirs}:
        return None
    first = [feature for feature in ours if feature.meaning not in {other.meaning for other in theirs}] or ours
    second = [feature for feature in theirs if feature.meaning not in {other.meaning for other in ours}] or theirs
    return (first[0].words, second[0].words) if first and second else None


# What a branch says


def _units(text: str) -> _Features:
    return [
        _Feature(unit.name, spelling)
        for spelling in _phrases(text, 3)
        if (unit := read_unit(spelling)) and (len(spelling) > 1 or _is_alone(text))
    ]


def _currencies(text: str) -> _Features:
    spelt = ((spelling, read_currency(spelling)) for spelling in _phrases(text, 2))
    return [_Feature(code, spelling) for spelling, code in spelt if code and spelling.lower() not in _ALSO_WORDS]


def _weekdays(text: str) -> _Features:
    return [_Feature(day, word) for word in _phrases(text, 1) if (day := word.lower().removesuffix("s")) in WEEKDAYS]


def _months(text: str) -> _Features:
    return [
        _Feature(word.lower(), word)
        for word in _phrases(text, 1)
        if word.lower() in MONTHS and (word[0].isupper() or word not in ("may", "march"))
    ]


def _numbers(text: str, seconds_are_time: bool) -> _Features:
    """Return fractions, multiples, ordinals and numbers, each place of the text once."""
    found: list[_Feature] = []
    rest = normalise(text).text
    for kind in ("fraction", "multiple", "ordinal", "number"):
        for place in find_all(kind, rest):
            value, start, end = cast("tuple[float, int, int]", tuple(cast("Sequence[Value]", place)))
            words = rest[start:end]
            rest = rest[:start] + ";" * (end - start) + rest[end:]
            if not (seconds_are_time and words == "second") and not _is_pronoun(value, rest[:start]):
                found.append(_Feature(f"number {value}" if kind == "ordinal" else value, words))
    return found


def _is_pronoun(value: float, before: str) -> bool:
    """Tell whether a 1 is the "one" of "no one" and "which one"."""
    return value == 1 and before.rstrip().rpartition(" ")[2].lower() in _BEFORE_ONE


def _seconds_are_time(branches: Iterable[_Branch]) -> bool:
    said = [feature for branch in branches for feature in _units(branch.text)]
    return any(UNITS[str(f.meaning)].dimension == "time" and f.words.lower() != "second" for f in said)


def _phrases(text: str, longest: int) -> Iterator[str]:
    """Yield the runs of words, the longest first; a word belongs to one run that is a unit or a currency."""
    words = [word.strip(",;:?!'\"()-") for word in text.replace(";", " ; ").split()]
    words = [word.removesuffix(".") for word in words]
    taken: set[int] = set()
    for length in range(longest, 0, -1):
        for start in range(len(words) - length + 1):
            span = range(start, start + length)
            phrase = " ".join(words[start : start + length])
            if not all(words[start : start + length]) or taken & {*span}:
                continue
            if length > 1 and (read_unit(phrase) or read_currency(phrase)):
                taken |= {*span}
            yield phrase


def _is_alone(text: str) -> bool:
    """Tell whether a single letter stands for a unit: alone in its branch, or after a slot or a number."""
    return len(text.strip(" ;.")) == 1


def _quote(element: Element) -> str:
    match element:
        case Literal(text=text):
            return text
        case SlotMention(name=name, slot=kind, again=again):
            return f"{{{name}}}" if again else f"{{{name}:{kind.name}}}"
        case Choice(branches=branches, optional=optional):
            inner = "|".join("".join(map(_quote, branch)) for branch in branches)
            return f"[{inner}]" if optional else f"({inner})"


_Reader = Callable[[str], _Features]
_READERS: tuple[tuple[str, _Reader, str], ...] = (
    ("units", _units, "use {u:unit}, or {d:quantity} with the number"),
    ("currencies", _currencies, "use {c:currency}, or {x:money} with the amount"),
    ("weekdays", _weekdays, "use {day:weekday}"),
    ("months", _months, "use {m:month}"),
)
_NUMBER_ADVICE = "capture it with {n:count}, {k:ordinal}, {f:fraction} or {m:multiple}"
_LIKE_ONE = frozenset(("a", "an", "the", "each", "every", "per", "single"))
_BEFORE_ONE = frozenset(("no", "any", "some", "every", "each", "which", "this", "that", "the"))
_ALSO_WORDS = frozenset(("won", "real", "rand", "dong"))
