"""`AgentCache`: a cache as the middleware of one agent uses it, over the whole of a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import BaseTool
from seglam_agents import ReasoningCache, Trace, hosting
from seglam_agents.hosting import Driver, Event, Flow, Pass, Turn, after, until

from langchain_seglam.events import emitted
from langchain_seglam.kinds import AnyRuntime, Canonicalise, State, Update, schemas_of
from langchain_seglam.messages import is_first_turn, text_of
from langchain_seglam.recording import traced, view_of
from langchain_seglam.state import TURN, attempts, origin, posed, read_turn, write_turn
from langchain_seglam.tenancy import Caches, cache_of

Context: TypeAlias = Callable[[State, object], Mapping[str, hosting.Json]]
"""Makes the typed context of a request from the agent's state and its runtime context."""


@dataclass(frozen=True, slots=True)
class AgentCache:
    """A cache as the middleware of one agent uses it. See `SeglamMiddleware` for what is not told here.

    Args:
        caches: a cache, or one a tenant.
        name: names its part of the state; the same in every worker.
        drivers: look up, count and learn.
    """

    caches: Caches
    name: str
    drivers: hosting.Drivers
    canonicalise: Canonicalise | None
    context: Context | None
    instructions: Callable[[str], str] | None
    custom_stream: bool

    def of(self, runtime: object) -> ReasoningCache | None:
        """Return the cache of a run's tenant."""
        return cache_of(self.caches, runtime)

    def driver(self, runtime: object, turn: Turn) -> Driver | None:
        """Return the driver of the cache of a turn, under what the agent is told in it; None where that varies."""
        return self.drivers.under(self.of(runtime), turn)

    def noted(self, runtime: object) -> Driver | None:
        """Return the driver of a tenant's cache, under whatever instructions."""
        return self.drivers.known(self.of(runtime))

    def turn(self, state: State) -> Turn:
        """Return the turn of a state."""
        return read_turn(state, self.name)

    def update(self, turn: Turn) -> Update:
        """Return the update of the state that keeps a turn."""
        return {TURN: write_turn(turn, self.name)}

    def digest(self, told: str, response_format: object = None) -> str:
        """Return the digest of what matters of what the agent is told, and of the form that it is to answer in."""
        digest = hosting.instructions_digest(self.instructions(told) if self.instructions else told)
        return in_form(digest, response_format)

    def emitted(self, events: Iterable[Event]) -> Flow[None]:
        """Emit events."""
        return emitted(events, custom_stream=self.custom_stream)

    def begun(self, state: State, runtime: AnyRuntime) -> Turn:
        """Return a new turn of a state. Nothing is looked up yet."""
        messages = messages_of(state)
        last = messages[-1] if messages else None
        if not isinstance(last, HumanMessage) or not last.id:
            return Turn(status="off", reason="the run does not begin with a person's message")
        earlier = self.turn(state)
        ended = earlier.message if earlier.ended else ""
        before = attempts(messages, ended)
        # Asked here, because what comes before the model may cut the history down to one message.
        alone = is_first_turn([*before, last])
        named = origin(before, runtime, ended, text_of(last) or "")
        return Turn(key=hosting.new_id("turn"), origin=named, message=last.id, alone=alone)

    def asked(self, state: State, turn: Turn, runtime: AnyRuntime | None) -> hosting.Posed:
        """Return the request of a turn, with what was said before it and its typed context."""
        given = runtime.context if runtime is not None else None
        context = self.context(state, given) if self.context is not None else None
        return posed(until(messages_of(state), turn.message), context, self.canonicalise, opens=turn.alone)

    def view(
        self, state: State, turn: Turn, tools: Sequence[BaseTool] | None = None, response_format: object = None
    ) -> hosting.View:
        """Return what the host shows of a turn at one step."""
        return view_of(after(messages_of(state), turn.message), tools, response_format)

    def ended(self, state: State, runtime: AnyRuntime) -> tuple[Driver, Pass, Trace | hosting.Unclean] | None:
        """Return what the end of a turn comes to, and what it teaches; None where nothing can be learnt."""
        turn = self.turn(state)
        driver = self.driver(runtime, turn)
        if driver is None:
            return None
        ended = driver.abandon(turn, self.view(state, turn), "the host ended the run")
        structured: object = state.get("structured_response")
        answer = hosting.plain(structured) if structured is not None else None
        return driver, ended, traced(ended.turn, messages_of(state), structured=answer)


def messages_of(state: State) -> Sequence[BaseMessage]:
    """Return the messages of an agent's state."""
    return state.get("messages") or ()


def in_form(instructions: str, response_format: object) -> str:
    """Return the digest of instructions with the form that the agent is to answer in: it is told that as well."""
    return hosting.instructions_beside(instructions, hosting.form_digest(schemas_of(response_format)))
