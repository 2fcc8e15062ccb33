"""Learning: from clean runs alone, from what was carried out, and without standing in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, ModelCallLimitMiddleware, PIIMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from lc_support import Open, Runner, Shop, agent, on, procedure, says, seglam, wants
from pydantic import BaseModel
from seglam_agents import Learned, ReasoningCache, Trace
from seglam_agents.testing.langchain import ScriptedChat
from seglam_agents.testing.models import ScriptedModel, writes
from typing_extensions import TypedDict

from langchain_seglam import Accounting, Price, SeglamMiddleware, host_tools

ONE = """```python
NAME = "one"
TEMPLATES = ["What does {item:noun} cost?"]

def run(item):
    return f"It costs {price(item)} coins."
```"""
BOTH = """```python
NAME = "both"
TEMPLATES = ["Price of {a:noun} and {b:noun}?"]

def run(a, b):
    return f"{price(a)} and {price(b)}"
```"""
ASKED = "What does tea cost?"


def buyer() -> ScriptedChat:
    return ScriptedChat(script=[wants(("price", {"item": "tea"})), says("It costs 3 coins.")])


def observed(cache: ReasoningCache, monkeypatch: pytest.MonkeyPatch) -> list[Trace]:
    """Return the list that will hold what the cache observes."""
    traces: list[Trace] = []
    observe, aobserve = cache.observe, cache.aobserve

    def spy(trace: Trace) -> Any:
        traces.append(trace)
        return observe(trace)

    async def aspy(trace: Trace) -> Any:
        traces.append(trace)
        return await aobserve(trace)

    monkeypatch.setattr(cache, "observe", spy)
    monkeypatch.setattr(cache, "aobserve", aspy)
    return traces


def test_the_second_request_of_a_kind_needs_no_model(run: Runner, opened: Open, shop: Shop) -> None:
    """What the model did once is code afterwards, and calls the live tools with other values."""
    cache = opened(None, ScriptedModel(writes(ONE)), tools=shop.host_tools())
    model = buyer()
    graph = agent(model, shop, seglam(cache))
    assert run.ask(graph, ASKED)["messages"][-1].text == "It costs 3 coins."
    assert model.calls == 2 and cache.stats().admitted == 1
    assert run.ask(graph, "What does rice cost?")["messages"][-1].text == "It costs 5 coins."
    assert model.calls == 2 and shop.read == ["tea", "rice"]


def test_savings_are_what_the_model_had_cost(run: Runner, opened: Open, shop: Shop) -> None:
    """A hit saves the tokens of the run that it stands for; another worker reads the same from the store."""
    cache = opened(None, ScriptedModel(writes(ONE)), tools=shop.host_tools())
    middleware = seglam(cache, price=Price(input=1.0, output=10.0))
    graph = agent(buyer(), shop, middleware)
    first = run.ask(graph, ASKED)["messages"]
    spent = [m.usage_metadata for m in first if isinstance(m, AIMessage)]
    tokens = sum(usage["total_tokens"] for usage in spent if usage)
    result = run.ask(graph, "What does rice cost?")["messages"][-1]
    saved = result.response_metadata["seglam"]["saved"]
    assert saved["input_tokens"] + saved["output_tokens"] == tokens and saved["calls"] == 2
    report = middleware.savings()
    assert (
        report.hits == 1 and report.saved.usage.tokens == tokens and report.spent.usage.calls == 2
    )  # Written, attacked.
    assert report.saved.money == pytest.approx((saved["input_tokens"] + 10 * saved["output_tokens"]) / 1e6)
    (one,) = report.procedures.values()
    assert one.hits == 1 and one.baseline is not None and one.baseline.tokens == tokens
    other = seglam(opened(cache.store, tools=shop.host_tools()))
    run.ask(agent(buyer(), shop, other), "What does milk cost?")
    assert other.savings().saved.usage.tokens == tokens


def test_the_trace_has_the_executed_arguments(
    run: Runner, opened: Open, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a human's edit the trace holds what was done, with the clean result, not what the model had said."""
    cache = opened(None, ScriptedModel(writes("NOT_CRYSTALLIZABLE: no")), tools=shop.host_tools())
    traces = observed(cache, monkeypatch)
    model = ScriptedChat(script=[wants(("price", {"item": "milk"})), says("3 coins")])
    gate = HumanInTheLoopMiddleware({"price": True})
    graph = agent(model, shop, gate, seglam(cache), checkpointer=InMemorySaver())
    run.ask(graph, ASKED, "1")
    edit = {"type": "edit", "edited_action": {"name": "price", "args": {"item": "tea"}}}
    run(graph, Command(resume={"decisions": [edit]}), on("1"))
    (trace,) = traces
    assert [(x.tool, x.arguments, x.result) for x in trace.calls] == [("price", {"item": "tea"}, 3)]
    assert trace.answer == "3 coins" and trace.request.text == ASKED and trace.usage.calls == 2


def test_parallel_calls_are_recorded_in_order(
    run: Runner, opened: Open, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of one message that run at once are in the trace as the message has them."""
    cache = opened(None, ScriptedModel(writes(BOTH)), tools=shop.host_tools())
    traces = observed(cache, monkeypatch)
    calls = [("price", {"item": "tea"}), ("price", {"item": "rice"})]
    graph = agent(ScriptedChat(script=[wants(*calls), says("3 and 5")]), shop, seglam(cache))
    run.ask(graph, "Price of tea and rice?")
    (trace,) = traces
    assert [(x.arguments["item"], x.result) for x in trace.calls] == [("tea", 3), ("rice", 5)]
    assert run.ask(graph, "Price of milk and tea?")["messages"][-1].text == "2 and 3"


def test_redacted_results_are_learnt_redacted(
    run: Runner, opened: Open, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the host redacts in a tool's message is not in the trace either."""

    @tool
    def address(name: str) -> str:
        """Return an address."""
        return f"{name}@example.com"

    cache = opened(
        None, ScriptedModel(writes("NOT_CRYSTALLIZABLE: no")), tools=host_tools([address], {"address": "read"})
    )
    traces = observed(cache, monkeypatch)
    model = ScriptedChat(script=[wants(("address", {"name": "ann"})), says("done")])
    redact = PIIMiddleware("email", apply_to_tool_results=True)
    graph = create_agent(model, [address], middleware=[redact, seglam(cache)])
    run.ask(graph, "Address of ann")
    (trace,) = traces
    assert trace.calls[0].result == "[REDACTED_EMAIL]"


def test_a_run_that_code_began_teaches_where_it_only_read(
    run: Runner, opened: Open, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model does after a give-up shows the way that no trace had shown; its cost is no whole run's."""
    tools = shop.host_tools()
    cache = opened(None, ScriptedModel(writes("NOT_CRYSTALLIZABLE: no")), tools=tools)
    procedure(cache, "two", "What does {item:noun} cost?", "def run(item):\n    price(item)\n    deopt('x')\n", tools)
    traces = observed(cache, monkeypatch)
    middleware = seglam(cache)
    run.ask(agent(ScriptedChat(script=[says("3")]), shop, middleware), ASKED)
    (trace,) = traces
    assert [(x.tool, x.arguments, x.result) for x in trace.calls] == [("price", {"item": "tea"}, 3)]
    assert trace.answer == "3" and trace.usage.calls == 1 and cache.stats().deopts == 1
    stored = Accounting(cache)
    stored.learned(trace, Learned(status="widened", procedure="two-0001@2"))
    assert stored.baseline("two-0001") is None


def test_what_came_of_learning_is_told(run: Runner, opened: Open, shop: Shop) -> None:
    """The host may hear what became of each run; where no model compiles, two teach and a third confirms."""
    told: list[tuple[str, str]] = []
    cache = opened(tools=shop.host_tools())
    heard = seglam(cache, on_learned=lambda trace, learned: told.append((trace.request.text, learned.status)))
    prices = (("tea", "3"), ("rice", "5"), ("milk", "2"))
    script = [message for item, coins in prices for message in (wants(("price", {"item": item})), says(coins))]
    model = ScriptedChat(script=script)
    graph = agent(model, shop, heard)
    for item in ("tea", "rice", "milk", "tea"):
        said = run.ask(graph, f"What does {item} cost?")["messages"][-1].text
    heard_of = [("tea", "rejected"), ("rice", "rejected"), ("milk", "admitted")]
    assert told == [(f"What does {item} cost?", status) for item, status in heard_of]
    assert said == "3" and model.calls == 6


@pytest.mark.parametrize(("clock", "asked"), [(lambda: datetime(2031, 11, 30), 6), (None, 8)])
def test_runs_bear_the_time_of_the_cache_s_clock(
    run: Runner, opened: Open, clock: Callable[[], datetime] | None, asked: int
) -> None:
    """A day without a year is understood by code only where the runs say when they were."""
    seen: list[str] = []

    @tool
    def agenda(day: str) -> int:
        """Return how many meetings there are on a day."""
        seen.append(day)
        return int(day[-2:])

    cache = opened(tools=host_tools([agenda], {"agenda": "read"}), now=clock)
    days = [("December 13", "2031-12-13"), ("December 4", "2031-12-04"), ("December 24", "2031-12-24")]
    days.append(("December 6", "2031-12-06"))
    runs = [(wants(("agenda", {"day": day})), says(str(int(day[-2:])))) for _, day in days]
    model = ScriptedChat(script=[message for pair in runs for message in pair])
    graph = create_agent(model, [agenda], middleware=[seglam(cache)])
    said = [run.ask(graph, f"How many meetings are on {day}?")["messages"][-1].text for day, _ in days]
    assert said == ["13", "4", "24", "6"] and seen == [day for _, day in days] and model.calls == asked


@pytest.mark.parametrize("options", [{"learning": "off"}, {"policy": "economic"}])
def test_the_cache_decides_when_it_learns(run: Runner, opened: Open, shop: Shop, options: dict[str, Any]) -> None:
    """A cache that does not learn, or whose policy waits, compiles nothing from one run; what it says is told."""
    told: list[Learned] = []
    compiler = ScriptedModel(writes(ONE))
    cache = opened(None, compiler, tools=shop.host_tools(), **options)
    run.ask(agent(buyer(), shop, seglam(cache, on_learned=lambda _, learned: told.append(learned))), ASKED)
    (learned,) = told
    assert learned.status == ("deferred" if "learning" in options else "rejected")
    assert cache.stats().procedures == 0 and cache.stats().model_usage.calls == 0


class TestUnclean:
    """Runs that are not learnt from."""

    @pytest.fixture
    def cache(self, opened: Open, shop: Shop) -> ReasoningCache:
        return opened(None, ScriptedModel(writes(ONE)), tools=shop.host_tools())

    def test_a_limit_ended_it(self, run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: Any) -> None:
        """The last word was the limit's, not the model's."""
        traces = observed(cache, monkeypatch)
        limit = ModelCallLimitMiddleware(run_limit=1)
        run.ask(agent(buyer(), shop, limit, seglam(cache)), ASKED)
        assert traces == []

    def test_a_human_rejected_a_call(self, run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: Any) -> None:
        """A call that was not carried out makes no trace."""
        traces = observed(cache, monkeypatch)
        gate = HumanInTheLoopMiddleware({"price": True})
        graph = agent(buyer(), shop, gate, seglam(cache), checkpointer=InMemorySaver())
        run.ask(graph, ASKED, "1")
        run(graph, Command(resume={"decisions": [{"type": "reject", "message": "no"}]}), on("1"))
        assert traces == [] and shop.read == []

    def test_a_tool_failed(self, run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: Any) -> None:
        """An error message of a tool makes no trace."""
        traces = observed(cache, monkeypatch)
        model = ScriptedChat(script=[wants(("price", {"wrong": 1})), says("sorry")])
        run.ask(agent(model, shop, seglam(cache)), ASKED)
        assert traces == []

    def test_a_procedure_gave_up_after_a_write(self, run: Runner, opened: Open, shop: Shop, monkeypatch: Any) -> None:
        """A run in which a procedure wrote, and gave up, is not learnt from: nobody says that the write was right."""
        tools = shop.host_tools()
        cache = opened(None, ScriptedModel(writes(ONE)), tools=tools)
        body = "def run(n, item):\n    order(item, n)\n    deopt('x')\n"
        procedure(cache, "two", "Order {n:count} boxes of {item:noun}", body, tools)
        traces = observed(cache, monkeypatch)
        run.ask(agent(ScriptedChat(script=[says("3")]), shop, seglam(cache)), "Order 2 boxes of tea")
        assert shop.written == [("tea", 2)] and traces == [] and cache.stats().deopts == 1

    def test_a_human_edited_a_call_of_a_procedure(
        self, run: Runner, opened: Open, shop: Shop, monkeypatch: Any
    ) -> None:
        """A procedure that somebody stopped has not given up by itself: its run is not learnt from."""
        tools = shop.host_tools()
        cache = opened(None, ScriptedModel(writes(ONE)), tools=tools)
        procedure(cache, "one", "What does {item:noun} cost?", "def run(item):\n    return price(item)\n", tools)
        traces = observed(cache, monkeypatch)
        gate = HumanInTheLoopMiddleware({"price": True})
        model = ScriptedChat(script=[says("5")])
        graph = agent(model, shop, gate, seglam(cache), checkpointer=InMemorySaver())
        run.ask(graph, ASKED, "1")
        edit = {"type": "edit", "edited_action": {"name": "price", "args": {"item": "rice"}}}
        run(graph, Command(resume={"decisions": [edit]}), on("1"))
        assert model.calls == 1 and traces == [] and cache.stats().deopts == 1

    def test_a_hit_and_a_switch(self, run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: Any) -> None:
        """A hit teaches nothing new, and `off` learns nothing; `refresh` learns."""
        traces = observed(cache, monkeypatch)
        graph = agent(buyer(), shop, seglam(cache))
        run.ask(graph, ASKED, seglam="off")
        assert traces == []
        run.ask(graph, ASKED)
        run.ask(graph, ASKED)
        assert len(traces) == 1
        run.ask(graph, ASKED, seglam="refresh")
        assert len(traces) == 2

    def test_later_turns(self, run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: Any) -> None:
        """A turn that leans on the ones before it is not learnt from."""
        traces = observed(cache, monkeypatch)
        graph = agent(ScriptedChat(script=[says("Hello")]), shop, seglam(cache), checkpointer=InMemorySaver())
        run.ask(graph, "Hi", "1")
        run.ask(graph, "and tea?", "1")
        assert [trace.request.text for trace in traces] == ["Hi"]


def test_learning_in_the_background(run: Runner, opened: Open, shop: Shop) -> None:
    """The run does not wait; afterwards the kind is known."""
    cache = opened(None, ScriptedModel(writes(ONE)), tools=shop.host_tools())
    middleware = seglam(cache, learning="background")
    graph = agent(buyer(), shop, middleware)
    run.ask(graph, ASKED)
    assert middleware.learner.flush(30)
    assert run.ask(graph, "What does milk cost?")["messages"][-1].text == "It costs 2 coins."
    middleware.close()


def test_a_cache_that_is_closed_first_has_learnt_what_waited(
    run: Runner, opened: Open, shop: Shop, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing has to be closed but the cache."""
    with opened(tmp_path, ScriptedModel(writes(ONE)), tools=shop.host_tools()) as cache:
        run.ask(agent(buyer(), shop, seglam(cache, learning="background")), ASKED)
    assert not caplog.records
    graph = agent(buyer(), shop, seglam(opened(tmp_path, tools=shop.host_tools())))
    assert run.ask(graph, "What does milk cost?")["messages"][-1].text == "It costs 2 coins."


def test_learning_off(run: Runner, opened: Open, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is learnt."""
    cache = opened(None, ScriptedModel(writes(ONE)), tools=shop.host_tools())
    traces = observed(cache, monkeypatch)
    run.ask(agent(buyer(), shop, seglam(cache, learning="off")), ASKED)
    assert traces == []


def test_compiling_is_not_in_the_hosts_stream(run: Runner, opened: Open, shop: Shop) -> None:
    """Tokens of the compiler do not appear among the messages of the agent, nor its calls among its events."""
    compiler = ScriptedChat(script=[says(ONE)])
    cache = opened(None, compiler, tools=shop.host_tools())
    graph = agent(buyer(), shop, seglam(cache))
    given = {"messages": [("user", ASKED)]}
    texts = [message.text for message, _ in run.stream(graph, given, stream_mode="messages")]
    assert compiler.calls == 2 and cache.stats().admitted == 1  # It is written, and attacked.
    assert not any("TEMPLATES" in text for text in texts)


class Bill(BaseModel):
    item: str
    coins: int


@dataclass
class BillData:
    item: str
    coins: int


class BillDict(TypedDict):
    item: str
    coins: int


SCHEMA = {
    "title": "Bill",
    "type": "object",
    "properties": {"item": {"type": "string"}, "coins": {"type": "integer"}},
    "required": ["item", "coins"],
}
BILL_BODY = 'def run(item):\n    return {"item": item, "coins": price(item)}\n'
BILL = "Bill for {item:noun}"


class TestStructured:
    """`response_format` gets its structured response on a hit."""

    @pytest.mark.parametrize(
        "response_format",
        [Bill, ToolStrategy(Bill), ProviderStrategy(Bill), BillData, BillDict, SCHEMA],
        ids=["model", "tool", "provider", "dataclass", "typeddict", "schema"],
    )
    def test_on_a_hit(self, run: Runner, opened: Open, shop: Shop, response_format: Any) -> None:
        """Whatever kind of schema it is, and not that of an earlier turn."""
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "bill", BILL, BILL_BODY, tools, form=response_format)
        model = ScriptedChat(script=[says("by model")])
        middleware = seglam(cache, canonicalise=lambda messages: messages[-1].text)
        graph = agent(model, shop, middleware, response_format=response_format, checkpointer=InMemorySaver())
        for item, coins in (("tea", 3), ("rice", 5)):
            structured = run.ask(graph, f"Bill for {item}", "1")["structured_response"]
            plain = structured if isinstance(structured, dict) else vars(structured)
            assert plain == {"item": item, "coins": coins}
        assert model.calls == 0

    def test_what_does_not_fit_goes_to_the_model(self, run: Runner, opened: Open, shop: Shop) -> None:
        """An answer that is no such object is not served."""
        cache = opened(tools=shop.host_tools())
        procedure(cache, "bill", BILL, "def run(item):\n    return 3\n", form=Bill)
        model = ScriptedChat(script=[wants(("Bill", {"item": "tea", "coins": 3}))])
        result = run.ask(agent(model, shop, seglam(cache), response_format=ToolStrategy(Bill)), "Bill for tea")
        assert model.calls == 1 and result["structured_response"] == Bill(item="tea", coins=3)
        assert cache.stats().deopts == 1

    def test_is_learnt(self, run: Runner, opened: Open, shop: Shop) -> None:
        """The structured response of a run of the model is the answer that is learnt."""
        code = f'```python\nNAME = "bill"\nTEMPLATES = ["{BILL}"]\n\n{BILL_BODY}```'
        cache = opened(None, ScriptedModel(writes(code)), tools=shop.host_tools())
        model = ScriptedChat(script=[wants(("price", {"item": "tea"})), wants(("Bill", {"item": "tea", "coins": 3}))])
        graph = agent(model, shop, seglam(cache), response_format=ToolStrategy(Bill))
        assert run.ask(graph, "Bill for tea")["structured_response"] == Bill(item="tea", coins=3)
        assert cache.stats().admitted == 1, cache.stats()
        assert run.ask(graph, "Bill for rice")["structured_response"] == Bill(item="rice", coins=5)
        assert model.calls == 2

    def test_on_a_jump(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A jump gives it where the middleware was told the format."""
        cache = opened(tools=shop.host_tools())
        body = 'def run(n):\n    return {"item": "tea", "coins": 3 * n}\n'
        procedure(cache, "bill", "Bill {n:count} tea", body, form=Bill)
        middleware = SeglamMiddleware(cache, mode="jump", response_format=Bill)
        model = ScriptedChat(script=[says("by model")])
        graph = agent(model, shop, middleware, response_format=ToolStrategy(Bill))
        assert run.ask(graph, "Bill 2 tea")["structured_response"] == Bill(item="tea", coins=6)
        assert model.calls == 0


def test_learning_does_not_block_the_loop(opened: Open, shop: Shop) -> None:
    """While one run compiles, the event loop goes on."""
    import threading

    release = threading.Event()

    def slow(messages: Any) -> str:
        release.wait(30)
        return ONE

    cache = opened(None, ScriptedModel(slow), tools=shop.host_tools())
    graph = agent(buyer(), shop, seglam(cache))

    async def main() -> None:
        task = asyncio.create_task(graph.ainvoke({"messages": [("user", ASKED)]}))
        for _ in range(20):
            await asyncio.sleep(0)
        release.set()
        await task

    asyncio.run(main())
    assert cache.stats().admitted == 1
