"""Agents: a procedure in the place of the model, through the host's own steps."""

from __future__ import annotations

from typing import Any

import pytest
from li_support import TOTAL, TOTAL_BODY, Open, Shop, procedure
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, JsonSerializer
from pydantic import BaseModel
from seglam_agents import ReasoningCache

from llama_index.tools.seglam import (
    SeglamAgentWorkflow,
    SeglamFunctionAgent,
    SeglamReActAgent,
    cached_agent,
    cached_workflow,
    host_tools,
)
from llama_index.tools.seglam.testing import ScriptedLLM, call

ASK = "what do 2 rice cost"


class Total(BaseModel):
    """What something costs."""

    coins: int


KINDS = [SeglamFunctionAgent, SeglamReActAgent]


@pytest.fixture(params=KINDS, ids=["function", "react"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def final(kind: Any, text: str) -> str:
    """Return what a model of an agent of this kind says last."""
    return text if kind is SeglamFunctionAgent else f"Thought: I know.\nAnswer: {text}"


def wants(kind: Any, tool: str, call_id: str = "call", /, **arguments: Any) -> Any:
    """Return what a model of an agent of this kind says to call a tool."""
    if kind is SeglamFunctionAgent:
        return call(tool, call_id, **arguments)
    return f"Thought: I need it.\nAction: {tool}\nAction Input: {arguments}".replace("'", '"')


async def test_a_hit_calls_the_tools_and_no_model(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """The tools run as always, their results are with the answer, and the model is not asked."""
    llm = ScriptedLLM([])
    result = await kind(cache=cache, tools=shop.tools, llm=llm).run(ASK)
    assert str(result) == "That is 10 coins." and llm.calls == 0
    assert [(x.tool_name, x.tool_kwargs, x.tool_output.raw_output) for x in result.tool_calls] == [
        ("price", {"item": "rice"}, 5)
    ]
    assert shop.calls == [("price", "rice")] and cache.stats().hits == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_miss_is_the_models(kind: Any, cache: ReasoningCache, shop: Shop, streaming: bool) -> None:
    """Nothing that no guard accepts is touched."""
    llm = ScriptedLLM([final(kind, "hello")])
    result = await kind(cache=cache, tools=shop.tools, llm=llm, streaming=streaming).run("hi there")
    assert str(result) == "hello" and llm.calls == 1


async def test_a_give_up_hands_over_with_the_results_so_far(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """The model sees the procedure's calls and their results, and no call is made twice."""
    llm = ScriptedLLM([final(kind, "too dear")])
    result = await kind(cache=cache, tools=shop.tools, llm=llm).run("buy 3 rice if it is cheap")
    assert str(result) == "too dear" and shop.calls == [("price", "rice")]
    seen = "\n".join(str(message.content) + str(message.blocks) for message in llm.asked[0])
    assert "price" in seen and "5" in seen and cache.stats().deopts == 1


async def test_several_calls_and_a_write(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """Each step is a call of the host."""
    llm = ScriptedLLM([])
    result = await kind(cache=cache, tools=shop.tools, llm=llm).run("buy 3 tea if it is cheap")
    assert str(result) == "bought 3 tea" and shop.calls == [("price", "tea"), ("buy", ("tea", 3))]


async def test_a_failing_tool_hands_over(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """An error of a tool reaches the procedure, which gives up."""
    llm = ScriptedLLM([final(kind, "no such item")])
    result = await kind(cache=cache, tools=shop.tools, llm=llm).run("what do 2 caviar cost")
    assert str(result) == "no such item" and llm.calls == 1


async def test_the_users_events_are_the_users(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """A hit streams like a run, and nobody else has read the stream."""
    handler = kind(cache=cache, tools=shop.tools, llm=ScriptedLLM([])).run(ASK)
    events = [event async for event in handler.stream_events()]
    await handler
    assert any(isinstance(event, AgentStream) and "10 coins" in event.delta for event in events)
    assert [event.tool_output.raw_output for event in events if isinstance(event, ToolCallResult)] == [5]


async def test_memory_is_as_after_a_run(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """The answer is in the memory, and the next turn is the model's: it does not stand for itself."""
    llm = ScriptedLLM([final(kind, "as I said")])
    agent, memory = kind(cache=cache, tools=shop.tools, llm=llm), ChatMemoryBuffer.from_defaults(token_limit=10_000)
    await agent.run(ASK, memory=memory)
    history = memory.get_all()
    assert history[0].content == ASK and "That is 10 coins." in str(history[-1].content)
    assert str(await agent.run(ASK, memory=memory)) == "as I said" and llm.calls == 1


async def test_a_later_turn_with_a_canonicaliser(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """Who can say what a turn means by itself gets it looked up."""
    agent = kind(cache=cache, tools=shop.tools, llm=ScriptedLLM([]), canonicalise=lambda messages: ASK)
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000)
    await agent.run(ASK, memory=memory)
    assert str(await agent.run("and again?", memory=memory)) == "That is 10 coins."


async def test_a_context_that_is_used_again_and_saved(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """A run's context can be written down and read by another worker."""
    llm = ScriptedLLM([final(kind, "second")])
    agent = kind(cache=cache, tools=shop.tools, llm=llm)
    context = Context(agent)
    await agent.run(ASK, ctx=context)
    with pytest.warns(Warning, match="memory"):  # The host leaves its memory out where it cannot be written.
        saved = context.to_dict(serializer=JsonSerializer())
    again = Context.from_dict(agent, saved, serializer=JsonSerializer())
    assert str(await agent.run("hi", ctx=again)) == "second"


async def test_structured_responses_cost_no_call(kind: Any, opened: Open, shop: Shop) -> None:
    """With `output_cls` the answer is an object of it, without the call by which the host makes one."""
    tools = shop.host_tools()
    cache = opened(tools=tools)
    body = "def run(count, item):\n    return {'coins': count * price(item)}\n"
    procedure(cache, "total", "what do {count:count} {item:noun} cost", body, tools)
    llm = ScriptedLLM([])
    agent = kind(cache=cache, tools=shop.tools, llm=llm, output_cls=Total)
    result = await agent.run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 0
    assert [x.tool_output.raw_output for x in result.tool_calls] == [5]


async def test_an_answer_that_does_not_fit_is_a_give_up(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """A text is no object: the model answers, and the host structures."""
    llm = ScriptedLLM([final(kind, "10"), call("Total", coins=10)])
    result = await kind(cache=cache, tools=shop.tools, llm=llm, output_cls=Total).run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 2
    assert str(result) == "10" and cache.stats().deopts == 1


async def test_it_learns_from_clean_runs(kind: Any, opened: Open, shop: Shop) -> None:
    """Two runs of the model, and the third is code."""
    cache = opened(tools=shop.host_tools())
    replies = [
        reply
        for item, price in (("tea", 3), ("rice", 5))
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    llm = ScriptedLLM(replies)
    agent = kind(cache=cache, tools=shop.tools, llm=llm)
    for item in ("tea", "rice"):
        await agent.run(f"what does {item} cost right here")
    result = await agent.run("what does salt cost right here")
    assert str(result) == "salt costs 1 coins" and llm.calls == 4 and cache.stats().hits == 1


async def test_what_is_not_learnt_from(kind: Any, opened: Open, shop: Shop) -> None:
    """A failed call, a run at its limit, and a run of a procedure."""
    traces: list[Any] = []
    cache = opened(tools=shop.host_tools())
    procedure(cache, "total", "what do {count:count} {item:noun} cost", "def run(count, item):\n    return 'x'\n")
    options = {"cache": cache, "tools": shop.tools, "learned": lambda cache, trace, learned: traces.append(trace)}
    failing = ScriptedLLM([wants(kind, "price", item="caviar"), final(kind, "sorry")])
    await kind(llm=failing, **options).run("one")
    limited = kind(llm=ScriptedLLM(["ignored", "at the limit"]), **options)
    await limited.run("two", max_iterations=1, early_stopping_method="generate")
    await kind(llm=ScriptedLLM([]), **options).run(ASK)
    assert traces == []


async def test_a_changed_or_missing_tool_hands_over(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """Before the first call: a tool with other arguments is another tool."""

    def price(item: str, currency: str) -> int:
        """Return the price of one item."""
        return 0

    for tools in (
        [FunctionTool.from_defaults(price)],
        [],
        [FunctionTool.from_defaults(shop.price, return_direct=True)],
    ):
        llm = ScriptedLLM([final(kind, "by the model")])
        assert str(await kind(cache=cache, tools=tools, llm=llm).run(ASK)) == "by the model"
    assert shop.calls == []


async def test_a_run_with_state_is_the_models(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """What the text does not say may decide."""
    llm = ScriptedLLM([final(kind, "by the model")])
    agent = kind(cache=cache, tools=shop.tools, llm=llm, initial_state={"currency": "gold"})
    assert str(await agent.run(ASK)) == "by the model"


class Broken:
    """A cache that is broken everywhere."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


async def test_a_broken_cache_does_not_break_the_agent(kind: Any, shop: Shop) -> None:
    """The model answers."""
    llm = ScriptedLLM([final(kind, "by the model")])
    assert str(await kind(cache=Broken(), tools=shop.tools, llm=llm).run(ASK)) == "by the model"


async def test_a_cache_that_breaks_half_way(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """The model goes on from the calls that were made."""

    class Half:
        calls = 0

        def __getattr__(self, name: str) -> Any:
            if name == "next_action":
                Half.calls += 1
                if Half.calls > 1:
                    raise RuntimeError("broken")
            return getattr(cache, name)

    llm = ScriptedLLM([final(kind, "by the model")])
    assert str(await kind(cache=Half(), tools=shop.tools, llm=llm).run(ASK)) == "by the model"
    assert shop.calls == [("price", "rice")]


async def test_wrapped_agents_and_workflows(opened: Open, shop: Shop) -> None:
    """An agent or a workflow that is there already gets a cache; the first one stays as it is."""
    cache = opened(tools=shop.host_tools(), system_prompt="Be kind.")
    procedure(cache, "total", TOTAL, TOTAL_BODY, shop.host_tools())
    for kind in (FunctionAgent, ReActAgent):
        llm = ScriptedLLM([])
        agent = kind(name="shop", description="d", tools=shop.tools, llm=llm, system_prompt="Be kind.")
        wrapped = cached_agent(agent, cache)
        assert isinstance(wrapped, kind) and wrapped.system_prompt == "Be kind."
        assert str(await wrapped.run(ASK)) == "That is 10 coins."
        workflow = cached_workflow(AgentWorkflow(agents=[agent], root_agent="shop"), cache)
        assert str(await workflow.run(ASK)) == "That is 10 coins." and llm.calls == 0


async def test_a_plain_workflow_of_cached_agents(opened: Open, shop: Shop, kind: Any) -> None:
    """Agents with a cache serve and learn in the host's own workflow, too."""
    cache = opened(tools=shop.host_tools())
    replies = [
        reply
        for item, price in (("tea", 3), ("rice", 5))
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    llm = ScriptedLLM(replies)
    workflow = AgentWorkflow(agents=[kind(name="a", description="d", cache=cache, tools=shop.tools, llm=llm)])
    for item in ("tea", "rice"):
        await workflow.run(f"what does {item} cost right here")
    assert str(await workflow.run("what does salt cost right here")) == "salt costs 1 coins" and llm.calls == 4


async def test_a_workflow_with_handoffs(opened: Open, shop: Shop) -> None:
    """The root agent serves hits; what the model hands over is the other agent's."""
    cache = opened(tools=shop.host_tools(), system_prompt="a")
    procedure(cache, "total", TOTAL, TOTAL_BODY, shop.host_tools())
    llm = ScriptedLLM([call("handoff", to_agent="b", reason="it knows"), "from b"])
    agents = [
        FunctionAgent(name=name, description=name, tools=shop.tools, llm=llm, system_prompt=name) for name in ("a", "b")
    ]
    plain = AgentWorkflow(agents=agents, root_agent="a")
    workflow = cached_workflow(plain, cache)
    assert isinstance(workflow, SeglamAgentWorkflow)
    assert str(await workflow.run(ASK)) == "That is 10 coins." and llm.calls == 0
    assert str(await workflow.run("something else")) == "from b"


async def test_a_workflow_with_a_structured_response(opened: Open, shop: Shop) -> None:
    """The workflow's `output_cls` is served from the answer, too."""
    tools = shop.host_tools()
    cache = opened(tools=tools)
    body = "def run(count, item):\n    return {'coins': count * price(item)}\n"
    procedure(cache, "total", "what do {count:count} {item:noun} cost", body, tools)
    llm = ScriptedLLM([])
    agent = FunctionAgent(name="a", description="d", tools=shop.tools, llm=llm)
    workflow = cached_workflow(AgentWorkflow(agents=[agent], output_cls=Total), {"a": cache})
    result = await workflow.run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 0


async def test_two_runs_at_once_do_not_mix(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """State is in the run, not in the agent."""
    import asyncio

    agent = kind(cache=cache, tools=shop.tools, llm=ScriptedLLM([]))
    results = await asyncio.gather(*(agent.run(f"what do {n} tea cost") for n in range(2, 6)))
    assert [str(result) for result in results] == [f"That is {3 * n} coins." for n in range(2, 6)]


async def test_pictures_are_the_models(cache: ReasoningCache, shop: Shop) -> None:
    """A request that is not text alone is not looked up."""
    from llama_index.core.base.llms.types import ImageBlock, TextBlock

    llm = ScriptedLLM(["by the model"])
    message = ChatMessage(role="user", blocks=[TextBlock(text=ASK), ImageBlock(image=b"x", image_mimetype="image/png")])
    agent = SeglamFunctionAgent(cache=cache, tools=shop.tools, llm=llm)
    assert str(await agent.run(user_msg=message)) == "by the model"


def test_effects_are_declared(shop: Shop) -> None:
    """A tool that says nothing is taken to write."""
    effects = {host.tool.name: host.tool.effect for host in host_tools(shop.tools, {"price": "read"})}
    assert effects == {"price": "read", "buy": "write"}
