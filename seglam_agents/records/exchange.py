"""`exchanged`: what a host's tool returned, as a value that bodies, stores and prompts can hold.

A tool has acted by the time its result is looked at. Whatever it returned, the step must not be lost.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import cast
from uuid import UUID

from seglam_agents.records.errors import NotAValueError
from seglam_agents.records.record import Json
from seglam_agents.records.shapes import is_mapping, is_sequence, is_set
from seglam_agents.records.values import Money, Quantity, Value, encode

MAX_DEPTH = 60
MAX_INTEGER_BITS = 14_000
"""Just below the 4300 digits at which Python refuses to write an integer down."""
MAX_ITEMS = 1_000_000
"""Values inside one result, nested ones included."""


def exchanged(value: object) -> Value:
    """Return what a tool returned as a `Value`: decimals become numbers, sets sorted lists, enums what they stand for.

    Raises:
        NotAValueError: it is of another type, endless, nested too deeply, contains itself, or has no JSON form.
    """
    return _Exchange().value(value, 0)


def described(value: object) -> str:
    """Return a short text for any object. Never raises."""
    try:
        return reprlib.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def encoded_or_described(value: Value) -> Json:
    """Return the JSON form of a value, or a short text where it has none. Never raises."""
    try:
        return encode(exchanged(value))
    except (TypeError, ValueError, RecursionError):
        return described(value)


class _Exchange:
    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def value(self, value: object, depth: int) -> Value:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise NotAValueError("it is nested too deeply, too large, or contains itself")
        match value:
            case Money() | Quantity():
                return value
            case Enum():
                return self.value(value.value, depth + 1)
            case None | bool() | float() | datetime() | date() | time() | timedelta():
                return value
            case int():
                return _integer(value)
            case str():
                return _text(value)
            case Decimal():
                return _number(value)
            case UUID() | PurePath():
                return str(value)
            case _:
                return self._several(value, depth)

    def _several(self, value: object, depth: int) -> Value:
        match value:
            case _ if is_mapping(value):
                return {_text(str(key)): self.value(item, depth + 1) for key, item in value.items()}
            case _ if is_set(value):
                return self._sorted(value, depth)
            case bytes() | bytearray() | memoryview():
                raise NotAValueError("bytes are no value: return text")
            case _ if is_sequence(value):
                return [self.value(item, depth + 1) for item in value]
            case _:
                raise NotAValueError(
                    f"a {type(value).__name__} is no value: return numbers, text, dates, lists or dicts"
                )

    def _sorted(self, items: Set[object], depth: int) -> Value:
        values = [self.value(item, depth + 1) for item in items]
        try:
            return sorted(cast("list[str]", values))
        except TypeError as error:
            raise NotAValueError("a set of things without an order is no value: return a list") from error


def _integer(number: int) -> int:
    if number.bit_length() > MAX_INTEGER_BITS:
        raise NotAValueError("the integer has more than 4,000 digits")
    return int(number)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotAValueError("the text holds half of a surrogate pair") from error
    return str(text)


def _number(number: Decimal) -> Value:
    if not number.is_finite():
        return float(number)
    if number == number.to_integral_value():
        if number.adjusted() > MAX_INTEGER_BITS // 4:
            raise NotAValueError("the integer has more than 4,000 digits")
        return int(number)
    plain = float(number)
    if not math.isfinite(plain):
        raise NotAValueError("the decimal is too large for a number")
    return plain
