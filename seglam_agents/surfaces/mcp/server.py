"""The protocol: tools listed, called, and told of when they change. Only here is the MCP SDK imported."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Protocol, TypeAlias
from weakref import WeakSet

from seglam_agents.hosting import Told, mapping, request_name, safely
from seglam_agents.surfaces.errors import missing
from seglam_agents.surfaces.frame import Surface
from seglam_agents.surfaces.mcp.offered import Offered, Offering
from seglam_agents.surfaces.web import Receive, Route, Scope, Send

try:
    import anyio
    import mcp_types as types
    from mcp.server import ServerRequestContext
    from mcp.server.lowlevel import NotificationOptions, Server
    from mcp.server.models import InitializationOptions
    from mcp.server.stdio import stdio_server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
except ImportError as error:
    raise missing("mcp") from error

logger = logging.getLogger(__name__)

REQUEST_ID = "seglam/requestId"
"""The key in the `_meta` of a call that holds the caller's own name of the request."""
AnyServer: TypeAlias = "Server[object]"
Context: TypeAlias = "ServerRequestContext[object]"
Capabilities: TypeAlias = dict[str, dict[str, object]]
EVERY = 1.0
"""Seconds between two looks for tools that are new or gone."""
INSTRUCTIONS = (
    "Stored procedures that answer requests of a known kind without a model. Call one where its description fits the "
    "request exactly; `ask` finds the one that does, and `why` tells why none does."
)


def mcp_server(offering: Offering, *, every: float = EVERY) -> AnyServer:
    """Return a server of the protocol, to be run on any transport.

    Args:
        offering: what is offered.
        every: seconds between two looks for tools that are new or gone.
    """
    bus = InMemorySubscriptionBus()
    # Kept by their connection: a session is made for each request, and would be gone at once.
    connections: WeakSet[_Connection] = WeakSet()

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        connections.add(_connection(ctx))
        offered = await asyncio.to_thread(offering.listed)
        return types.ListToolsResult(tools=[_tool(item) for item in offered], ttl_ms=0, cache_scope="private")

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        name = request_name(mapping(ctx.meta).get(REQUEST_ID), REQUEST_ID)
        try:
            said, document = await offering.call(params.name, params.arguments or {}, name)
        except Exception as error:
            logger.exception("a tool could not be called")
            said, document = Told(f"the cache is broken: {error}", error=True), None
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=said.text)]
        if said.error:
            return types.CallToolResult(is_error=True, content=content)
        return types.CallToolResult(content=content, structured_content=document)

    async def changed() -> None:
        await bus.publish(ToolsListChanged())
        for connection in list(connections):  # Clients of the protocol before 2026-07-28.
            with suppress(Exception):
                await connection.send_tool_list_changed()

    @asynccontextmanager
    async def lifespan(_: AnyServer) -> AsyncGenerator[dict[str, object]]:
        watching = asyncio.create_task(_watched(offering, changed, every))
        try:
            yield {}
        finally:
            watching.cancel()

    return _Telling(
        "seglam",
        version=version("seglam-agents"),
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(bus),
    )


def mcp_surface(offering: Offering, *, every: float = EVERY, path: str = "/mcp") -> Surface:
    """Return the server over streamable HTTP.

    Args:
        offering: what is offered.
        every: seconds between two looks for tools that are new or gone.
        path: where it is.
    """
    endpoint = _Endpoint(mcp_server(offering, every=every))
    return Surface("mcp", [Route(path, endpoint)], endpoint.lifespan)


async def serve_stdio(offering: Offering, *, every: float = EVERY) -> None:
    """Serve one client over standard input and output, until it leaves, or until Ctrl-C."""
    server, given = mcp_server(offering, every=every), _Input()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows has no such handlers: there, Ctrl-C waits for the next line.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, given.end)
    async with stdio_server(stdin=anyio.wrap_file(given.text)) as (read, write):
        await server.run(read, write, server.create_initialization_options())


class _Input:
    """What comes by standard input, which ends when it is told to: a thread that waits for a line cannot be woken."""

    def __init__(self) -> None:
        self._source = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)  # What else reads in this process must not take a part of it.
        os.close(nothing)
        read, self._write = os.pipe()
        self.text = os.fdopen(read, encoding="utf-8", errors="replace")
        self._lock, self._ended = threading.Lock(), False
        threading.Thread(target=self._copy, name="seglam-stdin", daemon=True).start()

    def end(self) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                os.close(self._write)

    def _copy(self) -> None:
        while data := os.read(self._source, 1 << 16):
            with self._lock:
                if self._ended:
                    return
                os.write(self._write, data)
        self.end()


class _Connection(Protocol):
    async def send_tool_list_changed(self) -> None: ...


class _Telling(Server[object]):
    """A server that says that it tells of changes: otherwise older clients do not listen."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: Capabilities | None = None,
        extensions: Capabilities | None = None,
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)


class _Endpoint:
    """The server at one path. A manager of sessions lives for one lifespan."""

    def __init__(self, server: AnyServer) -> None:
        self._server = server
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            self._manager = StreamableHTTPSessionManager(self._server)
            await stack.enter_async_context(self._manager.run())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._manager is None:
            raise RuntimeError("the MCP server is not served: its lifespan has not begun")
        await self._manager.handle_request(scope, receive, send)


async def _watched(offering: Offering, tell: Callable[[], Awaitable[None]], every: float) -> None:
    """Tell clients when the tools have changed."""
    seals, gone = frozenset[str](), "the store cannot be watched"
    while True:
        now = await asyncio.to_thread(safely, partial(_seals, offering, seals), seals, gone)
        if now != seals and seals:
            await tell()
        seals = now
        await asyncio.sleep(every)


def _seals(offering: Offering, known: frozenset[str]) -> frozenset[str]:
    return frozenset(item.seal for item in offering.listed()) if offering.changed() or not known else known


def _connection(ctx: Context) -> _Connection:
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]


def _tool(item: Offered) -> types.Tool:
    return types.Tool(
        name=item.name,
        description=item.description,
        input_schema=dict(item.arguments),
        output_schema=dict(item.result),
        annotations=types.ToolAnnotations(
            read_only_hint=item.effect != "write",
            destructive_hint=item.effect == "write",
            idempotent_hint=item.effect != "write" or item.idempotent,
            open_world_hint=item.effect != "pure",
        ),
        _meta=json.loads(json.dumps(dict(item.about))),
    )
