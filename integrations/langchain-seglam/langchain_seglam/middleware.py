"""`SeglamMiddleware`: a reasoning cache for `create_agent`. On a hit a procedure stands in for the model."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NotRequired, TypeAlias

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    PrivateStateAttr,
    ToolCallRequest,
    hook_config,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.types import Command
from seglam_agents import Learned, ReasoningCache, Trace, hosting
from seglam_agents.hosting import Driver, Event, Flow, GiveBack, Pass, Say, SayAnswer, Turn, adrive, drive, tried, work

from langchain_seglam.calls import AsyncExecute, Execute, carry_out, written
from langchain_seglam.events import emitted, span
from langchain_seglam.kinds import (
    WAITS,
    AnyRuntime,
    Canonicalise,
    Loose,
    ModelCall,
    Responded,
    Response,
    State,
    ToolOutput,
    Update,
    schemas_of,
)
from langchain_seglam.messages import (
    after,
    answered,
    begun,
    given_back,
    instructions_in,
    is_first_turn,
    left_behind,
    said,
    text_of,
    until,
)
from langchain_seglam.prompts import prompts
from langchain_seglam.recording import asked_by, carried_of, traced
from langchain_seglam.state import TURN, agent_name, attempts, merge_turns, origin, read_turn, switch, write_turn
from langchain_seglam.tenancy import Caches, cache_of, runtime_of
from langchain_seglam.tools import offered, procedure_tool

logger = logging.getLogger(__name__)

NAME = "SeglamMiddleware"

Context: TypeAlias = Callable[[State, object], Mapping[str, hosting.Json]]
"""Makes the typed context of a request from the agent's state and its runtime context."""


# Reducers are last in Annotated: elsewhere LangGraph takes the channel for one that keeps the last value.
class SeglamAgentState(AgentState[Loose]):
    """What the middleware keeps in the agent's state: plain JSON, invisible from outside."""

    seglam: NotRequired[Annotated[Update, PrivateStateAttr, merge_turns]]


@dataclass(frozen=True, slots=True)
class _Step:
    """What is asked of the model at one step, where it is asked."""

    decision: GiveBack | Pass
    driver: Driver | None = None
    told: str = ""
    """Digest of what the agent is told, as the cache saw it."""
    offered: Mapping[str, hosting.Entry] | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    """What the end of a turn comes to."""

    turn: Turn
    cache: hosting.HostedCache
    trace: Trace | hosting.Unclean
    events: tuple[Event, ...]


class SeglamMiddleware(AgentMiddleware[SeglamAgentState, Loose, Loose]):
    """Lets stored procedures stand in for the model of an agent, and learns new ones from its clean runs.

    Put it last in the list: redaction then comes before the lookup, and approval, retries and limits wrap its record of
    what was carried out.

    Args:
        cache: a `ReasoningCache` whose `tools` are `host_tools(...)` of the agent's tools, or `TenantCaches`.
        mode: `steps` says each tool call and the answer in the place of the model, so that everything of the host still
            applies. `jump` ends the run at once where a procedure needs no tool; what comes after the model in the
            host (such as redaction of the answer) is then left out. It looks up before the agent's prompt is there:
            open the cache with `system_prompt=`; where the agent is told something else, it does not jump.
        canonicalise: makes later turns self-contained; without it only the first turn of a thread is looked up.
        context: makes the typed context that guards may ask for.
        instructions: returns what matters of what the agent is told, where its prompt holds what varies (a date, the
            name of who is signed in). Where what it is told has changed, procedures run in shadow until runs agree.
        learning: `inline` compiles at the end of a run, `background` in a thread, `off` never.
        offer: how many procedures the model is offered as tools where no guard accepts the request.
        response_format: that of the agent; needed for `mode="jump"` only, which cannot see it.
        journal: note each write of a procedure before it begins and after it ended, so that it is not repeated after a
            crash. It takes a thread, or `config={"configurable": {"seglam_request_id": ...}}`.
        price: what the model costs, for amounts of money.
        custom_stream: also emit events in `stream_mode="custom"`.
        name: needed where an agent has two of them for one tenant. It must be the same in every worker.
        on_learned: told what came of each run that was learnt from, in the thread that learns.
    """

    state_schema = SeglamAgentState

    def __new__(cls, *arguments: object, mode: Literal["steps", "jump"] = "steps", **more: object) -> SeglamMiddleware:
        """Give `before_model` to those alone that jump: for the others it would be one more node a step."""
        return object.__new__(_Jumping if cls is SeglamMiddleware and mode == "jump" else cls)

    def __init__(  # pyright: ignore[reportInconsistentConstructor]  # __new__ only looks at the mode
        self,
        cache: Caches,
        *,
        mode: Literal["steps", "jump"] = "steps",
        canonicalise: Canonicalise | None = None,
        context: Context | None = None,
        instructions: Callable[[str], str] | None = None,
        learning: hosting.Learning = "inline",
        offer: int = 0,
        response_format: object = None,
        journal: bool = True,
        price: hosting.Price | None = None,
        custom_stream: bool = False,
        name: str | None = None,
        on_learned: Callable[[Trace, Learned], None] | None = None,
    ) -> None:
        super().__init__()
        if mode not in ("steps", "jump"):
            raise ValueError(f"mode={mode!r}: it is 'steps' or 'jump'")
        self.tools = []
        self.mode = mode
        self._caches = cache
        self._canonicalise = canonicalise
        self._context = context
        self._instructions = instructions
        self._offer = offer
        self._response_format = response_format
        self._journal = journal
        self._custom_stream = custom_stream
        self._name = name or _name(cache)
        self._blind = False
        self._drivers = hosting.Drivers(price, learning, on_learned)
        self.learner = self._drivers.learner

    @property
    def name(self) -> str:
        """The name of this instance: of its nodes, and of its part of the state."""
        return self._name

    def savings(self, cache: ReasoningCache | None = None) -> hosting.SavingsReport:
        """Return what was saved since this process began.

        Raises:
            ValueError: there are caches of several tenants, and none was named.
        """
        chosen = cache or (self._caches if isinstance(self._caches, ReasoningCache) else None)
        if chosen is None:
            raise ValueError("there is one cache a tenant: pass the one to report on")
        return self._drivers.savings(chosen)

    def close(self) -> None:
        """Learn from what waits in the background. The cache stays open: it is the caller's."""
        self.learner.close()

    # --- the beginning and the end of a turn -------------------------------------------------------------------------

    def before_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """Begin a turn: forget the last one. Nothing is looked up yet, because nothing is redacted yet."""
        messages = state["messages"]
        last = messages[-1] if messages else None
        if not isinstance(last, HumanMessage) or not last.id:
            turn = Turn(status="off", reason="the run does not begin with a person's message")
            return {TURN: write_turn(turn, self.name)}
        earlier = read_turn(_plain(state), self.name)
        ended = earlier.message if earlier.ended else ""
        before = attempts(messages, ended)
        # Asked here, because what comes before the model may cut the history down to one message.
        alone = is_first_turn([*before, last])
        named = origin(before, runtime, ended, text_of(last) or "")
        turn = Turn(key=hosting.new_id("turn"), origin=named, message=last.id, alone=alone)
        return {TURN: write_turn(turn, self.name)}

    def after_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End a turn: learn from it where it was a clean run of the model."""
        return drive(self._end(_plain(state), runtime))

    async def aafter_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End a turn. See `after_agent`."""
        return await adrive(self._end(_plain(state), runtime))

    # --- the steps of the model, and the tools -----------------------------------------------------------------------

    def wrap_model_call(self, request: ModelCall, handler: Callable[[ModelCall], Response]) -> Responded:
        """Let the running procedure say the next message, or the model where there is none."""
        return drive(self._step(request, handler))

    async def awrap_model_call(
        self, request: ModelCall, handler: Callable[[ModelCall], Awaitable[Response]]
    ) -> Responded:
        """Let the running procedure say the next message, or the model. See `wrap_model_call`."""
        return await adrive(self._step(request, handler))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Execute) -> ToolOutput:
        """Carry a call out, and record it as it was carried out."""
        return drive(self._call(request, handler))

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncExecute) -> ToolOutput:
        """Carry a call out, and record it as it was carried out. See `wrap_tool_call`."""
        return await adrive(self._call(request, handler))

    # --- what happens, in both colours -------------------------------------------------------------------------------

    def _step(self, request: ModelCall, handler: Callable[[ModelCall], Loose]) -> Flow[Responded]:
        turn = read_turn(_plain(request.state), self.name)
        broken = (Pass(_left(turn, "gave up", "the cache is broken")), None, "")
        with span("seglam.step", **{"gen_ai.agent.name": agent_name() or ""}):
            decision, driver, told = yield from tried(
                lambda: self._decided(request, turn), broken, "the cache is broken; the model goes on", waits=WAITS
            )
        yield from self._emitted(decision.events)
        if isinstance(decision, (Say, SayAnswer)):
            return self._said(decision, request.response_format)
        step = _Step(decision, driver, told)
        if self._offer and driver is not None and decision.turn.status == "miss" and decision.turn.text:
            request, step = yield from tried(
                lambda: self._offering(request, step, driver), (request, step), "no procedures can be offered as tools"
            )
        if before := _before(decision):
            request = request.override(messages=[*request.messages, *before])
        with prompts() as said:
            response: Response = yield from hosting.host(lambda: handler(request), lambda: handler(request))
        unseen = "what the agent was told cannot be compared"
        if step.driver is not None and hosting.safely(lambda: self._differ(said.told, told), True, unseen):
            step = replace(step, decision=self._hidden(step.decision))
        responded, events = yield from work(lambda: self._answered(step, response))
        yield from self._emitted(events)
        return responded

    def _call(self, request: ToolCallRequest, handler: Execute | AsyncExecute) -> Flow[ToolOutput]:
        turn = read_turn(_plain(request.state), self.name)
        driver = yield from work(lambda: self._driver(runtime_of(request), turn))
        prepared = yield from work(lambda: _prepared(request, driver))
        if isinstance(prepared, ToolMessage):
            return prepared
        # Where the turn cannot be read, as one of another version, the message that asks for the call names it.
        write = (turn.write(request.tool_call["id"]) or written(request)) if self._journal else None
        # What was noted is to be found whatever the agent is told by now.
        noted = driver or (yield from work(lambda: self._noted(runtime_of(request))))
        return (yield from carry_out(prepared, handler, write, noted))

    def _end(self, state: State, runtime: AnyRuntime) -> Flow[Update | None]:
        ended = yield from tried(lambda: self._ended(state, runtime), None, "the end of a turn was not seen")
        if ended is None:
            return None
        yield from self._emitted(ended.events)
        yield from self._drivers.learn(ended.cache, ended.trace)
        return {TURN: write_turn(ended.turn.model_copy(update={"ended": True}), self.name)}

    def _decided(self, request: ModelCall, turn: Turn) -> tuple[hosting.Decision, Driver | None, str]:
        """Return what happens now. The first step of a turn looks it up: by then the host has redacted it.

        Beside it, the driver of the cache under what the agent is told, and the digest of that.
        """
        state, told = _plain(request.state), self._digest(instructions_in((request.system_message, *request.messages)))
        turn = hosting.retold(turn, told)
        self._seen(told, request.runtime)
        driver, noted = self._driver(request.runtime, turn), self._noted(request.runtime)
        if noted is None:
            return Pass(_left(turn, "off", "the tenant is not known")), None, told
        tools = [tool for tool in request.tools if isinstance(tool, BaseTool)]
        view = self._view(state, turn, tools, request.response_format)
        if turn.instructions != told and turn.status == "running":
            return (driver or noted).abandon(turn, view, hosting.RETOLD), driver, told
        if driver is None or self._blind:
            view = replace(view, switch="off")
        return (driver or noted).step(turn, lambda: self._asked(state, turn, request.runtime), view), driver, told

    def _seen(self, told: str, runtime: object) -> None:
        """Take in what the agent is told; for those that look up before they can see it."""

    def _differ(self, told: Sequence[str], seen: str) -> bool:
        """Tell whether a model was told something else than was there when the cache looked."""
        return any(self._digest(text) != seen for text in told)

    def _digest(self, told: str) -> str:
        return hosting.instructions_digest(self._instructions(told) if self._instructions else told)

    def _hidden(self, decision: GiveBack | Pass) -> GiveBack | Pass:
        """Take in that the model was told something that was not there when the cache looked: nothing holds for it."""
        if not self._blind:
            self._blind = True
            logger.warning(
                "a middleware listed after %s changes what the agent is told, so that nothing is served or learnt: "
                "list it before, or say with instructions= what matters of it",
                self.name,
            )
        return replace(decision, turn=decision.turn.model_copy(update={"learn": False}))

    def _said(self, decision: Say | SayAnswer, response_format: object) -> Responded:
        """Return what a procedure says, in the place of the model's response."""
        if isinstance(decision, Say):
            return self._updated(_response(said(decision, agent_name())), decision.turn)
        structured = hosting.fit(decision.answer, schemas_of(response_format))
        return self._updated(_response(answered(decision, agent_name()), structured=structured), decision.turn)

    def _asked(
        self, state: State, turn: Turn, runtime: AnyRuntime | None
    ) -> tuple[str | None, Mapping[str, hosting.Json]]:
        """Return the request of a turn, and its typed context."""
        if self._context is None:
            return self._text(state, turn), {}
        return self._text(state, turn), self._context(state, runtime.context if runtime is not None else None)

    def _text(self, state: State, turn: Turn) -> str | None:
        """Return the request of a turn, if it stands for itself."""
        history = until(_messages(state), turn.message)
        if not history:
            return None
        if turn.alone:
            return text_of(history[-1])
        return self._canonicalise(history) if self._canonicalise else None

    def _view(
        self, state: State, turn: Turn, tools: Sequence[BaseTool] | None = None, response_format: object = None
    ) -> hosting.View:
        tail = after(_messages(state), turn.message)
        return hosting.View(
            carried_of(tail) if tail is not None else None,
            (lambda name: offered(tools, name)) if tools is not None else None,
            hosting.misfits(schemas_of(response_format)),
            switch(),
        )

    def _offering(self, request: ModelCall, step: _Step, driver: Driver) -> tuple[ModelCall, _Step]:
        """Return what the model is asked with procedures as tools."""
        tools = [tool for tool in request.tools if isinstance(tool, BaseTool)]
        taken = {tool.name for tool in tools}
        entries = hosting.nearest(driver.cache, step.decision.turn.text, self._offer, available=taken)
        more = [procedure_tool(driver.cache, entry, tools=tools) for entry in entries]
        tools_now = [*request.tools, *(tool for tool in more if tool.name not in taken)]
        offered = {hosting.tool_name(entry.procedure): entry for entry in entries}
        return request.override(tools=tools_now), replace(step, offered=offered)

    def _answered(self, step: _Step, response: Response) -> tuple[Responded, tuple[Event, ...]]:
        """Take in what the model said; a lone call of a procedure with tools becomes that procedure's first step."""
        turn, events = step.decision.turn, ()
        result = list(response.result)
        index = next((i for i in reversed(range(len(result))) if isinstance(result[i], AIMessage)), None)
        message = result[index] if index is not None else None
        if index is not None and isinstance(message, AIMessage):
            message = message if message.id is not None else message.model_copy(update={"id": hosting.new_id()})
            called = self._called(turn, message, step)
            if called is None:
                known = {"author": message.id or "", "proposed": (*turn.proposed, *asked_by(message))}
                turn = turn.model_copy(update=known)
            else:
                turn, message, events = called
            result[index] = message
        return self._updated(replace(response, result=[*_before(step.decision), *result]), turn), events

    def _called(self, turn: Turn, message: AIMessage, step: _Step) -> tuple[Turn, AIMessage, tuple[Event, ...]] | None:
        """Begin a procedure that the model called, so that its tools go through the host one by one."""
        entry = (step.offered or {}).get(message.tool_calls[0]["name"]) if len(message.tool_calls) == 1 else None
        calls = asked_by(message)
        if entry is None or step.driver is None or entry.procedure.pure or not calls:
            return None
        called, driver = hosting.Called(**calls[0].model_dump(), text=text_of(message) or ""), step.driver
        told = "a procedure cannot be begun; its tool says so"
        found = hosting.safely(lambda: driver.call(turn, entry.procedure.id, called), None, told)
        return (found[0], begun(found[0], found[1], message), found[2]) if found is not None else None

    def _ended(self, state: State, runtime: AnyRuntime) -> _Ended | None:
        """Return what the end of a turn comes to."""
        turn = read_turn(state, self.name)
        driver = self._driver(runtime, turn)
        if driver is None:
            return None
        ended = driver.abandon(turn, self._view(state, turn), "the host ended the run")
        structured: object = state.get("structured_response")
        answer = hosting.plain(structured) if structured is not None else None
        trace = traced(ended.turn, _messages(state), structured=answer)
        return _Ended(ended.turn, driver.cache, trace, ended.events)

    def _updated(self, response: Response, turn: Turn) -> Responded:
        return Responded(response, Command(update={TURN: write_turn(turn, self.name)}))

    def _emitted(self, events: Iterable[Event]) -> Flow[None]:
        return emitted(events, custom_stream=self._custom_stream)

    def _driver(self, runtime: object, turn: Turn) -> Driver | None:
        """Return the driver of the cache of a turn, under what the agent is told in it; None where that varies."""
        cache = cache_of(self._caches, runtime)
        under = cache.under(turn.instructions) if cache is not None else None
        return self._drivers.of(under) if under is not None else None

    def _noted(self, runtime: object) -> Driver | None:
        """Return the driver of a tenant's cache, under whatever instructions."""
        cache = cache_of(self._caches, runtime)
        return self._drivers.of(cache) if cache is not None else None


class _Jumping(SeglamMiddleware):
    """The one with `mode="jump"`. It looks up before the prompt is there, so that the cache has to be told it."""

    _jumps = True

    def _seen(self, told: str, runtime: object) -> None:
        """Jump no more where the agent is told something else than its cache was opened with."""
        cache = cache_of(self._caches, runtime)
        if self._jumps and cache is not None and told != cache.instructions:
            self._jumps = False
            logger.warning(
                "%s does not jump: the agent is told something else than its cache; open it with system_prompt=",
                self.name,
            )

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End the run with the answer of a procedure that needs no tool."""
        return drive(self._jump(_plain(state), runtime))

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End the run with the answer of a procedure. See `before_model`."""
        return await adrive(self._jump(_plain(state), runtime))

    def _jump(self, state: State, runtime: AnyRuntime) -> Flow[Update | None]:
        nothing: tuple[Update | None, tuple[Event, ...]] = (None, ())
        update, events = yield from tried(
            lambda: self._looked_up(state, runtime), nothing, "the cache is broken; the model goes on", waits=WAITS
        )
        yield from self._emitted(events)
        return update

    def _looked_up(self, state: State, runtime: AnyRuntime) -> tuple[Update | None, tuple[Event, ...]]:
        """Return the update that ends the run, or the one with what was looked up."""
        turn = read_turn(state, self.name)
        driver = self._driver(runtime, turn)
        if turn.status != "new" or driver is None or not self._jumps:
            return None, ()
        turn, events = driver.begin(turn, *self._asked(state, turn, runtime), switch())
        if turn.plan is None or not turn.plan.pure:
            return {TURN: write_turn(turn, self.name)}, events
        decision = driver.advance(turn, self._view(state, turn, None, self._response_format))
        update: Update = {TURN: write_turn(decision.turn, self.name)}
        if isinstance(decision, SayAnswer):
            update |= {"messages": [answered(decision, agent_name())], "jump_to": "end"}
            structured = hosting.fit(decision.answer, schemas_of(self._response_format))
            if structured is not None or state.get("structured_response") is not None:
                # That of an earlier turn must not be taken for this one's.
                update["structured_response"] = structured
        return update, (*events, *decision.events)


def _prepared(request: ToolCallRequest, driver: Driver | None) -> ToolCallRequest | ToolMessage:
    """Give a call of a procedure its tool, found by name: the worker that offered it may have been another."""
    name = request.tool_call["name"]
    if driver is None or request.tool is not None or not hosting.is_procedure_tool(name):
        return request
    entry = hosting.find_entry(driver.cache, name)
    if entry is None:
        return request  # The host says that there is no such tool.
    if entry.procedure.pure:
        return request.override(tool=procedure_tool(driver.cache, entry))
    text = "This procedure calls tools itself. Call it again, alone, and with arguments that it takes."
    return ToolMessage(content=text, name=name, tool_call_id=request.tool_call["id"], status="error")


def _before(decision: GiveBack | Pass) -> tuple[AIMessage | ToolMessage, ...]:
    """Return what the model is shown before it speaks: what a procedure came to, or what an earlier attempt wrote."""
    return given_back(decision) if isinstance(decision, GiveBack) else left_behind(decision.left)


def _plain(state: Loose) -> State:
    return state


def _messages(state: State) -> Sequence[BaseMessage]:
    return state.get("messages") or ()


def _response(message: AIMessage, structured: object = None) -> Response:
    return Response(result=[message], structured_response=structured)


def _left(turn: Turn, status: Literal["off", "gave up"], reason: str) -> Turn:
    """Return a turn that is left to the model and is not learnt from."""
    return turn.model_copy(update={"status": status, "reason": reason, "learn": False})


def _name(caches: Caches) -> str:
    """Return a name that differs between tenants and is the same in every worker."""
    if not isinstance(caches, ReasoningCache) or caches.scope.tenant == "default":
        return NAME
    return f"{NAME}_{hosting.digest(caches.scope.tenant, length=8)}"
