"""`Perturbed`: one changed request with its meaning; `right_hit` judges what a guard made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from seglam_agents.records.record import Json
from seglam_agents.records.values import as_number

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
        disputed: True where people may disagree about the label; what becomes of these is told apart.
    """

    text: str
    meaning: Meaning
    sort: str
    change: str
    value: str | None = None
    disputed: bool = False


def right_hit(perturbed: Perturbed, before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Tell whether a procedure that accepts a changed request does right, by its arguments before and after.

    The same meaning needs the same arguments. Another meaning is noticed only where the new value is an argument.
    """
    if perturbed.meaning == "same":
        return _plain(before) == _plain(after)
    return perturbed.value is not None and _plain(before) != _plain(after) and _holds(after, perturbed.value)


def _holds(arguments: Mapping[str, Json], value: str) -> bool:
    wanted = as_number(value)
    leaves = list(_leaves(dict(arguments)))
    if wanted is not None:
        return any(as_number(leaf) == wanted for leaf in leaves if not isinstance(leaf, bool))
    return any(isinstance(leaf, str) and leaf.casefold() == value.casefold() for leaf in leaves)


def _leaves(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _plain(arguments: Mapping[str, Json]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str).casefold()
