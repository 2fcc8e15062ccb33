"""`checked` and `plain`: values on their way out of a sandbox and into it.

What comes out was made by code that nobody trusts: it may be of any type, contain itself, or be small in memory and
endless on paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock_time
from typing import Final, cast

from seglam_agents.records.errors import NotAValueError
from seglam_agents.records.shapes import is_listing
from seglam_agents.records.values import Money, Quantity, Value

MAX_DEPTH: Final = 60
MAX_VALUES: Final = 100_000
"""Values that a value may be made of: each costs its host more than its size on paper."""
MAX_INTEGER_BITS: Final = 14_000
"""Just below the 4300 digits at which Python refuses to write an integer down."""
TOO_DEEP: Final = f"the value is nested more than {MAX_DEPTH} levels deep, or contains itself"
_TAGS: Final = frozenset({"$float", "$money", "$quantity", "$datetime", "$date", "$time", "$duration"})
"""By which `records.values` marks what JSON lacks."""
_STAND_INS: Final = re.compile(
    r"<(function|bound method|module|re\.Match object|coroutine object|generator object|\w+_iterator)\b.*>"
    r"|(dict_keys|dict_values|dict_items|range|slice|re\.compile)\(.*\)|\[\.\.\.\]|\(\.\.\.\)|\{\.\.\.\}",
    re.DOTALL,
)
"""What Monty writes for things that have no form outside it."""


class TooLargeError(NotAValueError):
    """A value is larger than its limit."""


def checked(value: object, max_bytes: int) -> Value:
    """Return what a program gave as a `Value` of exact types: tuples become lists, look-alikes named tuples.

    Raises:
        TooLargeError: it would take more than `max_bytes` as JSON.
        NotAValueError: it is no `Value`.
    """
    return _Checker(max_bytes).value(value, 0)


def plain(value: Value, depth: int = 0) -> Value:
    """Return a host value made of the types that enter a sandbox: dicts, lists, scalars, and our named tuples.

    Raises:
        NotAValueError: it holds something else, or what has no form on the way.
    """
    match value:
        case None | bool() | float() | date() | clock_time() | timedelta():
            return _without_zone_name(value) if isinstance(value, (datetime, clock_time)) else value
        case str():
            return written(value)
        case int():
            return sized(value)
        case Money(amount, currency):
            return Money(_number(plain(amount)), written(currency))
        case Quantity(amount, unit):
            return Quantity(_number(plain(amount)), written(unit))
        case bytes() | bytearray() | memoryview():
            raise NotAValueError(_refusal(value))
        case Mapping() | Sequence() if depth > MAX_DEPTH:
            raise NotAValueError(TOO_DEEP)
        case Mapping():
            _refuse_tags(value)
            return {written(key): plain(item, depth + 1) for key, item in value.items()}
        case Sequence():
            return [plain(item, depth + 1) for item in value]
        case _:  # pyright: ignore[reportUnnecessaryComparison]  # types are not checked at run time
            raise NotAValueError(_refusal(value))


def written(text: str) -> str:
    """Return a text that can be written down.

    Raises:
        NotAValueError: it holds half of a surrogate pair, or is no text.
    """
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise NotAValueError("the text holds half of a surrogate pair") from error
    except AttributeError as error:
        raise NotAValueError(f"the keys of a dict must be strings, not {type(text).__name__}: use str(key)") from error
    return text


def sized(number: int) -> int:
    """Return an integer that can be written down.

    Raises:
        NotAValueError: it has too many digits.
    """
    if number.bit_length() > MAX_INTEGER_BITS:
        raise NotAValueError("the integer has more than 4,000 digits")
    return number


def mended(text: str) -> str:
    """Return a text in which halves of surrogate pairs are replaced, for people to read."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Checker:
    """Walks a value with a budget, so that neither a cycle nor a thousand-fold shared list costs more than its size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._values = MAX_VALUES

    def value(self, value: object, depth: int) -> Value:
        self._values -= 1
        if self._values < 0:
            raise TooLargeError(f"the value is made of more than {MAX_VALUES:,} values")
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
            case _ if is_listing(value):
                return self._items(value, depth)
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
            self._spend(len(written(text).encode()) - len(text))
        return text

    def _integer(self, number: int) -> int:
        self._spend(sized(number).bit_length() // 3 + 1)
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
        _refuse_tags(entries)
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
            raise NotAValueError(TOO_DEEP)


def _refuse_tags(entries: Mapping[object, object] | Mapping[str, Value]) -> None:
    """Refuse what would be read as something else where values are written down: `{"$date": …}` is a date there."""
    if len(entries) == 1 and not _TAGS.isdisjoint(entries):
        raise NotAValueError(f"a dict whose one key is {next(iter(entries))!r} is no value: use another key")


def _without_zone_name(value: datetime | clock_time) -> Value:
    """Return a time whose zone is its offset alone, as it is wherever values are written down."""
    offset = value.utcoffset()
    return value if offset is None else value.replace(tzinfo=timezone(offset))


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NotAValueError("Money and Quantity take a number and a string")
    return value


def _named(kind: type[Money] | type[Quantity], parts: list[Value]) -> Value:
    amount, unit = parts
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not isinstance(unit, str):
        raise NotAValueError(f"{kind.__name__} takes a number and a string")
    return kind(amount, unit)


def refusal_of(kind: str) -> str:
    """Return why something of a type is no value, and what to write instead."""
    return f"a {kind} is no value: {_ADVICE.get(kind, 'return numbers, text, dates, lists or dicts')}"


def textual(args: Sequence[object], kwargs: Mapping[str, object]) -> str | None:
    """Return the first argument that is the text which Monty makes of what it cannot exchange.

    For functions of host modules, whose calls no code inside sees; they have no effects, so that a real text of this
    form costs no more than the run.
    """
    texts = (item for item in (*args, *kwargs.values()) if isinstance(item, str))
    return next((text[:80] for text in texts if _STAND_INS.fullmatch(text)), None)


def _refusal(value: object) -> str:
    kind = getattr(value, "name", None) if type(value).__name__ == "MontyClassProxy" else type(value).__name__
    return refusal_of(str(kind))


_CALL_IT: Final = "call it, and return what it gives"
_LIST_IT: Final = "use list(...)"
_ADVICE: Final[Mapping[str, str]] = {
    "Decimal": "use float(...) or str(...)",
    **dict.fromkeys(("set", "frozenset"), "use sorted(...)"),
    "bytes": "use text",
    **dict.fromkeys(("function", "builtin_function_or_method", "method", "type", "partial"), _CALL_IT),
    **dict.fromkeys(("dict_keys", "dict_values", "dict_items", "range", "deque", "generator"), _LIST_IT),
    **dict.fromkeys(("map", "filter", "zip", "enumerate", "reversed", "list_iterator"), _LIST_IT),
    "Match": "use m.group(), or m is not None",
    "timezone": "use its offset as text or as a timedelta",
}
