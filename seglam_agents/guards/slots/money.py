"""Slots for money and currency."""

from __future__ import annotations

import random
import re
import unicodedata
from fractions import Fraction

from seglam_agents.guards.slots.base import Functions, Slot, make
from seglam_agents.guards.slots.numbers import DIGITS, SIGN, plain, read_scaled, split_sign, write_number
from seglam_agents.records.values import Money


def money_slots() -> list[Slot]:
    """Return the slot types of this module."""
    return [
        make(
            "money",
            _MONEY,
            Functions(read_money, write_money, _sample_money),
            python="Money",
            description="an amount in any currency: $84.50, 20 EUR, 5 dollars, 50 cents, £1.2 million",
        ),
        make(
            "currency",
            rf"(?:{_ADJECTIVES})?[a-zł]+|[a-z]{{0,2}}{_SIGNS}",
            Functions(read_currency, str, lambda rng: rng.choice(_SAMPLE_CODES)),
            python="str",
            description="a currency, as its ISO 4217 code: USD, euros, Japanese yen, £",
        ),
    ]


def read_money(raw: str) -> Money | None:
    """Return the amount of money that a text spells: "$5", "729 euros and 38 cents"."""
    if match := _WITH_PART.fullmatch(raw):
        return _with_part(match[1], match[2], match[3].lower())
    return _read_plain(raw)


def _with_part(whole: str, digits: str, part: str) -> Money | None:
    """Read whole money with its hundredths; pence are of pounds, and cents of everything else that has some."""
    money = _read_plain(whole)
    if money is None or not isinstance(money.amount, int) or money.amount <= 0 or int(digits) > 99:
        return None
    if (money.currency == "GBP") != (part in ("pence", "p", "penny")) or money.currency in _WITHOUT_PARTS:
        return None
    return Money(plain(Fraction(money.amount) + Fraction(int(digits), 100)), money.currency)


def _read_plain(raw: str) -> Money | None:
    sign, text = split_sign(raw)
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    before, inner, digits, scale, after = (part.strip() for part in match.groups(""))
    if (sign < 0 and inner) or not (before or after):
        return None
    unit = _unit(before, after)
    value = _amount(digits, scale)
    if unit is None or value is None:
        return None
    code, part = unit
    return Money(plain((-1 if inner else sign) * value * part), code)


def write_money(value: Money) -> str:
    """Return money with its sign where it has one of its own, else with its code."""
    amount, code = value
    minus, digits = ("-", write_number(-amount)) if amount < 0 else ("", write_number(amount))
    sign = _CANONICAL_SIGNS.get(code)
    whole, dot, part = digits.partition(".")
    cents = f"{part}0" if len(part) in (1, 3) else part  # never three decimals, which look like thousands
    grouped = f"{int(whole):,}{dot}{cents}"
    return f"{minus}{sign}{grouped}" if sign else f"{minus}{grouped} {code}"


def read_currency(raw: str) -> str | None:
    """Return the ISO code of a currency that is spelt as a code, a word or a sign."""
    unit = _named(raw)
    return unit[0] if unit and unit[1] == 1 else None


def _amount(digits: str, scale: str) -> Fraction | None:
    letter = _SHORT_SCALES.get(scale.lower())
    if letter is None and _THREE_DECIMALS.fullmatch(digits) and not scale:
        return None  # "€1.234" is more than a thousand for half of Europe
    value = read_scaled(digits if letter or not scale else f"{digits} {scale.lower()}")
    return value * letter if value is not None and letter else value


def _unit(before: str, after: str) -> tuple[str, Fraction] | None:
    """Return code and part of the unit (1/100 for cents) of what stands around a number; both have to agree."""
    if not (before and after):
        return _named(before or after)
    code = _code(after)
    sign = _SIGN_CODES.get(before.upper())
    if code is None or sign is None:
        return None
    compatible = before == "$" and code in _DOLLARS
    return (code, Fraction(1)) if compatible or sign == code else None


def _named(raw: str) -> tuple[str, Fraction] | None:
    if (code := _SIGN_CODES.get(raw.upper()) or _code(raw)) is not None:
        return code, Fraction(1)
    if len(raw) == 1 and raw != "¢" and unicodedata.category(raw) == "Sc":
        return raw, Fraction(1)  # a sign without a code of its own stands for itself
    text = raw.lower()
    if text in _FRACTIONAL and raw != "C":  # "5C" is rather a temperature
        return _FRACTIONAL[text], Fraction(1, 100)
    code = _WORDS.get(text)
    return None if code is None else (code, Fraction(1))


def _code(raw: str) -> str | None:
    """Return a known ISO code; in lower case only the codes that are no English words."""
    if raw in _CODES:
        return raw
    return raw.upper() if raw in _LOWER_CODES else None


def _sample_money(rng: random.Random) -> Money:
    code = rng.choice(_SAMPLE_CODES)
    kind = rng.random()
    if kind < 0.45:
        return Money(rng.randint(2, 300), code)
    if kind < 0.8 and code not in ("JPY", "KRW"):
        return Money(plain(Fraction(rng.randint(105, 99_999), 100)), code)
    return Money(rng.randint(301, 2_500_000), code)


def _words() -> dict[str, str]:
    """Return the words for currencies, with regular plurals and with the adjectives of countries."""
    singular = {**_REGULAR, **{f"{adjective} {word}": code for adjective, word, code in _NATIONAL}}
    plural = {f"{word}s": code for word, code in singular.items() if word.rpartition(" ")[2] in _REGULAR}
    return {**singular, **plural, **_IRREGULAR}


_SIGNS = r"\p{Sc}"
_ADJECTIVES = "(?:us|canadian|australian|swiss|japanese|chinese|indian|british|mexican) "
_SCALES = "(?:k|m|bn| ?(?:hundred|thousand|(?:[mb]|tr)illion))?"
_BEFORE = rf"(?:(?:us|au?|ca?|nz|hk|r|s)?{_SIGNS}|rs\.?|(?-i:[A-Z]{{3}})|usd|eur|gbp)"
_AFTER = rf"(?:{_SIGNS}|¢|(?:{_ADJECTIVES})?[a-zł]+(?: sterling)?)"
_MONEY = (
    rf"{SIGN}(?:{_BEFORE} ?-?{DIGITS}{_SCALES}(?: (?:usd|cad|aud|eur|gbp))?"
    rf"|{DIGITS}{_SCALES} ?{_AFTER}(?:,? and \d\d? (?:cents?|pence|penny))?)"
)
_WITH_PART = re.compile(r"(.+?),? and ([0-9]{1,2}) (cents?|pence|penny)", re.IGNORECASE)
_WITHOUT_PARTS = frozenset(("JPY", "KRW", "VND", "INR", "RUB", "THB", "TRY"))
_PARTS = re.compile(
    r"(rs\.|[^0-9., -]*) ?(-?)([0-9.,]*[0-9])"
    r"( ?(?:hundred|thousand|million|billion|trillion)\b|(?:k|m|bn)(?![^\W_]))? ?([^0-9.,]*)",
    re.IGNORECASE,
)
_THREE_DECIMALS = re.compile(r"[0-9]{1,3}\.[0-9]{3}")
_SHORT_SCALES = {"k": 10**3, "m": 10**6, "bn": 10**9}
_CANONICAL_SIGNS = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "TRY": "₺",
    "KRW": "₩",
    "RUB": "₽",
    "ILS": "₪",
    "VND": "₫",
    "PHP": "₱",
    "THB": "฿",
    "NGN": "₦",
    "UAH": "₴",
    "BRL": "R$",
    "AUD": "A$",
    "CAD": "C$",
    "NZD": "NZ$",
    "HKD": "HK$",
    "SGD": "S$",
}
_SIGN_CODES = {
    **{sign: code for code, sign in _CANONICAL_SIGNS.items()},
    "US$": "USD",
    "AU$": "AUD",
    "CA$": "CAD",
    "RS": "INR",
    "RS.": "INR",
    "ZŁ": "PLN",
}
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "MXN"})
_CODE_LIST = (
    "AED ARS AUD BDT BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP GHS HKD HUF IDR ILS INR IQD IRR ISK JOD JPY"
    " KES KRW KWD KZT LBP LKR MAD MXN MYR NGN NOK NPR NZD OMR PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TND TRY"
    " TWD TZS UAH UGX USD UYU UZS VND XAF XOF ZAR"
)
_CODES = frozenset(_CODE_LIST.split())
_LOWER_CODE_LIST = "usd eur gbp jpy inr cad aud nzd chf cny sek nok dkk pln brl mxn krw hkd sgd zar"
_LOWER_CODES = frozenset(_LOWER_CODE_LIST.split())
_REGULAR = {
    "dollar": "USD",
    "buck": "USD",
    "euro": "EUR",
    "pound": "GBP",
    "rupee": "INR",
    "lira": "TRY",
    "ruble": "RUB",
    "rouble": "RUB",
    "shekel": "ILS",
    "dong": "VND",
    "peso": "MXN",
    "naira": "NGN",
    "hryvnia": "UAH",
    "franc": "CHF",
    "zloty": "PLN",
    "forint": "HUF",
    "rand": "ZAR",
    "dirham": "AED",
    "ringgit": "MYR",
}
_IRREGULAR = {
    "yen": "JPY",
    "yuan": "CNY",
    "renminbi": "CNY",
    "won": "KRW",
    "baht": "THB",
    "quid": "GBP",
    "pounds sterling": "GBP",
    "pound sterling": "GBP",
    "japanese yen": "JPY",
    "chinese yuan": "CNY",
    "krona": "SEK",
    "kronor": "SEK",
    "krone": "NOK",
    "kroner": "NOK",
    "real": "BRL",
    "reais": "BRL",
    "rupiah": "IDR",
}
_NATIONAL = (
    ("us", "dollar", "USD"),
    ("canadian", "dollar", "CAD"),
    ("australian", "dollar", "AUD"),
    ("swiss", "franc", "CHF"),
    ("indian", "rupee", "INR"),
    ("british", "pound", "GBP"),
    ("mexican", "peso", "MXN"),
)
_FRACTIONAL = {
    **dict.fromkeys(("cent", "cents", "¢", "c", "penny", "pennies"), "USD"),
    **dict.fromkeys(("pence", "p"), "GBP"),
}
_WORDS = _words()
_SAMPLE_CODES = ("USD", "USD", "USD", "EUR", "GBP", "JPY", "INR", "CHF", "CAD", "BRL", "TRY", "KRW", "PLN", "SEK")
