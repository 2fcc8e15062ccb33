"""One agent's part in a run, for hosts whose messages do not say it: what was said, what it came to, what it teaches.

Plain data to keep with the host's own state. Ids of calls are ours: those of some models are the names of the tools.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from seglam_agents.hosting.decision import Decision, Say
from seglam_agents.hosting.driver import Driver
from seglam_agents.hosting.traces import Said, trace_of
from seglam_agents.hosting.turn import Asked, Carried, Turn, View, new_id
from seglam_agents.records.record import Json, Record
from seglam_agents.records.request import instructions_beside, instructions_digest
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage

logger = logging.getLogger(__name__)

HANDED_OVER = "done"
"""The answer of an agent that hands a request over: the call says it all."""


class Spoken(Record):
    """One message in an agent's own voice, whoever wrote it."""

    id: str
    text: str = ""
    calls: tuple[Asked, ...] = ()
    given: tuple[str, ...] = ()
    """The host's ids of the calls."""
    usage: Usage = Usage()
    unreadable: bool = False
    """True where it holds a call that cannot be read."""

    @classmethod
    def by(cls, text: str, calls: Sequence[Asked | None], usage: Usage) -> Spoken:
        """Return what the model said; its calls have the host's ids, and are None where one cannot be read."""
        key = new_id("message")
        known = {number: call for number, call in enumerate(calls) if call is not None}
        return cls(
            id=key,
            text=text,
            calls=tuple(call.model_copy(update={"id": f"{key}/{number}"}) for number, call in known.items()),
            given=tuple(call.id for call in known.values()),
            usage=usage,
            unreadable=len(known) < len(calls),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """A call that the host carried out, under the host's id, as it was asked for."""

    arguments: Mapping[str, Json]
    carried: Carried


class Part(Record):
    """One agent's part in a run."""

    turn: Turn = Turn(status="off")
    said: tuple[Spoken, ...] = ()
    instructions: str = ""
    """What this agent is told, and those were that handed the request over to it."""
    own: str = ""
    """What this agent itself is told."""
    form: str = ""
    """Digest of the response format that is asked for (`form_digest`); empty where there is none."""
    before: int = 0
    """Calls of the run that were made before the part began."""
    trace: Trace | None = None
    """What it came to, once it has ended; None where it teaches nothing."""

    @property
    def digest(self) -> str:
        """The digest of what this agent is told, with the form that it is to answer in."""
        return instructions_beside(instructions_digest(self.instructions), self.form)

    def decided(self, decision: Decision) -> Part:
        """Return it after a step; what a procedure asks for is said in the agent's voice."""
        if not isinstance(decision, Say):
            return self.model_copy(update={"turn": decision.turn})
        call = decision.call
        spoken = Spoken(id=new_id("message"), calls=(call,), given=(call.id,))
        return self.model_copy(update={"turn": decision.turn, "said": (*self.said, spoken)})

    def speaks(self, spoken: Spoken) -> Part:
        """Return it with what the model said."""
        turn = self.turn.spoke(spoken.id, spoken.calls)
        return self.model_copy(update={"turn": turn, "said": (*self.said, spoken)})

    def calls(self, done: Sequence[Done]) -> dict[str, Carried]:
        """Return what its calls came to, by our ids, out of all calls of the run in the order in which they ended."""
        left = list(done[self.before :])
        found: dict[str, Carried] = {}
        for asked, given in self._asked():
            for item in left:
                if (item.carried.id, item.carried.tool, item.arguments) == (given, asked.tool, asked.arguments):
                    found[asked.id] = replace(item.carried, id=asked.id)
                    left.remove(item)
                    break
        return found

    def ended(self, driver: Driver, done: Sequence[Done], text: str | None, *, handed: bool = False) -> Part:
        """Return it at its end: what its procedure came to is counted, what the model did becomes a trace.

        Args:
            driver: the cache's.
            done: all calls of the run.
            text: the last message.
            handed: whether it ended with a handover to another agent.
        """
        view = View(self.calls(done))
        if self.turn.status == "running":
            return self._cut_short(driver, view, handed)
        if not self.turn.teaches or not self.said:
            return self.model_copy(update={"trace": None})
        said = self._said()
        if handed:
            said.append(Said(self.turn.author, HANDED_OVER))
        elif said[-1].id == self.turn.author:
            said[-1] = replace(said[-1], text=text)
        trace = trace_of(self.turn, said, view.calls or {})
        if not isinstance(trace, Trace):
            logger.info("not learnt from: %s", trace.reason)
        return self.model_copy(update={"trace": trace if isinstance(trace, Trace) else None})

    def _cut_short(self, driver: Driver, view: View, handed: bool) -> Part:
        decision = driver.advance(self.turn, view) if handed else driver.abandon(self.turn, view, "the run ended")
        if isinstance(decision, Say):
            decision = driver.abandon(self.turn, view, "another agent has taken over")
        return self.model_copy(update={"turn": decision.turn, "trace": None})

    def _asked(self) -> Iterable[tuple[Asked, str]]:
        for spoken in self.said:
            yield from zip(spoken.calls, spoken.given, strict=True)

    def _said(self) -> list[Said]:
        return [Said(x.id, x.text, x.calls, x.usage, x.unreadable) for x in self.said]
