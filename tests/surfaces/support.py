"""A scripted server behind the proxy, and the proxy in front of it, without a port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx
import openai

from seglam_agents.surfaces import Frame
from seglam_agents.surfaces.proxy.app import proxy
from seglam_agents.surfaces.proxy.upstream import Upstream
from seglam_agents.surfaces.web import JSONResponse, Request, Response, Route, Starlette, StreamingResponse
from seglam_agents.testing.host_contract import Move, Says

Body: TypeAlias = dict[str, Any]


@dataclass
class Model:
    """A server that says its moves one after the other, and keeps what it was asked.

    Its ids and texts are its own, so that a byte that was changed on the way would be seen.
    """

    moves: Sequence[Move] = (Says("by model"),)
    bodies: list[Body] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    before: int = 0
    answer: Callable[[Request], Response] | None = None
    """What it answers with in the place of its moves."""

    def __post_init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/api/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/api/v1/responses", self.responses, methods=["POST"]),
                Route("/api/v1/{rest:path}", self.other, methods=["GET", "POST"]),
            ]
        )

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return len(self.bodies)

    def shown(self) -> str:
        """Return what it was shown at last, as text."""
        return json.dumps(self.bodies[-1], ensure_ascii=False) if self.bodies else ""

    async def chat(self, request: Request) -> Response:
        """Answer a request for a chat completion."""
        body = await self._heard(request)
        if self.answer is not None:
            return self.answer(request)
        move = self.moves[(self.asked - 1 - self.before) % len(self.moves)]
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        head = {"id": "chatcmpl-up", "created": 1, "model": "up-1", "system_fingerprint": "fp_1"}
        calls = [] if isinstance(move, Says) else _calls(self.asked, move.calls)
        text = move.text if isinstance(move, Says) else None
        finish = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return self._sent({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        deltas: list[Body] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in _halves(text or "")]
        for number, call in enumerate(calls):
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "index": number, "function": {**function, "arguments": ""}}]})
            deltas += [
                {"tool_calls": [{"index": number, "function": {"arguments": part}}]}
                for part in _halves(function["arguments"])
            ]
        chunks: list[Body] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({"choices": [], "usage": usage})
        events = [f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks]
        return self._stream([*events, "data: [DONE]\n\n"])

    async def responses(self, request: Request) -> Response:
        """Answer a request for a response."""
        body = await self._heard(request)
        if self.answer is not None:
            return self.answer(request)
        move = self.moves[(self.asked - 1 - self.before) % len(self.moves)]
        if isinstance(move, Says):
            content = [{"type": "output_text", "text": move.text, "annotations": []}]
            output = [
                {"id": "msg_up", "type": "message", "role": "assistant", "status": "completed", "content": content}
            ]
        else:
            output = [
                {
                    "id": f"fc_{call['id']}",
                    "type": "function_call",
                    "status": "completed",
                    "call_id": call["id"],
                    **call["function"],
                }
                for call in _calls(self.asked, move.calls)
            ]
        response = {
            "id": "resp_up",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": "up-1",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 107,
            },
        }
        if not body.get("stream"):
            return self._sent(response)
        begun = {**response, "status": "in_progress", "output": []}
        documents = [
            {"type": "response.created", "response": begun},
            {"type": "response.completed", "response": response},
        ]
        return self._stream(
            [
                f"event: {document['type']}\ndata: {json.dumps({**document, 'sequence_number': number})}\n\n"
                for number, document in enumerate(documents)
            ]
        )

    async def other(self, request: Request) -> Response:
        """Answer whatever else is asked."""
        await self._heard(request)
        return self.answer(request) if self.answer is not None else self._sent({"path": str(request.url.path)})

    async def _heard(self, request: Request) -> Body:
        raw = await request.body()
        self.raw.append(raw)
        self.headers.append(dict(request.headers))
        self.bodies.append(json.loads(raw) if self.answer is None and raw.startswith(b"{") else {})
        return self.bodies[-1]

    def _sent(self, document: Body) -> Response:
        response = JSONResponse(document)
        self.sent.append(bytes(response.body))
        return response

    def _stream(self, events: Sequence[str]) -> Response:
        self.sent.append("".join(events).encode())

        async def each() -> AsyncIterator[str]:
            for event in events:
                yield event

        return StreamingResponse(each(), media_type="text/event-stream")


def behind(model: Model) -> Upstream:
    """Return the server as the proxy asks it."""
    return Upstream("http://upstream.example/api/v1", httpx.ASGITransport(model.app))


@asynccontextmanager
async def asked(surface_of: Callable[[Upstream], Any], model: Model) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a proxy before a model, and give a client of HTTP for it."""
    frame = Frame([surface_of(behind(model))])
    async with (
        frame.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(frame), base_url="http://localhost/v1") as client,
    ):
        yield client


def client_of(http: httpx.AsyncClient, key: str = "sk-one", **more: Any) -> openai.AsyncOpenAI:
    """Return the official client over a client of HTTP."""
    return openai.AsyncOpenAI(api_key=key, base_url="http://localhost/v1", http_client=http, max_retries=0, **more)


def _calls(number: int, calls: Sequence[tuple[str, Body]]) -> list[Body]:
    return [
        {
            "id": f"call_up_{number}_{place}",
            "type": "function",
            "function": {"name": tool, "arguments": json.dumps(arguments)},
        }
        for place, (tool, arguments) in enumerate(calls)
    ]


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [half for half in (text[:middle], text[middle:]) if half]


__all__ = ["Model", "asked", "behind", "client_of", "proxy"]
