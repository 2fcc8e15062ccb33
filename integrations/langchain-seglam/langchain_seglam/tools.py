"""Tools both ways: LangChain tools as tools of the cache, and stored procedures as LangChain tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from seglam_agents import Call, HostTool, Tool, ToolResult, hosting
from seglam_agents.hosting import Effect, HostedCache, Json

from langchain_seglam.kinds import Loose, loose
from langchain_seglam.messages import shown, tool_call


def host_tools(tools: Sequence[BaseTool], effects: Mapping[str, Effect] | None = None) -> list[HostTool]:
    """Return LangChain tools as tools of a cache, for `ReasoningCache(tools=...)`.

    The effect of a tool is what `effects` says for its name, else what its `metadata` or `extras` say under
    "effect", else "write". `idempotent` is read there, too.

    Raises:
        ValueError: an effect is none of pure, read and write, or is that of a tool whose name is misspelt.
        TypeError: something is no tool of LangChain.
    """
    for tool in tools:
        if not isinstance(tool, BaseTool):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            raise TypeError(f"{tool!r} is no tool of LangChain: decorate the function with langchain_core.tools.tool")
    known = hosting.known_effects(effects, {tool.name for tool in tools})
    return [_host_tool(tool, known.get(tool.name)) for tool in tools]


def described(tool: BaseTool, effect: Effect | None = None) -> Tool:
    """Return the signature of a LangChain tool as the cache knows it.

    Raises:
        ValueError: its effect is none of pure, read and write.
    """
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=parameters_of(tool),
        effect=hosting.checked_effect(tool.name, effect or _about(tool, "effect")),
        idempotent=bool(_about(tool, "idempotent")),
    )


def offered(tools: Sequence[BaseTool], name: str) -> Tool | str | None:
    """Return the tool of a name as it may be called now, None where there is none, or what is in the way."""
    tool = next((tool for tool in tools if tool.name == name), None)
    try:
        return described(tool, "write") if tool is not None else None
    except Exception as error:
        return f"the arguments of the tool {name} cannot be read: {error}"


def parameters_of(tool: BaseTool) -> dict[str, Json]:
    """Return the JSON Schema of the arguments that a model may give, without those that the host injects."""
    schema: object = tool.tool_call_schema
    if not hosting.mapping(schema):
        # Models of pydantic 1 have another method.
        schema = (getattr(schema, "model_json_schema", None) or loose(schema).schema)()
    return hosting.untitled({key: value for key, value in hosting.mapping(schema).items() if key != "description"})


def tool_by_name(cache: HostedCache, name: str, *, tools: Sequence[BaseTool] = ()) -> BaseTool | None:
    """Return the tool of a stored procedure by its name, on any worker that has the store; None where it is gone."""
    entry = hosting.find_entry(cache, name)
    return procedure_tool(cache, entry, tools=tools) if entry is not None else None


def cache_tools(
    cache: HostedCache,
    query: str | None = None,
    k: int = 8,
    *,
    tools: Sequence[BaseTool] = (),
    embedder: hosting.Embedder | None = None,
) -> list[BaseTool]:
    """Return the stored procedures nearest to a query as tools with arguments; without a query, any `k` of them.

    A procedure that calls tools is among them only where all of these are in `tools`: they are then called as
    LangChain tools, with callbacks and tracing, but not through the agent's middleware. `SeglamMiddleware(offer=...)`
    lets them go through it. Never raises: without a store there are no tools.
    """
    entries = hosting.nearest(cache, query, k, available={tool.name for tool in tools}, embedder=embedder)
    return [procedure_tool(cache, entry, tools=tools) for entry in entries]


def procedure_tool(cache: HostedCache, entry: hosting.Entry, *, tools: Sequence[BaseTool] = ()) -> BaseTool:
    """Return a stored procedure as a tool.

    Its arguments are the procedure's parameters and no others. `metadata` says its effect and where it comes from.
    The message's artifact is `{"answer": ..., "seglam": ...}`. What goes wrong is an error message to the model.
    """
    procedure = entry.procedure
    by_name = {tool.name: tool for tool in tools}

    def said(config: RunnableConfig, arguments: Mapping[str, object]) -> hosting.Flow[tuple[str, dict[str, Json]]]:
        # LangChain fills in what was left out as None.
        given = {name: value for name, value in arguments.items() if value is not None}
        call = hosting.among(by_name, lambda tool, call: _called(tool, call, config))
        told = yield from hosting.used(cache, procedure, given, call)
        if told.error:
            raise ToolException(told.text)
        return told.text, {"answer": told.answer, "seglam": {"procedure": told.procedure}}

    def run(config: RunnableConfig, **arguments: object) -> tuple[str, dict[str, Json]]:
        return hosting.drive(said(config, arguments))

    async def arun(config: RunnableConfig, **arguments: object) -> tuple[str, dict[str, Json]]:
        return await hosting.adrive(said(config, arguments))

    # StructuredTool looks for a parameter of this type by the annotation, which `from __future__` made a text.
    run.__annotations__["config"] = RunnableConfig
    arun.__annotations__["config"] = RunnableConfig
    return StructuredTool(
        name=hosting.tool_name(procedure),
        description=hosting.described_procedure(procedure),
        args_schema=hosting.arguments_model(procedure),
        func=run,
        coroutine=arun,
        response_format="content_and_artifact",
        handle_tool_error=True,
        metadata=hosting.provenance_of(entry),
    )


def with_procedure(request: ToolCallRequest, cache: HostedCache | None) -> ToolCallRequest | ToolMessage:
    """Give a call of a procedure its tool, found by name: the worker that offered it may have been another."""
    name = request.tool_call["name"]
    if cache is None or request.tool is not None or not hosting.is_procedure_tool(name):
        return request
    entry = hosting.find_entry(cache, name)
    if entry is None:
        return request  # The host says that there is no such tool.
    if entry.procedure.pure:
        return request.override(tool=procedure_tool(cache, entry))
    text = "This procedure calls tools itself. Call it again, alone, and with arguments that it takes."
    return ToolMessage(content=text, name=name, tool_call_id=request.tool_call["id"], status="error")


def _host_tool(tool: BaseTool, effect: Effect | None) -> HostTool:
    def run(arguments: dict[str, Json]) -> ToolResult:
        call = _call(tool.name, arguments)
        if isinstance(tool, StructuredTool) and tool.func is None and tool.coroutine is not None:
            return _read(hosting.run_blocking(tool.ainvoke(call)))
        return _read(tool.invoke(call))

    return HostTool(described(tool, effect), hosting.function_of(run))


def _call(name: str, arguments: Mapping[str, Json]) -> Loose:
    return tool_call(hosting.Asked(id=hosting.new_id(), tool=name, arguments=dict(arguments)))


def _read(output: object) -> ToolResult:
    if isinstance(output, ToolMessage):
        return shown(output).result()
    return ToolResult(error=f"the tool returned a {type(output).__name__}, which only a graph can take")


def _called(tool: BaseTool, action: Call, config: RunnableConfig) -> hosting.Flow[ToolResult]:
    call = _call(action.tool, action.arguments)
    return _read((yield from hosting.host(lambda: tool.invoke(call, config), lambda: tool.ainvoke(call, config))))


def _about(tool: BaseTool, key: str) -> object:
    for place in (tool.metadata, getattr(tool, "extras", None)):
        if hosting.is_object(place) and key in place:
            return place[key]
    return None
