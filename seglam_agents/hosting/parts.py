"""One agent's part in a run, for hosts whose messages do not say it: what was said, what it came to, what it teaches.

Plain data to keep with the host's own state. Ids of calls are ours: those of some models are the names of the tools.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic import Field, ValidationError

from seglam_agents.hosting.driver import Driver
from seglam_agents.hosting.traces import Said, trace_of
from seglam_agents.hosting.turn import Asked, Carried, Say, Switch, Turn, View, new_id
from seglam_agents.hosting.values import mapping
from seglam_agents.records.record import Json, Record, known_fields
from seglam_agents.records.trace import Trace
from seglam_agents.records.usage import Usage

logger = logging.getLogger(__name__)

KEY = "seglam"
"""The place in the state of a run."""
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
    before: int = 0
    """Calls of the run that were made before the part began."""
    trace: Trace | None = None
    """What it came to, once it has ended; None where it teaches nothing."""

    def asks(self, decision: Say) -> Part:
        """Return it with a procedure's call."""
        call = decision.call
        spoken = Spoken(id=new_id("message"), calls=(call,), given=(call.id,))
        return self.model_copy(update={"turn": decision.turn, "said": (*self.said, spoken)})

    def speaks(self, spoken: Spoken) -> Part:
        """Return it with what the model said."""
        known = {"author": spoken.id, "proposed": (*self.turn.proposed, *spoken.calls)}
        return self.model_copy(update={"turn": self.turn.model_copy(update=known), "said": (*self.said, spoken)})

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


class AgentRun(Record):
    """A conversation, and the run of agents that goes on in it."""

    conversation: str = Field(default_factory=lambda: new_id("conversation"))
    finished: int = 0
    """Runs that came to their end."""
    request_id: str | None = None
    switch: Switch = "on"
    opened: bool = False
    """Whether the run told us that it began, as those do whose steps are ours."""
    driven: bool = False
    """Whether the run's own steps are ours, and learn."""
    live: bool = False
    told: tuple[str, ...] = ()
    """The instructions of agents that have no cache, and may hand a request over."""
    free: int = 0
    """Steps that cost nothing, by which the limit of iterations was raised."""
    parts: dict[str, Part] = Field(default_factory=dict[str, Part])

    def begun(self) -> AgentRun:
        """Return it with a new run."""
        return AgentRun(conversation=self.conversation, finished=self.finished, live=True)

    def ended(self) -> AgentRun:
        """Return it with the run at its end."""
        return self.model_copy(update={"finished": self.finished + 1, "live": False, "opened": False})

    def part(self, agent: str) -> Part:
        """Return an agent's part; one that is not looked at where there is none."""
        return self.parts.get(agent, Part())

    def with_part(self, agent: str, part: Part) -> AgentRun:
        """Return it with an agent's part changed."""
        return self.model_copy(update={"parts": {**self.parts, agent: part}})


class RunStore(Protocol):
    """Where a host keeps the state of a run."""

    async def get(self, path: str, default: object = ...) -> object:
        """Return a value."""
        ...

    async def set(self, path: str, value: object) -> None:
        """Keep a value."""
        ...


async def load_run(store: RunStore) -> AgentRun:
    """Return what is known of a run; what cannot be read is not, and the run goes on without the cache."""
    document = mapping(await store.get(KEY, default=None))
    try:
        # While workers are replaced one by one, a newer one may have noted more: what this one knows still holds.
        parts = {name: _part(mapping(part)) for name, part in mapping(document.get("parts")).items()}
        return AgentRun.model_validate({**known_fields(AgentRun, document), **({"parts": parts} if parts else {})})
    except ValidationError:
        return AgentRun()


def _part(document: Mapping[str, object]) -> Mapping[str, object]:
    turn = mapping(document.get("turn"))
    return {**known_fields(Part, document), **({"turn": known_fields(Turn, turn)} if turn else {})}


async def save_run(store: RunStore, ran: AgentRun) -> None:
    """Keep what is known of a run."""
    await store.set(KEY, ran.model_dump(mode="json"))
