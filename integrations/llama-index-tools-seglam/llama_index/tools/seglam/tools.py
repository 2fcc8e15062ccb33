"""Tools both ways: LlamaIndex tools as tools of the cache, and stored procedures as LlamaIndex tools."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, cast

from llama_index.core.objects import ObjectRetriever
from llama_index.core.schema import QueryBundle, QueryType
from llama_index.core.tools import BaseTool, FunctionTool, ToolMetadata
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from llama_index.core.tools.types import ToolOutput, adapt_to_async_tool
from pydantic import BaseModel, ConfigDict, Field, create_model
from seglam_agents import Call, Final, GiveUp, HostTool, Plan, ReasoningCache, Refused, Tool, ToolResult, ToolStep
from seglam_agents.embedders.base import Embedder
from seglam_agents.embedders.static import default_embedder
from seglam_agents.guards.normal import normalise
from seglam_agents.records.entry import Entry
from seglam_agents.records.procedure import Parameter, Procedure
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Effect
from seglam_agents.records.values import Value, encode
from seglam_agents.stores.base import SearchableStore

from llama_index.tools.seglam.running import arun_plan, run_plan
from llama_index.tools.seglam.values import render, tool_result

logger = logging.getLogger(__name__)

PREFIX = "proc_"
MAX_NAME = 64
"""Characters of a tool's name that every provider takes."""
MAX_DESCRIPTION = 1_024
EFFECTS: tuple[Effect, ...] = ("pure", "read", "write")

_NUMBERS = frozenset({"number", "percent", "multiple", "fraction"})
_COUNTS = frozenset({"count", "ordinal"})
_JSON_TYPES: Mapping[str, object] = {
    "string": str,
    "number": float,
    "integer": int,
    "boolean": bool,
    "array": list[Json],
    "object": dict[str, Json],
}


class ToolError(RuntimeError):
    """A procedure that was called as a tool has no answer; the text is for the model."""


def host_tools(
    tools: Sequence[BaseTool | Callable[..., Any]], effects: Mapping[str, Effect] | None = None
) -> list[HostTool]:
    """Return LlamaIndex tools (or functions) as tools of a cache, for `ReasoningCache(tools=...)`.

    The effect of a tool is what `effects` says for its name, else "write": LlamaIndex has no place for it.
    """
    known = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in tools]
    return [_host_tool(tool, (effects or {}).get(tool.metadata.get_name())) for tool in known]


def described(tool: BaseTool, effect: Effect | None = None, *, idempotent: bool = False) -> Tool:
    """Return the signature of a LlamaIndex tool as the cache knows it."""
    parameters = tool.metadata.get_parameters_dict()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return Tool(
        name=tool.metadata.get_name(),
        description=tool.metadata.description,
        parameters=cast("dict[str, Json]", _untitled(cast(Json, parameters))),
        effect=effect or "write",
        idempotent=idempotent,
    )


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
        embedder: Embedder | None = None,
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

    def _retrieve(self, query: QueryType) -> list[BaseTool]:
        text = query.query_str if isinstance(query, QueryBundle) else query
        try:
            entry = find_entry(self.cache, text, {tool.metadata.get_name() for tool in self.tools})
            if entry is not None:
                return [procedure_tool(self.cache, entry, tools=self.tools)]
            return list(cache_tools(self.cache, text, self.k, tools=self.tools, embedder=self.embedder))
        except Exception:
            logger.exception("no procedures can be offered as tools")
            return []


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
        available = {tool.metadata.get_name() for tool in self.tools}
        metadata = func_to_metadata_mapping or {}
        return [
            procedure_tool(self.cache, entry, tools=self.tools, metadata=metadata.get(tool_name(entry.procedure)))
            for entry in _serving(self.cache, available)
            if not wanted or wanted & {tool_name(entry.procedure), entry.procedure.name}
        ]


def tool_name(procedure: Procedure) -> str:
    """Return the name under which a procedure is a tool: any worker finds the procedure by it again."""
    ident = re.sub(r"[^a-zA-Z0-9_-]", "_", procedure.id)
    name = re.sub(r"[^a-z0-9]+", "_", procedure.name.lower()).strip("_")
    if ident.startswith(f"{name}-"):
        return f"{PREFIX}{ident}"[:MAX_NAME]
    room = MAX_NAME - len(PREFIX) - len(ident) - 1
    return f"{PREFIX}{name[:room]}_{ident}" if room > 0 else f"{PREFIX}{ident}"[:MAX_NAME]


def find_entry(cache: ReasoningCache, name: str, available: set[str]) -> Entry | None:
    """Return the serving procedure with this tool name, or None."""
    if not name.startswith(PREFIX):
        return None
    return next((entry for entry in _serving(cache, available) if tool_name(entry.procedure) == name), None)


def cache_tools(
    cache: ReasoningCache,
    query: str | None = None,
    k: int = 8,
    *,
    tools: Sequence[BaseTool] = (),
    embedder: Embedder | None = None,
) -> list[FunctionTool]:
    """Return the stored procedures nearest to a query as tools; without a query, the `k` with most hits."""
    entries = _serving(cache, {tool.metadata.get_name() for tool in tools})
    if query is None:
        ordered = sorted(entries, key=lambda entry: (-entry.statistics.hits, entry.procedure.id))
    else:
        scores, words = _similarity(cache, query, 4 * k, embedder), _words(query)
        ordered = sorted(entries, key=lambda x: (-scores.get(x.procedure.id, 0.0), -_overlap(x, words), x.procedure.id))
    return [procedure_tool(cache, entry, tools=tools) for entry in ordered[:k]]


def procedure_tool(
    cache: ReasoningCache, entry: Entry, *, tools: Sequence[BaseTool] = (), metadata: ToolMetadata | None = None
) -> FunctionTool:
    """Return a stored procedure as a tool.

    Its arguments are the procedure's parameters and no others; `FunctionTool` itself checks none, so this does. Its
    raw output is the answer. What goes wrong is an error for the model.
    """
    procedure = entry.procedure
    model = arguments_model(procedure)
    by_name = {tool.metadata.get_name(): tool for tool in tools}

    def run(**arguments: Any) -> Json:
        plan = _planned(cache, procedure, model, arguments)
        action, steps = run_plan(cache, plan, lambda call: _result(by_name, call))
        return _told(cache, plan, action, steps)

    async def arun(**arguments: Any) -> Json:
        plan = await asyncio.to_thread(_planned, cache, procedure, model, arguments)
        action, steps = await arun_plan(cache, plan, lambda call: _aresult(by_name, call))
        return await asyncio.to_thread(_told, cache, plan, action, steps)

    about = metadata or ToolMetadata(name=tool_name(procedure), description=describe(procedure), fn_schema=model)
    return FunctionTool(fn=run, async_fn=arun, metadata=about, callback=_text_of, async_callback=_atext_of)


def describe(procedure: Procedure) -> str:
    """Return what a model is told about a procedure."""
    parts = [procedure.description or procedure.name.replace("_", " ")]
    if procedure.guard.templates:
        parts.append(f"Answers requests like: {procedure.guard.templates[0]}")
    if procedure.guard.where:
        parts.append(f"Only where {procedure.guard.where}.")
    return "\n".join(parts)[:MAX_DESCRIPTION]


def arguments_model(procedure: Procedure) -> type[BaseModel]:
    """Return the model of the arguments of a procedure, rebuilt from its stored parameters; others are forbidden."""
    fields = {_field_name(p.name): _field(p) for p in procedure.parameters}
    # The stubs of `create_model` take no dict of fields.
    return create_model(  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
        f"{re.sub(r'[^a-zA-Z0-9]', '_', procedure.name)}_arguments",
        __config__=ConfigDict(extra="forbid", populate_by_name=True),
        __doc__=describe(procedure),
        **fields,  # pyright: ignore[reportArgumentType]
    )


def _text_of(result: Any) -> str:  # whatever a procedure answers
    return render(cast(Json, result))


async def _atext_of(result: Any) -> str:  # whatever a procedure answers
    return render(cast(Json, result))


def _host_tool(tool: BaseTool, effect: Effect | None) -> HostTool:
    def function(**arguments: Value) -> Value:
        result = _result({tool.metadata.get_name(): tool}, Call(tool.metadata.get_name(), _json(arguments)))
        if result.error is not None:
            raise RuntimeError(result.error)
        return result.value

    return HostTool(described(tool, effect), function)


def _json(arguments: Mapping[str, Value]) -> dict[str, Json]:
    return {name: encode(value) for name, value in arguments.items()}


def _result(tools: Mapping[str, BaseTool], action: Call) -> ToolResult:
    tool = tools.get(action.tool)
    if tool is None:
        return ToolResult(error=f"tool {action.tool!r} is not available")
    run = cast("Callable[..., ToolOutput]", getattr(tool, "call", tool))
    return tool_result(run(**action.arguments))


async def _aresult(tools: Mapping[str, BaseTool], action: Call) -> ToolResult:
    tool = tools.get(action.tool)
    if tool is None:
        return ToolResult(error=f"tool {action.tool!r} is not available")
    run = cast("Callable[..., Awaitable[ToolOutput]]", adapt_to_async_tool(tool).acall)
    return tool_result(await run(**action.arguments))


def _planned(
    cache: ReasoningCache, procedure: Procedure, model: type[BaseModel], arguments: Mapping[str, object]
) -> Plan:
    try:
        given = model.model_validate(dict(arguments)).model_dump(mode="json", by_alias=True, exclude_none=True)
    except ValueError as error:
        raise ToolError(str(error)) from error
    plan = cache.bind(procedure.id, given)
    if isinstance(plan, Refused):
        raise ToolError(plan.reason)
    return plan


def _told(cache: ReasoningCache, plan: Plan, action: Final | GiveUp, steps: Sequence[ToolStep]) -> Json:
    cache.finish(plan, action, steps)
    if isinstance(action, Final):
        return action.answer
    done = "; ".join(f"{step.tool}({dict(step.arguments)}) -> {step.error or step.result}" for step in steps)
    carried = f" These calls were carried out and must not be repeated: {done}" if done else ""
    raise ToolError(f"{plan.procedure} gave up: {action.reason}.{carried}")


def _serving(cache: ReasoningCache, available: set[str]) -> list[Entry]:
    return [
        entry
        for entry in cache.procedures()
        if entry.status == "active" and all(use.name in available for use in entry.procedure.tools)
    ]


def _field_name(name: str) -> str:
    return f"{name.strip('_')}_" if name.startswith(("_", "model_")) else name


def _field(parameter: Parameter) -> tuple[object, object]:
    kind, hint = _type_of(parameter.slot)
    alias = parameter.name if _field_name(parameter.name) != parameter.name else None
    if parameter.optional:
        return (cast("type[object]", kind) | None, Field(default=None, description=hint, alias=alias))
    return (kind, Field(description=hint, alias=alias))


def _type_of(slot: str) -> tuple[object, str]:
    """Return the type of a slot's value as a model gives it, and a hint: a text is read by the slot itself."""
    if slot in _JSON_TYPES:
        return _JSON_TYPES[slot], slot
    if slot in _COUNTS:
        return int, f"a {slot}"
    if slot in _NUMBERS:
        return float, f"a {slot}"
    if inner := re.fullmatch(r"list\((.*)\)", slot):
        kind, hint = _type_of(inner[1])
        return list[kind], f"a list; each {hint}"  # pyright: ignore[reportInvalidTypeArguments]
    if choice := re.fullmatch(r"choice\((.*)\)", slot):
        options = tuple(option.strip() for option in choice[1].split("|"))
        return Literal[options], "one of these"  # pyright: ignore[reportInvalidTypeForm]
    return str, f"a text that is a {slot}, as in a sentence"


def _similarity(cache: ReasoningCache, query: str, limit: int, embedder: Embedder | None) -> dict[str, float]:
    if not isinstance(cache.store, SearchableStore):
        return {}
    try:
        vector = [float(number) for number in (embedder or default_embedder()).embed_query(query)]
        matches = cache.store.search(cache.scope, vector, limit=limit)
    except Exception:
        # Another embedder made the stored vectors, or the store is gone: the words decide.
        return {}
    return {match.entry.procedure.id: match.score for match in matches}


def _overlap(entry: Entry, words: set[str]) -> float:
    procedure = entry.procedure
    theirs = _words(" ".join((procedure.name, procedure.description, *procedure.guard.templates)))
    return len(words & theirs) / (len(words) or 1)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{2,}", normalise(text).text.casefold().replace("_", " ")))


def _untitled(value: Json, *, named: bool = False) -> Json:
    """Return a schema without the titles that pydantic makes of names; a property may be called title."""
    if isinstance(value, list):
        return [_untitled(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _untitled(item, named=key in ("properties", "$defs") and not named)
        for key, item in value.items()
        if named or key != "title" or not isinstance(item, str)
    }
