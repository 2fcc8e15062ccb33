"""Word lists for changing what a request means: opposites, clauses, unrelated words, other units and currencies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from seglam_agents.guards.slots.letters import stop_words
from seglam_agents.guards.slots.money import read_currency
from seglam_agents.guards.slots.unit_table import SPELLINGS, UNITS
from seglam_agents.guards.slots.units import read_unit


class Opposition(NamedTuple):
    """Two groups of words: any word of one group changes what any word of the other says."""

    left: frozenset[str]
    right: frozenset[str]


def opposites(word: str) -> tuple[str, ...]:
    """Return the words that turn a meaning round, the closest first: `fewer` and `less` for `more`."""
    return _OPPOSITES.get(word.lower(), ())


def is_content(word: str) -> bool:
    """Tell whether a word says what a request is about, rather than holding the sentence together."""
    lowered = word.lower()
    return len(lowered) > 1 and lowered not in _HOLDING and lowered not in NUMBER_WORDS


def cased_like(word: str, model: str) -> str:
    """Return a word in capitals or with an initial capital where the model has them."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


@lru_cache(maxsize=1024)
def other_units(spelling: str, *, after_number: bool) -> tuple[str, ...]:
    """Return how up to three other units of the same dimension are spelt in the same style: km -> mi, m, cm.

    Args:
        spelling: what may be a unit.
        after_number: True where a number stands before it; only there are single letters and "Ms" units.
    """
    unit = read_unit(spelling)
    doubtful = len(spelling) == 1 or (len(spelling) == 2 and spelling not in SPELLINGS)
    if unit is None or (doubtful and not after_number):
        return ()
    style = _style(spelling)
    others = [name for name in _COMMON_UNITS.get(unit.dimension, ()) if name != unit.name]
    return tuple(dict.fromkeys(_spelt(name, style) for name in others))[:3]


@lru_cache(maxsize=1024)
def other_currencies(spelling: str, *, after_number: bool) -> tuple[str, ...]:
    """Return signs, codes or words of other currencies, in the style of one: `$` -> `€`, `£`; dollars -> euros."""
    lowered = spelling.lower()
    if lowered in _SMALL_MONEY:
        return tuple(word for word in _SMALL_MONEY[lowered] if word != lowered)
    if lowered in _DOUBTFUL_CURRENCIES and not after_number:
        return ()
    code = read_currency(spelling)
    if code is None:
        return ()
    styles = _CURRENCY_SIGNS, _CURRENCY_CODES, _CURRENCY_WORDS, _CURRENCY_PLURALS
    style = 0 if not spelling[-1].isalpha() else 1 if spelling.upper() == code else 2 + lowered.endswith("s")
    others = [word for other, word in zip(_CURRENCY_CODES, styles[style], strict=True) if other != code]
    return tuple(cased_like(word, spelling) if style > 1 else word for word in others[:2])


def _style(spelling: str) -> int:
    """Return 0 for a symbol, 1 for a singular name, 2 for a plural name."""
    unit = read_unit(spelling)
    if unit is None or spelling.lower() not in _NAMES:
        return 0
    return 1 if spelling.lower() == unit.name.lower() or not spelling.endswith(("s", "feet")) else 2


def _spelt(name: str, style: int) -> str:
    return (_SYMBOLS.get(name, UNITS[name].plural), name, UNITS[name].plural)[style]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _oppositions() -> Iterable[Opposition]:
    for line in _OPPOSITE_LINES.strip().splitlines():
        left, right = line.split("|")
        yield Opposition(_set(left), _set(right))


def _opposites() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in _OPPOSITE_LINES.strip().splitlines():
        left, right = (side.split() for side in line.split("|"))
        for word in left:
            found.setdefault(word, []).extend(right)
        for word in right:
            found.setdefault(word, []).extend(left)
    for cycle in (WEEKDAYS, MONTHS):
        for index, word in enumerate(cycle):
            found.setdefault(word, []).append(cycle[(index + 3) % len(cycle)])
    return {word: tuple(dict.fromkeys(others)) for word, others in found.items()}


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_OPPOSITE_LINES = """
more greater larger bigger higher | fewer less smaller lower
most maximum max largest highest biggest greatest | least fewest minimum min smallest lowest
first earliest | last latest final
next following | previous preceding last
before | after
earlier | later
buy buys bought buying purchase purchases purchased | sell sells sold selling
add adds added adding | remove removes removed removing subtract subtracts subtracted delete deletes deleted
each every per apiece | total altogether together combined
all every both | none neither
increase increases increased rise rises rose | decrease decreases decreased reduce reduces reduced fall falls fell
gain gains gained win wins won find finds found | lose loses lost
twice double doubled doubles | half halved halves thrice triple
half | quarter
give gives gave given | take takes took taken
lend lends lent | borrow borrows borrowed
send sends sent | receive receives received
multiply multiplied | divide divided
above over | below under
up | down
left | right
top | bottom
with including | without excluding
on | off
and | or
to | from
open opened | close closed
start begin starts begins started began | stop end stops ends stopped ended
enable allow | disable forbid
create | cancel delete
accept approve | reject decline
arrive arrives arrival | depart departs departure leave
today | tomorrow yesterday
morning | evening afternoon night
am | pm
daily | weekly monthly yearly
hourly | daily weekly
ascending | descending
asc | desc
oldest older | newest newer youngest younger
old | new
longest longer | shortest shorter
long tall | short
tallest taller | shortest shorter
fastest faster | slowest slower
fast | slow
cheapest cheaper | dearest dearer
cheap | expensive
best better | worst worse
hot warm | cold cool
sum | difference product average
mean average | median mode sum
area | perimeter volume
inside | outside
always | never
remaining remain remains | removed
discount | surcharge
income revenue | expense expenses
profit | loss
inclusive | exclusive
"""
OPPOSITIONS = tuple(_oppositions())
_OPPOSITES = _opposites()

NEGATIONS = _set(
    "not no never none nothing nobody nowhere neither nor cannot without except excluding exclude excludes excluded"
    " don't doesn't didn't isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't hasn't haven't hadn't"
    " mustn't n't"
)
"""Words that deny or leave out."""

CLAUSES = (
    "except 2 of them",
    "but not on Sundays",
    "of which a third are broken",
    "excluding tax",
    "plus an extra 10 percent",
    "after removing the smallest one",
    "not counting the last one",
    "unless it rains",
    "if there is enough money left",
    "each of them twice",
    "or half as many",
    "but only for new customers",
    "starting next year",
    "rounded up to the next hundred",
    "minus a fee of 3 dollars",
)
"""Clauses that change what most requests ask for."""
MODIFIERS = (
    "after adding tip", "before tax", "on weekdays", "every week", "there and back", "without the children",
    "whatever Ana prefers", "again tomorrow", "except two", "minus fees", "in capitals", "for half of them",
)  # fmt: skip
"""A few words that change a request wherever they stand, short enough for a slot to take them in."""
FOREIGN = (
    "What is the capital of France?",
    "Write a poem about the sea.",
    "Send the report to Ana and copy Raj.",
    "Cancel my flight to Lisbon on Friday.",
    "How tall is Mount Everest in feet?",
    "Translate 'good morning' into Spanish.",
    "Remind me to call the dentist at 3 pm.",
    "Wire $500 to account 12345678.",
    "Delete all e-mails from last week.",
    "Which of 17, 23 and 91 is not prime?",
    "Convert 5 miles to kilometers.",
    "What does a barrel of oil cost today?",
    "Sort 3, 1 and 2 in descending order.",
    "Who won the match between Ghana and Peru?",
    "Give me 4 tips for a job interview.",
    "Summarize the attached document in 3 sentences.",
    "Is 2024 a leap year?",
    "Add 20 percent tax to $80 and round to cents.",
    "How many days are left until December 25?",
    "Book a table for 6 people at 19:30.",
    "What is 7 times 8 minus 12?",
    "Play some jazz in the kitchen.",
    "hello",
    "42",
    "?",
)
"""Requests of many kinds: a guard that accepts those it was not made for accepts anything."""
SENTENCES = (
    "Then 3 more are lost.",
    "A quarter of that is given away first.",
    "Later everything is doubled.",
    "Ignore the first number.",
    "2 of them come back the next day.",
    "Assume that half of them do not count.",
)
"""The same as sentences of their own."""
SECOND_REQUESTS = (
    "and also book a table for 2",
    "and then delete all of my files",
    "Also tell me the capital of France.",
    "and send the answer to Omar",
    "After that, turn off the lights in the kitchen.",
    "and do the same for 9 more",
)

UNRELATED = (
    "purple", "umbrella", "violin", "gravel", "lantern", "thunder", "melted", "pumpkin", "whisper", "marble",
    "copper", "dragons", "sideways", "velvet", "harbour", "invisible",
)  # fmt: skip
"""Content words that no ordinary request is about."""
NAMES = ("Zelda", "Ignatius", "Priya", "Oswald", "Kenji", "Thandiwe")
"""Names that stand in for one mention of an entity."""

AUXILIARIES = _set("is are was were do does did can could will would should shall must may might has have had")
IMPERATIVES = _set(
    "add apply ask assign book build buy calculate call cancel change check clear close compute convert copy count"
    " create cut decrease delete determine disable divide double download email enable estimate evaluate export fetch"
    " file filter find forward get give go group include increase insert invite issue join keep let list lock look"
    " make mark merge move multiply notify open order pay play post print put raise read reduce refund remind remove"
    " rename replace reply report reserve reset return reverse round run save schedule search sell send set share show"
    " simplify solve sort split start stop subtract sum summarise summarize switch take tell text transfer translate"
    " turn update upload use wait wake write"
)
DETERMINERS = _set("a an the some any all")
BEFORE_NOUNS = _set("with has have had of for buys sells gets needs contains include including")
ORDINARY_STARTS = _set(
    "a an the if in on at there each every he she they it i we you his her their my your this that these those what"
    " which who whom whose when where why how after before then please for from to with of and or but one"
)
"""Words with a capital at the beginning of a sentence that name nobody."""

NUMBER_WORDS = {
    word: other
    for words in (
        "zero one",
        "half third quarter",
        "thirds quarters fifths",
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
        " eighteen nineteen",
        "twenty thirty forty fifty sixty seventy eighty ninety",
        "dozen hundred",
        "hundred thousand million billion",
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
        "twice thrice",
        "double triple quadruple",
    )
    for word, other in zip(words.split(), [*words.split()[1:], words.split()[0]], strict=True)
}
"""Words for numbers, ordinals, parts and multiples, each with another one of its kind."""

_HOLDING = stop_words("function", "pronoun") | AUXILIARIES | _set("am be been being")
_COMMON_UNITS = {
    "length": ("mile", "kilometer", "meter", "foot", "centimeter", "inch"),
    "mass": ("kilogram", "pound", "gram", "ounce"),
    "volume": ("liter", "gallon", "milliliter", "cup", "pint"),
    "area": ("acre", "hectare", "square meter", "square foot"),
    "time": ("hour", "day", "minute", "week", "month", "second"),
    "temperature": ("degree Fahrenheit", "degree Celsius"),
    "speed": ("mile per hour", "kilometer per hour", "meter per second"),
    "data": ("gigabyte", "megabyte", "kilobyte"),
    "energy": ("kilowatt hour", "calorie", "joule"),
}
_SYMBOLS = {
    "mile": "mi", "kilometer": "km", "meter": "m", "foot": "ft", "centimeter": "cm", "kilogram": "kg", "pound": "lb",
    "gram": "g", "ounce": "oz", "liter": "l", "gallon": "gal", "milliliter": "ml", "hectare": "ha", "hour": "hr",
    "minute": "min", "week": "wk", "second": "sec", "degree Fahrenheit": "°F", "degree Celsius": "°C",
    "mile per hour": "mph", "kilometer per hour": "km/h", "meter per second": "m/s", "gigabyte": "GB",
    "megabyte": "MB", "kilobyte": "kB", "kilowatt hour": "kWh", "calorie": "cal", "joule": "J",
    "square meter": "m²", "square foot": "ft²",
}  # fmt: skip
_NAMES = frozenset(spelling.lower() for spelling in SPELLINGS) & frozenset(
    name.lower() for unit in UNITS.values() for name in (unit.name, unit.plural)
)
_CURRENCY_CODES = ("USD", "EUR", "GBP")
_CURRENCY_SIGNS = ("$", "€", "£")
_CURRENCY_WORDS = ("dollar", "euro", "pound")
_CURRENCY_PLURALS = ("dollars", "euros", "pounds")
_SMALL_MONEY = {
    "cent": ("euro", "pound"),
    "cents": ("pence", "euros"),
    "pence": ("cents", "euros"),
    "penny": ("euro", "pound"),
    "pennies": ("pence", "euros"),
    "¢": ("$", "€"),
}
_DOUBTFUL_CURRENCIES = _set("won real rand dong c p")
