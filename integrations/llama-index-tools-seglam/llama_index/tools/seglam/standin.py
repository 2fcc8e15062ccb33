"""`StandIn`: lets procedures stand in for the model of an agent. It translates; what to do is the driver's to say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.multi_agent_workflow import AgentWorkflow
from llama_index.core.agent.workflow.workflow_events import AgentOutput, ToolCall, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import AsyncBaseTool
from llama_index.core.tools.types import ToolOutput
from llama_index.core.workflow import Context, StartEvent
from pydantic import BaseModel
from seglam_agents import Tool, hosting
from seglam_agents.hosting import AgentRun, Json, Part, RunStore, adrive, load_run, save_run, unharmed

from llama_index.tools.seglam.messages import HANDOFF, heard_in, instructions_of, said
from llama_index.tools.seglam.state import done, lowered, raised
from llama_index.tools.seglam.values import NOT_DONE, described

logger = logging.getLogger(__name__)

Canonicalise: TypeAlias = Callable[[Sequence[ChatMessage]], str | None]
CallTool: TypeAlias = Callable[[Context, ToolCall], Awaitable[ToolCallResult]]


@dataclass(slots=True)
class StandIn(hosting.Parts):
    """What an agent needs to let procedures stand in for its model.

    Args:
        cache: whose procedures; opened with `tools=host_tools(...)` of the agent's tools.
        drivers: look up, count and learn.
        canonicalise: turns a conversation of several turns into one self-contained request, or None. Without it, those
            turns are looked up that stand for themselves.
    """

    canonicalise: Canonicalise | None = None

    async def speak(
        self, agent: BaseWorkflowAgent, ctx: AgentContext, history: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> AgentOutput | None:
        """Return what the procedure says next; None where the model speaks. Never raises."""
        store: RunStore = ctx.store
        try:
            ran = await self._at_step(agent, store, history)
            part = ran.part(agent.name)
            misfit = hosting.misfits([agent.output_cls] if agent.output_cls else ())
            view = hosting.View(part.calls(await done(store)), _offered(tools), misfit)
            decision = await self.decide(part, view, instructions_of(history))
            output = await said(agent, ctx, store, history, decision)
            ran = ran.with_part(agent.name, part.decided(decision))
            await save_run(store, ran if output is None else await raised(store, ran))
            return output
        except Exception as error:
            hosting.tell(logger, "the cache is broken; the model goes on", error)
            await self.close(store, agent.name, "the cache is broken")
            return None

    async def end(self, agent: BaseWorkflowAgent, store: RunStore, output: AgentOutput) -> None:
        """Note that an agent's part has come to its end, and learn from it where nobody else will. Never raises."""
        with unharmed("a run cannot be learnt from; it is not touched"):
            ran = await load_run(store)
            part, calls = ran.part(agent.name), await done(store)
            asked = part.said[-1].calls if output.tool_calls and part.said else ()
            handed, text = any(call.tool == HANDOFF for call in asked), output.response.content
            part = await asyncio.to_thread(part.ended, self.driver(part), calls, text, handed=handed)
            ran = ran.with_part(agent.name, part)
            if not handed:
                ran = (await lowered(store, ran)).ended()
            await save_run(store, ran)
            if handed or not ran.driven:
                await self.learn(store, agent.name)

    async def carry_out(self, agent: BaseWorkflowAgent, ctx: Context, call: ToolCall, run: CallTool) -> ToolCallResult:
        """Carry a call out; a write of a procedure is noted before and after, and not made twice."""

        def carried() -> hosting.Flow[ToolCallResult]:
            return (yield from hosting.host(_nowhere, lambda: run(ctx, call)))

        journal, write = await self.writing(ctx.store, agent.name, call.tool_id)
        # Nothing in LlamaIndex runs a call twice within one attempt, except after a wait, which withdraws it: errors of
        # tools are results here, so that what is raised is the wait of a tool for a person.
        attempt, instead = hosting.new_id("attempt"), partial(_instead, ctx, call)
        kept = hosting.once(journal, write, attempt, carried, instead=instead, document=_document, waits=(Exception,))
        return await adrive(kept)

    async def _at_step(self, agent: BaseWorkflowAgent, store: RunStore, history: Sequence[ChatMessage]) -> AgentRun:
        """Return the run as it is known at this step; a new turn is looked up."""
        ran = await load_run(store)
        if not ran.opened and await store.get("num_iterations", default=0) == 0:
            ran = (await lowered(store, ran)).begun()
        if not ran.live or agent.name in ran.parts:
            return ran
        return ran.with_part(agent.name, await self._begun(agent, store, history, ran))

    async def _begun(
        self, agent: BaseWorkflowAgent, store: RunStore, history: Sequence[ChatMessage], ran: AgentRun
    ) -> Part:
        made, own = await done(store), instructions_of(history)
        before = [part.instructions for part in ran.parts.values()]
        told = "\n".join([*before, *(ran.told if made else ()), own]).strip()
        words, within = str(await store.get("user_msg_str", default="")), agent.name if ran.parts else ""
        origin = hosting.origin_of(ran.conversation, str(ran.finished), ran.request_id, words=words, within=within)
        posed = await self._posed(store, history)
        if any(call.carried.tool != HANDOFF for call in made):
            posed = hosting.Posed(None)  # What another agent found out is not in the text.
        turn = hosting.Turn(key=hosting.new_id("turn"), origin=origin)
        form = ran.form if ran.form is not None else form_of(agent)
        part = Part(turn=turn, instructions=told, own=own, form=form, before=len(made))
        return await self.begin(part, posed, ran.switch)

    async def _posed(self, store: RunStore, history: Sequence[ChatMessage]) -> hosting.Posed:
        if self.canonicalise is not None:
            spoken = [message for message in history if message.role.value != "system"]
            return hosting.Posed(self.canonicalise(spoken) or None)
        if await store.get("state", default=None):
            return hosting.Posed(None)  # It may decide, and is not in the text.
        return hosting.posed(heard_in(history, str(await store.get("user_msg_str", default=""))))


def form_of(asking: BaseWorkflowAgent | AgentWorkflow) -> str:
    """Return the digest of the response format that an agent or a workflow asks for: its class, or its function."""
    given = (asking.structured_output_fn, asking.output_cls)
    return hosting.form_digest(schema for schema in given if schema is not None)


async def open_run(store: RunStore, event: StartEvent, told: Sequence[str] = (), form: str | None = None) -> None:
    """Note what a run was begun with: `run(..., request_id=..., seglam="off")`. Never raises.

    Args:
        store: of the run.
        event: the beginning.
        told: the instructions of agents that have no cache, and may hand a request over.
        form: digest of the response format that the run asks for, whatever those of its agents are.
    """
    with unharmed("what a run was begun with cannot be noted"):
        request_id, switch = event.get("request_id", default=None), event.get("seglam", default="on")
        name = hosting.request_name(request_id, "request_id")
        known = {"request_id": name, "opened": True, "told": tuple(told), "form": form}
        ran = (await lowered(store, await load_run(store))).begun().model_copy(update=known)
        await save_run(store, ran.model_copy(update={"switch": hosting.switch_of(switch)}))


async def drive(store: RunStore) -> None:
    """Note that the run's own steps are ours, and learn."""
    await save_run(store, (await load_run(store)).model_copy(update={"driven": True}))


def fitted(answer: Json, output_cls: type[BaseModel] | None) -> BaseModel | None:
    """Return an answer as an object of a class, or None where it does not fit."""
    found = hosting.fit(answer, [output_cls]) if output_cls is not None else None
    return found if isinstance(found, BaseModel) else None


def _offered(tools: Sequence[AsyncBaseTool]) -> Callable[[str], Tool | str | None]:
    offered = {tool.metadata.name: tool for tool in tools}

    def signature(name: str) -> Tool | str | None:
        tool = offered.get(name)
        if tool is None:
            return None
        if tool.metadata.return_direct and name != HANDOFF:
            return f"the result of {name} ends the run"
        return described(tool)

    return signature


def _nowhere() -> ToolCallResult:
    raise RuntimeError("agents of LlamaIndex run on an event loop")


def _document(result: ToolCallResult) -> tuple[dict[str, Json] | None, bool]:
    failed = result.tool_output.is_error
    try:
        return ToolCallResult.model_validate(result).model_dump(mode="json"), failed
    except ValueError:
        return None, failed


def _instead(ctx: Context, call: ToolCall, begun: hosting.Known | hosting.InDoubt) -> ToolCallResult:
    """Return what is said of a call that is not carried out again, as the host's own step would."""
    ctx.write_event_to_stream(call.model_copy())
    if isinstance(begun, hosting.Known):
        result = ToolCallResult.model_validate({**begun.document, "tool_id": call.tool_id})
    else:
        output = ToolOutput(
            tool_name=call.tool_name, content=begun.text, raw_input={NOT_DONE: True}, raw_output=None, is_error=True
        )
        result = ToolCallResult.model_validate({**call.model_dump(), "tool_output": output, "return_direct": False})
    ctx.write_event_to_stream(result)
    return result
