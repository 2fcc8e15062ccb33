"""`HarvestReport`: what came of learning from recorded runs; `remember` and `learn_kinds` do it, and fill a `Tally`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from seglam_agents.harvest.documents import Unread
from seglam_agents.harvest.tools import misfit
from seglam_agents.records.outcome import LearnedKind
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace

KEPT = 1_000
"""Of what was not read, so many are told one by one; all are counted."""


class Learner(Protocol):
    """What learns: a `ReasoningCache`."""

    def remember(self, trace: Trace) -> bool:
        """Keep a trace for learning; False when it is known already."""
        ...

    def learn_remembered(self, *, progress: Callable[[int, int], None] | None = None) -> Sequence[LearnedKind]:
        """Compile every kind of what is remembered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KindReport:
    """One kind of request: how often it was seen, and what was learnt."""

    example: str
    traces: int
    status: str
    procedure: str | None = None
    """`id@version` of what was admitted."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestReport:
    """What came of learning from recorded runs."""

    read: int = 0
    """Runs that could be learnt from; `new` and `known` together."""
    new: int = 0
    known: int = 0
    """Remembered by an earlier run of the same command, or twice in the files."""
    unread: int = 0
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    """How often each reason kept something from being read."""
    not_read: tuple[Unread, ...] = ()
    """The first of what was not read."""
    kinds: tuple[KindReport, ...] = ()
    interrupted: str = ""
    """The stage that was interrupted; empty where everything was done."""


@dataclass(slots=True)
class Tally:
    """Counts while the harvest runs, so that an interruption still has its report."""

    new: int = 0
    known: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    not_read: list[Unread] = field(default_factory=list[Unread])
    kinds: tuple[KindReport, ...] = ()
    tools: int = 0
    """How many tools are declared."""

    def add_unread(self, item: Unread) -> None:
        """Count something that was not read."""
        self.reasons[item.reason] += 1
        if len(self.not_read) < KEPT:
            self.not_read.append(item)

    def report(self, interrupted: str = "") -> HarvestReport:
        """Return the counts so far."""
        return HarvestReport(
            read=self.new + self.known,
            new=self.new,
            known=self.known,
            unread=self.reasons.total(),
            reasons=dict(self.reasons.most_common()),
            not_read=tuple(self.not_read),
            kinds=self.kinds,
            interrupted=interrupted,
        )


def remember(cache: Learner, items: Iterable[Trace | Unread], declared: Collection[Tool], tally: Tally) -> None:
    """Have a cache remember traces; one that calls a tool which is not declared, or not so, counts as unread."""
    tools = {tool.name: tool for tool in declared}
    for item in items:
        if isinstance(item, Unread):
            tally.add_unread(item)
        elif reason := _stray(item, tools):
            tally.add_unread(Unread(source="", place=f"request {item.request.text[:80]!r}", reason=reason))
        elif cache.remember(item):
            tally.new += 1
        else:
            tally.known += 1


def _stray(trace: Trace, tools: Mapping[str, Tool]) -> str | None:
    """Return why a run cannot be one of an agent with these tools."""
    if stray := sorted({call.tool for call in trace.calls} - set(tools)):
        return f"it calls tools that are not declared: {', '.join(stray)}; add them to --tools"
    misfits = {problem: None for call in trace.calls if (problem := misfit(tools[call.tool], call.arguments))}
    return f"it calls tools otherwise than declared: {', '.join(misfits)}; correct --tools" if misfits else None


def learn_kinds(cache: Learner, tally: Tally, progress: Callable[[int, int], None] | None = None) -> None:
    """Have a cache learn from everything that it remembers."""
    kinds = cache.learn_remembered(progress=progress)
    tally.kinds = tuple(
        KindReport(
            example=kind.example,
            traces=kind.traces,
            status=kind.learned.status,
            procedure=kind.learned.procedure,
            reason=kind.learned.reason,
        )
        for kind in kinds
    )
