"""How a locale writes numbers, dates and its own currency, by the tables of CLDR; and requests read that way.

The only leaf that knows Babel. What a request holds in the notation of the user's locale is rewritten to the one that
slots read; what cannot be that notation stays, and is read or declined as without a locale. The original text is kept,
so that quotes and names are what was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import get_date_format
from babel.numbers import get_currency_symbol, get_territory_currencies

from seglam_agents.guards.normal import NormalText
from seglam_agents.records.errors import SlotError


@dataclass(frozen=True, slots=True)
class Notation:
    """What one locale writes otherwise than the slots read."""

    locale: str
    group: str
    """What separates thousands; normalised, so that a narrow space is a space."""
    decimal: str
    groups: tuple[int, int]
    """Digits of the last group, and of those before it."""
    day_first: bool
    """Whether 1/2/2025 is in February."""
    sign: str
    """The sign of the locale's own currency."""
    code: str
    """Its ISO code."""

    def reads(self, text: NormalText) -> NormalText:
        """Return a request with its numbers, dates and own currency as slots read them."""
        if text.canonical:
            return text
        edits = [*self._numbers(text), *self._dates(text), *self._signs(text)]
        return text.edited(sorted(edits)) if edits else text

    def _numbers(self, text: NormalText) -> Iterator[tuple[int, int, str]]:
        for match in _number_pattern(self.group, self.decimal, self.groups).finditer(text.text):
            if self.group == " " and " " in match[0] and " " in text.source(*match.span()):
                continue  # An ordinary space may stand between two numbers.
            whole, _, part = match[0].partition(self.decimal)
            digits = whole.replace(self.group, "")
            # Three decimals look like thousands, and are declined; in a known notation they are what they are.
            part = f".{part}{'0' if len(part) == 3 else ''}" if part else ""
            yield match.start(), match.end(), f"{int(digits):,}{part}"

    def _dates(self, text: NormalText) -> Iterator[tuple[int, int, str]]:
        for match in _DATE.finditer(text.text):
            first, second = int(match[1]), int(match[3])
            day, month = (first, second) if self.day_first else (second, first)
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield match.start(), match.end(), f"{match[4]}-{month:02}-{day:02}"

    def _signs(self, text: NormalText) -> Iterator[tuple[int, int, str]]:
        if self.sign not in _SHARED:
            return
        sign = re.escape(self.sign)
        for match in re.finditer(rf"(?<![^\W_])(?<![$¥€£]){sign}(?= ?[0-9])", text.text, re.IGNORECASE):
            yield match.start(), match.end(), f"{self.code} "
        for match in re.finditer(rf"(?<=[0-9])( ?){sign}(?![^\W_])", text.text, re.IGNORECASE):
            yield match.start(), match.end(), f" {self.code}"


@lru_cache(maxsize=64)
def notation(locale: str) -> Notation:
    """Return how a locale writes.

    Raises:
        SlotError: there is no such locale.
    """
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (ValueError, UnknownLocaleError) as error:
        raise SlotError(
            f"there is no locale {locale!r}: use a language and a territory, as in en_US or de_DE"
        ) from error
    symbols = known.number_symbols["latn"]
    last, before = known.decimal_formats[None].grouping
    code = _currency(known)
    return Notation(
        locale=str(known),
        group=_plain(symbols["group"]),
        decimal=_plain(symbols["decimal"]),
        groups=(last, before),
        day_first=_day_first(str(get_date_format("short", known).pattern)),
        sign=_plain(get_currency_symbol(code, known)) if code else "",
        code=code,
    )


def checked_locale(locale: str) -> str:
    """Return a locale that there is, or the empty one.

    Raises:
        SlotError: there is no such locale.
    """
    return notation(locale).locale if locale else ""


def clock_of(now: Callable[[], datetime] | None, timezone: str) -> Callable[[], datetime] | None:
    """Return the clock that bodies see: the given one, else that of a time zone, else none.

    Raises:
        SlotError: there is no such time zone.
    """
    if not timezone or now is not None:
        return now
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SlotError(f"there is no time zone {timezone!r}: use a name such as Europe/Berlin") from error
    return lambda: datetime.now(zone).replace(tzinfo=None)


def _currency(locale: Locale) -> str:
    codes = get_territory_currencies(locale.territory) if locale.territory else []
    return str(codes[0]) if codes else ""


def _day_first(pattern: str) -> bool:
    return pattern.lower().find("d") < pattern.find("M")


def _plain(symbol: str) -> str:
    """Return a symbol as the normalised text has it."""
    return symbol.translate(_FOLDED)


@lru_cache(maxsize=64)
def _number_pattern(group: str, decimal: str, groups: tuple[int, int]) -> re.Pattern[str]:
    last, before = groups
    mark, point = re.escape(group), re.escape(decimal)
    grouped = rf"[1-9][0-9]{{0,{before - 1}}}(?:{mark}[0-9]{{{before}}})*{mark}[0-9]{{{last}}}"
    fraction = rf"{point}[0-9]+"
    # Neither a part of a longer run of digits and marks, nor of a word.
    return re.compile(rf"(?<![\w.,'])(?:{grouped}(?:{fraction})?|(?:0|[1-9][0-9]*){fraction})(?![.,']?[0-9])")


_FOLDED = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "￥": "¥"})
_DATE = re.compile(r"(?<![\w./-])([0-9]{1,2})([./-])([0-9]{1,2})\2([1-9][0-9]{3})(?![\w/-]|\.[0-9])")
_SHARED = ("$", "¥", "kr", "kr.", "£", "Rs", "₨")
"""Signs of several currencies."""
