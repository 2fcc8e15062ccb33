"""The MCP server, asked by the SDK's own client: at the protocol of today and the one before, over each transport."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from mcp import Client, StdioServerParameters

from seglam_agents import HostTool, ReasoningCache
from seglam_agents.records.entry import Statistics
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.surfaces import Frame, beside
from seglam_agents.surfaces.mcp.offered import Offering
from seglam_agents.surfaces.mcp.server import REQUEST_ID, mcp_server, mcp_surface
from seglam_agents.testing.host_contract import Crash, Shop, stored
from seglam_agents.testing.models import ScriptedModel
from seglam_agents.testing.plain_host import PlainHost
from tests.surfaces.test_proxy import put

REPOSITORY = Path(__file__).parents[2]
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
Mode: TypeAlias = Literal["auto", "legacy"]
DOUBLE = ("double", "double the number {n:number}", "def run(n):\n    return n * 2\n")
SECOND = ("halve", "halve the number {n:number}", "def run(n):\n    return n / 2\n")


@pytest.fixture
def store() -> ProcedureStore:
    store = MemoryStore()
    put(store, Scope(tenant="t"), *DOUBLE)
    return store


@pytest.fixture
def cache(store: ProcedureStore, sandbox: MontySandbox) -> Iterator[ReasoningCache]:
    with ReasoningCache(store, tenant="t", sandbox=sandbox, second_sandbox=None) as cache:
        yield cache


def only(result: Any) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


@MODES
async def test_procedures_are_tools(mode: Mode, cache: ReasoningCache) -> None:
    """With effects as annotations, schemas of arguments and results, and where they come from."""
    async with Client(mcp_server(Offering(cache)), mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["proc_double-0001", "ask", "why"]
        tool = tools["proc_double-0001"]
        assert tool.input_schema["properties"] == {"n": {"type": "number", "description": "number"}}
        assert tool.input_schema["required"] == ["n"] and tool.input_schema["additionalProperties"] is False
        hints = tool.annotations
        assert hints and (hints.read_only_hint, hints.destructive_hint, hints.open_world_hint) == (True, False, False)
        assert tool.meta and tool.meta["seglam"]["procedure"] == "double-0001@1"
        said = await client.call_tool(tool.name, {"n": 21})
        assert (only(said), said.structured_content) == ("42", {"answer": 42, "procedure": "double-0001@1"})
    assert cache.stats().hits == 1


@MODES
@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("proc_double-0001", {"n": "x"}, "valid"),
        ("proc_double-0001", {}, "required"),
        ("proc_double-0001", {"n": 1, "m": 2}, "not permitted"),
        ("proc_nothing", {"n": 1}, "list the tools again"),
        ("other", {}, "list the tools again"),
        ("ask", {"request": 1}, "valid string"),
        ("ask", {"request": ""}, "at least 1"),
        ("why", {"request": "x", "more": 1}, "not permitted"),
    ],
)
async def test_what_is_called_wrongly_is_told(
    mode: Mode, name: str, arguments: dict[str, Any], told: str, cache: ReasoningCache
) -> None:
    async with Client(mcp_server(Offering(cache)), mode=mode) as client:
        await client.list_tools()
        said = await client.call_tool(name, arguments)
    assert said.is_error and told in only(said)
    assert cache.stats().hits == 0


@MODES
async def test_ask_and_why(mode: Mode, cache: ReasoningCache) -> None:
    async with Client(mcp_server(Offering(cache)), mode=mode) as client:
        await client.list_tools()
        hit = await client.call_tool("ask", {"request": "Double the number 21"})
        assert only(hit) == "42" and hit.structured_content and hit.structured_content["outcome"] == "hit"
        assert hit.structured_content["procedure"] == "double-0001@1"
        miss = await client.call_tool("ask", {"request": "Double the number 21, please not"})
        assert miss.structured_content and miss.structured_content["outcome"] == "miss" and not miss.is_error
        why = await client.call_tool("why", {"request": "Double the number"})
        assert why.structured_content and why.structured_content["stops"][0]["procedure"] == "double-0001@1"
        assert "double-0001@1" in only(why)


async def test_ask_with_a_model_learns(sandbox: MontySandbox) -> None:
    head = 'NAME = "add"\nTEMPLATES = ["add {a:number} and {b:number}"]\nEXPECTED = [5]\n\n'
    module = f"{head}def run(a, b):\n    return a + b\n"
    model = ScriptedModel([f"```python\n{module}```", "ANSWER: 5"])
    with ReasoningCache(None, model, sandbox=sandbox, second_sandbox=None, attacker=False) as cache:
        async with Client(mcp_server(Offering(cache))) as client:
            said = await client.call_tool("ask", {"request": "Add 2 and 3"})
            assert said.structured_content and said.structured_content["answered_by"] == "new procedure"
            assert [tool.name for tool in (await client.list_tools()).tools][1:] == ["ask", "why"]


# --- what is offered -------------------------------------------------------------------------------------------------


async def test_a_filter_and_a_cap_most_used_first(store: ProcedureStore, cache: ReasoningCache) -> None:
    put(store, Scope(tenant="t"), *SECOND)
    used = store.get(Scope(tenant="t"), "halve-0001")
    assert used is not None
    store.put(used.model_copy(update={"statistics": Statistics(hits=9)}), expected_revision=used.revision)

    def names(offering: Offering) -> list[str]:
        return [item.name for item in offering.listed()][:-2]

    assert names(Offering(cache)) == ["proc_halve-0001", "proc_double-0001"]
    assert names(Offering(cache, most=1)) == ["proc_halve-0001"]
    assert names(Offering(cache, most=0)) == []
    assert names(Offering(cache, only=["dou*", "x"])) == ["proc_double-0001"]
    hidden = await Offering(cache, only=["dou*"]).call("proc_halve-0001", {"n": 4}, None)
    assert hidden[0].error


def test_what_cannot_be_carried_out_is_not_offered(store: ProcedureStore, cache: ReasoningCache) -> None:
    """Neither is what is not active, nor another tenant's."""
    reads = Tool(name="look", effect="read")
    put(store, Scope(tenant="t"), "seen", "see {n:number}", "def run(n):\n    return look()\n", reads)
    put(store, Scope(tenant="u"), *SECOND)
    entry = store.get(Scope(tenant="t"), "double-0001")
    assert entry is not None
    assert [item.name for item in Offering(cache).listed()] == ["proc_double-0001", "ask", "why"]
    store.put(entry.model_copy(update={"status": "quarantined"}), expected_revision=entry.revision)
    assert [item.name for item in Offering(cache).listed()] == ["ask", "why"]


# --- new and gone ----------------------------------------------------------------------------------------------------


async def told_of_changes(client: Client, mode: Mode, told: asyncio.Event, change: Callable[[], object]) -> list[str]:
    """Change something, wait until the client is told, and return what it lists then."""
    await client.list_tools()
    if mode == "legacy":
        change()
        await told.wait()
    else:
        async with client.listen(tools_list_changed=True) as events:
            change()
            async for event in events:
                assert "ToolsListChanged" in type(event).__name__
                break
    return [tool.name for tool in (await client.list_tools()).tools]


def hears(told: asyncio.Event) -> Any:
    async def heard(message: Any) -> None:
        if "list_changed" in str(getattr(message, "method", "")):
            told.set()

    return heard


@MODES
async def test_clients_over_http_are_told_of_a_new_tool(
    mode: Mode, store: ProcedureStore, cache: ReasoningCache
) -> None:
    told = asyncio.Event()
    with beside(Frame([mcp_surface(Offering(cache), every=0.01)])) as url:
        async with Client(f"{url}/mcp", mode=mode, message_handler=hears(told)) as client:
            names = await told_of_changes(client, mode, told, lambda: put(store, Scope(tenant="t"), *SECOND))
            assert names[:2] == ["proc_double-0001", "proc_halve-0001"]
            assert only(await client.call_tool("proc_halve-0001", {"n": 21})) == "10.5"


@MODES
async def test_the_command_over_stdio(mode: Mode, tmp_path: Path) -> None:
    """Nothing but the protocol is written; what another process writes into the store is told."""
    place = tmp_path / "store"
    store = EdgeStore(place)
    put(store, Scope(tenant="default"), *DOUBLE)
    told, log = asyncio.Event(), tmp_path / "log"
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "seglam_agents.cli.main", "mcp", "--store", str(place), "--only", "d*,h*"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
    )
    async with Client(parameters, mode=mode, message_handler=hears(told)) as client:
        names = await told_of_changes(client, mode, told, lambda: put(store, Scope(tenant="default"), *SECOND))
        assert names == ["proc_double-0001", "proc_halve-0001", "ask", "why"]
        assert only(await client.call_tool("proc_double-0001", {"n": 21})) == "42"
    store.close()
    assert not log.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_the_command_while_it_waits(tmp_path: Path) -> None:
    """Were it to wait for a line, the test's own limit would end it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "seglam_agents.cli.main", "mcp", "--store", str(tmp_path / "store")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
    child.stdin.flush()
    assert json.loads(child.stdout.readline())["result"]["capabilities"]["tools"] == {"listChanged": True}
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) in (0, 130)
    assert child.stderr is not None and b"Traceback" not in child.stderr.read()
    for pipe in (child.stdin, child.stdout, child.stderr):
        pipe.close()


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}


# --- the rows of the host contract that apply to tools without turns -------------------------------------------------

BUY = "proc_buy-0001"
TEA = {"n": 2, "item": "tea"}


class Bench:
    """A shop whose procedures are tools of an MCP server."""

    def __init__(self, shop: Shop, store: ProcedureStore, sandbox: MontySandbox, *, idempotent: bool = False) -> None:
        self.shop, self.store, self.sandbox = shop, store, sandbox
        self.tools: list[HostTool] = PlainHost().declare(shop.tools(idempotent=idempotent))
        self.cache = self.opened()

    def opened(self, tenant: str = "default") -> ReasoningCache:
        return ReasoningCache(
            self.store, tools=self.tools, tenant=tenant, sandbox=self.sandbox, second_sandbox=None, second_opinion=False
        )

    async def call(self, name: str = BUY, arguments: Any = TEA, request_id: str | None = None, **more: Any) -> Any:
        cache, tools = more.get("cache", self.cache), more.get("tools", self.tools)
        async with Client(mcp_server(Offering(cache, tools))) as client:
            meta: Any = {REQUEST_ID: request_id} if request_id else None
            return await client.call_tool(name, arguments, meta=meta)


@pytest.fixture
def bench(sandbox: MontySandbox) -> Bench:
    bench = Bench(Shop(), MemoryStore(), sandbox)
    for name in ("buy", "buy_first", "check", "spend", "fetch", "weigh"):
        stored(bench.cache, name, bench.tools)
    return bench


async def test_a_hit_carries_its_calls_out_once(bench: Bench) -> None:
    said = await bench.call()
    assert only(said) == "ordered 2 tea, 6 coins" and bench.shop.written == [("tea", 2)]
    stats = bench.cache.stats()
    assert (stats.hits, stats.requests) == (1, 1)
    listed = {item.name: item for item in Offering(bench.cache, bench.tools).listed()}
    assert listed[BUY].effect == "write" and not listed[BUY].idempotent and listed["proc_check-0001"].effect == "read"
    assert "proc_fetch-0001" not in listed  # Its last word is a model's.


async def test_a_give_up_tells_what_was_done(bench: Bench) -> None:
    said = await bench.call(arguments={"n": 20, "item": "tea"})
    assert said.is_error and "must not be repeated" in only(said) and "order" in only(said)
    assert bench.shop.written == [("tea", 20)] and bench.cache.stats().deopts == 1


async def test_arguments_that_a_tool_does_not_take(bench: Bench) -> None:
    said = await bench.call("proc_weigh-0001", {"n": 1.25, "item": "tea"})
    assert said.is_error and bench.shop.written == []


async def test_a_tool_that_raises(bench: Bench) -> None:
    bench.shop.broken = True
    said = await bench.call()
    assert said.is_error and "must not be repeated" in only(said) and bench.shop.written == [("tea", 2)]


async def test_two_tenants(bench: Bench) -> None:
    said = await bench.call(cache=bench.opened("other"))
    assert said.is_error and bench.shop.written == []


async def test_changed_tools(bench: Bench) -> None:
    """A procedure whose tool has other arguments by now is not offered, and not called."""
    price, order = bench.tools
    changed = HostTool(order.tool.model_copy(update={"parameters": {"type": "object"}}), order.function)
    bench.tools = [price, changed]
    said = await bench.call(cache=bench.opened())
    assert said.is_error and bench.shop.written == []


async def test_a_named_request_writes_once(bench: Bench, sandbox: MontySandbox) -> None:
    """Asked again by its name, in whatever words, it is told what was done; without a name it is a second wish."""
    for arguments in (TEA, TEA, {"n": 3, "item": "tea"}):
        said = await bench.call(arguments=arguments, request_id="r1")
    assert bench.shop.written == [("tea", 2)] and said.is_error and "made other calls" in only(said)
    again = await bench.call(request_id="r1")
    assert only(again) == "ordered 2 tea, 6 coins"
    await bench.call(request_id="r2")
    await bench.call()
    assert bench.shop.written == [("tea", 2)] * 3


async def test_a_write_in_doubt_is_not_repeated(bench: Bench) -> None:
    """The process died in it; an idempotent one is made again."""
    bench.shop.crash = "writing"
    with suppress(Crash, BaseExceptionGroup):
        await bench.call(request_id="r1")
    said = await bench.call(request_id="r1")
    assert bench.shop.written == [("tea", 2)] and said.is_error and "not known whether" in only(said)
    asked = await bench.call("ask", {"request": "Order 2 boxes of tea"}, "r1")
    assert bench.shop.written == [("tea", 2)] and "not known whether" in json.dumps(asked.structured_content)


async def test_an_attempt_that_reads_something_else(bench: Bench) -> None:
    await bench.call("proc_spend-0001", {"item": "tea"}, "r1")
    bench.shop.dearer = 1
    said = await bench.call("proc_spend-0001", {"item": "tea"}, "r1")
    assert bench.shop.written == [("tea", 3)] and said.is_error and "made other calls" in only(said)


async def test_one_request_asked_eight_times_at_once(bench: Bench) -> None:
    said = await asyncio.gather(*(bench.call(request_id="r1") for _ in range(8)))
    assert bench.shop.written == [("tea", 2)]
    assert any(only(one) == "ordered 2 tea, 6 coins" for one in said)
