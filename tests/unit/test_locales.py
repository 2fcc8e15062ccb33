"""Locales: what a user writes in the notation of his locale is read right, or declined; never as something else."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st

from seglam_agents.cache import ReasoningCache
from seglam_agents.guards.guard import Accepted, TemplateGuard
from seglam_agents.guards.locales import clock_of, notation
from seglam_agents.guards.normal import normalise
from seglam_agents.guards.slots.exports import parse_text
from seglam_agents.records.errors import SlotError
from seglam_agents.records.outcome import Hit
from seglam_agents.records.procedure import GuardSource
from seglam_agents.records.values import Money, Quantity
from seglam_agents.testing.models import ScriptedModel

LOCALES = ("en_US", "en_GB", "de_DE", "de_CH", "de_AT", "es_ES", "es_MX", "fr_FR", "fr_CH", "ja_JP", "zh_CN", "pt_BR",
           "sv_SE", "en_IN", "en_CA", "pl_PL", "it_IT")  # fmt: skip
every_locale = pytest.mark.parametrize("locale", LOCALES)


def bound(locale: str, template: str, text: str) -> Any:
    """Return what the slot `x` of a template binds; None where the guard declines."""
    guard = TemplateGuard(GuardSource(templates=(template,)), notation=notation(locale) if locale else None)
    judgement = guard.match(normalise(text))
    return judgement.arguments["x"] if isinstance(judgement, Accepted) else None


@every_locale
@given(value=st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False, allow_infinity=False))
def test_a_number_reads_back(locale: str, value: Decimal) -> None:
    """What CLDR writes for a number in a locale is that number."""
    text = format_decimal(value, locale=locale, decimal_quantization=False)
    assert bound(locale, "take {x:number} of it", f"take {text} of it") == float(value)


@every_locale
@given(day=st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)))
def test_a_date_reads_back(locale: str, day: date) -> None:
    """A day in digits, in the order of the locale, is that day."""
    order = {True: "dd/MM/yyyy", False: "MM/dd/yyyy", None: "yyyy/MM/dd"}[notation(locale).day_first]
    text = format_date(day, format=order, locale=locale)
    assert bound(locale, "on {x:date} at noon", f"on {text} at noon") == day


@every_locale
def test_a_kind_with_a_date_is_learnt(locale: str) -> None:
    """A date as machines write it is no reason to refuse, whatever the order of the locale is."""
    reply = """```python
TEMPLATES = ["How many days has the month of {d:date}, leap years included"]
EXPECTED = [31]


def run(d):
    return 31 if d.month in (1, 3, 5, 7, 8, 10, 12) else 30 if d.month != 2 else 29 if d.year % 4 == 0 else 28
```"""
    with ReasoningCache(None, ScriptedModel([reply]), locale=locale, second_opinion=False, attacker=False) as cache:
        learned = cache.learn("How many days has the month of 2025-01-03, leap years included")
        assert learned.status == "admitted", learned.reason


@pytest.mark.parametrize("locale", ["", "ja_JP", "zh_CN", "sv_SE", "en_CA"])
def test_a_date_whose_order_nobody_knows_is_declined(locale: str) -> None:
    """Where the year stands first, 3/4/2025 may be in March or in April."""
    assert bound(locale, "on {x:date} at noon", "on 3/4/2025 at noon") is None


@every_locale
@given(cents=st.integers(min_value=1, max_value=10**9))
def test_money_reads_back_or_is_declined(locale: str, cents: int) -> None:
    """An amount of the locale's own money is that amount in that currency, or nothing."""
    code = notation(locale).code
    places = 1 if code in ("JPY", "KRW") else 100
    amount = Decimal(cents) / places
    text = format_currency(amount, code, locale=locale)
    assert bound(locale, "pay {x:money} now", f"pay {text} now") in (Money(float(amount), code), None)


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("de_DE", "1.250,00 €", Money(1250, "EUR")),
        ("es_ES", "1.250,50 €", Money(1250.5, "EUR")),
        ("fr_FR", "1\u202f250,50 €", Money(1250.5, "EUR")),
        ("de_CH", "CHF 1’250.50", Money(1250.5, "CHF")),
        ("es_MX", "$1,250.50", Money(1250.5, "MXN")),
        ("en_CA", "$20", Money(20, "CAD")),
        ("en_US", "$20", Money(20, "USD")),
        ("zh_CN", "¥500", Money(500, "CNY")),
        ("ja_JP", "￥500", Money(500, "JPY")),
        ("sv_SE", "500 kr", Money(500, "SEK")),
        ("en_CA", "20 dollars", Money(20, "CAD")),
        ("en_CA", "50 cents", Money(0.5, "CAD")),
        ("en_CA", "20 dollars and 50 cents", Money(20.5, "CAD")),
        ("en_CA", "US$20", Money(20, "USD")),
        ("en_CA", "20 USD", Money(20, "USD")),
        ("en_HK", "$5", Money(5, "HKD")),
        ("es_CL", "$20.000", Money(20_000, "CLP")),
        ("de_DE", "50 Cent", Money(0.5, "EUR")),
        ("de_DE", "$20", Money(20, "USD")),
        ("de_DE", "1 Billion Euro", None),
        ("en_GB", "1 billion euros", Money(10**9, "EUR")),
        ("nb_NO", "kr 5", Money(5, "NOK")),
        ("da_DK", "5 kr.", Money(5, "DKK")),
        ("", "500 kr", None),
        ("", "1.250,00 €", None),
        ("", "20M€", Money(20_000_000, "EUR")),
        ("", "729 euros and 38 cents", Money(729.38, "EUR")),
        ("", "5 pounds and 20 pence", Money(5.2, "GBP")),
        ("", "5 pounds and 20 cents", None),
        ("", "5 yen and 20 cents", None),
    ],
)
def test_money(locale: str, text: str, value: Money | None) -> None:
    """Signs of several currencies are the locale's own; without a locale, what is read differently is declined."""
    assert bound(locale, "pay {x:money} now", f"pay {text} now") == value


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("", "1.250 kg", None),
        ("", "0.125 kg", Quantity(0.125, "kilogram")),
        ("", "1.25 kg", Quantity(1.25, "kilogram")),
        ("de_DE", "1.250 kg", Quantity(1250, "kilogram")),
        ("de_DE", "1,250 kg", Quantity(1.25, "kilogram")),
        ("en_US", "1.250 kg", Quantity(1.25, "kilogram")),
        ("en_IN", "1,25,000 kg", Quantity(125_000, "kilogram")),
    ],
)
def test_weights(locale: str, text: str, value: Quantity | None) -> None:
    """A dot and three digits is a thousand in half of Europe."""
    assert bound(locale, "weigh {x:quantity} now", f"weigh {text} now") == value


@pytest.mark.parametrize(
    ("locale", "template", "text", "value"),
    [
        ("de_DE", "Wie viel sind 3 % von {x:money}?", "Wie viel sind 3 % von 1.250,50 €?", Money(1250.5, "EUR")),
        ("es_ES", "¿Cuánto son {x:money} entre 4?", "¿Cuánto son 1.250,50 € entre 4?", Money(1250.5, "EUR")),
        ("fr_FR", "Partage {x:money} entre 4", "Partage 1\u202f250,50 € entre 4", Money(1250.5, "EUR")),
        ("fr_FR", "Partage {x:money} entre 4", "Partage 1 250,50 € entre 4", None),
        ("ja_JP", "{x:money}を4人で割って", "￥5,000を4人で割って", Money(5000, "JPY")),
        ("ja_JP", "{x:number}円を4人で割って", "5,000円を4人で割って", 5000),
        ("ja_JP", "{x:number}円を4人で割って", "5万円を4人で割って", None),
        ("ja_JP", "{x:date}に予約", "2025/03/04に予約", date(2025, 3, 4)),
        ("zh_CN", "把{x:money}分给4个人", "把¥5000分给4个人", Money(5000, "CNY")),
        ("", "把{x:money}分给4个人", "把¥5000分给4个人", None),
        ("", "把{x:money}分给4个人", "把￥5000分给4个人", None),
        ("", "{x:money}を4人で割って", "¥5000を4人で割って", Money(5000, "JPY")),
        (
            "fr_FR",
            "Partage {x:money} entre 4 personnes",
            "Partage 1\u202f250,50 € entre 4 personnes",
            Money(1250.5, "EUR"),
        ),
        ("", "Partage {x:money} entre 4 personnes", "Partage 1\u202f250,50 € entre 4 personnes", None),
        ("zh_CN", "把{x:number}元分给4个人", "把1.5万元分给4个人", None),
        ("", "Wie viel ist {x:number} mal 3?", "Wie viel ist 1.250 mal 3?", None),
        ("", "Wie viel wiegen {x:quantity} und 3 kg?", "Wie viel wiegen 1,250 kg und 3 kg?", None),
        ("", "¿Cuánto son {x:percent} de la suma?", "¿Cuánto son 1.250% de la suma?", None),
        ("", "Combien font {x:number} et 3 ?", "Combien font 1,250 et 3 ?", None),
        ("", "How much is {x:number} times 3?", "How much is 1,250 times 3?", 1250),
        ("", "Rechne {x:number} mal 3", "Rechne 1,250 mal 3", None),
        ("", "Bestelle {x:quantity} Mehl", "Bestelle 1,250 kg Mehl", None),
        ("", "Paga {x:money} a Ana", "Paga $500 a Ana", None),
        ("", "Podziel {x:number} przez 3", "Podziel 1.250 przez 3", None),
        ("", "Jaa {x:number} kolmella", "Jaa 1,250 kolmella", None),
        ("", "Böl {x:number} 3", "Böl 1.250 3", None),
        ("", "Wie viel sind {x:money} durch 3?", "Wie viel sind 99 Cent durch 3?", None),
        ("", "Wie viel ist {x:number} durch 3?", "Wie viel ist 1 Billion durch 3?", None),
        ("", "Combien font {x:money} divisé par 3 ?", "Combien font 20 $ divisé par 3 ?", None),
        ("", "Deel {x:quantity} door 3 en tel op", "Deel 5 ton door 3 en tel op", None),
        ("", "把{x:money}分给4个人", "把$500分给4个人", None),
        ("fr_FR", "Combien font {x:number} et 3 ?", "Combien font 1.250 et 3 ?", None),
        ("de_CH", "Wie viel ist {x:number} mal 3?", "Wie viel ist 1,250 mal 3?", None),
        ("de_CH", "Wie viel ist {x:number} mal 3?", "Wie viel ist 1'250 mal 3?", 1250),
        ("", "Print {x:count} copies", "Print 1,250 copies", 1250),
        ("", "{x:number} / 4", "1,250 / 4", 1250),
        ("", "Cap bids at {x:money}", "Cap bids at $5", Money(5, "USD")),
        ("", "Wie viel ist {x:number} mal 3?", "Wie viel ist 1250 mal 3?", 1250),
    ],
)
def test_other_languages_are_read_right_or_declined(locale: str, template: str, text: str, value: object) -> None:
    """A request in another language is never read as if it were English."""
    assert bound(locale, template, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$5 and $6", [Money(5, "CAD"), Money(6, "CAD")]),
        ("US$5 and US$6", None),
        ("$5 and US$6", None),
        ("€5 and €6", [Money(5, "EUR"), Money(6, "EUR")]),
    ],
)
def test_lists_of_money(text: str, value: object) -> None:
    """In a list the sign is the locale's own for all amounts, or nobody knows for which."""
    assert bound("en_CA", "add {x:list(money)} up", f"add {text} up") == value


def test_arguments_by_name_are_read_as_the_users_write() -> None:
    """Quoted text keeps its digits; amounts are read in the locale."""
    german = TemplateGuard(GuardSource(templates=("send {q:quoted} for {x:money}",)), notation=notation("de_DE"))
    assert german.value_of("x", "1.250,50 €") == Money(1250.5, "EUR")
    assert german.value_of("x", "50 Cent") == Money(0.5, "EUR")
    assert german.value_of("q", '"1.250,50"') == "1.250,50"


@pytest.mark.parametrize(
    "text", ["5 Mm", "5 MM", "5 kN", "5 mB", "5 Ms", "5 Calories", "5 gb", "5 Kb", "5 ML", "5 KWH", "5 mW"]
)
def test_symbols_that_collide_are_declined(text: str) -> None:
    """A megametre is no millimetre, a kilonewton no knot, a Calorie a thousand calories."""
    assert parse_text("quantity", text) is None


@pytest.mark.parametrize(("text", "unit"), [("5 KM", "kilometer"), ("5 Miles", "mile"), ("5 LB", "pound"),
                                            ("5 mm", "millimeter"), ("5 kn", "knot"),
                                            ("5 GB", "gigabyte")])  # fmt: skip
def test_symbols_that_cannot_be_mistaken(text: str, unit: str) -> None:
    """Capitals make no difference where nothing else is written so."""
    assert parse_text("quantity", text) == Quantity(5, unit)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("date", "2025/5/22", date(2025, 5, 22)),
        ("date", "3/4/2025", None),
        ("duration", "1h30", 5400),
        ("duration", "an hour and a half", 5400),
        ("duration", "one and a half hours", 5400),
        ("time", "half past two", None),
        ("time", "half past two pm", "14:30:00"),
        ("time", "quarter to 3 pm", "14:45:00"),
        ("time", "half to 3 pm", None),
        ("number", "five hundred and two", 502),
        ("weekday", "Fridays", None),
        ("weekday", "friday", "Friday"),
    ],
)
def test_spellings(kind: str, text: str, value: object) -> None:
    """What people write for dates, times and numbers is read, and what says two things is not."""
    read: Any = parse_text(kind, text)
    shown = read.total_seconds() if kind == "duration" else str(read) if kind == "time" and read else read
    assert shown == value


REPLY = """```python
NAME = "teilen"
TEMPLATES = ["Teile {total:money} durch {n:count}"]
EXPECTED = [312.5]

def run(total, n):
    return round(total.amount / n + 1e-9, 2)
```"""


def test_a_cache_reads_as_its_users_write() -> None:
    """With a locale the cache learns and hits in it; its own samples do not suffer from it."""
    with ReasoningCache(
        None, ScriptedModel([REPLY]), second_sandbox=None, second_opinion=False, locale="de_DE"
    ) as cache:
        learned = cache.learn("Teile 1.250,00 € durch 4")
        assert learned.status == "admitted", learned.reason
        hit = cache.lookup("Teile 2.500 € durch 4")
        assert isinstance(hit, Hit) and hit.answer == 625


@pytest.mark.parametrize("options", [{"locale": "xx_YY"}, {"locale": "german"}, {"timezone": "Europe/Nowhere"}])
def test_what_there_is_not_is_said(options: dict[str, str]) -> None:
    """A locale or a time zone that does not exist is an error that says what to write."""
    with pytest.raises(SlotError, match="use a"):
        ReasoningCache(None, **options)  # type: ignore[arg-type]


def test_tomorrow_is_the_users() -> None:
    """With a time zone, bodies see the time there; a given clock goes before it."""
    clock = clock_of(None, "Pacific/Kiritimati")
    assert clock is not None
    there = datetime.now(ZoneInfo("Pacific/Kiritimati")).replace(tzinfo=None)
    assert abs((clock() - there).total_seconds()) < 60
    fixed = datetime(2025, 1, 1)
    given_clock = clock_of(lambda: fixed, "Pacific/Kiritimati")
    assert given_clock is not None and given_clock() == fixed
    assert clock_of(None, "") is None
