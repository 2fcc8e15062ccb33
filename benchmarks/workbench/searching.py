"""How the rows that a request means are found: one search tool a domain, and its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from benchmarks.workbench.periods import Period

Arguments: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says about the rows that are meant."""

    request: str
    persons: tuple[str, ...]
    """Addresses of those whose rows are meant."""
    values: Mapping[str, tuple[str, ...]]
    """Per search argument, the values of the database that the request names."""
    periods: tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """How the rows of one domain are found."""

    tool: str
    key: str
    topic: re.Pattern[str]
    """Words that speak of what the domain holds."""
    arguments: Callable[[Wanted], list[Arguments]]
    """The arguments of each search that the request asks for; empty ones where it names nothing."""


def _calendar(wanted: Wanted) -> list[Arguments]:
    events, plain = wanted.values.get("event_name", ()), [period for period in wanted.periods if not period.free]
    queries = [{"query": query} for query in events or wanted.persons]
    times = [_times(period) for period in plain]
    searches: list[Arguments] = []
    if queries or times:
        searches = [{**query, **time} for query, time in product(queries or [{}], times or [{}])]
    return searches + [_times(period) for period in wanted.periods if period.free]


def _times(period: Period) -> Arguments:
    start = {"time_min": f"{period.start} 00:00:00"} if period.start else {}
    return start | ({"time_max": f"{period.end} 23:59:59"} if period.end else {})


def _email(wanted: Wanted) -> list[Arguments]:
    subjects = wanted.values.get("subject", ()) or ("",)
    queries = [" ".join(filter(None, pair)) for pair in product(wanted.persons or ("",), subjects)]
    days = [_bounds("date", period) for period in wanted.periods]
    return [{**({"query": query} if query else {}), **day} for query, day in product(queries, days or [{}])]


def _customers(wanted: Wanted) -> list[Arguments]:
    date = "follow_up_by" if re.search(r"\bfollow", wanted.request, re.IGNORECASE) else "last_contact_date"
    return _product(
        [{"assigned_to_email": person} for person in wanted.persons],
        *([{argument: value} for value in values] for argument, values in wanted.values.items()),
        [_bounds(date, period) for period in wanted.periods],
    )


def _projects(wanted: Wanted) -> list[Arguments]:
    due = [period.start for period in wanted.periods if period.start and period.start == period.end]
    return _product(
        [{"assigned_to_email": person} for person in wanted.persons],
        *([{argument: value} for value in values] for argument, values in wanted.values.items()),
        [{"due_date": str(day)} for day in due],
    )


def _bounds(field: str, period: Period) -> Arguments:
    start = {f"{field}_min": str(period.start)} if period.start else {}
    return start | ({f"{field}_max": str(period.end)} if period.end else {})


def _product(*choices: list[Arguments]) -> list[Arguments]:
    # One search for each combination: "either qualified or in proposal" is two.
    combined: list[Arguments] = [{}]
    for options in filter(None, choices):
        combined = [{**chosen, **option} for chosen in combined for option in options]
    return list(combined)


SEARCHES = {
    "email": Search(
        "email_search_emails",
        "email_id",
        re.compile(r"\b(?:received|inbox|heard|emails? (?:from|about)|(?:last|latest) emails?)\b", re.IGNORECASE),
        _email,
    ),
    "calendar": Search(
        "calendar_search_events",
        "event_id",
        re.compile(r"\b(?:meetings?|met|events?|free|available|calendar|booked)\b", re.IGNORECASE),
        _calendar,
    ),
    "project_management": Search(
        "project_management_search_tasks",
        "task_id",
        re.compile(r"\b(?:tasks?|overdue|due|backlog|board|in progress|in review)\b", re.IGNORECASE),
        _projects,
    ),
    "customer_relationship_manager": Search(
        "customer_relationship_manager_search_customers",
        "customer_id",
        re.compile(r"\b(?:customers?|leads?|clients?|crm)\b", re.IGNORECASE),
        _customers,
    ),
}
