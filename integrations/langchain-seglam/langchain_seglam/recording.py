"""What was carried out: the steps of a turn as executed, and the trace that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.types import Command
from seglam_agents import Request, ToolStep, Trace
from seglam_agents.records.record import Json, Record
from seglam_agents.records.trace import ModelStep, Step
from seglam_agents.records.values import encode

from langchain_seglam.messages import (
    content_of,
    is_json,
    json_of,
    result_of,
    results_by_call,
    seal_of,
    text_of,
    usage_of,
)

STEP = "seglam"
"""The key in the metadata of a tool's message under which its step is recorded."""


class Executed(Record):
    """One tool call as it was carried out. Its result stays where it is: in the message that has this as metadata.

    The message is in the checkpoint, whoever edits or interrupts; other middleware sees it as it would be without us.
    """

    tool: str
    arguments: dict[str, Json]
    status: Literal["success", "error"] = "success"
    size: int = 0
    """Characters of the content when the tool answered."""
    seal: str = ""
    """Tells whether the content was changed since, by a redaction or by the notice of a reviewer."""


def recorded(request: ToolCallRequest, result: ToolMessage | Command[Any]) -> ToolMessage | Command[Any]:
    """Return a tool's result with the record of the step as it was carried out.

    A command to another graph, and one whose update has no message for the call, pass as they are: without a record the
    run is not learnt from, and a procedure that asked for the call gives up.
    """
    name, arguments = _executed(request)
    if not is_json(arguments):
        return result
    known = cast("dict[str, Json]", arguments)
    if isinstance(result, ToolMessage):
        return marked(result, name, known)
    update = cast(object, result.update)
    if result.graph is not None or not isinstance(update, dict):
        return result
    messages = cast("dict[str, object]", update).get("messages")
    if not isinstance(messages, list):
        return result
    told = [
        marked(message, name, known)
        if isinstance(message, ToolMessage) and message.tool_call_id == request.tool_call["id"]
        else message
        for message in cast("list[object]", messages)
    ]
    return replace(result, update={**cast("dict[str, object]", update), "messages": told})


def marked(message: ToolMessage, tool: str, arguments: Mapping[str, Json]) -> ToolMessage:
    """Return a tool's message with the record of its step."""
    content = content_of(message)
    step = Executed(
        tool=tool, arguments=dict(arguments), status=message.status, size=len(content), seal=seal_of(content)
    )
    metadata = cast("dict[str, object]", message.response_metadata)
    return message.model_copy(update={"response_metadata": {**metadata, STEP: step.model_dump(mode="json")}})


def steps_of(messages: Iterable[BaseMessage], *, trusting: bool = False) -> dict[str, Executed]:
    """Return the steps that were carried out, by the id of their call.

    Args:
        messages: those of one turn.
        trusting: take a call that was answered, and whose step nobody recorded, as carried out as it was asked for.
    """
    known = list(messages)
    results = results_by_call(known)
    steps: dict[str, Executed] = {}
    for message in known if trusting else ():
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            result = results.get(call["id"] or "")
            if result is not None and is_json(call["args"]):
                steps[result.tool_call_id] = Executed(tool=call["name"], arguments=call["args"], status=result.status)
    for call_id, result in results.items():
        document = cast("Mapping[str, object]", result.response_metadata).get(STEP)
        if document is not None:
            try:
                steps[call_id] = Executed.model_validate(document)
            except ValueError:
                steps.pop(call_id, None)  # Of another version: it counts as not carried out.
    return steps


@dataclass(frozen=True, slots=True)
class Unclean:
    """A run that is not learnt from, and why."""

    reason: str


def trace_of(
    request: Request,
    messages: Sequence[BaseMessage],
    steps: Mapping[str, Executed],
    *,
    author: str,
    structured: object = None,
    ours: frozenset[str] = frozenset(),
) -> Trace | Unclean:
    """Return what an agent did in one turn as a trace, or why it is no clean run.

    Args:
        request: what was asked.
        messages: those after the request, up to the end of the turn.
        steps: what was carried out, by the id of the call.
        author: the id of the last message that the model wrote: the run must have ended with it.
        structured: the structured response of the run as JSON, where it has one.
        ours: names of tools that stand for procedures; a run with one of them is not learnt from.
    """
    final = next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)
    if final is None or not author or final.id != author:
        return Unclean("the last word was not the model's")
    results = results_by_call(messages)
    seen: list[Step] = []
    for message in messages:
        if not isinstance(message, AIMessage):
            continue
        if message.invalid_tool_calls:
            return Unclean("the model wrote a tool call that cannot be read")
        seen.append(ModelStep(text=text_of(message) or "", usage=usage_of(message)))
        if message is final and structured is not None:
            break
        for call in message.tool_calls:
            step = _step(call["id"] or "", call["name"], steps, results, ours)
            if isinstance(step, Unclean):
                return step
            seen.append(step)
    if structured is None and final.tool_calls:
        return Unclean("the run ended with a tool call")
    answer = json_of(structured) if structured is not None else text_of(final)
    if answer is None or answer == "":
        return Unclean("the answer is no text")
    return Trace(request=request, steps=tuple(seen), answer=answer)


def tool_step(step: Executed, message: ToolMessage) -> ToolStep:
    """Return a step with its result, as traces and outcomes hold it."""
    result = result_of(message, step.size, step.seal or None)
    return ToolStep(tool=step.tool, arguments=step.arguments, result=encode(result.value), error=result.error)


def _step(
    call_id: str,
    name: str,
    steps: Mapping[str, Executed],
    results: Mapping[str, ToolMessage],
    ours: frozenset[str],
) -> ToolStep | Unclean:
    step, message = steps.get(call_id), results.get(call_id)
    if step is None or message is None:
        return Unclean(f"the call of {name} was not carried out")
    if step.tool in ours or name in ours:
        return Unclean(f"{name} is a stored procedure")
    if step.status != "success" or message.status != "success":
        return Unclean(f"{step.tool} failed")
    return tool_step(step, message)


def _executed(request: ToolCallRequest) -> tuple[str, object]:
    """Return the name and the arguments of a call as a reviewer left them, even where his turn comes after ours."""
    call, state = request.tool_call, cast(object, request.state)
    edits = cast("Mapping[str, Any]", state).get("hitl_edited_tool_calls") if isinstance(state, Mapping) else None
    edited = cast("Mapping[str, Any]", edits).get(call["id"] or "") if isinstance(edits, Mapping) else None
    return (edited["name"], edited["args"]) if edited else (call["name"], call["args"])
