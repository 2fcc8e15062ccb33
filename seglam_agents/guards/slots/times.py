"""Slots for dates, times of day and durations."""

from __future__ import annotations

import random
import re
from datetime import date, time, timedelta
from fractions import Fraction

from seglam_agents.guards.slots.base import Functions, Slot, make
from seglam_agents.guards.slots.numbers import DIGITS, is_usual, plain, read_decimal, read_mixed, write_number


def time_slots() -> list[Slot]:
    """Return the slot types of this module."""
    return [
        make(
            "date",
            rf"\d{{4}}-\d\d-\d\d|\d{{4}}/\d\d?/\d\d?|\d\d?/\d\d?/\d{{4}}"
            rf"|(?:the )?{_DAY}(?: of)? {_MONTH},? \d{{4}}|{_MONTH} {_DAY},? \d{{4}}",
            Functions(read_date, date.isoformat, _sample_date),
            python="date",
            description="a day with its year: 2023-11-21, November 21, 2023, 21 Nov 2023, 11/21/2023",
        ),
        make(
            "monthday",
            rf"(?:the )?{_DAY}(?: of)? {_MONTH}|{_MONTH} {_DAY}",
            Functions(_read_monthday, _write_monthday, _sample_monthday),
            python="str",
            description='a day without a year, as "MM-DD": November 21, 21st of November',
        ),
        make(
            "weekday",
            r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*",
            Functions(_read_weekday, str, lambda rng: rng.choice(_WEEKDAYS)),
            python="str",
            description="a day of the week: Monday, Tue",
        ),
        make(
            "month",
            _MONTH,
            Functions(_read_month, str, lambda rng: rng.choice(_MONTHS)),
            python="str",
            description="a month: November, Feb",
        ),
        make(
            "time",
            r"\d\d?(?::\d\d){0,2}(?: ?[ap]\.?m\.?)?|noon|midnight|\d\d?\.\d\d ?[ap]\.?m\.?"
            rf"|\d\d?(?::\d\d| o'clock)? {_PART_OF_DAY}"
            rf"|(?:half|(?:a )?quarter) (?:past|to) \d\d?(?: ?[ap]\.?m\.?| {_PART_OF_DAY})",
            Functions(read_time, _write_time, _sample_time),
            python="time",
            description="a time of day: 3pm, 3:30 pm, 15:30, noon",
        ),
        make(
            "duration",
            rf"\d+h\d\d(?:m|min)?|(?:an?|\d+) {_UNIT} and a half|\d+ and a half {_UNIT}"
            rf"|(?:half |(?:a|3) quarters? of )?an? {_UNIT}|(?:\d+ )?\d/\d {_UNIT}"
            rf"|(?:an? {_UNIT} and )?{_PIECE}(?:(?:,| and|, and)? {_PIECE})*",
            Functions(read_duration, write_duration, _sample_duration),
            python="timedelta",
            description="a length of time in weeks, days, hours, minutes, seconds: 90 minutes, 1 hour and 30 minutes",
        ),
    ]


def read_date(raw: str) -> date | None:
    """Return a day with its year; "11/12/2023" is none, because it is two days in two countries."""
    parts = _date_parts(raw)
    if parts is None:
        return None
    try:
        return date(*parts)
    except ValueError:
        return None


def read_time(raw: str) -> time | None:
    """Return a time of day; "3:30" is none, because it is twice a day."""
    text = raw.lower()
    if text in _NAMED_TIMES:
        return _NAMED_TIMES[text]
    if match := _SPOKEN.fullmatch(text):
        return _spoken_time(match[1], match[2], int(match[3]), match[4] or _half(match[5], int(match[3])))
    if match := _IN_THE_DAY.fullmatch(text):
        minutes = match[2] if match[2] and match[2].startswith(":") else ""
        text = f"{match[1]}{minutes} {_half(match[3], int(match[1]))}m"
    text = _POINTED.sub(r"\1:\2", text)
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if match[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[4] == "p" else 0)
    elif match[2] is None or (len(match[1]) == 1 and hour > 0):
        return None
    return time(hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _half(part: str, hour: int) -> str:
    """Return "a" or "p" for an hour in a part of the day; nothing where people do not say so: 12 in the morning."""
    hours = {"morning": range(1, 12), "afternoon": (12, *range(1, 7)), "evening": range(5, 12)}
    return ("a" if part == "morning" else "p") if hour in hours[part] else "-"


def _spoken_time(part: str, side: str, hour: int, half: str) -> time | None:
    """Read "half past 2 pm"; "half to" is none, and which half of the day must be said."""
    if not 1 <= hour <= 12 or (part == "half" and side == "to") or half == "-":
        return None
    minutes = (hour % 12 + (12 if half == "p" else 0)) * 60 + (30 if part == "half" else 15) * (
        1 if side == "past" else -1
    )
    return time(minutes // 60 % 24, minutes % 60)


def read_duration(raw: str) -> timedelta | None:
    """Return a length of time; months and years have no fixed length and are none."""
    text = raw.lower()
    if match := _ARTICLE.fullmatch(text):
        unit = _SPANS.get(match[3])
        if unit is None or match[3] in _PLURAL or (match[2] == "an") != (match[3] in ("hour", "hr")):
            return None
        return _timedelta(unit * _PARTS[match[1]])
    if match := _IN_PARTS.fullmatch(text):
        return _in_parts(match[1], match[2], match[3])
    if match := _HOURS_MINUTES.fullmatch(text):
        return timedelta(hours=int(match[1]), minutes=int(match[2]))
    if match := _AND_A_HALF.fullmatch(text):
        seconds = _SPANS.get(match[2] or match[4])
        return None if seconds is None else _timedelta((int(match[1] or match[3] or 1) + Fraction(1, 2)) * seconds)
    pieces = _JOINT.split(_AN_AND.sub("1 ", text))
    total, last = Fraction(0), 10**9
    for piece in pieces:
        read = _read_piece(piece)
        if read is None or read[1] >= last:
            return None
        total, last = total + read[0] * read[1], read[1]
    return _timedelta(total)


def _in_parts(whole: str | None, part: str, name: str) -> timedelta | None:
    """Read "1/2 hour" and "1 1/2 hours"; "3 1/2 hour breaks" are rather three breaks of half an hour."""
    amount = read_mixed(f"{whole} {part}" if whole else part)
    if amount is None or name not in _SPANS or not is_usual(part) or (whole and name not in _PLURAL):
        return None
    return _timedelta(amount * _SPANS[name])


def write_duration(value: timedelta) -> str:
    """Return a duration in the largest unit that divides it."""
    seconds = Fraction(value // timedelta(microseconds=1), 10**6)
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % length == 0:
            return _counted(int(seconds // length), name)
    return _counted(plain(seconds), "second")


def _counted(amount: int | float, name: str) -> str:
    return f"{write_number(amount)} {name}{'' if amount == 1 else 's'}"


def _timedelta(seconds: Fraction) -> timedelta | None:
    microseconds = seconds * 10**6
    if microseconds.denominator != 1 or seconds > MAX_SECONDS:
        return None
    return timedelta(microseconds=int(microseconds))


def _read_piece(piece: str) -> tuple[Fraction, int] | None:
    match = _COUNTED.fullmatch(piece)
    if match is None or match[2] not in _SPANS:
        return None
    amount = read_decimal(match[1])
    return None if amount is None else (amount, _SPANS[match[2]])


def _date_parts(raw: str) -> tuple[int, int, int] | None:
    if match := _ISO.fullmatch(raw):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _YEAR_FIRST.fullmatch(raw):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _SLASHED.fullmatch(raw):
        first, second = int(match[1]), int(match[2])
        if first <= 12 and second <= 12 and first != second:
            return None
        return (int(match[3]), second, first) if first > 12 else (int(match[3]), first, second)
    if match := _YEARED.fullmatch(raw):
        month_day = _month_day(match[1])
        return (int(match[2]), *month_day) if month_day else None
    return None


def _month_day(raw: str) -> tuple[int, int] | None:
    match = _DAY_FIRST.fullmatch(raw) or _MONTH_FIRST.fullmatch(raw)
    if match is None:
        return None
    number, day, suffix = _MONTH_NUMBERS.get(match["month"].lower().removesuffix(".")), int(match["day"]), match["th"]
    if number is None or not 1 <= day <= _LONGEST[number - 1] or (suffix and suffix.lower() != _suffix(day)):
        return None
    return number, day


def _suffix(day: int) -> str:
    return "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _read_monthday(raw: str) -> str | None:
    read = _month_day(raw)
    return f"{read[0]:02}-{read[1]:02}" if read else None


def _write_monthday(value: str) -> str:
    return f"{_MONTHS[int(value[:2]) - 1]} {int(value[3:])}"


def _read_weekday(raw: str) -> str | None:
    for name in _WEEKDAYS:
        if raw.lower() == name.lower():  # "Fridays" are many
            return name
    return _SHORT_WEEKDAYS.get(raw.removesuffix("."))


def _read_month(raw: str) -> str | None:
    text = raw.removesuffix(".")
    number = _MONTH_NUMBERS.get(text.lower())
    if number is None or (text[0].islower() and text in _MONTH_LIKE_WORDS):
        return None
    return _MONTHS[number - 1]


def _write_time(value: time) -> str:
    return value.isoformat("seconds" if value.second else "minutes")


def _sample_date(rng: random.Random) -> date:
    return date(2000, 1, 1) + timedelta(days=rng.randrange(365 * 35))


def _sample_monthday(rng: random.Random) -> str:
    return f"{(date(2000, 1, 1) + timedelta(days=rng.randrange(366))):%m-%d}"


def _sample_time(rng: random.Random) -> time:
    return time(rng.randrange(24), rng.choice((0, 0, 15, 30, 45, rng.randrange(60))))


def _sample_duration(rng: random.Random) -> timedelta:
    unit = rng.choice((86400 * 7, 86400, 3600, 3600, 60, 60, 1))
    return timedelta(seconds=unit * rng.randint(1, 50) + (unit // 2 if rng.random() < 0.2 else 0))


MAX_SECONDS = 10**11
_MONTH = r"[a-z]+\.?"
_DAY = r"\d\d?(?:st|nd|rd|th)?"
_SPAN = "(?:week|day|hour|hr|min(?:ute)?|sec(?:ond)?|h|s)s?"
_UNIT = "[dhmsw][a-z]*"
"""Over-approximates one unit; `read_duration` decides."""
_PIECE = rf"{DIGITS}[ -]?{_SPAN}"
_ISO = re.compile(r"([1-9][0-9]{3})-([0-9]{2})-([0-9]{2})")
_YEAR_FIRST = re.compile(r"([1-9][0-9]{3})/([0-9]{1,2})/([0-9]{1,2})")
_SLASHED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([1-9][0-9]{3})")
_YEARED = re.compile(r"(.{5,30}?),? ([1-9][0-9]{3})")
_DAY_FIRST = re.compile(
    r"(?:the )?(?P<day>[0-9]{1,2})(?P<th>st|nd|rd|th)?(?: of)? (?P<month>[a-z]{3,9}\.?)", re.IGNORECASE
)
_MONTH_FIRST = re.compile(r"(?P<month>[a-z]{3,9}\.?) (?P<day>[0-9]{1,2})(?P<th>st|nd|rd|th)?", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2}))?(?: ?([ap])\.?m\.?)?")
_PART_OF_DAY = "in the (?:morning|afternoon|evening)"
_SPOKEN = re.compile(
    r"(half|(?:a )?quarter) (past|to) ([0-9]{1,2})(?: ?([ap])\.?m\.?| in the (morning|afternoon|evening))"
)
_IN_THE_DAY = re.compile(r"([0-9]{1,2})(:[0-9]{2}| o'clock)? in the (morning|afternoon|evening)")
_POINTED = re.compile(r"\A([0-9]{1,2})\.([0-9]{2})(?= ?[ap])")
_AND_A_HALF = re.compile(r"(?:an?|([0-9]{1,4})) ([a-z]+) and a half|([0-9]{1,4}) and a half ([a-z]+)")
_HOURS_MINUTES = re.compile(r"([0-9]{1,3})h([0-5][0-9])(?:m|min)?")
_ARTICLE = re.compile(r"(half |a quarter of |3 quarters of )?(an?) ([a-z]+)")
_PARTS = {None: Fraction(1), "half ": Fraction(1, 2), "a quarter of ": Fraction(1, 4), "3 quarters of ": Fraction(3, 4)}
_IN_PARTS = re.compile(r"(?:([0-9]{1,4}) )?([0-9]/[0-9]) ([a-z]+)")
_AN_AND = re.compile(r"\Aan? (?=(?:week|day|hour|hr|minute|min) and [0-9])")
_COUNTED = re.compile(r"([0-9.,]+)[ -]?([a-z]+)")
_JOINT = re.compile(r", and |, | and | (?=[0-9])")
_NAMED_TIMES = {"noon": time(12), "midnight": time(0)}
_SPANS = {
    **dict.fromkeys(("week", "weeks"), 604_800),
    **dict.fromkeys(("day", "days"), 86_400),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1),
}
_PLURAL = frozenset(name for name in _SPANS if name.endswith("s") or name == "h")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_WEEKDAYS = {
    **{name[:3]: name for name in _WEEKDAYS},
    "Tues": "Tuesday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
}
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH_NUMBERS = {
    **{name.lower(): number for number, name in enumerate(_MONTHS, start=1)},
    **{name[:3].lower(): number for number, name in enumerate(_MONTHS, start=1)},
    "sept": 9,
}
_MONTH_LIKE_WORDS = frozenset(("may", "march", "mar", "jan", "jun", "dec", "sept", "august"))
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
