"""`Relay`: passes requests on to the server behind the proxy, and its responses back, byte by byte."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, cast

import httpx

from seglam_agents.hosting import Json
from seglam_agents.surfaces.proxy.upstream import Relayed, Upstream
from seglam_agents.surfaces.watching import Watched
from seglam_agents.surfaces.web import BackgroundTask, JSONResponse, Request, Response, StreamingResponse

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_HEARD = 4 * 2**20
"""Bytes of a response that is read to be learnt from."""
Hears: TypeAlias = Callable[[Relayed, bytes], "Coroutine[object, object, None] | None"]
"""Told the whole body of a response once it went out; what it returns is done afterwards."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the headers of a response say of the cache."""

    outcome: str
    reason: str = ""
    procedure: str = ""
    saved: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tenant: str = ""

    def headers(self) -> dict[str, str]:
        """Return them. A reason may hold any text, and a header may not."""
        saved = ", ".join(f"{name}={value}" for name, value in self.saved.items())
        given = {
            "": self.outcome,
            "-procedure": self.procedure,
            "-reason": self.reason,
            "-saved": saved,
            "-tenant": self.tenant,
        }
        return {f"x-seglam{name}": _plain(text) for name, text in given.items() if text}


@dataclass(frozen=True, slots=True)
class Relay:
    """Passes requests on, and responses back, byte by byte."""

    upstream: Upstream
    path: str

    async def passed(self, request: Request, told: Told) -> Response:
        """Pass on a request of which nothing is read."""
        length = request.headers.get("content-length", "0")
        content = request.stream() if length != "0" or "transfer-encoding" in request.headers else None
        return await self.answered(request, content, told)

    async def answered(
        self,
        request: Request,
        content: bytes | AsyncIterator[bytes] | None,
        told: Told,
        heard: Hears | None = None,
        watched: Watched | None = None,
    ) -> Response:
        """Ask upstream, and pass on what it says.

        Args:
            request: the client's.
            content: what is sent of it.
            told: what the headers say.
            heard: told what came back; None where nothing is to be read.
            watched: told when the model has said what it had to say, and when all of it went out.
        """
        watched = watched or Watched()
        raw = cast("bytes", request.scope.get("raw_path") or request.url.path.encode()).partition(b"?")[0]
        query = cast("bytes", request.scope.get("query_string") or b"")
        below = raw.partition(self.path.encode())[2] + (b"?" + query if query else b"")
        sending = self.upstream.ask(request.method, below, request.headers.raw, content, plain=heard is not None)
        try:
            # A body that is still being read tells of the client's leaving itself.
            relayed = await (sending if isinstance(content, AsyncIterator) else _unless_gone(request, sending))
        except httpx.RequestError as error:
            logger.warning("upstream cannot be reached: %s", type(error).__name__)
            watched.said(error=type(error).__name__)
            watched.ended()
            text = f"the server behind the proxy cannot be reached ({type(error).__name__})"
            body = {"error": {"message": text, "type": "seglam", "code": "upstream_unreachable", "param": None}}
            return JSONResponse(body, 502, told.headers())
        if relayed is None:
            watched.ended()
            return Response(status_code=499)  # The client has left: nobody reads this.
        return _Passing(relayed, told, heard, watched).response()


class _Passing:
    """One response on its way back."""

    def __init__(
        self,
        relayed: Relayed,
        told: Told,
        heard: Hears | None,
        watched: Watched,
    ) -> None:
        self._relayed = relayed
        self._told = told
        self._heard = heard if not relayed.encoded and relayed.status == 200 else None
        self._watched = watched
        self._after: Coroutine[object, object, None] | None = None

    def response(self) -> Response:
        """Return it, with the server's own headers."""
        response = StreamingResponse(self._body(), self._relayed.status, background=BackgroundTask(self._done))
        ours = [(name.encode(), value.encode()) for name, value in self._told.headers().items()]
        response.raw_headers = [*((name.lower(), value) for name, value in self._relayed.headers), *ours]
        return response

    async def _body(self) -> AsyncIterator[bytes]:
        read = bytearray()
        try:
            async for chunk in self._relayed.body:
                if self._heard is not None and len(read) <= MAX_HEARD:
                    read += chunk
                yield chunk
            if self._heard is not None and len(read) <= MAX_HEARD:
                self._after = self._heard(self._relayed, bytes(read))
            status = self._relayed.status
            self._watched.said(error=str(status) if status >= 400 else "")
        finally:
            self._watched.ended()
            await self._relayed.aclose()

    async def _done(self) -> None:
        if self._after is not None:
            await self._after


async def _unless_gone(request: Request, sending: Coroutine[object, object, T]) -> T | None:
    """Do something for a client as long as it is there: a model that nobody listens to costs money all the same."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, gone = asyncio.ensure_future(sending), asyncio.ensure_future(left())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            return None
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


def _plain(text: str) -> str:
    return "".join(sign if " " <= sign <= "~" else "?" for sign in " ".join(text.split()))[:300]
