"""Faults: after each, the run ends as it would without the cache, and no write is done twice."""

from __future__ import annotations

import copy
import multiprocessing
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import killed_child
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain.tools import InjectedToolCallId
from langchain_core.messages import RemoveMessage, ToolMessage
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command, interrupt
from lc_support import BUY, BUY_BODY, Open, Runner, Shop, agent, on, procedure, says, seglam, wants
from seglam_agents import ReasoningCache, Refused
from seglam_agents.records.errors import SandboxError, StoreError
from seglam_agents.sandboxes.base import Failed, Limits
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import SeglamMiddleware, TenantCaches

ORDER = "Order 2 boxes of tea"
FRESH = multiprocessing.get_context("forkserver")
"""Makes processes from one that has loaded what they need, and done nothing."""
FRESH.set_forkserver_preload(
    ["langchain.agents", "langchain_seglam", "seglam_agents.cache", "seglam_agents.testing.langchain"]
)


def by_model() -> ScriptedChat:
    return ScriptedChat(script=[says("by model")])


def last(result: dict[str, Any]) -> str:
    return result["messages"][-1].text


class Gone(MemoryStore):
    """A store that can go away."""

    gone = False

    def __getattribute__(self, name: str) -> Any:
        if name in {"put", "get", "changes", "versions", "search", "put_note", "notes"} and type(self).gone:
            raise StoreError("gone")
        return super().__getattribute__(name)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> type[Gone]:
    class ThisOne(Gone):
        pass

    # Every lookup reads the change feed, as if a second had gone by.
    monkeypatch.setattr("seglam_agents.serving.retriever.REFRESH_SECONDS", -1.0)
    return ThisOne


class TestTools:
    """Tools that fail, are slow, or change."""

    def test_a_tool_raises(self, run: Runner, cache: ReasoningCache, shop: Shop) -> None:
        """What a tool raises ends the run, as it does without the cache; resumed, the write is not repeated."""
        original = shop.order.func

        def broken(item: str, n: int) -> str:
            original(item, n)
            raise TimeoutError("the line broke after the order was sent")

        shop.order.func = broken
        saver = InMemorySaver()
        with pytest.raises(TimeoutError):
            run.ask(agent(by_model(), shop, seglam(cache), checkpointer=saver), ORDER, "1")
        bare = ScriptedChat(script=[wants(("order", {"item": "tea", "n": 2}))])
        with pytest.raises(TimeoutError):
            run.ask(agent(bare, shop), ORDER)
        assert shop.written == [("tea", 2)] * 2
        model = by_model()
        result = run(agent(model, shop, seglam(cache), checkpointer=saver), None, on("1"))
        assert shop.written == [("tea", 2)] * 2 and last(result) == "by model" and model.calls == 1

    def test_a_tool_says_that_it_failed(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A failure that the host hands to the model is an exception in the body: the procedure gives up."""

        @tool
        def order(item: str, n: int) -> str:
            """Order boxes of an item."""
            shop.written.append((item, n))
            raise ToolException("out of stock")

        order.handle_tool_error = True
        shop.order = order
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        model = by_model()
        result = run.ask(agent(model, shop, seglam(cache)), ORDER)
        assert shop.written == [("tea", 2)] and last(result) == "by model" and cache.stats().deopts == 1
        assert model.seen[0][-1].text == "out of stock"

    def test_a_body_may_handle_a_failure(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A body that catches the error answers."""

        @tool
        def price(item: str) -> int:
            """Return the price of one item."""
            raise ToolException("unknown item")

        price.handle_tool_error = True
        shop.price = price
        tools = shop.host_tools()
        cache = opened(tools=tools)
        body = "def run(item):\n    try:\n        price(item)\n    except RuntimeError as e:\n        return str(e)\n"
        procedure(cache, "one", "What does {item:noun} cost?", body, tools)
        assert "unknown item" in last(run.ask(agent(by_model(), shop, seglam(cache)), "What does tea cost?"))

    def test_a_tool_is_slow(self, run: Runner, opened: Open, shop: Shop) -> None:
        """The time of tools is not the body's."""
        original = shop.order.func

        def slow(item: str, n: int) -> str:
            time.sleep(0.3)
            return original(item, n)

        shop.order.func = slow
        tools = shop.host_tools()
        cache = opened(tools=tools, limits=Limits(seconds=0.2))
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        model = by_model()
        assert last(run.ask(agent(model, shop, seglam(cache)), ORDER)) == "ordered 2 tea, 6 coins"
        assert shop.written == [("tea", 2)] and model.calls == 0

    def test_a_tool_has_changed(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """A tool with other arguments is not called, whether only the agent knows of it or the cache too."""

        @tool
        def order(item: str, n: int, express: bool) -> str:
            """Order boxes of an item."""
            shop.written.append((item, n))
            return "ordered"

        shop.order = order
        model = by_model()
        assert last(run.ask(agent(model, shop, seglam(cache)), ORDER)) == "by model"
        assert shop.written == [] and shop.read == [] and cache.stats().deopts == 1
        new = opened(cache.store, tools=shop.host_tools())
        assert last(run.ask(agent(model, shop, seglam(new)), ORDER)) == "by model"
        assert shop.written == [] and new.stats().misses == 1 and isinstance(new.bind("buy", {}), Refused)

    def test_a_tool_that_asks_a_person(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A tool that interrupts runs from its start when it is resumed: the note of its begin is taken back."""

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
        saver, model = InMemorySaver(), by_model()
        paused = run.ask(agent(model, shop, seglam(cache), checkpointer=saver), ORDER, "1")
        assert "__interrupt__" in paused and shop.written == []
        result = run(agent(model, shop, seglam(cache), checkpointer=saver), Command(resume="yes"), on("1"))
        assert last(result) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)] and model.calls == 0

    def test_a_tool_that_returns_a_command(self, run: Runner, opened: Open, shop: Shop) -> None:
        """A command of a tool keeps its update, and the procedure sees its message."""

        @tool
        def order(item: str, n: int, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
            """Order boxes of an item."""
            shop.written.append((item, n))
            return Command(update={"messages": [ToolMessage(f"ordered {n} {item}", tool_call_id=tool_call_id)]})

        shop.order = order
        tools = shop.host_tools()
        assert "tool_call_id" not in tools[1].tool.argument_names
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        assert last(run.ask(agent(by_model(), shop, seglam(cache)), ORDER)) == "ordered 2 tea, 6 coins"


class TestStore:
    """The store goes away."""

    def test_before_the_run(self, run: Runner, gone: type[Gone], opened: Open, shop: Shop) -> None:
        """Nothing is found, and the model answers."""
        tools = shop.host_tools()
        cache = opened(gone(), tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        gone.gone = True
        for options in ({}, {"mode": "jump"}, {"offer": 3}):
            model = by_model()
            assert last(run.ask(agent(model, shop, seglam(cache, **options)), ORDER)) == "by model"
        assert shop.written == []

    @pytest.mark.parametrize("when", ["price", "order"])
    def test_within_the_run(self, run: Runner, gone: type[Gone], opened: Open, shop: Shop, when: str) -> None:
        """Before or after the write: the model goes on with the results so far, and the write is not repeated."""
        named = getattr(shop, when)
        original = named.func

        def going(**arguments: Any) -> Any:
            gone.gone = True
            return original(**arguments)

        tools = shop.host_tools()
        cache = opened(gone(), tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        named.func = going
        saver, model = InMemorySaver(), by_model()
        result = run.ask(agent(model, shop, seglam(cache), checkpointer=saver), ORDER, "1")
        assert last(result) == "by model" and model.calls == 1
        assert shop.written == ([("tea", 2)] if when == "order" else [])

    def test_at_the_end(self, run: Runner, gone: type[Gone], opened: Open, shop: Shop) -> None:
        """Learning fails, and the run does not."""
        from seglam_agents.testing.models import ScriptedModel

        cache = opened(gone(), ScriptedModel([]), tools=shop.host_tools())
        gone.gone = True
        assert last(run.ask(agent(by_model(), shop, seglam(cache)), "Hello")) == "by model"


class Breaking:
    """A sandbox that breaks from its nth run on."""

    def __init__(self, sandbox: MontySandbox, after: int, how: str) -> None:
        self.sandbox, self.after, self.how, self.runs = sandbox, after, how, 0
        self.name = sandbox.name

    def check(self, program: Any) -> Any:
        return self.sandbox.check(program)

    def run(self, *arguments: Any, **more: Any) -> Any:
        self.runs += 1
        if self.runs > self.after:
            if self.how == "raises":
                raise SandboxError("no worker can be started")
            return Failed("crash", "its worker died")
        return self.sandbox.run(*arguments, **more)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("how", ["raises", "crashes"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_the_sandbox_is_killed(
    run: Runner, sandbox: MontySandbox, opened: Open, shop: Shop, after: int, how: str
) -> None:
    """Whenever it dies, the model goes on, and the write is done at most once."""
    tools = shop.host_tools()
    cache = opened(tools=tools, sandbox=Breaking(sandbox, after, how))
    procedure(cache, "buy", BUY, BUY_BODY, tools)
    model = by_model()
    result = run.ask(agent(model, shop, seglam(cache)), ORDER)
    assert last(result) == "by model" and model.calls == 1 and cache.stats().deopts == 1
    assert shop.written == ([("tea", 2)] if after == 2 else [])


def test_a_sandbox_whose_worker_is_gone_starts_again(run: Runner, opened: Open, shop: Shop) -> None:
    """A worker that is gone between two steps is replaced: the body is run anew over the recorded results."""
    sandbox = MontySandbox()
    tools = shop.host_tools()
    cache = opened(tools=tools, sandbox=sandbox)
    procedure(cache, "buy", BUY, BUY_BODY, tools)
    original = shop.order.func

    def closing(item: str, n: int) -> str:
        sandbox.close()
        return original(item, n)

    shop.order.func = closing
    assert last(run.ask(agent(by_model(), shop, seglam(cache)), ORDER)) == "ordered 2 tea, 6 coins"
    assert shop.written == [("tea", 2)]
    sandbox.close()


def test_the_middleware_itself_breaks(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """Hooks of the host that raise leave the turn to the model."""

    def broken(*arguments: Any) -> Any:
        raise KeyError("broken")

    graph = agent(by_model(), shop, seglam(cache, context=broken, canonicalise=broken))
    assert last(run.ask(graph, ORDER)) == "by model" and shop.written == []


class Copying(InMemorySaver):
    """A saver whose state can be copied, as a disk has it when a process dies."""

    def copied(self) -> InMemorySaver:
        other = InMemorySaver()
        for name in ("storage", "writes", "blobs"):
            getattr(other, name).update(copy.deepcopy(dict(getattr(self, name))))
        return other


class TestKilled:
    """The process dies between a write and the record of it."""

    def test_before_the_record(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """Resumed from what was saved, the write is not repeated: what it came to is in the journal."""
        saver, copies = Copying(), []
        original = shop.order.func

        def dying(item: str, n: int) -> str:
            done = original(item, n)
            copies.append(saver.copied())
            return done

        shop.order.func = dying
        first = agent(by_model(), shop, seglam(cache), checkpointer=saver)
        run(first, {"messages": [("user", ORDER)]}, on("1"), durability="sync")
        assert shop.written == [("tea", 2)]
        model, other = by_model(), opened(cache.store, tools=shop.host_tools())
        result = run(agent(model, shop, seglam(other), checkpointer=copies[0]), None, on("1"))
        assert shop.written == [("tea", 2)] and last(result) == "ordered 2 tea, 6 coins" and model.calls == 0
        assert other.stats().hits == 1

    def test_before_the_call_was_saved(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """Where even the message that asked for the write was not saved, it is known by its place in the turn."""
        saver, copies = Copying(), []
        original = shop.price.func

        def copying(item: str) -> int:
            copies.append(saver.copied())
            return original(item)

        shop.price.func = copying
        first = agent(by_model(), shop, seglam(cache), checkpointer=saver)
        run(first, {"messages": [("user", ORDER)]}, on("1"), durability="sync")
        model, other = by_model(), opened(cache.store, tools=shop.host_tools())
        result = run(agent(model, shop, seglam(other), checkpointer=copies[0]), None, on("1"))
        assert shop.written == [("tea", 2)] and last(result) == "ordered 2 tea, 6 coins"

    def test_after_the_record(self, run: Runner, cache: ReasoningCache, opened: Open, shop: Shop) -> None:
        """Resumed after the record, the procedure goes on to its answer."""
        saver, copies = Copying(), []

        class Dying(AgentMiddleware):
            def before_model(self, state: Any, runtime: Any) -> None:
                if shop.written and not copies:
                    copies.append(saver.copied())

        first = agent(by_model(), shop, Dying(), seglam(cache), checkpointer=saver)
        run(first, {"messages": [("user", ORDER)]}, on("1"), durability="sync")
        model, other = by_model(), opened(cache.store, tools=shop.host_tools())
        result = run(agent(model, shop, Dying(), seglam(other), checkpointer=copies[0]), None, on("1"))
        assert shop.written == [("tea", 2)] and last(result) == "ordered 2 tea, 6 coins" and model.calls == 0

    @pytest.mark.parametrize(
        ("saved", "again"),
        [(0, "input"), (1, "input"), (1, "resume"), (3, "input"), (3, "resume"), (1_000, "resume")],
    )
    def test_a_process_that_is_killed(self, run: Runner, tmp_path: Path, saved: int, again: str) -> None:
        """However few checkpoints a slow saver had written at the default durability, and however the run is taken up.

        A process that ends within the write, a database of checkpoints, and a store on disk.
        """
        for expected in (9, 0):
            process = FRESH.Process(target=killed_child.main, args=(tmp_path, run.mode, saved, again))
            process.start()
            process.join(100)
            assert process.exitcode == expected
        said = (tmp_path / "said").read_text()
        assert (tmp_path / "written").read_text() == "tea 2\n"
        assert said.split("\n")[0] == "by model" and "not known whether" in said


def test_without_the_journal_a_resumed_write_is_the_hosts_matter(
    run: Runner, cache: ReasoningCache, shop: Shop
) -> None:
    """Switched off, LangGraph runs the call again, as it does without the cache."""
    saver, copies = Copying(), []
    original = shop.order.func

    def dying(item: str, n: int) -> str:
        copies.append(saver.copied())
        return original(item, n)

    shop.order.func = dying
    graph = agent(by_model(), shop, seglam(cache, journal=False), checkpointer=saver)
    run(graph, {"messages": [("user", ORDER)]}, on("1"), durability="sync")
    run(agent(by_model(), shop, seglam(cache, journal=False), checkpointer=copies[0]), None, on("1"))
    assert shop.written == [("tea", 2)] * 2


def test_a_call_that_waits_is_not_made_in_another_name(run: Runner, opened: Open, shop: Shop) -> None:
    """A turn that one tenant began is not written on by a worker that says another tenant, or none."""
    store, tools, saver = MemoryStore(), shop.host_tools(), InMemorySaver()
    named: list[str | None] = ["ann"]
    caches = TenantCaches(lambda name: opened(store, tools=tools, tenant=name), tenant=lambda runtime: named[0])
    cache = opened(store, tools=tools, tenant="ann")
    procedure(cache, "buy", BUY, BUY_BODY, tools)
    gate = HumanInTheLoopMiddleware({"order": True})
    approved: Any = Command(resume={"decisions": [{"type": "approve"}]})
    for number, name in enumerate((None, "bob")):
        named[0] = "ann"
        graph = create_agent(by_model(), shop.tools, middleware=[gate, SeglamMiddleware(caches)], checkpointer=saver)
        run.ask(graph, "Order 2 boxes of tea", str(number))
        named[0] = name
        assert last(run(graph, approved, on(str(number)))) == "by model" and shop.written == []


def test_a_tenant_that_is_named_by_a_number(
    run: Runner, opened: Open, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on without a cache, and one line without a traceback says what to return."""
    odd: Any = lambda runtime: 5  # noqa: E731
    caches = TenantCaches(lambda name: opened(tools=shop.host_tools(), tenant=name), tenant=odd)
    for _ in range(2):
        graph = create_agent(by_model(), shop.tools, middleware=[SeglamMiddleware(caches)])
        assert last(run.ask(graph, ORDER)) == "by model"
    (told,) = [record for record in caplog.records if "tenant" in record.getMessage()]
    assert "by 5, a int: return a text, such as str(id)" in told.getMessage() and told.exc_info is None


def test_an_agent_within_a_graph(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """An agent that is a node of another graph keeps its turn to itself."""
    from langgraph.graph import START, MessagesState, StateGraph

    inner = create_agent(by_model(), shop.tools, middleware=[seglam(cache)])
    outer = StateGraph(MessagesState).add_node("agent", inner).add_edge(START, "agent")
    result = run.ask(outer.compile(checkpointer=InMemorySaver()), ORDER, "1")
    assert last(result) == "ordered 2 tea, 6 coins" and shop.written == [("tea", 2)]


class TestElsewhere:
    """The same beyond the middleware: nothing of the cache stops a graph, a node or a tool."""

    def test_a_graph(self, run: Runner, gone: type[Gone], opened: Open, shop: Shop) -> None:
        """A store that goes away, and functions of the host that raise, leave the node to run."""
        from langgraph.graph import END, START, MessagesState, StateGraph
        from langgraph.prebuilt import ToolNode, tools_condition

        from langchain_seglam import SeglamState, add_reasoning_cache, cache_node, learn_node

        class State(MessagesState, SeglamState):
            pass

        def broken(state: Any) -> Any:
            raise KeyError("broken")

        tools = shop.host_tools()
        cache = opened(gone(), tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        model = by_model()

        def ask(state: MessagesState) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        async def aask(state: MessagesState) -> Any:
            return {"messages": [await model.ainvoke(state["messages"])]}

        def build(**options: Any) -> Any:
            builder = StateGraph(MessagesState).add_node("agent", aask if run.is_async else ask)
            builder.add_node("tools", ToolNode(shop.tools)).add_edge(START, "agent").add_edge("tools", "agent")
            builder.add_conditional_edges("agent", tools_condition)
            return add_reasoning_cache(builder, "agent", cache, **options).compile()

        assert last(run.ask(build(text=broken), ORDER)) == "by model"
        assert last(run.ask(build(context=broken), ORDER)) == "by model"
        nodes = StateGraph(State).add_node("cache", cache_node(cache, on_miss="agent", text=broken))
        nodes.add_node("agent", aask if run.is_async else ask).add_node("learn", learn_node(cache, text=broken))
        nodes.add_edge(START, "cache").add_edge("agent", "learn").add_edge("learn", END)
        assert last(run.ask(nodes.compile(), ORDER)) == "by model"
        original = shop.order.func

        def going(item: str, n: int) -> str:
            gone.gone = True
            return original(item, n)

        shop.order.func = going
        assert last(run.ask(build(), ORDER)) == "by model" and shop.written == [("tea", 2)]
        assert last(run.ask(build(), ORDER)) == "by model" and shop.written == [("tea", 2)]

    def test_a_decorated_node(self, run: Runner, gone: type[Gone], opened: Open) -> None:
        """It runs as if it were not decorated."""
        from langgraph.graph import START, StateGraph
        from typing_extensions import TypedDict

        from langchain_seglam import reasoning_cached

        class State(TypedDict, total=False):
            text: str
            queue: str

        def plain(state: State) -> dict[str, str]:
            return {"queue": "by node"}

        async def aplain(state: State) -> dict[str, str]:
            return {"queue": "by node"}

        def broken(state: Any) -> Any:
            raise KeyError("broken")

        cache = opened(gone())
        procedure(cache, "put", "Put {a:word} there", "def run(a):\n    return {'queue': a}\n")
        for text, going, expected in (("text", False, "this"), (broken, False, "by node"), ("text", True, "by node")):
            gone.gone = going
            node = reasoning_cached(cache, text=text)(aplain if run.is_async else plain)
            graph = StateGraph(State).add_node("node", node).add_edge(START, "node").compile()
            assert run(graph, {"text": "Put this there"})["queue"] == expected

    def test_tools_and_the_journal(self, run: Runner, gone: type[Gone], opened: Open, shop: Shop) -> None:
        """Without a store there are no tools; a write that cannot be noted is left to the model."""
        from seglam_agents.records.errors import StoreError

        from langchain_seglam import cache_tools, tool_by_name

        tools = shop.host_tools()
        cache = opened(gone(), tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)

        def failing(*arguments: Any) -> Any:
            raise StoreError("full")

        object.__setattr__(cache.store, "put_note", failing)
        graph = agent(by_model(), shop, seglam(cache), checkpointer=InMemorySaver())
        assert last(run.ask(graph, ORDER, "1")) == "by model" and shop.written == []
        gone.gone = True
        assert cache_tools(cache, "order", tools=shop.tools) == [] and tool_by_name(cache, "proc_buy-0001") is None


class TestSecondWishes:
    """The same words once more are another wish, unless something tells that they are another attempt."""

    @pytest.fixture
    def middleware(self, opened: Open, shop: Shop) -> Any:
        tools = shop.host_tools()
        cache = opened(tools=tools)
        procedure(cache, "buy", BUY, BUY_BODY, tools)
        return seglam(cache)

    def test_a_thread_that_is_kept_nowhere(self, middleware: Any, shop: Shop, run: Runner) -> None:
        """Without a checkpointer the id of a thread names a conversation, and no turn of it."""
        graph = agent(by_model(), shop, middleware)
        answers = [last(run.ask(graph, ORDER, "1")) for _ in range(2)]
        assert shop.written == [("tea", 2)] * 2 and "by model" not in answers

    def test_a_history_that_was_deleted(self, middleware: Any, shop: Shop, run: Runner) -> None:
        """The turn that came to its end is known by its state."""
        graph = agent(by_model(), shop, middleware, checkpointer=InMemorySaver())
        run.ask(graph, ORDER, "1")
        graph.update_state(on("1"), {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES)]})
        assert last(run.ask(graph, ORDER, "1")) != "by model" and shop.written == [("tea", 2)] * 2

    @pytest.mark.parametrize("name", ["d-7", 7, uuid.UUID(int=7)])
    def test_a_request_id_of_any_type(self, middleware: Any, shop: Shop, run: Runner, name: object) -> None:
        """Who names a request by a number or a UUID has named it."""
        graph = agent(by_model(), shop, middleware)
        for _ in range(2):
            run.ask(graph, ORDER, seglam_request_id=name)
        assert shop.written == [("tea", 2)]

    @pytest.mark.parametrize("name", ["", "  ", b"", False, object()], ids=lambda name: str(type(name)))
    def test_a_request_id_that_names_nothing_is_told(
        self, middleware: Any, shop: Shop, run: Runner, name: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        """`answer` refuses the same ids; an agent is not stopped by them, and its log says what they are worth."""
        assert last(run.ask(agent(by_model(), shop, middleware), ORDER, seglam_request_id=name)) != "by model"
        assert "names no request (pass the id of the delivery" in caplog.text

    @pytest.mark.parametrize("named", [{"thread": "1"}, {"seglam_request_id": "r1"}])
    def test_two_agents_under_one_name(self, middleware: Any, shop: Shop, run: Runner, named: Any) -> None:
        """Agents with names of their own, each with its own saver, do each what they are asked, once."""
        for name in ("clerk", "deputy"):
            config = {"thread": name, **named} if "thread" not in named else named
            for _ in range(2):
                fresh = agent(by_model(), shop, middleware, checkpointer=InMemorySaver(), name=name)
                assert last(run.ask(fresh, ORDER, **config)) != "by model"
        assert shop.written == [("tea", 2)] * 2

    def test_one_agent_asked_twice_within_a_request(self, middleware: Any, shop: Shop, run: Runner) -> None:
        """Within one run of a node an agent may be asked several things: each is done, and once."""
        graph = self._around(agent(by_model(), shop, middleware), [ORDER, "Order 3 boxes of milk"])
        for _ in range(2):
            run.ask(graph, "Both", seglam_request_id="r1")
        assert shop.written == [("tea", 2), ("milk", 3)]

    def test_one_agent_that_is_a_tool_asked_twice(self, middleware: Any, shop: Shop, run: Runner) -> None:
        """Whether a second call is another attempt at the first one is not known: the model decides, and is told."""
        inner, heard = agent(by_model(), shop, middleware), list[Any]()

        @tool
        def clerk(wish: str) -> str:
            """Ask the clerk."""
            heard.append(inner.invoke({"messages": [("user", wish)]})["messages"])
            return heard[-1][-1].text

        wishes = [wants(("clerk", {"wish": wish})) for wish in (ORDER, "Order 3 boxes of milk")]
        for _ in range(2):
            run.ask(create_agent(ScriptedChat(script=[*wishes, says("done")]), [clerk]), "Both", seglam_request_id="r1")
        assert shop.written == [("tea", 2)] and [seen[-1].text for seen in heard[1::2]] == ["by model"] * 2
        assert all("ordered 2 tea" in str(seen[1:-1]) for seen in heard[1::2])

    def test_an_agent_within_another_one_in_other_words(self, middleware: Any, shop: Shop, run: Runner) -> None:
        """The model that asks the inner agent words it anew at every attempt: it is the same request."""
        for words in (ORDER, "Order 2 boxes of tea!", "Order 3 boxes of tea", "Please order 2 boxes of tea"):
            graph = self._around(agent(by_model(), shop, middleware), [words])
            run.ask(graph, "Buy some tea", seglam_request_id="r1")
        assert shop.written == [("tea", 2)]

    @staticmethod
    def _around(inner: Any, asked: Sequence[str]) -> Any:
        from langgraph.graph import START, MessagesState, StateGraph

        def ask(state: MessagesState) -> Any:
            return {"messages": [inner.invoke({"messages": [("user", one)]})["messages"][-1] for one in asked]}

        return StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile()
