"""The host contract: agents with the middleware, graphs with a cached node, and graphs with a cache node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt
from lc_support import on
from seglam_agents import HostTool
from seglam_agents.testing.host_contract import (
    Edit,
    Fills,
    Host,
    HostContract,
    Job,
    PersonSays,
    PlainTool,
    Ran,
    Reject,
    Says,
    Wants,
)
from seglam_agents.testing.host_faults import HostFaults
from seglam_agents.testing.langchain import ScriptedChat

from langchain_seglam import (
    GraphCache,
    SeglamMiddleware,
    SeglamState,
    WriteOnce,
    add_reasoning_cache,
    cache_node,
    host_tools,
    learn_node,
)


def as_tools(tools: Sequence[PlainTool]) -> list[BaseTool]:
    """Return plain tools as those of LangChain."""
    made: list[BaseTool] = []
    for tool in tools:
        item = StructuredTool.from_function(
            tool.function, name=tool.name, description=tool.description, args_schema=tool.parameters
        )
        item.metadata = {"effect": tool.effect, "idempotent": tool.idempotent}
        made.append(item)
    return made


def scripted(job: Job) -> ScriptedChat:
    """Return the model of a worker."""
    script: list[AIMessage] = []
    for move in job.moves:
        calls: Sequence[tuple[str, dict[str, Any]]] = move.calls if isinstance(move, Wants) else ()
        if isinstance(move, Fills):
            calls = [(move.form.__name__, move.values)]
        asked = [
            {"name": name, "args": args, "id": f"c{n}", "type": "tool_call"} for n, (name, args) in enumerate(calls)
        ]
        script.append(AIMessage(move.text if isinstance(move, Says) else "", tool_calls=asked))  # type: ignore[arg-type]
    return ScriptedChat(script=script)


class AgentHost:
    """`create_agent` with the middleware, at the durability that LangGraph has by default."""

    def __init__(self) -> None:
        self.saver = InMemorySaver()

    def declare(self, tools: Sequence[PlainTool]) -> list[HostTool]:
        return host_tools(as_tools(tools))

    def build(self, job: Job, model: ScriptedChat, saver: Any) -> Any:
        gate = HumanInTheLoopMiddleware(dict.fromkeys(job.approve, True))
        middleware = [gate, SeglamMiddleware(job.cache)]
        prompt = job.told or None
        form = ToolStrategy(job.form) if job.form is not None else None
        given: dict[str, Any] = {"system_prompt": prompt, "response_format": form, "checkpointer": saver}
        return create_agent(model, as_tools(job.tools), middleware=middleware, **given)

    def ask(self, job: Job, text: str, thread: str | None = None, request_id: str | None = None) -> Ran:
        config = on(thread, **({"seglam_request_id": request_id} if request_id else {}))
        return self.run(job, {"messages": [*self.told(job), ("user", text)]}, config, thread)

    def told(self, job: Job) -> list[tuple[str, str]]:
        return []

    def decide(self, job: Job, thread: str, said: PersonSays) -> Ran:
        decision: dict[str, Any] = {"type": "approve"}
        if isinstance(said, Edit):
            decision = {"type": "edit", "edited_action": {"name": "order", "args": said.arguments}}
        elif isinstance(said, Reject):
            decision = {"type": "reject", "message": said.text}
        return self.run(job, Command(resume={"decisions": [decision]}), on(thread), thread)

    def resume(self, job: Job, thread: str) -> Ran:
        return self.run(job, None, on(thread), thread)

    def lose(self, thread: str) -> None:
        self.saver.delete_thread(thread)

    def run(self, job: Job, given: Any, config: Any, thread: str | None) -> Ran:
        model = scripted(job)
        graph = self.build(job, model, self.saver if thread else None)
        result = asyncio.run(graph.ainvoke(given, config)) if job.mode == "async" else graph.invoke(given, config)
        shown = "\n".join(str(message.content) for message in model.seen[-1]) if model.seen else ""
        last = result["messages"][-1]
        waiting = "__interrupt__" in result or bool(getattr(last, "tool_calls", ()))
        return Ran("" if waiting else last.text, model.calls, shown, waiting)


class GraphHost(AgentHost):
    """A graph of a model and tools, which ask a person themselves."""

    def told(self, job: Job) -> list[tuple[str, str]]:
        return [("system", job.told)] if job.told else []

    def builder(self, job: Job, ask: Callable[..., Any], tools: ToolNode) -> Any:
        builder = StateGraph(MessagesState).add_node("agent", ask).add_node("tools", tools)
        builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
        return add_reasoning_cache(builder, "agent", GraphCache(job.cache, tools=as_tools(job.tools), recorded=True))

    def build(self, job: Job, model: ScriptedChat, saver: Any) -> Any:
        def ask(state: MessagesState) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        async def aask(state: MessagesState) -> Any:
            return {"messages": [await model.ainvoke(state["messages"])]}

        once = WriteOnce(job.cache)

        def wrap(request: ToolCallRequest, execute: Any) -> Any:
            asked = approved(job, request)
            return asked if isinstance(asked, ToolMessage) else once.wrap(asked, execute)

        async def awrap(request: ToolCallRequest, execute: Any) -> Any:
            asked = approved(job, request)
            return asked if isinstance(asked, ToolMessage) else await once.awrap(asked, execute)

        tools = ToolNode(as_tools(job.tools), wrap_tool_call=wrap, awrap_tool_call=awrap)
        return self.builder(job, aask if job.mode == "async" else ask, tools).compile(checkpointer=saver)


def approved(job: Job, request: ToolCallRequest) -> ToolCallRequest | ToolMessage:
    """Return a call as a person left it, or his no."""
    call = request.tool_call
    if call["name"] not in job.approve:
        return request
    said = interrupt(call)["decisions"][0]
    if said["type"] == "reject":
        return ToolMessage(said["message"], tool_call_id=call["id"], name=call["name"], status="error")
    args = said["edited_action"]["args"] if said["type"] == "edit" else call["args"]
    return request.override(tool_call={**call, "args": args})


class NodeHost(GraphHost):
    """The same with a node in front that looks up, and one behind that learns."""

    def builder(self, job: Job, ask: Callable[..., Any], tools: ToolNode) -> Any:
        class State(MessagesState, SeglamState):
            pass

        shared = GraphCache(job.cache, tools=as_tools(job.tools), recorded=True)
        builder = StateGraph(State, input_schema=MessagesState).add_node("agent", ask).add_node("tools", tools)
        builder.add_node("cache", cache_node(shared, on_miss="agent", on_call="tools"))
        builder.add_node("learn", learn_node(shared)).add_edge(START, "cache").add_edge("tools", "cache")
        builder.add_conditional_edges("agent", tools_condition, {"tools": "tools", END: "learn"})
        return builder.add_edge("learn", END)


class TestAgents(HostContract):
    """Middleware."""

    @pytest.fixture
    def host(self) -> Host:
        return AgentHost()


class TestGraphs(HostContract):
    """`add_reasoning_cache`."""

    forms: ClassVar = False

    @pytest.fixture
    def host(self) -> Host:
        return GraphHost()


class TestNodes(HostContract):
    """`cache_node` and `learn_node`."""

    forms: ClassVar = False

    @pytest.fixture
    def host(self) -> Host:
        return NodeHost()


class TestAgentsThatBreak(HostFaults):
    """Middleware, with one thing broken at any of its calls."""

    @pytest.fixture
    def host(self) -> Host:
        return AgentHost()
