"""The tools of recorded runs: as a file declares them, or as the runs show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from seglam_agents.harvest.fields import first, from_json, rows, table, text
from seglam_agents.records.errors import SeglamError
from seglam_agents.records.record import Json
from seglam_agents.records.tools import Effect, Tool
from seglam_agents.records.trace import Trace
from seglam_agents.serving.arguments import schema_problem


class ToolsError(SeglamError):
    """A file that should declare tools does not; the message says what it should hold."""


def read_tools(path: Path) -> list[Tool]:
    """Read tools from a JSON file: `Tool` documents, OpenAI function tools, or MCP tools; a list or `{"tools": […]}`.

    Raises:
        ToolsError: the file cannot be read, or one of its items is no tool.
    """
    try:
        document = from_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ToolsError(
            f"the tools in {path} cannot be read ({error}): give a JSON file with a list of tools"
        ) from None
    items = document if isinstance(document, list) else _listed(document)
    tools = [_tool(item, f"tool {number} in {path}") for number, item in enumerate(items, 1)]
    twice = {tool.name for tool in tools if [other.name for other in tools].count(tool.name) > 1}
    if not tools or twice:
        problem = f"declares {', '.join(sorted(twice))} twice" if twice else "holds no tools"
        raise ToolsError(f"{path} {problem}: give a JSON file with a list of tools, each with a name of its own")
    for number, tool in enumerate(tools, 1):
        if problem := schema_problem(tool):
            raise ToolsError(
                f"tool {number} in {path}, {tool.name!r}, has no usable schema of its arguments: {problem}"
            )
    return tools


def misfit(tool: Tool, arguments: Mapping[str, Json]) -> str | None:
    """Return why a tool, as it is declared, cannot have been called with these arguments; None where it can."""
    if unknown := sorted(set(arguments) - set(tool.argument_names)):
        return f"{tool.name} is declared without {' and '.join(unknown)}"
    return None


def tools_of(traces: Iterable[Trace]) -> list[Tool]:
    """Infer tools from the calls in traces: their arguments with the JSON types seen.

    Every tool is taken to write, as nothing in a trace says otherwise. An argument that every call has is required.
    """
    seen: dict[str, _Seen] = {}
    for trace in traces:
        for call in trace.calls:
            seen.setdefault(call.tool, _Seen()).add(call.arguments)
    return [Tool(name=name, parameters=calls.parameters()) for name, calls in sorted(seen.items())]


@dataclass(slots=True)
class _Seen:
    """The arguments of one tool in all its calls."""

    calls: int = 0
    count: dict[str, int] = field(default_factory=dict[str, int])
    types: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def add(self, arguments: dict[str, Json]) -> None:
        self.calls += 1
        for name, value in arguments.items():
            self.count[name] = self.count.get(name, 0) + 1
            self.types.setdefault(name, set()).add(_json_type(value))

    def parameters(self) -> dict[str, Json]:
        properties: dict[str, Json] = {name: _schema(types) for name, types in self.types.items()}
        required: list[Json] = [name for name, count in self.count.items() if count == self.calls]
        return {"type": "object", "properties": properties, "required": required}


def _schema(types: set[str]) -> Json:
    names: list[Json] = [name for name in sorted(types) if not (name == "integer" and "number" in types)]
    return {"type": names[0] if len(names) == 1 else names}


def _json_type(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


def _listed(document: Json) -> list[Json]:
    fields = table(document)
    return rows(fields.get("tools")) or rows(table(fields.get("result")).get("tools")) or ([document] if fields else [])


def _tool(item: Json, place: str) -> Tool:
    fields = table(item)
    try:
        if isinstance(fields.get("function"), dict):
            return _function_tool(table(fields["function"]))
        if fields.get("type") == "function":
            return _function_tool(fields)
        if "inputSchema" in fields:
            return _mcp_tool(fields)
        return Tool.model_validate_json(json.dumps(item))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        told = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
        raise ToolsError(
            f"{place} is no tool ({told}): write it as {{'name', 'parameters', 'effect'}}, or as OpenAI or MCP do"
        ) from None


def _function_tool(fields: dict[str, Json]) -> Tool:
    return _built(fields, fields.get("parameters"), "write", idempotent=False)


def _mcp_tool(fields: dict[str, Json]) -> Tool:
    hints = table(fields.get("annotations"))
    effect: Effect = "read" if hints.get("readOnlyHint") is True else "write"
    return _built(fields, fields["inputSchema"], effect, idempotent=hints.get("idempotentHint") is True)


def _built(fields: dict[str, Json], schema: Json, effect: Effect, *, idempotent: bool) -> Tool:
    document: dict[str, object] = {
        "name": first((fields.get("name"),)),
        "description": text(fields.get("description")),
        "parameters": schema if schema is not None else {},
        "effect": effect,
        "idempotent": idempotent,
    }
    return Tool.model_validate(document)
