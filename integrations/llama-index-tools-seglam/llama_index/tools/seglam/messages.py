"""What a procedure says, as the messages and events of an agent; and what the model said, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from llama_index.core.agent.react.types import (
    ActionReasoningStep,
    BaseReasoningStep,
    ObservationReasoningStep,
    ResponseReasoningStep,
)
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentInput, AgentOutput, AgentStream
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from pydantic import TypeAdapter
from seglam_agents.hosting import Asked, Decision, Heard, Json, Left, Pass, RunStore, Say, SayAnswer, Spoken, render

from llama_index.tools.seglam.models import usage_of
from llama_index.tools.seglam.values import asked_by

HANDOFF = "handoff"
FREE: Mapping[str, int] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

_BY: Mapping[str, Literal["person", "agent"]] = {"user": "person", "assistant": "agent"}
_MESSAGES: TypeAdapter[list[ChatMessage]] = TypeAdapter(list[ChatMessage])


def instructions_of(history: Sequence[ChatMessage]) -> str:
    """Return what an agent is told: its own instructions, and those in its history."""
    return "\n".join(message.content or "" for message in history if message.role.value == "system")


def heard_in(history: Sequence[ChatMessage], text: str) -> list[Heard]:
    """Return the history of a request up to and with it: what follows are handovers of it.

    Args:
        history: the messages.
        text: the request, as the person wrote it.
    """
    heard = [_heard(message) for message in history if message.role.value != "system"]
    while heard and heard[-1].by != "person":
        heard.pop()
    if heard and heard[-1].text is not None:
        heard[-1] = replace(heard[-1], text=text)
    return heard


def spoken(output: AgentOutput) -> Spoken:
    """Return what the model said."""
    calls = [asked_by(call) for call in output.tool_calls]
    return Spoken.by(output.response.content or "", calls, usage_of(output.raw))


async def said(
    agent: BaseWorkflowAgent, ctx: AgentContext, store: RunStore, history: list[ChatMessage], decision: Decision
) -> AgentOutput | None:
    """Return what a procedure says as the agent's own step would, and leave the same behind; None for the model.

    Where the model speaks, what earlier attempts at the turn wrote is left behind, as calls with their results.
    """
    if isinstance(decision, Pass):
        await _remind(agent, store, decision.left)
    if isinstance(decision, Say):
        call = decision.call
        message, reasoning = _asking(call, "A stored procedure does this.")
        if isinstance(agent, ReActAgent):
            message = ChatMessage(role="assistant", content=reasoning.get_content())
        calls = [ToolSelection(tool_id=call.id, tool_name=call.tool, tool_kwargs=dict(call.arguments))]
    elif isinstance(decision, SayAnswer):
        text, calls = render(decision.answer), list[ToolSelection]()
        # A ReAct agent leaves out everything up to the first "Answer:" when it is done.
        message = ChatMessage(role="assistant", content=f"Answer: {text}" if isinstance(agent, ReActAgent) else text)
        reasoning = ResponseReasoningStep(thought="A stored procedure did this.", response=text)
    else:
        return None
    await _remember(agent, store, message, reasoning)
    return _output(agent, ctx, history, message, calls, decision.about)


async def _remind(agent: BaseWorkflowAgent, store: RunStore, left: Sequence[Left]) -> None:
    for call in left:
        await _remember(agent, store, *_asking(call, "This was done before."))
        told = {"tool_call_id": call.id}
        result = ChatMessage(role="tool", content=call.text, additional_kwargs=told)
        await _remember(agent, store, result, ObservationReasoningStep(observation=call.text))


def _heard(message: ChatMessage) -> Heard:
    plain = message.blocks and all(isinstance(block, (TextBlock, ToolCallBlock)) for block in message.blocks)
    return Heard(_BY.get(message.role.value, "other"), text=(message.content or "") if plain else None)


def _asking(call: Asked, thought: str) -> tuple[ChatMessage, ActionReasoningStep]:
    """Return a call as a message of the agent's, and as a step of its reasoning."""
    block = ToolCallBlock(tool_call_id=call.id, tool_name=call.tool, tool_kwargs=dict(call.arguments))
    reasoning = ActionReasoningStep(thought=thought, action=call.tool, action_input=dict(call.arguments))
    return ChatMessage(role="assistant", blocks=[block]), reasoning


async def _remember(
    agent: BaseWorkflowAgent, store: RunStore, message: ChatMessage, reasoning: BaseReasoningStep
) -> None:
    """Leave behind what the agent's own step would: the model may have to go on from here."""
    if isinstance(agent, FunctionAgent):
        so_far = _MESSAGES.validate_python(await store.get(agent.scratchpad_key, default=[]))
        await store.set(agent.scratchpad_key, [*so_far, message])
    elif isinstance(agent, ReActAgent):
        steps = _STEPS.validate_python(await store.get(agent.reasoning_key, default=[]))
        await store.set(agent.reasoning_key, [*steps, reasoning])


def _output(
    agent: BaseWorkflowAgent,
    ctx: AgentContext,
    history: list[ChatMessage],
    message: ChatMessage,
    calls: list[ToolSelection],
    about: Mapping[str, Json],
) -> AgentOutput:
    text, raw = message.content or "", {"seglam": dict(about), "usage": dict(FREE)}
    ctx.write_event_to_stream(AgentInput(input=history, current_agent_name=agent.name))
    ctx.write_event_to_stream(
        AgentStream(delta=text, response=text, current_agent_name=agent.name, tool_calls=calls, raw=raw)
    )
    return AgentOutput(response=message, tool_calls=calls, raw=raw, current_agent_name=agent.name)


_STEPS: TypeAdapter[list[BaseReasoningStep]] = TypeAdapter(list[BaseReasoningStep])
