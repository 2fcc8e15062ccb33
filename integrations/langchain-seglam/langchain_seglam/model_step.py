"""`ModelStep`: a step of an agent's model, which a running procedure takes in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command
from seglam_agents import hosting
from seglam_agents.hosting import Event, Flow, GiveBack, Pass, Say, SayAnswer, Turn, tried, work

from langchain_seglam.agent_cache import AgentCache
from langchain_seglam.events import span
from langchain_seglam.kinds import WAITS, Loose, ModelCall, Responded, Response, State, schemas_of
from langchain_seglam.messages import begun, instructions_in, said, shown_before, text_of
from langchain_seglam.prompts import prompts
from langchain_seglam.recording import asked_by
from langchain_seglam.state import agent_name
from langchain_seglam.tools import procedure_tool

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asking(hosting.Offer):
    """Under what the model is asked, where it is, and what it is offered."""

    told: str = ""
    """Digest of what the agent is told, as the cache saw it."""


@dataclass(slots=True)
class ModelStep:
    """Lets the running procedure say the next message of an agent, or the model where there is none.

    Args:
        agent: the cache, as the agent uses it.
        offer: how many procedures the model is offered as tools.
        watch: told the digest of what the agent is told at each step, and the runtime.
    """

    agent: AgentCache
    offer: int
    watch: Callable[[str, object], None] | None = None
    blind: bool = False
    """True once the model was told something that is not there when the cache looks."""

    def take(self, request: ModelCall, handler: Callable[[ModelCall], Loose]) -> Flow[Responded]:
        """Take one step."""
        state: State = request.state
        turn = self.agent.turn(state)
        broken = (Pass(turn.closed("the cache is broken", "gave up")), _Asking(None))
        with span("seglam.step", **{"gen_ai.agent.name": agent_name() or ""}):
            decision, asking = yield from tried(
                lambda: self._decided(request, turn), broken, "the cache is broken; the model goes on", waits=WAITS
            )
        yield from self.agent.emitted(decision.events)
        if isinstance(decision, (Say, SayAnswer)):
            return self._said(decision, request.response_format)
        return (yield from self._by_the_model(request, handler, decision, asking))

    def _by_the_model(
        self,
        request: ModelCall,
        handler: Callable[[ModelCall], Loose],
        decision: GiveBack | Pass,
        asking: _Asking,
    ) -> Flow[Responded]:
        turn, kept, form = decision.turn, (request, asking), request.response_format
        if self.offer:
            told = "no procedures can be offered as tools"
            request, asking = yield from tried(lambda: self._offering(*kept, turn), kept, told)
        if before := shown_before(decision):
            request = request.override(messages=[*request.messages, *before])
        with prompts() as heard:
            response: Response = yield from hosting.host(lambda: handler(request), lambda: handler(request))
        unseen = "what the agent was told cannot be compared"
        if asking.driver is not None and hosting.safely(lambda: self._differ(heard.told, form, asking), True, unseen):
            turn = self._hidden(turn)
        responded, events = yield from work(lambda: self._answered(turn, before, asking, response))
        yield from self.agent.emitted(events)
        return responded

    def _decided(self, request: ModelCall, turn: Turn) -> tuple[hosting.Decision, _Asking]:
        """Return what happens now. The first step of a turn looks it up: by then the host has redacted it."""
        agent, runtime, state = self.agent, request.runtime, request.state
        said = instructions_in((request.system_message, *request.messages))
        told = agent.digest(said, request.response_format)
        turn = hosting.retold(turn, told)
        if self.watch is not None:
            self.watch(told, runtime)
        cache = agent.of(runtime)
        if cache is None:
            return Pass(turn.closed("the tenant is not known")), _Asking(None, told=told)
        view = agent.view(state, turn, _tools(request), request.response_format)
        if self.blind:
            view = replace(view, switch="off")
        decision = agent.drivers.step(cache, turn, lambda: agent.asked(state, turn, runtime), view, told=told)
        return decision, _Asking(agent.drivers.under(cache, turn), told=told)

    def _differ(self, told: Sequence[str], response_format: object, asking: _Asking) -> bool:
        """Tell whether a model was told something else than was there when the cache looked."""
        return any(self.agent.digest(text, response_format) != asking.told for text in told)

    def _hidden(self, turn: Turn) -> Turn:
        """Take in that the model was told something that was not there when the cache looked: nothing holds for it."""
        if not self.blind:
            self.blind = True
            logger.warning(
                "a middleware listed after %s changes what the agent is told, so that nothing is served or learnt: "
                "list it before, or say with instructions= what matters of it",
                self.agent.name,
            )
        return turn.model_copy(update={"learn": False})

    def _said(self, decision: Say | SayAnswer, response_format: object) -> Responded:
        """Return what a procedure says, in the place of the model's response."""
        answers = isinstance(decision, SayAnswer)
        structured = hosting.fit(decision.answer, schemas_of(response_format)) if answers else None
        response = Response(result=[said(decision, agent_name())], structured_response=structured)
        return self._updated(response, decision.turn)

    def _offering(self, request: ModelCall, asking: _Asking, turn: Turn) -> tuple[ModelCall, _Asking]:
        """Return what the model is asked with procedures as tools."""
        tools = _tools(request)
        taken = {tool.name for tool in tools}
        asking = asking.near(turn, self.offer, taken)
        if asking.driver is None or not asking.entries:
            return request, asking
        more = [procedure_tool(asking.driver.cache, entry, tools=tools) for entry in asking.entries.values()]
        return request.override(tools=[*request.tools, *(tool for tool in more if tool.name not in taken)]), asking

    def _answered(
        self, turn: Turn, before: Sequence[BaseMessage], asking: _Asking, response: Response
    ) -> tuple[Responded, tuple[Event, ...]]:
        """Take in what the model said; a lone call of a procedure with tools becomes that procedure's first step."""
        result, events = list(response.result), tuple[Event, ...]()
        last = next((message for message in reversed(result) if isinstance(message, AIMessage)), None)
        if last is not None:
            message = last if last.id is not None else last.model_copy(update={"id": hosting.new_id()})
            calls = asked_by(message)
            lone = calls if len(message.tool_calls) == 1 else ()
            if called := asking.begun(turn, lone, text_of(message) or ""):
                turn, first, events = called
                message = begun(turn, first, message)
            else:
                turn = turn.spoke(message.id or "", calls)
            result = [message if known is last else known for known in result]
        return self._updated(replace(response, result=[*before, *result]), turn), events

    def _updated(self, response: Response, turn: Turn) -> Responded:
        return Responded(response, Command(update=self.agent.update(turn)))


def _tools(request: ModelCall) -> list[BaseTool]:
    return [tool for tool in request.tools if isinstance(tool, BaseTool)]
