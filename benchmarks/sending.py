"""Sends a stream to a cache, one request after the other, and notes what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from benchmarks.rows import NearMissSchedule, Row
from benchmarks.scoring import Verdict, compare
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.outcome import CacheStatistics, Explanation, Hit, Learned, Miss, Outcome, Stop
from seglam_agents.records.record import Json
from seglam_agents.records.usage import Usage

Path: TypeAlias = Literal["answer", "lookup"]

MAX_ERRORS = 10
"""Errors in a row after which a stream ends: then something is broken, and every further request would say the same."""


class Cache(Protocol):
    """The part of `ReasoningCache` that is measured."""

    def answer(self, request: str, *, context: Mapping[str, Json] | None = None) -> Outcome:
        """Answer a request, and learn from it."""
        ...

    def lookup(self, request: str, *, context: Mapping[str, Json] | None = None) -> Outcome:
        """Answer a request from what is stored, or not at all."""
        ...

    def explain(self, request: str, *, context: Mapping[str, Json] | None = None) -> Explanation:
        """Say where each guard stopped."""
        ...

    def stats(self) -> CacheStatistics:
        """Return the sums so far."""
        ...


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request cost at the model, by purpose."""

    compile: Usage = field(default_factory=Usage)
    repair: Usage = field(default_factory=Usage)
    interpret: Usage = field(default_factory=Usage)

    @property
    def learning(self) -> Usage:
        """What was spent on writing procedures."""
        return self.compile + self.repair

    @property
    def total(self) -> Usage:
        """Everything."""
        return self.learning + self.interpret

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.compile + other.compile, self.repair + other.repair, self.interpret + other.interpret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One request that was sent, and what came of it."""

    position: int
    """The request of the stream, counted from 0, that it was or that it followed."""
    row: Row
    near_miss: bool
    path: Path
    cached: bool
    """Whether its kind was in the cache when it was sent."""
    outcome: Outcome | None
    """None where the cache raised an error."""
    verdict: Verdict
    error: str
    seconds: float
    """Wall clock time of the call."""
    spent: Spent
    stops: tuple[Stop, ...]

    @property
    def learned(self) -> Learned | None:
        """What the cache learned from the request."""
        return self.outcome.learned if isinstance(self.outcome, Miss) else None

    @property
    def admitted(self) -> bool:
        """Whether a procedure was stored, or an existing one widened."""
        return self.learned is not None and self.learned.status in ("admitted", "widened")


class Sender:
    """Sends one stream; iterate over it once.

    Args:
        cache: what is measured. It sees requests and contexts, never kinds or answers.
        rows: the stream, in the order in which it is sent.
        near_misses: what must not be taken for a request of the stream.
        near_miss_path: whether near misses may be learned from ("answer") or not ("lookup").
        seed: where in the stream the near misses are sent.
    """

    def __init__(
        self,
        cache: Cache,
        rows: Sequence[Row],
        near_misses: Sequence[Row] = (),
        *,
        near_miss_path: Path = "lookup",
        seed: int = 0,
    ) -> None:
        self._cache = cache
        self._rows = rows
        self._schedule = NearMissSchedule(near_misses, seed=seed, length=len(rows))
        self._near_miss_path: Path = near_miss_path
        self._cached: set[str | None] = set()
        self._errors = 0

    def __iter__(self) -> Iterator[Observation]:
        for position, row in enumerate(self._rows):
            observation = self._send(position, row)
            self._note(observation)
            yield observation
            for near_miss in self._schedule.due(position):
                yield self._send(position, near_miss, near_miss=True)
            if self._errors >= MAX_ERRORS:
                return
        for near_miss in self._schedule.rest():
            yield self._send(len(self._rows) - 1, near_miss, near_miss=True)

    def _note(self, observation: Observation) -> None:
        if isinstance(observation.outcome, Hit) or observation.admitted:
            self._cached.add(observation.row.kind)
            self._schedule.cached(observation.row.kind, observation.position)

    def _send(self, position: int, row: Row, *, near_miss: bool = False) -> Observation:
        path: Path = self._near_miss_path if near_miss else "answer"
        before = _booked(self._cache)
        started = time.perf_counter()
        outcome, error = self._ask(row, path)
        seconds = time.perf_counter() - started
        return Observation(
            position=position,
            row=row,
            near_miss=near_miss,
            path=path,
            cached=row.kind in self._cached,
            outcome=outcome,
            verdict=compare(outcome.answer if outcome else None, row.answer),
            error=error,
            seconds=seconds,
            spent=_difference(_booked(self._cache), before),
            stops=self._stops(row, outcome),
        )

    def _ask(self, row: Row, path: Path) -> tuple[Outcome | None, str]:
        call = self._cache.answer if path == "answer" else self._cache.lookup
        try:
            outcome = call(row.request, context=row.context or None)
        except SeglamError as error:
            self._errors += 1
            return None, f"{type(error).__name__}: {error}"
        self._errors = 0
        return outcome, ""

    def _stops(self, row: Row, outcome: Outcome | None) -> tuple[Stop, ...]:
        if not isinstance(outcome, Miss):
            return ()
        if outcome.learned is not None and outcome.learned.procedure is not None:
            return outcome.stops  # to explain it now would be to ask the guard that was stored since
        try:
            return self._cache.explain(row.request, context=row.context or None).stops or outcome.stops
        except SeglamError:
            return outcome.stops


def _booked(cache: Cache) -> Spent:
    statistics = cache.stats()
    return Spent(statistics.compile, statistics.repair, statistics.interpret)


def _difference(after: Spent, before: Spent) -> Spent:
    return Spent(
        _less(after.compile, before.compile),
        _less(after.repair, before.repair),
        _less(after.interpret, before.interpret),
    )


def _less(after: Usage, before: Usage) -> Usage:
    return Usage(
        input_tokens=after.input_tokens - before.input_tokens,
        output_tokens=after.output_tokens - before.output_tokens,
        calls=after.calls - before.calls,
        seconds=max(0.0, after.seconds - before.seconds),
    )
