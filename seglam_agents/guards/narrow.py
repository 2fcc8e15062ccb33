"""`Narrow`: a procedure that changes something takes only arguments like those that it is known for.

Where nobody looks at a result before it is there, what differs from all that was seen is the model's: an amount of
another size, an id of another shape, a currency that never came, more things at once than ever.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import Final, TypeAlias

from seglam_agents.records.errors import SlotError
from seglam_agents.records.values import Money, Quantity, Value

WriteRange: TypeAlias = tuple[float, float]
"""How far below the smallest and above the largest number seen another one may lie, as factors."""
WRITE_RANGE: Final[WriteRange] = (0.5, 2.0)
AS_SEEN: Final[WriteRange] = (1.0, 1.0)
LONGEST_ID: Final = 40


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one argument was, in all requests that the procedure is known for."""

    numbers: tuple[float, ...] = ()
    longest: int = 1
    """The most things that a list had."""
    units: frozenset[str] = frozenset()
    shapes: frozenset[str] = frozenset()
    """Those of ids; empty where some value was no id."""


@dataclass(slots=True)
class Narrow:
    """Holds arguments to what was seen. Looked up once, when the first request is accepted; safe to share.

    Args:
        known: returns the arguments of the requests that the procedure is known for.
        examples: how many of them there are; where none can be read any more, nothing is taken.
        within: how far beyond the numbers seen another one may lie.
    """

    known: Callable[[], Iterable[Mapping[str, Value]]]
    examples: int
    within: WriteRange = WRITE_RANGE
    _seen: dict[str, _Seen] | None = None
    _readable: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self, arguments: Mapping[str, Value]) -> str | None:
        """Return what about the arguments is unlike all that was seen, or None."""
        seen = self._all()
        if not self._readable:
            return "none of the requests that it is known for can be read, so that nothing is like them"
        problems = (self._unlike(name, value, seen[name]) for name, value in arguments.items() if name in seen)
        return next((problem for problem in problems if problem), None)

    def _all(self) -> dict[str, _Seen]:
        with self._lock:
            if self._seen is None:
                known = list(self.known())
                self._readable = bool(known) or not self.examples
                names = {name for arguments in known for name in arguments}
                columns = {name: [a[name] for a in known if a.get(name) is not None] for name in names}
                self._seen = {name: _summary(column) for name, column in columns.items() if column}
            return self._seen

    def _unlike(self, name: str, value: Value, seen: _Seen) -> str | None:
        if value is None:
            return None
        low, high = bounds(seen.numbers, self.within)
        for number in _numbers(value):
            if seen.numbers and not low <= number <= high:
                return f"`{name}` is {number:g}; in what writes it lies between {low:g} and {high:g}, by what was seen"
        if seen.units and (unit := next((unit for unit in _units(value) if unit not in seen.units), None)):
            return f"`{name}` is in {unit}, and only {', '.join(sorted(seen.units))} was seen"
        if (count := len(list(_items(value)))) > seen.longest * self.within[1]:
            return f"`{name}` is {count} things at once, and at most {seen.longest} were seen"
        for text in _texts(value):
            if seen.shapes and shape_of(text) not in seen.shapes:
                return f"`{name}` is {text[:LONGEST_ID]!r}, and every one seen was like {min(seen.shapes)}"
        return None


@dataclass(slots=True)
class Apart:
    """Holds what differed in every known request apart: "from savings to savings" is not what anybody has meant.

    So it does with two amounts of money: "from $9 to $16" has shown nothing about "from $16 to $9".

    Args:
        known: returns the arguments of the requests that the procedure is known for.
    """

    known: Callable[[], Iterable[Mapping[str, Value]]]
    _alike: frozenset[tuple[str, str]] | None = None
    _signs: Mapping[tuple[str, str], frozenset[int]] | None = None

    def problem(self, arguments: Mapping[str, Value]) -> str | None:
        """Return which two arguments are the same, or the other way about, as in no known request."""
        for pair in combinations(arguments, 2):
            first, second = arguments[pair[0]], arguments[pair[1]]
            if _alike(first, second) and pair not in self._seen_alike():
                return f"`{pair[0]}` and `{pair[1]}` are both {first!r}, which no known request has"
            seen = self._seen_signs().get(pair, frozenset[int]()) if _comparable(first, second) else frozenset[int]()
            if len(seen) == 1 and _sign(first, second) not in seen:
                return f"`{pair[0]}` is {first!r} and `{pair[1]}` {second!r}: no known request has them so about"
        return None

    def _seen_alike(self) -> frozenset[tuple[str, str]]:
        if self._alike is None:
            pairs = (pair for bound in self.known() for pair in _pairs(bound) if _alike(bound[pair[0]], bound[pair[1]]))
            self._alike = frozenset(pairs)
        return self._alike

    def _seen_signs(self) -> Mapping[tuple[str, str], frozenset[int]]:
        if self._signs is None:
            found: dict[tuple[str, str], list[int]] = {}
            for bound in self.known():
                for first, second in _pairs(bound):
                    if _comparable(bound[first], bound[second]):
                        found.setdefault((first, second), []).append(_sign(bound[first], bound[second]))
            self._signs = {pair: frozenset(signs) for pair, signs in found.items() if len(signs) > 1}
        return self._signs


def _pairs(bound: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    return combinations(bound, 2)


def _alike(first: Value, second: Value) -> bool:
    if isinstance(first, str) and isinstance(second, str):
        return first.casefold() == second.casefold()
    return isinstance(first, Money) and first == second


def _comparable(first: Value, second: Value) -> bool:
    return isinstance(first, Money) and isinstance(second, Money) and first.currency == second.currency


def _sign(first: Value, second: Value) -> int:
    assert isinstance(first, Money) and isinstance(second, Money)  # noqa: S101  # `_comparable` was asked
    return (first.amount > second.amount) - (first.amount < second.amount)


def checked_range(within: WriteRange) -> WriteRange:
    """Return a range that takes in what was seen.

    Raises:
        SlotError: it does not.
    """
    match within:
        # Not everybody checks types.
        case (int() | float() as below, int() | float() as above) if 0 <= below <= 1 <= above < float("inf"):
            return (below, above)
        case _:
            raise SlotError(
                f"write_range={within!r}: give factors below and above 1, as (0.5, 2); (1, 1) is what was seen"
            )


def shape_of(text: str) -> str:
    """Return the kinds of the characters of an id: "AA-0000" of "OR-1234"."""
    return "".join("0" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text)


def _summary(column: Sequence[Value]) -> _Seen:
    texts = [text for value in column for text in _texts(value)]
    ids = texts and all(_is_id(text) for text in texts)
    return _Seen(
        numbers=tuple(number for value in column for number in _numbers(value)),
        longest=max(len(list(_items(value))) for value in column),
        units=frozenset(unit for value in column for unit in _units(value)),
        shapes=frozenset(map(shape_of, texts)) if ids else frozenset(),
    )


def bounds(numbers: Sequence[float], within: WriteRange) -> tuple[float, float]:
    """Return between which numbers another one lies; anywhere, where none was seen."""
    if not numbers:
        return float("-inf"), float("inf")
    below, above = within
    low, high = min(numbers), max(numbers)
    # Of a number below zero the larger one in size is the smaller one.
    return low * (below if low > 0 else above), high * (above if high > 0 else below)


def _is_id(text: str) -> bool:
    return bool(re.search(r"\d", text)) and not re.search(r"\s", text) and len(text) <= LONGEST_ID


def _items(value: Value) -> Iterator[Value]:
    # Amounts are tuples, too.
    if isinstance(value, (list, tuple)) and not isinstance(value, (Money, Quantity)):
        for item in value:
            yield from _items(item)
    else:
        yield value


def _numbers(value: Value) -> Iterator[float]:
    for item in _items(value):
        match item:
            case bool():
                pass
            case int() | float():
                yield float(item)
            case Money(amount=number) | Quantity(value=number):
                yield float(number)
            case timedelta():
                yield item.total_seconds()
            case _:
                pass


def _units(value: Value) -> Iterator[str]:
    for item in _items(value):
        match item:
            case Money(currency=unit) | Quantity(unit=unit):
                yield unit
            case _:
                pass


def _texts(value: Value) -> Iterator[str]:
    return (item for item in _items(value) if isinstance(item, str))
