"""Messages of the host and values of the cache: what one means to the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from seglam_agents import hosting
from seglam_agents.hosting import Asked, GiveBack, Json, Pass, Say, SayAnswer, is_object, mapping, new_id, text_in

from langchain_seglam.kinds import loose

ABOUT = "seglam"
"""The key in the metadata of a message under which the cache says something."""


def raw_content(message: BaseMessage) -> object:
    """Return the content of a message as the host has it."""
    return loose(message).content


def about(message: BaseMessage) -> Mapping[str, Json]:
    """Return what the cache says in the metadata of a message."""
    said: object = mapping(loose(message).response_metadata).get(ABOUT)
    return said if is_object(said) else {}


def text_of(message: BaseMessage) -> str | None:
    """Return the text of a message; None where it also holds something that is no text, such as an image."""
    return text_in(raw_content(message))


def content_of(message: ToolMessage) -> str:
    """Return the content of a tool's message as one text, whatever blocks it is made of."""
    text = text_of(message)
    return text if text is not None else json.dumps(raw_content(message), sort_keys=True, default=str)


def shown(message: ToolMessage) -> hosting.Shown:
    """Return a tool's result as it stands in the history."""
    artifact: object = message.artifact
    return hosting.Shown(content_of(message), raw_content(message), artifact, message.status == "error")


def spoken(
    text: str, about: Mapping[str, Json], *, calls: Sequence[ToolCall] = (), name: str | None = None
) -> AIMessage:
    """Return a message in the place of the model's, with a fresh id and no tokens."""
    metadata = {ABOUT: dict(about)}
    return AIMessage(content=text, id=new_id(), name=name, tool_calls=list(calls), response_metadata=metadata)


def tool_call(asked: Asked) -> ToolCall:
    """Return a tool call of the host."""
    return ToolCall(name=asked.tool, args=dict(asked.arguments), id=asked.id, type="tool_call")


def said(decision: Say | SayAnswer, name: str | None = None) -> AIMessage:
    """Return what a procedure says, its next call or its answer, in the place of the model's message."""
    if isinstance(decision, Say):
        return spoken("", decision.about, calls=[tool_call(decision.call)], name=name)
    return spoken(hosting.render(decision.answer), decision.about, name=name)


def shown_before(decision: GiveBack | Pass) -> tuple[AIMessage | ToolMessage, ...]:
    """Return what the model is shown before it speaks: what a procedure came to, or what an earlier attempt wrote.

    Both are calls with their results, put where they belong: after the steps.
    """
    if isinstance(decision, GiveBack):
        called = decision.called
        message = spoken(called.text, decision.about, calls=[tool_call(called)])
        return message, _result(called, decision.text, failed=decision.error)
    if not decision.left:
        return ()
    calls = spoken("", {"author": "procedure", "earlier": True}, calls=[tool_call(one) for one in decision.left])
    return calls, *(_result(left, left.text, failed=not left.done) for left in decision.left)


def instructions_in(messages: Iterable[BaseMessage | None]) -> str:
    """Return what an agent is told by its system messages."""
    return "\n".join(message.text for message in messages if isinstance(message, SystemMessage))


def begun(turn: hosting.Turn, asked: Asked, message: AIMessage) -> AIMessage:
    """Return the first step of a procedure that the model called, in the place of that call."""
    metadata: Mapping[str, object] = message.response_metadata
    about = {"author": "model", "procedure": turn.plan.procedure if turn.plan else "", "step": 1}
    return AIMessage(
        content=turn.called.text if turn.called else "",
        id=message.id,
        name=message.name,
        tool_calls=[tool_call(asked)],
        usage_metadata=message.usage_metadata,
        response_metadata={**metadata, ABOUT: about},
    )


def usage_of(message: AIMessage) -> hosting.Usage:
    """Return what a message says that it cost. What the cache says costs nothing."""
    reported = message.usage_metadata
    return hosting.Usage(calls=1, **hosting.reported_counts({**reported})) if reported is not None else hosting.Usage()


def last_human(messages: Sequence[BaseMessage]) -> HumanMessage | None:
    """Return the last message of a person."""
    return next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)


def is_first_turn(messages: Iterable[BaseMessage]) -> bool:
    """Tell whether a history that ends with a request is nothing but that request."""
    return len([message for message in messages if not isinstance(message, SystemMessage)]) == 1


def results_by_call(messages: Iterable[BaseMessage]) -> dict[str, ToolMessage]:
    """Return the tools' messages by the id of their call."""
    return {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}


def _result(call: Asked, text: str, *, failed: bool) -> ToolMessage:
    status = "error" if failed else "success"
    return ToolMessage(text, name=call.tool, tool_call_id=call.id, status=status, id=new_id())
