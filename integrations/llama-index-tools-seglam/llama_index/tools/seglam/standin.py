"""`StandIn`: lets procedures stand in for the model of an agent. It translates; what to do is the driver's to say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentOutput, ToolCall, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import AsyncBaseTool
from llama_index.core.tools.types import ToolOutput
from llama_index.core.workflow import Context, StartEvent
from pydantic import BaseModel
from seglam_agents import ReasoningCache, Tool, hosting
from seglam_agents.hosting import AgentRun, Json, Part, RunStore, Turn, adrive, load_run, save_run, unharmed

from llama_index.tools.seglam.messages import HANDOFF, instructions_of, remind, request_of, say, say_answer, spoken
from llama_index.tools.seglam.state import done, lowered, raised
from llama_index.tools.seglam.values import NOT_DONE, described

logger = logging.getLogger(__name__)

Canonicalise: TypeAlias = Callable[[Sequence[ChatMessage]], str | None]
CallTool: TypeAlias = Callable[[Context, ToolCall], Awaitable[ToolCallResult]]


@dataclass(slots=True)
class StandIn:
    """What an agent needs to let procedures stand in for its model.

    Args:
        cache: whose procedures; opened with `tools=host_tools(...)` of the agent's tools.
        canonicalise: turns a conversation of several turns into one self-contained request, or None. Without it, only
            the first turn of a conversation is looked up.
        drivers: look up, count and learn.
    """

    cache: ReasoningCache
    canonicalise: Canonicalise | None = None
    drivers: hosting.Drivers = field(default_factory=hosting.Drivers)

    def savings(self) -> hosting.SavingsReport:
        """Return what hits have saved."""
        return self.drivers.savings(self.cache)

    async def speak(
        self, agent: BaseWorkflowAgent, ctx: AgentContext, history: list[ChatMessage], tools: Sequence[AsyncBaseTool]
    ) -> AgentOutput | None:
        """Return what the procedure says next; None where the model speaks. Never raises."""
        store: RunStore = ctx.store
        try:
            ran = await self._at_step(agent, store, history)
            part = ran.part(agent.name)
            view = hosting.View(
                part.calls(await done(store)),
                _offered(tools),
                hosting.misfits([agent.output_cls] if agent.output_cls else ()),
            )
            if part.turn.status == "running" and part.own != instructions_of(history):
                decision = await asyncio.to_thread(self._driver(part).abandon, part.turn, view, hosting.RETOLD)
            else:
                decision = await asyncio.to_thread(self._driver(part).advance, part.turn, view)
            if isinstance(decision, hosting.Pass) and decision.left:
                await remind(agent, store, decision.left)
            if isinstance(decision, hosting.Say):
                output, part = await say(agent, ctx, store, history, decision), part.asks(decision)
            else:
                answers = isinstance(decision, hosting.SayAnswer)
                output = await say_answer(agent, ctx, store, history, decision) if answers else None
                part = part.model_copy(update={"turn": decision.turn})
            ran = ran.with_part(agent.name, part)
            await save_run(store, ran if output is None else await raised(store, ran))
            return output
        except Exception:
            logger.exception("the cache is broken; the model goes on")
            await _close(store, agent.name, "the cache is broken")
            return None

    async def listen(self, agent: BaseWorkflowAgent, store: RunStore, output: AgentOutput) -> None:
        """Note what the model said. Never raises."""
        try:
            ran = await load_run(store)
            part = ran.part(agent.name)
            if not part.turn.teaches:
                return
            await save_run(store, ran.with_part(agent.name, part.speaks(spoken(output))))
        except Exception:
            logger.exception("a step cannot be noted; the run is not learnt from")
            await _close(store, agent.name, "a step could not be noted")

    async def end(self, agent: BaseWorkflowAgent, store: RunStore, output: AgentOutput) -> None:
        """Note that an agent's part has come to its end, and learn from it where nobody else will. Never raises."""
        with unharmed("a run cannot be learnt from; it is not touched"):
            ran = await load_run(store)
            part, calls = ran.part(agent.name), await done(store)
            handed = (
                any(call.tool == HANDOFF for call in part.said[-1].calls) if output.tool_calls and part.said else False
            )
            text, driver = output.response.content, self._driver(part)
            part = await asyncio.to_thread(part.ended, driver, calls, text, handed=handed)
            ran = ran.with_part(agent.name, part)
            if not handed:
                ran = (await lowered(store, ran)).ended()
            await save_run(store, ran)
            if handed or not ran.driven:
                await self.learn(agent, store, None)

    async def learn(self, agent: BaseWorkflowAgent, store: RunStore, structured: Json) -> None:
        """Learn from a part that has come to its end. Never raises."""
        with unharmed("a run cannot be learnt from; it is not touched"):
            ran = await load_run(store)
            part = ran.part(agent.name)
            if part.trace is None:
                return
            await save_run(store, ran.with_part(agent.name, Part(instructions=part.instructions)))
            trace = part.trace if structured is None else part.trace.model_copy(update={"answer": structured})
            await adrive(self.drivers.learn(self._driver(part).cache, trace))

    async def carry_out(self, agent: BaseWorkflowAgent, ctx: Context, call: ToolCall, run: CallTool) -> ToolCallResult:
        """Carry a call out; a write of a procedure is noted before and after, and not made twice."""
        try:
            part = (await load_run(ctx.store)).part(agent.name)
            write, journal = part.turn.write(call.tool_id), self._driver(part).journal if part.turn.plan else None
        except Exception:
            logger.exception("a call cannot be looked at")
            write, journal = None, None
        if write is None or journal is None:
            return await run(ctx, call)

        def carried() -> hosting.Flow[ToolCallResult]:
            return (yield from hosting.host(_nowhere, lambda: run(ctx, call)))

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
        return ran.with_part(agent.name, await self._begin(agent, store, history, ran))

    async def _begin(
        self, agent: BaseWorkflowAgent, store: RunStore, history: Sequence[ChatMessage], ran: AgentRun
    ) -> Part:
        made = await done(store)
        before = [part.instructions for part in ran.parts.values()]
        told = "\n".join([*before, *(ran.told if made else ()), instructions_of(history)]).strip()
        words, within = str(await store.get("user_msg_str", default="")), agent.name if ran.parts else ""
        origin = hosting.origin_of(ran.conversation, str(ran.finished), ran.request_id, words=words, within=within)
        turn, text = Turn(key=hosting.new_id("turn"), origin=origin), await self._text(store, history)
        if any(call.carried.tool != HANDOFF for call in made):
            text = None  # What another agent found out is not in the text.
        part = Part(turn=turn, instructions=told, own=instructions_of(history), before=len(made))
        switch = ran.switch if self.cache.told(told) is not None else "off"
        turn, _ = await asyncio.to_thread(self._driver(part).begin, turn, text, {}, switch)
        return part.model_copy(update={"turn": turn})

    async def _text(self, store: RunStore, history: Sequence[ChatMessage]) -> str | None:
        if self.canonicalise is not None:
            return self.canonicalise([message for message in history if message.role.value != "system"]) or None
        if await store.get("state", default=None):
            return None  # It may decide, and is not in the text.
        return request_of(history, str(await store.get("user_msg_str", default="")))

    def _driver(self, part: Part) -> hosting.Driver:
        return self.drivers.of(self.cache.told(part.instructions) or self.cache)


async def open_run(store: RunStore, event: StartEvent, told: Sequence[str] = ()) -> None:
    """Note what a run was begun with: `run(..., request_id=..., seglam="off")`. Never raises.

    Args:
        store: of the run.
        event: the beginning.
        told: the instructions of agents that have no cache, and may hand a request over.
    """
    with unharmed("what a run was begun with cannot be noted"):
        request_id, switch = event.get("request_id", default=None), event.get("seglam", default="on")
        known = {"request_id": str(request_id) if request_id else None, "opened": True, "told": tuple(told)}
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


async def _close(store: RunStore, name: str, reason: str) -> None:
    """Leave the rest of a part to the model. Never raises."""
    with unharmed("the run cannot be written"):
        part = Part(turn=Turn(status="off", reason=reason, learn=False))
        await save_run(store, (await load_run(store)).with_part(name, part))


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
