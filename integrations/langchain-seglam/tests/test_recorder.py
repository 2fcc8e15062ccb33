"""`TraceRecorder`: what any graph did, by callbacks."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from lc_support import Open, Runner, Shop, agent, says, seglam, wants
from seglam_agents import ReasoningCache, ToolStep
from seglam_agents.records.trace import ModelStep
from seglam_agents.testing.langchain import ScriptedChat
from seglam_agents.testing.models import ScriptedModel, writes

from langchain_seglam import TraceRecorder, host_tools
from langchain_seglam.recorder import asked_of

ASKED = {"messages": [HumanMessage("Price of tea and rice?")]}


def graph_of(run: Runner, model: ScriptedChat, shop: Shop) -> Any:
    def ask(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    async def aask(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_node("agent", aask if run.is_async else ask)
    builder.add_node("tools", ToolNode(shop.tools)).add_edge(START, "agent").add_edge("tools", "agent")
    return builder.add_conditional_edges("agent", tools_condition).compile()


def test_a_graph_with_a_subgraph(run: Runner, shop: Shop) -> None:
    """Tool and model calls of all levels are in one trace, with arguments, results and tokens."""
    calls = [("price", {"item": "tea"}), ("price", {"item": "rice"})]
    model = ScriptedChat(script=[wants(*calls), says("3 and 5")])
    outer = StateGraph(MessagesState).add_node("inner", graph_of(run, model, shop)).add_edge(START, "inner").compile()
    recorder = TraceRecorder()
    run(outer, ASKED, {"callbacks": [recorder]})
    (trace,) = recorder.traces
    assert [type(step) for step in trace.steps] == [ModelStep, ToolStep, ToolStep, ModelStep]
    found = {(str(step.arguments["item"]), step.result) for step in trace.calls}
    assert found == {("tea", 3), ("rice", 5)} and trace.usage.calls == 2 and trace.usage.tokens > 14
    assert trace.request.text == "Price of tea and rice?" and trace.answer == "3 and 5"


def test_it_is_learnt(run: Runner, opened: Open, shop: Shop) -> None:
    """A clean run teaches the cache."""
    code = """```python
NAME = "one"
TEMPLATES = ["What does {item:noun} cost?"]

def run(item):
    return f"It costs {price(item)}"
```"""
    cache = opened(None, ScriptedModel(writes(code)), tools=shop.host_tools())
    model = ScriptedChat(script=[wants(("price", {"item": "tea"})), says("It costs 3")])
    recorder = TraceRecorder(cache)
    graph = graph_of(run, model, shop).with_config(callbacks=[recorder])
    run(graph, {"messages": [("user", "What does tea cost?")]})
    assert cache.stats().admitted == 1 and len(recorder.traces) == 1


def test_what_is_no_clean_run(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Errors, interrupts, failed tools, and answers of procedures make no trace."""

    @tool
    def price(item: str) -> int:
        """Return the price of one item."""
        if item == "stop":
            return interrupt("which?")
        raise KeyError(item)

    shop.price = price
    recorder = TraceRecorder()
    config: Any = {"callbacks": [recorder], "configurable": {"thread_id": "1"}}
    model = ScriptedChat(script=[wants(("price", {"item": "tea"})), says("3")])
    with pytest.raises(KeyError):
        run(graph_of(run, model, shop), ASKED, config)
    stopping = ScriptedChat(script=[wants(("price", {"item": "stop"})), says("3")])
    graph = graph_of(run, stopping, shop)
    graph.checkpointer = InMemorySaver()
    run(graph, ASKED, config)
    wrong = ScriptedChat(script=[wants(("price", {"other": 1})), says("3")])
    run(graph_of(run, wrong, shop), ASKED, config)
    run(agent(says_nothing(), Shop(), seglam(cache)), {"messages": [("user", "Add 1 and 2")]}, config)
    assert recorder.traces == []
    assert not recorder.run_map and not recorder.order_map


def says_nothing() -> ScriptedChat:
    return ScriptedChat(script=[says("by model")])


def test_several_runs_at_once(shop: Shop) -> None:
    """One recorder keeps the runs of several threads apart."""
    from concurrent.futures import ThreadPoolExecutor

    recorder, runner = TraceRecorder(), Runner("sync")

    def one(number: int) -> None:
        model = ScriptedChat(script=[wants(("price", {"item": "tea"})), says(f"answer {number}")])
        config: Any = {"callbacks": [recorder]}
        runner(graph_of(runner, model, shop), {"messages": [("user", f"request {number}")]}, config)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(8)))
    assert {(t.request.text, t.answer) for t in recorder.traces} == {(f"request {n}", f"answer {n}") for n in range(8)}
    assert all(len(trace.calls) == 1 for trace in recorder.traces)


def test_what_is_asked() -> None:
    """A request is read from what runs are given; a history is no request."""
    assert asked_of("Hi") == "Hi" and asked_of({"messages": [HumanMessage("Hi")]}) == "Hi"
    assert asked_of({"messages": [("user", "Hi")]}) == "Hi"
    assert asked_of({"messages": [{"role": "user", "content": "Hi"}]}) == "Hi"
    assert asked_of({"messages": [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]}) is None
    assert asked_of({"question": "Hi"}) is None


def test_any_runnable(run: Runner) -> None:
    """A chain without messages is recorded with functions that read it."""
    from langchain_core.runnables import RunnableLambda

    @tool
    def double(x: int) -> int:
        """Double a number."""
        return 2 * x

    async def later(given: dict[str, int]) -> int:
        return await double.ainvoke({"x": given["n"]})

    chain = RunnableLambda(lambda given: double.invoke({"x": given["n"]}), later)
    recorder = TraceRecorder(request=lambda given: f"double {given['n']}")  # type: ignore[index]
    assert run(chain, {"n": 4}, {"callbacks": [recorder]}) == 8  # type: ignore[comparison-overlap]
    (trace,) = recorder.traces
    assert trace.request.text == "double 4" and trace.answer == 8
    assert [(step.tool, step.arguments, step.result) for step in trace.calls] == [("double", {"x": 4}, 8)]
    assert host_tools([double])[0].tool.name == "double"
