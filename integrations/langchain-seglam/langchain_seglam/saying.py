"""What the driver decides, as messages of the host."""

from __future__ import annotations

from typing import Literal

from langchain_core.messages import AIMessage, ToolMessage
from seglam_agents.hosting import Asked, GiveBack, Say, SayAnswer, Turn, new_id, render

from langchain_seglam.kinds import State
from langchain_seglam.messages import ABOUT, spoken, tool_call


def said(decision: Say, name: str | None = None) -> AIMessage:
    """Return the next call of a procedure, in the place of the model's message."""
    return spoken("", calls=[tool_call(decision.call)], about=decision.about, name=name)


def answered(decision: SayAnswer, name: str | None = None) -> AIMessage:
    """Return the answer of a procedure, in the place of the model's message."""
    return spoken(render(decision.answer), about=decision.about, name=name)


def given_back(decision: GiveBack) -> tuple[AIMessage, ToolMessage]:
    """Return the model's call of a procedure and what came of it, put where they belong: after the steps."""
    called = decision.called
    asked = Asked(id=called.id, tool=called.tool, arguments=called.arguments)
    status: Literal["error", "success"] = "error" if decision.error else "success"
    call = spoken(called.text, calls=[tool_call(asked)], about=decision.about)
    return call, ToolMessage(
        content=decision.text, name=called.tool, tool_call_id=called.id, status=status, id=new_id()
    )


def begun(turn: Turn, asked: Asked, message: AIMessage) -> AIMessage:
    """Return the first step of a procedure that the model called, in the place of that call."""
    metadata: State = message.response_metadata
    about = {"author": "model", "procedure": turn.plan.procedure if turn.plan else "", "step": 1}
    return AIMessage(
        content=turn.called.text if turn.called else "",
        id=message.id,
        name=message.name,
        tool_calls=[tool_call(asked)],
        usage_metadata=message.usage_metadata,
        response_metadata={**metadata, ABOUT: about},
    )
