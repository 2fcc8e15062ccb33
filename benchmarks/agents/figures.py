"""The figures of a run, made from what was observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from pydantic import computed_field

from benchmarks.agents.sending import Observation, Side
from benchmarks.scoring import upper_bound
from seglam_agents.records.record import Record
from seglam_agents.records.usage import Usage

K = TypeVar("K", bound=Hashable)

ENOUGH = 0.6
"""The share of model calls that a stream has to save."""
REASON = 200
"""Characters of a reason that are told apart."""


class Counts(Record):
    """What came of some requests, with the cache and without."""

    requests: int
    right: int
    """Requests after which the databases were as the truth leaves them, with the cache."""
    right_without: int
    lost: int
    """Requests that were right without the cache and wrong with it."""
    doing_nothing: int
    """Requests that were right if nobody did anything."""
    changing: int
    """Requests whose right answer changes something."""
    changing_right: int
    changing_right_without: int
    hits: int
    deopts: int
    misses: int
    wrong_hits: int
    wrong_hits_upper: float
    """The one-sided 95 % bound (Clopper-Pearson) of the rate of wrong hits."""
    writes: int
    """Writes that procedures made."""
    wrong_writes: int
    """Those of them that the truth does not make."""
    repeated_writes: int
    """Writes made more often than the truth makes them, with the cache."""
    repeated_writes_without: int
    used: Usage
    """All model calls with the cache: the agent's, and those for compiling."""
    compiling: Usage
    """Those for compiling alone."""
    used_without: Usage

    @computed_field
    @property
    def saved(self) -> float | None:
        """The share of model calls that was saved."""
        return _saved(self.used.calls, self.used_without.calls)


class TemplateCounts(Record):
    """What came of the requests of one template; the agents never see templates."""

    requests: int
    hits: int
    deopts: int
    wrong: int
    admitted_after: int | None
    """Requests of the template until a procedure was first stored from one of them."""
    refusals: dict[str, int]
    give_ups: dict[str, int]


class Course(Record):
    """The model calls of each request, in the order of the stream."""

    cached: list[int]
    plain: list[int]


class Bar(Record):
    """Something that has to hold."""

    name: str
    value: str
    passed: bool


class Figures(Record):
    """Everything that is reported of a run."""

    total: Counts
    domains: dict[str, Counts]
    passes: list[Counts]
    passes_by_domain: list[dict[str, Counts]]
    deciles: list[float | None]
    """The share of model calls that was saved in each tenth of the stream."""
    learned: dict[str, int]
    refusals: dict[str, int]
    """Why nothing was stored, by reason."""
    give_ups: dict[str, int]
    missed: dict[str, int]
    templates: dict[str, TemplateCounts]
    wrong: list[str]
    """Requests that ended wrong with the cache."""
    course: Course
    bars: list[Bar]


def figures(observations: Sequence[Observation]) -> Figures:
    """Return the figures of what was observed."""
    total = count(observations)
    passes = [seen for _, seen in sorted(_by(observations, lambda o: o.item.turn).items())]
    course = Course(
        cached=[o.cached.used.calls for o in observations], plain=[o.plain.used.calls for o in observations]
    )
    return Figures(
        total=total,
        domains=_by_domain(observations),
        passes=[count(seen) for seen in passes],
        passes_by_domain=[_by_domain(seen) for seen in passes],
        deciles=deciles(course),
        learned=dict(Counter(o.learned.status for o in observations if o.learned)),
        refusals=_refusals(observations),
        give_ups=_reasons(o.reason for o in observations if o.outcome == "deopt"),
        missed=_reasons(o.reason for o in observations if o.outcome == "miss"),
        templates={name: _template(seen) for name, seen in sorted(_by(observations, _template_of).items())},
        wrong=[o.item.task.query for o in observations if not o.cached.right],
        course=course,
        bars=bars(total),
    )


def count(observations: Sequence[Observation]) -> Counts:
    """Count what came of some requests."""
    hits = [o for o in observations if o.outcome == "hit"]
    changing = [o for o in observations if o.changes]
    wrong = sum(not o.cached.right for o in hits)
    return Counts(
        requests=len(observations),
        right=_right(o.cached for o in observations),
        right_without=_right(o.plain for o in observations),
        lost=sum(o.plain.right and not o.cached.right for o in observations),
        doing_nothing=len(observations) - len(changing),
        changing=len(changing),
        changing_right=_right(o.cached for o in changing),
        changing_right_without=_right(o.plain for o in changing),
        hits=len(hits),
        deopts=sum(o.outcome == "deopt" for o in observations),
        misses=sum(o.outcome == "miss" for o in observations),
        wrong_hits=wrong,
        wrong_hits_upper=round(upper_bound(wrong, len(hits)), 4),
        writes=sum(o.procedure_writes for o in observations),
        wrong_writes=sum(o.wrong_writes for o in observations),
        repeated_writes=sum(o.cached.repeated_writes for o in observations),
        repeated_writes_without=sum(o.plain.repeated_writes for o in observations),
        used=sum((o.cached.used for o in observations), Usage()),
        compiling=sum((o.compiling for o in observations), Usage()),
        used_without=sum((o.plain.used for o in observations), Usage()),
    )


def deciles(course: Course) -> list[float | None]:
    """Return the share of model calls that was saved in each tenth of a stream; None where a tenth is empty."""
    size = len(course.plain)
    cuts = [round(size * tenth / 10) for tenth in range(11)]
    return [_saved(sum(course.cached[a:b]), sum(course.plain[a:b])) for a, b in pairwise(cuts)]


def bars(total: Counts) -> list[Bar]:
    """Return what has to hold, and whether it does."""
    right = f"{total.right} with, {total.right_without} without, of {total.requests}; {total.lost} lost"
    saved = "nothing was sent" if total.saved is None else f"{total.saved:.1%}"
    return [
        Bar(name="as many right with the cache as without", value=right, passed=total.right == total.right_without),
        Bar(
            name=f"at least {ENOUGH:.0%} fewer model calls",
            value=saved,
            passed=total.saved is not None and total.saved >= ENOUGH,
        ),
        Bar(name="no wrong writes", value=str(total.wrong_writes), passed=not total.wrong_writes),
        Bar(name="no repeated writes", value=str(total.repeated_writes), passed=not total.repeated_writes),
    ]


def _template(observations: Sequence[Observation]) -> TemplateCounts:
    stored = (number for number, o in enumerate(observations, 1) if _stored(o))
    return TemplateCounts(
        requests=len(observations),
        hits=sum(o.outcome == "hit" for o in observations),
        deopts=sum(o.outcome == "deopt" for o in observations),
        wrong=sum(not o.cached.right for o in observations),
        admitted_after=next(stored, None),
        refusals=_refusals(observations),
        give_ups=_reasons(o.reason for o in observations if o.outcome == "deopt"),
    )


def _stored(observation: Observation) -> bool:
    return observation.learned is not None and observation.learned.status in ("admitted", "widened")


def _refusals(observations: Iterable[Observation]) -> dict[str, int]:
    refused = (o.learned for o in observations if o.learned and not _stored(o))
    return _reasons(f"{learned.status}: {learned.reason}" for learned in refused)


def _reasons(reasons: Iterable[str]) -> dict[str, int]:
    return dict(Counter(reason[:REASON] for reason in reasons).most_common())


def _by(observations: Iterable[Observation], key: Callable[[Observation], K]) -> dict[K, list[Observation]]:
    groups: dict[K, list[Observation]] = {}
    for observation in observations:
        groups.setdefault(key(observation), []).append(observation)
    return groups


def _by_domain(observations: Iterable[Observation]) -> dict[str, Counts]:
    return {name: count(seen) for name, seen in sorted(_by(observations, lambda o: o.item.domain).items())}


def _template_of(observation: Observation) -> str:
    return f"{observation.item.domain}: {observation.item.task.base_template}"


def _right(sides: Iterable[Side]) -> int:
    return sum(side.right for side in sides)


def _saved(calls: int, without: int) -> float | None:
    return round(1 - calls / without, 4) if without else None
