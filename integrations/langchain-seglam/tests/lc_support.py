"""What the tests share: tools that count, stored procedures, agents, and one sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, tool
from seglam_agents import HostTool, ReasoningCache
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import GuardSource, Parameter, Procedure, Provenance, ToolUse
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import SeglamMiddleware, host_tools
from langchain_seglam.agent_cache import in_form

PRICES = {"tea": 3, "milk": 2, "rice": 5}
TOTAL = "What do {n:count} {item:noun} and {m:count} {other:noun} cost?"
TOTAL_BODY = """
def run(n, item, m, other):
    return f"total {n * price(item) + m * price(other)}"
"""
BUY = "Order {n:count} boxes of {item:noun}"
BUY_BODY = """
def run(n, item):
    cost = price(item) * n
    done = order(item, n)
    if n > 10:
        deopt("too many")
    return f"{done}, {cost} coins"
"""
ADD = "Add {a:number} and {b:number}"
ADD_BODY = "def run(a, b):\n    return a + b\n"


class Shop:
    """Two tools, and what was done with them."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.written: list[tuple[str, int]] = []
        shop = self

        @tool
        def price(item: str) -> int:
            """Return the price of one item."""
            shop.read.append(item)
            return PRICES[item]

        @tool
        def order(item: str, n: int) -> str:
            """Order boxes of an item."""
            shop.written.append((item, n))
            return f"ordered {n} {item}"

        self.price, self.order = price, order

    @property
    def tools(self) -> list[BaseTool]:
        return [self.price, self.order]

    def host_tools(self) -> list[HostTool]:
        return host_tools(self.tools, {"price": "read"})


def procedure(
    cache: ReasoningCache,
    name: str,
    template: str,
    body: str,
    tools: Sequence[HostTool] = (),
    *,
    context: Mapping[str, str] | None = None,
    where: str | None = None,
    description: str = "",
    form: object = None,
) -> Entry:
    """Store a procedure as if it had been learnt, where the agent answers in a form as one that did."""
    guard = GuardSource(templates=(template,), where=where)
    asked = tuple(Parameter(name=k, slot=v, source="context") for k, v in (context or {}).items())
    parameters = TemplateGuard(guard, context=asked).parameters()
    used = tuple(
        ToolUse(
            name=item.tool.name,
            effect=item.tool.effect,
            idempotent=item.tool.idempotent,
            schema_hash=item.tool.schema_hash,
            arguments=item.tool.argument_names,
        )
        for item in tools
        if f"{item.tool.name}(" in body
    )
    stored = Procedure(
        id=f"{name}-0001",
        name=name,
        description=description,
        scope=cache.scope,
        guard=guard,
        body=body,
        parameters=parameters,
        tools=used,
        provenance=Provenance(compiler="test"),
        instructions=in_form("", form),
    )
    entry = cache.store.put(Entry(procedure=stored, status="active"), expected_revision=0)
    cache.procedures()  # Read the change feed now.
    return entry


def says(text: str, id: str | None = None) -> AIMessage:
    return AIMessage(text, id=id)


def wants(*calls: tuple[str, dict[str, Any]]) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": n, "args": a, "id": f"call_{i}_{n}"} for i, (n, a) in enumerate(calls)])


class Runner:
    """Runs an agent or a graph, blocking or on an event loop."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    @property
    def is_async(self) -> bool:
        return self.mode == "async"

    def __call__(self, graph: Any, given: Any, config: Any = None, **more: Any) -> dict[str, Any]:
        if self.mode == "sync":
            return graph.invoke(given, config, **more)
        return asyncio.run(graph.ainvoke(given, config, **more))

    def ask(self, graph: Any, text: str, thread: str | None = None, **configurable: Any) -> dict[str, Any]:
        return self(graph, {"messages": [("user", text)]}, on(thread, **configurable))

    def stream(self, graph: Any, given: Any, config: Any = None, **more: Any) -> list[Any]:
        if self.mode == "sync":
            return list(graph.stream(given, config, **more))

        async def collect() -> list[Any]:
            return [item async for item in graph.astream(given, config, **more)]

        return asyncio.run(collect())


def on(thread: str | None, **configurable: Any) -> dict[str, Any]:
    return {"configurable": {**({"thread_id": thread} if thread else {}), **configurable}}


Open = Callable[..., ReasoningCache]


def agent(model: ScriptedChat, shop: Shop, *middleware: Any, **options: Any) -> Any:
    return create_agent(model, shop.tools, middleware=middleware, **options)


def seglam(cache: ReasoningCache, **options: Any) -> SeglamMiddleware:
    return SeglamMiddleware(cache, **options)
