"""Times whole hits through a cache, next to the same bodies without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, cast

import pydantic_monty as monty

from benchmarks.errors import UsageError
from benchmarks.generated import Generated, foreign_request
from benchmarks.scoring import percentile
from seglam_agents.records.outcome import Hit, Outcome, Timing
from seglam_agents.records.record import Record
from seglam_agents.records.values import Value, decode
from seglam_agents.sandboxes.checking import plain

STAGES = ("normalise", "index", "guards", "body")


class Lookup(Protocol):
    """The part of `ReasoningCache` that is timed."""

    def lookup(self, request: str) -> Outcome:
        """Answer a request from what is stored, or not at all."""
        ...


class Spread(Record):
    """Milliseconds of one thing that was timed many times."""

    p50: float
    p99: float


class Scenario(Record):
    """Hits of one kind of load."""

    name: str
    hits: int
    wall: Spread
    """Around the call."""
    measured: Spread
    """By the cache itself: the sum of the stages."""
    stages: dict[str, Spread]


class Comparison(Record):
    """Hits next to the same bodies with the same arguments, interleaved in one run."""

    hit: Spread
    warm: Spread
    """Called in one sandbox session that is kept, with the body already loaded."""
    floor: Spread
    """Called as a function of this process."""
    ratio: float
    """The median hit by the median warm call."""


@dataclass(slots=True)
class Samples:
    """Seconds, as they come."""

    wall: list[float] = field(default_factory=list[float])
    timings: list[Timing] = field(default_factory=list[Timing])
    warm: list[float] = field(default_factory=list[float])
    floor: list[float] = field(default_factory=list[float])

    def scenario(self, name: str) -> Scenario:
        """Summarise the hits."""
        stages = {stage: spread([cast(float, getattr(timing, stage)) for timing in self.timings]) for stage in STAGES}
        measured = spread([timing.total for timing in self.timings])
        return Scenario(name=name, hits=len(self.wall), wall=spread(self.wall), measured=measured, stages=stages)

    def comparison(self) -> Comparison:
        """Compare the hits with the warm calls and the plain ones."""
        hit, warm = spread(self.wall), spread(self.warm)
        return Comparison(hit=hit, warm=warm, floor=spread(self.floor), ratio=hit.p50 / warm.p50)


class WarmSession:
    """One sandbox session that is kept: what a call costs when nothing is made fresh for it."""

    def __init__(self, session: monty.MontySession) -> None:
        self._session = session

    def seconds(self, body: str, arguments: Mapping[str, Value]) -> float:
        """Load a body, call it once, then return the time of a second call."""
        inputs = {"_arguments_": plain(arguments)}
        self._session.feed_start(body)
        self._session.feed_start(_CALL, inputs=inputs)
        started = time.perf_counter()
        self._session.feed_start(_CALL, inputs=inputs)
        return time.perf_counter() - started


@contextmanager
def warm_session() -> Generator[WarmSession]:
    """Open a sandbox session with a worker of its own."""
    with monty.Monty(min_processes=1, max_processes=1) as pool, pool.checkout() as session:
        yield WarmSession(session)


def time_hits(
    cache: Lookup,
    targets: Sequence[Generated],
    hits: int,
    rng: Random,
    *,
    pace: float = 0.0,
    warm: WarmSession | None = None,
) -> Samples:
    """Time hits on procedures drawn at random.

    Args:
        cache: what is timed.
        targets: the procedures to draw from.
        hits: how many.
        rng: draws them, and the values of their requests.
        pace: seconds between two hits, in which the cache may prepare what comes next; 0 sends them back to back.
        warm: also time the same body in this session and in this process, after each hit.

    Raises:
        UsageError: a request did not hit.
    """
    samples = Samples()
    prepared = [(target, target.request(rng)) for target in rng.choices(targets, k=hits)]
    for target, request in prepared:
        hit, seconds = _timed_hit(cache, target, request)
        samples.wall.append(seconds)
        samples.timings.append(hit.timing)
        if warm is not None:
            _time_alone(samples, warm, target.entry.procedure.body, hit)
        if pace:
            time.sleep(pace)
    return samples


def time_misses(cache: Lookup, count: int, rng: Random) -> Spread:
    """Time requests that no procedure is meant for."""
    seconds: list[float] = []
    for request in [foreign_request(rng) for _ in range(count)]:
        started = time.perf_counter()
        outcome = cache.lookup(request)
        seconds.append(time.perf_counter() - started)
        if isinstance(outcome, Hit):
            raise UsageError(f"a foreign request hit {outcome.citation.key}: {request}")
    return spread(seconds)


def spread(seconds: Sequence[float]) -> Spread:
    """Return the median and the 99th percentile in milliseconds."""
    return Spread(p50=(percentile(seconds, 0.5) or 0.0) * 1e3, p99=(percentile(seconds, 0.99) or 0.0) * 1e3)


_CALL = "run(**_arguments_)"


def _timed_hit(cache: Lookup, target: Generated, request: str) -> tuple[Hit, float]:
    started = time.perf_counter()
    outcome = cache.lookup(request)
    seconds = time.perf_counter() - started
    if not isinstance(outcome, Hit):
        raise UsageError(f"no hit on {target.entry.procedure.key}: {request!r} gave {outcome!r}")
    return outcome, seconds


def _time_alone(samples: Samples, warm: WarmSession, body: str, hit: Hit) -> None:
    arguments = {name: decode(value) for name, value in hit.arguments.items()}
    samples.warm.append(warm.seconds(body, arguments))
    samples.floor.append(_floor_seconds(body, arguments))


def _floor_seconds(body: str, arguments: Mapping[str, Value]) -> float:
    names: dict[str, Callable[..., Value]] = {}
    exec(body, cast("dict[str, object]", names))  # noqa: S102  # made up by `generated`
    run = names["run"]
    run(**arguments)
    started = time.perf_counter()
    run(**arguments)
    return time.perf_counter() - started
