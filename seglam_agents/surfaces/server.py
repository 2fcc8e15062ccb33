"""`Server`: serves a frame until it is told to stop, and then stops at once. Only here is Uvicorn imported."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from seglam_agents.surfaces.errors import SurfaceError, missing
from seglam_agents.surfaces.frame import LOOPBACK, Frame
from seglam_agents.surfaces.web import ASGIApp, Receive, Scope, Send

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as error:
    raise missing("serve") from error

logger = logging.getLogger(__name__)

GRACE = 0.25
"""Seconds that an answer may take to end once the server was told to stop."""
LAST = 3
"""Seconds after which whatever still runs is left."""
IDLE = 75
"""Seconds that a connection may rest: longer than clients let it, so that none is closed while they use it again."""

_unheard = logging.getLogger(f"{__name__}.protocol")
_unheard.setLevel(logging.CRITICAL)


class Server:
    """Serves a frame on one address.

    A stream does not learn that its server stops, and the server waits for its streams: what is still open shortly
    after Ctrl-C is ended.

    Args:
        frame: what is served.
        host: the address. Beyond this machine only with a token.
        port: 0 for any that is free.

    Raises:
        SurfaceError: the address cannot be had, or is beyond this machine and the frame asks for no token.
    """

    def __init__(self, frame: Frame, host: str = "127.0.0.1", port: int = 0) -> None:
        if not frame.guarded and not _is_loopback(host):
            raise SurfaceError(f"{host} can be reached from other machines: give a token, or serve on 127.0.0.1")
        self._socket = _bound(host, port)
        self._ending = _Ending(frame)
        config = uvicorn.Config(
            self._ending,
            http=_Protocol,
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=LAST,
            timeout_keep_alive=IDLE,
        )
        self._server = _Uvicorn(config, self._ending)

    @property
    def url(self) -> str:
        """Where it is asked."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Serve until Ctrl-C.

        Raises:
            SurfaceError: a surface could not be started; the log says why.
        """
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            return  # Uvicorn raises it again once everything is closed.
        except SystemExit:
            raise SurfaceError("a surface could not be started; the log says why") from None
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Have it stop, from any thread."""
        self._server.should_exit = True
        self._ending.end()

    @property
    def started(self) -> bool:
        """Tell whether it answers."""
        return self._server.started


@contextmanager
def beside(frame: Frame, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve a frame in a thread beside whatever this process does, and yield its URL.

    Raises:
        SurfaceError: as for `Server`.
    """
    server = Server(frame, host, port)
    failed: list[SurfaceError] = []

    def run() -> None:
        try:
            server.run()
        except SurfaceError as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="seglam-surfaces", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    if failed:
        raise failed[0]
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


class _Protocol(H11Protocol):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # It tells of every stream that was ended. The frame has logged what else breaks; other servers of the process
        # keep their log.
        self.logger = _unheard


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ending: _Ending) -> None:
        super().__init__(config)
        self._ending = ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending.end()
        super().handle_exit(sig, frame)


class _Ending:
    """An app whose answers end once it was told so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    def end(self) -> None:
        if self._loop is not None and self._ended is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._ended is None:
            self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = asyncio.ensure_future(self._app(scope, receive, send))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((answer, ended), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await asyncio.wait((answer,), timeout=GRACE)
        finally:
            ended.cancel()
            if not answer.done():
                answer.cancel()
                await asyncio.wait((answer,), timeout=GRACE)
        if answer.done() and not answer.cancelled():
            answer.result()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: only where asyncio sees it does it send small packets at once, not 40 ms later.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(2048)
    except (OSError, OverflowError) as error:
        made.close()
        raise SurfaceError(f"{host}:{port} cannot be served ({error}): choose another --port, or 0 for any") from None
    return made
