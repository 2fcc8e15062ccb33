"""`@reasoning_cached`: typed state in, typed update out."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from lc_support import Open, Runner, on, procedure
from pydantic import BaseModel
from seglam_agents import Learned, ReasoningCache
from seglam_agents.testing.models import ScriptedModel, writes
from typing_extensions import TypedDict

from langchain_seglam import reasoning_cached

ROUTE = """```python
NAME = "route"
TEMPLATES = ["Send the {size:choice(small|large)} parcel"]
CONTEXT = {"plan": "string"}

def run(size, plan):
    return {"queue": "fast" if plan == "gold" or size == "small" else "slow"}
```"""


class State(TypedDict, total=False):
    text: str
    plan: str
    queue: str


class Queue(TypedDict):
    queue: str


@dataclass
class Ctx:
    who: str = "x"


def graph_of(node: Any, schema: Any = State, **options: Any) -> Any:
    builder = StateGraph(schema, context_schema=Ctx).add_node("node", node).add_edge(START, "node")
    return builder.add_edge("node", END).compile(**options)


def test_a_routing_node(run: Runner, opened: Open) -> None:
    """The guard looks at the text and at the typed state; injected arguments still arrive."""
    cache = opened(None, ScriptedModel(writes(ROUTE)))
    calls: list[str] = []

    if run.is_async:

        @reasoning_cached(cache, text="text", context=["plan"])
        async def node(state: State, config: RunnableConfig, *, runtime: Runtime[Ctx]) -> Queue:
            calls.append(runtime.context.who)
            return {"queue": "fast"}
    else:

        @reasoning_cached(cache, text="text", context=["plan"])
        def node(state: State, config: RunnableConfig, *, runtime: Runtime[Ctx]) -> Queue:
            calls.append(runtime.context.who)
            return {"queue": "fast"}

    graph = graph_of(node)

    def ask(text: str, plan: str | None) -> str:
        given = {"text": text, **({"plan": plan} if plan else {})}
        return run(graph, given, None, context=Ctx("me"))["queue"]

    assert ask("Send the small parcel", "gold") == "fast" and calls == ["me"]
    assert cache.stats().admitted == 1, cache.stats()
    assert ask("Send the large parcel", "gold") == "fast" and ask("Send the large parcel", "basic") == "slow"
    assert calls == ["me"]
    assert ask("Send the large parcel", None) == "fast" and len(calls) == 2
    assert node.seglam.savings(cache).hits == 2


class Inner(typing.TypedDict):
    name: str


class Outer(typing.TypedDict, total=False):
    queue: typing.Required[str]
    inner: list[Inner]
    other: Inner | None


@pytest.mark.parametrize("kind", [Outer, Outer | None, Annotated[Outer, "a note"], dict[str, Outer | str]])
def test_typed_dicts_of_the_standard_library(opened: Open, kind: Any) -> None:
    """They are learnt and served as those of typing_extensions, on Python 3.11, too."""
    traces: list[Any] = []
    cache = opened()
    cache.observe = lambda trace: traces.append(trace) or Learned(status="rejected")
    update = {"queue": "fast", "inner": [{"name": "a"}]} if "dict" not in str(kind) else {"queue": "fast"}
    body = f"def run():\n    return {update!r}\n"
    procedure(cache, "fixed", "Send the fast one", body)

    @reasoning_cached(cache, text="text", returns=kind)
    def node(state: State) -> Any:
        return update

    assert node({"text": "Send another one"}) == update and len(traces) == 1
    assert node({"text": "Send the fast one"}) == update and cache.stats().hits == 1


class Opaque:
    """Something that nothing can be checked against."""


@pytest.mark.parametrize("kind", [Opaque, list[Opaque], Opaque | None])
def test_a_type_that_cannot_be_checked_fails_at_decoration(opened: Open, kind: Any) -> None:
    """It would never learn anything, and nobody would be told."""
    with pytest.raises(TypeError, match="Opaque"):
        reasoning_cached(opened(), text="text", returns=kind)(lambda state: state)


def test_a_command(run: Runner, opened: Open) -> None:
    """A command is made anew, and leads only where the node may go."""
    cache = opened()
    body = 'def run(n):\n    goto = "big" if n > 9 else "small"\n    goto = "nowhere" if n > 99 else goto\n'
    body += '    return {"$command": {"goto": goto, "update": {"queue": goto}}}\n'
    procedure(cache, "size", "Pack {n:count} boxes", body)
    ran: list[str] = []

    def decided(state: State) -> Command[Literal["big", "small"]]:
        ran.append(state["text"])
        return Command(goto="small", update={"queue": "by node"})

    async def adecided(state: State) -> Command[Literal["big", "small"]]:
        return decided(state)

    node = reasoning_cached(cache, text="text")(adecided if run.is_async else decided)
    builder = StateGraph(State).add_node("node", node).add_edge(START, "node")
    for name in ("big", "small"):
        builder.add_node(name, lambda state, name=name: {"plan": name})
    graph = builder.compile()
    assert "big" in graph.get_graph().draw_mermaid()
    assert run(graph, {"text": "Pack 20 boxes"}) == {"text": "Pack 20 boxes", "queue": "big", "plan": "big"}
    assert run(graph, {"text": "Pack 2 boxes"})["plan"] == "small" and ran == []
    assert run(graph, {"text": "Pack 200 boxes"})["queue"] == "by node" and cache.stats().deopts == 1


class Extracted(BaseModel):
    queue: str
    plan: str = "none"


@dataclass
class ExtractedData:
    queue: str


@pytest.mark.parametrize("kind", [Extracted, ExtractedData, Queue, dict[str, str], None])
def test_typed_updates(run: Runner, opened: Open, kind: Any) -> None:
    """The update is of the type that the node returns; an answer that is none of it leaves the node to run."""
    cache = opened()
    procedure(cache, "good", "Put {a:word} there", "def run(a):\n    return {'queue': a}\n")
    procedure(cache, "bad", "Drop {a:word} there", "def run(a):\n    return 3\n")

    def extract(state: State) -> Any:
        return {"queue": "by node"}

    async def aextract(state: State) -> Any:
        return {"queue": "by node"}

    node = reasoning_cached(cache, text="text", returns=kind)(aextract if run.is_async else extract)
    assert run(graph_of(node), {"text": "Put this there"})["queue"] == "this"
    assert run(graph_of(node), {"text": "Drop this there"})["queue"] == "by node"
    assert cache.stats().hits == 1 and cache.stats().deopts == 1


def test_what_has_no_json_form_is_not_learnt(run: Runner, opened: Open) -> None:
    """A node may return anything."""
    model = ScriptedModel([])
    cache = opened(None, model)

    class Odd:
        pass

    class AnyState(TypedDict, total=False):
        text: str
        queue: Any

    def odd(state: AnyState) -> dict[str, Any]:
        return {"queue": Odd()}

    async def aodd(state: AnyState) -> dict[str, Any]:
        return {"queue": Odd()}

    node = reasoning_cached(cache, text=lambda state: state["text"])(aodd if run.is_async else odd)
    assert isinstance(run(graph_of(node, AnyState), {"text": "Hello"})["queue"], Odd) and model.calls == 0


def test_switch_interrupt_and_store(run: Runner, opened: Open) -> None:
    """`off` runs the node; a node that interrupts is resumed; a broken cache is no cache."""
    cache = opened()
    procedure(cache, "good", "Put {a:word} there", "def run(a):\n    return {'queue': a}\n")

    def asks(state: State) -> dict[str, str]:
        return {"queue": interrupt("which?")}

    async def aasks(state: State) -> dict[str, str]:
        return {"queue": interrupt("which?")}

    node = reasoning_cached(cache, text="text")(aasks if run.is_async else asks)
    graph = graph_of(node, checkpointer=InMemorySaver())
    assert run(graph, {"text": "Put this there"}, on("1"))["queue"] == "this"
    assert "__interrupt__" in run(graph, {"text": "Put this there"}, on("2", seglam="off"))
    assert run(graph, Command(resume="mine"), on("2"))["queue"] in ("mine", "this")
    assert "__interrupt__" in run(graph, {"text": "Hello"}, on("3"))
    assert run(graph, Command(resume="mine"), on("3"))["queue"] == "mine"


def test_a_node_without_text(run: Runner, cache: ReasoningCache) -> None:
    """Without a text nothing is looked up."""

    def plain(state: State) -> dict[str, str]:
        return {"queue": "by node"}

    async def aplain(state: State) -> dict[str, str]:
        return {"queue": "by node"}

    node = reasoning_cached(cache, text="text")(aplain if run.is_async else plain)
    assert run(graph_of(node), {"plan": "x"})["queue"] == "by node" and cache.stats().requests == 0
