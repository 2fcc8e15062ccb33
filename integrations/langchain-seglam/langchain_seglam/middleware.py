"""`SeglamMiddleware`: a reasoning cache for `create_agent`. On a hit a procedure stands in for the model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, cast

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    PrivateStateAttr,
    ToolCallRequest,
    hook_config,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import Command
from seglam_agents import Call, Learned, Plan, ReasoningCache, Trace
from seglam_agents.records.entry import Entry
from seglam_agents.records.record import Json, digest

from langchain_seglam.accounting import Accounting, Price, SavingsReport
from langchain_seglam.events import Event, aemit, emit, span
from langchain_seglam.journal import Journal
from langchain_seglam.learning import Learner, Learning
from langchain_seglam.messages import after, is_first_turn, last_human, new_id, text_of, tool_call, until
from langchain_seglam.recording import Unclean, recorded, steps_of, trace_of
from langchain_seglam.structured import plain
from langchain_seglam.switch import agent_name, switch
from langchain_seglam.tenancy import Caches, cache_of, runtime_of
from langchain_seglam.tools import cache_tools, find_entry, is_procedure_tool, nearest, procedure_tool, tool_name
from langchain_seglam.turn import (
    TURN,
    Asked,
    Called,
    Counted,
    Decision,
    Pass,
    Return,
    Say,
    StandIn,
    Turn,
    View,
    merge_turns,
    read_turn,
    request_of,
    write_turn,
)

logger = logging.getLogger(__name__)

NAME = "SeglamMiddleware"

Canonicalise: TypeAlias = Callable[[Sequence[BaseMessage]], str | None]
"""Turns a later turn, given with the history before it, into a request that stands for itself; None where it cannot."""
Context: TypeAlias = Callable[[Mapping[str, object], object], Mapping[str, Json]]
"""Makes the typed context of a request from the agent's state and its runtime context."""
_Update: TypeAlias = dict[str, Any]


# Reducers are last in Annotated: elsewhere LangGraph takes the channel for one that keeps the last value.
class SeglamAgentState(AgentState[Any]):
    """What the middleware keeps in the agent's state: plain JSON, invisible from outside."""

    seglam: NotRequired[Annotated[dict[str, Any], PrivateStateAttr, merge_turns]]


class SeglamMiddleware(AgentMiddleware[SeglamAgentState, Any, Any]):
    """Lets stored procedures stand in for the model of an agent, and learns new ones from its clean runs.

    Put it last in the list: redaction then comes before the lookup, and approval, retries and limits wrap its record of
    what was carried out.

    Args:
        cache: a `ReasoningCache` whose `tools` are `host_tools(...)` of the agent's tools, or `TenantCaches`.
        mode: `steps` says each tool call and the answer in the place of the model, so that everything of the host still
            applies. `jump` ends the run at once where a procedure needs no tool; what comes after the model in the
            host (such as redaction of the answer) is then left out.
        canonicalise: makes later turns self-contained; without it only the first turn of a thread is looked up.
        context: makes the typed context that guards may ask for.
        learning: `inline` compiles at the end of a run, `background` in a thread, `off` never.
        offer: how many procedures the model is offered as tools where no guard accepts the request.
        response_format: that of the agent; needed for `mode="jump"` only, which cannot see it.
        journal: note each write that a procedure asks for before it begins, so that it is not repeated after a crash.
        price: what the model costs, for amounts of money.
        custom_stream: also tell events in `stream_mode="custom"`.
        name: needed where an agent has two of them for one tenant. It must be the same in every worker.
        on_learned: told what came of each run that was learnt from, in the thread that learns.
    """

    state_schema = SeglamAgentState

    def __new__(cls, *arguments: object, mode: Literal["steps", "jump"] = "steps", **more: object) -> SeglamMiddleware:
        """Give `before_model` to those alone that jump: for the others it would be one more node a step."""
        chosen = _Jumping if cls is SeglamMiddleware and mode == "jump" else cls
        return super().__new__(cast("type[SeglamMiddleware]", chosen))  # pyright: ignore[reportArgumentType]

    def __init__(  # pyright: ignore[reportInconsistentConstructor]  # __new__ only looks at the mode
        self,
        cache: Caches,
        *,
        mode: Literal["steps", "jump"] = "steps",
        canonicalise: Canonicalise | None = None,
        context: Context | None = None,
        learning: Learning = "inline",
        offer: int = 0,
        response_format: object = None,
        journal: bool = True,
        price: Price | None = None,
        custom_stream: bool = False,
        name: str | None = None,
        on_learned: Callable[[Trace, Learned], None] | None = None,
    ) -> None:
        super().__init__()
        self.tools = []
        self.mode = mode
        self._caches = cache
        self._canonicalise = canonicalise
        self._context = context
        self._offer = offer
        self._response_format = response_format
        self._journal = Journal() if journal else None
        self._price = price
        self._custom_stream = custom_stream
        self._name = name or _name(cache)
        self._on_learned = on_learned
        self._counted = Counted()
        self._accountings: dict[str, Accounting] = {}
        self.learner = Learner(learning, self._learned)

    @property
    def name(self) -> str:
        """The name of this instance: of its nodes, and of its part of the state."""
        return self._name

    def savings(self, cache: ReasoningCache | None = None) -> SavingsReport:
        """Return what was saved since this process began.

        Raises:
            ValueError: there are caches of several tenants, and none was named.
        """
        chosen = cache or (self._caches if isinstance(self._caches, ReasoningCache) else None)
        if chosen is None:
            raise ValueError("there is one cache a tenant: pass the one to report on")
        return self._accounting(chosen).report()

    def close(self) -> None:
        """Wait for what is being learnt in the background. The cache stays open: it is the caller's."""
        self.learner.close()

    # --- the beginning and the end of a turn -------------------------------------------------------------------------

    def before_agent(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """Begin a turn: forget the last one. Nothing is looked up yet, because nothing is redacted yet."""
        last = state["messages"][-1] if state["messages"] else None
        if isinstance(last, HumanMessage) and last.id:
            # Asked here, because what comes before the model may cut the history down to one message.
            turn = Turn(key=new_id("turn"), message=last.id, alone=is_first_turn(state["messages"]))
        else:
            turn = Turn(status="off", reason="the run does not begin with a person's message")
        return {TURN: write_turn(turn, self.name)}

    async def abefore_agent(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """Begin a turn. See `before_agent`."""
        return self.before_agent(state, runtime)

    def after_agent(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """End a turn: learn from it where it was a clean run of the model."""
        update, trace, events = self._end(state, runtime)
        emit(events, custom_stream=self._custom_stream)
        if trace is not None:
            self.learner.learn(*trace)
        return update

    async def aafter_agent(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """End a turn. See `after_agent`."""
        update, trace, events = await asyncio.to_thread(self._end, state, runtime)
        await aemit(events, custom_stream=self._custom_stream)
        if trace is not None:
            await self.learner.alearn(*trace)
        return update

    # --- the steps of the model --------------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Let the running procedure say the next message, or the model where there is none."""
        with span("seglam.step", **{"gen_ai.agent.name": agent_name() or ""}):
            decision = self._decide(request)
        emit(decision.events, custom_stream=self._custom_stream)
        if isinstance(decision, Say):
            return self._said(decision)
        asked, offered = self._asked(request, decision)
        response, turn, events = self._answered(decision, handler(asked), offered, request)
        emit(events, custom_stream=self._custom_stream)
        return self._updated(response, turn)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ExtendedModelResponse[Any]:
        """Let the running procedure say the next message, or the model. See `wrap_model_call`."""
        with span("seglam.step", **{"gen_ai.agent.name": agent_name() or ""}):
            decision = await asyncio.to_thread(self._decide, request)
        await aemit(decision.events, custom_stream=self._custom_stream)
        if isinstance(decision, Say):
            return self._said(decision)
        asked, offered = await asyncio.to_thread(self._asked, request, decision)
        response = await handler(asked)
        response, turn, events = await asyncio.to_thread(self._answered, decision, response, offered, request)
        await aemit(events, custom_stream=self._custom_stream)
        return self._updated(response, turn)

    # --- the tools ---------------------------------------------------------------------------------------------------

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Carry a call out, and record it as it was carried out."""
        prepared = self._prepare(request)
        if isinstance(prepared, ToolMessage):
            return prepared
        try:
            result = handler(prepared)
        except GraphBubbleUp:
            self._interrupted(request)
            raise
        return recorded(request, result)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Carry a call out, and record it as it was carried out. See `wrap_tool_call`."""
        prepared = await asyncio.to_thread(self._prepare, request)
        if isinstance(prepared, ToolMessage):
            return prepared
        try:
            result = await handler(prepared)
        except GraphBubbleUp:
            await asyncio.to_thread(self._interrupted, request)
            raise
        return recorded(request, result)

    # --- decisions, for both colours ---------------------------------------------------------------------------------

    def _decide(self, request: ModelRequest[Any]) -> Decision:
        """Return what happens at this step. Never raises: without the cache the model goes on."""
        turn = Turn(status="off")
        try:
            state = cast("Mapping[str, object]", request.state)
            turn = read_turn(state, self.name)
            cache = cache_of(self._caches, request.runtime)
            if cache is None:
                return Pass(turn.model_copy(update={"status": "off", "reason": "the tenant is not known"}))
            turn, events = self._begin(cache, turn, state, request.runtime)
            view = self._view(state, turn, request.tools, request.response_format)
            decision = self._stand_in(cache).advance(turn, view)
            return replace(decision, events=(*events, *decision.events))
        except GraphBubbleUp:
            raise
        except Exception:
            logger.exception("the cache is broken; the model goes on")
            return Pass(turn.model_copy(update={"status": "gave up", "reason": "the cache is broken", "learn": False}))

    def _begin(
        self, cache: ReasoningCache, turn: Turn, state: Mapping[str, object], runtime: object
    ) -> tuple[Turn, tuple[Event, ...]]:
        """Look the request up at the first step of a turn: by then the host has redacted it."""
        if turn.status != "new":
            return turn, ()
        said = switch()
        if said == "off":
            return turn.model_copy(update={"status": "off", "reason": "switched off for this run", "learn": False}), ()
        text = self._text(state, turn)
        made = self._context(state, getattr(runtime, "context", None)) if self._context else None
        context: Mapping[str, Json] = made or {}
        if said == "refresh":
            known = {"status": "miss", "text": text or "", "context": dict(context), "learn": text is not None}
            return turn.model_copy(update={**known, "reason": "to be learnt anew"}), ()
        with span("seglam.lookup"):
            return self._stand_in(cache).look_up(turn, text, context)

    def _text(self, state: Mapping[str, object], turn: Turn) -> str | None:
        """Return the request of a turn, if it stands for itself."""
        history = until(cast("Sequence[BaseMessage]", state.get("messages") or ()), turn.message)
        if not history:
            return None
        if turn.alone:
            return text_of(history[-1])
        return self._canonicalise(history) if self._canonicalise else None

    def _view(
        self,
        state: Mapping[str, object],
        turn: Turn,
        tools: Sequence[BaseTool | dict[str, Any]] | None,
        response_format: object,
    ) -> View:
        tail = after(cast("Sequence[BaseMessage]", state.get("messages") or ()), turn.message)
        return View(
            tail=tail,
            steps=steps_of(tail or ()),
            tools=tools,
            response_format=response_format,
            agent=agent_name(),
            switch=switch(),
        )

    def _said(self, decision: Say) -> ExtendedModelResponse[Any]:
        response: ModelResponse[Any] = ModelResponse(result=[decision.message], structured_response=decision.structured)
        return self._updated(response, decision.turn)

    def _updated(self, response: ModelResponse[Any], turn: Turn) -> ExtendedModelResponse[Any]:
        return ExtendedModelResponse(response, Command(update={TURN: write_turn(turn, self.name)}))

    def _asked(self, request: ModelRequest[Any], decision: Pass | Return) -> tuple[ModelRequest[Any], dict[str, Entry]]:
        """Return what the model is asked: with the outcome of a procedure it called, and with procedures as tools."""
        if isinstance(decision, Return):
            request = request.override(messages=[*request.messages, *decision.messages])
        turn = decision.turn
        cache = cache_of(self._caches, request.runtime)
        if not self._offer or cache is None or turn.status != "miss" or not turn.text:
            return request, {}
        try:
            tools = [tool for tool in request.tools if isinstance(tool, BaseTool)]
            entries = nearest(cache, turn.text, self._offer, available={tool.name for tool in tools})
            offered = {tool_name(entry.procedure): entry for entry in entries}
            more = [procedure_tool(cache, entry, tools=tools) for entry in entries]
            taken = {tool.name for tool in tools}
            return request.override(tools=[*request.tools, *(x for x in more if x.name not in taken)]), offered
        except Exception:
            logger.exception("no procedures can be offered as tools")
            return request, {}

    def _answered(
        self,
        decision: Pass | Return,
        response: ModelResponse[Any],
        offered: Mapping[str, Entry],
        request: ModelRequest[Any],
    ) -> tuple[ModelResponse[Any], Turn, tuple[Event, ...]]:
        """Take in what the model said; a lone call of a procedure with tools becomes that procedure's first step."""
        turn = decision.turn
        result = list(response.result)
        index = next((i for i in reversed(range(len(result))) if isinstance(result[i], AIMessage)), None)
        events: tuple[Event, ...] = ()
        if index is not None:
            message = cast(AIMessage, result[index])
            if message.id is None:
                message = message.model_copy(update={"id": new_id()})
            begun = self._safely_called(turn, message, offered, request) if offered else None
            turn, message = begun or (turn, message)
            result[index] = message
            if begun is None:
                turn = turn.model_copy(update={"author": message.id or ""})
            elif turn.plan is not None:
                events = (Event("seglam.lookup", {"found": True, "procedure": turn.plan.procedure, "called": True}),)
        before = list(decision.messages) if isinstance(decision, Return) else []
        return replace(response, result=[*before, *result]), turn, events

    def _safely_called(
        self, turn: Turn, message: AIMessage, offered: Mapping[str, Entry], request: ModelRequest[Any]
    ) -> tuple[Turn, AIMessage] | None:
        try:
            return self._called(turn, message, offered, request)
        except Exception:
            logger.exception("a procedure cannot be begun; its tool says so")
            return None

    def _called(
        self, turn: Turn, message: AIMessage, offered: Mapping[str, Entry], request: ModelRequest[Any]
    ) -> tuple[Turn, AIMessage] | None:
        """Begin a procedure that the model called, so that its tools go through the host one by one."""
        if len(message.tool_calls) != 1:
            return None
        call = message.tool_calls[0]
        entry, cache = offered.get(call["name"]), cache_of(self._caches, request.runtime)
        if entry is None or cache is None or entry.procedure.pure or not call["id"]:
            return None
        plan = cache.bind(entry.procedure.id, call["args"])
        if not isinstance(plan, Plan):
            return None  # The tool itself says what is wrong with the arguments.
        action = cache.next_action(plan)
        if not isinstance(action, Call):
            return None
        called = Called(id=call["id"], tool=call["name"], arguments=call["args"], text=text_of(message) or "")
        asked = Asked(id=new_id(), tool=action.tool, arguments=dict(action.arguments))
        first = AIMessage(
            content=called.text,
            id=message.id,
            name=message.name,
            tool_calls=[tool_call(asked.tool, asked.arguments, asked.id)],
            usage_metadata=message.usage_metadata,
            response_metadata={
                **cast("dict[str, object]", message.response_metadata),
                "seglam": {"author": "model", "procedure": plan.procedure, "step": 1},
            },
        )
        update = {"status": "running", "plan": plan, "called": called, "asked": (asked,), "learn": False, "author": ""}
        return turn.model_copy(update=update), first

    def _prepare(self, request: ToolCallRequest) -> ToolCallRequest | ToolMessage:
        """Return the call as it is to be carried out, or what to say instead."""
        cache = cache_of(self._caches, runtime_of(request))
        if cache is None:
            return request
        try:
            if request.tool is None and is_procedure_tool(request.tool_call["name"]):
                return self._as_tool(cache, request)
            if self._journal is not None and (key := self._written(request)):
                return self._journal.begin(cache, request, key) or request
        except Exception:
            logger.exception("the cache is broken; the call is carried out as it is")
        return request

    def _as_tool(self, cache: ReasoningCache, request: ToolCallRequest) -> ToolCallRequest | ToolMessage:
        """Give a call of a procedure its tool, found by name: the worker that offered it may have been another."""
        entry = find_entry(cache, request.tool_call["name"])
        if entry is None:
            return request  # The host says that there is no such tool.
        if entry.procedure.pure:
            return request.override(tool=procedure_tool(cache, entry))
        return ToolMessage(
            content="This procedure calls tools itself. Call it again, alone, and with arguments that it takes.",
            name=request.tool_call["name"],
            tool_call_id=request.tool_call["id"],
            status="error",
        )

    def _written(self, request: ToolCallRequest) -> str | None:
        """Return what names a write that our procedure asked for, whichever attempt it is; None for other calls."""
        state = cast(object, request.state)
        if not isinstance(state, Mapping):
            return None
        return read_turn(cast("Mapping[str, object]", state), self.name).write_key(request.tool_call.get("id"))

    def _interrupted(self, request: ToolCallRequest) -> None:
        cache = cache_of(self._caches, runtime_of(request))
        if cache is not None and self._journal is not None and (key := self._written(request)):
            self._journal.forget(cache, request, key)

    def _end(
        self, state: SeglamAgentState, runtime: Runtime[Any]
    ) -> tuple[_Update | None, tuple[ReasoningCache, Trace] | None, tuple[Event, ...]]:
        """Return what the end of a turn comes to. Never raises."""
        try:
            plain_state = cast("Mapping[str, object]", state)
            turn = read_turn(plain_state, self.name)
            cache = cache_of(self._caches, runtime)
            if cache is None:
                return None, None, ()
            if turn.status == "running":
                view = self._view(plain_state, turn, None, None)
                ended = self._stand_in(cache).abandon(turn, view, "the host ended the run")
                return {TURN: write_turn(ended.turn, self.name)}, None, ended.events
            trace = self._trace(plain_state, turn)
            return None, (cache, trace) if isinstance(trace, Trace) else None, ()
        except Exception:
            logger.exception("the end of a turn was not seen")
            return None, None, ()

    def _trace(self, state: Mapping[str, object], turn: Turn) -> Trace | Unclean:
        messages = cast("Sequence[BaseMessage]", state.get("messages") or ())
        tail = after(messages, turn.message)
        if not turn.teaches or tail is None:
            return Unclean(turn.reason)
        if last_human(tail) is not None:
            return Unclean("a person spoke in between")
        structured = state.get("structured_response")
        names = frozenset(call["name"] for m in tail if isinstance(m, AIMessage) for call in m.tool_calls)
        trace = trace_of(
            request_of(turn),
            tail,
            steps_of(tail),
            author=turn.author,
            structured=plain(structured) if structured is not None else None,
            ours=frozenset(name for name in names if is_procedure_tool(name)),
        )
        if isinstance(trace, Unclean):
            logger.info("not learnt from: %s", trace.reason)
        return trace

    def _learned(self, cache: ReasoningCache, trace: Trace, learned: Learned) -> None:
        self._accounting(cache).learned(trace, learned)
        if self._on_learned is not None:
            self._on_learned(trace, learned)

    def _stand_in(self, cache: ReasoningCache) -> StandIn:
        return StandIn(cache, self._accounting(cache), self._counted)

    def _accounting(self, cache: ReasoningCache) -> Accounting:
        return self._accountings.setdefault(cache.scope.key, Accounting(cache, self._price))


class _Jumping(SeglamMiddleware):
    """The one with `mode="jump"`."""

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """End the run with the answer of a procedure that needs no tool."""
        update, events = self._jump(state, runtime)
        emit(events, custom_stream=self._custom_stream)
        return update

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: SeglamAgentState, runtime: Runtime[Any]) -> _Update | None:
        """End the run with the answer of a procedure. See `before_model`."""
        update, events = await asyncio.to_thread(self._jump, state, runtime)
        await aemit(events, custom_stream=self._custom_stream)
        return update

    def _jump(self, state: SeglamAgentState, runtime: Runtime[Any]) -> tuple[_Update | None, tuple[Event, ...]]:
        """Return the update that ends the run, or the one with what was looked up. Never raises."""
        try:
            plain_state = cast("Mapping[str, object]", state)
            turn = read_turn(plain_state, self.name)
            cache = cache_of(self._caches, runtime)
            if turn.status != "new" or cache is None:
                return None, ()
            turn, events = self._begin(cache, turn, plain_state, runtime)
            if turn.plan is None or not turn.plan.pure:
                return {TURN: write_turn(turn, self.name)}, events
            view = self._view(plain_state, turn, None, self._response_format)
            decision = self._stand_in(cache).advance(turn, view)
            update: _Update = {TURN: write_turn(decision.turn, self.name)}
            if isinstance(decision, Say) and decision.final:
                update |= {"messages": [decision.message], "jump_to": "end"}
                if decision.structured is not None or plain_state.get("structured_response") is not None:
                    # That of an earlier turn must not be taken for this one's.
                    update["structured_response"] = decision.structured
            return update, (*events, *decision.events)
        except Exception:
            logger.exception("the cache is broken; the model goes on")
            return None, ()


def _name(caches: Caches) -> str:
    """Return a name that differs between tenants and is the same in every worker."""
    if not isinstance(caches, ReasoningCache) or caches.scope.tenant == "default":
        return NAME
    return f"{NAME}_{digest(caches.scope.tenant, length=8)}"


__all__ = ["NAME", "Canonicalise", "Context", "SeglamAgentState", "SeglamMiddleware", "cache_tools"]
