"""Digits that Monty writes or reads otherwise than Python: the last one of a float, and those that are not ASCII.

Where two shortest ways to write a float are equally near to it, Python takes the even one, and Monty the other. The
text of such a number leaves no program: what it would say is not what was reviewed.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Final

from seglam_agents.records.values import Value
from seglam_agents.sandboxes.naming import LOOKED_AT

_LEAST: Final = 15
"""Digits below which no two ways are equally near."""
_NUMBER: Final = re.compile(r"(?<![\d.])\d+\.\d+(?:e[+-]\d+)?(?![\d.])")
_READERS: Final = re.compile(r"\b(?:int|float|Decimal|strptime|fromisoformat)\b")
_CATCHES: Final = re.compile(r"\bexcept\b")


def odd_digits(value: Value) -> str | None:
    """Return the text of a number in a value whose last digit is not Python's, if there is one."""
    return next(filter(None, map(_written_otherwise, _texts(value))), None)


@lru_cache(maxsize=LOOKED_AT)
def reads_digits(source: str) -> bool:
    """Tell whether a program reads numbers or dates from texts, and catches it where they are none."""
    return _CATCHES.search(source) is not None and _READERS.search(source) is not None


def foreign_digit(value: Value) -> str | None:
    """Return a digit in a value that is one for Python's `int` alone, such as an Arabic one."""
    for text in _texts(value):
        if not text.isascii():
            found = next((sign for sign in text if sign > "\x7f" and unicodedata.category(sign) == "Nd"), None)
            if found:
                return found
    return None


def _texts(value: Value) -> list[str]:
    found: list[str] = []
    waiting: list[Value] = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text)
            case list() | tuple() as items:
                waiting.extend(items)
            case dict() as items:
                found.extend(items)
                waiting.extend(items.values())
            case _:
                pass
    return found


def _written_otherwise(text: str) -> str | None:
    if len(text) <= _LEAST or "." not in text:
        return None
    return next((number for number in _NUMBER.findall(text) if len(number) > _LEAST and _is_odd(number)), None)


def _is_odd(number: str) -> bool:
    """Tell whether a text is as near to its float as Python's is, and another one."""
    if len(number) > _LEAST + 10:
        return False
    exact = float(number)
    written = repr(exact)
    if written == number or len(written) != len(number):
        return False
    read = Decimal(exact)
    return abs(Decimal(number) - read) == abs(Decimal(written) - read)
