"""What was carried out: the record of a call in the message of its tool, and a turn as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from seglam_agents import Trace, hosting
from seglam_agents.hosting import Asked, Carried, Executed, after, mapping

from langchain_seglam.kinds import State, ToolOutput, schemas_of
from langchain_seglam.messages import (
    ABOUT,
    about,
    last_human,
    results_by_call,
    shown,
    text_of,
    usage_of,
)
from langchain_seglam.state import switch
from langchain_seglam.tools import offered


def recorded(request: ToolCallRequest, result: ToolOutput) -> ToolOutput:
    """Return a tool's result with the record of the step as it was carried out.

    A command to another graph, and one whose update has no message for the call, pass as they are: without a record the
    run is not learnt from, and a procedure that asked for the call gives up.
    """
    name, arguments = _executed(request)
    if not hosting.is_object(arguments):
        return result
    if isinstance(result, ToolMessage):
        return _marked(result, name, arguments)
    update = mapping(None if result.graph is not None else result.update)
    if not isinstance(update.get("messages"), list):
        return result
    told = [
        _marked(message, name, arguments)
        if isinstance(message, ToolMessage) and message.tool_call_id == request.tool_call["id"]
        else message
        for message in hosting.several(update["messages"])
    ]
    return replace(result, update={**update, "messages": told})


def carried_of(messages: Iterable[BaseMessage], *, trusting: bool = False) -> dict[str, Carried]:
    """Return the calls that were carried out, or what was said in their place, by the id of the call.

    Args:
        messages: those of one turn.
        trusting: take a call that was answered, and whose step nobody recorded, as carried out as it was asked for.
    """
    known = list(messages)
    asked = {call.id: call for message in known if isinstance(message, AIMessage) for call in asked_by(message)}
    return {
        call_id: hosting.carried_as(
            call_id, message.name or "", shown(message), about(message), asked.get(call_id) if trusting else None
        )
        for call_id, message in results_by_call(known).items()
    }


def view_of(
    messages: Iterable[BaseMessage] | None,
    tools: Sequence[BaseTool] | None = None,
    response_format: object = None,
    *,
    trusting: bool = False,
) -> hosting.View:
    """Return what the host shows of a turn: its messages, the tools and the response format of this step.

    Args:
        messages: those of the turn; None where the request is not in the history any more.
        tools: those that may be called now; None where nobody says.
        response_format: that of the agent.
        trusting: as for `carried_of`.
    """
    return hosting.View(
        carried_of(messages, trusting=trusting) if messages is not None else None,
        (lambda name: offered(tools, name)) if tools is not None else None,
        hosting.misfits(schemas_of(response_format)),
        switch(),
    )


def asked_by(message: AIMessage) -> tuple[Asked, ...]:
    """Return the calls of a message that have an id and arguments in JSON."""
    return tuple(
        Asked(id=call["id"], tool=call["name"], arguments=call["args"])
        for call in message.tool_calls
        if call["id"] and hosting.is_object(call["args"])
    )


def said_by(messages: Iterable[BaseMessage]) -> list[hosting.Said]:
    """Return what the agent said, whoever wrote it."""
    return [
        hosting.Said(
            id=message.id or "",
            text=text_of(message),
            calls=asked_by(message),
            usage=usage_of(message),
            unreadable=bool(message.invalid_tool_calls) or len(asked_by(message)) < len(message.tool_calls),
        )
        for message in messages
        if isinstance(message, AIMessage)
    ]


def traced(
    turn: hosting.Turn, messages: Sequence[BaseMessage], *, structured: hosting.Json = None, trusting: bool = False
) -> Trace | hosting.Unclean:
    """Return what an agent did in a turn as a trace, or why it is no clean run.

    Args:
        turn: what the cache knows of it.
        messages: the whole history, up to the end of the turn.
        structured: the structured response of the run, where it has one.
        trusting: as for `carried_of`.
    """
    tail = after(messages, turn.message)
    if tail is None:
        return hosting.Unclean("the request is not in the history any more")
    calls = carried_of(tail, trusting=trusting)
    return hosting.trace_of(turn, said_by(tail), calls, structured=structured, interrupted=last_human(tail) is not None)


def _marked(message: ToolMessage, tool: str, arguments: Mapping[str, hosting.Json]) -> ToolMessage:
    step = Executed.of(tool, dict(arguments), shown(message))
    metadata: State = message.response_metadata
    return message.model_copy(update={"response_metadata": {**metadata, ABOUT: step.model_dump(mode="json")}})


def _executed(request: ToolCallRequest) -> tuple[str, object]:
    """Return the name and the arguments of a call as a reviewer left them, even where his turn comes after ours."""
    call = request.tool_call
    edited = mapping(mapping(request.state).get("hitl_edited_tool_calls")).get(call["id"] or "")
    return (edited["name"], edited["args"]) if edited else (call["name"], call["args"])
