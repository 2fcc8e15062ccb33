"""`Wish`: what the words of a request speak of, and which explanations an agent could have meant by them.

Several terms fit the same runs by accident. Most of those that do so choose: by another key, without some rows, on one
side of a number. A request that asks for a choice says so ("smallest", "not paid", "over 100", "of this month"). A
choice that no word asks for is no rival of an explanation that does without it, and neither is a roundabout one of a
plain one. Where nothing plainer fits, the roundabout ones are all that there is, and they have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from seglam_agents.compilers.traces.terms import Term

MARGIN = 2
"""Choices that an explanation may need beyond the plainest one that fits."""
RUNS = 3
"""Runs from which on a roundabout explanation is no rival of a plain one."""
SELECTING: Mapping[str, tuple[str, ...]] = {
    "first": ("first", "top", "next"),
    "last": ("last", "bottom", "latest", "newest"),
    "lowest": (
        *("smallest", "lowest", "least", "cheapest", "shortest", "fewest", "minimum"),
        *("earliest", "oldest", "next", "soonest", "upcoming", "first"),
    ),
    "highest": (
        *("largest", "highest", "biggest", "most", "longest", "greatest", "maximum", "top"),
        *("latest", "newest", "last", "recent"),
    ),
    "min": ("smallest", "lowest", "least", "cheapest", "minimum"),
    "max": ("largest", "highest", "biggest", "most", "maximum", "top"),
    "len": ("number", "count", "total", "all"),
    "sum": ("total", "sum", "all", "altogether"),
    "mean": ("average", "mean"),
}
"""What asks for which function of the grammar."""
ASKING_FIGURES = frozenset(
    ("many", "much", "count", "number", "total", "sum", "average", "mean", "highest", "lowest", "smallest", "largest")
) | frozenset(("cost", "costs", "price", "altogether", "maximum", "minimum"))
"""What asks for a figure."""
BY_DAY = frozenset(("earliest", "latest", "oldest", "newest"))
BY_SIZE = frozenset(("smallest", "largest", "biggest", "lowest", "highest", "cheapest"))
TIMED = frozenset(
    ("today", "today's", "tomorrow", "yesterday", "tonight", "now", "current", "currently", "this", "last", "next")
) | frozenset(
    ("past", "week", "weeks", "month", "month's", "quarter", "year", "year's", "ago", "overdue", "due", "yet")
)
"""What speaks of a time that goes by."""
_ENDS = frozenset(("first", "last", "lowest", "highest", "min", "max"))
EXCEPTING = frozenset(
    (
        "not",
        "no",
        "except",
        "but",
        "other",
        "others",
        "without",
        "unless",
        "non",
        "besides",
        "excluding",
        "apart",
        "never",
    )
) | frozenset(("than", "rather", "instead", "exclude", "excepting", "beside", "less", "minus", "ignoring", "ignore"))
_COMPARING = re.compile(
    r"over|under|above|below|more|less|least|most|than|exceed\w*|beyond|between|from|to|until|up|within|min\w*|max\w*"
    r"|\w{3,}er|\w{3,}ier|beneath|past|after|before|since|enough|limit\w*|reach\w*|differ\w*|compar\w*|versus|vs|\W+"
)
_DAY_FILTERS = frozenset(f"having_{name}" for name in ("before", "from", "after", "until", "on", "in_month", "within"))
_SIDES = frozenset(("having_at_least", "having_at_most", "having_more", "having_less"))
_LIMITS = frozenset(("having_above", "having_below", "having_fewer", "having_no_more"))
EXCEPTED = frozenset(("having_any", "having_other"))
_FILTERS = frozenset(("having", "having_same")) | EXCEPTED | _DAY_FILTERS | _SIDES | _LIMITS
_CHOICES = _FILTERS | frozenset(
    ("first", "last", "lowest", "highest", "only", "common", "min", "max", "sum", "mean", "len", "digits", "int")
) | frozenset("+-*/")  # fmt: skip
_FIGURE = re.compile(r"'?-?\d[\d.,]*'?")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What requests of a kind say besides their places.

    Args:
        words: their words.
        strange: those that no tool, argument, result or answer of the runs says.
        timed: whether they speak of a time.
    """

    words: frozenset[str]
    strange: frozenset[str] = frozenset()
    timed: bool = False

    @property
    def ends(self) -> frozenset[str]:
        """Which end of a list is asked for, as functions of the grammar; nothing where none is."""
        return frozenset(name for name in _ENDS if self.words & set(SELECTING[name]))

    def asks(self, term: Term) -> bool:
        """Tell whether an agent may have meant a term: each choice that it makes has a word that may ask for it."""
        if term.rivals:
            return any(self.asks(part) for part in term.rivals)
        uses = term.uses
        if uses & EXCEPTED and not self.words & EXCEPTING:
            return False
        if uses & _DAY_FILTERS and not self.timed:
            return False
        if uses & _SIDES and not any(_COMPARING.fullmatch(word) for word in self.words):
            return False
        if uses & _LIMITS and not (self.strange or any(_COMPARING.fullmatch(word) for word in self.words)):
            return False
        ends = self.ends
        return not (ends and uses & _ENDS - ends)

    def says(self, term: Term) -> bool:
        """Tell whether each filter of a term is spoken of: by its value, or by words of time or size."""
        if term.rivals:
            return any(map(self.says, term.rivals))
        filtered = term.code.startswith("having") and term.uses & _FILTERS
        return (not filtered or self._spoken(term)) and all(map(self.says, term.parts))

    def _spoken(self, filtered: Term) -> bool:
        texts = re.findall(r"'([^']*)'", filtered.code)[1:]
        if filtered.uses & (_DAY_FILTERS | _SIDES | _LIMITS):
            return self.asks(filtered)
        spoken = any(set(text.casefold().split()) <= self.words for text in texts)
        return spoken or (not texts and len(filtered.sources) > 1)


def plausible(terms: Iterable[Term], wish: Wish | None, runs: int) -> list[Term]:
    """Return the terms that an agent may have meant; all of them where there is none."""
    every = list(terms)
    if wish is None or len(every) < 2:
        return every
    asked = _figured([term for term in every if wish.asks(term)] or every, wish)
    if runs < RUNS:
        return asked
    plainest = min(weight(term) for term in _telling(asked, wish))
    return [term for term in asked if weight(term) < plainest + MARGIN]


def _figured(terms: list[Term], wish: Wish) -> list[Term]:
    """Return terms without numbers of the calendar, where the request asks for a figure and a result has it."""
    told = [term for term in terms if term.family == "constant" or term.sources != frozenset(("now",))]
    figured = any(term.family != "constant" for term in told)
    return terms if wish.words.isdisjoint(ASKING_FIGURES) or not figured else told


def _telling(terms: Sequence[Term], wish: Wish) -> Sequence[Term]:
    """Return terms without a number that is always the same, where the request asks for a figure.

    That each of four had one confirmed booking is no plainer than that the confirmed ones were counted.
    """
    if wish.words.isdisjoint(ASKING_FIGURES):
        return terms
    return [term for term in terms if not (term.family == "constant" and _FIGURE.fullmatch(term.code))] or terms


def weight(term: Term) -> int:
    """Return how many choices a term makes."""
    return len(_choices(term))


def _choices(term: Term) -> frozenset[str]:
    """Return the choices of a term; of rivals that say the same, those of the plainest."""
    if term.rivals:
        return min((_choices(rival) for rival in term.rivals), key=len)
    inner = frozenset[str]().union(*(_choices(part) for part in term.parts))
    return inner | (term.uses & _CHOICES).difference(*(part.uses for part in term.parts))


def compares(word: str) -> bool:
    """Tell whether a word may ask for one side of a number."""
    return _COMPARING.fullmatch(word) is not None


COMPARED = _SIDES | _LIMITS
"""The functions that keep rows on one side of a number."""


def keys_asked(wish: Wish | None, dated: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """Return the keys that rows may be ordered by: "latest" asks for days, "smallest" for numbers."""
    words: frozenset[str] = wish.words if wish else frozenset()
    if dated and words & BY_DAY and not words & BY_SIZE:
        return list(dated)
    if numbers and words & BY_SIZE and not words & BY_DAY:
        return list(numbers)
    return [*dated, *numbers]
