"""`Upstream`: the server behind the proxy, asked with what the client sent. The proxy asks nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from seglam_agents.surfaces.errors import SurfaceError

CONNECT, SILENT = 10.0, 600.0
"""Seconds until a connection stands, and that the server may say nothing."""
_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""Headers that belong to one connection."""
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Relayed:
    """A response of the server, to be passed on as it comes."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes]
    encoded: bool
    """Whether its bytes are compressed, so that they cannot be read here."""
    response: httpx.Response

    async def aclose(self) -> None:
        """Let the server know that nobody listens any more."""
        await self.response.aclose()


class Upstream:
    """A server that speaks OpenAI's protocol.

    Nothing is ever asked twice, no redirect is followed, no cookie is kept, and no key but the client's is sent.

    Args:
        url: its address, as a client's base URL: `https://api.openai.com/v1`.
        transport: what carries requests; a network connection without one.

    Raises:
        SurfaceError: that is no address.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        try:
            self._url = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise SurfaceError(f"the upstream cannot be read as an address: {error}") from None
        if self._url.scheme not in ("http", "https") or not self._url.host or self._url.userinfo:
            raise SurfaceError("the upstream must be an address without a user, such as https://api.openai.com/v1")
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    @property
    def host(self) -> str:
        """The name of the server."""
        return self._url.host

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Keep connections open while the proxy is served."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        timeout = httpx.Timeout(SILENT, connect=CONNECT)
        async with httpx.AsyncClient(timeout=timeout, limits=limits, transport=self._transport) as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    async def ask(
        self, method: str, path: bytes, headers: Headers, content: bytes | AsyncIterator[bytes] | None, *, plain: bool
    ) -> Relayed:
        """Ask the server, and return its response as soon as it begins.

        Args:
            method: of HTTP.
            path: below the address, with its query, as the client wrote it.
            headers: the client's.
            content: the body.
            plain: ask for a body that is not compressed.

        Raises:
            httpx.RequestError: it cannot be reached.
        """
        if self._client is None:
            raise RuntimeError("the proxy is not served: its lifespan has not begun")
        raw = self._url.raw_path.rstrip(b"/") + path
        request = httpx.Request(
            method, self._url.copy_with(raw_path=raw), headers=list(_passed(headers, plain)), content=content
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        kept = [(name, value) for name, value in response.headers.raw if name.lower() not in _HOP]
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        return Relayed(response.status_code, kept, response.aiter_raw(), encoded, response)


def _passed(headers: Headers, plain: bool) -> Sequence[tuple[bytes, bytes]]:
    dropped = {*_HOP, b"host", b"content-length", *([b"accept-encoding"] if plain else [])}
    kept = [pair for pair in headers if pair[0].lower() not in dropped and not pair[0].lower().startswith(b"x-seglam")]
    return [*kept, (b"accept-encoding", b"identity")] if plain else kept
