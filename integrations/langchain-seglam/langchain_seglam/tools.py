"""Tools both ways: LangChain tools as tools of the cache, and stored procedures as LangChain tools."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar, cast

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
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

from langchain_seglam.messages import new_id, render, result_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

PREFIX = "proc_"
MAX_NAME = 64
"""Characters of a tool's name that every provider takes."""
MAX_DESCRIPTION = 1_024
MAX_CALLS = 64
"""Tool calls of one run of a procedure that is called as a tool."""
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


def host_tools(tools: Sequence[BaseTool], effects: Mapping[str, Effect] | None = None) -> list[HostTool]:
    """Return LangChain tools as tools of a cache, for `ReasoningCache(tools=...)`.

    The effect of a tool is what `effects` says for its name, else what its `metadata` or `extras` say under
    "effect", else "write". `idempotent` is read there, too.

    Raises:
        ValueError: an effect is none of pure, read and write.
    """
    return [_host_tool(tool, (effects or {}).get(tool.name)) for tool in tools]


def described(tool: BaseTool, effect: Effect | None = None, *, idempotent: bool | None = None) -> Tool:
    """Return the signature of a LangChain tool as the cache knows it.

    Raises:
        ValueError: its effect is none of pure, read and write.
    """
    said = effect or _about(tool, "effect") or "write"
    if said not in EFFECTS:
        raise ValueError(f"the effect of tool {tool.name!r} is {said!r}; it must be one of {', '.join(EFFECTS)}")
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=parameters_of(tool),
        effect=said,
        idempotent=bool(_about(tool, "idempotent")) if idempotent is None else idempotent,
    )


def parameters_of(tool: BaseTool) -> dict[str, Json]:
    """Return the JSON Schema of the arguments that a model may give, without those that the host injects."""
    schema: object = tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        document = cast("dict[str, Json]", schema.model_json_schema())
    elif isinstance(schema, dict):
        document = cast("dict[str, Json]", schema)
    else:
        # Models of pydantic 1 have no other method.
        document = cast("dict[str, Json]", schema.schema())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    kept = {key: value for key, value in document.items() if key != "description"}
    return cast("dict[str, Json]", _untitled(kept))


def tool_name(procedure: Procedure) -> str:
    """Return the name under which a procedure is a tool: any worker finds the procedure by it again."""
    ident = re.sub(r"[^a-zA-Z0-9_-]", "_", procedure.id)
    name = re.sub(r"[^a-z0-9]+", "_", procedure.name.lower()).strip("_")
    if ident.startswith(f"{name}-"):
        return f"{PREFIX}{ident}"[:MAX_NAME]
    room = MAX_NAME - len(PREFIX) - len(ident) - 1
    return f"{PREFIX}{name[:room]}_{ident}" if room > 0 else f"{PREFIX}{ident}"[:MAX_NAME]


def is_procedure_tool(name: str) -> bool:
    """Tell whether a tool's name is one that `tool_name` gives."""
    return name.startswith(PREFIX)


def find_entry(cache: ReasoningCache, name: str) -> Entry | None:
    """Return the serving procedure with this tool name; None where there is none, or the store is gone."""
    try:
        entries = cache.procedures()
    except Exception:
        logger.exception("the procedures of the cache cannot be read")
        return None
    return next((x for x in entries if x.status == "active" and tool_name(x.procedure) == name), None)


def tool_by_name(cache: ReasoningCache, name: str, *, tools: Sequence[BaseTool] = ()) -> BaseTool | None:
    """Return the tool of a stored procedure by its name, on any worker that has the store; None where it is gone."""
    entry = find_entry(cache, name)
    return procedure_tool(cache, entry, tools=tools) if entry is not None else None


def cache_tools(
    cache: ReasoningCache,
    query: str | None = None,
    k: int = 8,
    *,
    tools: Sequence[BaseTool] = (),
    embedder: Embedder | None = None,
) -> list[BaseTool]:
    """Return the stored procedures nearest to a query as tools with arguments; without a query, any `k` of them.

    A procedure that calls tools is among them only where all of these are in `tools`: they are then called as
    LangChain tools, with callbacks and tracing, but not through the agent's middleware. `SeglamMiddleware(offer=...)`
    lets them go through it. Never raises: without a store there are no tools.
    """
    try:
        entries = nearest(cache, query, k, available={tool.name for tool in tools}, embedder=embedder)
        return [procedure_tool(cache, entry, tools=tools) for entry in entries]
    except Exception:
        logger.exception("no procedures can be offered as tools")
        return []


def nearest(
    cache: ReasoningCache,
    query: str | None,
    k: int,
    *,
    available: set[str],
    embedder: Embedder | None = None,
) -> list[Entry]:
    """Return the serving procedures nearest to a query whose tools are all available."""
    entries = [
        entry
        for entry in cache.procedures()
        if entry.status == "active" and all(use.name in available for use in entry.procedure.tools)
    ]
    if query is None or not entries:
        return sorted(entries, key=lambda entry: (-entry.statistics.hits, entry.procedure.id))[:k]
    scores = _similarity(cache, query, 4 * k, embedder)
    words = _words(query)
    return sorted(
        entries,
        key=lambda entry: (-scores.get(entry.procedure.id, 0.0), -_overlap(entry, words), entry.procedure.id),
    )[:k]


def procedure_tool(cache: ReasoningCache, entry: Entry, *, tools: Sequence[BaseTool] = ()) -> BaseTool:
    """Return a stored procedure as a tool.

    Its arguments are the procedure's parameters and no others. `metadata` says its effect and where it comes from.
    The message's artifact is `{"answer": ..., "seglam": ...}`. What goes wrong is an error message to the model.
    """
    procedure = entry.procedure
    model = arguments_model(procedure)
    by_name = {tool.name: tool for tool in tools}

    def run(config: RunnableConfig, **arguments: object) -> tuple[str, dict[str, Json]]:
        plan = _planned(cache, procedure, model, arguments)
        recorded: list[ToolResult] = []
        steps: list[ToolStep] = []
        while isinstance(action := cache.next_action(plan, recorded), Call) and len(steps) < MAX_CALLS:
            result = _result(by_name, action, lambda tool, call: tool.invoke(call, config))
            _record(action, result, recorded, steps)
        return _told(cache, plan, action, steps)

    async def arun(config: RunnableConfig, **arguments: object) -> tuple[str, dict[str, Json]]:
        plan = await asyncio.to_thread(_planned, cache, procedure, model, arguments)
        recorded: list[ToolResult] = []
        steps: list[ToolStep] = []
        while len(steps) < MAX_CALLS:
            action = await asyncio.to_thread(cache.next_action, plan, recorded)
            if not isinstance(action, Call):
                break
            result = await _aresult(by_name, action, config)
            _record(action, result, recorded, steps)
        else:
            action = GiveUp(f"more than {MAX_CALLS} tool calls")
        return await asyncio.to_thread(_told, cache, plan, action, steps)

    # StructuredTool looks for a parameter of this type by the annotation, which `from __future__` made a text.
    run.__annotations__["config"] = RunnableConfig
    arun.__annotations__["config"] = RunnableConfig
    return StructuredTool(
        name=tool_name(procedure),
        description=describe(procedure),
        args_schema=model,
        func=run,
        coroutine=arun,
        response_format="content_and_artifact",
        handle_tool_error=True,
        metadata=about(entry),
    )


def about(entry: Entry) -> dict[str, Json]:
    """Return the effect and the provenance of a procedure, for the metadata of a tool."""
    procedure = entry.procedure
    clean = entry.report.clean_replays
    return {
        "effect": effect_of(procedure),
        "seglam": {
            "procedure": procedure.key,
            "content_hash": procedure.content_hash,
            "tools": [use.name for use in procedure.tools],
            "compiler": procedure.provenance.compiler,
            "model": procedure.provenance.model,
            "trace_ids": list(procedure.provenance.trace_ids),
            "clean_replays": clean,
            "error_bound": min(1.0, 3 / clean) if clean else None,
        },
    }


def effect_of(procedure: Procedure) -> Effect:
    """Return the strongest effect of the tools of a procedure."""
    effects: list[Effect] = ["pure", *(use.effect for use in procedure.tools)]
    return max(effects, key=EFFECTS.index)


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


def run_blocking(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end from blocking code, whether or not this thread has an event loop."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(asyncio.run(coroutine))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, name="seglam-tool")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


_ToolCall: TypeAlias = dict[str, object]


def _host_tool(tool: BaseTool, effect: Effect | None) -> HostTool:
    def function(**arguments: Value) -> Value:
        call = _call(tool.name, {name: encode(value) for name, value in arguments.items()})
        result = _message_result(_invoke(tool, call))
        if result.error is not None:
            raise RuntimeError(result.error)
        return result.value

    return HostTool(described(tool, effect), function)


def _invoke(tool: BaseTool, call: _ToolCall) -> object:
    if isinstance(tool, StructuredTool) and tool.func is None and tool.coroutine is not None:
        return run_blocking(cast("Coroutine[object, object, object]", tool.ainvoke(call)))  # pyright: ignore[reportArgumentType]
    return cast(object, tool.invoke(call))  # pyright: ignore[reportArgumentType]


def _call(name: str, arguments: Mapping[str, Json]) -> _ToolCall:
    return {"type": "tool_call", "name": name, "args": dict(arguments), "id": new_id()}


def _message_result(output: object) -> ToolResult:
    if isinstance(output, ToolMessage):
        return result_of(output)
    return ToolResult(error=f"the tool returned a {type(output).__name__}, which only a graph can take")


def _result(tools: Mapping[str, BaseTool], action: Call, invoke: Callable[[BaseTool, _ToolCall], object]) -> ToolResult:
    tool = tools.get(action.tool)
    if tool is None:
        return ToolResult(error=f"tool {action.tool!r} is not available")
    try:
        return _message_result(invoke(tool, _call(action.tool, action.arguments)))
    except Exception as error:
        return ToolResult(error=f"{type(error).__name__}: {error}")


async def _aresult(tools: Mapping[str, BaseTool], action: Call, config: RunnableConfig) -> ToolResult:
    tool = tools.get(action.tool)
    if tool is None:
        return ToolResult(error=f"tool {action.tool!r} is not available")
    try:
        output = cast(object, await tool.ainvoke(_call(action.tool, action.arguments), config))  # pyright: ignore[reportArgumentType]
        return _message_result(output)
    except Exception as error:
        return ToolResult(error=f"{type(error).__name__}: {error}")


def _record(action: Call, result: ToolResult, recorded: list[ToolResult], steps: list[ToolStep]) -> None:
    recorded.append(result)
    steps.append(
        ToolStep(tool=action.tool, arguments=dict(action.arguments), result=encode(result.value), error=result.error)
    )


def _planned(
    cache: ReasoningCache, procedure: Procedure, model: type[BaseModel], arguments: Mapping[str, object]
) -> Plan:
    try:
        given = model.model_validate(dict(arguments)).model_dump(mode="json", by_alias=True, exclude_none=True)
    except ValidationError as error:
        raise ToolException(str(error)) from error
    plan = cache.bind(procedure.id, given)
    if isinstance(plan, Refused):
        raise ToolException(plan.reason)
    return plan


def _told(
    cache: ReasoningCache, plan: Plan, action: Call | Final | GiveUp, steps: Sequence[ToolStep]
) -> tuple[str, dict[str, Json]]:
    ended = action if not isinstance(action, Call) else GiveUp(f"more than {MAX_CALLS} tool calls")
    cache.finish(plan, ended, steps)
    if isinstance(ended, Final):
        return render(ended.answer), {"answer": ended.answer, "seglam": {"procedure": plan.procedure}}
    done = "; ".join(f"{step.tool}({dict(step.arguments)}) -> {step.error or step.result}" for step in steps)
    carried = f" These calls were carried out and must not be repeated: {done}" if done else ""
    raise ToolException(f"{plan.procedure} gave up: {ended.reason}.{carried}")


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


def _about(tool: BaseTool, key: str) -> object:
    for place in (tool.metadata, getattr(tool, "extras", None)):
        if isinstance(place, Mapping) and key in place:
            return cast("Mapping[str, object]", place)[key]
    return None


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
