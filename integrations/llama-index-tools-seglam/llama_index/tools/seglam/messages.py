"""What a procedure says, as the messages and events of an agent; and what the model said, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from seglam_agents.hosting import Asked, Json, Left, RunStore, Say, SayAnswer, Spoken, new_id, render

from llama_index.tools.seglam.models import usage_of
from llama_index.tools.seglam.values import selected

HANDOFF = "handoff"
FREE: Mapping[str, int] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

_MESSAGES: TypeAdapter[list[ChatMessage]] = TypeAdapter(list[ChatMessage])


def instructions_of(history: Sequence[ChatMessage]) -> str:
    """Return what an agent is told: its own instructions, and those in its history."""
    return "\n".join(message.content or "" for message in history if message.role.value == "system")


def request_of(history: Sequence[ChatMessage], text: str) -> str | None:
    """Return the request of a history that holds nothing else but handovers of it; None where there is more."""
    spoken = [message for message in history if message.role.value != "system"]
    if [message.role.value == "user" for message in spoken] != [True] + [False] * (len(spoken) - 1):
        return None
    blocks = spoken[0].blocks
    return text if blocks and all(isinstance(block, TextBlock) for block in blocks) else None


def spoken(output: AgentOutput) -> Spoken:
    """Return what the model said."""
    calls = [selected(call) for call in output.tool_calls]
    key = new_id("message")
    return Spoken(
        id=key,
        text=output.response.content or "",
        calls=tuple(
            Asked(id=f"{key}/{number}", tool=call.tool_name, arguments=call.tool_kwargs)
            for number, call in enumerate(calls)
            if call is not None
        ),
        given=tuple(call.tool_id for call in calls if call is not None),
        usage=usage_of(output.raw),
        unreadable=None in calls,
    )


async def say(
    agent: BaseWorkflowAgent, ctx: AgentContext, store: RunStore, history: list[ChatMessage], said: Say
) -> AgentOutput:
    """Return a procedure's call as the agent's own step would, and leave the same behind."""
    call = said.call
    arguments = dict(call.arguments)
    selection = ToolSelection(tool_id=call.id, tool_name=call.tool, tool_kwargs=arguments)
    reasoning = ActionReasoningStep(thought="A stored procedure does this.", action=call.tool, action_input=arguments)
    block = ToolCallBlock(tool_call_id=call.id, tool_name=call.tool, tool_kwargs=dict(arguments))
    if isinstance(agent, ReActAgent):
        message = _message(reasoning.get_content())
    else:
        message = ChatMessage(role="assistant", blocks=[block])
    await _remember(agent, store, message, reasoning)
    return _output(agent, ctx, history, message, [selection], said.about)


async def say_answer(
    agent: BaseWorkflowAgent, ctx: AgentContext, store: RunStore, history: list[ChatMessage], said: SayAnswer
) -> AgentOutput:
    """Return a procedure's answer as the agent's own step would, and leave the same behind."""
    text = render(said.answer)
    # A ReAct agent leaves out everything up to the first "Answer:" when it is done.
    message = _message(f"Answer: {text}" if isinstance(agent, ReActAgent) else text)
    reasoning = ResponseReasoningStep(thought="A stored procedure did this.", response=text)
    await _remember(agent, store, message, reasoning)
    return _output(agent, ctx, history, message, [], said.about)


async def remind(agent: BaseWorkflowAgent, store: RunStore, left: Sequence[Left]) -> None:
    """Leave behind what earlier attempts at a turn wrote, as calls with their results."""
    for call in left:
        arguments = dict(call.arguments)
        reasoning = ActionReasoningStep(thought="This was done before.", action=call.tool, action_input=arguments)
        block = ToolCallBlock(tool_call_id=call.id, tool_name=call.tool, tool_kwargs=dict(arguments))
        await _remember(agent, store, ChatMessage(role="assistant", blocks=[block]), reasoning)
        told = {"tool_call_id": call.id}
        result = ChatMessage(role="tool", content=call.text, additional_kwargs=told)
        await _remember(agent, store, result, ObservationReasoningStep(observation=call.text))


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


def _message(text: str, role: Literal["assistant"] = "assistant") -> ChatMessage:
    return ChatMessage(role=role, content=text)


_STEPS: TypeAdapter[list[BaseReasoningStep]] = TypeAdapter(list[BaseReasoningStep])
