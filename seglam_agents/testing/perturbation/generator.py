"""`perturbations`: every class of change, in equal parts, all texts different."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from random import Random

from seglam_agents.testing.perturbation import framing, meddling, spelling
from seglam_agents.testing.perturbation.perturbed import Perturbed
from seglam_agents.testing.perturbation.subject import Subject

Maker = Callable[[Subject], Iterable[Perturbed]]

SORTS: Mapping[str, Maker] = {
    "clause behind": framing.clauses_behind,
    "clause before": framing.clauses_before,
    "clause at a value": meddling.clauses_at_values,
    "clause in a value": meddling.clauses_in_values,
    "negation": framing.negations,
    "restriction": meddling.restrictions,
    "question": framing.questions,
    "report": framing.reports,
    "opposite": meddling.opposites,
    "unit": meddling.units,
    "range": meddling.ranges,
    "number": meddling.numbers,
    "title": meddling.titles,
    "swap": meddling.swaps,
    "value left out": meddling.left_out,
    "relative time": framing.relative_times,
    "other language": framing.foreign_clauses,
    "second request": framing.second_requests,
    "polite frame": spelling.polite_frames,
    "letter case": spelling.letter_case,
    "script": spelling.scripts,
    "marks and spaces": spelling.marks,
    "number in words": spelling.number_words,
}
"""Every class of change with what makes it."""
LIMIT = 250


def perturbations(subject: Subject, random: Random, *, limit: int = LIMIT) -> list[Perturbed]:
    """Return changed requests of every class that the subject allows, all different, the classes in equal parts.

    Args:
        subject: the request with its values.
        random: decides which are taken where there are more than the limit.
        limit: how many at most.
    """
    drawers = [_shuffled(make(subject), random) for make in SORTS.values()]
    found: dict[str, Perturbed] = {}
    for item in _dealt(drawers):
        if item.text != subject.text and len(found) < limit:
            found.setdefault(item.text, item)
    return list(found.values())


def _shuffled(items: Iterable[Perturbed], random: Random) -> list[Perturbed]:
    found = list(items)
    random.shuffle(found)
    return found


def _dealt(drawers: list[list[Perturbed]]) -> Iterator[Perturbed]:
    for row in zip_longest(*drawers):
        yield from (item for item in row if item is not None)
