"""What is told of requests: spans and metrics by the conventions, logs, and never what was said in them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from seglam_agents import Learned, ReasoningCache
from seglam_agents.hosting import Price
from seglam_agents.records.usage import Usage
from seglam_agents.sandboxes.monty import MontySandbox
from seglam_agents.stores.base import ProcedureStore
from seglam_agents.surfaces import Frame
from seglam_agents.surfaces.telemetry import names
from seglam_agents.surfaces.telemetry.logs import JsonLines
from seglam_agents.surfaces.telemetry.otel import Telemetry, current_ids, telemetry
from seglam_agents.surfaces.watching import Watch
from seglam_agents.surfaces.web import JSONResponse
from seglam_agents.testing.host_contract import Says, Wants
from tests.surfaces.support import Model, client_of
from tests.surfaces.test_proxy import ASK, TOOLS, Served, messages, run, served, store

__all__ = ["served", "store"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Told:
    """Telemetry that is kept in memory."""

    def __init__(self, **more: Any) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracing, metering = TracerProvider(), MeterProvider([self.reader])
        tracing.add_span_processor(SimpleSpanProcessor(self.spans))
        self.watch = Telemetry(tracing, metering, **more)

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name.startswith(start)]

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = [m for r in data.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}

    def value(self, name: str, **attributes: str) -> float:
        wanted = {key.replace("__", "."): text for key, text in attributes.items()}
        found = [point for point in self.points().get(name, []) if wanted.items() <= dict(point.attributes).items()]
        return sum(getattr(point, "value", None) or getattr(point, "count", 0) for point in found)


async def ask(http: httpx.AsyncClient, text: str = ASK, **more: Any) -> None:
    await client_of(http).chat.completions.create(model="m", messages=messages(text), **more)


async def test_a_hit_opens_no_model_span(served: Served) -> None:
    """It is a workflow with an outcome, in the trace of the client, and nothing of it counts as a model call."""
    told = Told()
    async with served(Model(), watch=told.watch) as http:
        await ask(http, extra_headers={"traceparent": PARENT})
    (span,) = told.spans.get_finished_spans()
    assert (span.name, span.kind) == ("invoke_workflow seglam", SpanKind.INTERNAL)
    assert span.parent is not None and format(span.parent.span_id, "016x") == PARENT.split("-")[2]
    assert dict(span.attributes or {}) == {
        names.OPERATION: "invoke_workflow",
        names.AGENT: "seglam",
        names.SURFACE: "serve",
        names.OUTCOME: "hit",
        names.PROCEDURE: "double-0001@1",
        names.TENANT: "t",
    }
    assert not {names.CLIENT_DURATION, names.CLIENT_TOKENS} & set(told.points())
    assert told.value(names.REQUESTS, seglam__outcome="hit", seglam__tenant="t") == 1
    assert told.value(names.HITS, seglam__procedure__name="double-0001") == 1
    assert told.value(names.LOOKUP_DURATION, seglam__outcome="hit") == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_miss_has_a_span_for_the_model(stream: bool, served: Served) -> None:
    told = Told()
    async with served(Model(), watch=told.watch) as http:
        body = {"model": "m", "messages": messages("What is love?"), "stream": stream}
        more = {"stream_options": {"include_usage": True}} if stream else {}
        await http.post("/chat/completions", json={**body, **more})
    (whole,), (chat,) = told.named("invoke_workflow"), told.named("chat")
    assert chat.parent is not None and whole.context is not None and chat.parent.span_id == whole.context.span_id
    assert (chat.name, chat.kind) == ("chat m", SpanKind.CLIENT)
    assert dict(chat.attributes or {}) == {
        names.OPERATION: "chat",
        names.PROVIDER: "upstream.example",
        names.MODEL: "m",
        names.SERVER: "upstream.example",
        names.INPUT_TOKENS: 100,
        names.OUTPUT_TOKENS: 7,
    }
    assert told.value(names.CLIENT_DURATION, gen_ai__request__model="m") == 1
    (tokens, _) = told.points()[names.CLIENT_TOKENS]
    assert tokens.sum in (100, 7)
    assert told.value(names.REQUESTS, seglam__outcome="miss") == 1


async def test_an_error_of_the_server_is_one_of_the_span(served: Served) -> None:
    told = Told()
    model = Model(answer=lambda _: JSONResponse({"error": {"message": "no"}}, 429))
    async with served(model, watch=told.watch) as http:
        await http.post("/chat/completions", json={"model": "m", "messages": messages("hi")})
        await http.post("/chat/completions", json={"model": "m", "messages": messages(), "n": 2})
    first, second = told.named("chat")
    for span in (first, second):
        assert span.status.status_code is StatusCode.ERROR and (span.attributes or {})[names.ERROR] == "429"
    assert told.value(names.CLIENT_DURATION, error__type="429") == 2
    assert told.value(names.REQUESTS, seglam__outcome="pass") == 1


@pytest.mark.parametrize(("genai", "old", "new"), [("old", 1, 0), ("new", 0, 1), ("both", 1, 1)])
async def test_the_names_of_model_calls_are_a_switch(genai: Any, old: int, new: int, served: Served) -> None:
    told = Told(genai=genai)
    async with served(Model(), watch=told.watch) as http:
        await ask(http, "What is love?")
    assert told.value(names.CLIENT_DURATION) == old and told.value(names.INFERENCE_DURATION) == new
    assert told.value(names.INFERENCE_INPUT) == 100 * new and told.value(names.INFERENCE_OUTPUT) == 7 * new


async def test_a_millisecond_can_be_seen(served: Served) -> None:
    """By default, all that is under 5 seconds falls into one bucket."""
    told = Told()
    async with served(Model(), watch=told.watch) as http:
        await ask(http)
    (point,) = told.points()[names.LOOKUP_DURATION]
    assert point.explicit_bounds == tuple(names.SECONDS) and point.explicit_bounds[3] == 0.001


async def test_what_was_learnt_and_saved_is_counted(served: Served) -> None:
    """Tokens and money, by procedure and tenant."""
    told, model = Told(), Model()
    async with served(model, watch=told.watch, price=Price(1_000_000, 2_000_000, "EUR")) as http:
        for item, count in (("nuts", 12), ("nails", 900), ("screws", 47)):
            model.before = model.asked
            model.moves = (Wants((("count_stock", {"item": item}),)), Says(f"We have {count} {item}."))
            await run(http, f"How many {item} do we have?", str(count), stream=False)
        await run(http, "How many rivets do we have?", "310", stream=False)
    assert told.value(names.LEARNED, seglam__status="admitted", seglam__tenant="t") == 1
    assert told.value(names.LEARNED, seglam__status="rejected", seglam__tenant="t") == 2
    (hits,) = told.points()[names.HITS]
    procedure = str(hits.attributes[names.PROCEDURE])
    about = {"seglam__procedure__name": procedure, "seglam__tenant": "t"}
    assert told.value(names.SAVED_TOKENS, gen_ai__token__type="input", **about) == 200
    assert told.value(names.SAVED_TOKENS, gen_ai__token__type="output", **about) == 14
    assert told.value(names.SAVED_MONEY, seglam__currency="EUR", **about) == 228


def test_a_cache_beside_is_told_of(store: ProcedureStore, sandbox: MontySandbox) -> None:
    """An agent's own cache in the same process; one that is broken hides no other."""
    told = Told()
    with ReasoningCache(store, tenant="t", sandbox=sandbox, second_sandbox=None) as cache:
        cache.lookup(ASK)
        cache.lookup("What is love?")
        told.watch.beside(cache, "agent")
        told.watch.beside(None, "broken")  # type: ignore[arg-type]
        assert told.value(names.REQUESTS, seglam__outcome="hit", seglam__surface="agent") == 1
        assert told.value(names.REQUESTS, seglam__outcome="miss", seglam__surface="agent") == 1
        assert told.value(names.PROCEDURES, seglam__tenant="t") == 1


async def test_what_watches_may_break(served: Served) -> None:
    class Broken(Watch):
        def begun(self, *_: Any) -> Any:
            raise RuntimeError("no")

        def learned(self, *_: Any) -> None:
            raise RuntimeError("no")

    async with served(Model(), watch=Broken()) as http:
        await ask(http)
        await ask(http, "What is love?")


# --- nothing that was said -------------------------------------------------------------------------------------------

WORD = "Xylophon"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect what is logged, as lines of JSON."""
    written: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(JsonLines(current_ids).format(record))

    caplog.set_level(logging.INFO, "seglam_agents")
    handler = Lines()
    logging.getLogger("seglam_agents").addHandler(handler)
    yield written
    logging.getLogger("seglam_agents").removeHandler(handler)


async def test_requests_are_quoted_nowhere(served: Served, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in spans, nor in metrics, nor in logs: of hits, misses, give-ups, errors and what was learnt."""
    told, model = Told(), Model()
    async with served(model, watch=told.watch) as http:
        for item in ("Xylophones", "Xylophons", "Xylophonia"):
            model.before = model.asked
            model.moves = (Wants((("count_stock", {"item": item}),)), Says(f"{WORD}: 12 {item}."))
            await run(http, f"How many {item} do we have?", "12", stream=False)
        await run(http, f"How many {WORD} do we have?", f"Error: no {WORD}", stream=True)
        await ask(http, f"Double the number {WORD}")

        def broken(*_: Any, **__: Any) -> Any:
            raise ValueError(f"{WORD} broke it")

        monkeypatch.setattr(ReasoningCache, "plan", broken)
        await ask(http, f"How many {WORD} are in stock?", tools=TOOLS)
    spans = "".join(span.to_json() for span in told.spans.get_finished_spans())
    metrics = str(told.points())
    assert '"error": {"type": "ValueError"' in "".join(lines) and "outcome" in "".join(lines) and "hit" in metrics
    assert [text for text in (spans, metrics, *lines) if WORD in text] == []


async def test_a_line_says_what_became_of_a_request(served: Served, lines: list[str]) -> None:
    """With the ids of its trace, so that one leads to the other."""
    told = Told()
    async with served(Model(), watch=told.watch) as http:
        await ask(http)
    (line,) = [json.loads(line) for line in lines if "surfaces.requests" in line]
    (span,) = told.spans.get_finished_spans()
    assert span.context is not None and line["trace_id"] == format(span.context.trace_id, "032x")
    assert (line["outcome"], line["procedure"], line["tenant"]) == ("hit", "double-0001@1", "t")
    assert line["level"] == "info" and line["time"].endswith("+00:00")


async def test_texts_are_told_where_they_are_asked_for(served: Served) -> None:
    told = Told(texts=True)
    async with served(Model(), watch=told.watch) as http:
        await ask(http, "What is love?")
    (span,) = told.named("invoke_workflow")
    assert (span.attributes or {})[names.REASON]
    try:
        raise ValueError(WORD)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (WORD,), (ValueError, error, error.__traceback__))
    assert WORD in JsonLines(texts=True).format(record) and WORD not in JsonLines().format(record)


# --- Prometheus and Grafana ------------------------------------------------------------------------------------------

SERIES = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? \S+$", re.MULTILINE)
USED = re.compile(r"\b((?:seglam|gen_ai)_[a-z_]+)\b(?:\{([^}]*)\})?")
BY = re.compile(r"by \(([^)]*)\)")


async def scraped(served: Served) -> dict[str, set[str]]:
    """Return every metric that an endpoint shows after all sorts of requests, with its labels."""
    model = Model()
    with telemetry(genai="old") as (watch, surface):
        async with served(model, watch=watch, price=Price(1, 2)) as http:
            for item, count in (("nuts", 12), ("nails", 900), ("screws", 47)):
                model.before = model.asked
                model.moves = (Wants((("count_stock", {"item": item}),)), Says(f"We have {count} {item}."))
                await run(http, f"How many {item} do we have?", str(count), stream=False)
            await run(http, "How many rivets do we have?", "310", stream=False)
            await run(http, "How many rivets do we have?", "Error: none", stream=False)
            model.answer = lambda _: JSONResponse({}, 500)
            await http.post("/chat/completions", json={"model": "m", "messages": messages("hi")})
        watch.learned("t", Learned(status="admitted", usage=Usage(input_tokens=1, output_tokens=1)))
        transport = httpx.ASGITransport(Frame([surface]))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found: dict[str, set[str]] = {}
    for name, labels in SERIES.findall(answer.text):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


async def test_the_endpoint_shows_the_names_of_the_conventions(served: Served) -> None:
    found = await scraped(served)
    assert found["seglam_requests_total"] == {"seglam_outcome", "seglam_surface", "seglam_tenant"}
    assert "gen_ai_client_operation_duration_seconds_bucket" in found
    assert not [name for name, labels in found.items() if any(label.startswith("otel_scope") for label in labels)]


async def test_the_dashboard_asks_for_what_is_there(served: Served) -> None:
    """Every metric and every label of a panel is one that the endpoint shows, and each metric of ours has a panel."""
    found = await scraped(served)
    dashboard = json.loads(files("seglam_agents.surfaces.telemetry").joinpath("grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) >= 12 and len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    used: set[str] = set()
    for query in queries:
        metrics = [name for name, _ in USED.findall(query) if name not in ALL_LABELS]
        assert metrics, query
        for name, labels in USED.findall(query):
            if name in metrics:
                assert name in found, f"{name} in {query}"
                assert set(re.findall(r"(\w+)=", labels)) <= found[name], query
        for grouped in BY.findall(query):
            labels = {label.strip() for label in grouped.split(",")}
            assert labels <= found[metrics[0]], query
        used.update(name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in metrics)
    ours = {name for name in found if name.startswith("seglam_") and not name.endswith(("_sum", "_count", "_created"))}
    assert {name.removesuffix("_bucket") for name in ours} <= used | {"seglam_procedures"}


ALL_LABELS = frozenset(
    getattr(names, name).replace(".", "_") for name in dir(names) if isinstance(getattr(names, name), str)
) - {"seglam_requests", "seglam_learned", "seglam_procedures"}
