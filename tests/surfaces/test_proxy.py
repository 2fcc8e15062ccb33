"""The proxy: what code answers, what is passed on as it is, and what of it is learnt."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import openai
import pytest

from seglam_agents import ReasoningCache, SeglamError
from seglam_agents.guards.guard import TemplateGuard
from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import GuardSource, Procedure, Provenance, ToolUse
from seglam_agents.records.request import Scope
from seglam_agents.records.tools import Tool
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.stores.edge import EdgeStore
from seglam_agents.stores.memory import MemoryStore
from seglam_agents.surfaces import Frame, SurfaceError
from seglam_agents.surfaces.proxy.app import proxy
from seglam_agents.surfaces.proxy.tenants import by_key, one
from seglam_agents.surfaces.proxy.turns import Caller
from seglam_agents.surfaces.proxy.upstream import Upstream
from seglam_agents.surfaces.web import JSONResponse, Response, StreamingResponse
from seglam_agents.testing.host_contract import Says, Wants
from tests.surfaces.support import Body, Model, behind, client_of

SECRET = b"0123456789abcdef"
ASK = "Double the number 21"
STOCK = "How many bolts are in stock?"
COUNT: Body = {
    "name": "count_stock",
    "description": "Count what is in stock.",
    "parameters": {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]},
}
TOOLS: Any = [{"type": "function", "function": {**COUNT, "strict": True}}]
FLAT: Any = [{"type": "function", "strict": True, **COUNT}]
READS = Tool(**COUNT, effect="read")

Served: TypeAlias = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def messages(text: str = ASK, *more: Any) -> Any:
    return [{"role": "user", "content": text}, *more]


def put(store: ProcedureStore, scope: Scope, name: str, template: str, body: str, *tools: Tool) -> None:
    guard = GuardSource(templates=(template,))
    procedure = Procedure(
        id=f"{name}-0001",
        name=name,
        scope=scope,
        guard=guard,
        body=body,
        parameters=TemplateGuard(guard, context=()).parameters(),
        tools=tuple(ToolUse.of(tool) for tool in tools),
        provenance=Provenance(compiler="test"),
    )
    store.put(Entry(procedure=procedure, status="active"), expected_revision=0)


@pytest.fixture
def store() -> ProcedureStore:
    """Hold two procedures: one that computes, and one that reads."""
    store = MemoryStore()
    put(store, Scope(tenant="t"), "double", "double the number {n:number}", "def run(n):\n    return n * 2\n")
    agent = Scope(tenant="t", agent="shop")
    body = "def run(item):\n    return f'{count_stock(item)} {item}'\n"
    put(store, agent, "stock", "how many {item:noun} are in stock", body, READS)
    return store


@pytest.fixture
def served(store: ProcedureStore, sandbox: MontySandbox) -> Served:
    """Serve the proxy before a model."""

    def opened(caller: Caller) -> ReasoningCache:
        return ReasoningCache(
            store,
            tools=caller.tools,
            tenant=caller.tenant,
            agent="shop" if caller.tools else None,
            sandbox=sandbox,
            second_sandbox=None,
        )

    @asynccontextmanager
    async def served(model: Model, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
        given: Any = {"open": opened, "upstream": behind(model), "tenants": one("t"), "known": [READS], **more}
        frame = Frame([proxy(**{"learning": "inline", "patience": 60, **given})])
        async with frame.lifespan():
            transport = httpx.ASGITransport(frame)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost/v1") as client:
                yield client

    return served


# --- what code answers ---------------------------------------------------------------------------------------------


async def test_a_hit_as_a_chat_completion(served: Served) -> None:
    """Whole and streamed; the usage is zero, says what was saved, and is streamed only where it is asked for."""
    model = Model()
    async with served(model) as http:
        client = client_of(http)
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=messages())
        whole = raw.parse()
        assert (raw.headers["x-seglam"], raw.headers["x-seglam-procedure"]) == ("hit", "double-0001@1")
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason, whole.model) == ("42", "stop", "m")
        assert whole.usage is not None and whole.usage.total_tokens == 0
        saved = {"input_tokens": 0, "output_tokens": 0, "calls": 0}
        assert whole.usage.to_dict()["seglam_saved"] == saved
        stream = await client.chat.completions.create(model="m", messages=messages(), stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "42"
        assert chunks[-1].choices[0].finish_reason == "stop" and all(chunk.usage is None for chunk in chunks)
        counted = await client.chat.completions.create(
            model="m", messages=messages(), stream=True, stream_options={"include_usage": True}
        )
        last = [chunk async for chunk in counted][-1]
        assert last.choices == [] and last.usage is not None and last.usage.total_tokens == 0
        async with client.chat.completions.stream(model="m", messages=messages()) as helper:
            final = await helper.get_final_completion()
        assert final.choices[0].message.content == "42"
    assert model.asked == 0


async def test_a_hit_as_a_response(served: Served) -> None:
    """Whole and streamed, also by the helper that checks the order of events."""
    model = Model()
    async with served(model) as http:
        client = client_of(http)
        whole = await client.responses.create(model="m", input=ASK)
        assert (whole.output_text, whole.status) == ("42", "completed")
        assert whole.usage is not None and whole.usage.total_tokens == 0
        async with client.responses.stream(model="m", input=ASK, instructions="") as helper:
            kinds = [event.type async for event in helper]
            final = await helper.get_final_response()
        assert final.output_text == "42" and kinds[0] == "response.created" and kinds[-1] == "response.completed"
        assert "response.output_text.delta" in kinds
    assert model.asked == 0


async def test_a_call_is_said_and_the_answer_after_its_result(served: Served) -> None:
    """The client carries calls out: whole, streamed, and in the other API."""
    model = Model()
    async with served(model) as http:
        client = client_of(http)
        said = (await client.chat.completions.create(model="m", messages=messages(STOCK), tools=TOOLS)).choices[0]
        assert said.finish_reason == "tool_calls" and said.message.tool_calls is not None
        (call,) = said.message.tool_calls
        assert call.type == "function" and json.loads(call.function.arguments) == {"item": "bolts"}
        async with client.chat.completions.stream(model="m", messages=messages(STOCK), tools=TOOLS) as helper:
            streamed = (await helper.get_final_completion()).choices[0].message
        assert streamed.tool_calls is not None and streamed.tool_calls[0].function.name == "count_stock"
        told = messages(STOCK, streamed.to_dict(), answered(streamed.tool_calls[0].id, "120"))
        answer = await client.chat.completions.create(model="m", messages=told, tools=TOOLS)
        assert answer.choices[0].message.content == "120 bolts"
        async with client.responses.stream(model="m", input=STOCK, tools=FLAT) as asking:
            (item,) = (await asking.get_final_response()).output
        assert item.type == "function_call" and item.name == "count_stock"
        result: Any = {"type": "function_call_output", "call_id": item.call_id, "output": "75"}
        items: Any = [{"role": "user", "content": STOCK}, item.to_dict(), result]
        assert (await client.responses.create(model="m", input=items, tools=FLAT)).output_text == "75 bolts"
    assert model.asked == 0


async def test_a_response_that_goes_on_from_one_that_code_gave(served: Served) -> None:
    """Upstream knows nothing of it: what was said is spelled out, here and for the model."""
    model = Model()
    async with served(model) as http:
        client = client_of(http)
        first = await client.responses.create(model="m", input=STOCK, tools=FLAT)
        (call,) = first.output
        assert call.type == "function_call"
        result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "120"}]
        second = await client.responses.create(model="m", input=result, previous_response_id=first.id, tools=FLAT)
        assert (second.output_text, model.asked) == ("120 bolts", 0)
        await client.responses.create(model="m", input="And nuts?", previous_response_id=second.id, tools=FLAT)
        spelled = model.bodies[0]
        assert "previous_response_id" not in spelled and spelled["input"][-1]["content"] == "And nuts?"
        assert [item.get("type") for item in spelled["input"]][:4] == [
            None,
            "function_call",
            "function_call_output",
            "message",
        ]
        await client.responses.create(model="m", input="x", previous_response_id="resp_up")
        assert model.bodies[1]["previous_response_id"] == "resp_up"


@pytest.mark.parametrize(
    "told", ["Error: no such table", '{"error": "no such table"}', "ToolException: gone", "An error occurred: x"]
)
async def test_a_result_that_tells_of_a_failure_is_none(told: str, served: Served) -> None:
    """The protocol has no sign for a failed call: by its words it is one, and the model goes on."""
    model = Model()
    async with served(model) as http:
        client = client_of(http)
        said = (await client.chat.completions.create(model="m", messages=messages(STOCK), tools=TOOLS)).choices[0]
        assert said.message.tool_calls
        after = messages(STOCK, said.message.to_dict(), answered(said.message.tool_calls[0].id, told))
        answer = await client.chat.completions.with_raw_response.create(model="m", messages=after, tools=TOOLS)
    assert (answer.parse().choices[0].message.content, answer.headers["x-seglam"]) == ("by model", "deopt")
    assert model.bodies[0]["messages"] == after


# --- what is passed on ---------------------------------------------------------------------------------------------

PARTS = [{"type": "text", "text": ASK}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        {"logprobs": True},
        {"tool_choice": "required", "tools": TOOLS},
        {"tool_choice": "none", "tools": TOOLS},
        {"tool_choice": {"type": "function", "function": {"name": "count_stock"}}, "tools": TOOLS},
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"messages": [{"role": "user", "content": PARTS}]},
        {"messages": [*messages(), {"role": "assistant", "content": "4"}]},
        {"messages": [*messages("Only odd ones"), {"role": "assistant", "content": "well"}, *messages()]},
        {"messages": [{"role": "user", "content": ASK, "name": "Bob"}]},
        {"messages": []},
        {"messages": "no"},
        {"messages": [*messages(), {"role": "function", "name": "f", "content": "1"}]},
        {"audio": {"voice": "x"}, "modalities": ["text", "audio"]},
        {"stop": ["4"]},
        {"logit_bias": {"1": 100}},
        {"store": True},
        {"web_search_options": {}},
        {"something": "new"},
    ],
    ids=json.dumps,
)
async def test_what_no_stored_answer_was_made_for_is_the_models(more: Body, served: Served) -> None:
    model = Model()
    async with served(model) as http:
        body = {"model": "m", "messages": messages(), **more}
        content = json.dumps(body, indent=1).encode()  # Not as anybody would write it: it must arrive so.
        answer = await http.post("/chat/completions", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["x-seglam"]) in ((200, "pass"), (200, "miss"))
    assert model.raw == [content] and answer.content == model.sent[0]


@pytest.mark.parametrize(
    "more",
    [
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}},
        {"tools": [{"type": "web_search"}]},
        {"tools": FLAT, "tool_choice": "required"},
        {"background": True},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
        {"include": ["message.output_text.logprobs"]},
        {"previous_response_id": "resp_seglam_unknown"},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        {"input": [{"role": "user", "content": ASK}, {"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": ASK}, {"role": "assistant", "content": "4"}]},
        {"input": []},
        {"instructions": [{"role": "system", "content": "x"}]},
    ],
    ids=json.dumps,
)
async def test_the_same_of_responses(more: Body, served: Served) -> None:
    model = Model()
    async with served(model) as http:
        content = json.dumps({"model": "m", "input": ASK, **more}, indent=1).encode()
        answer = await http.post("/responses", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["x-seglam"]) in ((200, "pass"), (200, "miss"))
    assert model.raw == [content] and answer.content == model.sent[0]


@pytest.mark.parametrize(("limit", "outcome"), [(1, "deopt"), (2, "hit"), (500, "hit"), (None, "hit")])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
async def test_an_answer_that_the_model_could_not_have_given(
    name: str, limit: int | None, outcome: str, served: Served
) -> None:
    """Where a limit would have cut it off, on purpose perhaps, it is the model's."""
    path, asked = (
        ("/responses", {"input": ASK}) if "output" in name else ("/chat/completions", {"messages": messages()})
    )
    async with served(Model()) as http:
        assert (await http.post(path, json={"model": "m", **asked, name: limit})).headers["x-seglam"] == outcome


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
async def test_a_miss_comes_back_byte_by_byte(path: str, stream: bool, served: Served) -> None:
    """With the server's own headers, the client's key and query, and nothing of ours sent on."""
    model = Model()
    async with served(model) as http:
        key = {"messages": messages("What is love?")} if "chat" in path else {"input": "What is love?"}
        sent = {"authorization": "Bearer sk-1", "openai-project": "p", "x-seglam-agent": "shop", "x-seglam": "on"}
        answer = await http.post(f"{path}?api-version=%3F1", json={"model": "m", "stream": stream, **key}, headers=sent)
    assert answer.content == model.sent[0] and answer.headers["x-seglam"] == "miss"
    assert answer.headers["x-seglam-reason"]
    assert model.headers[0]["authorization"] == "Bearer sk-1" and model.headers[0]["openai-project"] == "p"
    assert not [name for name in model.headers[0] if name.startswith("x-seglam")]
    assert model.headers[0]["host"] == "upstream.example"


async def test_everything_else_is_passed_on(served: Served) -> None:
    """Embeddings as they are compressed, other methods, errors of HTTP, and paths as they are written."""
    packed = gzip.compress(b'{"data": []}')

    def answer(request: Any) -> Response:
        if "models" in request.url.path:
            return JSONResponse({"path": request.scope["raw_path"].decode(), "query": request.url.query}, 404)
        return Response(packed, headers={"content-encoding": "gzip", "x-request-id": "req_1", "set-cookie": "a=b"})

    model = Model(answer=answer)
    async with served(model) as http:
        async with http.stream("POST", "/embeddings", json={"input": "x", "encoding_format": "base64"}) as embedded:
            assert b"".join([chunk async for chunk in embedded.aiter_raw()]) == packed
        assert embedded.headers["x-request-id"] == "req_1" and embedded.headers["x-seglam"] == "pass"
        http.cookies.clear()  # The client's own: the proxy keeps none.
        found = await http.get("/models/a%2Fb%20c?x=%2B")
        assert found.status_code == 404
        assert found.json() == {"path": "/api/v1/models/a%2Fb%20c", "query": "x=%2B"}
        assert "cookie" not in model.headers[1]

        async def parts() -> AsyncIterator[bytes]:
            yield b"a" * 1000
            yield b"b" * 1000

        await http.post("/files", content=parts())
        assert model.raw[-1] == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
async def test_errors_of_the_server_come_unchanged(
    status: int, error: type[openai.APIStatusError], served: Served
) -> None:
    document = {"error": {"message": "because", "type": "t", "code": "c", "param": "p"}}
    model = Model(answer=lambda _: JSONResponse(document, status, headers={"retry-after": "7"}))
    async with served(model) as http:
        for stream in (False, True):
            with pytest.raises(error, match="because") as caught:
                await client_of(http).chat.completions.create(model="m", messages=messages("hi"), stream=stream)  # type: ignore[call-overload]
            assert caught.value.response.headers["retry-after"] == "7" and caught.value.body == document["error"]
    assert model.asked == 2


async def test_a_server_that_cannot_be_reached_is_told_once(served: Served) -> None:
    tries = 0

    async def refuse(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        raise httpx.ConnectError("refused", request=request)

    upstream = Upstream("http://upstream.example/v1", httpx.MockTransport(refuse))
    async with served(Model(), upstream=upstream) as http:
        with pytest.raises(openai.InternalServerError, match="cannot be reached"):
            await client_of(http).chat.completions.create(model="m", messages=messages("hi"))
        assert (await client_of(http).chat.completions.create(model="m", messages=messages())).choices
    assert tries == 1


async def test_the_server_hears_of_it_when_the_client_leaves(served: Served) -> None:
    """A model that nobody listens to costs money."""
    left = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"data: {}\n\n"
            await asyncio.Event().wait()
        finally:
            left.set()

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    class Body(httpx.AsyncByteStream):
        def __init__(self) -> None:
            self.parts = endless()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self.parts:
                yield part

        async def aclose(self) -> None:
            await self.parts.aclose()  # type: ignore[attr-defined]

    surface = proxy(lambda _: pytest.fail("nothing is looked up"), Upstream("http://u/v1", Transport()), one("t"))
    frame, out = Frame([surface]), asyncio.Queue[Any]()
    leaves = asyncio.Event()
    body = [{"type": "http.request", "body": b'{"stream": true, "stop": ["x"]}', "more_body": False}]

    async def receive() -> Any:
        if body:
            return body.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"31")],
    }
    async with frame.lifespan():
        answering = asyncio.create_task(frame(scope, receive, out.put))
        while (await out.get())["type"] != "http.response.body":
            pass
        leaves.set()
        await answering
        assert left.is_set()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
async def test_a_client_that_leaves_while_it_asks_is_no_error(path: str, caplog: pytest.LogCaptureFixture) -> None:
    model = Model()
    frame = Frame([proxy(lambda _: pytest.fail("nothing is looked up"), behind(model), one("t"))])
    received: list[Any] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop() if len(received) > 1 else received[0]

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"99")],
    }
    async with frame.lifespan():
        await frame(scope, receive, send)
    assert (sent, model.asked) == ([], 0)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# --- tenants and keys ----------------------------------------------------------------------------------------------


async def test_a_key_is_a_tenant_and_is_kept_nowhere(tmp_path: Path, sandbox: MontySandbox, served: Served) -> None:
    """What one key taught serves no other, and nobody finds the key in the store."""
    store = EdgeStore(tmp_path)
    keys = ["sk-secret-of-ann", "sk-secret-of-bob"]
    tenants = by_key(SECRET)
    ann = tenants({"authorization": f"Bearer {keys[0]}"})
    put(store, Scope(tenant=ann), "double", "double the number {n:number}", "def run(n):\n    return n * 2\n")

    def opened(caller: Caller) -> ReasoningCache:
        return ReasoningCache(store, tenant=caller.tenant, sandbox=sandbox, second_sandbox=None)

    model = Model()
    async with served(model, open=opened, tenants=tenants) as http:
        said = [
            (await client_of(http, key).chat.completions.create(model="m", messages=messages())).choices[0]
            for key in keys
        ]
    assert [one.message.content for one in said] == ["42", "by model"]
    store.close()
    written = content_of(tmp_path)
    assert ann.encode() in written and not [key for key in keys if key.encode() in written]


def test_a_tenant_is_the_same_only_for_one_key_and_one_secret() -> None:
    tenants, others = by_key(SECRET), by_key(b"another secret of some length")
    one_key, azure = {"authorization": "Bearer sk-1"}, {"api-key": "sk-1"}
    names = [tenants(one_key), tenants(azure), tenants({"authorization": "Bearer sk-2"}), others(one_key), tenants({})]
    assert len(set(names)) == 5 and names[-1] == "default" and tenants(dict(one_key)) == names[0]
    with pytest.raises(ValueError, match="16"):
        by_key(b"short")


@pytest.mark.parametrize("url", ["ftp://x", "nothing", "https://user:key@host/v1", "http://"])
def test_an_upstream_that_is_none(url: str) -> None:
    with pytest.raises(SurfaceError, match="upstream"):
        proxy(lambda _: pytest.fail("not opened"), url, one("t"))


# --- learning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_does_is_learnt_and_then_said_by_code(stream: bool, served: Served) -> None:
    """Three runs by the model, and the fourth request costs nothing: the usage says what it saved."""
    model = Model()
    async with served(model) as http:
        for item, count in (("nuts", 12), ("nails", 900), ("screws", 47)):
            model.before = model.asked
            model.moves = (Wants((("count_stock", {"item": item}),)), Says(f"We have {count} {item}."))
            assert await run(http, f"How many {item} do we have?", str(count), stream) == f"We have {count} {item}."
        assert model.asked == 6
        assert await run(http, "How many rivets do we have?", "310", stream) == "We have 310 rivets."
        assert model.asked == 6
        assert await run(http, "How many rivets do we not have?", "310", stream) != "We have 310 rivets."
        if not stream:
            said = await client_of(http).chat.completions.create(
                model="m", messages=messages("How many washers do we have?"), tools=TOOLS
            )
            call = said.choices[0].message.tool_calls
            assert call
            after = messages(
                "How many washers do we have?", said.choices[0].message.to_dict(), answered(call[0].id, "3")
            )
            answer = await client_of(http).chat.completions.create(model="m", messages=after, tools=TOOLS)
            assert answer.usage is not None
            assert answer.usage.to_dict()["seglam_saved"] == {"input_tokens": 200, "output_tokens": 14, "calls": 2}


async def test_a_run_that_was_cut_off_teaches_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(ReasoningCache, "aobserve", lambda self, trace: seen.append(trace))

    def answer(finish: str, message: Body) -> Callable[[Any], Response]:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
        return lambda _: JSONResponse(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        )

    model = Model()
    async with served(model) as http:
        for finish, message in [
            ("length", {"content": "4"}),
            ("content_filter", {"content": "4"}),
            ("stop", {"content": None, "refusal": "no"}),
        ]:
            model.answer = answer(finish, message)
            await client_of(http).chat.completions.create(model="m", messages=messages("Tell me more"))
        model.answer = lambda _: StreamingResponse(broken(), media_type="text/event-stream")
        stream = await client_of(http).chat.completions.create(model="m", messages=messages("Hi"), stream=True)
        assert [chunk async for chunk in stream] == []
        assert seen == []
        model.answer = answer("stop", {"content": "Well."})
        await client_of(http).chat.completions.create(model="m", messages=messages("Tell me more"))
        assert len(seen) == 1


async def test_what_the_agent_is_told_may_have_a_name(served: Served) -> None:
    """A prompt with a date in it is another one every day: procedures learnt under one run in shadow under others."""
    model = Model((Says("42"), Says("42"), Says("66")))
    async with served(model) as http:
        client = client_of(http)

        async def ask(told: str, text: str = ASK, **headers: str) -> str:
            system = [{"role": "system", "content": told}] if told else []
            raw = await client.chat.completions.with_raw_response.create(
                model="m", messages=[*system, *messages(text)], extra_headers=headers
            )
            assert raw.headers["x-seglam-tenant"] == "t"
            return raw.headers["x-seglam"]

        assert [await ask(""), await ask("It is Monday.")] == ["hit", "miss"]
        named = {"x-seglam-instructions": "helper"}
        asked = [("Monday", 21), ("Tuesday", 33), ("Wednesday", 25)]
        said = [await ask(f"It is {day}.", f"Double the number {n}", **named) for day, n in asked]
        assert said == ["miss", "miss", "hit"]


async def test_a_client_may_leave_the_cache_out(served: Served) -> None:
    model = Model()
    async with served(model) as http:
        client = client_of(http, default_headers={"x-seglam": "off"})
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=messages())
        assert (raw.parse().choices[0].message.content, raw.headers["x-seglam"]) == ("by model", "pass")


# --- what breaks ---------------------------------------------------------------------------------------------------


async def test_a_broken_cache_passes_the_request_on(
    served: Served, store: ProcedureStore, sandbox: MontySandbox
) -> None:
    """Whether it cannot be opened, breaks, or takes too long."""

    def gone(caller: Caller) -> ReasoningCache:
        raise SeglamError("the disk is gone")

    class Slow(ReasoningCache):
        def plan(self, *args: Any, **more: Any) -> Any:
            waiting.wait(60)
            return super().plan(*args, **more)

    waiting = threading.Event()

    def slow(caller: Caller) -> ReasoningCache:
        return Slow(store, tenant="t", sandbox=sandbox, second_sandbox=None)

    for opened, patience in ((gone, 60), (slow, 0.01), (lambda _: None, 60)):
        model = Model()
        async with served(model, open=opened, patience=patience) as http:
            raw = await client_of(http).chat.completions.with_raw_response.create(model="m", messages=messages())
            assert (raw.parse().choices[0].message.content, raw.headers["x-seglam"]) == ("by model", "broken")
            assert model.asked == 1
    waiting.set()


async def test_bodies_that_are_none(served: Served) -> None:
    """The server behind says what is wrong with them."""
    model = Model(answer=lambda _: JSONResponse({"error": {"message": "bad"}}, 400))
    async with served(model) as http:
        for content in (b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000):
            answer = await http.post("/chat/completions", content=content)
            assert (answer.status_code, model.raw[-1]) == (400, content)
        packed = gzip.compress(json.dumps({"model": "m", "messages": messages()}).encode())
        answer = await http.post("/chat/completions", content=packed, headers={"content-encoding": "gzip"})
        assert (answer.headers["x-seglam"], model.raw[-1]) == ("pass", packed)


# --- said twice ----------------------------------------------------------------------------------------------------

ORDER: Body = {
    "name": "order",
    "description": "Order boxes.",
    "parameters": {
        "type": "object",
        "properties": {"item": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["item", "n"],
    },
}


async def test_a_named_request_says_its_write_once(
    served: Served, store: ProcedureStore, sandbox: MontySandbox
) -> None:
    """Without a name, a repetition is a second wish. With one, the model is told what was said, at every step."""
    writes = Tool(**ORDER)
    scope = Scope(tenant="t", agent="buyer")
    body = "def run(n, item):\n    return order(item, n)\n"
    put(store, scope, "buy", "order {n:count} boxes of {item:noun}", body, writes)

    def opened(caller: Caller) -> ReasoningCache:
        return ReasoningCache(
            store, tools=caller.tools, tenant="t", agent="buyer", sandbox=sandbox, second_sandbox=None
        )

    tools: Any = [{"type": "function", "function": ORDER}]
    model = Model((Wants((("order", {"item": "milk", "n": 1}),)), Says("by model")))
    async with served(model, open=opened) as http:
        client = client_of(http)

        async def ask(*more: Any, name: str | None = None) -> Any:
            headers = {"x-seglam-request-id": name} if name else {}
            said = await client.chat.completions.create(
                model="m", messages=messages("Order 2 boxes of tea", *more), tools=tools, extra_headers=headers
            )
            return said.choices[0].message

        assert [call.function.name for call in (await ask()).tool_calls + (await ask()).tool_calls] == ["order"] * 2
        first = await ask(name="r1")
        assert first.tool_calls[0].id.startswith("seglam_") and model.asked == 0
        second = await ask(name="r1")
        assert second.tool_calls[0].id == "call_up_1_0" and "not known whether" in model.shown()
        third = await ask(second.to_dict(), answered(second.tool_calls[0].id, "ok"), name="r1")
        roles = [message["role"] for message in model.bodies[-1]["messages"]]
        assert (third.content, roles) == ("by model", ["user", "assistant", "tool", "assistant", "tool"])
        assert "not known whether" in model.shown()
        done = await ask(first.to_dict(), answered(first.tool_calls[0].id, "ordered 2 tea"), name="r1")
        assert done.content == "ordered 2 tea"
        await ask(name="r1")
        assert "ordered 2 tea" in model.shown()


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def answered(call_id: str, result: str) -> Body:
    return {"role": "tool", "tool_call_id": call_id, "content": result}


async def broken() -> AsyncIterator[bytes]:
    yield b"data: [DONE]\n\n"


async def run(http: httpx.AsyncClient, text: str, result: str, stream: bool) -> str:
    """Run an agent with one tool to its end."""
    said: list[Any] = []
    while True:
        body: Any = {"model": "m", "messages": messages(text, *said), "tools": TOOLS}
        if stream:
            async with client_of(http).chat.completions.stream(**body) as helper:
                message = (await helper.get_final_completion()).choices[0].message
        else:
            message = (await client_of(http).chat.completions.create(**body)).choices[0].message
        if not message.tool_calls:
            return message.content or ""
        said += [message.to_dict(), *(answered(call.id, result) for call in message.tool_calls)]
