"""Tools both ways: LlamaIndex tools as tools of the cache, and stored procedures as LlamaIndex tools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from llama_index.core.agent.workflow.multi_agent_workflow import handoff
from llama_index.core.objects import ObjectRetriever
from llama_index.core.schema import QueryBundle, QueryType
from llama_index.core.tools import BaseTool, FunctionTool, ToolMetadata
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from llama_index.core.tools.types import ToolOutput, adapt_to_async_tool
from seglam_agents import Call, HostTool, ReasoningCache, SeglamError, ToolResult, hosting
from seglam_agents.hosting import Json, tool_name

from llama_index.tools.seglam.values import described, tool_result


class ToolError(SeglamError, RuntimeError):
    """A procedure that was called as a tool has no answer; the text is for the model."""


def host_tools(
    tools: Sequence[BaseTool | Callable[..., Any]],
    effects: Mapping[str, hosting.Effect] | None = None,
    *,
    idempotent: Collection[str] = (),
) -> list[HostTool]:
    """Return LlamaIndex tools (or functions) as tools of a cache, for `ReasoningCache(tools=...)`.

    Args:
        tools: what procedures may call.
        effects: what tools do, by their names; LlamaIndex has no place for it. A tool without one is taken to write.
        idempotent: names of those whose repetition does no harm.

    Raises:
        ValueError: an effect is that of a tool whose name is misspelt.
    """
    known = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in tools]
    names = [tool.metadata.get_name() for tool in known]
    said = hosting.known_effects(effects, names)
    return [_host_tool(tool, said.get(name), name in idempotent) for tool, name in zip(known, names, strict=True)]


def handoff_tool() -> HostTool:
    """Return the tool by which agents of a workflow hand a request over: with it, the choice of the agent is learnt.

    It counts as a write: nothing is read that could tell a wrong choice, so words are held to what was seen.
    """
    return _host_tool(FunctionTool.from_defaults(async_fn=handoff), "write", True)


def cache_tools(
    cache: ReasoningCache,
    query: str | None = None,
    k: int = 8,
    *,
    tools: Sequence[BaseTool] = (),
    embedder: hosting.Embedder | None = None,
) -> list[FunctionTool]:
    """Return the procedures nearest to a query as tools; those with most hits without a query.

    Args:
        cache: whose procedures.
        query: a request.
        k: how many.
        tools: what procedures may call. Those that call other tools are left out.
        embedder: that of the cache, where it is not the default.
    """
    near = hosting.nearest(cache, query, k, available=_names(tools), embedder=embedder)
    return [procedure_tool(cache, entry, tools=tools) for entry in near]


def procedure_tool(
    cache: ReasoningCache, entry: hosting.Entry, *, tools: Sequence[BaseTool] = (), metadata: ToolMetadata | None = None
) -> FunctionTool:
    """Return a stored procedure as a tool.

    Its arguments are the procedure's parameters and no others; `FunctionTool` itself checks none, so this does. Its
    raw output is the answer. What goes wrong is an error for the model.
    """
    procedure, call = entry.procedure, hosting.among({tool.metadata.get_name(): tool for tool in tools}, _result)

    def used(arguments: Mapping[str, object]) -> hosting.Flow[Json]:
        said = yield from hosting.used(cache, procedure, arguments, call)
        if said.error:
            raise ToolError(said.text)
        return said.answer

    def run(**arguments: object) -> Json:
        return hosting.drive(used(arguments))

    async def arun(**arguments: object) -> Json:
        return await hosting.adrive(used(arguments))

    about = metadata or ToolMetadata(
        name=tool_name(procedure),
        description=hosting.described_procedure(procedure),
        fn_schema=hosting.arguments_model(procedure),
    )
    return FunctionTool(fn=run, async_fn=arun, metadata=about, callback=hosting.render, async_callback=_arender)


class ProcedureToolRetriever(ObjectRetriever[BaseTool]):
    """Offers stored procedures as tools, for `tool_retriever=` of an agent.

    An agent asks twice: with the request, for what to offer to the model, and with a tool's name, to call it. A name
    of a procedure is found again on any worker that has the store. Never raises: without a store there are no tools.

    Args:
        cache: whose procedures.
        k: how many are offered for a request.
        tools: what procedures may call. Those that call other tools are not offered.
        embedder: that of the cache, where it is not the default.
        also: another retriever whose tools are offered, too.
    """

    def __init__(  # it is no index with nodes, so the base has nothing to set up
        self,
        cache: ReasoningCache,
        k: int = 3,
        *,
        tools: Sequence[BaseTool] = (),
        embedder: hosting.Embedder | None = None,
        also: ObjectRetriever[BaseTool] | None = None,
    ) -> None:
        self.cache = cache
        self.k = k
        self.tools = tools
        self.embedder = embedder
        self.also = also

    def retrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """Return the procedure of this name, or those nearest to a request."""
        others = self.also.retrieve(str_or_query_bundle) if self.also is not None else []
        return [*self._retrieve(str_or_query_bundle), *others]

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """Return the procedure of this name, or those nearest to a request. See `retrieve`."""
        others = await self.also.aretrieve(str_or_query_bundle) if self.also is not None else []
        return [*await asyncio.to_thread(self._retrieve, str_or_query_bundle), *others]

    def _retrieve(self, query: QueryType) -> Sequence[BaseTool]:
        text = query.query_str if isinstance(query, QueryBundle) else query
        entry = hosting.find_entry(self.cache, text, _names(self.tools))
        if entry is not None:
            return [procedure_tool(self.cache, entry, tools=self.tools)]
        return cache_tools(self.cache, text, self.k, tools=self.tools, embedder=self.embedder)


class SeglamToolSpec(BaseToolSpec):
    """The stored procedures of a cache as a tool spec: `SeglamToolSpec(cache).to_tool_list()`.

    Args:
        cache: whose procedures.
        tools: what procedures may call. Those that call other tools are left out.
    """

    spec_functions: list[str | tuple[str, str]] = []  # noqa: RUF012  # the type of the base

    def __init__(self, cache: ReasoningCache, *, tools: Sequence[BaseTool] = ()) -> None:
        self.cache = cache
        self.tools = tools

    def to_tool_list(
        self,
        spec_functions: Sequence[str | tuple[str, str]] | None = None,
        func_to_metadata_mapping: dict[str, ToolMetadata] | None = None,
    ) -> list[FunctionTool]:
        """Return every procedure as a tool, or those of these names (of the tool or of the procedure)."""
        wanted = {item if isinstance(item, str) else item[0] for item in spec_functions or ()}
        metadata = func_to_metadata_mapping or {}
        return [
            procedure_tool(self.cache, entry, tools=self.tools, metadata=metadata.get(tool_name(entry.procedure)))
            for entry in hosting.serving(self.cache, _names(self.tools))
            if not wanted or wanted & {tool_name(entry.procedure), entry.procedure.name}
        ]


def _names(tools: Sequence[BaseTool]) -> set[str]:
    return {tool.metadata.get_name() for tool in tools}


async def _arender(answer: Json) -> str:
    return hosting.render(answer)


def _host_tool(tool: BaseTool, effect: hosting.Effect | None, idempotent: bool) -> HostTool:
    def run(arguments: dict[str, Json]) -> ToolResult:
        return hosting.drive(_result(tool, Call(tool.metadata.get_name(), arguments)))

    return HostTool(described(tool, effect, idempotent=idempotent), hosting.function_of(run))


def _result(tool: BaseTool, action: Call) -> hosting.Flow[ToolResult]:
    run: Callable[..., ToolOutput] = getattr(tool, "call", tool)
    arun: Callable[..., Awaitable[ToolOutput]] = adapt_to_async_tool(tool).acall
    given = action.arguments
    return tool_result((yield from hosting.host(lambda: run(**given), lambda: arun(**given))))
