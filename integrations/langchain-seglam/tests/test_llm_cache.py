"""`SeglamLLMCache`: LangChain's own suites, and what procedures do behind `set_llm_cache`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from lc_support import Open, Runner, Shop, procedure, says, wants
from seglam_agents import ReasoningCache
from seglam_agents.testing.langchain import ScriptedChat
from seglam_agents.testing.models import ScriptedModel, writes

from langchain_seglam import SeglamLLMCache

COST = "What do 2 tea and 3 milk cost?"


class TestStandardSync(SyncCacheTestSuite):
    """LangChain's suite, blocking."""

    @pytest.fixture
    def cache(self, opened: Open) -> BaseCache:
        return SeglamLLMCache(opened())


class TestStandardAsync(AsyncCacheTestSuite):
    """LangChain's suite, on an event loop."""

    @pytest.fixture
    async def cache(self, opened: Open) -> BaseCache:
        return SeglamLLMCache(opened())


@pytest.fixture(autouse=True)
def no_global_cache() -> Iterator[None]:
    yield
    set_llm_cache(None)


class Bound(ScriptedChat):
    """A model whose bound tools are part of its identity, as those of providers are."""

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        schemas = [{"type": "function", "function": {"name": tool.name}} for tool in tools]
        more = {"tool_choice": tool_choice} if tool_choice else {}
        return self.bind(tools=schemas, **more, **kwargs)


def ask(run: Runner, model: Any, *messages: Any) -> AIMessage:
    if run.is_async:
        return asyncio.run(model.ainvoke(list(messages)))
    return model.invoke(list(messages))


def loop(run: Runner, model: Bound, shop: Shop) -> Any:
    bound = model.bind_tools(shop.tools)

    def agent(state: MessagesState) -> Any:
        return {"messages": [bound.invoke(state["messages"])]}

    async def aagent(state: MessagesState) -> Any:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_node("agent", aagent if run.is_async else agent)
    builder.add_node("tools", ToolNode(shop.tools)).add_edge(START, "agent").add_edge("tools", "agent")
    return builder.add_conditional_edges("agent", tools_condition).compile()


def test_a_whole_agent_without_a_call(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """An agent that knows nothing of the cache runs its tools as the procedure says, from its messages alone."""
    set_llm_cache(SeglamLLMCache(cache))
    model = Bound(script=[says("by model")])
    result = run.ask(loop(run, model, shop), COST)
    assert result["messages"][-1].text == "total 12" and model.calls == 0 and shop.read == ["tea", "milk"]
    assert len({message.id for message in result["messages"]}) == 6 and cache.stats().hits == 1
    result = run.ask(loop(run, model, shop), "Order 20 boxes of tea")
    assert result["messages"][-1].text == "by model" and shop.written == [("tea", 20)] and cache.stats().deopts == 1


def test_equal_calls_cost_nothing(run: Runner, opened: Open) -> None:
    """The second of two equal calls is answered from memory, with a fresh id and no tokens counted."""
    set_llm_cache(SeglamLLMCache())
    model = ScriptedChat(script=[says("by model")])
    first = ask(run, model, HumanMessage("Hello"))
    with get_usage_metadata_callback() as usage:
        second = ask(run, model, HumanMessage("Hello", id="other"))
    assert model.calls == 1 and first.text == second.text and first.id != second.id
    assert sum(item["total_tokens"] for item in usage.usage_metadata.values()) == 0


def test_the_second_step_of_an_agent_is_found_again(run: Runner, shop: Shop) -> None:
    """What a message cost is not part of the call, so that several steps are answered."""
    set_llm_cache(SeglamLLMCache())
    model = Bound(script=[wants(("price", {"item": "tea"})), says("3 coins")])
    for _ in range(2):
        assert run.ask(loop(run, model, shop), "Price of tea?")["messages"][-1].text == "3 coins"
    assert model.calls == 2


def test_what_is_not_looked_up(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Another system prompt, later turns, forced tools, structured output, and tools that are not bound."""
    set_llm_cache(SeglamLLMCache(cache, exact=0))
    model = Bound(script=[says("by model")])
    add = HumanMessage("Add 1 and 2")
    assert ask(run, model, add).text == "3"
    assert ask(run, model, SystemMessage("Be rude."), add).text == "by model"
    assert ask(run, model, HumanMessage("Hi"), AIMessage("Hello"), add).text == "by model"
    assert ask(run, model.bind_tools(shop.tools, tool_choice="any"), add).text == "by model"
    assert ask(run, model.bind(response_format={"type": "json_object"}), add).text == "by model"
    assert ask(run, model, HumanMessage(COST)).text == "by model"
    assert ask(run, model.bind_tools(shop.tools), HumanMessage(COST)).tool_calls[0]["name"] == "price"
    strange = [HumanMessage(COST), wants(("price", {"item": "rice"})), ToolMessage("5", tool_call_id="call_0_price")]
    assert ask(run, model.bind_tools(shop.tools), *strange).text == "by model"


def test_a_system_prompt_of_ones_own(run: Runner, cache: ReasoningCache) -> None:
    """The system prompt that was named is looked up."""
    set_llm_cache(SeglamLLMCache(cache, system_prompt="Be kind."))
    model = ScriptedChat(script=[says("by model")])
    assert ask(run, model, SystemMessage("Be kind."), HumanMessage("Add 1 and 2")).text == "3"
    assert ask(run, model, HumanMessage("Add 1 and 2")).text == "by model"


def test_learning(run: Runner, opened: Open, shop: Shop) -> None:
    """A conversation that ended is learnt from, with what its tools gave; savings are counted."""
    code = """```python
NAME = "one"
TEMPLATES = ["What does {item:noun} cost?"]

def run(item):
    return f"It costs {price(item)}"
```"""
    cache = opened(None, ScriptedModel(writes(code)), tools=shop.host_tools())
    llm_cache = SeglamLLMCache(cache, learning="inline", exact=0)
    set_llm_cache(llm_cache)
    model = Bound(script=[wants(("price", {"item": "tea"})), says("It costs 3")])
    assert run.ask(loop(run, model, shop), "What does tea cost?")["messages"][-1].text == "It costs 3"
    assert cache.stats().admitted == 1
    assert run.ask(loop(run, model, shop), "What does rice cost?")["messages"][-1].text == "It costs 5"
    assert model.calls == 2 and llm_cache.savings().saved.usage.tokens > 0


def test_the_switch(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Within a graph, `off` leaves a run to the model."""
    set_llm_cache(SeglamLLMCache(cache))
    model = Bound(script=[says("by model")])
    assert run.ask(loop(run, model, shop), COST, seglam="off")["messages"][-1].text == "by model"


def test_a_broken_cache_is_no_cache(run: Runner, cache: ReasoningCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises within is the model's to answer."""

    def broken(*arguments: Any, **more: Any) -> Any:
        raise KeyError("broken")

    monkeypatch.setattr(cache, "plan", broken)
    set_llm_cache(SeglamLLMCache(cache))
    assert ask(run, ScriptedChat(script=[says("by model")]), HumanMessage("Add 1 and 2")).text == "by model"


def test_what_is_returned_can_be_written_to(opened: Open) -> None:
    """LangChain writes into what it gets: the kept generations stay as they are."""
    cache = SeglamLLMCache()
    cache.update("p", "m", [ChatGeneration(message=AIMessage("a", id="x")), Generation(text="b")])
    found = cache.lookup("p", "m")
    assert found is not None and isinstance(found[0], ChatGeneration) and found[0].message.id is None
    found[0].message.content = "changed"
    again = cache.lookup("p", "m")
    assert again is not None and again[0].text == "a" and isinstance(again, list)
    cache.clear()
    assert cache.lookup("p", "m") is None
    procedure(opened(), "add", "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n")
