"""The slot types by name: `slot("quantity(length)")`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from seglam_agents.guards.slots.base import Slot
from seglam_agents.guards.slots.money import money_slots
from seglam_agents.guards.slots.names import name_slots
from seglam_agents.guards.slots.numbers import number_slots
from seglam_agents.guards.slots.texts import choice_slot, list_slot, text_slots
from seglam_agents.guards.slots.times import time_slots
from seglam_agents.guards.slots.unit_table import DIMENSIONS
from seglam_agents.guards.slots.units import quantity_slot, unit_slot
from seglam_agents.records.errors import SlotError


@lru_cache(maxsize=4096)
def slot(spelling: str) -> Slot:
    """Return the slot type that a template spells: `money`, `choice(red|blue)`, `list(person)`.

    Raises:
        SlotError: there is no such type, or its options are wrong.
    """
    name, parenthesis, options = spelling.strip().partition("(")
    if not parenthesis:
        return _plain(name)
    if not options.endswith(")"):
        raise SlotError(f"slot type {spelling!r} has no closing parenthesis")
    inner = options[:-1].strip()
    match name:
        case "choice":
            return choice_slot(inner)
        case "list":
            return list_slot(slot(inner))
        case "unit" | "quantity":
            _check_dimension(inner)
            return (unit_slot if name == "unit" else quantity_slot)(inner)
        case _:
            _ = _plain(name)
            raise SlotError(f"slot type {name!r} takes no options; choice, list, unit and quantity do")


def slot_types() -> Mapping[str, str]:
    """Return the spelling and the description of every slot type."""
    return _DESCRIPTIONS


def _plain(name: str) -> Slot:
    if (found := _PLAIN.get(name)) is not None:
        return found
    if name in ("choice", "list"):
        example = "choice(red|blue)" if name == "choice" else "list(person)"
        raise SlotError(f"slot type {name!r} needs options, as in {example}")
    raise SlotError(f"there is no slot type {name!r}{_suggestion(name, (*_PLAIN, 'choice', 'list'))}")


def _check_dimension(dimension: str) -> None:
    if dimension not in DIMENSIONS:
        raise SlotError(f"there are no units of {dimension!r}{_suggestion(dimension, DIMENSIONS)}")


def _suggestion(wrong: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(wrong.lower(), known, n=3, cutoff=0.5)
    return f": did you mean {', '.join(near)}?" if near else f"; known are {', '.join(sorted(known))}"


_PLAIN: dict[str, Slot] = {
    found.name: found
    for found in (
        *number_slots(),
        *money_slots(),
        quantity_slot(),
        unit_slot(),
        *time_slots(),
        *name_slots(),
        *text_slots(),
    )
}
_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        **{name: found.description for name, found in _PLAIN.items()},
        "quantity(D)": f"a quantity of one dimension: {', '.join(DIMENSIONS)}",
        "unit(D)": "a unit of one dimension",
        "choice(a|b)": "one of some texts: choice(red|blue|dark green)",
        "list(T)": 'several of another type, "a, b and c", or one: list(person), list(number)',
    }
)
