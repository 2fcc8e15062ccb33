"""The units that slots know: canonical name, dimension, factor to the SI unit, spellings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with its exact factor (and, for temperatures, offset) to the SI unit of its kind."""

    name: str
    plural: str
    dimension: str
    kind: str
    """What it converts within: the dimension, except that months and years are apart from seconds."""
    factor: Fraction
    offset: Fraction = Fraction(0)


def _units() -> Iterator[tuple[Unit, tuple[str, ...]]]:
    """Read the table, and derive areas and volumes from the lengths."""
    for line in _TABLE.strip().splitlines():
        dimension, factor, names, symbols = (part.strip() for part in line.split("|"))
        spellings = [name.strip() for name in names.split(",")]
        factor, _, offset = factor.partition("+")
        unit = Unit(
            name=spellings[0],
            plural=spellings[1],
            dimension="time" if dimension == "calendar" else dimension,
            kind=dimension,
            factor=Fraction(factor),
            offset=Fraction(offset or 0),
        )
        yield unit, (*spellings, *symbols.split())
        if dimension == "length" and unit.name != "nautical mile":
            yield from _powers(unit, spellings, symbols.split())


def _powers(length: Unit, spellings: list[str], symbols: list[str]) -> Iterator[tuple[Unit, tuple[str, ...]]]:
    """Yield the square and the cube of a length."""
    for word, short, dimension, power, marks in (
        ("square", "sq", "area", 2, "²2"),
        ("cubic", "cu", "volume", 3, "³3"),
    ):
        texts = [f"{prefix} {spelling}" for prefix in (word, short, f"{short}.") for spelling in (*spellings, *symbols)]
        texts += [f"{symbol}{mark}" for symbol in symbols for mark in marks]
        name, plural = f"{word} {length.name}", f"{word} {length.plural}"
        yield Unit(name, plural, dimension, dimension, length.factor**power), tuple(texts)


_TABLE = """
length | 1            | meter, meters, metre, metres                       | m
length | 1000         | kilometer, kilometers, kilometre, kilometres       | km kms
length | 1/100        | centimeter, centimeters, centimetre, centimetres   | cm cms
length | 1/1000       | millimeter, millimeters, millimetre, millimetres   | mm
length | 254/10000    | inch, inches                                       |
length | 3048/10000   | foot, feet                                         | ft
length | 9144/10000   | yard, yards                                        | yd yds
length | 1609344/1000 | mile, miles                                        | mi
length | 1852         | nautical mile, nautical miles                      | nmi
mass | 1                    | kilogram, kilograms, kilogramme, kilogrammes, kilo, kilos | kg kgs
mass | 1/1000               | gram, grams, gramme, grammes                   | g
mass | 1/1000000            | milligram, milligrams                          | mg
mass | 1/1000000000         | microgram, micrograms                          | µg μg mcg
mass | 45359237/100000000   | pound, pounds                                  | lb lbs
mass | 45359237/1600000000  | ounce, ounces                                  | oz
mass | 635029318/100000000  | stone, stone                                   |
mass | 1000                 | tonne, tonnes, metric ton, metric tons         |
mass | 90718474/100000      | ton, tons                                      |
volume | 1/1000                  | liter, liters, litre, litres                | l L
volume | 1/1000000               | milliliter, milliliters, millilitre, millilitres | ml mL
volume | 1/100000                | centiliter, centiliters, centilitre, centilitres | cl
volume | 1/10000                 | deciliter, deciliters, decilitre, decilitres | dl
volume | 3785411784/1000000000000 | gallon, gallons                            | gal gals
volume | 946352946/1000000000000  | quart, quarts                              | qt qts
volume | 473176473/1000000000000  | pint, pints                                |
volume | 2365882365/10000000000000 | cup, cups                                 |
volume | 295735295625/10000000000000000 | fluid ounce, fluid ounces            | fl_oz fl._oz
volume | 1478676478125/100000000000000000 | tablespoon, tablespoons            | tbsp tbsps
volume | 492892159375/100000000000000000  | teaspoon, teaspoons                | tsp tsps
area | 10000            | hectare, hectares                                  | ha
area | 40468564224/10000000 | acre, acres                                    |
time | 1      | second, seconds       | s sec secs
time | 1/1000 | millisecond, milliseconds | ms
time | 60     | minute, minutes       | min mins
time | 3600   | hour, hours           | h hr hrs
time | 86400  | day, days             |
time | 604800 | week, weeks           | wk wks
time | 1209600 | fortnight, fortnights |
calendar | 1    | month, months         |
calendar | 12   | year, years           | yr yrs
calendar | 120  | decade, decades       |
calendar | 1200 | century, centuries    |
temperature | 1+0 | kelvin, kelvins     | K
temperature | 1+273.15 | degree Celsius, degrees Celsius, Celsius, centigrade, degrees centigrade, degrees C | °C C
temperature | 5/9+45967/180 | degree Fahrenheit, degrees Fahrenheit, Fahrenheit, degrees F | °F F
speed | 1 | meter per second, meters per second, metre per second, metres per second | m/s
speed | 1000/3600 | kilometer per hour, kilometers per hour, kilometre per hour, kilometres per hour | km/h kph kmh
speed | 44704/100000 | mile per hour, miles per hour  | mph mi/h
speed | 3048/10000 | foot per second, feet per second | ft/s ft/sec
speed | 1852/3600 | knot, knots         | kn kt kts
data | 1    | byte, bytes             |
data | 1/8  | bit, bits               |
data | 1000 | kilobyte, kilobytes     | KB kB
data | 1000000 | megabyte, megabytes  | MB
data | 1000000000 | gigabyte, gigabytes | GB
data | 1000000000000 | terabyte, terabytes | TB
data | 1024 | kibibyte, kibibytes     | KiB
data | 1048576 | mebibyte, mebibytes  | MiB
data | 1073741824 | gibibyte, gibibytes | GiB
data | 125 | kilobit, kilobits        | kbit
data | 125000 | megabit, megabits     | Mbit
data | 125000000 | gigabit, gigabits  | Gbit
energy | 1       | joule, joules         | J
energy | 1000    | kilojoule, kilojoules | kJ
energy | 4184/1000 | calorie, calories   | cal
energy | 4184    | kilocalorie, kilocalories | kcal
energy | 3600    | watt hour, watt hours  | Wh
energy | 3600000 | kilowatt hour, kilowatt hours, kilowatt-hour, kilowatt-hours | kWh
"""
_LOADED = tuple(_units())
UNITS = {unit.name: unit for unit, _ in _LOADED}
SPELLINGS = {spelling.replace("_", " "): unit.name for unit, texts in _LOADED for spelling in texts}
_NAMES = {name.lower() for unit in UNITS.values() for name in (unit.name, unit.plural)}
_ALIKE = (
    "km kms cm cms kg kgs ft yd yds lb lbs oz hr hrs min mins sec secs mph kph kmh km/h gal gals qt qts tbsp tsp in"
    " foot feet inch mile cup cups pint acre byte bits bytes bit day days hour week year knot kilo tons ton"
)
WRITTEN_ALIKE = frozenset(_ALIKE.split())
"""Short spellings that mean the same in capitals. All other symbols are as the table has them: Mm is no mm."""
LOWERED = {
    spelling.lower(): name
    for spelling, name in SPELLINGS.items()
    if spelling == spelling.lower() or spelling.lower() in _NAMES or len(spelling) > 4
}
DIMENSIONS = tuple(dict.fromkeys(unit.dimension for unit in UNITS.values()))
"""What `unit(...)` and `quantity(...)` may be limited to."""
