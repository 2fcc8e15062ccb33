"""Slots for plain numbers: number, count, ordinal, fraction, multiple, percent."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from fractions import Fraction
from math import gcd

from seglam_agents.guards.slots.base import Functions, Slot, make

DIGITS = r"[\d.,]*\d"
"""Over-approximates an unsigned decimal number; `read_decimal` decides."""
MIXED = rf"{DIGITS}(?:(?: \d+)?/\d+)?"
"""The same with "1/2" and "3 1/2"."""
SCALE = "(?:k| hundred| thousand| (?:[mb]|tr)illion)"
"""What may follow a number and multiply it."""
SIGN = "(?:-|minus )?"


def number_slots() -> list[Slot]:
    """Return the slot types of this module."""
    return [
        make(
            "number",
            f"{SIGN}{DIGITS}(?:{SCALE}| \\d+/\\d+)?",
            Functions(read_number, write_number, _sample_number),
            python="int | float",
            description="any number, with sign or decimals: 42, -1,250.5, 3 1/2, 1.2 million",
        ),
        make(
            "count",
            r"\d[\d,]*(?: (?:hundred|thousand|(?:[mb]|tr)illion))?",
            Functions(read_count, write_number, _sample_count),
            python="int",
            description="a whole number of things, 0 or more: 7, 1,250, 3 thousand",
        ),
        make(
            "ordinal",
            r"\d[\d,]*(?:st|nd|rd|th)|(?:[efnst][a-z]+y[ -])?(?:first|second|third|[efnst][a-z]+th)|(?:one )?hundredth",
            Functions(_read_ordinal, _write_ordinal, _sample_ordinal),
            python="int",
            description="a position: 3rd, first, twenty-first",
        ),
        make(
            "fraction",
            r"\d+/\d+|half|(?:an?|one|\d+)[ -](?:hal|thi|qua|fou|fif|six|sev|eig|nin|ten|elev|twel|hun)[a-z]+",
            Functions(_read_fraction, _write_fraction, _sample_fraction),
            python="float",
            description="a part of a whole: 2/3, half, a quarter, three-fifths",
        ),
        make(
            "multiple",
            r"twice|thrice|double|[tqso][a-z]+ple|[\d.,]*\d(?: and a half)?(?: times|x)",
            Functions(_read_multiple, lambda value: f"{write_number(value)} times", _sample_multiple),
            python="int | float",
            description="a factor: twice, triple, 4 times, 2.5 times",
        ),
        make(
            "percent",
            f"{SIGN}{DIGITS}(?: ?%| per ?cent)",
            Functions(_read_percent, lambda value: f"{write_number(value)}%", _sample_percent),
            python="int | float",
            description="a percentage, as the number before the sign: 25%, 7.5 percent",
        ),
    ]


def read_decimal(raw: str) -> Fraction | None:
    """Return an unsigned number with strict thousands separators ("1,234.5"; "1,23" and "007" are none)."""
    if len(raw) > MAX_DIGITS or not _DECIMAL.fullmatch(raw):
        return None
    return Fraction(raw.replace(",", ""))


def read_mixed(raw: str) -> Fraction | None:
    """Return an unsigned number that may be a fraction or end in one: "3", "1/2", "3 1/2"."""
    whole, space, part = raw.rpartition(" ")
    if "/" not in part:
        return None if space else read_decimal(part)
    fraction = read_ratio(part)
    if fraction is None or not space:
        return fraction
    base = read_decimal(whole)
    return base + fraction if base is not None and base.denominator == 1 and fraction < 1 else None


def is_usual(raw: str) -> bool:
    """Tell whether people write a fraction for a part of one unit; "43/45 pounds" are 43 of 45, or 43 to 45."""
    match = _RATIO.fullmatch(raw)
    if match is None:
        return False
    top, bottom = int(match[1]), int(match[2])
    return top < bottom and gcd(top, bottom) == 1 and (bottom in _USUAL or (top == 1 and bottom in (10, 100, 1000)))


def read_ratio(raw: str) -> Fraction | None:
    """Return what "2/3" spells."""
    match = _RATIO.fullmatch(raw)
    return Fraction(int(match[1]), int(match[2])) if match else None


def read_scaled(raw: str) -> Fraction | None:
    """Return an unsigned number that may be followed by a scale: "1.2 million", "5k"."""
    text = raw.lower()
    for ending, scale in SCALES.items():
        if text.endswith(ending):
            value = read_decimal(text[: -len(ending)])
            return None if value is None else value * scale
    return read_decimal(text)


def split_sign(raw: str) -> tuple[int, str]:
    """Return the sign of a number and what follows it."""
    if raw.startswith("-"):
        return -1, raw[1:]
    return (-1, raw[6:]) if raw[:6].lower() == "minus " else (1, raw)


def plain(value: Fraction) -> int | float:
    """Return an exact number as an integer where it is one."""
    return value.numerator if value.denominator == 1 else float(value)


def read_number(raw: str) -> int | float | None:
    """Return any number."""
    sign, rest = split_sign(raw)
    value = read_mixed(rest) if " " in rest and "/" in rest else read_scaled(rest)
    return None if value is None else plain(sign * value)


def read_count(raw: str) -> int | None:
    """Return a whole number without sign and decimals."""
    if raw[-1:] in ("k", "K") or "." in raw:
        return None
    value = read_scaled(raw)
    return int(value) if value is not None else None


def write_number(value: int | float) -> str:
    """Return a number in digits, without exponent and without separators."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")


def sample_amount(rng: random.Random, *, small: bool = False) -> int | float:
    """Return a plausible positive number: mostly small and whole, sometimes large, sometimes with decimals."""
    kind = rng.random()
    if kind < 0.5:
        return rng.randint(2, 60)
    if kind < 0.7 or small:
        return rng.randint(105, 2000) / 100 if rng.random() < 0.5 else rng.randint(3, 99) / 10
    return rng.randint(61, 9999) if kind < 0.9 else rng.randint(10_000, 3_000_000)


def _sample_number(rng: random.Random) -> int | float:
    value = plain(Fraction(str(sample_amount(rng))))
    return -value if rng.random() < 0.1 else value


def _sample_count(rng: random.Random) -> int:
    return rng.randint(2, 40) if rng.random() < 0.7 else rng.randint(41, 20_000)


def _read_ordinal(raw: str) -> int | None:
    text = raw.lower()
    if text[0].isdigit():
        value = read_count(text[:-2])
        return value if value is not None and text[-2:] == _suffix(value) else None
    tens, separator, unit = text.replace("-", " ").partition(" ")
    if not separator:
        return _ORDINALS.get(text)
    if text == "one hundredth":
        return 100
    value = _ORDINALS.get(unit, 0)
    return _TENS[tens] + value if tens in _TENS and 1 <= value <= 9 else None


def _write_ordinal(value: int) -> str:
    return f"{value}{_suffix(value)}"


def _suffix(value: int) -> str:
    if value % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def _sample_ordinal(rng: random.Random) -> int:
    return rng.randint(1, 31) if rng.random() < 0.8 else rng.randint(32, 400)


def _read_fraction(raw: str) -> float | None:
    text = raw.lower()
    if "/" in text:
        ratio = read_ratio(text)
        return None if ratio is None else float(ratio)
    if text == "half":
        return 0.5
    match = _WORDED.fullmatch(text)
    if match is None:
        return None
    amount = 1 if match[1] in ("a", "an", "one") else int(match[1])
    part = _PARTS.get(match[2]) if amount == 1 else _PLURAL_PARTS.get(match[2])
    return None if part is None or amount == 0 else amount / part


def _write_fraction(value: float) -> str:
    ratio = Fraction(value).limit_denominator(10_000)
    return f"{ratio.numerator}/{ratio.denominator}"


def _sample_fraction(rng: random.Random) -> float:
    bottom = rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25))
    return rng.randint(1, bottom - 1) / bottom


def _read_multiple(raw: str) -> int | float | None:
    text = raw.lower()
    if text in _MULTIPLES:
        return _MULTIPLES[text]
    stem = text.removesuffix(" times") if text.endswith(" times") else text.removesuffix("x")
    half = stem.endswith(" and a half")
    value = read_decimal(stem.removesuffix(" and a half"))
    if stem == text or value is None or (half and value.denominator != 1):
        return None
    return plain(value + Fraction(1, 2) if half else value)


def _sample_multiple(rng: random.Random) -> int | float:
    return rng.randint(2, 12) if rng.random() < 0.8 else rng.randint(3, 19) / 2


def _read_percent(raw: str) -> int | float | None:
    sign, rest = split_sign(raw)
    match = _PERCENT.fullmatch(rest)
    value = read_decimal(match[1]) if match else None
    return None if value is None else plain(sign * value)


def _sample_percent(rng: random.Random) -> int | float:
    return rng.randint(1, 99) if rng.random() < 0.8 else rng.randint(11, 999) / 10


SCALES = {
    " hundred": 100,
    " thousand": 10**3,
    "k": 10**3,
    " million": 10**6,
    " billion": 10**9,
    " trillion": 10**12,
}
MAX_DIGITS = 24
AS_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
"""An amount such as 1.250, which is more than a thousand for half of Europe."""
_DECIMAL = re.compile(r"(?:(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)")
_USUAL = frozenset((2, 3, 4, 5, 6, 8, 16, 32, 64))
_RATIO = re.compile(r"(0|[1-9][0-9]{0,5})/([1-9][0-9]{0,5})")
_PERCENT = re.compile(r"([0-9.,]+)(?: ?%| per ?cent)", re.IGNORECASE)
_WORDED = re.compile(r"(an?|one|[1-9][0-9]{0,3})[ -]([a-z]+)")
_UNIT_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth"
)
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_ORDINALS = {
    **{word: value for value, word in enumerate(_UNIT_ORDINALS.split(), start=1)},
    **{word[:-1] + "ieth": value for word, value in _TENS.items()},
    "hundredth": 100,
}
_PARTS = {"half": 2, "quarter": 4, **{word: value for word, value in _ORDINALS.items() if value > 2}}
_PLURAL_PARTS = {"halves": 2, **{f"{word}s": value for word, value in _PARTS.items() if value > 2}}
_MULTIPLES: dict[str, int] = {
    "twice": 2,
    "double": 2,
    "thrice": 3,
    "triple": 3,
    "quadruple": 4,
    "quintuple": 5,
    "sextuple": 6,
    "septuple": 7,
    "octuple": 8,
}
