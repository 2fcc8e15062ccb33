"""Agents of LlamaIndex with a procedure in the place of the model: it says the next call, the host runs it."""

# The types of the host leave out what its decorators and dictionaries hold.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import functools
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, cast

from llama_index.core.agent.react.types import ActionReasoningStep, BaseReasoningStep, ResponseReasoningStep
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AgentStreamStructuredOutput,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool, BaseTool
from llama_index.core.workflow import Context, StopEvent, step
from pydantic import BaseModel
from seglam_agents import Call, Final, GiveUp, Learned, Plan, ReasoningCache, Request, ToolResult, ToolStep, Trace
from seglam_agents.records.procedure import ToolUse
from seglam_agents.records.record import Json, Record
from seglam_agents.records.trace import ModelStep
from seglam_agents.records.usage import Usage
from seglam_agents.records.values import encode

from llama_index.tools.seglam.learning import Learner, Learning
from llama_index.tools.seglam.models import usage_of
from llama_index.tools.seglam.tools import described
from llama_index.tools.seglam.values import is_json, output_json, render, tool_result

logger = logging.getLogger(__name__)

A = TypeVar("A", bound=BaseWorkflowAgent)

TURNS = "seglam"
"""The key in the store of a run under which the turns of its agents are, by the agent's name."""
DRIVEN = "seglam_driven"
"""The key that says that the run's own steps are ours, and learn."""
MAX_STEPS = 64
HANDOFF = "handoff"

Canonicalise: TypeAlias = Callable[[Sequence[ChatMessage]], str | None]
Status: TypeAlias = Literal["off", "miss", "running", "hit", "gave up"]


class Asked(Record):
    """A tool call that a procedure asked for."""

    id: str
    tool: str
    arguments: dict[str, Json]


class Turn(Record):
    """What the cache knows of a running turn. Plain data in the store of the run, so that it is saved with it."""

    status: Status = "off"
    text: str = ""
    plan: Plan | None = None
    asked: tuple[Asked, ...] = ()
    answer: Json = None
    final: bool = False
    """True once the model gave an answer without a call."""
    usage: Usage = Usage()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What an agent needs to let procedures stand in for its model.

    Args:
        cache: whose procedures; opened with `tools=host_tools(...)` of the agent's tools.
        canonicalise: turns a conversation of several turns into one self-contained request, or None. Without it, only
            the first turn of a conversation is looked up.
        learner: learns from clean runs.
    """

    cache: ReasoningCache
    canonicalise: Canonicalise | None = None
    learner: Learner = field(default_factory=Learner)


class SeglamAgentMixin:
    """Put it before an agent's class: `class Mine(SeglamAgentMixin, FunctionAgent)`.

    On a hit the procedure says the next tool call, the agent's own steps run it, and so on to the answer, without a
    model call. Where it gives up, the model goes on with the results so far. With `output_cls` the procedure's answer
    is validated as an object of that class. Never breaks the agent.

    Args:
        cache: opened with `tools=host_tools(...)` of the agent's tools.
        learning: within the run, in the background, or never.
        canonicalise: see `StandIn`.
        learned: told what came of each trace; it must not raise.
    """

    _stand_in: StandIn

    def __init__(
        self,
        *args: Any,
        cache: ReasoningCache,
        learning: Learning = "inline",
        canonicalise: Canonicalise | None = None,
        learned: Callable[[ReasoningCache, Trace, Learned], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stand_in = StandIn(cache, canonicalise, Learner(learning, learned))

    @property
    def stand_in(self) -> StandIn:
        """The cache and how it is used."""
        return self._stand_in

    async def take_step(
        self, ctx: AgentContext, llm_input: list[ChatMessage], tools: Sequence[AsyncBaseTool], memory: BaseMemory
    ) -> AgentOutput:
        """Let the procedure take the step, or the model."""
        agent = cast(BaseWorkflowAgent, self)
        try:
            output = await _step(agent, self._stand_in, ctx, llm_input, tools)
        except Exception:
            logger.exception("the cache is broken; the model goes on")
            await _end(ctx, agent.name, "the cache is broken")
            output = None
        if output is not None:
            return output
        output = await cast(Any, super()).take_step(ctx, llm_input, tools, memory)
        await _spoke(ctx, agent.name, output)
        return output

    async def finalize(self, ctx: Context, output: AgentOutput, memory: BaseMemory) -> AgentOutput:
        """Learn from a clean run, where the steps of the run are not ours and so do not."""
        result = cast(AgentOutput, await cast(Any, super()).finalize(ctx, output, memory))
        if not await ctx.store.get(DRIVEN, default=False):
            calls = cast("list[ToolCallResult]", await ctx.store.get("current_tool_calls", default=[]))
            iterations = await _within_iterations(ctx, counted=True)
            await _learn(self._stand_in, ctx, cast(BaseWorkflowAgent, self).name, result, calls, iterations)
        return result

    @step
    async def parse_agent_output(self, ctx: Context, ev: AgentOutput) -> StopEvent | AgentInput | ToolCall | None:
        """Serve the structured response of a hit, and learn from clean runs."""
        agent = cast(BaseWorkflowAgent, self)
        await ctx.store.set(DRIVEN, True)
        served = await _structured(agent, ctx, ev, agent.output_cls)
        if served is not None:
            return served
        iterations = await _within_iterations(ctx)
        stop = await cast(Any, super()).parse_agent_output(ctx, ev)
        await _learn_from(self._stand_in, ctx, agent, stop, iterations)
        return cast("StopEvent | AgentInput | ToolCall | None", stop)


class SeglamFunctionAgent(SeglamAgentMixin, FunctionAgent):
    """A `FunctionAgent` with a reasoning cache."""


class SeglamReActAgent(SeglamAgentMixin, ReActAgent):
    """A `ReActAgent` with a reasoning cache."""


class SeglamAgentWorkflow(AgentWorkflow):
    """An `AgentWorkflow` that also serves structured responses of hits, and learns from them. See `cached_workflow`."""

    @step
    async def parse_agent_output(self, ctx: Context, ev: AgentOutput) -> StopEvent | AgentInput | ToolCall | None:
        """Serve the structured response of a hit, and learn from clean runs."""
        agent = self.agents[ev.current_agent_name]
        if not isinstance(agent, SeglamAgentMixin):
            return await super().parse_agent_output(ctx, ev)
        await ctx.store.set(DRIVEN, True)
        own = self.structured_output_fn is not None or self.output_cls is not None
        served = await _structured(agent, ctx, ev, self.output_cls if own else agent.output_cls)
        if served is not None:
            return served
        iterations = await _within_iterations(ctx)
        stop = await super().parse_agent_output(ctx, ev)
        await _learn_from(agent.stand_in, ctx, agent, stop, iterations)
        return stop


def cached_agent(agent: BaseWorkflowAgent, cache: ReasoningCache, **options: Any) -> BaseWorkflowAgent:
    """Return an agent like this one with a reasoning cache. Options are those of `SeglamAgentMixin`."""
    fields: dict[str, Any] = {name: getattr(agent, name) for name in type(agent).model_fields}
    workflow: dict[str, Any] = {
        "timeout": getattr(agent, "_timeout", None),
        "verbose": getattr(agent, "_verbose", False),
    }
    return _with_mixin(cast(Any, type(agent)))(cache=cache, **options, **fields, **workflow)


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


def fit(answer: Json, output_cls: type[BaseModel]) -> BaseModel | None:
    """Return an answer as an object of a class, or None where it does not fit."""
    try:
        document = answer if isinstance(answer, str) else json.dumps(answer)
        return output_cls.model_validate_json(document)
    except ValueError:
        return None


@functools.cache
def _with_mixin(agent: type[Any]) -> type[Any]:
    if issubclass(agent, SeglamAgentMixin):
        return agent
    known: dict[type[Any], type[Any]] = {FunctionAgent: SeglamFunctionAgent, ReActAgent: SeglamReActAgent}
    if agent in known:
        return known[agent]
    made = type(agent)  # The metaclass of the host's agents.
    return cast(Any, made)(f"Seglam{agent.__name__}", (SeglamAgentMixin, agent), {"__module__": agent.__module__})


async def _step(
    agent: BaseWorkflowAgent,
    stand_in: StandIn,
    ctx: AgentContext,
    llm_input: Sequence[ChatMessage],
    tools: Sequence[AsyncBaseTool],
) -> AgentOutput | None:
    """Return what the procedure says next; None where the model speaks."""
    if await ctx.store.get("num_iterations", default=0) == 0:
        await _write(ctx, agent.name, await _begin(stand_in, ctx, llm_input))
    turn = await _read(ctx, agent.name)
    if turn.status != "running" or turn.plan is None:
        return None
    calls = cast("list[ToolCallResult]", await ctx.store.get("current_tool_calls", default=[]))
    results, steps = _results(turn, calls)
    action = results if isinstance(results, GiveUp) else _hindrance(turn.plan, tools)
    if action is None and isinstance(results, list):
        action = await asyncio.to_thread(stand_in.cache.next_action, turn.plan, results)
    if isinstance(action, Call) and len(turn.asked) >= MAX_STEPS:
        action = GiveUp(f"more than {MAX_STEPS} tool calls")
    if isinstance(action, Call):
        return await _ask(agent, ctx, turn, action, llm_input)
    if isinstance(action, Final) and agent.output_cls is not None and fit(action.answer, agent.output_cls) is None:
        action = GiveUp(f"the answer is no {agent.output_cls.__name__}", action.seconds)
    ended = action or GiveUp("the results cannot be read")
    await asyncio.to_thread(_count, stand_in.cache, turn.plan, ended, steps)
    if isinstance(ended, GiveUp):
        logger.info("%s gave up: %s", turn.plan.procedure, ended.reason)
        await _end(ctx, agent.name, ended.reason)
        return None
    return await _answer(agent, ctx, turn, ended, llm_input)


async def _begin(stand_in: StandIn, ctx: AgentContext, llm_input: Sequence[ChatMessage]) -> Turn:
    """Look a new turn up; one that does not stand for itself is the model's."""
    text = cast(str, await ctx.store.get("user_msg_str", default="")) or ""
    messages = [message for message in llm_input if message.role.value != "system"]
    if stand_in.canonicalise is not None:
        text = stand_in.canonicalise(messages) or ""
        if not text:
            return Turn(reason="the turn does not stand for itself")
    else:
        blocks = messages[0].blocks if len(messages) == 1 and messages[0].role.value == "user" else []
        if not blocks or not all(isinstance(block, TextBlock) for block in blocks):
            return Turn(reason="this is not the first turn, or not text alone")
        if await ctx.store.get("state", default=None):
            return Turn(reason="the run has a state that is not in the text")
    found = await asyncio.to_thread(stand_in.cache.plan, text)
    if isinstance(found, Plan):
        return Turn(status="running", text=text, plan=found)
    return Turn(status="miss", text=text, reason=found.reason)


def _results(turn: Turn, calls: Sequence[ToolCallResult]) -> tuple[list[ToolResult] | GiveUp, tuple[ToolStep, ...]]:
    """Return what the calls came to that the procedure asked for, in its order."""
    known = {call.tool_id: call for call in calls}
    results: list[ToolResult] = []
    steps: list[ToolStep] = []
    for asked in turn.asked:
        call = known.get(asked.id)
        if call is None:
            return GiveUp(f"the result of {asked.tool} is not there"), tuple(steps)
        result = tool_result(call.tool_output)
        arguments = cast("dict[str, Json]", call.tool_kwargs)
        steps.append(
            ToolStep(tool=call.tool_name, arguments=arguments, result=encode(result.value), error=result.error)
        )
        if (call.tool_name, arguments) != (asked.tool, asked.arguments):
            return GiveUp(f"somebody changed the call of {asked.tool}"), tuple(steps)
        results.append(result)
    return results, tuple(steps)


def _hindrance(plan: Plan, tools: Sequence[AsyncBaseTool]) -> GiveUp | None:
    offered: dict[str | None, BaseTool] = {tool.metadata.name: tool for tool in tools}
    for use in plan.tools:
        if problem := _changed(use, offered.get(use.name)):
            return GiveUp(problem)
    return None


def _changed(use: ToolUse, tool: BaseTool | None) -> str | None:
    if tool is None:
        return f"the tool {use.name} is not offered now"
    if tool.metadata.return_direct:
        return f"the result of {use.name} ends the run"
    if described(tool, use.effect, idempotent=use.idempotent).schema_hash != use.schema_hash:
        return f"the tool {use.name} has other arguments than the cache was told (declare it with host_tools)"
    return None


async def _ask(
    agent: BaseWorkflowAgent, ctx: AgentContext, turn: Turn, action: Call, llm_input: Sequence[ChatMessage]
) -> AgentOutput:
    asked = Asked(id=f"seglam_{uuid.uuid4().hex}", tool=action.tool, arguments=dict(action.arguments))
    await _write(ctx, agent.name, turn.model_copy(update={"asked": (*turn.asked, asked)}))
    arguments: dict[str, Any] = dict(asked.arguments)
    call = ToolSelection(tool_id=asked.id, tool_name=asked.tool, tool_kwargs=arguments)
    block = ToolCallBlock(tool_call_id=asked.id, tool_name=asked.tool, tool_kwargs=arguments)
    reasoning = ActionReasoningStep(thought="A stored procedure does this.", action=asked.tool, action_input=arguments)
    plain = isinstance(agent, ReActAgent)
    message = ChatMessage(role="assistant", content=reasoning.get_content()) if plain else _calling(block)
    await _remember(agent, ctx, message, reasoning)
    return _said(agent, ctx, llm_input, message, [call], turn.plan)


async def _answer(
    agent: BaseWorkflowAgent, ctx: AgentContext, turn: Turn, action: Final, llm_input: Sequence[ChatMessage]
) -> AgentOutput:
    await _write(ctx, agent.name, turn.model_copy(update={"status": "hit", "answer": action.answer}))
    text = render(action.answer)
    # A ReAct agent leaves out everything up to the first "Answer:" when it is done.
    said = f"Answer: {text}" if isinstance(agent, ReActAgent) else text
    message = ChatMessage(role="assistant", content=said)
    await _remember(agent, ctx, message, ResponseReasoningStep(thought="A stored procedure did this.", response=text))
    return _said(agent, ctx, llm_input, message, [], turn.plan)


async def _remember(
    agent: BaseWorkflowAgent, ctx: AgentContext, message: ChatMessage, reasoning: BaseReasoningStep
) -> None:
    """Leave behind what the agent's own step would: the model may have to go on from here."""
    if isinstance(agent, FunctionAgent):
        scratchpad = cast("list[ChatMessage]", await ctx.store.get(agent.scratchpad_key, default=[]))
        await ctx.store.set(agent.scratchpad_key, [*scratchpad, message])
    elif isinstance(agent, ReActAgent):
        so_far = cast("list[BaseReasoningStep]", await ctx.store.get(agent.reasoning_key, default=[]))
        await ctx.store.set(agent.reasoning_key, [*so_far, reasoning])


def _said(
    agent: BaseWorkflowAgent,
    ctx: AgentContext,
    llm_input: Sequence[ChatMessage],
    message: ChatMessage,
    calls: list[ToolSelection],
    plan: Plan | None,
) -> AgentOutput:
    text = message.content or ""
    raw = {"seglam": {"procedure": plan.procedure if plan else ""}}
    ctx.write_event_to_stream(AgentInput(input=list(llm_input), current_agent_name=agent.name))
    ctx.write_event_to_stream(
        AgentStream(delta=text, response=text, current_agent_name=agent.name, tool_calls=calls, raw=raw)
    )
    return AgentOutput(response=message, tool_calls=calls, raw=raw, current_agent_name=agent.name)


def _calling(block: ToolCallBlock) -> ChatMessage:
    return ChatMessage(role="assistant", blocks=[block])


def _count(cache: ReasoningCache, plan: Plan, action: Final | GiveUp, steps: tuple[ToolStep, ...]) -> None:
    try:
        cache.finish(plan, action, steps)
    except Exception:
        logger.exception("an outcome could not be counted")  # The answer is there; the run goes on.


async def _structured(
    agent: BaseWorkflowAgent, ctx: Context, ev: AgentOutput, output_cls: type[BaseModel] | None
) -> StopEvent | None:
    """End a hit with its structured response, as the host does after one more model call."""
    if output_cls is None or ev.tool_calls or ev.retry_messages:
        return None
    turn = await _read(ctx, agent.name)
    fitted = fit(turn.answer, output_cls) if turn.status == "hit" else None
    if fitted is None or not await _within_iterations(ctx):
        return None
    await ctx.store.set("num_iterations", await ctx.store.get("num_iterations", default=0) + 1)
    memory = cast(BaseMemory, await ctx.store.get("memory"))
    output = await agent.finalize(ctx, ev, memory)
    calls = cast("list[Any]", await ctx.store.get("current_tool_calls", default=[]))
    output.tool_calls.extend(calls)
    document = fitted.model_dump(mode="json")
    output.structured_response = document
    ctx.write_event_to_stream(AgentStreamStructuredOutput(output=document))
    await ctx.store.set("current_tool_calls", [])
    return StopEvent(result=output)


async def _within_iterations(ctx: Context, *, counted: bool = False) -> bool:
    """Tell whether the step that is being parsed is one that the limit allows."""
    done = cast(int, await ctx.store.get("num_iterations", default=0)) + (not counted)
    return done < cast(int, await ctx.store.get("max_iterations", default=20))


async def _spoke(ctx: AgentContext, name: str, output: AgentOutput) -> None:
    """Note what the model said. Never raises."""
    try:
        turn = await _read(ctx, name)
        if turn.status == "miss":
            final = not output.tool_calls and not output.retry_messages
            usage = turn.usage + usage_of(output.raw)
            await _write(ctx, name, turn.model_copy(update={"final": final, "usage": usage}))
    except Exception:
        logger.exception("a step cannot be noted; the run is not learnt from")
        await _end(ctx, name, "a step could not be noted")


async def _learn_from(stand_in: StandIn, ctx: Context, agent: BaseWorkflowAgent, stop: object, within: bool) -> None:
    result = cast(object, stop.result) if isinstance(stop, StopEvent) else None
    if isinstance(result, AgentOutput):
        calls = cast("list[ToolCallResult]", result.tool_calls)
        await _learn(stand_in, ctx, agent.name, result, calls, within)


async def _learn(
    stand_in: StandIn, ctx: Context, name: str, result: AgentOutput, calls: Sequence[object], within: bool
) -> None:
    """Learn from a run that the model alone brought to a good end. Never raises."""
    try:
        turn = await _read(ctx, name)
        if turn.status != "miss" or not turn.final or not within:
            return
        trace = _trace(turn, result, calls)
        await _write(ctx, name, Turn(reason="learnt from"))
        if isinstance(trace, str):
            logger.info("not learnt from: %s", trace)
            return
        await stand_in.learner.alearn(stand_in.cache, trace)
    except Exception:
        logger.exception("a run cannot be learnt from; it is not touched")


def _trace(turn: Turn, result: AgentOutput, calls: Sequence[object]) -> Trace | str:
    steps: list[ToolStep] = []
    for call in calls:
        if not isinstance(call, ToolCallResult):
            return "the results of its calls are not there"
        if call.tool_name == HANDOFF:
            return "it was handed over to another agent"
        if call.tool_output.is_error:
            return f"{call.tool_name} failed"
        if not is_json(call.tool_kwargs):
            return f"the arguments of {call.tool_name} are no JSON"
        steps.append(ToolStep(tool=call.tool_name, arguments=call.tool_kwargs, result=output_json(call.tool_output)))
    answer = cast(Json, result.structured_response) or result.response.content
    if not answer:
        return "the answer is no text"
    spoken = ModelStep(text=result.response.content or "", usage=turn.usage)
    return Trace(request=Request(text=turn.text), steps=(*steps, spoken), answer=answer)


async def _read(ctx: AgentContext | Context, name: str) -> Turn:
    turns = cast("Mapping[str, object]", await ctx.store.get(TURNS, default={}))
    document = turns.get(name)
    try:
        return Turn.model_validate(document) if document is not None else Turn(reason="the turn began elsewhere")
    except ValueError:
        return Turn(reason="the turn is of another version")


async def _write(ctx: AgentContext | Context, name: str, turn: Turn) -> None:
    turns = cast("Mapping[str, object]", await ctx.store.get(TURNS, default={}))
    await ctx.store.set(TURNS, {**turns, name: turn.model_dump(mode="json")})


async def _end(ctx: AgentContext, name: str, reason: str) -> None:
    """Leave the rest of a turn to the model. Never raises."""
    try:
        await _write(ctx, name, Turn(status="gave up", reason=reason))
    except Exception:
        logger.exception("the turn cannot be written")
