"""`proxy`: an OpenAI-compatible server in front of another one. What code can answer is answered here."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from seglam_agents import Tool
from seglam_agents.hosting import (
    Drivers,
    Json,
    Kept,
    Learning,
    Price,
    Say,
    SayAnswer,
    digest,
    is_object,
    mapping,
    request_name,
    safely,
    several,
    switch_of,
)
from seglam_agents.surfaces.frame import Surface
from seglam_agents.surfaces.proxy.chat import Chat
from seglam_agents.surfaces.proxy.dialect import Body, Dialect, Heard, saved_of
from seglam_agents.surfaces.proxy.relay import Relay, Told
from seglam_agents.surfaces.proxy.responses import OURS, Responses, items_of
from seglam_agents.surfaces.proxy.tenants import Tenants
from seglam_agents.surfaces.proxy.turns import Asking, Open, Step, Turns
from seglam_agents.surfaces.proxy.upstream import Relayed, Upstream
from seglam_agents.surfaces.watching import Harmless, Seen, Watch, Watched
from seglam_agents.surfaces.web import (
    ClientDisconnect,
    JSONResponse,
    Request,
    Response,
    Route,
    StreamingResponse,
)

logger = logging.getLogger(__name__)

NAME = "serve"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATIENCE = 5.0
MAX_BODY = 8 * 2**20
"""Bytes of a request that is looked up; larger ones are passed on."""
MAX_RESPONSES = 4_096
"""Responses that a later request may name as its previous one."""


def proxy(
    open: Open,
    upstream: str | Upstream,
    tenants: Tenants,
    *,
    known: Iterable[Tool] = (),
    learning: Learning = "background",
    price: Price | None = None,
    patience: float = PATIENCE,
    watch: Watch | None = None,
    path: str = "/v1",
) -> Surface:
    """Return a server that speaks OpenAI's protocol before another one that does.

    Chat completions and responses that code can answer are answered here, also step by step, where the agent has
    tools; everything else is passed on as it came, and comes back as it was said. What the model then did is learnt
    from. Where the cache breaks, or takes too long, requests are passed on as well.

    Args:
        open: opens the cache of a caller. The proxy closes none.
        upstream: the address of the server behind it, such as `https://api.openai.com/v1`.
        tenants: says whose request it is: `by_key(secret)`, or `one(name)`.
        known: the effects of tools, which clients do not say. Those that are not here are taken to write.
        learning: when runs are learnt from.
        price: what the model costs.
        patience: seconds that a look-up may take.
        watch: told of every request that may be looked up, and of what was learnt.
        path: where it is mounted; what a client's base URL ends with.

    Raises:
        SurfaceError: `upstream` is no address.
    """
    server = upstream if isinstance(upstream, Upstream) else Upstream(upstream)
    effects = {tool.name: tool for tool in known}
    watch = watch or Watch()
    turns = Turns(open, Drivers(price, learning, lambda run, told: watch.learned(run.request.scope.tenant, told)))
    spoken = _Spoken(Responses(effects))
    talks = [
        _Talk(dialect, server, turns, tenants, patience, path, spoken, watch) for dialect in (Chat(effects), spoken.api)
    ]

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with server.open():
            yield
        await asyncio.to_thread(turns.close)

    async def passed(request: Request) -> Response:
        return await Relay(server, path).passed(request, Told("pass", "this is not looked up"))

    routes = [
        *(Route(path + talk.dialect.path, talk.answer, methods=["POST"]) for talk in talks),
        Route(path + "/{rest:path}", passed, methods=METHODS),
    ]
    return Surface(NAME, routes, lifespan)


class _Spoken:
    """Responses that code gave. Upstream knows nothing of them, so that a request that goes on from one is spelled out.

    Args:
        api: of responses.
    """

    def __init__(self, api: Responses) -> None:
        self.api = api
        self._items = Kept[list[Json]](MAX_RESPONSES)

    def spelled_out(self, tenant: str, body: Body) -> Body:
        """Return a request with what it goes on from in its input, where that was said here."""
        before = body.get("previous_response_id")
        if not isinstance(before, str) or not before.startswith(OURS):
            return body
        items = self._items.get(digest(tenant, before))
        if items is None:
            return body
        rest = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**rest, "input": [*items, *items_of(body)]}

    def keep(self, tenant: str, body: Body, said: Body) -> None:
        """Keep what was said, and what was said before it."""
        if isinstance(said.get("id"), str) and said.get("object") == "response":
            self._items.put(digest(tenant, said["id"]), [*items_of(body), *several(said.get("output"))])


class _Talk:
    """Answers the requests of one API."""

    def __init__(
        self,
        dialect: Dialect,
        upstream: Upstream,
        turns: Turns,
        tenants: Tenants,
        patience: float,
        path: str,
        spoken: _Spoken,
        watch: Watch,
    ) -> None:
        self.dialect = dialect
        self._relay = Relay(upstream, path)
        self._turns = turns
        self._tenants = tenants
        self._patience = patience
        self._spoken = spoken
        self._watch = watch
        self._server = upstream.host

    async def answer(self, request: Request) -> Response:
        """Answer a request, or pass it on."""
        watched = Harmless(self._watch, NAME, request.headers)
        if _too_large(request) or request.headers.get("content-encoding", "identity") != "identity":
            return await self._passed(request, request.stream(), watched, "pass", "its body is not read")
        try:
            content = await request.body()
        except ClientDisconnect:
            watched.ended()
            raise
        body = _parsed(content)
        if body is None:
            return await self._passed(request, content, watched, "pass", "its body is no JSON object")
        try:
            tenant = self._tenants(dict(request.headers))
            whole = self._spoken.spelled_out(tenant, body)
            asking, heard = _asking(request, tenant), self.dialect.read(whole)
        except Exception:
            logger.exception("a request could not be read; it is passed on")
            return await self._passed(request, content, watched, "broken", "it could not be read", body)
        if whole is not body:
            content, body = json.dumps(whole, ensure_ascii=False).encode(), whole
        if isinstance(heard, str):
            return await self._passed(request, content, watched, "pass", heard, body, tenant)
        began = time.perf_counter()
        step = await self._decided(asking, heard, body)
        took = time.perf_counter() - began
        if step is None:
            told = "the cache is broken, or too slow"
            return await self._passed(request, content, watched, "broken", told, body, tenant, took)
        told = replace(_told(step), tenant=tenant)
        said = safely(
            lambda: self._said(asking, step, told, body), None, "what code says cannot be said; the model goes on"
        )
        if said is None and isinstance(step.decision, (Say, SayAnswer)):
            broken = "what code says cannot be said"
            return await self._passed(request, content, watched, "broken", broken, body, tenant, took)
        watched.found(_seen(step, told, asking, took))
        if said is not None:
            watched.ended()
            return said
        return await self._by_the_model(request, asking, step, body, content, told, watched)

    async def _passed(
        self,
        request: Request,
        content: bytes | AsyncIterator[bytes],
        watched: Watched,
        outcome: str,
        reason: str,
        body: Body | None = None,
        tenant: str = "",
        took: float = 0.0,
    ) -> Response:
        """Pass a request on that is not looked up."""
        watched.found(Seen(NAME, outcome, tenant, seconds=took, reason=reason))
        watched.asking(str((body or {}).get("model", "")), self._server)
        return await self._relay.answered(request, content, Told(outcome, reason, tenant=tenant), watched=watched)

    async def _decided(self, asking: Asking, heard: Heard, body: Body) -> Step | None:
        place = self.dialect.length(body)
        try:
            deciding = asyncio.to_thread(self._turns.decide, asking, heard, place)
            return await asyncio.wait_for(deciding, self._patience)
        except TimeoutError:
            logger.warning("a look-up took more than %s seconds; the request is passed on", self._patience)
        except Exception:
            logger.exception("the cache is broken; the request is passed on")
        return None

    def _said(self, asking: Asking, step: Step, told: Told, body: Body) -> Response | None:
        """Return what a procedure says; None where the model speaks."""
        said = step.decision
        if not isinstance(said, (Say, SayAnswer)):
            return None
        headers = {**told.headers(), "x-request-id": f"req_seglam_{uuid.uuid4().hex}"}
        self._turns.said(asking, step)
        if not body.get("stream"):
            whole = self.dialect.whole(said, body)
            self._spoken.keep(asking.tenant, body, whole)
            return JSONResponse(whole, headers=headers)
        events = list(self.dialect.stream(said, body))
        if ended := self.dialect.joined(list(_events("".join(events).encode()))):
            self._spoken.keep(asking.tenant, body, ended)
        return StreamingResponse(_each(events), media_type="text/event-stream", headers=headers)

    async def _by_the_model(
        self,
        request: Request,
        asking: Asking,
        step: Step,
        body: Body,
        content: bytes,
        told: Told,
        watched: Watched,
    ) -> Response:
        for place, left in reversed(step.going.told):
            body = self.dialect.with_told(body, place, left)
        if step.going.told:
            content = json.dumps(body, ensure_ascii=False).encode()

        def heard(relayed: Relayed, read: bytes) -> Coroutine[object, object, None] | None:
            try:
                return self._heard(asking, step, relayed, read, watched)
            except Exception:
                logger.exception("a response could not be read; it is not learnt from")
                return None

        watched.asking(str(body.get("model", "")), self._server)
        return await self._relay.answered(request, content, told, heard, watched)

    def _heard(
        self, asking: Asking, step: Step, relayed: Relayed, read: bytes, watched: Watched
    ) -> Coroutine[object, object, None] | None:
        streamed = "text/event-stream" in relayed.response.headers.get("content-type", "")
        document = self.dialect.joined(list(_events(read))) if streamed else _parsed(read)
        spoke = self.dialect.spoke(document) if document is not None else None
        if spoke is None:
            return None
        watched.said(spoke.usage)
        trace = self._turns.spoke(asking, step, spoke)
        return self._turns.learn(step, trace) if trace is not None else None


def _told(step: Step) -> Told:
    decision, turn = step.decision, step.decision.turn
    if isinstance(decision, (Say, SayAnswer)):
        return Told("hit", "", str(decision.about.get("procedure", "")), saved_of(decision))
    outcome = {"miss": "miss", "gave up": "deopt", "running": "deopt", "closing": "closing"}.get(turn.status, "pass")
    return Told(outcome, turn.reason, turn.plan.procedure if turn.plan is not None else "")


def _seen(step: Step, told: Told, asking: Asking, took: float) -> Seen:
    ends = {"seglam.hit", "seglam.deopt"}
    ended = next((event for event in step.decision.events if event.name in ends), None)
    saved = mapping(ended.data.get("saved") if ended is not None else None)
    return Seen(NAME, told.outcome, asking.tenant, told.procedure, took, ended is not None, saved, told.reason)


def _asking(request: Request, tenant: str) -> Asking:
    headers = request.headers
    name = request_name(headers.get("x-seglam-request-id"), "x-seglam-request-id")
    agent = headers.get("x-seglam-agent", "").strip() or None
    told = headers.get("x-seglam-instructions", "").strip() or None
    return Asking(tenant, agent, name, switch_of(headers.get("x-seglam")), told)


def _too_large(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > MAX_BODY


def _parsed(content: bytes) -> Body | None:
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if is_object(document) else None


def _events(read: bytes) -> Iterable[Body]:
    """Return the documents of a stream of events."""
    for event in read.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        document = _parsed(data) if data else None
        if document is not None:
            yield document


async def _each(events: Sequence[str]) -> AsyncIterator[str]:
    for event in events:
        yield event
