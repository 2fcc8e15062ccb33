"""What a procedure may import inside a sandbox as module `slots`. Arguments come from code that nobody trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeGuard

from seglam_agents.guards.normal import NormalText, linear, normalise
from seglam_agents.guards.slots.base import Slot
from seglam_agents.guards.slots.registry import slot
from seglam_agents.guards.slots.units import convert
from seglam_agents.records.errors import SlotError
from seglam_agents.records.shapes import is_listing
from seglam_agents.records.values import Quantity, Value

MAX_TEXT = 8_000
"""Characters of a text that these functions read; of a longer one they read nothing."""
MAX_SPELLING = 200
"""Characters of a slot type."""


def exports() -> Mapping[str, Callable[..., Value]]:
    """Return the functions by name. All are total: what cannot be done is None, or nothing found."""
    return {
        "parse": parse_text,
        "find": find_all,
        "normalise": normalise_text,
        "render": render_value,
        "convert": convert_quantity,
    }


def parse_text(kind: Value, text: Value) -> Value:
    """Return the value that a whole text spells, or None."""
    found = _slot(kind)
    if found is None or not _is_text(text):
        return None
    normal = normalise(text)
    if not linear(found.pattern).fullmatch(normal.text):
        return None
    return found.parse(normal.source(0, len(normal.text)) if found.verbatim else normal.text)


def find_all(kind: Value, text: Value) -> list[Value]:
    """Return [value, start, end] for each place of a text that spells one, from left to right."""
    found = _slot(kind)
    if found is None or not _is_text(text):
        return []
    normal = normalise(text)
    places: list[Value] = []
    position = 0
    while match := linear(found.pattern).search(normal.text, position):
        start, end = match.span()
        value = _value(found, normal, start, end)
        if value is None:
            position = normal.text.find(" ", start) + 1
            if position == 0:
                break
        else:
            first, last = normal.span(start, end)
            places.append([value, first, last])
            position = end
    return places


def normalise_text(text: Value) -> str:
    """Return the normalised text, or "" for what is no text."""
    return normalise(text).text if _is_text(text) else ""


def render_value(kind: Value, value: Value) -> Value:
    """Return the canonical text of a value, or None where it is none of the type."""
    found = _slot(kind)
    try:
        return found.render(value) if found else None
    except SlotError:
        return None


def convert_quantity(quantity: Value, unit: Value) -> Value:
    """Return a quantity in another unit, or None."""
    if not is_listing(quantity) or not isinstance(unit, str):
        return None
    if len(quantity) != 2 or isinstance(quantity[0], bool):
        return None
    number, name = quantity
    if not isinstance(number, (int, float)) or not isinstance(name, str):
        return None
    try:
        return convert(Quantity(number, name), unit)
    except (ValueError, OverflowError):
        return None


def _is_text(text: Value) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= MAX_TEXT


@lru_cache(maxsize=256)
def _known(spelling: str) -> Slot | None:
    try:
        return slot(spelling)
    except SlotError:
        return None


def _slot(kind: Value) -> Slot | None:
    return _known(kind) if isinstance(kind, str) and len(kind) <= MAX_SPELLING else None


def _value(found: Slot, normal: NormalText, start: int, end: int) -> Value:
    """Return the value at a span that begins and ends where words do."""
    text = normal.text
    if _joined(text, start) or _joined(text, end):
        return None
    return found.parse(normal.source(start, end) if found.verbatim else text[start:end])


def _joined(text: str, boundary: int) -> bool:
    """Tell whether the characters on both sides of a boundary belong together: "12|a", "3.|5", "1|/2"."""
    if not 0 < boundary < len(text):
        return False
    before, after = text[boundary - 1], text[boundary]
    if before.isalnum() and after.isalnum():
        return True
    inner = text[boundary - 2 : boundary - 1] if before in _JOINTS else text[boundary + 1 : boundary + 2]
    outer = after if before in _JOINTS else before
    return (before in _JOINTS or after in _JOINTS) and inner.isdigit() and outer.isdigit()


_JOINTS = frozenset(".,/:-")
