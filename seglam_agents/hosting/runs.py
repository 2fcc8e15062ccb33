"""`Parts`: procedures in the place of the agents of one run, which the host keeps in a store, part by part."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import Field, ValidationError

from seglam_agents.flow import adrive
from seglam_agents.hosting.accounting import SavingsReport
from seglam_agents.hosting.base import HostedCache, require_cache
from seglam_agents.hosting.decision import Decision
from seglam_agents.hosting.driver import Driver
from seglam_agents.hosting.drivers import Drivers
from seglam_agents.hosting.history import Posed
from seglam_agents.hosting.journal import Journal, Write
from seglam_agents.hosting.parts import Part, Spoken
from seglam_agents.hosting.safety import unharmed
from seglam_agents.hosting.turn import RETOLD, Switch, Turn, View, new_id
from seglam_agents.hosting.values import mapping
from seglam_agents.records.record import Json, Record, known_fields
from seglam_agents.records.telling import tell

logger = logging.getLogger(__name__)

KEY = "seglam"
"""The place in the state of a run."""


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
    form: str | None = None
    """Digest of the response format that the run asks for, whatever those of its agents are; None for theirs."""
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


async def save_run(store: RunStore, ran: AgentRun) -> None:
    """Keep what is known of a run."""
    await store.set(KEY, ran.model_dump(mode="json"))


@dataclass(slots=True)
class Parts:
    """Lets procedures stand in for the agents of a run, one step at a time.

    Args:
        cache: whose procedures.
        drivers: look up, count and learn.
    """

    cache: HostedCache
    drivers: Drivers = field(default_factory=Drivers)

    def __post_init__(self) -> None:
        require_cache(self.cache)

    def savings(self) -> SavingsReport:
        """Return what hits have saved."""
        return self.drivers.savings(self.cache)

    def driver(self, part: Part) -> Driver:
        """Return the driver of the cache under what the agent of a part is told."""
        under = self.cache.under(part.digest) or self.cache
        return self.drivers.of(under.later() if part.turn.later else under)

    async def begin(self, part: Part, posed: Posed, switch: Switch) -> Part:
        """Return a new part, looked up; not where its agent is told something else at every run."""
        switch = switch if self.cache.under(part.digest) is not None else "off"
        turn, _ = await asyncio.to_thread(self.driver(part).begin, part.turn, posed, switch)
        return part.model_copy(update={"turn": turn})

    async def decide(self, part: Part, view: View, own: str) -> Decision:
        """Return what happens now in a part.

        Args:
            part: as it was left.
            view: what the host shows.
            own: what its agent itself is told at this step.
        """
        driver = self.driver(part)
        if part.turn.status == "running" and part.own != own:
            return await asyncio.to_thread(driver.abandon, part.turn, view, RETOLD)
        return await asyncio.to_thread(driver.advance, part.turn, view)

    async def listen(self, store: RunStore, agent: str, spoken: Callable[[], Spoken]) -> None:
        """Note what the model of an agent said. Never raises."""
        try:
            ran = await load_run(store)
            part = ran.part(agent)
            if part.turn.teaches:
                await save_run(store, ran.with_part(agent, part.speaks(spoken())))
        except Exception as error:
            tell(logger, "a step cannot be noted; the run is not learnt from", error)
            await self.close(store, agent, "a step could not be noted")

    async def learn(self, store: RunStore, agent: str, structured: Json = None) -> None:
        """Learn from a part that has come to its end, with the structured response, if any. Never raises."""
        with unharmed("a run cannot be learnt from; it is not touched"):
            ran = await load_run(store)
            part = ran.part(agent)
            if part.trace is None:
                return
            await save_run(store, ran.with_part(agent, Part(instructions=part.instructions, form=part.form)))
            trace = part.trace if structured is None else part.trace.model_copy(update={"answer": structured})
            await adrive(self.drivers.learn(self.driver(part).cache, trace))

    async def writing(self, store: RunStore, agent: str, call_id: str) -> tuple[Journal | None, Write | None]:
        """Return what names a write that a procedure asked for, and where it is noted. Never raises."""
        try:
            part = (await load_run(store)).part(agent)
            return self.driver(part).journal if part.turn.plan else None, part.turn.write(call_id)
        except Exception as error:
            tell(logger, "a call cannot be looked at", error)
            return None, None

    async def close(self, store: RunStore, agent: str, reason: str) -> None:
        """Leave the rest of a part to the model. Never raises."""
        with unharmed("the run cannot be written"):
            part = Part(turn=Turn().closed(reason))
            await save_run(store, (await load_run(store)).with_part(agent, part))


def _part(document: Mapping[str, object]) -> Mapping[str, object]:
    turn = mapping(document.get("turn"))
    return {**known_fields(Part, document), **({"turn": known_fields(Turn, turn)} if turn else {})}
