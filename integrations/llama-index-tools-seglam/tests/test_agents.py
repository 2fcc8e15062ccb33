"""Agents: a procedure in the place of the model, through the host's own steps."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from li_host import settled
from li_support import BUY, BUY_BODY, TOTAL, TOTAL_BODY, Open, Shop, procedure
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, JsonPickleSerializer, JsonSerializer
from pydantic import BaseModel
from seglam_agents import ReasoningCache
from seglam_agents.hosting import idempotency_key
from seglam_agents.testing.llama_index import ScriptedLLM, call

from llama_index.tools.seglam import (
    SeglamAgentWorkflow,
    SeglamFunctionAgent,
    SeglamReActAgent,
    cached_agent,
    cached_workflow,
    handoff_tool,
    host_tools,
)

ASK = "what do 2 rice cost"
TAUGHT = {"tea": 3, "rice": 5, "milk": 1}
"""Two runs teach, and the third confirms."""


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


@pytest.mark.parametrize("name", ["", "  ", b"", False, object()], ids=lambda name: str(type(name)))
async def test_a_request_id_that_names_nothing_is_told(
    cache: ReasoningCache, shop: Shop, name: object, caplog: pytest.LogCaptureFixture
) -> None:
    """`answer` refuses the same ids; an agent is not stopped by them, and its log says what they are worth."""
    agent = SeglamFunctionAgent(cache=cache, tools=shop.tools, llm=ScriptedLLM([]))
    assert str(await agent.run("buy 3 tea if it is cheap", request_id=name)) == "bought 3 tea"
    assert "names no request (pass the id of the delivery" in caplog.text


async def test_zero_names_a_request(cache: ReasoningCache, shop: Shop) -> None:
    """It is a number like any other."""
    agent = SeglamFunctionAgent(cache=cache, tools=shop.tools, llm=ScriptedLLM([]))
    for _ in range(2):
        assert str(await agent.run("buy 3 tea if it is cheap", request_id=0)) == "bought 3 tea"
    assert [name for name, _ in shop.calls].count("buy") == 1


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
    """The answer is in the memory, and a next turn that points back at it is the model's."""
    llm = ScriptedLLM([final(kind, "as I said")])
    agent, memory = kind(cache=cache, tools=shop.tools, llm=llm), ChatMemoryBuffer.from_defaults(token_limit=10_000)
    await agent.run(ASK, memory=memory)
    history = memory.get_all()
    assert history[0].content == ASK and "That is 10 coins." in str(history[-1].content)
    assert str(await agent.run("And that again?", memory=memory)) == "as I said" and llm.calls == 1


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
    procedure(cache, "total", "what do {count:count} {item:noun} cost", body, tools, Total)
    llm = ScriptedLLM([])
    agent = kind(cache=cache, tools=shop.tools, llm=llm, output_cls=Total)
    result = await agent.run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 0
    assert [x.tool_output.raw_output for x in result.tool_calls] == [5]


async def test_an_answer_that_does_not_fit_is_a_give_up(kind: Any, opened: Open, shop: Shop) -> None:
    """A text is no object: the model answers, and the host structures."""
    tools = shop.host_tools()
    cache = opened(tools=tools)
    procedure(cache, "total", TOTAL, TOTAL_BODY, tools, Total)
    llm = ScriptedLLM([final(kind, "10"), call("Total", coins=10)])
    result = await kind(cache=cache, tools=shop.tools, llm=llm, output_cls=Total).run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 2
    assert str(result) == "10" and cache.stats().deopts == 1


async def test_it_learns_from_clean_runs(kind: Any, opened: Open, shop: Shop) -> None:
    """Two runs of the model, a third that was foretold, and the next is code."""
    cache = opened(tools=shop.host_tools())
    replies = [
        reply
        for item, price in TAUGHT.items()
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    llm = ScriptedLLM(replies)
    agent = kind(cache=cache, tools=shop.tools, llm=llm)
    for item in TAUGHT:
        await agent.run(f"what does {item} cost right here")
    result = await agent.run("what does salt cost right here")
    assert str(result) == "salt costs 1 coins" and llm.calls == 6 and cache.stats().hits == 1


async def test_a_cache_that_is_closed_first_has_learnt_what_waited(
    opened: Open, shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing has to be closed but the cache."""
    kind, closing = SeglamFunctionAgent, threading.Event()
    replies = [
        reply
        for item, price in TAUGHT.items()
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    async with opened(tmp_path, tools=shop.host_tools()) as cache:
        cache.before_closing(lambda _: closing.set())
        # Where the cache does not wait for it, nothing but the first run is learnt from before it is closed.
        waits: Any = {"learning": "background", "learned": lambda *_: closing.wait(10) and None}
        agent = kind(cache=cache, tools=shop.tools, llm=ScriptedLLM(replies), **waits)
        for item in TAUGHT:
            await agent.run(f"what does {item} cost right here")
    assert not caplog.records
    llm = ScriptedLLM([])
    again = kind(cache=opened(tmp_path, tools=shop.host_tools()), tools=shop.tools, llm=llm)
    assert str(await again.run("what does salt cost right here")) == "salt costs 1 coins" and llm.calls == 0


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


@pytest.mark.parametrize("nothing", [None, "x", 5], ids=repr)
def test_what_is_no_cache_is_refused_when_it_is_passed(shop: Shop, nothing: Any) -> None:
    """It would break every run."""
    for door in (SeglamFunctionAgent, SeglamReActAgent):
        with pytest.raises(TypeError, match="is no cache: pass a ReasoningCache"):
            door(cache=nothing, tools=shop.tools, llm=ScriptedLLM([]))


async def test_a_broken_cache_does_not_break_the_agent(kind: Any, shop: Shop) -> None:
    """The model answers."""
    llm = ScriptedLLM([final(kind, "by the model")])
    assert str(await kind(cache=Broken(), tools=shop.tools, llm=llm).run(ASK)) == "by the model"


async def test_a_cache_that_breaks_half_way(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """The model goes on from the calls that were made."""

    class Half:
        calls = 0

        def under(self, instructions: str | None) -> Any:
            return self

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
        for item, price in TAUGHT.items()
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    llm = ScriptedLLM(replies)
    workflow = AgentWorkflow(agents=[kind(name="a", description="d", cache=cache, tools=shop.tools, llm=llm)])
    for item in TAUGHT:
        await workflow.run(f"what does {item} cost right here")
    assert str(await workflow.run("what does salt cost right here")) == "salt costs 1 coins" and llm.calls == 6


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


def two_agents(shop: Shop, llm: ScriptedLLM, told: tuple[str, str] = ("a", "b")) -> AgentWorkflow:
    """Return a workflow whose root hands over to an agent with the tools."""
    root = FunctionAgent(name="a", description="passes on", llm=llm, system_prompt=told[0])
    clerk = FunctionAgent(name="b", description="sells", tools=shop.tools, llm=llm, system_prompt=told[1])
    return AgentWorkflow(agents=[root, clerk], root_agent="a")


def handing_over(messages: Any) -> Any:
    """Play the models of both agents: the first hands over, the second looks the price up and says it."""
    item = next(str(m.content) for m in messages if m.role.value == "user").split()[-1]
    if messages[0].content.startswith("a"):
        return call("handoff", "h", to_agent="b", reason=item)
    results = [m for m in messages if m.role.value == "tool" and "price" in m.additional_kwargs.get("tool_call_id", "")]
    return f"{item}: {results[0].content} coins" if results else call("price", "price", item=item)


async def test_who_a_request_is_handed_over_to_serves_hits(opened: Open, shop: Shop) -> None:
    """Runs of the second agent teach; after the handover of a further one, its model is not asked."""
    llm = ScriptedLLM(handing_over)
    caches = {"b": opened(tools=shop.host_tools(), agent="b")}
    workflow = cached_workflow(two_agents(shop, llm), caches)
    for item in TAUGHT:
        assert str(await workflow.run(f"tell me the price of {item}")).startswith(item)
    before = llm.calls
    # A root without a cache does not say when a run begins; the workflow does.
    assert str(await workflow.run("tell me the price of salt")) == "salt: 1 coins"
    assert llm.calls == before + 1 and caches["b"].stats().hits == 1


async def test_handovers_are_learnt_where_they_are_declared(opened: Open, shop: Shop) -> None:
    """With `handoff_tool`, a run of a kind asks no model at all once two were foretold: it counts as a write."""
    llm = ScriptedLLM(handing_over)
    caches = {"a": opened(tools=[handoff_tool()], agent="a"), "b": opened(tools=shop.host_tools(), agent="b")}
    workflow = cached_workflow(two_agents(shop, llm), caches)
    answers = [
        str(await workflow.run(f"tell me the price of {item}"))
        for item in ("tea", "rice", "milk", "salt", "tea", "rice")
    ]
    assert answers[:2] == ["tea: 3 coins", "rice: 5 coins"] == answers[4:]
    calls = llm.calls
    result = await workflow.run("tell me the price of tea")
    assert str(result) == "tea: 3 coins" and llm.calls == calls and [c.stats().hits > 0 for c in caches.values()]


async def test_what_another_agent_is_told_is_a_condition(opened: Open, shop: Shop) -> None:
    """What was learnt behind one root does not serve behind another, before a run agreed."""
    llm = ScriptedLLM(handing_over)
    caches = {"b": opened(tools=shop.host_tools(), agent="b")}
    for item in TAUGHT:
        await cached_workflow(two_agents(shop, llm), caches).run(f"tell me the price of {item}")
    before = llm.calls
    strict = cached_workflow(two_agents(shop, llm, ("a, and no gifts", "b")), caches)
    await strict.run("tell me the price of salt")
    assert llm.calls == before + 3 and caches["b"].stats().hits == 0


async def test_other_instructions_are_another_agent(kind: Any, opened: Open, shop: Shop) -> None:
    """Two agents of one name and one cache: what the first may do is not done for the second."""
    cache = opened(tools=shop.host_tools(), system_prompt="You may buy.")
    procedure(cache, "buy", BUY, BUY_BODY, shop.host_tools())
    llm = ScriptedLLM(lambda _: final(kind, "by the model"))
    for told, answer in (("You may buy.", "bought 3 tea"), ("You never buy.", "by the model")):
        agent = kind(cache=cache, tools=shop.tools, llm=llm, system_prompt=told)
        assert str(await agent.run("buy 3 tea if it is cheap")) == answer
    assert shop.calls == [("price", "tea"), ("buy", ("tea", 3))]


async def test_steps_that_cost_nothing_are_not_limited(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """A procedure of three steps runs within a limit of two; the model's own steps are limited as ever."""
    agent = kind(cache=cache, tools=shop.tools, llm=ScriptedLLM([]))
    context = Context(agent)
    result = await agent.run("buy 3 tea if it is cheap", max_iterations=2, ctx=context)
    assert str(result) == "bought 3 tea" and await context.store.get("max_iterations") == 2


async def test_the_cache_can_be_left_out_of_a_run(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """`off` and `refresh` ask the model; the run after them is a hit again."""
    llm = ScriptedLLM(lambda _: final(kind, "by the model"))
    agent = kind(cache=cache, tools=shop.tools, llm=llm)
    for switch in ("off", "refresh"):
        assert str(await agent.run(ASK, seglam=switch)) == "by the model"
    assert str(await agent.run(ASK)) == "That is 10 coins." and llm.calls == 2


async def test_savings_are_counted(kind: Any, opened: Open, shop: Shop) -> None:
    """A hit saves what the model's own run of the kind had cost."""
    cache = opened(tools=shop.host_tools())
    replies = [
        reply
        for item, price in TAUGHT.items()
        for reply in (wants(kind, "price", item=item), final(kind, f"{item} costs {price} coins"))
    ]
    llm = ScriptedLLM(replies, usage={"prompt_tokens": 40, "completion_tokens": 2})
    agent = kind(cache=cache, tools=shop.tools, llm=llm)
    for item in (*TAUGHT, "salt"):
        await agent.run(f"what does {item} cost right here")
    saved = agent.savings().saved.usage
    assert (saved.input_tokens, saved.output_tokens, saved.calls) == (80, 4, 2)


async def test_a_run_taken_up_from_a_saved_context_repeats_no_write(kind: Any, cache: ReasoningCache) -> None:
    """Without any name of the request: the context itself says that it is the same one."""
    saved: list[dict[str, Any]] = []
    keys: list[str | None] = []
    handlers: list[Any] = []
    writing = asyncio.Event()

    def price(item: str) -> int:
        """Return the price of one item."""
        return 3

    async def buy(item: str, count: int) -> str:
        """Buy some of an item."""
        keys.append(idempotency_key())
        saved.append(await settled(handlers[-1].ctx))
        writing.set()
        await asyncio.Event().wait()  # The worker is killed here.
        return ""

    llm = ScriptedLLM(lambda _: final(kind, "by the model"))
    agent = kind(cache=cache, tools=[price, buy], llm=llm)
    handlers.append(agent.run("buy 3 tea if it is cheap"))
    await writing.wait()
    await handlers[-1].cancel_run()
    again = kind(cache=cache, tools=[price, buy], llm=llm)
    context = Context.from_dict(again, saved[0], serializer=JsonPickleSerializer())
    assert str(await again.run(ctx=context)) == "by the model"
    assert len(keys) == 1 and keys[0]
    assert "not known whether" in "\n".join(f"{message.content}{message.blocks}" for message in llm.asked[-1])


async def test_a_workflow_with_a_structured_response(opened: Open, shop: Shop) -> None:
    """The workflow's `output_cls` is served from the answer, too."""
    tools = shop.host_tools()
    cache = opened(tools=tools)
    body = "def run(count, item):\n    return {'coins': count * price(item)}\n"
    procedure(cache, "total", "what do {count:count} {item:noun} cost", body, tools, Total)
    llm = ScriptedLLM([])
    agent = FunctionAgent(name="a", description="d", tools=shop.tools, llm=llm)
    workflow = cached_workflow(AgentWorkflow(agents=[agent], output_cls=Total), {"a": cache})
    result = await workflow.run(ASK)
    assert result.get_pydantic_model(Total) == Total(coins=10) and llm.calls == 0


async def test_two_runs_at_once_do_not_mix(kind: Any, cache: ReasoningCache, shop: Shop) -> None:
    """State is in the run, not in the agent."""
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
