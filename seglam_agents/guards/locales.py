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
from babel.numbers import get_currency_name, get_currency_symbol, get_territory_currencies

from seglam_agents.guards.languages import is_chinese, is_foreign, writes_as_english
from seglam_agents.guards.normal import NormalText
from seglam_agents.records.errors import SlotError
from seglam_agents.records.values import Money, Quantity, Value


@dataclass(frozen=True, slots=True)
class Notation:
    """What one locale writes otherwise than the slots read."""

    locale: str
    group: str
    """What separates thousands; normalised, so that a narrow space is a space."""
    decimal: str
    groups: tuple[int, int]
    """Digits of the last group, and of those before it."""
    day_first: bool | None
    """Whether 1/2/2025 is in February; None where the year stands first, so that it says nothing."""
    sign: str
    """The sign of the locale's own currency."""
    code: str
    """Its ISO code."""
    designators: frozenset[str]
    """Signs and words of several currencies that mean the own one here: `$` and "cents" in Canada."""
    long_scale: bool
    """Whether a billion may be a million millions."""

    def reads(self, text: NormalText) -> NormalText:
        """Return a request with its numbers, dates and own currency as slots read them."""
        if text.canonical:
            return text
        edits = [*self._numbers(text), *self._dates(text), *self._signs(text)]
        return text.edited(sorted(edits)) if edits else text

    def own(self, raw: str, value: Value, text: NormalText) -> Value | None:
        """Return a value that a slot read in the sense that it has in the locale; None where that is not certain."""
        if not isinstance(value, str) and self._is_of_others(raw, text):
            return None
        if isinstance(value, (int, float, Money, Quantity, list)) and self.long_scale and _BILLIONS.search(raw):
            return None
        if isinstance(value, Money):
            return Money(value.amount, self.code) if self._is_own(raw) else value
        if isinstance(value, list) and any(isinstance(item, Money) for item in value):
            if self._is_own(raw):
                return [Money(item.amount, self.code) if isinstance(item, Money) else item for item in value]
            # "$5 and US$6": which sign belongs to which amount is not known here.
            return None if self.designators.intersection(_tokens(raw)) else value
        return value

    def _is_of_others(self, raw: str, text: NormalText) -> bool:
        """Tell whether a number has the look of thousands in a notation that is not this one: "1.250" in France."""
        if _DOTTED.search(raw):
            return True  # A number of this notation was rewritten, and looks so no more.
        return "," not in (self.group, self.decimal) and bool(_SEPARATED.search(raw)) and "," in text.original

    def _is_own(self, raw: str) -> bool:
        first, *rest = _tokens(raw) or [""]
        return first in self.designators and self.designators.union(("and",)).issuperset(rest)

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
        if self.day_first is None:
            return
        for match in _DATE.finditer(text.text):
            first, second = int(match[1]), int(match[3])
            day, month = (first, second) if self.day_first else (second, first)
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield match.start(), match.end(), f"{match[4]}-{month:02}-{day:02}"

    def _signs(self, text: NormalText) -> Iterator[tuple[int, int, str]]:
        if not self.sign.startswith("kr"):
            return  # Slots read all other signs; `own` says whose they are.
        for match in _KRONE.finditer(text.text):
            yield match.start(), match.end(), f"{self.code} " if match[1] else f" {self.code}"


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
        designators=_designators(code),
        long_scale=known.language != "en" and str(known) != "pt_BR",
    )


def is_doubtful(raw: str, text: NormalText) -> bool:
    """Tell whether an amount, without a locale, may be another one in the language of its request.

    "1.250" and "1,250" are one and a quarter to some people, and more than a thousand to others; a billion is a million
    millions to some; "¥" is the yuan or the yen, and "$" and "cents" are the money of whoever writes them.
    """
    if any(sign in raw for sign in "¥￥"):
        return is_chinese(text.original)
    if _SEPARATED.search(raw) or _BILLIONS.search(raw):
        return not writes_as_english(text.original)
    if _CUSTOMARY.search(raw) or _SHARED.issuperset(_tokens(raw) or [""]):
        return is_foreign(text.original)
    return False


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


def _tokens(raw: str) -> list[str]:
    """Return what stands in an amount beside its digits and its scale."""
    return [word for word in re.findall(r"[^\W\d_]+|[$¥£€¢₨]", raw.casefold()) if word not in _SCALES]


def _designators(code: str) -> frozenset[str]:
    name = get_currency_name(code, locale="en").casefold().rpartition(" ")[2] if code else ""
    return _set(_FAMILIES.get(name, ""))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _currency(locale: Locale) -> str:
    codes = get_territory_currencies(locale.territory) if locale.territory else []
    return str(codes[0]) if codes else ""


def _day_first(pattern: str) -> bool | None:
    if pattern.lower().startswith("y"):
        return None
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
_KRONE = re.compile(r"(?<![^\W_])(kr\.? ?)(?=[0-9])|(?<=[0-9]) ?kr(?![^\W_])(?:\.(?! (?-i:[A-Z])))?", re.IGNORECASE)
_BILLIONS = re.compile(r"[bt]r?illion|[0-9] ?bn", re.IGNORECASE)
_SEPARATED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}[.,][0-9]{3}(?![0-9.,])")
_DOTTED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9.,])")
_SCALES = frozenset(("k", "m", "bn", "hundred", "thousand", "million", "billion", "trillion", "minus"))
_FAMILIES = {
    "dollar": "$ dollar dollars buck bucks cent cents ¢ c penny pennies",
    "peso": "$ peso pesos",
    "pound": "£ pound pounds penny pennies",
    "yen": "¥",
    "yuan": "¥",
    "rupee": "rs rupee rupees ₨",
    "krona": "krona kronor",
    "krone": "krone kroner",
    "franc": "franc francs",
    "euro": "cent cents ¢ c",
    "rand": "cent cents c",
}
"""Signs and words that several currencies share, by what a currency is called."""
_SHARED = frozenset(("and",)).union(*map(_set, _FAMILIES.values())) - _set("¥")
"""Signs and words of which only a locale says whose money they are, where a request is not English."""
_CUSTOMARY = re.compile(r"(?:\b|[0-9])(?:tons?|pints?|gallons?)\Z", re.IGNORECASE)
"""Measures of English that are called alike elsewhere, and are others there."""
