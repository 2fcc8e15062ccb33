"""`SeglamMiddleware`: a reasoning cache for `create_agent`. On a hit a procedure stands in for the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, NotRequired

from langchain.agents.middleware.types import (
    AgentMiddleware,
    AgentState,
    PrivateStateAttr,
    ToolCallRequest,
    hook_config,
)
from langchain_core.messages import ToolMessage
from seglam_agents import Learned, ReasoningCache, Trace, hosting
from seglam_agents.hosting import Flow, adrive, drive, tried, work

from langchain_seglam.agent_cache import AgentCache, Context
from langchain_seglam.calls import AsyncExecute, Execute, carry_out, written
from langchain_seglam.jumping import Jumping
from langchain_seglam.kinds import (
    AnyRuntime,
    Canonicalise,
    Loose,
    ModelCall,
    Responded,
    Response,
    State,
    ToolOutput,
    Update,
    loose,
)
from langchain_seglam.model_step import ModelStep
from langchain_seglam.state import merge_turns
from langchain_seglam.tenancy import Caches, require_caches, runtime_of
from langchain_seglam.tools import with_procedure

NAME = "SeglamMiddleware"


# Reducers are last in Annotated: elsewhere LangGraph takes the channel for one that keeps the last value.
class SeglamAgentState(AgentState[Loose]):
    """What the middleware keeps in the agent's state: plain JSON.

    It is in no input, result or schema of the agent. It is in checkpoints, and who streams values or updates sees it;
    updates show the nodes of the middleware as well.
    """

    seglam: NotRequired[Annotated[Update, PrivateStateAttr, merge_turns]]


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
        canonicalise: makes later turns self-contained; without it those are looked up that stand for themselves.
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

    Raises:
        TypeError: `cache` is no cache.
        ValueError: there is no such mode, or no such way of learning.
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
        require_caches(cache)
        if mode not in ("steps", "jump"):
            raise ValueError(f"mode={mode!r}: it is 'steps' or 'jump'")
        self.tools = []
        self.mode = mode
        self._caches = cache
        self._name = name or _name(cache)
        self._journal = journal
        drivers = hosting.Drivers(price, learning, on_learned)
        self.learner = drivers.learner
        self._agent = AgentCache(cache, self._name, drivers, canonicalise, context, instructions, custom_stream)
        self._jumping = Jumping(self._agent, response_format)
        self._step = ModelStep(self._agent, offer, self._jumping.watch if mode == "jump" else None)

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
        return self._agent.drivers.savings(chosen)

    def close(self) -> None:
        """Learn from what waits in the background, as closing the cache does. The cache itself stays open."""
        self.learner.close()

    # --- the beginning and the end of a turn -------------------------------------------------------------------------

    def before_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """Begin a turn: forget the last one. Nothing is looked up yet, because nothing is redacted yet."""
        return self._agent.update(self._agent.begun(loose(state), runtime))

    def after_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End a turn: learn from it where it was a clean run of the model."""
        return drive(self._end(loose(state), runtime))

    async def aafter_agent(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End a turn. See `after_agent`."""
        return await adrive(self._end(loose(state), runtime))

    # --- the steps of the model, and the tools -----------------------------------------------------------------------

    def wrap_model_call(self, request: ModelCall, handler: Callable[[ModelCall], Response]) -> Responded:
        """Let the running procedure say the next message, or the model where there is none."""
        return drive(self._step.take(request, handler))

    async def awrap_model_call(
        self, request: ModelCall, handler: Callable[[ModelCall], Awaitable[Response]]
    ) -> Responded:
        """Let the running procedure say the next message, or the model. See `wrap_model_call`."""
        return await adrive(self._step.take(request, handler))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Execute) -> ToolOutput:
        """Carry a call out, and record it as it was carried out."""
        return drive(self._call(request, handler))

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncExecute) -> ToolOutput:
        """Carry a call out, and record it as it was carried out. See `wrap_tool_call`."""
        return await adrive(self._call(request, handler))

    # --- what happens, in both colours -------------------------------------------------------------------------------

    def _call(self, request: ToolCallRequest, handler: Execute | AsyncExecute) -> Flow[ToolOutput]:
        agent, runtime, turn = self._agent, runtime_of(request), self._agent.turn(loose(request.state))
        driver = yield from work(lambda: agent.driver(runtime, turn))
        prepared = yield from work(lambda: with_procedure(request, driver.cache if driver is not None else None))
        if isinstance(prepared, ToolMessage):
            return prepared
        # Where the turn cannot be read, as one of another version, the message that asks for the call names it.
        write = (turn.write(request.tool_call["id"]) or written(request)) if self._journal else None
        # What was noted is to be found whatever the agent is told by now.
        noted = driver or (yield from work(lambda: agent.noted(runtime)))
        return (yield from carry_out(prepared, handler, write, noted))

    def _end(self, state: State, runtime: AnyRuntime) -> Flow[Update | None]:
        agent, unseen = self._agent, "the end of a turn was not seen"
        ended = yield from tried(lambda: agent.ended(state, runtime), None, unseen)
        if ended is None:
            return None
        driver, passed, trace = ended
        yield from agent.emitted(passed.events)
        yield from agent.drivers.learn(driver.cache, trace)
        return agent.update(passed.turn.model_copy(update={"ended": True}))


class _Jumping(SeglamMiddleware):
    """The one with `mode="jump"`. It looks up before the prompt is there, so that the cache has to be told it."""

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End the run with the answer of a procedure that needs no tool."""
        return drive(self._jumping.look(loose(state), runtime))

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: SeglamAgentState, runtime: AnyRuntime) -> Update | None:
        """End the run with the answer of a procedure. See `before_model`."""
        return await adrive(self._jumping.look(loose(state), runtime))


def _name(caches: Caches) -> str:
    """Return a name that differs between tenants and is the same in every worker."""
    if not isinstance(caches, ReasoningCache) or caches.scope.tenant == "default":
        return NAME
    return f"{NAME}_{hosting.digest(caches.scope.tenant, length=8)}"
