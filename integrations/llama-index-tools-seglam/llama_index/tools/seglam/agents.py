"""Agents of LlamaIndex with a procedure in the place of the model: it says the next call, the host runs it."""

# The decorator of steps has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import (
    AgentInput,
    AgentOutput,
    AgentStreamStructuredOutput,
    AgentWorkflowStartEvent,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool
from llama_index.core.workflow import Context, StopEvent, step
from pydantic import BaseModel
from seglam_agents import Learned, ReasoningCache, Trace, hosting
from seglam_agents.hosting import Drivers, Learning, Price, SavingsReport

from llama_index.tools.seglam.messages import spoken
from llama_index.tools.seglam.standin import Canonicalise, StandIn, drive, fitted, form_of, open_run
from llama_index.tools.seglam.state import results

if TYPE_CHECKING:
    _Agent = BaseWorkflowAgent
else:
    _Agent = object  # A mixin: the agent's own class stands behind it.


class SeglamAgentMixin(_Agent):
    """Put it before an agent's class: `class Mine(SeglamAgentMixin, FunctionAgent)`.

    On a hit the procedure says the next tool call, the agent's own steps run it, and so on to the answer, without a
    model call. Where it gives up, the model goes on with the results so far. With `output_cls` the procedure's answer
    is validated as an object of that class. Never breaks the agent.

    `run(..., request_id="...")` names a request: asked again by this name, none of its writes is made twice.
    `run(..., seglam="off")` leaves the cache out, `"refresh"` asks the model and learns anew.

    Args:
        cache: opened with `tools=host_tools(...)` of the agent's tools. What the agent is told is a condition of what
            it learns.
        learning: within the run, in the background, or never.
        canonicalise: see `StandIn`.
        learned: told what came of each trace; it must not raise.
        price: what the model costs, for `savings`.
    """

    _stand_in: StandIn

    def __init__(
        self,
        *args: Any,
        cache: ReasoningCache,
        learning: Learning = "inline",
        canonicalise: Canonicalise | None = None,
        learned: Callable[[Trace, Learned], None] | None = None,
        price: Price | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stand_in = StandIn(cache, Drivers(price, learning, learned), canonicalise)

    @property
    def stand_in(self) -> StandIn:
        """The cache and how it is used."""
        return self._stand_in

    def savings(self) -> SavingsReport:
        """Return what hits have saved."""
        return self._stand_in.savings()

    async def take_step(
        self, ctx: AgentContext, llm_input: list[ChatMessage], tools: Sequence[AsyncBaseTool], memory: BaseMemory
    ) -> AgentOutput:
        """Let the procedure take the step, or the model."""
        output = await self._stand_in.speak(self, ctx, llm_input, tools)
        if output is not None:
            return output
        output = await super().take_step(ctx, llm_input, tools, memory)
        await self._stand_in.listen(ctx.store, self.name, lambda: spoken(output))
        return output

    async def finalize(self, ctx: Context, output: AgentOutput, memory: BaseMemory) -> AgentOutput:
        """Learn from a clean run, where the steps of the run are not ours and so do not."""
        result = await super().finalize(ctx, output, memory)
        await self._stand_in.end(self, ctx.store, result)
        return result

    @step
    async def init_run(self, ctx: Context, ev: AgentWorkflowStartEvent) -> AgentInput:
        """Begin a run."""
        await open_run(ctx.store, ev)
        return await super().init_run(ctx, ev)

    @step
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Carry a call out; writes of procedures are noted before and after."""
        return await self._stand_in.carry_out(self, ctx, ev, super().call_tool)

    @step
    async def parse_agent_output(self, ctx: Context, ev: AgentOutput) -> StopEvent | AgentInput | ToolCall | None:
        """Serve the structured response of a hit, and learn from clean runs."""
        return await _parsed(self, ctx, ev, self.output_cls, super().parse_agent_output)


class SeglamFunctionAgent(SeglamAgentMixin, FunctionAgent):
    """A `FunctionAgent` with a reasoning cache."""


class SeglamReActAgent(SeglamAgentMixin, ReActAgent):
    """A `ReActAgent` with a reasoning cache."""


class SeglamAgentWorkflow(AgentWorkflow):
    """An `AgentWorkflow` whose agents may have a reasoning cache. See `cached_workflow`."""

    @step
    async def init_run(self, ctx: Context, ev: AgentWorkflowStartEvent) -> AgentInput:
        """Begin a run."""
        plain = (agent for agent in self.agents.values() if not isinstance(agent, SeglamAgentMixin))
        # Where the workflow asks for none, each agent asks for its own.
        await open_run(ctx.store, ev, [agent.system_prompt or "" for agent in plain], form_of(self) or None)
        return await super().init_run(ctx, ev)

    @step
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Carry a call out; writes of procedures are noted before and after."""
        agent = self.agents[str(await ctx.store.get("current_agent_name"))]
        if not isinstance(agent, SeglamAgentMixin):
            return await super().call_tool(ctx, ev)
        return await agent.stand_in.carry_out(agent, ctx, ev, super().call_tool)

    @step
    async def parse_agent_output(self, ctx: Context, ev: AgentOutput) -> StopEvent | AgentInput | ToolCall | None:
        """Serve the structured response of a hit, and learn from clean runs."""
        agent = self.agents[ev.current_agent_name]
        if not isinstance(agent, SeglamAgentMixin):
            return await super().parse_agent_output(ctx, ev)
        own = self.structured_output_fn is not None or self.output_cls is not None
        output_cls = self.output_cls if own else agent.output_cls
        return await _parsed(agent, ctx, ev, output_cls, super().parse_agent_output)


def cached_agent(agent: BaseWorkflowAgent, cache: ReasoningCache, **options: Any) -> BaseWorkflowAgent:
    """Return an agent like this one with a reasoning cache. Options are those of `SeglamAgentMixin`."""
    fields = {name: getattr(agent, name) for name in type(agent).model_fields}
    workflow = {"timeout": getattr(agent, "_timeout", None), "verbose": getattr(agent, "_verbose", False)}
    return _with_mixin(type(agent))(cache=cache, **options, **fields, **workflow)


def cached_workflow(
    workflow: AgentWorkflow,
    caches: ReasoningCache | Mapping[str, ReasoningCache],
    **options: Any,
) -> SeglamAgentWorkflow:
    """Return a workflow like this one whose agents have a reasoning cache.

    Args:
        workflow: stays as it is.
        caches: one for all agents, or one by the name of an agent; agents without one stay as they are.
        options: those of `SeglamAgentMixin`.
    """
    agents: list[BaseWorkflowAgent] = []
    for name, agent in workflow.agents.items():
        cache = caches.get(name) if isinstance(caches, Mapping) else caches
        agents.append(agent if cache is None else cached_agent(agent, cache, **options))
    return SeglamAgentWorkflow(
        agents=agents,
        initial_state=workflow.initial_state,
        root_agent=workflow.root_agent,
        handoff_prompt=workflow.handoff_prompt,
        handoff_output_prompt=workflow.handoff_output_prompt,
        state_prompt=workflow.state_prompt,
        timeout=getattr(workflow, "_timeout", None),
        output_cls=workflow.output_cls,
        structured_output_fn=workflow.structured_output_fn,
        early_stopping_method=cast(Literal["force", "generate"], workflow.early_stopping_method),
        verbose=getattr(workflow, "_verbose", False),
    )


async def _parsed(
    agent: SeglamAgentMixin,
    ctx: Context,
    ev: AgentOutput,
    output_cls: type[BaseModel] | None,
    parse: Callable[[Context, AgentOutput], Any],
) -> StopEvent | AgentInput | ToolCall | None:
    await drive(ctx.store)
    if (served := await _structured(agent, ctx, ev, output_cls)) is not None:
        return served
    stop = await parse(ctx, ev)
    if isinstance(stop, StopEvent) and isinstance(stop.result, AgentOutput):
        await agent.stand_in.learn(ctx.store, agent.name, stop.result.structured_response)
    return stop


async def _structured(
    agent: BaseWorkflowAgent, ctx: Context, ev: AgentOutput, output_cls: type[BaseModel] | None
) -> StopEvent | None:
    """End a hit with its structured response, as the host does after one more model call."""
    turn = (await hosting.load_run(ctx.store)).part(agent.name).turn
    found = fitted(turn.answer, output_cls) if turn.status == "hit" and not ev.tool_calls else None
    if found is None:
        return None
    await ctx.store.set("num_iterations", await ctx.store.get("num_iterations", default=0) + 1)
    output = await agent.finalize(ctx, ev, await ctx.store.get("memory"))
    document, calls = found.model_dump(mode="json"), [*output.tool_calls, *await results(ctx.store)]
    ctx.write_event_to_stream(AgentStreamStructuredOutput(output=document))
    await ctx.store.set("current_tool_calls", [])
    return StopEvent(result=output.model_copy(update={"structured_response": document, "tool_calls": calls}))


def _with_mixin(agent: type[BaseWorkflowAgent]) -> Any:
    if issubclass(agent, SeglamAgentMixin):
        return agent
    if agent in (FunctionAgent, ReActAgent):
        return SeglamFunctionAgent if agent is FunctionAgent else SeglamReActAgent
    made: Any = type(agent)  # The metaclass of the host's agents.
    return made(f"Seglam{agent.__name__}", (SeglamAgentMixin, agent), {"__module__": agent.__module__})
