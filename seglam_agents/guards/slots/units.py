"""Slots for units and quantities, and `convert` between units of one kind."""

from __future__ import annotations

import random
import re
from fractions import Fraction

from seglam_agents.guards.slots.base import Functions, Slot, make
from seglam_agents.guards.slots.numbers import (
    AS_THOUSANDS,
    MIXED,
    SIGN,
    is_usual,
    plain,
    read_mixed,
    read_scaled,
    split_sign,
    write_number,
)
from seglam_agents.guards.slots.unit_table import LOWERED, SPELLINGS, UNITS, WRITTEN_ALIKE, Unit
from seglam_agents.records.values import Quantity


def unit_slot(dimension: str | None = None) -> Slot:
    """Return the slot type `unit`, of any dimension or of one."""

    def read(raw: str) -> str | None:
        unit = read_unit(raw, dimension)
        return unit.name if unit else None

    names = _names(dimension)
    return make(
        _spelling("unit", dimension),
        UNIT,
        Functions(read, str, lambda rng: rng.choice(names)),
        python="str",
        description=f"a unit of {dimension or 'measurement'}, as its singular name: {', '.join(names[:3])}",
    )


def quantity_slot(dimension: str | None = None) -> Slot:
    """Return the slot type `quantity`, of any dimension or of one."""

    def read(raw: str) -> Quantity | None:
        return read_quantity(raw, dimension)

    names = _names(dimension)
    what = f"a {dimension}" if dimension else "a number with a unit"
    examples = ", ".join(write_quantity(Quantity(*pair)) for pair in zip((5, 2.5), names[:2], strict=True))
    return make(
        _spelling("quantity", dimension),
        rf"{SIGN}{MIXED}(?: thousand| [mb]illion| and an? (?:half|quarter))?[ -]?(?:{UNIT})",
        Functions(read, write_quantity, lambda rng: _sample_quantity(rng, names), _same),
        python="Quantity",
        description=f"{what}: {examples}",
    )


def read_unit(raw: str, dimension: str | None = None) -> Unit | None:
    """Return the unit that a text spells: "kms", "square feet", "°C"."""
    if raw in _TEMPERATURES and dimension != "temperature":
        return None  # "5K" is rather five thousand
    name = SPELLINGS.get(raw) or _in_other_case(raw.removesuffix("."))
    unit = UNITS.get(name) if name else None
    return unit if unit and dimension in (None, unit.dimension) else None


def _in_other_case(raw: str) -> str | None:
    """Return the unit of a spelling whose case differs from the table: names may, symbols that collide may not."""
    lowered = raw.lower()
    if raw == lowered or " " in raw or lowered in WRITTEN_ALIKE or (len(raw) > 4 and lowered not in _CASE_MATTERS):
        return LOWERED.get(lowered)
    return None


def read_quantity(raw: str, dimension: str | None = None) -> Quantity | None:
    """Return the quantity that a text spells: "5 miles", "32-foot", "1/2 cup"."""
    sign, text = split_sign(raw)
    match = _QUANTITY.fullmatch(_AND_A_PART.sub(lambda part: f"{part[1]} 1/{_PARTS[part[2].lower()]}", text))
    if match is None:
        return None
    digits, spelling = match.groups()
    if AS_THOUSANDS.fullmatch(digits) or ("/" in digits and not is_usual(digits.rpartition(" ")[2])):
        return None
    unit = read_unit(spelling, dimension)
    value = read_mixed(digits) if "/" in digits else read_scaled(digits)
    return Quantity(plain(sign * value), unit.name) if unit and value is not None else None


def write_quantity(value: Quantity) -> str:
    """Return a quantity with the name of its unit, in the plural where it is not one."""
    number, name = value
    return f"{write_number(number)} {name if number == 1 else UNITS[name].plural}"


def convert(quantity: Quantity, unit: str) -> Quantity | None:
    """Return a quantity in another unit of the same kind, or None where there is none; months have no fixed days."""
    source = UNITS.get(quantity[1])
    target = read_unit(unit, source.dimension) if source else None
    if source is None or target is None or source.kind != target.kind:
        return None
    if source is target:
        return Quantity(quantity[0], target.name)
    base = Fraction(str(quantity[0])) * source.factor + source.offset
    return Quantity(plain((base - target.offset) / target.factor), target.name)


def _same(left: Quantity, right: Quantity) -> bool:
    return left == right or convert(left, right.unit) == right


def _sample_quantity(rng: random.Random, names: tuple[str, ...]) -> Quantity:
    kind = rng.random()
    if kind < 0.6:
        return Quantity(rng.randint(2, 60), rng.choice(names))
    if kind < 0.85:
        return Quantity(rng.randint(11, 299) / 10 if rng.random() < 0.9 else 0.5, rng.choice(names))
    return Quantity(rng.randint(61, 5000), rng.choice(names))


def _names(dimension: str | None) -> tuple[str, ...]:
    return tuple(unit.name for unit in UNITS.values() if dimension in (None, unit.dimension))


def _spelling(name: str, dimension: str | None) -> str:
    return f"{name}({dimension})" if dimension else name


UNIT = (
    r"(?:(?:square|sq\.?|cubic|cu\.?|fluid|fl\.?|nautical|metric|degrees?) |°)?[a-zµμ]+[²³23]?"
    r"(?: per (?:hour|second)|/(?:hr?|s(?:ec)?))?|(?:kilo)?watt[ -]hours?"
)
"""Over-approximates the spellings of units; `read_unit` decides."""
_QUANTITY = re.compile(
    r"([0-9.,]*[0-9](?: [0-9]+/[0-9]+|/[0-9]+)?(?: thousand| million| billion)?)(?: |-)?([^0-9 .,-].*)",
    re.IGNORECASE,
)
_AND_A_PART = re.compile(r"\A(\d[\d,]*) and an? (half|quarter)(?= )", re.IGNORECASE)
"""Between a number and its unit only: "add 6 and a half" may mean two numbers."""
_PARTS = {"half": 2, "quarter": 4}
_TEMPERATURES = frozenset("CFK")
_CASE_MATTERS = frozenset(("calorie", "calories", "cal"))
"""A Calorie on a label is a thousand calories."""
