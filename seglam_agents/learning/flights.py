"""`Flights`: of several requests of one kind, one compiles and the others wait."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Flight:
    """A compilation under way."""

    done: Future[None]
    leads: bool
    """True for the one that compiles; the others wait until it is `done`."""


@dataclass(slots=True)
class Flights:
    """The flights of one process; safe to share between threads."""

    _flights: dict[str, Future[None]] = field(default_factory=dict[str, "Future[None]"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def board(self, key: str) -> Generator[Flight]:
        """Join the flight of a kind, or lead it; who leads lands it on leaving, however that comes about."""
        flight = self.join(key)
        try:
            yield flight
        finally:
            if flight.leads:
                self._land(key, flight)

    def join(self, key: str) -> Flight:
        """Return the flight of a kind; who leads it must land it."""
        with self._lock:
            known = self._flights.get(key)
            flight = Flight(known or Future(), leads=known is None)
            self._flights.setdefault(key, flight.done)
            return flight

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._flights)

    def _land(self, key: str, flight: Flight) -> None:
        with self._lock:
            self._flights.pop(key, None)
        flight.done.set_result(None)
