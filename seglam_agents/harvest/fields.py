"""Looks into JSON of unknown shape: nothing here fails on a field that is missing or of another type."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from seglam_agents.records.errors import SeglamError
from seglam_agents.records.record import Json

SECOND = 1_000_000_000
"""In nanoseconds, the unit of OpenTelemetry's clocks."""


class UnreadableRun(SeglamError):
    """A recorded run cannot be learnt from; the message says why."""


def table(value: Json) -> dict[str, Json]:
    """Return an object as it is, and an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def rows(value: Json) -> list[Json]:
    """Return a list as it is, and an empty one for everything else."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str:
    """Return a text as it is, and an empty one for everything else."""
    return value if isinstance(value, str) else ""


def first(values: Iterable[Json]) -> Json:
    """Return the first value that is there, else None."""
    return next((value for value in values if value not in (None, "", [], {})), None)


def from_json(document: str) -> Json:
    """Read JSON. NaN and infinities become texts, as in every `Record`.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        read: Json = json.loads(document, parse_constant=str)
        return read
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parsed(value: Json) -> Json:
    """Return what a text says in JSON, and everything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


def literal(value: str) -> Json:
    """Return what a text says in JSON or as a Python literal, else the text itself."""
    found = parsed(value)
    if not isinstance(found, str) or found != value:
        return found
    try:
        # Through JSON, so that tuples become lists, and sets and bytes are refused.
        return from_json(json.dumps(ast.literal_eval(value.strip())))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def whole_number(value: Json) -> int:
    """Return a number that may be written as a text, as whole numbers are in OTLP-JSON; else 0."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 30 else 0


def nanoseconds(value: Json) -> int | None:
    """Return a moment since 1970: from ISO 8601, or from a number whose size tells its unit."""
    number = whole_number(value)
    if number > 0:
        for bound, unit in ((10**11, SECOND), (10**14, 10**6), (10**17, 10**3)):
            if number < bound:
                return int(value * unit) if isinstance(value, (int, float)) else number * unit
        return number
    try:
        read = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    since = (read if read.tzinfo else read.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000


def moment(nanosecond: int | None) -> datetime | None:
    """Return a moment as a date and time; None where no calendar has it."""
    try:
        return None if nanosecond is None else datetime.fromtimestamp(nanosecond / SECOND, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def seconds_between(start: int | None, end: int | None) -> float:
    """Return how long something took; 0 where it is not known."""
    return max(0, end - start) / SECOND if start is not None and end is not None else 0.0
