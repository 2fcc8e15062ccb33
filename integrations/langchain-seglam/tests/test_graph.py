"""LangGraph: nodes that look up and learn, builders that are rewired, with all that a graph may have besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, interrupt
from lc_support import BUY, BUY_BODY, Open, Runner, Shop, on, procedure, says, wants
from pydantic import BaseModel
from seglam_agents import ReasoningCache
from seglam_agents.testing.langchain import ScriptedChat
from seglam_agents.testing.models import ScriptedModel, writes

from langchain_seglam import (
    GraphCache,
    SeglamState,
    TenantCaches,
    WriteOnce,
    add_reasoning_cache,
    arecord_tool_call,
    cache_node,
    learn_node,
    record_tool_call,
    route_of,
)

COST = "What do 2 tea and 3 milk cost?"
ORDER = "Order 2 boxes of tea"
SQUARE = """```python
NAME = "square"
TEMPLATES = ["Square of {n:number}"]

def run(n):
    return f"It is {n * n}"
```"""


class Chatting(MessagesState, SeglamState):
    """Messages, and what the cache keeps."""


def last(result: dict[str, Any]) -> str:
    return result["messages"][-1].text


def caller(model: ScriptedChat) -> Callable[[MessagesState], dict[str, Any]]:
    """Return a node that asks the model."""

    def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    return agent


def acaller(model: ScriptedChat) -> Any:
    async def agent(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return agent


def asking(run: Runner, model: ScriptedChat) -> Any:
    return acaller(model) if run.is_async else caller(model)


def looping(run: Runner, model: ScriptedChat, shop: Shop, **wrap: Any) -> Any:
    """Return the builder of the usual loop of a model and tools, which knows nothing of the cache."""
    builder = StateGraph(MessagesState)
    builder.add_node("agent", asking(run, model)).add_node("tools", ToolNode(shop.tools, **wrap))
    builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    return builder


class TestCacheNode:
    """A node that looks up, and routes."""

    def build(self, run: Runner, cache: Any, model: ScriptedChat, shop: Shop) -> Any:
        shared = GraphCache(cache)
        builder = StateGraph(Chatting, input_schema=MessagesState).add_node(
            "cache", cache_node(shared, on_miss="agent", on_call="tools"), destinations=("agent", "tools", END)
        )
        builder.add_node("agent", asking(run, model)).add_node("tools", ToolNode(shop.tools))
        builder.add_node("learn", learn_node(shared))
        builder.add_edge(START, "cache").add_edge("tools", "cache")
        builder.add_conditional_edges("agent", tools_condition, {"tools": "tools", END: "learn"})
        return builder.add_edge("learn", END)

    def test_hit_miss_and_tools(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Answers end the graph, tool calls come back, and the rest is the agent's."""
        model = ScriptedChat(script=[says("by model")])
        graph = self.build(run, cache, model, shop).compile()
        assert last(run.ask(graph, "Add 1 and 2")) == "3"
        assert last(run.ask(graph, COST)) == "total 12" and model.calls == 0 and shop.read == ["tea", "milk"]
        assert last(run.ask(graph, "Hello")) == "by model" and model.calls == 1
        assert cache.stats().hits == 2 and cache.stats().misses == 1

    def test_a_give_up_goes_to_the_agent(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """With the results so far, and the write done once."""
        model = ScriptedChat(script=[says("by model")])
        graph = self.build(run, cache, model, shop).compile()
        assert last(run.ask(graph, "Order 20 boxes of tea")) == "by model" and shop.written == [("tea", 20)]
        assert model.seen[0][-1].text == "ordered 20 tea"

    def test_learning(self, run: Runner, opened: Open, shop: Shop) -> None:
        """What the agent did is known afterwards."""
        code = """```python
NAME = "one"
TEMPLATES = ["What does {item:noun} cost?"]

def run(item):
    return f"It costs {price(item)}"
```"""
        cache = opened(None, ScriptedModel(writes(code)), tools=shop.host_tools())
        model = ScriptedChat(script=[wants(("price", {"item": "tea"})), says("It costs 3")])
        graph = self.build(run, cache, model, shop).compile(checkpointer=InMemorySaver())
        assert last(run.ask(graph, "What does tea cost?", "1")) == "It costs 3"
        assert last(run.ask(graph, "What does rice cost?", "2")) == "It costs 5" and model.calls == 2

    def test_turns_of_a_thread(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Later turns are served as well, and nothing is left over from the one before."""
        model = ScriptedChat(script=[says("by model")])
        graph = self.build(run, cache, model, shop).compile(checkpointer=InMemorySaver())
        assert last(run.ask(graph, COST, "1")) == "total 12"
        assert last(run.ask(graph, COST, "1")) == "total 12" and len(shop.read) == 4
        assert last(run.ask(graph, "Tell me a joke", "1")) == "by model"
        assert last(run.ask(graph, COST, "1")) == "by model" and len(shop.read) == 4

    def test_without_our_channels_it_does_not_loop(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A state that cannot keep the turn leaves it to the agent after the first call."""
        model = ScriptedChat(script=[says("by model")])
        builder = StateGraph(MessagesState).add_node("cache", cache_node(cache, on_miss="agent", on_call="tools"))
        builder.add_node("agent", asking(run, model)).add_node("tools", ToolNode(shop.tools))
        builder.add_edge(START, "cache").add_edge("tools", "cache").add_edge("agent", END)
        assert last(run.ask(builder.compile(), COST)) == "by model" and shop.read == ["tea"]

    def test_the_clients_input_cannot_fill_our_state(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """With an input schema of its own, the graph drops what a client writes into our channel."""
        from langchain_core.messages import HumanMessage

        entry = next(entry for entry in cache.procedures() if entry.procedure.name == "buy")
        plan = cache.bind("buy", {"n": 9, "item": "tea"})
        forged = {"status": "running", "message": "1", "key": "k", "plan": plan.model_dump(mode="json")}  # type: ignore[union-attr]
        graph = self.build(run, cache, ScriptedChat(script=[says("by model")]), shop).compile()
        given = {"messages": [HumanMessage("Hello", id="1")], "seglam": {"seglam_cache": forged}}
        assert last(run(graph, given)) == "by model" and shop.written == [] and entry.procedure.tools

    def test_conditional_routing(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Without `on_miss` the routing is the graph's own."""
        model = ScriptedChat(script=[says("by model")])
        builder = StateGraph(Chatting).add_node("cache", cache_node(cache))
        builder.add_node("agent", asking(run, model)).add_node("tools", ToolNode(shop.tools))
        builder.add_edge(START, "cache").add_edge("tools", "cache").add_edge("agent", END)
        builder.add_conditional_edges("cache", route_of, {"hit": END, "call": "tools", "miss": "agent"})
        graph = builder.compile()
        assert last(run.ask(graph, COST)) == "total 12" and last(run.ask(graph, "Hello")) == "by model"

    def test_a_state_without_messages(self, run: Runner, opened: Open) -> None:
        """Text in, update out; the same text again is a hit again."""

        class Asked(SeglamState):
            q: str
            a: str

        cache = opened(None, ScriptedModel(writes(SQUARE)))
        asked: list[str] = []

        def answer(state: Asked) -> dict[str, str]:
            asked.append(state["q"])
            return {"a": "It is 9"}

        shared = GraphCache(cache, messages=None, text=lambda state: state["q"])
        builder = StateGraph(Asked).add_node("agent", answer)
        builder.add_node("cache", cache_node(shared, on_miss="agent", write=lambda a, state: {"a": a}))
        builder.add_node("learn", learn_node(shared, answer=lambda state: state["a"]))
        builder.add_edge(START, "cache").add_edge("agent", "learn").add_edge("learn", END)
        graph = builder.compile(checkpointer=InMemorySaver())
        for question, expected in (
            ("Square of 3", "It is 9"),
            ("Square of 5", "It is 25"),
            ("Square of 5", "It is 25"),
        ):
            assert run(graph, {"q": question}, on("1"))["a"] == expected
        assert asked == ["Square of 3"]

    def test_tools_are_not_run_by_a_node_that_cannot(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """Without `on_call`, procedures with tools are a miss, and no tool of theirs is run."""
        model = ScriptedChat(script=[says("by model")])
        builder = StateGraph(Chatting).add_node("cache", cache_node(cache, on_miss="agent"))
        builder.add_node("agent", asking(run, model)).add_edge(START, "cache").add_edge("agent", END)
        graph = builder.compile()
        assert last(run.ask(graph, ORDER)) == "by model" and shop.written == [] and shop.read == []
        assert last(run.ask(graph, "Add 1 and 2")) == "3"

    def test_the_switch(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """`off` leaves the run to the agent."""
        model = ScriptedChat(script=[says("by model")])
        graph = self.build(run, cache, model, shop).compile()
        assert last(run.ask(graph, COST, seglam="off")) == "by model" and shop.read == []


class TestAdded:
    """`add_reasoning_cache` on a graph that knows nothing of the cache."""

    def test_hit_give_up_and_miss(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """The graph's own routing runs the procedure's calls."""
        model = ScriptedChat(script=[says("by model")])
        graph = add_reasoning_cache(looping(run, model, shop), "agent", cache).compile()
        assert last(run.ask(graph, COST)) == "total 12" and model.calls == 0
        assert last(run.ask(graph, "Order 20 boxes of tea")) == "by model" and shop.written == [("tea", 20)]
        assert last(run.ask(graph, "Hello")) == "by model" and model.calls == 2
        nodes = [next(iter(x)) for x in run.stream(graph, {"messages": [("user", COST)]}, stream_mode="updates")]
        assert nodes == ["agent", "tools", "agent", "tools", "agent"]
        streamed = run.stream(graph, {"messages": [("user", COST)]}, stream_mode="messages")
        assert [message.text for message, _ in streamed].count("total 12") == 1

    def test_threads_and_workers(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """Interrupted before the tools, another worker goes on from the checkpoint."""
        saver, model = InMemorySaver(), ScriptedChat(script=[says("by model")])

        def graph(which: ReasoningCache) -> Any:
            builder = add_reasoning_cache(looping(run, model, shop), "agent", which)
            return builder.compile(checkpointer=saver, interrupt_before=["tools"])

        run.ask(graph(cache), ORDER, "1")
        assert shop.read == []
        other = opened(cache.store, tools=shop.host_tools())
        run(graph(other), None, on("1"))
        assert shop.read == ["tea"] and shop.written == []
        result = run(graph(cache), None, on("1"))
        result = run(graph(other), None, on("1")) if last(result) != "ordered 2 tea, 6 coins" else result
        assert last(result) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)] and model.calls == 0

    def test_a_person_changes_the_call_in_the_state(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """What a person changed is done as changed, once, and the model goes on."""
        saver, model = InMemorySaver(), ScriptedChat(script=[says("by model")])
        builder = add_reasoning_cache(looping(run, model, shop), "agent", cache)
        graph = builder.compile(checkpointer=saver, interrupt_before=["tools"])
        run.ask(graph, ORDER, "1")
        run(graph, None, on("1"))
        message = graph.get_state(on("1")).values["messages"][-1]
        changed = [{**message.tool_calls[0], "args": {"item": "tea", "n": 1}}]
        graph.update_state(on("1"), {"messages": [AIMessage("", id=message.id, tool_calls=changed)]}, as_node="agent")
        result = run(graph, None, on("1"))
        assert shop.written == [("tea", 1)] and last(result) == "by model" and model.calls == 1

    def test_a_tool_that_interrupts(self, run: Runner, opened: Open, shop: Shop) -> None:
        """An interrupt within a tool is resumed as the host does it."""
        from langchain_core.tools import tool

        @tool
        def order(item: str, n: int) -> str:
            """Order boxes of an item."""
            if interrupt("sure?") != "yes":
                return "no"
            shop.written.append((item, n))
            return f"ordered {n} {item}"

        shop.order = order
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        once, model = WriteOnce(cache), ScriptedChat(script=[says("by model")])
        builder = looping(run, model, shop, wrap_tool_call=once.wrap, awrap_tool_call=once.awrap)
        graph = add_reasoning_cache(builder, "agent", cache).compile(checkpointer=InMemorySaver())
        assert "__interrupt__" in run.ask(graph, ORDER, "1") and shop.written == []
        result = run(graph, Command(resume="yes"), on("1"))
        assert last(result) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)]

    def test_a_write_is_not_repeated_after_a_crash(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """With `WriteOnce`, a run resumed from before the record does not write again."""
        import copy

        saver, copies = InMemorySaver(), []
        original = shop.order.func

        def dying(item: str, n: int) -> str:
            done, other = original(item, n), InMemorySaver()
            for name in ("storage", "writes", "blobs"):
                getattr(other, name).update(copy.deepcopy(dict(getattr(saver, name))))
            copies.append(other)
            return done

        shop.order.func = dying
        model = ScriptedChat(script=[says("by model")])

        def graph(checkpointer: Any) -> Any:
            once = WriteOnce(cache)
            builder = looping(run, model, shop, wrap_tool_call=once.wrap, awrap_tool_call=once.awrap)
            return add_reasoning_cache(builder, "agent", cache).compile(checkpointer=checkpointer)

        run(graph(saver), {"messages": [("user", ORDER)]}, on("1"), durability="sync")
        result = run(graph(copies[0]), None, on("1"))
        assert shop.written == [("tea", 2)] and last(result) == "ordered 2 tea, 6 coins" and model.calls == 0

    def test_learning_and_redrawing(self, run: Runner, opened: Open, shop: Shop) -> None:
        """Turns that the node ends itself are learnt; edges and policies stay."""
        cache = opened(None, ScriptedModel(writes(SQUARE)), tools=shop.host_tools())
        model = ScriptedChat(script=[says("It is 9")])
        builder = StateGraph(MessagesState)
        builder.add_node("agent", asking(run, model), retry_policy=RetryPolicy(max_attempts=2), metadata={"a": 1})
        builder.add_edge(START, "agent").add_edge("agent", END)
        before = builder.compile().get_graph().draw_mermaid()
        add_reasoning_cache(builder, "agent", cache)
        spec = builder.nodes["agent"]
        assert spec.metadata == {"a": 1} and spec.retry_policy == RetryPolicy(max_attempts=2)
        graph = builder.compile()
        assert graph.get_graph().draw_mermaid() == before
        assert last(run.ask(graph, "Square of 3")) == "It is 9"
        assert last(run.ask(graph, "Square of 5")) == "It is 25" and model.calls == 1

    def test_recorded_as_executed(self, run: Runner, opened: Open, shop: Shop) -> None:
        """With the wrapper, what was carried out is told apart from what was asked for."""
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        model = ScriptedChat(script=[says("by model")])

        def halved(request: Any) -> Any:
            call = request.tool_call
            args = {**call["args"], "n": 1} if call["name"] == "order" else call["args"]
            return request.override(tool_call={**call, "args": args})

        def wrap(request: Any, execute: Any) -> Any:
            return record_tool_call(halved(request), execute)

        async def awrap(request: Any, execute: Any) -> Any:
            return await arecord_tool_call(halved(request), execute)

        builder = looping(run, model, shop, wrap_tool_call=wrap, awrap_tool_call=awrap)
        graph = add_reasoning_cache(builder, "agent", cache).compile()
        assert last(run.ask(graph, ORDER)) == "by model" and shop.written == [("tea", 1)]

    def test_a_subgraph(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A rewired graph works as a node of another one."""
        model = ScriptedChat(script=[says("by model")])
        inner = add_reasoning_cache(looping(run, model, shop), "agent", cache).compile()
        outer = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END)
        graph = outer.compile(checkpointer=InMemorySaver())
        assert last(run.ask(graph, ORDER, "1")) == "ordered 2 tea, 6 coins" and model.calls == 0
        assert last(run.ask(graph, ORDER, "1")) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)] * 2

    @pytest.mark.parametrize("kind", ["dataclass", "pydantic"])
    def test_other_kinds_of_state(self, run: Runner, cache: ReasoningCache, shop: Shop, kind: str) -> None:
        """The node gets the state as the class that it expects."""
        model = ScriptedChat(script=[says("by model")])

        @dataclass
        class Data:
            messages: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)

        class Model(BaseModel):
            messages: Annotated[list[AnyMessage], add_messages] = []

        schema = {"dataclass": Data, "pydantic": Model}[kind]
        seen: list[type] = []

        def agent(state: Any) -> dict[str, Any]:
            seen.append(type(state))
            return {"messages": [model.invoke(state.messages)]}

        async def aagent(state: Any) -> dict[str, Any]:
            seen.append(type(state))
            return {"messages": [await model.ainvoke(state.messages)]}

        builder = StateGraph(schema).add_node("agent", aagent if run.is_async else agent)
        builder.add_node("tools", ToolNode(shop.tools)).add_edge(START, "agent")
        builder.add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
        graph = add_reasoning_cache(builder, "agent", cache).compile()
        assert last(run.ask(graph, COST)) == "total 12" and last(run.ask(graph, "Hello")) == "by model"
        assert seen == [schema]

    def test_a_node_that_routes_by_itself(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """A node that returns commands needs to be told where messages lead."""
        model = ScriptedChat(script=[says("by model")])

        def goto(message: AIMessage) -> str:
            return "tools" if message.tool_calls else END

        def agent(state: MessagesState) -> Command[Literal["tools", "__end__"]]:
            message = model.invoke(state["messages"])
            return Command(update={"messages": [message]}, goto=goto(message))

        async def aagent(state: MessagesState) -> Command[Literal["tools", "__end__"]]:
            message = await model.ainvoke(state["messages"])
            return Command(update={"messages": [message]}, goto=goto(message))

        builder = StateGraph(MessagesState).add_node("agent", aagent if run.is_async else agent)
        builder.add_node("tools", ToolNode(shop.tools)).add_edge(START, "agent").add_edge("tools", "agent")
        with pytest.raises(ValueError, match="goto"):
            add_reasoning_cache(builder, "agent", cache)
        graph = add_reasoning_cache(builder, "agent", cache, goto=goto).compile()
        assert last(run.ask(graph, COST)) == "total 12" and last(run.ask(graph, "Hello")) == "by model"

    def test_there_is_no_such_node(self, cache: ReasoningCache) -> None:
        """The error names the node."""
        with pytest.raises(ValueError, match="nobody"):
            add_reasoning_cache(StateGraph(MessagesState), "nobody", cache)


@dataclass
class Who:
    tenant: str = ""


class TestTenants:
    """One cache a tenant, named by what the host vouches for."""

    def caches(self, opened: Open, shop: Shop, tenant: Any) -> TenantCaches:
        from seglam_agents.stores.memory import MemoryStore

        store = MemoryStore()

        def open(name: str) -> ReasoningCache:
            return opened(store, tenant=name, tools=shop.host_tools())

        caches = TenantCaches(open, tenant)
        procedure(caches.get("acme"), "add", "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n")
        return caches

    def test_from_the_context(self, run: Runner, opened: Open, shop: Shop) -> None:
        """What one tenant knows answers for no other, whatever the client writes into configurable."""
        caches = self.caches(opened, shop, lambda runtime: runtime.context.tenant)
        model = ScriptedChat(script=[says("by model")])
        builder = StateGraph(MessagesState, context_schema=Who).add_node("agent", asking(run, model))
        builder.add_edge(START, "agent").add_edge("agent", END)
        graph = add_reasoning_cache(builder, "agent", caches).compile()
        given = {"messages": [("user", "Add 1 and 2")]}
        assert last(run(graph, given, None, context=Who("acme"))) == "3"
        forged = {"configurable": {"tenant": "acme", "langgraph_auth_user": {"identity": "acme"}}}
        assert last(run(graph, given, forged, context=Who("evil"))) == "by model"
        assert last(run(graph, given, forged, context=Who(""))) == "by model" and model.calls == 2

    def test_from_the_authenticated_user(self, run: Runner, opened: Open, shop: Shop) -> None:
        """Without a function, the identity that the server has authenticated counts, and nothing else."""
        from langgraph.runtime import ServerInfo

        caches = self.caches(opened, shop, None)

        class User(dict[str, Any]):
            identity = "acme"

        known = Runtime(server_info=ServerInfo(assistant_id="a", graph_id="g", user=User()))
        assert caches.of(known) is caches.get("acme")
        assert caches.of(Runtime(context=Who("acme"))) is None
        model = ScriptedChat(script=[says("by model")])
        from langchain.agents import create_agent

        from langchain_seglam import SeglamMiddleware

        graph = create_agent(model, shop.tools, middleware=[SeglamMiddleware(caches)])
        assert last(run.ask(graph, "Add 1 and 2")) == "by model"

    def test_a_cache_of_another_tenant(self, opened: Open) -> None:
        """A function that opens the wrong cache is found out."""
        caches = TenantCaches(lambda name: opened(tenant="other"), lambda runtime: "acme")
        assert caches.of(Runtime()) is None
        with pytest.raises(ValueError, match="acme"):
            caches.get("acme")


def test_a_call_that_a_person_answered(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Where tools are recorded, a message in the place of a tool's is no result, and the node goes on."""
    from langchain_core.messages import ToolMessage

    model, saver = ScriptedChat(script=[says("by model")]), InMemorySaver()
    builder = looping(run, model, shop, wrap_tool_call=record_tool_call, awrap_tool_call=arecord_tool_call)
    shared = GraphCache(cache, recorded=True)
    graph = add_reasoning_cache(builder, "agent", shared).compile(checkpointer=saver, interrupt_before=["tools"])
    run.ask(graph, ORDER, "1")
    run(graph, None, on("1"))
    call = graph.get_state(on("1")).values["messages"][-1].tool_calls[0]
    answered = {"messages": [ToolMessage("rejected", tool_call_id=call["id"], name=call["name"])]}
    graph.update_state(on("1"), answered, as_node="tools")
    result = run(graph, None, on("1"))
    assert shop.written == [] and last(result) == "by model" and cache.stats().deopts == 1
