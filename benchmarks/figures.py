"""The figures of a stream, made from what was observed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from pydantic import computed_field

from benchmarks.economics import Baseline, BreakEven, break_even
from benchmarks.scoring import percentile, upper_bound, wrong_hit
from benchmarks.sending import Observation, Spent
from seglam_agents.records.outcome import Deopt, Hit, Miss, Refused
from seglam_agents.records.record import Json, Record
from seglam_agents.records.usage import Usage


class Counts(Record):
    """What came of the requests of one kind, or of all of them."""

    requests: int
    hits: int
    right_hits: int
    wrong_hits: int
    """Hits that are not right; those without a known right answer are among them."""
    wrong_by_rounding: int
    """How many of the wrong hits are less than 1 away from a right answer that is a whole number."""
    misses: int
    deopts: int
    refused: int
    errors: int
    """Requests at which the cache raised an error."""
    answerable: int
    """Requests whose right answer is known."""
    right_answers: int
    """Right answers, whoever gave them."""
    later_requests: int
    """Requests of each kind from its third on."""
    later_hits: int
    compile: Usage
    repair: Usage
    interpret: Usage
    learned: dict[str, int]
    """What came of learning: admitted, widened, rejected, not crystallizable, deferred, failed."""

    @computed_field
    @property
    def later_share(self) -> float | None:
        """The share of hits from the third request of a kind on."""
        return self.later_hits / self.later_requests if self.later_requests else None

    @property
    def model_usage(self) -> Usage:
        """Everything spent on the model."""
        return self.compile + self.repair + self.interpret

    @property
    def kept(self) -> int:
        """Procedures admitted and widened."""
        return self.learned.get("admitted", 0) + self.learned.get("widened", 0)


class WrongHit(Record):
    """A hit that is not right."""

    request: str
    kind: str
    near_miss: bool
    given: Json
    right: Json
    verdict: str
    procedure: str


class Group(Record):
    """Several outcomes with the same explanation."""

    what: str
    where: str
    """The stage at which the nearest guard stopped; empty where no guard was asked."""
    count: int
    example: str
    detail: str
    """What the nearest guard said of the example."""


class Latency(Record):
    """Milliseconds of the hits of a stream."""

    hits: int
    measured_p50: float | None
    measured_p99: float | None
    """By the cache itself: the sum of the stages of a lookup."""
    wall_p50: float | None
    wall_p99: float | None
    """By the clock on the wall, around the call."""


class Bound(Record):
    """A rate of wrong hits with its 95 % upper bound."""

    wrong: int
    trials: int
    upper: float

    @computed_field
    @property
    def rate(self) -> float | None:
        """The rate itself; None where nothing was tried."""
        return self.wrong / self.trials if self.trials else None


class Learning(Record):
    """What procedures cost."""

    calls_per_admitted: float | None
    """Calls for compiling and repairing, also in vain, by procedures admitted or widened."""
    all_calls_per_admitted: float | None
    """The same with every other call: second opinions, and requests that the model answered itself."""
    output_tokens_per_procedure: float | None
    """The median over the procedures admitted or widened."""
    refusals: list[Group]
    """Why nothing was stored."""


class Course(Record):
    """What each request of the stream cost, in order; near misses are left out."""

    tokens: list[int]
    calls: list[int]


class Figures(Record):
    """Everything that is reported of a stream."""

    kinds: dict[str, Counts]
    total: Counts
    near_miss_kinds: dict[str, Counts]
    near_misses: Counts
    near_misses_before_cached: int
    """Near misses whose kind was not in the cache when they were sent."""
    wrong_hits: list[WrongHit]
    misses: list[Group]
    near_misses_declined: list[Group]
    errors: list[Group]
    learning: Learning
    latency: Latency
    wrong_of_hits: Bound
    """Of all hits, near misses included."""
    wrong_of_near_misses: Bound
    """Of all near misses that were sent after their kind was cached."""
    baseline: Baseline
    break_even: BreakEven | None
    course: Course


def figures(observations: Sequence[Observation], baseline: Baseline) -> Figures:
    """Return the figures of what was observed."""
    stream = [o for o in observations if not o.near_miss]
    near = [o for o in observations if o.near_miss]
    tested = [o for o in near if o.cached or o.row.kind is None]
    course = Course(tokens=[o.spent.total.tokens for o in stream], calls=[o.spent.total.calls for o in stream])
    each = baseline.tokens_per_request
    return Figures(
        kinds=_by_kind(stream),
        total=count(stream),
        near_miss_kinds=_by_kind(near),
        near_misses=count(near),
        near_misses_before_cached=len(near) - len(tested),
        wrong_hits=[_wrong(o, o.outcome) for o in observations if isinstance(o.outcome, Hit) and wrong_hit(o.verdict)],
        misses=explained(stream),
        near_misses_declined=explained(near),
        errors=_grouped((o, o.error, "", "") for o in observations if o.error),
        learning=_learning(observations),
        latency=_latency(observations),
        wrong_of_hits=_bound([o for o in observations if isinstance(o.outcome, Hit)]),
        wrong_of_near_misses=_bound(tested),
        baseline=baseline,
        break_even=None if each is None else break_even(course.tokens, each),
        course=course,
    )


def count(observations: Sequence[Observation]) -> Counts:
    """Count what came of some requests."""
    hits = [o for o in observations if isinstance(o.outcome, Hit)]
    later = _later(observations)
    spent = sum((o.spent for o in observations), Spent())
    return Counts(
        requests=len(observations),
        hits=len(hits),
        right_hits=sum(not wrong_hit(o.verdict) for o in hits),
        wrong_hits=sum(wrong_hit(o.verdict) for o in hits),
        wrong_by_rounding=sum(o.verdict == "off by rounding" for o in hits),
        misses=sum(isinstance(o.outcome, Miss) for o in observations),
        deopts=sum(isinstance(o.outcome, Deopt) for o in observations),
        refused=sum(isinstance(o.outcome, Refused) for o in observations),
        errors=sum(o.outcome is None for o in observations),
        answerable=sum(o.row.answer is not None for o in observations),
        right_answers=sum(o.verdict == "right" for o in observations),
        later_requests=len(later),
        later_hits=sum(isinstance(o.outcome, Hit) for o in later),
        compile=spent.compile,
        repair=spent.repair,
        interpret=spent.interpret,
        learned=dict(Counter(o.learned.status for o in observations if o.learned)),
    )


def explained(observations: Iterable[Observation]) -> list[Group]:
    """Group misses by their reason and the stage at which the nearest guard stopped, most frequent first."""
    missed = ((o, o.outcome) for o in observations if isinstance(o.outcome, Miss))
    return _grouped(
        (o, outcome.reason, o.stops[0].stage if o.stops else "", o.stops[0].reason if o.stops else "")
        for o, outcome in missed
    )


def _by_kind(observations: Iterable[Observation]) -> dict[str, Counts]:
    groups: defaultdict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        groups[observation.row.group].append(observation)
    return {group: count(groups[group]) for group in sorted(groups)}


def _later(observations: Iterable[Observation]) -> list[Observation]:
    seen: Counter[str] = Counter()
    later: list[Observation] = []
    for observation in observations:
        kind = observation.row.kind
        if kind is not None:
            seen[kind] += 1
            if seen[kind] > 2:
                later.append(observation)
    return later


def _wrong(observation: Observation, hit: Hit) -> WrongHit:
    return WrongHit(
        request=observation.row.request,
        kind=observation.row.group,
        near_miss=observation.near_miss,
        given=hit.answer,
        right=observation.row.answer,
        verdict=observation.verdict,
        procedure=hit.citation.key,
    )


def _learning(observations: Sequence[Observation]) -> Learning:
    kept = [o for o in observations if o.admitted]
    calls = sum(o.spent.learning.calls for o in observations)
    refused = ((o, o.learned) for o in observations if o.learned and not o.admitted)
    return Learning(
        calls_per_admitted=calls / len(kept) if kept else None,
        all_calls_per_admitted=sum(o.spent.total.calls for o in observations) / len(kept) if kept else None,
        output_tokens_per_procedure=median(o.spent.learning.output_tokens for o in kept) if kept else None,
        refusals=_grouped((o, f"{learned.status}: {learned.reason}", "", "") for o, learned in refused),
    )


def _latency(observations: Iterable[Observation]) -> Latency:
    hits = [(o.outcome.timing.total * 1e3, o.seconds * 1e3) for o in observations if isinstance(o.outcome, Hit)]
    measured, wall = [pair[0] for pair in hits], [pair[1] for pair in hits]
    return Latency(
        hits=len(hits),
        measured_p50=percentile(measured, 0.5),
        measured_p99=percentile(measured, 0.99),
        wall_p50=percentile(wall, 0.5),
        wall_p99=percentile(wall, 0.99),
    )


def _bound(observations: Sequence[Observation]) -> Bound:
    wrong = sum(isinstance(o.outcome, Hit) and wrong_hit(o.verdict) for o in observations)
    return Bound(wrong=wrong, trials=len(observations), upper=upper_bound(wrong, len(observations)))


def _grouped(cases: Iterable[tuple[Observation, str, str, str]]) -> list[Group]:
    groups: dict[tuple[str, str], Group] = {}
    for observation, what, where, detail in cases:
        general = _general(what)
        known = groups.get((general, where))
        groups[general, where] = (
            known.model_copy(update={"count": known.count + 1})
            if known
            else Group(what=general, where=where, count=1, example=observation.row.request, detail=detail)
        )
    return sorted(groups.values(), key=lambda group: -group.count)


def _general(text: str) -> str:
    """Return a reason without what is particular to one request: quoted pieces, numbers, keys."""
    return _PARTICULAR.sub("…", text)


_PARTICULAR = re.compile(r"'(?:[^'\\]|\\.)*'(?!\w)|\"[^\"]*\"|\b[\w-]+@\d+|\b[0-9a-f]{12,}\b|\b\d[\d.,]*\b")
