"""LlamaIndex agents as the host contract drives them: contexts are saved before every call, for other workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.tools import AsyncBaseTool, FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent, JsonPickleSerializer
from seglam_agents import HostTool
from seglam_agents.testing.host_contract import Approve, Crash, Edit, Fills, Job, PersonSays, PlainTool, Ran, Says
from seglam_agents.testing.llama_index import ScriptedLLM, call

from llama_index.tools.seglam import host_tools

SERIALIZER = JsonPickleSerializer()


async def settled(context: Context) -> dict[str, Any]:
    """Return the state of a run in which calls are all that goes on: the host runs other steps in it once more."""
    while True:
        state = context.to_dict(serializer=SERIALIZER)
        if {name for name, worker in state["workers"].items() if worker["in_progress"]} <= {"call_tool"}:
            return state
        await asyncio.sleep(0)


@dataclass
class Worker:
    """One agent of the job, and where its runs are saved."""

    kind: Any
    job: Job
    saved: dict[str, Any]
    thread: str | None
    context: Context | None = None
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def save(self) -> None:
        if self.thread is not None and self.context is not None:
            self.saved[self.thread] = self.context.to_dict(serializer=SERIALIZER)

    async def until_death(self, text: str | None, request_id: str | None = None, said: PersonSays | None = None) -> Ran:
        running = asyncio.create_task(self.run(text, request_id, said))
        death = asyncio.create_task(self.died.wait())
        await asyncio.wait({running, death}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise Crash
        death.cancel()
        return await running

    async def run(self, text: str | None, request_id: str | None, said: PersonSays | None) -> Ran:
        llm = ScriptedLLM(lambda _: self.reply(llm.calls - 1))
        agent = self.kind(
            cache=self.job.cache,
            tools=[Gate(tool, self) for tool in self.job.tools],
            llm=llm,
            streaming=False,
            system_prompt=self.job.told or None,
            output_cls=self.job.form,
        )
        before = self.saved.get(self.thread or "")
        context = Context.from_dict(agent, before, serializer=SERIALIZER) if before else Context(agent)
        fresh = {} if text is None else {"user_msg": text, "request_id": request_id}
        handler = agent.run(ctx=context, **fresh)
        self.context = handler.ctx
        if said is not None:
            handler.ctx.send_event(HumanResponseEvent(said=said))
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent) and said is None:
                self.save()
                await handler.cancel_run()
                return Ran("", llm.calls, waiting=True)
        result = await handler
        self.save()
        shown = "\n".join(f"{message.content} {message.blocks}" for message in (llm.asked or [[]])[-1])
        return Ran(str(result), llm.calls, shown)

    def reply(self, number: int) -> Any:
        move = self.job.moves[number % len(self.job.moves)]
        if isinstance(move, Fills):
            # The host asks for the form once an answer is there.
            return call(move.form.__name__, **move.values) if number else self.kind.final("by model")
        return self.kind.final(move.text) if isinstance(move, Says) else self.kind.wants(move.calls)


class Gate(AsyncBaseTool):
    """A tool that asks a person first, where the job says so; the worker saves its state before every call."""

    def __init__(self, tool: PlainTool, worker: Worker) -> None:
        self.tool, self.worker = tool, worker
        self._metadata = FunctionTool.from_defaults(tool.function, tool.name, tool.description).metadata

    @property
    def metadata(self) -> ToolMetadata:
        return self._metadata

    def call(self, **arguments: Any) -> ToolOutput:
        result = self.tool.function(**arguments)
        return ToolOutput(self.tool.name, str(result), raw_input={"kwargs": arguments}, raw_output=result)

    async def acall(self, **arguments: Any) -> ToolOutput:
        if self.worker.context is not None:
            await settled(self.worker.context)
        self.worker.save()
        if self.tool.name in self.worker.job.approve:
            ctx = Context.get_step_context()
            event = await ctx.wait_for_event(
                HumanResponseEvent, waiter_event=InputRequiredEvent(), waiter_id=f"{self.tool.name}"
            )
            said = event.said
            if not isinstance(said, (Approve, Edit)):
                return ToolOutput(self.tool.name, said.text, raw_input={"kwargs": arguments}, is_error=True)
            arguments = said.arguments if isinstance(said, Edit) else arguments
        try:
            return await asyncio.to_thread(self.call, **arguments)
        except Crash:
            self.worker.died.set()
            await asyncio.Event().wait()  # The process is dead: nothing of the run goes on.
            raise


@dataclass
class LlamaIndexHost:
    """Runs agents of one kind for the host contract."""

    kind: Any
    saved: dict[str, Any] = field(default_factory=dict)
    finished: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def declare(self, tools: Sequence[PlainTool]) -> list[HostTool]:
        """Return the tools as they are declared to a cache."""
        functions = [FunctionTool.from_defaults(tool.function, tool.name, tool.description) for tool in tools]
        return host_tools(
            functions, {x.name: x.effect for x in tools}, idempotent={x.name for x in tools if x.idempotent}
        )

    def ask(self, job: Job, text: str, thread: str | None = None, request_id: str | None = None) -> Ran:
        """Run a new turn. Who names his conversations names their requests."""
        turns, _ = self.finished.get(thread or "", (0, None))
        request_id = request_id or (f"{thread}/{turns}" if thread else None)
        return self._note(thread, self._run(job, thread, text, request_id))

    def decide(self, job: Job, thread: str, said: PersonSays) -> Ran:
        """Go on with a turn that waits for a person."""
        return self._note(thread, self._run(job, thread, None, said=said))

    def resume(self, job: Job, thread: str) -> Ran:
        """Go on with a turn whose worker died."""
        return self._note(thread, self._run(job, thread, None))

    def lose(self, thread: str) -> None:
        """Forget the turn that a worker died in."""
        _, state = self.finished.get(thread, (0, None))
        self.saved[thread] = state

    def _note(self, thread: str | None, ran: Ran) -> Ran:
        if thread is not None and not ran.waiting:
            turns, _ = self.finished.get(thread, (0, None))
            self.finished[thread] = (turns + 1, self.saved[thread])
        return ran

    def _run(
        self,
        job: Job,
        thread: str | None,
        text: str | None,
        request_id: str | None = None,
        said: PersonSays | None = None,
    ) -> Ran:
        return asyncio.run(Worker(self.kind, job, self.saved, thread).until_death(text, request_id, said))
