"""`Way`: what runs that agree with a procedure under other conditions have shown, one way through its body each.

New instructions may move a limit, close a word or end a habit, and runs that happen to agree do not say so. What they
do say is kept here: which ways they went, and within which values. Everything else is the model's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from seglam_agents.records.record import Record

MAX_WAYS = 32
"""Ways that are kept of a procedure."""
MAX_RUNS = 64
"""Runs of a way that are told apart."""
MAX_TEXTS = 128
"""Different texts that are kept of a place."""
OPEN_FROM = 3
"""Different texts, none of them twice, from which on a place is taken to hold names rather than states."""


class Seen(Record):
    """What was seen at one place: an argument, a path into the results of a tool, or into the answer."""

    kinds: tuple[str, ...] = ()
    """Of what sort it was, sorted: `number`, `true`, the keys of an object, the shape of an id."""
    low: float | None = None
    high: float | None = None
    texts: tuple[str, ...] = ()
    """Digests of its texts, each once."""
    times: int = 0
    """How often a text was there: more often than there are texts, and some came again."""

    @property
    def closed(self) -> bool:
        """True where its texts are states rather than names, so that no other one stands for them."""
        return self.times > len(self.texts) or len(self.texts) < OPEN_FROM or len(self.texts) >= MAX_TEXTS

    def with_more(self, other: Seen) -> Seen:
        """Return what was seen here and there."""
        return Seen(
            kinds=tuple(sorted({*self.kinds, *other.kinds})),
            low=min(_numbers(self.low, other.low), default=None),
            high=max(_numbers(self.high, other.high), default=None),
            texts=tuple(dict.fromkeys((*self.texts, *other.texts)))[:MAX_TEXTS],
            times=self.times + other.times,
        )

    def problem(self, other: Seen) -> str | None:
        """Return what about another sight goes beyond this one, or None."""
        if strange := sorted({*other.kinds}.difference(self.kinds)):
            return f"is {strange[0]}, which was not seen there"
        if other.low is not None and (self.low is None or other.low < self.low):
            return f"is {other.low:g}, and nothing below {self.low if self.low is not None else 0:g} was seen"
        if other.high is not None and (self.high is None or other.high > self.high):
            return f"is {other.high:g}, and nothing above {self.high if self.high is not None else 0:g} was seen"
        if self.closed and not {*other.texts} <= {*self.texts}:
            return "is a text that was not seen there"
        return None


class Way(Record):
    """One way through a body, with what was seen on it. That of one run, or of several together."""

    steps: tuple[str, ...] = ()
    """Which tools were called and which branches were taken, sorted, each once."""
    form: str = ""
    """That of the answer: what it says without the values that are in it. Empty where it is not there yet."""
    runs: tuple[str, ...] = ()
    """The runs that went it, each as a digest of its arguments and one of its results."""
    places: dict[str, Seen] = Field(default_factory=dict[str, Seen])

    @property
    def different(self) -> int:
        """How many runs say different things: by their arguments, or by their results where there is none of these."""
        return len({run.partition(":")[0] or run for run in self.runs})

    def with_more(self, other: Way) -> Way:
        """Return this way with what further runs showed; nothing new where they are known."""
        if {*other.runs} <= {*self.runs}:
            return self
        places = {
            name: self.places.get(name, Seen()).with_more(other.places.get(name, Seen()))
            for name in (*self.places, *(name for name in other.places if name not in self.places))
        }
        return self.model_copy(update={"runs": (*self.runs, *other.runs)[:MAX_RUNS], "places": places})

    def problem(self, run: Way, *, ended: bool) -> str | None:
        """Return what about a run goes beyond this way, or None.

        Args:
            run: as far as it came.
            ended: whether it came to its answer.
        """
        if (ended and (self.steps, self.form) != (run.steps, run.form)) or not {*run.steps} <= {*self.steps}:
            return "no run that agrees went this way"
        problems = (_problem(name, self.places.get(name), seen) for name, seen in run.places.items())
        return next((problem for problem in problems if problem), None)


def added(ways: Iterable[Way], run: Way) -> tuple[Way, ...]:
    """Return the ways with that of one more run."""
    known = {(way.steps, way.form): way for way in ways}
    key = (run.steps, run.form)
    if key not in known and len(known) >= MAX_WAYS:
        return tuple(known.values())
    return tuple({**known, key: known[key].with_more(run) if key in known else run}.values())


def beyond(ways: Iterable[Way], run: Way, *, needed: int, ended: bool) -> str | None:
    """Return why what enough runs have shown says nothing of a run, or None where it does.

    Args:
        ways: what the runs that agree have shown.
        run: as far as it came.
        needed: runs that make a way known.
        ended: whether it came to its answer.
    """
    problems = [way.problem(run, ended=ended) for way in ways if way.different >= needed]
    if None in problems:
        return None
    told = [problem for problem in problems if problem and not problem.startswith("no run")]
    return (told or problems or [f"no {needed} different runs agree on any way yet"])[0]


def shown(sights: Iterable[tuple[str, Seen]]) -> Mapping[str, Seen]:
    """Return what was seen, by place."""
    places: dict[str, Seen] = {}
    for name, seen in sights:
        places[name] = places.get(name, Seen()).with_more(seen)
    return places


def _problem(name: str, known: Seen | None, seen: Seen) -> str | None:
    problem = known.problem(seen) if known is not None else "was not there"
    return f"`{name}` {problem}" if problem else None


def _numbers(*numbers: float | None) -> list[float]:
    return [number for number in numbers if number is not None]
