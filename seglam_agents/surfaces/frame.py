"""`Frame`: the surfaces of one process in one ASGI app, and who may ask it."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from seglam_agents.surfaces.errors import SurfaceError
from seglam_agents.surfaces.web import (
    BaseRoute,
    ClientDisconnect,
    Headers,
    JSONResponse,
    Message,
    Receive,
    Request,
    Scope,
    Send,
    Starlette,
)

logger = logging.getLogger(__name__)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names under which a process is asked from its own machine."""
TOKEN = "x-seglam-token"  # noqa: S105  # the name of a header
BEARER = "Bearer "


def _nothing() -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Surface:
    """One thing that a process shows: the proxy, the MCP server, the metrics.

    Args:
        name: how it is named in logs and on the command line.
        routes: what it answers.
        lifespan: entered while the app is served.
    """

    name: str
    routes: Sequence[BaseRoute]
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = field(default=_nothing)


class Frame:
    """Several surfaces as one ASGI app, to be served alone, or mounted by an agent's own app.

    A page in a browser must not reach it by a name that was bent to this machine: the `Host` of a request is checked,
    and its `Origin` where it has one. Both are compared without their port.

    Args:
        surfaces: what is shown.
        token: what every request has to bring, in `x-seglam-token` or as a bearer token; None for no such thing.
        hosts: the names under which it is asked. Without any: this machine's own, or whatever name where there is a
            token.

    Raises:
        SurfaceError: two surfaces answer the same path, or the token is empty.
    """

    def __init__(self, surfaces: Sequence[Surface], *, token: str | None = None, hosts: Sequence[str] = ()) -> None:
        if token is not None and not (token.strip() and token.isascii() and token.isprintable()):
            raise SurfaceError("the token is empty, or holds signs that no header can hold: choose a long random one")
        self._surfaces = tuple(surfaces)
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts or (() if token else LOOPBACK))
        routes = [route for surface in surfaces for route in surface.routes]
        _distinct(routes)
        self._app = Starlette(
            routes=routes, lifespan=lambda _: self.lifespan(), exception_handlers={Exception: _failed}
        )

    @property
    def guarded(self) -> bool:
        """Tell whether it asks for a token: only then may it be served beyond this machine."""
        return self._token is not None

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Enter what its surfaces need. An app that mounts it has to: mounted apps are not told of a lifespan."""
        async with AsyncExitStack() as stack:
            for surface in self._surfaces:
                await stack.enter_async_context(surface.lifespan())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, send)
            return
        # What it is asked with is none of the surfaces' business, and must not be passed on.
        passed = {**scope, "headers": [pair for pair in scope["headers"] if not self._is_token(*pair)]}
        await self._answered(passed, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        complete = False

        async def noted(message: Message) -> None:
            nonlocal complete
            complete = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            logger.info("a client left before it had asked")
        except Exception:
            logger.exception("a request could not be answered")
            if not complete:
                raise  # Within a stream: the server breaks the line, so that nobody takes it for the end.

    def _refused(self, headers: Headers) -> JSONResponse | None:
        if self._hosts and (host := _name_of(f"//{headers.get('host', '')}")) not in self._hosts:
            text = f"this server is not {host or 'asked without a host'}: name the host where it is started"
            return _error(421, "wrong_host", text)
        if self._hosts and "origin" in headers and _name_of(headers["origin"]) not in self._hosts:
            return _error(403, "wrong_origin", "pages of other origins may not ask this server")
        if self._token is not None and not any(self._is_token(*pair) for pair in headers.raw):
            return _error(401, "no_token", f"this server wants its token in the header {TOKEN}")
        return None

    def _is_token(self, name: bytes, value: bytes) -> bool:
        if self._token is None:
            return name == TOKEN.encode()
        wanted = {TOKEN.encode(): self._token, b"authorization": f"{BEARER}{self._token}"}.get(name)
        return wanted is not None and hmac.compare_digest(value, wanted.encode())


async def _failed(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ClientDisconnect):
        raise error  # Nobody reads what would be said.
    return _error(500, "internal_error", "the server failed; its log says why")


def _error(status: int, code: str, text: str) -> JSONResponse:
    # In the form of OpenAI's API, which clients of the proxy know how to show.
    return JSONResponse({"error": {"message": text, "type": "seglam", "code": code, "param": None}}, status)


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _distinct(routes: Sequence[BaseRoute]) -> None:
    paths = [(getattr(route, "path", ""), str(getattr(route, "methods", None))) for route in routes]
    for path, methods in paths:
        if paths.count((path, methods)) > 1:
            raise SurfaceError(f"two surfaces answer {path}: leave one of them out, or mount them under two paths")
