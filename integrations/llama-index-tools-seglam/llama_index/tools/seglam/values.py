"""What crosses between LlamaIndex and the cache: signatures of tools, and what calls of them came to."""

from __future__ import annotations

from llama_index.core.agent.workflow.workflow_events import ToolCallResult
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from llama_index.core.tools.types import ToolOutput
from pydantic import TypeAdapter
from seglam_agents import Tool, ToolResult
from seglam_agents.hosting import Asked, Carried, Done, Effect, Json, decode, encoded_or, fields_of, is_object, untitled

NOT_DONE = "seglam_not_done"
"""The key in the raw input of an output that says something in the place of a result."""

_PARAMETERS: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])


def asked_by(call: ToolSelection | ToolCallResult) -> Asked | None:
    """Return a call as it was asked for, under the host's id; None where its arguments are no JSON."""
    arguments: object = fields_of(call)["tool_kwargs"]
    return Asked(id=call.tool_id, tool=call.tool_name, arguments=arguments) if is_object(arguments) else None


def described(tool: BaseTool, effect: Effect | None = None, *, idempotent: bool = False) -> Tool:
    """Return the signature of a LlamaIndex tool as the cache knows it."""
    parameters = _PARAMETERS.validate_python(tool.metadata.get_parameters_dict())  # pyright: ignore[reportUnknownMemberType]
    return Tool(
        name=tool.metadata.get_name(),
        description=tool.metadata.description,
        parameters=untitled(parameters),
        effect=effect or "write",
        idempotent=idempotent,
    )


def output_json(output: ToolOutput) -> Json:
    """Return what a tool of LlamaIndex gave back: its raw output, or its text where that is no data."""
    return encoded_or(output.raw_output, output.content)


def tool_result(output: ToolOutput) -> ToolResult:
    """Return a tool's output as a procedure gets it."""
    if output.is_error:
        return ToolResult(error=output.content or "the tool failed")
    return ToolResult(value=decode(output_json(output)))


def done_of(result: ToolCallResult) -> Done:
    """Return a call that was carried out. A tool that asks a person first tells in its raw input what was done."""
    call, output = asked_by(result), result.tool_output
    arguments = call.arguments if call is not None else {}
    carried = Carried(
        id=result.tool_id,
        tool=result.tool_name,
        arguments=_executed(arguments, output),
        result=None if output.is_error else output_json(output),
        error=(output.content or "the tool failed") if output.is_error else None,
        refused=output.content if NOT_DONE in output.raw_input else "",
    )
    return Done(arguments, carried)


def _executed(asked: dict[str, Json], output: ToolOutput) -> dict[str, Json]:
    # The raw input may hold more than was asked for: defaults, and parameters that the host fills in.
    given: object = output.raw_input.get("kwargs")
    if not is_object(given) or not given.keys() >= asked.keys():
        return asked
    return {name: given[name] for name in asked}
