"""`Case`: a candidate on trial, with everything the checks need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from seglam_agents.compilers.base import Candidate
from seglam_agents.guards.guard import Accepted, Judgement
from seglam_agents.guards.normal import normalise
from seglam_agents.records.entry import Check
from seglam_agents.records.outcome import Final, GiveUp
from seglam_agents.records.procedure import Example
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Tool
from seglam_agents.records.trace import Trace
from seglam_agents.records.values import Value
from seglam_agents.sandboxes.base import Sandbox
from seglam_agents.serving.executor import Executor
from seglam_agents.serving.loading import Loaded

MAX_EVIDENCE = 5
"""Findings of one check that are reported; more of the same help nobody."""
AMOUNTS = frozenset(("number", "count", "ordinal", "fraction", "multiple", "percent", "money", "quantity", "duration"))
"""Slots that say how much."""
ANY_WORDS = frozenset(("noun", "phrase", "title", "word", "text"))
"""Slots that take words of any sort."""
OPEN_WORDS = ANY_WORDS | {"name", "person"}
"""Slots that take words which nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate on trial."""

    candidate: Candidate
    loaded: Loaded
    executor: Executor
    second: Sandbox | None
    second_reason: str
    """Why there is no second sandbox."""
    others: Sequence[Loaded]
    """The procedures that serve in the same scope, without the parent."""
    seed: int
    samples: int
    mutations: int
    budget_seconds: float
    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    now: Callable[[], datetime] | None = None
    locale: str = ""

    def clock(self, trace: Trace | None = None) -> datetime | None:
        """Return the time that a body sees: that of a recorded run, or the declared clock's."""
        if self.now is None:
            return None
        return trace.recorded_at.replace(tzinfo=None) if trace and trace.recorded_at else self.now()

    def judge(self, text: str, context: Mapping[str, Json] | None = None) -> Judgement:
        """Ask the candidate's guard, with the reason where it declines."""
        return self.loaded.guard.explain(normalise(text), context)

    def answer(
        self, text: str, context: Mapping[str, Json] | None = None, *, made_up: bool = False
    ) -> Final | GiveUp | None:
        """Answer a request that the guard accepts; None where it declines."""
        return answer_of(self.loaded, self.executor, text, context, made_up=made_up)

    def examples(self) -> tuple[Example, ...]:
        """Return what the candidate must reproduce: its own examples and those of its parent."""
        return self.candidate.procedure.examples


def answer_of(
    loaded: Loaded,
    executor: Executor,
    text: str,
    context: Mapping[str, Json] | None = None,
    *,
    made_up: bool = False,
) -> Final | GiveUp | None:
    """Answer a request by a procedure without tools; None where its guard declines."""
    judgement = loaded.guard.match(normalise(text, made_up=made_up), context)
    if not isinstance(judgement, Accepted):
        return None
    action = executor.next_action(loaded, judgement.arguments)
    return action if isinstance(action, (Final, GiveUp)) else GiveUp(f"calls {action.tool}", kind="error")


def arguments_of(case: Case, context: Mapping[str, Json]) -> Callable[[str], Mapping[str, Value] | None]:
    """Return the candidate's guard as a function from a text to its arguments."""

    def accepts(text: str) -> Mapping[str, Value] | None:
        judgement = case.loaded.guard.match(normalise(text), context)
        return judgement.arguments if isinstance(judgement, Accepted) else None

    return accepts


def verdict(name: str, problems: Sequence[str], cases: int, passed: str = "") -> Check:
    """Return a check that failed if there are problems."""
    if problems:
        more = f" (and {len(problems) - MAX_EVIDENCE} more)" if len(problems) > MAX_EVIDENCE else ""
        return Check(name=name, verdict="failed", evidence="; ".join(problems[:MAX_EVIDENCE]) + more, cases=cases)
    return Check(name=name, verdict="passed", evidence=passed, cases=cases)
