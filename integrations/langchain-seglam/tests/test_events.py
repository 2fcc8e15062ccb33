"""What is told: custom events, the custom stream, spans, and names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from lc_support import Open, Runner, Shop, agent, procedure, says, seglam
from seglam_agents import ReasoningCache
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import SeglamMiddleware
from langchain_seglam import events as events_module

COST = "What do 2 tea and 3 milk cost?"


class Listener(BaseCallbackHandler):
    """Keeps custom events."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        self.heard.append((name, data))


def test_custom_events(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """A lookup, a hit and a give-up are told once each, with their procedure."""
    listener = Listener()
    graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache))
    for text in (COST, "Order 20 boxes of tea", "Hello"):
        run(graph, {"messages": [("user", text)]}, {"callbacks": [listener]})
    names = [name for name, _ in listener.heard]
    assert names == ["seglam.lookup", "seglam.hit", "seglam.lookup", "seglam.deopt", "seglam.lookup"]
    assert listener.heard[0][1] == {"found": True, "procedure": "total-0001@1", "pure": False}
    assert listener.heard[1][1]["steps"] == 2 and "too many" in listener.heard[3][1]["reason"]
    assert listener.heard[4][1]["found"] is False


def test_astream_events(cache: ReasoningCache, shop: Shop) -> None:
    """They are in the stream of events."""
    graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache, mode="jump"))

    async def collect() -> list[str]:
        given = {"messages": [("user", "Add 1 and 2")]}
        return [e["name"] async for e in graph.astream_events(given, version="v2") if e["event"] == "on_custom_event"]

    assert asyncio.run(collect()) == ["seglam.lookup", "seglam.hit"]


def test_the_custom_stream(run: Runner, cache: ReasoningCache, shop: Shop) -> None:
    """They are in `stream_mode="custom"` where that was asked for."""
    given = {"messages": [("user", COST)]}
    for wanted, expected in ((False, []), (True, ["seglam.lookup", "seglam.hit"])):
        graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache, custom_stream=wanted))
        assert [item["type"] for item in run.stream(graph, given, stream_mode="custom")] == expected


def test_spans(run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenTelemetry is there, steps, lookups and hits are spans."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    class Otel:
        get_tracer = staticmethod(provider.get_tracer)

    monkeypatch.setattr(events_module, "_otel", Otel)
    run.ask(agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache)), COST)
    spans = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert set(spans) == {"seglam.step", "seglam.lookup", "seglam.hit"}
    assert spans["seglam.hit"]["seglam.procedure"] == "total-0001@1"


def test_without_opentelemetry(run: Runner, cache: ReasoningCache, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its API nothing is missing."""
    monkeypatch.setattr(events_module, "_otel", None)
    result = run.ask(agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache)), COST)
    assert result["messages"][-1].text == "total 12"


def test_names(opened: Open) -> None:
    """A name is the same in every worker, and differs between tenants."""
    first, same, other = opened(), opened(), opened(tenant="a")
    assert seglam(first).name == seglam(same).name == "SeglamMiddleware"
    assert seglam(other).name == seglam(opened(tenant="a")).name != "SeglamMiddleware"
    assert seglam(first, name="mine").name == "mine"
    assert isinstance(seglam(first, mode="jump"), SeglamMiddleware)


def test_the_agents_name(run: Runner, opened: Open, shop: Shop) -> None:
    """A named agent signs what a procedure says, as it signs what its model says."""
    cache = opened()
    procedure(cache, "add", "Add {a:number} and {b:number}", "def run(a, b):\n    return a + b\n")
    graph = agent(ScriptedChat(script=[says("by model")]), shop, seglam(cache), name="clerk")
    assert run.ask(graph, "Add 1 and 2")["messages"][-1].name == "clerk"
