"""`Jumping`: ends the run of an agent at once, where a procedure needs no tool."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from seglam_agents.hosting import Event, Flow, SayAnswer, fit, retold, tried

from langchain_seglam.agent_cache import AgentCache, in_form
from langchain_seglam.kinds import WAITS, AnyRuntime, State, Update, schemas_of
from langchain_seglam.messages import said
from langchain_seglam.state import agent_name, switch

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Jumping:
    """Looks a turn up before the agent's prompt is there, and ends the run with an answer.

    Args:
        agent: the cache, as the agent uses it. It has to be told the prompt.
        response_format: that of the agent.
    """

    agent: AgentCache
    response_format: object
    jumps: bool = True

    def watch(self, told: str, runtime: object) -> None:
        """Jump no more where the agent is told something else than its cache was opened with."""
        cache = self.agent.of(runtime)
        if self.jumps and cache is not None and told != in_form(cache.instructions, self.response_format):
            self.jumps = False
            logger.warning(
                "%s does not jump: the agent is told something else than its cache; open that with system_prompt=, and "
                "tell the middleware its response_format=",
                self.agent.name,
            )

    def look(self, state: State, runtime: AnyRuntime) -> Flow[Update | None]:
        """Return the update that ends the run, or the one with what was looked up; None where nothing was."""
        nothing: tuple[Update | None, tuple[Event, ...]] = (None, ())
        update, events = yield from tried(
            lambda: self._looked_up(state, runtime), nothing, "the cache is broken; the model goes on", waits=WAITS
        )
        yield from self.agent.emitted(events)
        return update

    def _looked_up(self, state: State, runtime: AnyRuntime) -> tuple[Update | None, tuple[Event, ...]]:
        agent, turn, cache = self.agent, self.agent.turn(state), self.agent.of(runtime)
        if cache is not None and self.response_format is not None:
            turn = retold(turn, in_form(cache.instructions, self.response_format))
        driver = agent.driver(runtime, turn)
        if turn.status != "new" or driver is None or not self.jumps:
            return None, ()
        turn, events = driver.begin(turn, agent.asked(state, turn, runtime), switch())
        if turn.plan is None or not turn.plan.pure:
            return agent.update(turn), events
        decision = driver.advance(turn, agent.view(state, turn, response_format=self.response_format))
        update = agent.update(decision.turn)
        if isinstance(decision, SayAnswer):
            update |= self._ending(decision, answered=state.get("structured_response") is not None)
        return update, (*events, *decision.events)

    def _ending(self, decision: SayAnswer, *, answered: bool) -> Update:
        """Return what ends the run, beside the turn."""
        ending: Update = {"messages": [said(decision, agent_name())], "jump_to": "end"}
        structured = fit(decision.answer, schemas_of(self.response_format))
        # That of an earlier turn must not be taken for this one's.
        known = structured is not None or answered
        return {**ending, "structured_response": structured} if known else ending
