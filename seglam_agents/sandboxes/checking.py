"""`checked` and `plain`: values on their way out of a sandbox and into it.

What comes out was made by code that nobody trusts: it may be of any type, contain itself, or be small in memory and
endless on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Final, cast

from seglam_agents.records.errors import NotAValueError
from seglam_agents.records.values import Money, Quantity, Value

MAX_DEPTH: Final = 60
MAX_INTEGER_BITS: Final = 14_000
"""Just below the 4300 digits at which Python refuses to write an integer down."""
_STAND_INS: Final = ("<function '", "<coroutine object ", "<list_iterator object", "<generator object ")
"""What Monty writes for things that have no form outside it."""
_CYCLES: Final = frozenset({"[...]", "(...)", "{...}"})
"""What Monty writes for a value within itself."""


class TooLargeError(NotAValueError):
    """A value is larger than its limit."""


def checked(value: object, max_bytes: int) -> Value:
    """Return what a program gave as a `Value` of exact types: tuples become lists, look-alikes named tuples.

    Raises:
        TooLargeError: it would take more than `max_bytes` as JSON.
        NotAValueError: it is no `Value`.
    """
    return _Checker(max_bytes).value(value, 0)


def plain(value: Value) -> Value:
    """Return a host value made of the types that enter a sandbox: dicts, lists, scalars, and our named tuples."""
    if isinstance(value, (Money, Quantity)) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


class _Checker:
    """Walks a value with a budget, so that neither a cycle nor a thousand-fold shared list costs more than its size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes

    def value(self, value: object, depth: int) -> Value:
        if value is None or value is True or value is False:
            self._spend(4)
            return value
        match value:
            case str():
                return self._text(value)
            case int():
                return self._integer(value)
            case float() | datetime() | date() | clock_time() | timedelta():
                self._spend(20)
                return value
            case list() | tuple():
                return self._items(cast("Sequence[object]", value), depth)
            case dict():
                return self._entries(cast("dict[object, object]", value), depth)
            case _:
                raise NotAValueError(_refusal(value))

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLargeError(f"the value is larger than {self._max_bytes:,} bytes")

    def _text(self, text: str) -> str:
        self._spend(len(text) + 2)
        if not text.isascii():
            try:
                self._spend(len(text.encode()) - len(text))
            except UnicodeEncodeError as error:
                raise NotAValueError("the text holds half of a surrogate pair") from error
        if text.startswith(_STAND_INS) and text.endswith(">"):
            raise NotAValueError("a function or an iterator is no value: call it, or return list(...) of it")
        if text in _CYCLES:
            raise NotAValueError("the value contains itself")
        return text

    def _integer(self, number: int) -> int:
        if number.bit_length() > MAX_INTEGER_BITS:
            raise NotAValueError("the integer has more than 4,000 digits")
        self._spend(number.bit_length() // 3 + 1)
        return number

    def _items(self, items: Sequence[object], depth: int) -> Value:
        self._deeper(depth)
        self._spend(2 + len(items))
        kind = type(items).__name__
        fields = getattr(items, "_fields", ())
        parts = [self.value(item, depth + 1) for item in items]
        if kind == "Money" and fields == Money._fields:
            return _named(Money, parts)
        if kind == "Quantity" and fields == Quantity._fields:
            return _named(Quantity, parts)
        return parts

    def _entries(self, entries: dict[object, object], depth: int) -> Value:
        self._deeper(depth)
        self._spend(2)
        result: dict[str, Value] = {}
        for key, item in entries.items():
            if not isinstance(key, str):
                raise NotAValueError(f"the keys of a dict must be strings, not {type(key).__name__}: use str(key)")
            self._spend(2)
            result[self._text(key)] = self.value(item, depth + 1)
        return result

    def _deeper(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise NotAValueError(f"the value is nested more than {MAX_DEPTH} levels deep, or contains itself")


def _named(kind: type[Money] | type[Quantity], parts: list[Value]) -> Value:
    amount, unit = parts
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not isinstance(unit, str):
        raise NotAValueError(f"{kind.__name__} takes a number and a string")
    return kind(amount, unit)


def _refusal(value: object) -> str:
    kind = getattr(value, "name", None) if type(value).__name__ == "MontyClassProxy" else type(value).__name__
    advice = {
        "Decimal": "use float(...) or str(...)",
        "set": "use sorted(...)",
        "frozenset": "use sorted(...)",
        "bytes": "use text",
    }
    return f"a {kind} is no value: {advice.get(str(kind), 'return numbers, text, dates, lists or dicts')}"
