"""Hosts without steps of their own: a request answered in one go, and a history that says where its turn stands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seglam_agents.hosting.decision import Decision, Event, Pass, SayAnswer
from seglam_agents.hosting.driver import Driver
from seglam_agents.hosting.history import Posed
from seglam_agents.hosting.turn import Asked, Switch, Turn, View, new_id
from seglam_agents.records.outcome import Call
from seglam_agents.records.record import Json
from seglam_agents.records.trace import Trace

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What the cache said of one request of a host that has no tools."""

    turn: Turn = Turn(status="off")
    found: bool = False
    answer: Json = None
    events: tuple[Event, ...] = ()

    def trace(self, answer: Json) -> Trace | None:
        """Return what may be learnt from the host's own answer; None where nothing may."""
        known = self.turn.status == "miss" and self.turn.learn and bool(self.turn.text)
        return Trace(request=self.turn.request, answer=answer) if known and answer is not None else None


def answer_purely(
    driver: Driver,
    text: str | None,
    context: Mapping[str, Json],
    *,
    switch: Switch = "on",
    misfit: Callable[[Json], str | None] | None = None,
) -> Answered:
    """Answer a request by a procedure that calls no tool; what needs one is the host's.

    Args:
        driver: the cache's.
        text: the request; None where it does not stand for itself.
        context: the typed context.
        switch: of this run.
        misfit: says why an answer is none for this host.
    """
    view = View({}, misfit=misfit, switch=switch)
    decision = driver.step(Turn(key=new_id("turn")), lambda: Posed(text, context), view, pure=True)
    answer = decision.answer if isinstance(decision, SayAnswer) else None
    return Answered(decision.turn, isinstance(decision, SayAnswer), answer, decision.events)


def follow(driver: Driver, turn: Turn, said: Sequence[Sequence[Asked]], view: View) -> Decision:
    """Return what a procedure says after calls that are its own; the model speaks where they are not.

    For a host that keeps nothing between two steps: the messages say it all.

    Args:
        driver: the cache's.
        turn: as `Driver.begin` returned it.
        said: the calls of each message since the request, in their order.
        view: their results.
    """
    plan = turn.plan
    if plan is None or turn.status != "running" or view.calls is None:
        return Pass(turn)
    for calls in said:
        if len(calls) != 1:
            return Pass(turn)
        results = [view.calls[asked.id].outcome for asked in turn.asked]
        action, (asked,) = driver.next_action(turn, results), calls
        if not isinstance(action, Call) or (action.tool, dict(action.arguments)) != (asked.tool, asked.arguments):
            return Pass(turn)
        if asked.id not in view.calls:
            return Pass(turn)
        turn = turn.model_copy(update={"asked": (*turn.asked, asked)})
    return driver.advance(turn, view)
