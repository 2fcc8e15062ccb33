"""Several surfaces are one app: who may ask it, and that it stops at once."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from seglam_agents.surfaces import Frame, Server, Surface, SurfaceError, beside
from seglam_agents.surfaces.web import JSONResponse, Request, Response, Route, Starlette, StreamingResponse


async def headers(request: Request) -> Response:
    return JSONResponse(dict(request.headers))


async def endless(request: Request) -> Response:
    async def numbers() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(numbers(), media_type="text/event-stream")


async def broken(request: Request) -> Response:
    raise RuntimeError("no")


PLAIN = Surface("plain", [Route("/headers", headers), Route("/endless", endless), Route("/broken", broken)])


def client(frame: Frame, base: str = "http://localhost:8000") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(frame), base_url=base)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:99", "LocalHost:1"])
async def test_this_machine_may_ask(host: str) -> None:
    async with client(Frame([PLAIN])) as asking:
        assert (await asking.get("/headers", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_name_bent_to_this_machine_may_not(host: str) -> None:
    async with client(Frame([PLAIN])) as asking:
        answer = await asking.get("/headers", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "wrong_host")


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403)]
)
async def test_pages_of_other_origins_may_not(origin: str, status: int) -> None:
    async with client(Frame([PLAIN])) as asking:
        assert (await asking.get("/headers", headers={"origin": origin})).status_code == status


async def test_a_token_is_asked_for_and_not_passed_on() -> None:
    async with client(Frame([PLAIN], token="t0p"), "http://machine.example") as asking:
        assert (await asking.get("/headers")).status_code == 401
        assert (await asking.get("/headers", headers={"x-seglam-token": "t0q"})).status_code == 401
        both = {"x-seglam-token": "t0p", "authorization": "Bearer sk-1"}
        assert "x-seglam-token" not in (passed := (await asking.get("/headers", headers=both)).json())
        assert passed["authorization"] == "Bearer sk-1"
        bearer = (await asking.get("/headers", headers={"authorization": "Bearer t0p"})).json()
        assert "authorization" not in bearer


@pytest.mark.parametrize("token", ["", " ", "tok\nen", "tökén"])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(SurfaceError, match="token"):
        Frame([PLAIN], token=token)


def test_other_machines_only_with_a_token() -> None:
    with pytest.raises(SurfaceError, match="give a token"):
        Server(Frame([PLAIN]), "0.0.0.0")
    with pytest.raises(SurfaceError, match="two surfaces answer /headers"):
        Frame([PLAIN, PLAIN])


async def test_what_breaks_is_said_in_the_form_that_clients_know(caplog: pytest.LogCaptureFixture) -> None:
    async with client(Frame([PLAIN])) as asking:
        answer = await asking.get("/broken")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "RuntimeError: no" in caplog.text


def test_served_beside_it_stops_at_once_with_an_open_stream() -> None:
    with httpx.Client() as asking:
        with beside(Frame([PLAIN])) as url:
            with pytest.raises(SurfaceError, match="cannot be served"):
                Server(Frame([PLAIN]), port=int(url.rpartition(":")[2]))
            stream = asking.send(asking.build_request("GET", f"{url}/endless"), stream=True)
            lines = stream.iter_lines()
            assert next(lines) == "data: 1"
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)


def test_what_is_small_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the second packet of an answer waits for 40 ms."""
    options: list[tuple[int, Any]] = []

    class Watched(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            options.append((self.getsockname()[1], option[:2]))
            super().setsockopt(*option)

    monkeypatch.setattr(socket, "socket", Watched)
    with beside(Frame([PLAIN])) as url, httpx.Client() as asking:
        asking.get(f"{url}/headers")
        assert (int(url.rpartition(":")[2]), (socket.IPPROTO_TCP, socket.TCP_NODELAY)) in options


async def test_an_own_app_mounts_it_and_enters_its_lifespan() -> None:
    told: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        told.append("begun")
        yield
        told.append("ended")

    frame = Frame([Surface("told", PLAIN.routes, lifespan)])

    def own(app: Starlette) -> AbstractAsyncContextManager[None]:
        return frame.lifespan()

    app = Starlette(lifespan=own)
    app.mount("/seglam", frame)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as asking:
            assert (await asking.get("/seglam/headers")).status_code == 200
        assert told == ["begun"]
    assert told == ["begun", "ended"]


SERVED = """
import sys
sys.path[:0] = sys.argv[1:]
from tests.surfaces.test_frame import PLAIN
from seglam_agents.surfaces import Frame, Server
server = Server(Frame([PLAIN]))
print(server.url, flush=True)
server.run()
print("closed", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_at_once_with_an_open_stream() -> None:
    """Were it to wait for the stream, it would do so for ever: the test's own limit would end it."""
    child = subprocess.Popen([sys.executable, "-c", SERVED, *sys.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    url = child.stdout.readline().decode().strip()
    with httpx.Client() as asking:
        stream = asking.send(asking.build_request("GET", f"{url}/endless"), stream=True)
        assert next(stream.iter_lines()) == "data: 1"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        stream.close()
    assert (child.returncode, out.strip(), err) == (0, b"closed", b"")


@pytest.mark.parametrize(
    ("module", "home", "extra"),
    [
        ("starlette", "seglam_agents.surfaces.frame", "serve"),
        ("uvicorn", "seglam_agents.surfaces.server", "serve"),
        ("mcp", "seglam_agents.surfaces.mcp.server", "mcp"),
        ("prometheus_client", "seglam_agents.surfaces.telemetry.otel", "otel"),
    ],
)
def test_what_is_not_installed_says_the_extra(module: str, home: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from seglam_agents.surfaces.errors import SurfaceError\n"
        f"try: import {home}\nexcept SurfaceError as error: print(error)"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert printed.stdout.strip() == f"this needs the extra {extra!r}: pip install 'seglam-agents[{extra}]'"


def test_nothing_of_them_is_imported_otherwise() -> None:
    script = (
        "import sys, seglam_agents.cache, seglam_agents.hosting, seglam_agents.cli.main, seglam_agents.surfaces\n"
        "print([n for n in sys.modules if n.split('.')[0] in "
        "('starlette', 'uvicorn', 'mcp', 'prometheus_client', 'opentelemetry', 'openai')])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert printed.stdout.strip() == "[]"
