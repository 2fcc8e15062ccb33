"""Days and periods that a request names, as dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

from benchmarks.workbench.clock import LAST_DAY, NOW

TODAY = NOW.date()
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RELATIVE = {"yesterday": -1, "today": 0, "tomorrow": 1}
DAYS = {"day": 1, "week": 7, "month": 30}

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DAY = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d\d-\d\d)|{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    rf"|(?:(?P<which>last|past|previous)\s+)?(?P<weekday>{'|'.join(WEEKDAYS)})"
    rf"|(?P<relative>{'|'.join(RELATIVE)}))\b",
    re.IGNORECASE,
)
SPAN = re.compile(r"\b(?:last|past|previous)\s+(?P<count>\d+)\s+(?P<unit>day|week|month)s?\b", re.IGNORECASE)
SILENCE = re.compile(
    r"(?:n['’]t|\bnot|\bnever|\bno\b)[^.?!]*\b(?:in|for)\s+(?P<count>\d+)\s+(?P<unit>day|week|month)s?\b", re.IGNORECASE
)
COMING = re.compile(
    rf"\b(?:next(?!\s+(?:{'|'.join(WEEKDAYS)}|day|week|month))|future|upcoming|coming|remaining)\b", re.IGNORECASE
)
OPEN_END = re.compile(r"\b(?:since|after|from)\s+(?:the\s+)?$", re.IGNORECASE)
OPEN_START = re.compile(r"\b(?:before|until|till|by)\s+(?:the\s+)?$", re.IGNORECASE)
FREE = re.compile(r"\b(?:free|available)\b[^.?!]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from a first to a last one, either of which may be open."""

    start: date | None = None
    end: date | None = None
    free: bool = False
    """Whether a free slot in it is asked for, so that everything in it counts."""


def periods(request: str, *, past: bool) -> list[Period]:
    """Return the periods of a request, in its order.

    Args:
        request: its text.
        past: whether a bare weekday is the one before now (as of visits) or the one to come (as of meetings).
    """
    found = sorted([*_spans(request), *_days(request, past)], key=lambda item: item[0])
    if not found and not past and COMING.search(request):
        return [Period(start=TODAY)]
    return list(dict.fromkeys(period for _, period in found))


def named_days(request: str, *, past: bool) -> list[date]:
    """Return the days that a request names, and the first days of its periods up to now, in its order."""
    found = [(match.start(), day) for match, day in _named(request, past)]
    found += [(match.start(), TODAY - _length(match)) for match in SPAN.finditer(request)]
    return list(dict.fromkeys(day for _, day in sorted(found)))


def _spans(request: str) -> Iterator[tuple[int, Period]]:
    for match in SPAN.finditer(request):
        yield match.start(), Period(TODAY - _length(match), LAST_DAY)
    for match in SILENCE.finditer(request):
        if not SPAN.search(match[0]):
            yield match.start(), Period(end=TODAY - _length(match))


def _days(request: str, past: bool) -> Iterator[tuple[int, Period]]:
    for match, day in _named(request, past):
        before = request[: match.start()]
        free = FREE.search(before) is not None
        # The first free slot from a day on is most likely on that day: one looks there first.
        open_end = OPEN_END.search(before) is not None and not free
        yield match.start(), Period(None if OPEN_START.search(before) else day, None if open_end else day, free)


def _named(request: str, past: bool) -> Iterator[tuple[re.Match[str], date]]:
    for match in DAY.finditer(request):
        with suppress(ValueError):  # "you may 40 times" names no day
            yield match, _day(match, past)


def _day(match: re.Match[str], past: bool) -> date:
    if match["iso"]:
        return date.fromisoformat(match["iso"])
    if match["relative"]:
        return TODAY + timedelta(days=RELATIVE[match["relative"].lower()])
    if match["weekday"]:
        return _weekday(match["weekday"].lower(), (match["which"] or "").lower(), past, match.string)
    return date(TODAY.year, MONTHS.index(match["month"][:3].lower()) + 1, int(match["day"]))


def _weekday(name: str, which: str, past: bool, request: str) -> date:
    ahead = (WEEKDAYS.index(name) - TODAY.weekday()) % 7 or 7
    if not past and not which:
        return TODAY + timedelta(days=ahead)
    behind = ahead - 7 or -7
    # "On Monday ... than the previous Monday" speaks of two Mondays, "the previous Monday" alone of the last one.
    earlier = which == "previous" and len(re.findall(name, request, re.IGNORECASE)) > 1
    return TODAY + timedelta(days=behind - 7 if earlier else behind)


def _length(match: re.Match[str]) -> timedelta:
    return timedelta(days=int(match["count"]) * DAYS[match["unit"].lower()])
