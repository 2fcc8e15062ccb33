"""The values that slots produce, bodies compute with, and tools exchange; and their JSON form.

Plain Python wherever possible: `int`, `float`, `str`, `bool`, `date`, `time`, `datetime`, `timedelta`, lists and
dicts of these. Two named tuples carry what a bare number would lose: `Money` its currency, `Quantity` its unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeAlias, cast

from seglam_agents.records.record import Json
from seglam_agents.records.shapes import is_listing


class Money(NamedTuple):
    """An amount with its currency as an ISO 4217 code, or the sign itself where the code is unknown."""

    amount: float
    currency: str


class Quantity(NamedTuple):
    """A number with its canonical unit, such as `Quantity(32, "foot")`."""

    value: float
    unit: str


Scalar: TypeAlias = bool | int | float | str | date | time | datetime | timedelta | Money | Quantity | None
Value: TypeAlias = "Scalar | Sequence[Value] | Mapping[str, Value]"

NOISE = 1e-6
"""The share of an answer that computing it in another way may change."""
NOISE_DIGITS = 9
"""Decimals kept of a float answer: what lies beyond is the noise of binary fractions."""


def encode(value: Value) -> Json:
    """Return the JSON form of a value; what JSON lacks becomes an object with one `$type` key.

    Raises:
        TypeError: the value is none of the types of this module.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": str(value)}
        case Money():
            return {"$money": [value.amount, value.currency]}
        case Quantity():
            return {"$quantity": [value.value, value.unit]}
        case datetime():
            return {"$datetime": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case time():
            return {"$time": value.isoformat()}
        case timedelta():
            return {"$duration": _seconds(value)}
        case Mapping():
            return {str(key): encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
        case _:
            raise TypeError(f"a {type(value).__name__} is not a value that a procedure can exchange")


def _seconds(span: timedelta) -> Json:
    """Return a duration in seconds; in days, seconds and microseconds where a float has not digits enough for it."""
    if abs(span.days) < _EXACT_DAYS or not span.microseconds:
        return span.total_seconds()
    return [span.days, span.seconds, span.microseconds]


def _span(content: Json) -> timedelta:
    match content:
        case [int(days), int(seconds), int(microseconds)]:
            return timedelta(days, seconds, microseconds)
        case int() | float():
            return timedelta(seconds=content)
        case _:
            raise TypeError("a duration is a number of seconds, or days, seconds and microseconds")


def decode(document: Json) -> Value:
    """Return the value that `encode` wrote."""
    if isinstance(document, list):
        return [decode(item) for item in document]
    if not isinstance(document, dict):
        return document
    if len(document) == 1:
        (tag, content), *_ = document.items()
        if tag in _DECODERS:
            return _DECODERS[tag](content)
    return {key: decode(item) for key, item in document.items()}


def tidy(value: Value) -> Value:
    """Return an answer without the noise of binary fractions: 8.000000000000002 becomes 8."""
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return value
    rounded = round(value, NOISE_DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def endless_number(value: Value) -> float | None:
    """Return a number within a value that is infinite or none at all, which JSON does not have; None if none is."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
        return None
    items = cast("Sequence[Value]", list(value.values()) if isinstance(value, Mapping) else value)
    return next((found for item in items if (found := endless_number(item)) is not None), None)


def same(left: object, right: object, *, tolerance: float = NOISE) -> bool:
    """Tell whether two answers are the same, up to the noise of floating point and the spelling of a number."""
    first, second = as_number(left), as_number(right)
    if first is not None and second is not None and not (math.isnan(first) or math.isnan(second)):
        whole = (
            first.is_integer() and second.is_integer() and not isinstance(left, float) and not isinstance(right, float)
        )
        if whole and tolerance <= NOISE:
            return first == second  # No noise made 10,000,002 of 10,000,001.
        return math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance)
    if is_listing(left) and is_listing(right):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()
    return left == right


def as_number(value: object) -> float | None:
    """Return the number that a value is or spells (`"$1,020"`, `"25%"`, `Money`), else None."""
    if isinstance(value, (Money, Quantity)):
        return float(value[0])
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return None
    if not isinstance(value, str):
        return None
    text = value.strip().strip("$€£¥₹₺₩%")
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


_EXACT_DAYS = 50_000
_NUMBER = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,2})?", re.I
)
"""A number as people and programs write it; "1,2,3" is three, "007" and twenty digits are names, and nan is none."""
_DECODERS: dict[str, Callable[[Any], Value]] = {
    "$float": float,
    "$money": lambda content: Money(*content),
    "$quantity": lambda content: Quantity(*content),
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$duration": lambda content: _span(content),
}
