"""`Perturbed`: one changed request with its meaning; `right_hit` judges what a guard made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.records.record import Json, leaves
from seglam_agents.records.values import as_number, same

Meaning: TypeAlias = Literal["same", "other"]


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A changed request, labelled by how it was made.

    Args:
        text: the changed request.
        meaning: `same` where the same must be done, with the same arguments; `other` where not.
        sort: how it was changed, by class.
        change: what was changed, for people.
        value: another value of the same kind, where that is all that changed: a hit that carries it is right.
        was: what stood in its place, so that a value within a duration, a date or a time is followed.
        second: what changed along with it and must be carried, too, as in a swap.
        disputed: True where people may disagree about the label; what becomes of these is told apart.
    """

    text: str
    meaning: Meaning
    sort: str
    change: str
    value: str | None = None
    disputed: bool = False
    was: str | None = None
    second: str | None = None


def right_hit(perturbed: Perturbed, before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Tell whether a procedure that accepts a changed request does right, by its arguments before and after.

    The same meaning needs the same arguments. Another meaning is noticed only where the new value is an argument.
    """
    if perturbed.meaning == "same":
        return _plain(before) == _plain(after)
    value, was, second = perturbed.value, perturbed.was, perturbed.second
    if value is None or _plain(before) == _plain(after):
        return False
    follows = _holds(after, value) or (was is not None and _moves(before, after, was, value))
    return follows and (
        second is None or _holds(after, second) or (was is not None and _moves(before, after, value, second))
    )


def _holds(arguments: Mapping[str, Json], value: str) -> bool:
    wanted = as_number(value)
    held = list(leaves(dict(arguments)))
    if wanted is not None:
        return any(same(leaf, wanted) for leaf in held if as_number(leaf) is not None)
    return any(isinstance(leaf, str) and leaf.casefold() == value.casefold() for leaf in held)


def _moves(before: Mapping[str, Json], after: Mapping[str, Json], was: str, value: str) -> bool:
    """Tell whether a duration, a date or a time has gone from one number to another, in one of its parts."""
    old, new = _part(was), _part(value)
    if old is None or new is None:
        return False
    for first, last in zip(_spans_of_time(dict(before)), _spans_of_time(dict(after)), strict=False):
        if any(same(last - first, (new - old) * unit) for unit in _SECONDS if old * unit <= first):
            return True
    for first, last in zip(leaves(dict(before)), leaves(dict(after)), strict=False):
        moved = [(one, other) for one, other in zip(_parts(first), _parts(last), strict=False) if one != other]
        if len(moved) == 1 and {moved[0][1] - new, moved[0][0] - old} <= {0, 12, -12}:
            return True
    return False


def _part(text: str) -> float | None:
    """Return the number that a text is within a date: "22nd" is 22, "May" is 5."""
    if text.casefold()[:3] in _MONTHS:
        return _MONTHS.index(text.casefold()[:3]) + 1
    ordinal = re.fullmatch(r"(\d+)(?:st|nd|rd|th)", text)
    return float(ordinal[1]) if ordinal else as_number(text)


def _spans_of_time(value: Json) -> list[float]:
    """Return the durations of encoded arguments, in seconds."""
    if isinstance(value, dict):
        return [
            seconds
            for key, item in value.items()
            for seconds in (
                [float(item)] if key == "$duration" and isinstance(item, (int, float)) else _spans_of_time(item)
            )
        ]
    return [seconds for item in value for seconds in _spans_of_time(item)] if isinstance(value, list) else []


def _parts(moment: Json) -> list[int]:
    """Return the numbers of a date or a time as it is encoded; none of anything else."""
    if not isinstance(moment, str) or not _MOMENT.fullmatch(moment):
        return []
    return [int(part) for part in re.split(r"[-:T]", moment)]


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SECONDS = (1, 60, 3_600, 86_400, 604_800)
_MOMENT = re.compile(r"(?:\d{4}-)?\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?|\d\d:\d\d(?::\d\d)?")


def _plain(arguments: Mapping[str, Json]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str).casefold()
