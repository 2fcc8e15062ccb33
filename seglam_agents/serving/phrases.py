"""What a text says without the values in it: its form, with the numbers and days that stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from seglam_agents.guards.narrow import LONGEST_ID, shape_of
from seglam_agents.records.values import Money, Quantity, Value

MAX_KNOWN: Final = 200
"""Texts that are looked for in another one."""
_NUMBER = r"(?<![\w.,])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?![\d])"
_DAY = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_CALENDAR = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
_VALUES: Final = re.compile(rf"(?P<day>{_DAY})|(?P<number>{_NUMBER})")
_NAMED: Final = re.compile(rf"\b(?:{_CALENDAR})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text taken apart."""

    form: str
    """With marks in the place of numbers, days and known values."""
    numbers: tuple[tuple[str, float], ...] = ()
    """The values in it by sort, in their order; a day as its seconds."""
    named: bool = False
    """Whether it is nothing but a value that is known from elsewhere."""


def phrase(text: str, known: Sequence[str] = ()) -> Phrase:
    """Take a text apart.

    Args:
        text: what is said.
        known: values that may stand in it, the longest first, each with its case folded.
    """
    plain = " ".join(text.split())
    if plain.casefold() in known:
        return Phrase("•", named=True)
    if is_id(plain):
        return Phrase(plain)
    numbers: list[tuple[str, float]] = []
    found = _pattern(known)
    form = found.sub("•", plain) if found else plain

    def taken(match: re.Match[str]) -> str:
        sort = "day" if match["day"] else "number"
        numbers.append((sort, _day(match["day"]) if match["day"] else float(match["number"].replace(",", ""))))
        return "@" if match["day"] else "#"

    form = _VALUES.sub(taken, form)
    return Phrase(_NAMED.sub("@", form) if numbers or "•" in form else form, tuple(numbers))


def is_id(text: str) -> bool:
    """Tell whether a text is one token with letters and digits, and neither a number with a unit nor a day."""
    if re.search(r"\s", text) or len(text) > LONGEST_ID or re.fullmatch(_DAY, text):
        return False
    return (
        bool(re.search(r"\d", text))
        and bool(re.search(r"[A-Za-z_@]", text))
        and not re.match(r"[+-]?\d+[^\W\d]*$", text)
    )


def sort_of(text: str) -> str:
    """Return of what sort a text is that is compared with others: the shape of an id, or words."""
    return f"like {shape_of(text)}" if is_id(text) else "words" if text.strip() else "an empty text"


def moment(value: datetime | date | time) -> float:
    """Return when something is, as a number that is compared with its like."""
    if isinstance(value, time):
        return value.hour * 3600.0 + value.minute * 60 + value.second
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # made aware below
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def texts_in(value: Value) -> Iterator[str]:
    """Return all texts within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, (list, tuple)) and not isinstance(value, (Money, Quantity)):
        for item in value:
            yield from texts_in(item)


def known_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts as they are looked for in another one."""
    plain = {" ".join(text.split()).casefold() for text in texts}
    return tuple(sorted((text for text in plain if text), key=lambda text: (-len(text), text))[:MAX_KNOWN])


def _day(text: str) -> float:
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return 1e300  # Such as the 31st of June: it lies between no others.


def _pattern(known: Sequence[str]) -> re.Pattern[str] | None:
    words = "|".join(re.escape(text) for text in known)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None
