"""Types of command line arguments, with messages that say what is wanted."""

from __future__ import annotations

from argparse import ArgumentTypeError


def counting(text: str) -> int:
    """Read a whole number from 0 on."""
    return _whole(text, 0)


def counting_from_one(text: str) -> int:
    """Read a whole number from 1 on."""
    return _whole(text, 1)


def positive(text: str) -> float:
    """Read a number above 0 and below 100."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 100:
        raise ArgumentTypeError(f"{text!r} is no number above 0 and below 100")
    return number


def counts(text: str) -> list[int]:
    """Read several whole numbers from 1 on, separated by commas."""
    return [_whole(part.strip(), 1) for part in text.split(",")]


def ranges(text: str) -> frozenset[int]:
    """Read whole numbers and ranges of them: "0-4,7"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        start, end = _whole(first, 0), _whole(last or first, 0)
        if start > end or end > 100_000:
            raise ArgumentTypeError(f"{part!r} is no range such as 0-4")
        found.update(range(start, end + 1))
    return frozenset(found)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return number
