"""The host contract through the proxy: an agent of one page over the official client, which carries its calls out.

Such a client has no journal. It names its requests, and where it lost what was said to it, it asks again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx
import pytest

from seglam_agents import HostTool, Tool
from seglam_agents.hosting import encode, render
from seglam_agents.surfaces import Frame
from seglam_agents.surfaces.proxy.app import proxy
from seglam_agents.surfaces.proxy.tenants import one
from seglam_agents.testing.host_contract import Edit, Host, HostContract, Job, PersonSays, PlainTool, Ran, Reject
from tests.surfaces.support import Body, Model, behind, client_of

PENDING: Mapping[str, str] = {
    "test_a_write_whose_result_was_kept": "the model is told what an earlier attempt wrote, and has the last word",
}


@dataclass
class Served:
    """A process of the proxy, and the model behind it."""

    frame: Frame
    model: Model


@dataclass
class Thread:
    """What an agent keeps: its messages, and what is asked for and not carried out yet."""

    messages: list[Body] = field(default_factory=list)
    waiting: list[Body] = field(default_factory=list)
    served: Served | None = None
    """The process of the proxy that remembers it."""
    name: str | None = None
    turns: int = 0


@dataclass
class ProxiedHost:
    """Runs agents over the proxy.

    Args:
        forgets: every request goes to another process, which remembers nothing.
    """

    forgets: bool = False
    saved: dict[str, Thread] = field(default_factory=dict)

    def declare(self, tools: Sequence[PlainTool]) -> list[HostTool]:
        return [HostTool(_declared(tool), tool.function) for tool in tools]

    def ask(self, job: Job, text: str, thread: str | None = None, request_id: str | None = None) -> Ran:
        state = self.saved.get(thread or "", Thread())
        if thread is not None:
            self.saved[thread] = state
        state.name = request_id or (f"{thread}/{state.turns}" if thread is not None else None)
        state.messages = [*state.messages, {"role": "user", "content": text}]
        return asyncio.run(Agent(job, state, self.forgets).run())

    def decide(self, job: Job, thread: str, said: PersonSays) -> Ran:
        return asyncio.run(Agent(job, self.saved[thread], self.forgets).decided(said))

    def resume(self, job: Job, thread: str) -> Ran:
        state = self.saved[thread]
        state.waiting, state.served = [], None
        while state.messages[-1].get("role") != "user":
            state.messages.pop()
        return asyncio.run(Agent(job, state, self.forgets).run())

    def lose(self, thread: str) -> None:
        self.saved[thread] = Thread()


class Agent:
    """One agent on one worker."""

    def __init__(self, job: Job, state: Thread, forgets: bool) -> None:
        self.job, self.state, self.forgets = job, state, forgets
        self.model = state.served.model if state.served is not None else Model()
        self.model.moves, self.model.before = job.moves, self.model.asked
        self.client: httpx.AsyncClient | None = None

    async def run(self) -> Ran:
        async with AsyncExitStack() as stack:
            while True:
                if self.state.waiting:
                    if self.state.waiting[0]["name"] in self.job.approve:
                        return Ran("", self.model.asked - self.model.before, self.model.shown(), waiting=True)
                    self.carry_out(self.state.waiting.pop(0))
                    continue
                if self.client is None or self.forgets:
                    self.client = await self.served(stack)
                said = await (self.by_chat if self.job.mode == "sync" else self.by_responses)(self.client)
                if said is not None:
                    self.state.turns += 1
                    return Ran(said, self.model.asked - self.model.before, self.model.shown())

    async def decided(self, said: PersonSays) -> Ran:
        first = self.state.waiting.pop(0)
        if isinstance(said, Reject):
            self.told(first, f"Error: a person rejected this call: {said.text}")
            return await self.run()
        if isinstance(said, Edit):
            first = {**first, "arguments": said.arguments}
            self.state.messages = [_edited(message, first) for message in self.state.messages]
        self.carry_out(first)
        return await self.run()

    async def served(self, stack: AsyncExitStack) -> httpx.AsyncClient:
        """Return a client of the proxy that remembers the agent, or of a fresh one."""
        if self.state.served is None or self.forgets:
            self.state.served = Served(self.fresh(), self.model)
        frame = self.state.served.frame
        await stack.enter_async_context(frame.lifespan())
        return await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(frame), base_url="http://localhost/v1")
        )

    def fresh(self) -> Frame:
        cache, upstream = self.job.cache, behind(self.model)
        known = [_declared(tool) for tool in self.job.tools]
        tenants = one(cache.scope.tenant)
        return Frame([proxy(lambda _: cache, upstream, tenants, known=known, learning="inline", patience=60)])

    async def by_chat(self, http: httpx.AsyncClient) -> str | None:
        system = [{"role": "system", "content": self.job.told}] if self.job.told else []
        tools: Any = [{"type": "function", "function": _schema(tool)} for tool in self.job.tools]
        messages: Any = [*system, *self.state.messages]
        said = await client_of(http).chat.completions.create(
            model="m", messages=messages, tools=tools, extra_headers=self.headers
        )
        message = said.choices[0].message
        self.state.messages = [*self.state.messages, message.to_dict()]
        calls = [call.to_dict() for call in message.tool_calls or []]
        self.state.waiting = [{"id": call["id"], **_read(call["function"])} for call in calls]  # type: ignore[dict-item]
        return None if calls else message.content or ""

    async def by_responses(self, http: httpx.AsyncClient) -> str | None:
        tools: Any = [{"type": "function", "strict": False, **_schema(tool)} for tool in self.job.tools]
        items: Any = self.state.messages
        more: Any = {"instructions": self.job.told} if self.job.told else {}
        said = await client_of(http).responses.create(
            model="m", input=items, tools=tools, extra_headers=self.headers, **more
        )
        output = [item.to_dict() for item in said.output]
        self.state.messages = [*self.state.messages, *output]
        calls = [item for item in output if item["type"] == "function_call"]
        self.state.waiting = [{"id": call["call_id"], **_read(call)} for call in calls]
        return None if calls else said.output_text

    @property
    def headers(self) -> dict[str, str]:
        return {"x-seglam-request-id": self.state.name} if self.state.name else {}

    def carry_out(self, call: Body) -> None:
        tool = next(tool for tool in self.job.tools if tool.name == call["name"])
        try:
            result = render(encode(tool.function(**call["arguments"])))
        except Exception as error:
            result = f"Error: {type(error).__name__}: {error}"
        self.told(call, result)

    def told(self, call: Body, result: str) -> None:
        message: Body = {"role": "tool", "tool_call_id": call["id"], "content": result}
        if self.job.mode == "async":
            message = {"type": "function_call_output", "call_id": call["id"], "output": result}
        self.state.messages = [*self.state.messages, message]


def _schema(tool: PlainTool) -> Body:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _declared(tool: PlainTool) -> Tool:
    return Tool(**_schema(tool), effect=tool.effect, idempotent=tool.idempotent)


def _read(function: Mapping[str, Any]) -> Body:
    return {"name": function["name"], "arguments": json.loads(function["arguments"])}


def _edited(message: Body, call: Body) -> Body:
    arguments = json.dumps(call["arguments"])
    if message.get("call_id") == call["id"] and message["type"] == "function_call":
        return {**message, "arguments": arguments}
    calls = [
        {**one, "function": {**one["function"], "arguments": arguments}} if one["id"] == call["id"] else one
        for one in message.get("tool_calls") or []
    ]
    return {**message, **({"tool_calls": calls} if calls else {})}


class TestProxiedHost(HostContract):
    """One process of the proxy a run. `sync` stands for chat completions, `async` for responses."""

    pending: ClassVar = PENDING
    forms: ClassVar = False  # A response format is passed on.

    @pytest.fixture
    def host(self) -> Host:
        return ProxiedHost()


class TestForgetfulProxy(HostContract):
    """Every request goes to another process: the messages say it all, but for what the model's own run had cost."""

    pending: ClassVar = {
        **PENDING,
        "test_what_a_person_edited_is_learnt_as_done": "who forgot what the model asked for sees no change of it",
    }
    forms: ClassVar = False

    @pytest.fixture
    def host(self) -> Host:
        return ProxiedHost(forgets=True)
