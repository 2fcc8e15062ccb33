"""What a Monty session executes before a program that reads ISO dates; read as source, never imported.

Monty's own refuses "20240131", "2024-W05-3" and hours without minutes, takes "0" for a day in 1970, and "10:00z". This
one reads what Python 3.11 reads, step by step as it does, and nothing else.
"""

# pyright: basic, reportUndefinedVariable=false, reportArgumentType=false
# ruff: noqa: F821  # `_lacks_` is the host's

from datetime import date as _iso_date_class_
from datetime import datetime as _iso_datetime_class_
from datetime import time as _iso_time_class_
from datetime import timedelta as _iso_span_class_
from datetime import timezone as _iso_zone_class_


def _date_iso_(text):
    whole = _iso_text_(text)
    parts = _iso_day_(whole, len(whole)) if len(whole) in (7, 8, 10) else None
    if parts is None:
        raise ValueError(f"Invalid isoformat string: {text!r}")
    return _iso_date_class_(*parts)


def _time_iso_(text):
    whole = _iso_text_(text)
    parts = _iso_clock_(whole[1:] if whole[:1] == "T" else whole)
    if parts is None:
        raise ValueError(f"Invalid isoformat string: {text!r}")
    return _iso_time_class_(*parts[:4], tzinfo=_iso_zone_(parts))


def _datetime_iso_(text):
    whole = _iso_text_(text)
    place = _iso_place_(whole, len(whole)) if len(whole) >= 7 else 0
    day = _iso_day_(whole, place) if place > 0 else None
    parts = (0, 0, 0, 0, None, 0)
    if day is not None and len(whole) > place:
        # A sign of several bytes may stand between them as well.
        first = ord(whole[place])
        wide = 1 if first < 128 else 3 if first // 16 == 14 else 4 if first // 16 == 15 else 2
        parts = _iso_clock_(whole[place + wide :])
    if day is None or parts is None:
        raise ValueError(f"Invalid isoformat string: {text!r}")
    return _iso_datetime_class_(*day, *parts[:4], tzinfo=_iso_zone_(parts))


def _iso_text_(text):
    if not isinstance(text, str):
        raise TypeError("fromisoformat: argument must be str")
    return text if text.isascii() else "".join([chr(byte) for byte in text.encode()])


def _iso_digits_(text, place, count):
    """Return the number that begins there, or -1."""
    part = text[place : place + count]
    return int(part) if len(part) == count and part.isascii() and part.isdigit() else -1


def _iso_day_(text, size):
    year, place = _iso_digits_(text, 0, 4), 4
    if year < 0:
        return None
    apart = text[place : place + 1] == "-"
    place += apart
    if text[place : place + 1] == "W":
        week, day, place = _iso_digits_(text, place + 1, 2), 1, place + 3
        if week < 0:
            return None
        if place < size:
            if apart and text[place : place + 1] != "-":
                return None
            day = _iso_digits_(text, place + apart, 1)
        return _iso_of_week_(year, week, day)
    month, place = _iso_digits_(text, place, 2), place + 2
    if month < 0 or (apart and text[place : place + 1] != "-"):
        return None
    day = _iso_digits_(text, place + apart, 2)
    return None if day < 0 else (year, month, day)


def _iso_of_week_(year, week, day):
    if year < 1 or day < 1 or day > 7 or week < 1 or week > 53:
        return None
    first = _iso_date_class_(year, 1, 1).weekday()
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if week == 53 and not (first == 3 or (first == 2 and leap)):
        return None
    days = 7 * (week - 1) + day - 1 - first + (7 if first > 3 else 0)
    if year == 1 and days < 0:
        return None
    if year == 9999 and days > 364:
        raise ValueError("year 10000 is out of range")
    found = _iso_date_class_(year, 1, 1) + _iso_span_class_(days=days)
    return (found.year, found.month, found.day)


def _iso_place_(text, size):
    """Return where the date ends and the time begins."""
    if size == 7:
        return 7
    if text[4] == "-":
        if text[5] != "W":
            return 10
        if size > 8 and text[8] == "-":
            if size == 9:
                return -1
            return 8 if _iso_digits_(text, 10, 1) >= 0 else 10
        return 8
    if text[4] != "W":
        return 8
    place = 7
    while place < size and _iso_digits_(text, place, 1) >= 0:
        place += 1
    if place < 9:
        return place
    return 7 if place % 2 == 0 else 8


def _iso_clock_(text):
    """Return hour, minute, second, microsecond, and the offset in seconds and microseconds, or None."""
    signs = [place for place in range(len(text)) if text[place] in "+-Z"]
    end = signs[0] if signs and signs[0] > 0 else len(text)
    parts = _iso_hours_(text, end)
    if parts is None:
        return None
    if end == len(text):
        return None if parts[4] else (*parts[:4], None, 0)
    if text[end] == "Z":
        return (*parts[:4], 0, 0) if end + 1 == len(text) else None
    zone = _iso_hours_(text[end + 1 :], len(text) - end - 1)
    if zone is None or zone[4]:
        return None
    sign = -1 if text[end] == "-" else 1
    return (*parts[:4], sign * (3600 * zone[0] + 60 * zone[1] + zone[2]), sign * zone[3])


def _iso_hours_(text, end):
    """Return the numbers, and whether something stands between the last of them and the end."""
    found, place, apart = [0, 0, 0], 0, True
    for which in range(3):
        found[which] = _iso_digits_(text, place, 2)
        if found[which] < 0:
            return None
        sign = text[place + 2 : place + 3]
        place += 3
        if which == 0:
            apart = sign == ":"
        if place >= end:
            return (*found, 0, sign != "")
        if apart and sign == ":":
            continue
        if sign == "." or sign == ",":
            break
        if apart:
            return None
        place -= 1
    count = min(end - place, 6)
    micro = _iso_digits_(text, place, count)
    if micro < 0:
        return None
    place += count
    while _iso_digits_(text, place, 1) >= 0:
        place += 1
    return (*found, micro * 10 ** (6 - count), text[place : place + 1] != "")


def _iso_zone_(parts):
    if parts[4] is None:
        return None
    if parts[5]:
        _lacks_("an offset with parts of a second cannot be read here")
    return _iso_zone_class_(_iso_span_class_(seconds=parts[4]))
