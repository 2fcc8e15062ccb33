"""What must not break its host: done, or told in the log and left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from seglam_agents.flow import Flow, work
from seglam_agents.records.telling import tell

logger = logging.getLogger("seglam_agents.hosting")

T = TypeVar("T")


def safely(function: Callable[[], T], otherwise: T, told: str, *, waits: tuple[type[Exception], ...] = ()) -> T:
    """Return what a function returns; where it raises, tell the log, and return something else.

    Args:
        function: what is tried.
        otherwise: what is returned in its place.
        told: what the log says.
        waits: what the host raises to wait for somebody: it passes.
    """
    try:
        return function()
    except waits:
        raise
    except Exception as error:
        tell(logger, told, error)
        return otherwise


@contextmanager
def unharmed(told: str) -> Generator[None]:
    """Do something that must not break its host: where it raises, tell the log, and leave the rest of it out."""
    try:
        yield
    except Exception as error:
        tell(logger, told, error)


def tried(function: Callable[[], T], otherwise: T, told: str, *, waits: tuple[type[Exception], ...] = ()) -> Flow[T]:
    """Do something that blocks from within a flow; where it raises, tell the log, and go on. See `safely`."""
    return (yield from work(lambda: safely(function, otherwise, told, waits=waits)))
