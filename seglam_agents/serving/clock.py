"""The declared clock of a cache, and what is said where it is broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast

from seglam_agents.records.errors import ClockError


def checked_clock(now: Callable[[], datetime]) -> Callable[[], datetime]:
    """Return a clock that either tells the time or raises a `ClockError` which says what to mend."""

    def read() -> datetime:
        try:
            told = cast(object, now())
        except Exception as error:
            raise ClockError(f"the clock of the cache (now=) raised {type(error).__name__}: {error}") from error
        if not isinstance(told, datetime):
            raise ClockError(f"the clock of the cache (now=) must return a datetime, not a {type(told).__name__}")
        return told

    return read
