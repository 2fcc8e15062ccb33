"""`Slot`: one type of argument, and `make`, which builds one from typed functions."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from seglam_agents.records.errors import SlotError
from seglam_agents.records.values import Value

T = TypeVar("T")

MAX_RAW = 2000
"""Characters that any slot reads: what is longer is no argument."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A type of argument: the pattern that finds its text, and the functions that read, write and make up its values.

    Two slots are equal when they are spelt the same.
    """

    name: str
    """As spelt in templates: `money`, `choice(red|blue)`."""
    pattern: str
    """RE2 over the normalised text, upper and lower case alike, without capturing groups."""
    verbatim: bool
    """Whether `parse` reads the original text under the span, rather than the normalised one."""
    open: bool
    """Whether it may take in words that nobody planned for."""
    python: str
    """The Python type of its values, for documentation and type stubs."""
    description: str
    """One line for people and for models, with example texts."""
    functions: Functions[Value]
    """What the methods below do for this type."""

    def parse(self, raw: str) -> Value | None:
        """Return the value that a text spells, or None when it is none of this type. Never raises."""
        if not 0 < len(raw) <= MAX_RAW or not is_encodable(raw):
            return None
        return self.functions.read(raw)

    def render(self, value: Value) -> str:
        """Return the canonical text of a value, which `parse` reads back.

        Raises:
            SlotError: the value is none of this type.
        """
        try:
            text = self.functions.write(value)
            read = self.parse(text)
            if read is not None and self.same(read, value):
                return text
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
            pass
        raise SlotError(f"{value!r} is no value of slot type {self.name!r} ({self.python})")

    def sample(self, rng: random.Random) -> Value:
        """Return a fresh, plausible value."""
        return self.functions.sample(rng)

    def same(self, left: Value, right: Value) -> bool:
        """Tell whether two values name the same thing, when a slot is mentioned twice."""
        if left is None or right is None:
            return left is right
        try:
            return self.functions.same(left, right)
        except (TypeError, ValueError, AttributeError, ArithmeticError):
            return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Functions(Generic[T]):
    """The four functions of a slot type. `read` gets an encodable text of at most `MAX_RAW` characters."""

    read: Callable[[str], T | None]
    write: Callable[[T], str]
    sample: Callable[[random.Random], T]
    same: Callable[[T, T], bool] = operator.eq


def make(
    name: str,
    pattern: str,
    functions: Functions[T],
    *,
    python: str,
    description: str,
    verbatim: bool = False,
    open: bool = False,
) -> Slot:
    """Build a slot from functions that are typed by its own kind of value."""
    general = cast("Functions[Value]", functions)
    return Slot(name, pattern, verbatim, open, python, description, general)


def is_encodable(text: str) -> bool:
    """Tell whether a text has no lone surrogates, which RE2 cannot read."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
