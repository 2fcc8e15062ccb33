"""`examine`: what a learner that has seen so many runs of a course makes of its fresh requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from seglam_agents.records.outcome import Outcome
from seglam_agents.records.record import Json
from seglam_agents.records.request import Request
from seglam_agents.records.trace import Trace
from seglam_agents.testing.planted.agent import Ask
from seglam_agents.testing.planted.course import Course
from seglam_agents.testing.planted.judging import WRONG, Judgement, Verdict, judge, judge_stranger
from seglam_agents.testing.planted.stage import Stage


class Learner(Protocol):
    """What is measured; a `ReasoningCache` is one."""

    def observe(self, trace: Trace, /) -> object:
        """Learn from a run."""
        ...

    def lookup(self, request: Request, /) -> Outcome:
        """Serve a request, or decline it."""
        ...


@dataclass(frozen=True, slots=True)
class Examined:
    """A fresh request with what came of it."""

    ask: Ask
    stranger: bool
    """True for a request of another kind."""
    outcome: Outcome
    judgement: Judgement


@dataclass(slots=True)
class Tally:
    """Sums over fresh requests."""

    alike: int = 0
    """Requests of the kind, from data like those of the trainings."""
    alike_right: int = 0
    beyond: int = 0
    """Requests of the kind with values, lengths and gaps that no training had."""
    strangers: int = 0
    verdicts: Counter[str] = field(default_factory=Counter[str])

    def count(self, examined: Examined) -> None:
        """Count one request."""
        self.verdicts[examined.judgement.verdict] += 1
        if examined.stranger:
            self.strangers += 1
        elif examined.ask.beyond:
            self.beyond += 1
        else:
            self.alike += 1
            self.alike_right += examined.judgement.verdict is Verdict.RIGHT

    def add(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.alike += other.alike
        self.alike_right += other.alike_right
        self.beyond += other.beyond
        self.strangers += other.strangers
        self.verdicts.update(other.verdicts)

    @property
    def fresh(self) -> int:
        """Requests of the kind."""
        return self.alike + self.beyond

    @property
    def wrong(self) -> int:
        """Wrong hits of any sort, wrong writes among them."""
        return sum(self.verdicts[verdict] for verdict in WRONG)

    @property
    def hits(self) -> int:
        """Hits, right and wrong."""
        return self.verdicts[Verdict.RIGHT] + self.wrong

    @property
    def coverage(self) -> float:
        """The share of requests of the kind that were served rightly."""
        return self.verdicts[Verdict.RIGHT] / self.fresh if self.fresh else 0.0

    @property
    def coverage_alike(self) -> float:
        """The same among those from data like the trainings'."""
        return self.alike_right / self.alike if self.alike else 0.0

    def row(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "fresh": self.fresh,
            "beyond": self.beyond,
            "strangers": self.strangers,
            "hits": self.hits,
            "wrong_hits": self.wrong,
            "wrong_writes": self.verdicts[Verdict.WRONG_WRITE],
            "wrong_answers": self.verdicts[Verdict.WRONG_ANSWER],
            "strangers_served": self.verdicts[Verdict.STRANGER_SERVED],
            "left_open": self.verdicts[Verdict.LEFT_OPEN],
            "deopts": self.verdicts[Verdict.DEOPT],
            "coverage": round(self.coverage, 4),
            "coverage_alike": round(self.coverage_alike, 4),
        }


STRANGERS = 4
"""One request of another kind comes with so many fresh ones of the kind."""


def examine(course: Course, stage: Stage, learner: Learner, *, runs: int, fresh: int) -> Iterator[Examined]:
    """Ask a learner that has observed the first runs of a course what it makes of fresh requests.

    Args:
        course: whose requests.
        stage: where the learner's tools are.
        learner: what is measured.
        runs: how many runs it has observed.
        fresh: how many requests of the kind it gets; a quarter as many of other kinds come on top.
    """
    for ask in course.fresh(fresh, runs):
        outcome, writes = stage.play(ask, learner.lookup)
        yield Examined(ask, False, outcome, judge(outcome, writes, ask, course.agent.truth(ask)))
    for ask in course.strangers(max(1, fresh // STRANGERS), runs):
        outcome, writes = stage.play(ask, learner.lookup)
        yield Examined(ask, True, outcome, judge_stranger(outcome, writes))
