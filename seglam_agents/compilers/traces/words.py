"""The words of a request that a plan does nothing about: each may ask for something that no run has shown yet.

"Count the *big* bookings", where all bookings of the runs were big, is explained as a count of all. A word is accounted
for where tools, their arguments, their results or the answer say it too, or where it asks for a selection that the plan
makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from seglam_agents.compilers.traces.plan import Node, terms_of
from seglam_agents.records.record import Json
from seglam_agents.records.trace import Trace

STEM = 4
"""Letters that two words have to share to be forms of one."""
_ASKING = frozenset(
    ("how", "many", "much", "what", "what's", "which", "who", "whose", "where", "when", "tell", "give", "show", "list")
) | frozenset(
    ("find", "get", "look", "name", "there", "have", "got", "and", "to", "in", "on", "at", "by", "with", "from")
)
"""Words that ask, and that join: requests do not differ by them."""
_SELECTING: Mapping[str, tuple[str, ...]] = {
    "first": ("first", "top", "next"),
    "last": ("last", "bottom", "latest", "newest"),
    "lowest": ("smallest", "lowest", "least", "cheapest", "earliest", "oldest", "shortest", "fewest", "minimum"),
    "highest": ("largest", "highest", "biggest", "most", "latest", "newest", "longest", "greatest", "maximum", "top"),
    "min": ("smallest", "lowest", "least", "cheapest", "minimum"),
    "max": ("largest", "highest", "biggest", "most", "maximum", "top"),
    "len": ("number", "count", "total", "all"),
    "sum": ("total", "sum", "all", "altogether"),
    "mean": ("average", "mean"),
}
"""What asks for which function of the grammar."""


def unaccounted(words: Iterable[str], plan: Node, runs: Iterable[Trace]) -> set[str]:
    """Return the words that nothing of the runs says, and that no selection of the plan is about.

    Args:
        words: those of the requests beside the places.
        plan: what is done about them.
        runs: where they come from.
    """
    said = {word for run in runs for word in _said_in(run)}
    made = {word for function, asked in _SELECTING.items() if _uses(plan, function) for word in asked}
    return {word for word in words if not (word in _ASKING or word in made or _known(word, said))}


def _known(word: str, said: set[str]) -> bool:
    return word in said or any(
        len(word) >= STEM and other[:STEM] == word[:STEM] and _alike(word, other) for other in said
    )


def _alike(word: str, other: str) -> bool:
    """Tell whether two words differ in their endings alone."""
    shared = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    return len(word) - shared <= 3 and len(other) - shared <= 3


def _uses(plan: Node, function: str) -> bool:
    return any(f"{function}(" in term.code for term in terms_of(plan))


def _said_in(run: Trace) -> Iterator[str]:
    yield from _words(run.answer)
    for step in run.calls:
        yield from _words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", step.tool))
        yield from _words(step.arguments)
        yield from _words(step.result)


def _words(document: Json) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _words(key)
            yield from _words(value)
    elif isinstance(document, list):
        for value in document[:20]:
            yield from _words(value)
    elif isinstance(document, str):
        yield from re.findall(r"[^\W\d_]+", document.casefold())
